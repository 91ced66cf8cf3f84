"""Whatever breaks between the product and the store: the right bytes in the end, or an error and nothing left over."""

import asyncio
import io
import json
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.fault.conftest import MIB, Bench, Run, content_of
from tests.support.fault_exchange import SeenRequest
from tests.support.faults import (
    AnswerTime,
    CloseIdle,
    Cut,
    Direction,
    DropAnswer,
    Fault,
    FlipBit,
    ReplaceBody,
    Reset,
    Respond,
    Stall,
    Truncate,
)
from tests.support.header_faults import RespondToHeader
from tests.support.http_server import HttpServer, Peer
from transfer.engine import hedging
from transfer.model.checksums import VerifiedBy
from transfer.model.errors import StoreError, TransferError, WireError
from transfer.model.events import Event, RequestRetried
from transfer.model.options import TransferOptions
from transfer.model.receipts import Failure, Outcome, Receipt

LARGE = 16 * MIB + 7
MEDIUM = 3 * MIB
SMALL = 1000
UPLOADING = {SMALL: "", MEDIUM: "", LARGE: "partNumber=2"}


def error_body(code: str, message: str = "", *, extra: str = "") -> bytes:
    return f"<Error><Code>{code}</Code><Message>{message}</Message>{extra}</Error>".encode()


def respond(status: int, code: str, **fields: object) -> Respond:
    return Respond(status=status, body=error_body(code), **fields)  # type: ignore[arg-type]  # passed on as they are


def scope_of(seen: SeenRequest) -> str:
    """The Credential of a signature: key/date/region/service/aws4_request."""
    return (seen.header("Authorization") or "").partition("Credential=")[2].partition(",")[0]


async def settled(run: Run, sources: list[str], destination: str) -> list[Outcome]:
    return [outcome async for outcome in run.transfer.copy_many(sources, destination)]


DOWNLOAD_FAULTS: list[Callable[[int], Fault]] = [
    lambda size: Truncate(method="GET", at_byte=size // 3),
    lambda size: Truncate(method="GET", at_byte=0),
    lambda _: Truncate(method="GET", at_byte=None),
    lambda size: Reset(method="GET", at_byte=size // 3),
    lambda _: Reset(method="GET", at_byte=None),
    lambda _: DropAnswer(method="GET"),
    lambda _: respond(500, "InternalError", method="GET"),
    lambda _: respond(503, "SlowDown", method="GET"),
    lambda _: Respond(method="GET", status=502, body=b"<html>a load balancer</html>"),
    lambda _: Respond(method="GET", status=200, body=b"shorter", headers=(("Content-Length", "7"),)),
]


def is_unanswered(fault: Fault | None) -> bool:
    """Whether the client sees no byte of an answer."""
    return isinstance(fault, DropAnswer) or (isinstance(fault, Cut) and fault.at_byte is None)


@pytest.mark.parametrize("fault", DOWNLOAD_FAULTS)
@pytest.mark.parametrize("size", [SMALL, 10 * MIB])
async def test_a_download_outlives_one_fault(bench: Bench, size: int, fault: Callable[[int], Fault]) -> None:
    content = await bench.put(size)
    made = fault(min(size, 2 * MIB))
    async with bench.run(made) as run:
        receipt = await run.transfer.copy(bench.url(), bench.target())
        assert run.transfer.progress.bytes_moved == size
    assert bench.target().read_bytes() == content
    assert bench.landed() == ["file"]
    # The connection had served a HEAD: one that breaks without a byte of an answer counts as closed while idle.
    costs = 0 if is_unanswered(made) else 1
    assert (receipt.retries, len(run.retries)) == (costs, costs)
    assert receipt.verified_by is VerifiedBy.FULL_OBJECT


UPLOAD_FAULTS: list[Callable[[str], Fault]] = [
    lambda target: Truncate(method="PUT", target=target, direction=Direction.UP, at_byte=500),
    lambda target: Reset(method="PUT", target=target, direction=Direction.UP, at_byte=500),
    lambda target: Reset(method="PUT", target=target, direction=Direction.UP, at_byte=None),
    lambda target: Reset(method="PUT", target=target, direction=Direction.DOWN, at_byte=None),
    lambda target: DropAnswer(method="PUT", target=target),
    lambda target: respond(500, "InternalError", method="PUT", target=target),
    lambda target: respond(503, "SlowDown", method="PUT", target=target, answer_time=AnswerTime.BEFORE_BODY_THEN_CLOSE),
    lambda target: respond(400, "RequestTimeout", method="PUT", target=target),
    lambda target: respond(400, "IncompleteBody", method="PUT", target=target),
]


@pytest.mark.parametrize("fault", UPLOAD_FAULTS)
@pytest.mark.parametrize("size", [SMALL, LARGE])
async def test_an_upload_outlives_one_fault(bench: Bench, size: int, fault: Callable[[str], Fault]) -> None:
    source = bench.file(size)
    async with bench.run(fault(UPLOADING[size])) as run:
        receipt = await run.transfer.copy(source, bench.url())
        assert run.transfer.progress.bytes_moved == size
    assert bench.stored() == source.read_bytes()
    # A part may go over the connection that created the upload, whose loss costs nothing, or over a new one.
    assert receipt.retries == len(run.retries)
    assert receipt.retries == 1 or (size == LARGE and receipt.retries == 0)
    assert receipt.verified_by is not VerifiedBy.UNVERIFIED
    assert bench.uploads() == []


async def test_a_store_that_answers_and_never_reads_the_part_costs_one_retry(bench: Bench) -> None:
    source = bench.file(LARGE)
    busy = respond(503, "SlowDown", method="PUT", target="partNumber=2", answer_time=AnswerTime.BEFORE_BODY_NEVER_READ)
    async with bench.run(busy) as run:
        receipt = await run.transfer.copy(source, bench.url())
    assert bench.stored() == source.read_bytes()
    assert receipt.retries == 1


@pytest.mark.parametrize("at_byte", [None, 0, MIB])
async def test_a_download_that_stalls_is_begun_again(
    bench: Bench, at_byte: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A range that is asked for twice would not be waited for.
    monkeypatch.setattr(hedging, "LATE_FLOOR_SECONDS", 60.0)
    content = await bench.put(10 * MIB)
    async with bench.run(Stall(method="GET", at_byte=at_byte), stall_seconds=1.0) as run:
        receipt = await run.transfer.copy(bench.url(), bench.target())
    assert bench.target().read_bytes() == content
    assert receipt.retries >= 1
    assert any("no byte moved" in retried.reason for retried in run.retries)


@pytest.mark.parametrize(
    ("size", "direction"), [(LARGE, Direction.UP), (MEDIUM, Direction.UP), (SMALL, Direction.DOWN)]
)
async def test_an_upload_that_stalls_is_begun_again(bench: Bench, size: int, direction: Direction) -> None:
    source = bench.file(size)
    fault = Stall(method="PUT", target=UPLOADING[size], direction=direction, at_byte=None if size == SMALL else 5)
    async with bench.run(fault, stall_seconds=1.0) as run:
        receipt = await run.transfer.copy(source, bench.url())
    assert bench.stored() == source.read_bytes()
    assert receipt.retries >= 1


async def test_the_pause_a_store_asks_for_is_kept(bench: Bench) -> None:
    await bench.put(SMALL)
    busy = respond(503, "SlowDown", method="GET", headers=(("Retry-After", "1"),))
    async with bench.run(busy) as run:
        await run.transfer.copy(bench.url(), bench.target())
    assert [retried.delay_seconds for retried in run.retries] == [1.0]


async def test_a_fault_that_stays_is_an_error_that_says_how_often_it_was_tried(bench: Bench) -> None:
    await bench.put(SMALL)
    async with bench.run(
        respond(500, "InternalError", method="GET", times=None), options=TransferOptions(retries=3)
    ) as run:
        with pytest.raises(StoreError, match="after 4 attempts") as failure:
            await run.transfer.copy(bench.url(), bench.target())
        assert len(run.proxy.seen("GET")) == 4
    assert failure.value.code == "InternalError"
    assert bench.landed() == []


@pytest.mark.parametrize("fault", [respond(500, "InternalError"), Truncate(at_byte=None)])
async def test_without_retries_the_first_failure_is_the_last(bench: Bench, fault: Fault) -> None:
    await bench.put(SMALL)
    async with bench.run(fault, options=TransferOptions(retries=0)) as run:
        with pytest.raises(TransferError):
            await run.transfer.copy(bench.url(), bench.target())
        assert len(run.proxy.requests) == 1
    assert (bench.landed(), run.retries) == ([], [])


@pytest.mark.parametrize("size", [SMALL, 10 * MIB])
async def test_a_truncated_body_is_never_called_done(bench: Bench, size: int) -> None:
    await bench.put(size)
    fault = Truncate(method="GET", at_byte=size // 10, times=None)
    async with bench.run(fault, options=TransferOptions(retries=1)) as run:
        with pytest.raises(WireError):
            await run.transfer.copy(bench.url(), bench.target())
    assert bench.landed() == []


async def test_idle_connections_that_the_store_closes_cost_no_retry(bench: Bench) -> None:
    contents = {f"k/{number}": await bench.put(SMALL, f"k/{number}") for number in range(12)}
    target = bench.target().parent
    async with bench.run(CloseIdle(times=None), options=TransferOptions(retries=0, concurrency=2)) as run:
        receipts = [receipt async for receipt in run.transfer.copy_tree(bench.url("k/"), target)]
        sources = [target / str(number) for number in range(12)]
        outcomes = await settled(run, [str(source) for source in sources], bench.url("again/"))
    assert {f"k/{path.name}": path.read_bytes() for path in target.iterdir()} == contents
    assert [receipt.retries for receipt in receipts] == [0] * 12
    assert [outcome.retries for outcome in outcomes if isinstance(outcome, Receipt)] == [0] * 12
    assert run.retries == []


async def test_an_error_in_the_body_of_a_success_is_repeated(bench: Bench) -> None:
    source = bench.file(LARGE)
    async with bench.run(respond(200, "InternalError", method="POST", target="uploadId=")) as run:
        receipt = await run.transfer.copy(source, bench.url())
        assert len(run.proxy.seen("POST", "uploadId=")) == 2
    assert bench.stored() == source.read_bytes()
    assert receipt.retries == 1


async def test_an_error_in_the_body_of_a_success_that_stays_is_an_error(bench: Bench) -> None:
    fault = respond(200, "InternalError", method="POST", target="uploadId=", times=None)
    async with bench.run(fault, options=TransferOptions(retries=2)) as run:
        with pytest.raises(StoreError) as failure:
            await run.transfer.copy(bench.file(LARGE), bench.url())
    assert (failure.value.status, failure.value.code) == (200, "InternalError")
    assert (bench.keys(), bench.uploads()) == ([], [])


async def test_a_completion_without_a_word_is_no_success(bench: Bench) -> None:
    fault = Respond(status=200, body=b"", method="POST", target="uploadId=", times=None)
    async with bench.run(fault, options=TransferOptions(retries=1)) as run:
        with pytest.raises(TransferError):
            await run.transfer.copy(bench.file(LARGE), bench.url())
    assert (bench.keys(), bench.uploads()) == ([], [])


@pytest.mark.parametrize(
    "fault",
    [
        DropAnswer(method="POST", target="uploadId="),
        ReplaceBody(status=500, body=error_body("InternalError"), method="POST", target="uploadId="),
        ReplaceBody(status=200, body=error_body("InternalError"), method="POST", target="uploadId="),
    ],
)
async def test_a_completion_whose_answer_is_lost_ends_well(bench: Bench, fault: Fault) -> None:
    source = bench.file(LARGE)
    async with bench.run(fault) as run:
        receipt = await run.transfer.copy(source, bench.url())
    assert bench.stored() == source.read_bytes()
    assert receipt.verified_by is VerifiedBy.FULL_OBJECT
    assert bench.uploads() == []


@pytest.mark.parametrize(
    "fault",
    [
        respond(403, "AccessDenied", method="PUT", target="partNumber=2", times=None),
        respond(500, "InternalError", method="PUT", target="partNumber=2", times=None),
        Reset(method="PUT", target="partNumber=3", direction=Direction.UP, at_byte=3, times=None),
    ],
)
async def test_a_part_that_fails_for_good_aborts_the_upload(bench: Bench, fault: Fault) -> None:
    async with bench.run(fault, options=TransferOptions(retries=1)) as run:
        with pytest.raises(TransferError):
            await run.transfer.copy(bench.file(LARGE), bench.url())
        assert len(run.proxy.seen("DELETE", "uploadId=")) == 1
    assert (bench.keys(), bench.uploads(), run.warnings) == ([], [], [])


async def test_an_upload_that_cannot_be_aborted_is_told(bench: Bench) -> None:
    faults = (
        respond(403, "AccessDenied", method="PUT", target="partNumber=2", times=None),
        respond(403, "AccessDenied", method="DELETE", times=None),
    )
    async with bench.run(*faults) as run:
        with pytest.raises(StoreError):
            await run.transfer.copy(bench.file(LARGE), bench.url())
    (left,) = bench.uploads()
    assert len(run.warnings) == 1
    assert left in run.warnings[0]


@pytest.mark.parametrize("at_byte", [0, MIB])
async def test_cancelling_a_stalled_upload_aborts_it(bench: Bench, at_byte: int) -> None:
    fault = Stall(method="PUT", target="partNumber=2", direction=Direction.UP, at_byte=at_byte)
    async with bench.run(fault) as run:
        task = asyncio.create_task(run.transfer.copy(bench.file(LARGE), bench.url()))
        await run.proxy.wait_until(lambda: any(seen.fault_applied for seen in run.proxy.requests))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (bench.keys(), bench.uploads()) == ([], [])


async def test_cancelling_a_stalled_download_leaves_nothing(bench: Bench) -> None:
    await bench.put(10 * MIB)
    async with bench.run(Stall(method="GET", at_byte=MIB)) as run:
        task = asyncio.create_task(run.transfer.copy(bench.url(), bench.target()))
        await run.proxy.wait_until(lambda: any(seen.fault_applied for seen in run.proxy.requests))
        assert bench.landed() != []
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert bench.landed() == []


ELSEWHERE = RespondToHeader(
    status=301,
    body=error_body("PermanentRedirect", extra="<Endpoint>bucket.s3.eu-west-1.amazonaws.com</Endpoint>"),
    headers=(("x-amz-bucket-region", "eu-west-1"),),
    header="Authorization",
    pattern="/eu-west-1/s3/",
    unless=True,
)
WRONG_REGION = [
    ELSEWHERE,
    RespondToHeader(
        status=307,
        body=error_body("TemporaryRedirect"),
        headers=(("x-amz-bucket-region", "eu-west-1"),),
        header="Authorization",
        pattern="/eu-west-1/s3/",
        unless=True,
    ),
    RespondToHeader(
        status=400,
        body=error_body("AuthorizationHeaderMalformed", extra="<Region>eu-west-1</Region>"),
        header="Authorization",
        pattern="/eu-west-1/s3/",
        unless=True,
    ),
    RespondToHeader(
        status=400,
        body=error_body("AuthorizationHeaderMalformed"),
        headers=(("x-amz-bucket-region", "eu-west-1"),),
        header="Authorization",
        pattern="/eu-west-1/s3/",
        unless=True,
    ),
]


@pytest.mark.parametrize("fault", WRONG_REGION)
async def test_the_right_region_is_learnt_once_and_the_server_stays(bench: Bench, fault: Fault) -> None:
    source = bench.file(MEDIUM)
    async with bench.run(fault) as run:
        await run.transfer.copy(source, bench.url())
        await run.transfer.copy(bench.url(), bench.target())
        await run.transfer.stat(bench.url())
        scopes = [scope_of(seen).split("/")[2] for seen in run.proxy.requests]
    assert scopes == ["us-east-1", *["eu-west-1"] * (len(scopes) - 1)]
    assert bench.target().read_bytes() == source.read_bytes()


@pytest.mark.parametrize("fault", WRONG_REGION[:2])
async def test_the_answer_to_a_head_names_the_region_too(bench: Bench, fault: Fault) -> None:
    await bench.put(SMALL)
    async with bench.run(fault) as run:
        assert (await run.transfer.stat(bench.url())).size == SMALL


async def test_many_requests_learn_the_region_at_the_same_time(bench: Bench) -> None:
    sources = [str(bench.file(SMALL, f"many/{number}")) for number in range(40)]
    async with bench.run(ELSEWHERE, options=TransferOptions(concurrency=16)) as run:
        outcomes = await settled(run, sources, bench.url("many/"))
    assert [outcome for outcome in outcomes if isinstance(outcome, Failure)] == []
    assert len(bench.keys()) == 40


async def test_a_redirect_to_another_server_is_never_followed(bench: Bench) -> None:
    async def record(peer: Peer) -> None:
        await peer.request()

    await bench.put(SMALL)
    async with HttpServer(record) as elsewhere:
        fault = Respond(
            status=307,
            body=error_body("TemporaryRedirect", extra=f"<Endpoint>127.0.0.1:{elsewhere.port}</Endpoint>"),
            headers=(("Location", f"{elsewhere.url}/{bench.bucket}/key"),),
            times=None,
        )
        async with bench.run(fault) as run:
            with pytest.raises(StoreError) as failure:
                await run.transfer.copy(bench.url(), bench.target())
        assert elsewhere.connections == 0
    assert failure.value.remedy
    assert bench.landed() == []


def write_profile(folder: Path, *keys: str) -> Path:
    """Make a profile whose process answers with these access keys in turn; returns the log of its runs."""
    log = folder / "runs"
    answers = folder / "answers"
    answers.mkdir()
    for number, key in enumerate(keys):
        answer = {"Version": 1, "AccessKeyId": key, "SecretAccessKey": "test-secret"}
        (answers / str(number)).write_text(json.dumps(answer))
    script = folder / "process"
    script.write_text(
        "#!/bin/sh\n"
        f"count=$(wc -l < {log})\n"
        f"echo run >> {log}\n"
        f"[ -e {answers}/$count ] || count={len(keys) - 1}\n"
        f"cat {answers}/$count\n"
    )
    script.chmod(0o700)
    log.touch()
    (folder / "config").write_text(f"[profile fresh]\ncredential_process = {script}\nregion = us-east-1\n")
    return log


EXPIRED = RespondToHeader(
    status=400,
    body=error_body("ExpiredToken", "The provided token has expired."),
    header="Authorization",
    pattern="Credential=expired",
)


async def test_expired_credentials_are_renewed_once_for_all(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    log = write_profile(bench.folder, "expired-access", "test-access")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(bench.folder / "config"))
    sources = [str(bench.file(SMALL, f"many/{number}")) for number in range(20)]
    async with bench.run(EXPIRED, profile="fresh", options=TransferOptions(concurrency=8)) as run:
        outcomes = await settled(run, sources, bench.url("many/"))
        keys = [scope_of(seen).split("/")[0] for seen in run.proxy.requests]
    assert [outcome for outcome in outcomes if isinstance(outcome, Failure)] == []
    assert len(bench.keys()) == 20
    assert set(keys) == {"expired-access", "test-access"}
    assert len(log.read_text().splitlines()) == 2


async def test_credentials_that_stay_expired_are_an_error(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    write_profile(bench.folder, "expired-access")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(bench.folder / "config"))
    async with bench.run(EXPIRED, profile="fresh") as run:
        with pytest.raises(StoreError) as failure:
            await run.transfer.copy(bench.file(SMALL), bench.url())
        assert len(run.proxy.requests) == 1
    assert failure.value.code == "ExpiredToken"
    assert failure.value.remedy


async def test_the_clock_of_the_store_is_learnt(bench: Bench) -> None:
    ahead = timedelta(minutes=9)
    source = bench.file(SMALL)
    fault = respond(
        403,
        "RequestTimeTooSkewed",
        method="PUT",
        headers=(("Date", format_datetime(datetime.now(UTC) + ahead, usegmt=True)),),
    )
    async with bench.run(fault) as run:
        receipt = await run.transfer.copy(source, bench.url())
        await run.transfer.stat(bench.url())
        stamps = [seen.header("x-amz-date") for seen in run.proxy.requests]
    signed = [datetime.strptime(stamp or "", "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC) for stamp in stamps]
    assert all(ahead / 2 < later - signed[0] < ahead * 2 for later in signed[1:])
    assert receipt.retries == 1
    assert signed[0].timestamp() <= time.time()


async def test_an_answer_without_a_clock_teaches_nothing(bench: Bench) -> None:
    async with bench.run(respond(403, "RequestTimeTooSkewed")) as run:
        with pytest.raises(StoreError) as failure:
            await run.transfer.copy(bench.file(SMALL), bench.url())
        assert len(run.proxy.requests) == 1
    assert "clock" in (failure.value.remedy or "")


async def test_an_object_overwritten_during_its_download_is_an_error(bench: Bench) -> None:
    await bench.put(LARGE)

    def overwrite(event: Event) -> None:
        if isinstance(event, RequestRetried):
            bench.oracle.put_object(Bucket=bench.bucket, Key="key", Body=b"another")

    fault = respond(503, "SlowDown", method="GET", nth=2)
    async with bench.run(fault, on_event=overwrite) as run:
        with pytest.raises(StoreError) as failure:
            await run.transfer.copy(bench.url(), bench.target())
        assert all(seen.header("If-Match") for seen in run.proxy.seen("GET"))
    assert (failure.value.status, failure.value.code) == (412, "PreconditionFailed")
    assert bench.landed() == []


REFUSALS = [(501, "NotImplemented"), (400, "InvalidArgument"), (400, "InvalidRequest")]


def refusing_checksums(status: int, code: str) -> tuple[Fault, ...]:
    """A store that knows no checksum headers in requests that write."""
    return tuple(
        RespondToHeader(status=status, body=error_body(code), method=method, header=header)
        for method, header in (("PUT", "x-amz-checksum-crc64nvme"), ("POST", "x-amz-checksum-algorithm"))
    )


@pytest.mark.parametrize(("status", "code"), REFUSALS)
@pytest.mark.parametrize("size", [SMALL, LARGE])
async def test_a_store_that_refuses_checksum_headers_gets_md5(bench: Bench, size: int, status: int, code: str) -> None:
    source = bench.file(size)
    on_put, on_create = refusing_checksums(status, code)
    async with bench.run(on_put if size == SMALL else on_create) as run:
        receipt = await run.transfer.copy(source, bench.url())
        again = await run.transfer.copy(source, bench.url("again"))
        refused = [seen for seen in run.proxy.requests if seen.fault_applied]
    assert len(refused) == 1
    assert bench.stored() == bench.stored("again") == source.read_bytes()
    assert receipt.verified_by is not VerifiedBy.UNVERIFIED
    assert again.verified_by is receipt.verified_by
    assert len(run.warnings) == 1
    assert code in run.warnings[0]


@pytest.mark.parametrize("size", [SMALL, LARGE])
async def test_a_stream_falls_back_to_md5_before_its_first_byte_is_gone(
    bench: Bench, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = content_of(size, "stream")
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(content)))
    on_put, on_create = refusing_checksums(501, "NotImplemented")
    async with bench.run(on_put if size == SMALL else on_create) as run:
        receipt = await run.transfer.copy("-", bench.url())
    assert bench.stored() == content
    assert receipt.verified_by is not VerifiedBy.UNVERIFIED
    assert len(run.warnings) == 1


async def test_many_uploads_learn_at_the_same_time_that_checksum_headers_are_refused(bench: Bench) -> None:
    sources = [str(bench.file(SMALL, f"many/{number}")) for number in range(40)]
    on_put, _ = refusing_checksums(501, "NotImplemented")
    async with bench.run(on_put, options=TransferOptions(concurrency=16)) as run:
        outcomes = await settled(run, sources, bench.url("many/"))
    assert [outcome for outcome in outcomes if isinstance(outcome, Failure)] == []
    assert len(bench.keys()) == 40
    assert len(run.warnings) == 1


async def test_one_bad_object_does_not_stop_the_others(bench: Bench) -> None:
    contents = {f"k/{number}": await bench.put(SMALL, f"k/{number}") for number in range(6)}
    target = bench.target().parent
    async with bench.run(FlipBit(method="GET", target="/k/3", times=None)) as run:
        outcomes = [outcome async for outcome in run.transfer.copy_many([bench.url("k/")], str(target), recursive=True)]
    failures = [outcome for outcome in outcomes if isinstance(outcome, Failure)]
    assert [failure.source for failure in failures] == [bench.url("k/3")]
    assert sorted(bench.landed()) == ["0", "1", "2", "4", "5"]
    assert (target / "5").read_bytes() == contents["k/5"]
