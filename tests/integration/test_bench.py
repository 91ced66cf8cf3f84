"""Measuring against real servers: what is counted, what is written, and that nothing is left."""

import os
import signal
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from transfer import Transfer, TransferError
from transfer.__main__ import main
from transfer.engine.bench import course
from transfer.engine.bench.content import Content
from transfer.model.bench import (
    BenchBegun,
    BenchCleaned,
    BenchNews,
    BenchOperation,
    BenchOptions,
    BenchTick,
    Latencies,
    StepResult,
)
from transfer.model.errors import ChecksumMismatchError, ConnectError, StoreError
from transfer.model.events import Event, Warned
from transfer.stores.s3.store import Call, S3Store
from transfer.wire.connection import Response
from transfer.wire.flow import Flow

PUT, GET, STAT, LIST, DELETE, MIXED = BenchOperation
FOREIGN = "tmp/transfer-bench-not-ours"
SMALL = BenchOptions(sizes_bytes=(1000,), objects=6, requests=12, concurrency=(1, 3))


def only(*operations: BenchOperation, **changes: Any) -> BenchOptions:
    return replace(SMALL, operations=operations, **changes)


@pytest.fixture
def place(oracle: Any, bucket: str) -> str:
    oracle.put_object(Bucket=bucket, Key=FOREIGN, Body=b"another one's")
    return f"s3://{bucket}/tmp"


@pytest.fixture
def keys(oracle: Any, bucket: str) -> Callable[[], list[str]]:
    def listed() -> list[str]:
        pages = oracle.get_paginator("list_objects_v2").paginate(Bucket=bucket)
        return [found["Key"] for page in pages for found in page.get("Contents", ())]

    return listed


class Seen:
    """The requests that were made, and those that are to fail."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.calls: list[Call] = []
        self.fails: Callable[[Call], TransferError | None] = lambda _: None
        exchange = S3Store.exchange

        @asynccontextmanager
        async def watched(store: S3Store, call: Call, flow: Flow | None = None) -> AsyncIterator[Response]:
            self.calls.append(call)
            failure = self.fails(call)
            if failure is not None:
                raise failure
            async with exchange(store, call, flow) as response:
                yield response

        patch.setattr(S3Store, "exchange", watched)

    def of_objects(self) -> Counter[str]:
        return Counter(call.method for call in self.calls if call.location.key)


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Seen:
    return Seen(monkeypatch)


async def measured(place: str, options: BenchOptions, on_event: Callable[[Event], None] = print) -> list[BenchNews]:
    async with Transfer(on_event=on_event) as transfer:
        return [news async for news in transfer.bench(place, options) if not isinstance(news, BenchTick)]


def steps_of(news: list[BenchNews]) -> list[StepResult]:
    return [one for one in news if isinstance(one, StepResult)]


def in_order(found: Latencies | None) -> bool:
    assert found is not None
    values = [found.minimum, found.p50, found.p90, found.p99, found.p999, found.maximum]
    return values == sorted(values) and found.minimum > 0


async def test_every_operation_is_measured_and_nothing_is_left(place: str, keys: Callable[[], list[str]]) -> None:
    news = await measured(place, only(*BenchOperation, requests=40))
    begun, *results, cleaned = news
    assert isinstance(begun, BenchBegun)
    assert begun.place.startswith(f"{place}/transfer-bench-")
    steps = steps_of(results)
    assert [(step.operation, step.concurrency) for step in steps] == [
        (operation, level) for operation in BenchOperation for level in (1, 3)
    ]
    for step in steps:
        expected = 6 if step.operation is DELETE else 40
        assert (step.total.requests, step.total.failed, dict(step.total.errors)) == (expected, 0, {})
        assert in_order(step.total.latency)
        assert step.seconds > 0
        assert step.total.objects == (240 if step.operation is LIST else expected)
        assert step.total.bytes == {PUT: 40_000, GET: 40_000}.get(step.operation, step.total.bytes)
        assert (step.total.first_byte is not None) == (step.operation in (GET, MIXED))
    mixed = {part.operation: part for part in steps[-1].parts}
    assert {operation: part.requests for operation, part in mixed.items()} == {GET: 18, PUT: 6, STAT: 12, DELETE: 4}
    assert mixed[GET].bytes + mixed[PUT].bytes == steps[-1].total.bytes == 24_000
    assert cleaned == BenchCleaned(begun.place)
    assert keys() == [FOREIGN]


async def test_each_measured_operation_is_one_request(place: str, seen: Seen) -> None:
    await measured(place, only(GET, STAT, concurrency=(2,), requests=30))
    assert seen.of_objects() == {"PUT": 6, "GET": 30, "HEAD": 30}


async def test_what_one_step_wrote_is_removed_before_the_next(place: str, keys: Callable[[], list[str]]) -> None:
    async with Transfer() as transfer, aclosing(transfer.bench(place, only(PUT))) as news:
        async for one in news:
            if isinstance(one, StepResult):
                # What another step had left would be a third; that of this one may be gone already.
                assert len(keys()) <= 2


async def test_a_step_moves_no_more_bytes_than_it_may(place: str) -> None:
    options = only(PUT, GET, max_step_bytes=5500, requests=1000)
    assert [step.total.bytes for step in steps_of(await measured(place, options))] == [5000] * 4


async def test_a_timed_step_ends_by_itself(place: str) -> None:
    options = BenchOptions(operations=(STAT,), sizes_bytes=(10,), objects=3, seconds=0.01, concurrency=(2,))
    [step] = steps_of(await measured(place, options))
    assert step.total.requests >= 2


async def test_the_automatic_sweep_doubles(place: str) -> None:
    steps = steps_of(await measured(place, only(STAT, concurrency=())))
    assert [step.concurrency for step in steps] == [2**index for index in range(len(steps))]
    assert len(steps) >= 2


@pytest.mark.parametrize("steps", [1, 4])
async def test_stopping_leaves_nothing(place: str, keys: Callable[[], list[str]], steps: int) -> None:
    events: list[Event] = []
    async with Transfer(on_event=events.append) as transfer, aclosing(transfer.bench(place, only(GET, PUT))) as news:
        async for one in news:
            steps -= isinstance(one, StepResult)
            if not steps:
                break
    assert keys() == [FOREIGN]
    assert events == []


async def test_what_is_kept_stays(place: str, keys: Callable[[], list[str]]) -> None:
    *_, cleaned = await measured(place, only(PUT, GET, keep=True))
    assert isinstance(cleaned, BenchCleaned)
    assert cleaned.is_kept
    assert len(keys()) == 1 + 1 + 2 * 12 + 6


async def test_a_dry_run_writes_nothing(place: str, seen: Seen) -> None:
    async with Transfer() as transfer:
        [begun] = [news async for news in transfer.bench(place, only(*BenchOperation), dry_run=True)]
    assert isinstance(begun, BenchBegun)
    assert [call.method for call in seen.calls] == ["GET"]


async def test_a_missing_bucket_is_told_as_ever(server: object) -> None:
    async with Transfer() as transfer:
        with pytest.raises(StoreError) as caught:
            await anext(transfer.bench("s3://no-such-bucket-here/x", SMALL))
    assert caught.value.code == "NoSuchBucket"
    assert caught.value.remedy


async def test_failed_attempts_are_counted_and_not_part_of_latencies(place: str, seen: Seen) -> None:
    failures = iter([StoreError("slower", status=503, code="SlowDown"), ConnectError("gone")])
    seen.fails = lambda call: next(failures, None) if call.method == "HEAD" and call.location.key else None
    [step] = steps_of(await measured(place, only(STAT, concurrency=(1,))))
    assert dict(step.total.errors) == {"SlowDown": 1, "connect": 1}
    assert (step.total.requests, step.total.retries, step.total.failed) == (12, 2, 0)
    assert seen.of_objects()["HEAD"] == 14


async def test_without_retries_a_failure_is_one_failed_operation(place: str, seen: Seen) -> None:
    failures = iter([StoreError("slower", status=503, code="SlowDown")])
    seen.fails = lambda call: next(failures, None) if call.method == "HEAD" and call.location.key else None
    [step] = steps_of(await measured(place, only(STAT, concurrency=(1,), retries=0)))
    assert (step.total.requests, step.total.retries, step.total.failed) == (11, 0, 1)


async def test_a_step_in_which_nothing_succeeds_ends_the_run(
    place: str, seen: Seen, keys: Callable[[], list[str]]
) -> None:
    refusal = StoreError("not you", status=403, code="AccessDenied")
    seen.fails = lambda call: refusal if call.method == "GET" and call.location.key else None
    with pytest.raises(StoreError, match="not you"):
        await measured(place, only(GET, requests=1000))
    assert seen.of_objects()["GET"] <= 20 + 1
    assert keys() == [FOREIGN]


async def test_other_bytes_than_were_written_are_an_error(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    body = Content.body
    wrong = False

    def bodies(content: Content, number: int, size_bytes: int) -> memoryview:
        return body(content, number + wrong, size_bytes)

    monkeypatch.setattr(Content, "body", bodies)
    async with Transfer() as transfer, aclosing(transfer.bench(place, only(STAT, GET, concurrency=(1,)))) as news:
        with pytest.raises(ChecksumMismatchError, match="other bytes arrived"):
            async for one in news:
                wrong = wrong or isinstance(one, StepResult)


async def test_what_cannot_be_removed_is_told(place: str, seen: Seen, keys: Callable[[], list[str]]) -> None:
    refusal = StoreError("no removing here", status=403, code="AccessDenied")
    seen.fails = lambda call: refusal if call.method in ("DELETE", "POST") else None
    *_, cleaned = await measured(place, only(GET))
    assert isinstance(cleaned, BenchCleaned)
    assert (cleaned.left, cleaned.reason) == (None, "no removing here")
    assert len(keys()) == 7

    events: list[Event] = []
    async with Transfer(on_event=events.append) as transfer, aclosing(transfer.bench(place, only(GET))) as news:
        await anext(news)
        await anext(news)
    [warning] = events
    assert isinstance(warning, Warned)
    assert "no removing here" in warning.message
    assert f"transfer rm -r {place}/transfer-bench-" in warning.message


async def test_a_store_that_removes_one_by_one_only(place: str, seen: Seen, keys: Callable[[], list[str]]) -> None:
    refusal = StoreError("what is that?", status=501, code="NotImplemented")
    seen.fails = lambda call: refusal if call.method == "POST" else None
    *_, cleaned = await measured(place, only(GET))
    assert isinstance(cleaned, BenchCleaned)
    assert cleaned.left == 0
    assert keys() == [FOREIGN]


async def test_cleaning_up_does_not_last_for_ever(place: str, seen: Seen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(course, "CLEAN_UP_SECONDS", 0.0)
    *_, cleaned = await measured(place, only(GET))
    assert isinstance(cleaned, BenchCleaned)
    assert cleaned.left is None
    assert "took longer" in cleaned.reason


async def test_objects_of_no_bytes(place: str) -> None:
    steps = steps_of(await measured(place, only(PUT, GET, LIST, sizes_bytes=(0,))))
    assert [step.total.failed for step in steps] == [0] * 6
    assert {step.total.bytes for step in steps} == {0}


async def test_a_bucket_with_versions_is_told(oracle: Any, bucket: str, place: str) -> None:
    oracle.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    *_, cleaned = await measured(place, only(PUT))
    assert isinstance(cleaned, BenchCleaned)
    assert cleaned.has_versions


def words(*options: str) -> list[str]:
    few = ["--size", "1000", "--objects", "6", "--requests", "12", "--concurrency", "1", "--retries", "0"]
    return ["--op", "stat", *few, *options]


def test_a_failed_operation_makes_the_exit_code(place: str, seen: Seen, capsys: pytest.CaptureFixture[str]) -> None:
    failures = iter([StoreError("slower", status=503, code="SlowDown")])
    seen.fails = lambda call: next(failures, None) if call.method == "HEAD" and call.location.key else None
    assert main(["bench", place, *words()]) == 1
    told = capsys.readouterr()
    assert told.out.splitlines()[1].split()[-1] == "1"
    assert "errors: 1 SlowDown" in told.err
    assert main(["bench", place, *words()]) == 0


@pytest.mark.parametrize(
    ("refused", "options", "ending"),
    [
        (("HEAD",), (), "what was written below {place} has been removed"),
        (("HEAD",), ("--keep",), "kept what is below {place}; remove it with: transfer rm -r {place}"),
        (
            ("HEAD", "POST", "DELETE"),
            (),
            "objects could not be removed (not now); remove them with: transfer rm -r {place}",
        ),
        (("GET",), (), "nothing was written"),
    ],
)
def test_an_interruption_ends_with_what_became_of_the_objects(
    place: str,
    seen: Seen,
    keys: Callable[[], list[str]],
    capsys: pytest.CaptureFixture[str],
    refused: tuple[str, ...],
    options: tuple[str, ...],
    ending: str,
) -> None:
    def fail(call: Call) -> TransferError | None:
        if call.method not in refused or (call.method == "HEAD" and not call.location.key):
            return None
        if call.method == refused[0]:
            os.kill(os.getpid(), signal.SIGINT)
        return StoreError("not now", status=403, code="AccessDenied")

    seen.fails = fail
    assert main(["bench", place, "--quiet", *words(*options)]) == 130
    [line] = [line for line in capsys.readouterr().err.splitlines() if "interrupted" in line]
    below = next((call.location for call in seen.calls if call.method == "PUT"), None)
    fresh = "" if below is None else f"s3://{below.bucket}/{'/'.join(below.key.split('/')[:2])}/"
    assert line == f"transfer: interrupted; {ending.format(place=fresh)}"
    assert (keys() == [FOREIGN]) == ("rm -r" not in ending)


def test_what_is_left_makes_the_exit_code(place: str, seen: Seen, capsys: pytest.CaptureFixture[str]) -> None:
    refusal = StoreError("no removing here", status=403, code="AccessDenied")
    seen.fails = lambda call: refusal if call.method in ("DELETE", "POST") else None
    assert main(["bench", place, *words()]) == 1
    assert f"remove them with: transfer rm -r {place}/transfer-bench-" in capsys.readouterr().err
    assert main(["bench", place, *words("--keep")]) == 0
