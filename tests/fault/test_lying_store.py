"""A store that does not say the truth: what it answers is believed only where something else bears it out."""

import asyncio
import base64
import hashlib
import os
import threading
import zlib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest

import transfer.engine.part_sending
from tests.fault.conftest import MIB, Bench, content_of
from tests.support.cli import COMMAND
from tests.support.faults import DropAnswer
from tests.support.http_messages import make_response
from tests.support.http_server import HttpServer, HungUpError, Peer
from tests.support.servers import S3Server
from transfer.engine.reading import AHEAD_PIECES, PIECE_BYTES
from transfer.engine.transfer import Transfer
from transfer.integrity.digests import composite_value, encode_value, new_digest
from transfer.integrity.files import digest_file_range
from transfer.model.checksums import ChecksumAlgorithm, VerifiedBy
from transfer.model.errors import ChecksumMismatchError, ProtocolError, StoreError
from transfer.model.events import Event, Warned
from transfer.model.options import ConnectionOptions, TransferOptions
from transfer.model.receipts import Failure, Receipt

SMALL = 1000
LARGE = 16 * MIB + 7
PART = 8 * MIB
URL = "s3://bucket/key"
ONE_LANE = TransferOptions(concurrency=1, retries=0)
CRC64 = ChecksumAlgorithm.CRC64NVME.header


@dataclass(frozen=True, slots=True)
class Call:
    """One request, taken apart."""

    method: str
    key: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    @property
    def part(self) -> int:
        return int(self.query.get("partNumber", "0"))

    @property
    def completes(self) -> bool:
        return self.method == "POST" and "uploadId" in self.query


@dataclass(frozen=True, slots=True)
class Answer:
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    def saying(self, **headers: str | None) -> "Answer":
        """The same with other headers; underscores stand for hyphens and None takes a header away."""
        said = {name.replace("_", "-"): value for name, value in headers.items()}
        merged = {**self.headers, **said}
        return replace(self, headers={name: value for name, value in merged.items() if value is not None})


@dataclass(slots=True)
class Stored:
    content: bytes
    etag: str
    headers: Mapping[str, str] = field(default_factory=dict)
    part_bytes: int = PART


Lie = Callable[[Call, Answer], Answer]


class LyingStore:
    """An S3 in memory that never looks at conditions; ``lie`` may change each true answer before it is sent."""

    def __init__(self) -> None:
        self.lie: Lie = lambda _, truth: truth
        self.calls: list[Call] = []
        self.stored: dict[str, Stored] = {}
        self.uploads: dict[str, dict[int, bytes]] = {}
        self.keeps = True
        self.url = ""

    def put(
        self,
        content: bytes,
        *,
        etag: str = '"opaque"',
        headers: Mapping[str, str] | None = None,
        part_bytes: int = PART,
    ) -> None:
        """Hold an object under the key `key`."""
        self.stored["key"] = Stored(content, etag, headers or {}, part_bytes)

    def seen(self, method: str, **query: str) -> list[Call]:
        """The requests of a method, with this in their query."""
        return [call for call in self.calls if call.method == method and query.items() <= call.query.items()]

    async def serve(self, peer: Peer) -> None:
        while True:
            asked = await peer.request()
            parts = urlsplit(asked.head.target)
            call = Call(
                asked.head.method,
                unquote(parts.path).removeprefix("/bucket").removeprefix("/"),
                dict(parse_qsl(parts.query, keep_blank_values=True)),
                {name.lower(): value for name, value in asked.head.headers},
                asked.body,
            )
            self.calls.append(call if self.keeps else replace(call, body=b""))
            answer = self.lie(call, self._truth(call))
            raw = make_response(answer.status, answer.body, tuple(answer.headers.items()), method=call.method)
            await peer.send(raw)

    def _truth(self, call: Call) -> Answer:
        if "uploads" in call.query or "uploadId" in call.query:
            return self._multipart(call)
        if call.method == "PUT":
            if self.keeps:
                self.stored[call.key] = Stored(call.body, _etag(call.body), _checksums(call))
            return Answer(headers={"etag": _etag(call.body), **_checksums(call)})
        found = self.stored.get(call.key)
        return _refusal(404, "NoSuchKey") if found is None else _read(call, found)

    def _multipart(self, call: Call) -> Answer:
        if "uploads" in call.query:
            name = f"upload-{len(self.calls)}"
            self.uploads[name] = {}
            return _document("InitiateMultipartUploadResult", f"<UploadId>{name}</UploadId>")
        name = call.query["uploadId"]
        if name not in self.uploads:
            return _refusal(404, "NoSuchUpload")
        if call.method == "PUT":
            self.uploads[name][call.part] = call.body if self.keeps else b""
            return Answer(headers={"etag": _etag(call.body), **_checksums(call)})
        parts = [content for _, content in sorted(self.uploads.pop(name).items())]
        if call.method == "DELETE":
            return Answer(204)
        md5s = b"".join(hashlib.md5(part).digest() for part in parts)
        etag = f'"{hashlib.md5(md5s).hexdigest()}-{len(parts)}"'
        self.stored[call.key] = Stored(b"".join(parts), etag)
        return _document("CompleteMultipartUploadResult", f"<ETag>{etag}</ETag>")


def _read(call: Call, found: Stored) -> Answer:
    headers = {"etag": found.etag, **found.headers}
    content = found.content
    if call.part:
        content = content[(call.part - 1) * found.part_bytes : call.part * found.part_bytes]
    elif "range" in call.headers:
        first, _, last = call.headers["range"].removeprefix("bytes=").partition("-")
        headers["content-range"] = f"bytes {first}-{last}/{len(content)}"
        return Answer(206, headers, content[int(first) : int(last) + 1])
    if call.method == "HEAD":
        return Answer(200, {**headers, "content-length": str(len(content))})
    return Answer(200, headers, content)


def _etag(body: bytes) -> str:
    return f'"{hashlib.md5(body).hexdigest()}"'


def _checksums(call: Call) -> dict[str, str]:
    return {name: value for name, value in call.headers.items() if name.startswith("x-amz-checksum-")}


def _document(name: str, content: str) -> Answer:
    return Answer(body=f"<{name}>{content}</{name}>".encode(), headers={"content-type": "application/xml"})


def _refusal(status: int, code: str) -> Answer:
    return replace(_document("Error", f"<Code>{code}</Code><Message>refused</Message>"), status=status)


@pytest.fixture
async def store(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[LyingStore]:
    monkeypatch.setattr("transfer.engine.attempts.random.random", lambda: 0.0)
    made = LyingStore()
    async with HttpServer(made.serve) as server:
        made.url = server.url
        for name, value in S3Server("lying", server.url).environment().items():
            monkeypatch.setenv(name, value)
        yield made


@asynccontextmanager
async def connected(
    store: LyingStore, options: TransferOptions | None = None, events: list[Event] | None = None
) -> AsyncIterator[Transfer]:
    told = events if events is not None else []
    connection = ConnectionOptions(endpoint_url=store.url)
    async with Transfer(connection=connection, options=options, on_event=told.append) as transfer:
        yield transfer


def make_file(folder: Path, size: int, name: str = "source") -> Path:
    path = folder / name
    path.write_bytes(content_of(size, name))
    return path


@pytest.fixture
def landing(tmp_path: Path) -> Path:
    folder = tmp_path / "landing"
    folder.mkdir()
    return folder


def full_object(content: bytes) -> dict[str, str]:
    digest = new_digest(ChecksumAlgorithm.CRC64NVME)
    digest.update(content)
    return {CRC64: encode_value(digest.value()), "x-amz-checksum-type": "FULL_OBJECT"}


async def test_a_range_that_comes_with_status_200_is_a_range(store: LyingStore, landing: Path) -> None:
    content = content_of(LARGE, "key")
    store.put(content, headers=full_object(content))
    store.lie = lambda call, truth: replace(truth, status=200) if truth.status == 206 else truth
    async with connected(store) as transfer:
        receipt = await transfer.copy(URL, landing / "file")
    assert (landing / "file").read_bytes() == content
    assert (receipt.verified_by, receipt.retries) == (VerifiedBy.FULL_OBJECT, 0)


async def test_an_object_that_comes_whole_where_a_range_was_asked_for_is_refused(
    store: LyingStore, landing: Path
) -> None:
    content = content_of(LARGE, "key")
    store.put(content, headers=full_object(content))
    store.lie = lambda call, truth: (
        Answer(200, {"etag": truth.headers["etag"]}, content) if call.method == "GET" else truth
    )
    async with connected(store, TransferOptions(retries=0)) as transfer:
        with pytest.raises(ProtocolError, match="another range"):
            await transfer.copy(URL, landing / "file")


REPLACEMENTS = ["etag and size", "size", "etag"]


def replaced_after_first(what: str) -> Lie:
    """The object changes after the first range; the bytes stay right, so that no checksum could tell."""
    gets = 0

    def lie(call: Call, truth: Answer) -> Answer:
        nonlocal gets
        gets += call.method == "GET"
        if call.method != "GET" or gets == 1:
            return truth
        said: dict[str, str | None] = {}
        if "etag" in what:
            said["etag"] = '"another"'
        if "size" in what:
            said["content_range"] = truth.headers["content-range"].partition("/")[0] + "/99999999"
        return truth.saying(**said)

    return lie


@pytest.mark.parametrize("what", REPLACEMENTS)
async def test_an_object_replaced_between_two_ranges_is_refused(store: LyingStore, landing: Path, what: str) -> None:
    content = content_of(LARGE, "key")
    store.put(content, headers=full_object(content))
    store.lie = replaced_after_first(what)
    async with connected(store, TransferOptions(concurrency=1)) as transfer:
        with pytest.raises(StoreError) as failure:
            await transfer.copy(URL, landing / "file")
    assert (failure.value.code, failure.value.subject) == ("PreconditionFailed", URL)
    assert list(landing.iterdir()) == []
    assert all(call.headers["if-match"] == '"opaque"' for call in store.seen("GET"))


@pytest.mark.parametrize("what", REPLACEMENTS)
async def test_an_object_replaced_while_it_streams_is_refused(store: LyingStore, what: str) -> None:
    content = content_of(LARGE, "key")
    store.put(content, headers=full_object(content))
    store.lie = replaced_after_first(what)
    written = bytearray()
    async with connected(store, TransferOptions(concurrency=1)) as transfer:
        with pytest.raises(StoreError) as failure:
            await transfer.cat(URL, written.extend)
    assert failure.value.code == "PreconditionFailed"
    assert content.startswith(written)
    assert len(written) <= PIECE_BYTES


async def test_a_small_object_replaced_after_its_head_is_refused(store: LyingStore, landing: Path) -> None:
    content = content_of(SMALL, "key")
    store.put(content, headers=full_object(content))
    store.lie = lambda call, truth: truth.saying(etag='"another"') if call.method == "GET" else truth
    async with connected(store) as transfer:
        with pytest.raises(StoreError) as failure:
            await transfer.copy(URL, landing / "file")
    assert failure.value.code == "PreconditionFailed"
    assert list(landing.iterdir()) == []


def composite_of(content: bytes, part_bytes: int) -> dict[str, str]:
    values = [hashlib.sha256(content[at : at + part_bytes]).digest() for at in range(0, len(content), part_bytes)]
    value = composite_value(ChecksumAlgorithm.SHA256, values)
    return {ChecksumAlgorithm.SHA256.header: value, "x-amz-checksum-type": "COMPOSITE"}


@pytest.mark.parametrize("status", [501, 403, 503])
async def test_a_composite_mismatch_stands_when_the_store_hides_the_other_parts(
    store: LyingStore, landing: Path, status: int
) -> None:
    content = content_of(LARGE, "key")
    store.put(content, headers=composite_of(content[::-1], PART))
    store.lie = lambda call, truth: Answer(status) if call.part > 1 else truth
    async with connected(store, TransferOptions(retries=0)) as transfer:
        with pytest.raises(ChecksumMismatchError) as failure:
            await transfer.copy(URL, landing / "file")
    assert failure.value.subject == URL
    assert store.seen("HEAD", partNumber="2")
    assert list(landing.iterdir()) == []


async def test_a_composite_on_other_boundaries_proves_nothing(store: LyingStore, landing: Path) -> None:
    content = content_of(LARGE, "key")
    store.put(content, headers=composite_of(content[::-1], PART))
    store.lie = lambda call, truth: truth.saying(content_length="9") if call.part > 1 else truth
    async with connected(store) as transfer:
        receipt = await transfer.copy(URL, landing / "file")
    assert receipt.verified_by is VerifiedBy.UNVERIFIED
    assert (landing / "file").read_bytes() == content


@pytest.mark.parametrize("status", [501, 405, 412, 416, 400])
async def test_a_store_that_knows_no_parts_is_read_unverified(store: LyingStore, landing: Path, status: int) -> None:
    content = content_of(LARGE, "key")
    store.put(content, headers=composite_of(content, PART))
    store.lie = lambda call, truth: Answer(status) if call.part else truth
    async with connected(store) as transfer:
        receipt = await transfer.copy(URL, landing / "file")
    assert receipt.verified_by is VerifiedBy.UNVERIFIED
    assert (landing / "file").read_bytes() == content


async def test_the_etag_tells_the_number_of_parts_that_a_composite_leaves_out(store: LyingStore, landing: Path) -> None:
    content = content_of(LARGE, "key")
    bare = {name: value.removesuffix("-3") for name, value in composite_of(content, PART).items()}
    store.put(content, etag=f'"{"0" * 32}-3"', headers=bare)
    async with connected(store) as transfer:
        receipt = await transfer.copy(URL, landing / "file")
    assert receipt.verified_by is VerifiedBy.COMPOSITE


@pytest.mark.parametrize("size", [SMALL, LARGE])
@pytest.mark.parametrize("equal", [True, False])
async def test_a_crc_that_does_not_say_what_it_covers_proves_only_when_equal(
    store: LyingStore, landing: Path, size: int, equal: bool
) -> None:
    content = content_of(size, "key")
    value = zlib.crc32(content) ^ (not equal)
    etag = f'"{"0" * 32}-3"'
    store.put(content, etag=etag, headers={"x-amz-checksum-crc32": base64.b64encode(value.to_bytes(4)).decode()})
    async with connected(store) as transfer:
        receipt = await transfer.copy(URL, landing / "file")
    assert receipt.verified_by is (VerifiedBy.FULL_OBJECT if equal else VerifiedBy.UNVERIFIED)
    assert receipt.retries == 0
    assert (landing / "file").read_bytes() == content
    assert len(store.seen("GET")) == -(-size // PART)


async def test_a_lost_answer_to_the_completion_costs_nothing_but_a_retry(bench: Bench) -> None:
    source = bench.file(LARGE)
    async with bench.run(DropAnswer(method="POST", target="uploadId=")) as run:
        receipt = await run.transfer.copy(source, bench.url())
        assert len(run.proxy.seen("POST", "uploadId=")) == 2
    assert bench.stored() == source.read_bytes()
    assert receipt.verified_by is not VerifiedBy.UNVERIFIED
    assert (bench.uploads(), run.warnings) == ([], [])


def completion_lost(head: Callable[[Answer], Answer], *, hangs_up: bool = False) -> Lie:
    """The first completion works and is answered with an error or not at all; the second finds no upload any more."""
    lost = False

    def lie(call: Call, truth: Answer) -> Answer:
        nonlocal lost
        if call.completes and not lost:
            lost = True
            if hangs_up:
                raise HungUpError
            return _refusal(500, "InternalError")
        return head(truth) if call.method == "HEAD" else truth

    return lie


@pytest.mark.parametrize("hangs_up", [True, False])
@pytest.mark.parametrize("with_checksum", [True, False])
async def test_a_completion_that_had_worked_is_found_out(
    store: LyingStore, tmp_path: Path, with_checksum: bool, hangs_up: bool
) -> None:
    source = make_file(tmp_path, LARGE)
    said = full_object(source.read_bytes()) if with_checksum else {}
    store.lie = completion_lost(lambda truth: replace(truth, headers={**truth.headers, **said}), hangs_up=hangs_up)
    async with connected(store) as transfer:
        receipt = await transfer.copy(source, URL)
    assert receipt.verified_by is (VerifiedBy.FULL_OBJECT if with_checksum else VerifiedBy.PARTS)
    assert receipt.etag == store.stored["key"].etag
    assert store.stored["key"].content == source.read_bytes()


ANOTHER_OBJECT: dict[str, Callable[[Answer], Answer]] = {
    "size": lambda truth: truth.saying(content_length="5"),
    "etag": lambda truth: truth.saying(etag=f'"{"0" * 32}-3"'),
    "checksum": lambda truth: replace(truth, headers={**truth.headers, **full_object(b"other")}),
    "gone": lambda _: Answer(404),
}


@pytest.mark.parametrize("what", ANOTHER_OBJECT)
async def test_another_object_is_no_completion(store: LyingStore, tmp_path: Path, what: str) -> None:
    store.lie = completion_lost(ANOTHER_OBJECT[what])
    async with connected(store) as transfer:
        with pytest.raises(StoreError) as failure:
            await transfer.copy(make_file(tmp_path, LARGE), URL)
    assert failure.value.code == "NoSuchUpload"


async def test_an_upload_that_vanished_before_its_completion_is_an_error(store: LyingStore, tmp_path: Path) -> None:
    store.lie = lambda call, truth: _refusal(404, "NoSuchUpload") if call.completes else truth
    async with connected(store) as transfer:
        with pytest.raises(StoreError) as failure:
            await transfer.copy(make_file(tmp_path, LARGE), URL)
    assert failure.value.code == "NoSuchUpload"
    assert len([call for call in store.calls if call.completes]) == 1


def sends(size: int) -> Callable[[Call], bool]:
    """Which requests carry the bytes: the PUT of a small file, the second part of a large one."""
    return lambda call: call.method == "PUT" and call.part == (2 if size == LARGE else 0)


def lying_times(times: int, which: Callable[[Call], bool], change: Callable[[Answer], Answer]) -> Lie:
    left = times

    def lie(call: Call, truth: Answer) -> Answer:
        nonlocal left
        if not which(call) or left == 0:
            return truth
        left -= 1
        return change(truth)

    return lie


def error_in_success(_: Answer) -> Answer:
    return replace(_refusal(200, "InternalError"), headers={"etag": '"looks-fine"'})


@pytest.mark.parametrize("size", [SMALL, LARGE])
async def test_an_error_in_the_body_of_a_success_is_repeated(store: LyingStore, tmp_path: Path, size: int) -> None:
    source = make_file(tmp_path, size)
    store.lie = lying_times(1, sends(size), error_in_success)
    async with connected(store) as transfer:
        receipt = await transfer.copy(source, URL)
    assert receipt.retries == 1
    assert store.stored["key"].content == source.read_bytes()


@pytest.mark.parametrize("size", [SMALL, LARGE])
async def test_an_error_in_the_body_of_every_success_is_a_failure(store: LyingStore, tmp_path: Path, size: int) -> None:
    store.lie = lying_times(-1, sends(size), error_in_success)
    async with connected(store, TransferOptions(retries=2, resume=False)) as transfer:
        with pytest.raises(StoreError) as failure:
            await transfer.copy(make_file(tmp_path, size), URL)
    assert failure.value.code == "InternalError"
    assert len([call for call in store.calls if sends(size)(call)]) == 3
    assert store.uploads == {}


@pytest.mark.parametrize("size", [SMALL, LARGE])
async def test_a_web_server_that_takes_everything_is_no_store(store: LyingStore, tmp_path: Path, size: int) -> None:
    store.lie = lying_times(-1, sends(size), lambda _: Answer(body=b"<html>thanks</html>"))
    async with connected(store, TransferOptions(retries=0)) as transfer:
        with pytest.raises(ProtocolError, match="ETag") as failure:
            await transfer.copy(make_file(tmp_path, size), URL)
    assert failure.value.subject == URL
    assert "endpoint" in str(failure.value.remedy)


async def test_the_command_tells_that_a_web_server_is_no_store(store: LyingStore, tmp_path: Path) -> None:
    store.lie = lambda _, truth: truth.saying(etag=None)
    source = make_file(tmp_path, SMALL)
    process = await asyncio.create_subprocess_exec(
        *COMMAND,
        *("cp", "--retries", "0", str(source), URL),
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    _, told = await process.communicate()
    assert process.returncode == 1
    assert b"ETag" in told
    assert b"endpoint" in told


def other_checksum(truth: Answer) -> Answer:
    return replace(truth, headers={**truth.headers, CRC64: encode_value(bytes(8))})


async def test_a_part_taken_with_another_checksum_is_sent_again(store: LyingStore, tmp_path: Path) -> None:
    source = make_file(tmp_path, LARGE)
    store.lie = lying_times(1, sends(LARGE), other_checksum)
    async with connected(store) as transfer:
        receipt = await transfer.copy(source, URL)
    assert (receipt.retries, receipt.verified_by) == (1, VerifiedBy.PARTS)
    assert len(store.seen("PUT", partNumber="2")) == 2
    assert store.stored["key"].content == source.read_bytes()


async def test_a_part_taken_with_another_checksum_for_ever_is_a_mismatch(store: LyingStore, tmp_path: Path) -> None:
    store.lie = lying_times(-1, sends(LARGE), other_checksum)
    async with connected(store, TransferOptions(retries=2)) as transfer:
        with pytest.raises(ChecksumMismatchError, match="part 2"):
            await transfer.copy(make_file(tmp_path, LARGE), URL)
    assert len(store.seen("PUT", partNumber="2")) == 3
    assert (store.stored, store.uploads) == ({}, {})


@pytest.mark.parametrize("part_size_bytes", [5 * MIB, None, 256 * MIB])
async def test_a_stream_is_fetched_in_small_pieces_whatever_the_part_size(
    store: LyingStore, part_size_bytes: int | None
) -> None:
    content = content_of(LARGE, "key")
    store.put(content, headers=composite_of(content, 5 * MIB), part_bytes=5 * MIB)
    written = bytearray()
    async with connected(store, TransferOptions(part_size_bytes=part_size_bytes)) as transfer:
        receipt = await transfer.cat(URL, written.extend)
    assert written == content
    assert receipt.verified_by is VerifiedBy.COMPOSITE
    assert {call.headers["range"] for call in store.seen("GET")} == {
        f"bytes={at}-{min(at + PIECE_BYTES, LARGE) - 1}" for at in range(0, LARGE, PIECE_BYTES)
    }


async def test_a_stream_whose_composite_differs_is_told(store: LyingStore) -> None:
    content = content_of(LARGE, "key")
    store.put(content, headers=composite_of(content[::-1], 5 * MIB), part_bytes=5 * MIB)
    async with connected(store) as transfer:
        with pytest.raises(ChecksumMismatchError):
            await transfer.cat(URL, lambda _: None)


async def test_fetching_is_never_further_ahead_of_writing_than_told(store: LyingStore) -> None:
    pieces = AHEAD_PIECES + 3
    store.put(bytes(pieces * PIECE_BYTES))
    ahead: list[int] = []
    async with connected(store, TransferOptions(concurrency=pieces)) as transfer:
        await transfer.cat(URL, lambda _: ahead.append(len(store.seen("GET")) - len(ahead)))
    assert len(ahead) == pieces
    assert max(ahead) <= AHEAD_PIECES


async def test_many_large_files_at_once_are_few_tasks(store: LyingStore, tmp_path: Path) -> None:
    lanes, files = 4, 12
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(files):
        with (folder / f"{number}").open("wb") as file:
            file.truncate(30 * MIB)
    store.keeps = False
    counted: list[int] = []

    def lie(_: Call, truth: Answer) -> Answer:
        counted.append(sum("transfer.engine" in task.get_name() for task in asyncio.all_tasks()))
        return truth

    store.lie = lie
    options = TransferOptions(concurrency=lanes, part_size_bytes=5 * MIB, checksum=ChecksumAlgorithm.NONE)
    async with connected(store, options) as transfer:
        outcomes = [found async for found in transfer.copy_many([str(folder)], "s3://bucket/", recursive=True)]
    assert Counter(map(type, outcomes)) == {Receipt: files}
    assert lanes < max(counted) <= 6 * lanes


def refused_at(numbers: Sequence[int]) -> Lie:
    """Refuse the signature of the PUTs of these numbers, counted from 1."""
    puts = 0

    def lie(call: Call, truth: Answer) -> Answer:
        nonlocal puts
        puts += call.method == "PUT"
        return _refusal(403, "SignatureDoesNotMatch") if call.method == "PUT" and puts in numbers else truth

    return lie


@pytest.mark.parametrize(("numbers", "failed", "done"), [([2], 1, 4), ([2, 4], 2, 3), ([1, 2, 3, 4, 5], 1, 0)])
async def test_a_refused_signature_ends_the_run_only_while_none_was_accepted(
    store: LyingStore, tmp_path: Path, numbers: list[int], failed: int, done: int
) -> None:
    sources = [str(make_file(tmp_path, SMALL, f"{number}")) for number in range(5)]
    store.lie = refused_at(numbers)
    async with connected(store, ONE_LANE) as transfer:
        outcomes = [found async for found in transfer.copy_many(sources, "s3://bucket/folder/")]
    assert Counter(map(type, outcomes)) == Counter({Failure: failed, Receipt: done})


async def test_an_abort_that_is_refused_once_is_asked_again(store: LyingStore, tmp_path: Path) -> None:
    aborts = 0

    def lie(call: Call, truth: Answer) -> Answer:
        nonlocal aborts
        if call.part == 2:
            return _refusal(403, "AccessDenied")
        aborts += call.method == "DELETE"
        return _refusal(503, "SlowDown") if call.method == "DELETE" and aborts == 1 else truth

    store.lie = lie
    events: list[Event] = []
    async with connected(store, events=events) as transfer:
        with pytest.raises(StoreError) as failure:
            await transfer.copy(make_file(tmp_path, LARGE), URL)
    assert failure.value.code == "AccessDenied"
    assert aborts == 2
    assert not any(isinstance(event, Warned) for event in events)


UNPROVED: dict[str, Callable[[Answer], Answer]] = {
    "412": lambda _: Answer(412),
    "another object": lambda truth: replace(
        truth, headers={**truth.headers, **full_object(b"other"), "etag": '"another"'}
    ),
}


@pytest.mark.parametrize("echoed", [True, False])
@pytest.mark.parametrize("what", UNPROVED)
async def test_what_another_writer_left_proves_nothing_of_ours(
    store: LyingStore, tmp_path: Path, what: str, echoed: bool
) -> None:
    def lie(call: Call, truth: Answer) -> Answer:
        if call.method == "HEAD":
            return UNPROVED[what](truth)
        return truth if echoed or not call.part else Answer(headers={"etag": truth.headers["etag"]})

    store.lie = lie
    async with connected(store) as transfer:
        receipt = await transfer.copy(make_file(tmp_path, LARGE), URL)
    assert receipt.verified_by is (VerifiedBy.PARTS if echoed else VerifiedBy.UNVERIFIED)
    assert [call.headers.get("if-match") for call in store.seen("HEAD")] == [store.stored["key"].etag]


async def test_the_very_object_that_was_written_proves_or_disproves(store: LyingStore, tmp_path: Path) -> None:
    source = make_file(tmp_path, LARGE)
    told = full_object(source.read_bytes())

    def lie(call: Call, truth: Answer) -> Answer:
        return replace(truth, headers={**truth.headers, **told}) if call.method == "HEAD" else truth

    store.lie = lie
    async with connected(store) as transfer:
        assert (await transfer.copy(source, URL)).verified_by is VerifiedBy.FULL_OBJECT
        told = full_object(b"other")
        with pytest.raises(ChecksumMismatchError) as failure:
            await transfer.copy(source, URL)
    assert failure.value.subject == URL


async def test_no_lane_is_held_while_a_file_is_digested(
    store: LyingStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = [str(make_file(tmp_path, MIB, f"{number}")) for number in range(3)]
    together = threading.Barrier(len(sources))

    def digest(fd: int, offset: int, length: int, algorithm: ChecksumAlgorithm) -> bytes:
        together.wait(timeout=10)
        return digest_file_range(fd, offset, length, algorithm)

    monkeypatch.setattr(transfer.engine.part_sending, "digest_file_range", digest)
    async with connected(store, ONE_LANE) as moving:
        outcomes = [found async for found in moving.copy_many(sources, "s3://bucket/folder/")]
    assert Counter(map(type, outcomes)) == {Receipt: len(sources)}
