"""Small objects on the short way, against a store in memory that fails where a test says so."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from tests.support.http_server import HttpServer
from tests.support.small_store import CRC, Hook, Request, SmallStore, crc_of, leave_alone, settle
from transfer.engine import stores
from transfer.engine.context import Context
from transfer.engine.items import DownloadItem, UploadItem
from transfer.engine.job import Job
from transfer.engine.quick import path as path_module
from transfer.engine.quick.path import MOST_UNUSUAL, QuickPath, Ways
from transfer.engine.receiving import WHOLE_ATTEMPTS
from transfer.engine.spread import each, plain_task_group
from transfer.engine.transfer import Transfer
from transfer.model.checksums import VerifiedBy
from transfer.model.errors import ChecksumMismatchError, NameClashError, StoreError
from transfer.model.events import Event, RequestRetried, Warned
from transfer.model.locations import S3Location
from transfer.model.objects import ListedObject
from transfer.model.options import ConnectionOptions, TransferOptions, UnsafeKeyPolicy
from transfer.model.receipts import Failure, Outcome, Receipt
from transfer.stores.local.source import ReadFile
from transfer.stores.s3.access import Access, BucketEndpoint
from transfer.stores.s3.credentials import Credentials
from transfer.wire.origin import parse_origin

COUNT = 40
CONTENTS = {f"tree/{number:03}": b"%d" % number * (number * 100) for number in range(COUNT)}
HURT = {key for number, key in enumerate(CONTENTS) if number % 4 == 1}


class Run:
    """One run of the product at a store in memory."""

    def __init__(self, store: SmallStore, transfer: Transfer, events: list[Event], folder: Path) -> None:
        self.store = store
        self.transfer = transfer
        self.events = events
        self.folder = folder
        assert transfer._session is not None
        self.context: Context = transfer._session.context

    async def upload(self) -> list[Outcome]:
        source = self.folder / "source"
        source.mkdir()
        for key, content in CONTENTS.items():
            (source / key.removeprefix("tree/")).write_bytes(content)
        return await self.moved(str(source), "s3://bucket/tree/")

    async def download(self) -> list[Outcome]:
        self.store.objects = self.store.objects or dict(CONTENTS)
        return await self.moved("s3://bucket/tree/", f"{self.folder}/landed/")

    async def moved(self, source: str, destination: str) -> list[Outcome]:
        outcomes = self.transfer.copy_many([source], destination, recursive=True)
        try:
            return [outcome async for outcome in outcomes]
        finally:
            await outcomes.aclose()

    @property
    def landed(self) -> dict[str, bytes]:
        root = self.folder / "landed"
        return {
            f"tree/{path.relative_to(root).as_posix()}": path.read_bytes() for path in root.rglob("*") if path.is_file()
        }

    @property
    def warnings(self) -> list[str]:
        return [event.message for event in self.events if isinstance(event, Warned)]

    @property
    def retried(self) -> list[str]:
        return sorted(event.subject for event in self.events if isinstance(event, RequestRetried))

    def assert_idle(self) -> None:
        lanes = self.context.lanes
        assert (lanes.in_use, lanes.waiting) == (0, 0)
        assert not self.context.store.pool._busy


@asynccontextmanager
async def running(
    folder: Path, store: SmallStore, *, stall_seconds: float = 30.0, **options: object
) -> AsyncIterator[Run]:
    events: list[Event] = []
    async with store.server() as server:
        assert isinstance(server, HttpServer)
        connection = ConnectionOptions(endpoint_url=server.url, stall_seconds=stall_seconds)
        chosen = replace(TransferOptions(resume=False), **options)  # type: ignore[arg-type]  # options by name
        async with Transfer(connection=connection, options=chosen, on_event=events.append) as transfer:
            run = Run(store, transfer, events, folder)
            yield run
            run.assert_idle()


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setattr("transfer.engine.attempts.random.random", lambda: 0.0)


@pytest.fixture(params=["a disk", "memory"])
def _storage(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files land in a thread, or where they arrived."""
    monkeypatch.setattr("transfer.engine.landing._is_in_memory", lambda _: request.param == "memory")


@pytest.fixture
def store() -> SmallStore:
    return SmallStore()


def retries_of(outcomes: list[Outcome]) -> dict[str, int]:
    """By file name; all must be receipts."""
    assert all(isinstance(outcome, Receipt) for outcome in outcomes)
    return {
        f"tree/{Path(outcome.source).name}": outcome.retries for outcome in outcomes if isinstance(outcome, Receipt)
    }


def first_time(hurt: Callable[[Request], bool]) -> Hook:
    async def hook(request: Request) -> bool:
        return request.number == 1 and hurt(request) and await request.refuse(b"503 Slow Down", "SlowDown")

    return hook


async def test_nothing_is_asked_twice_where_nothing_fails(tmp_path: Path, store: SmallStore) -> None:
    async with running(tmp_path, store) as run:
        assert set(retries_of(await run.upload()).values()) == {0}
        assert store.objects == CONTENTS
        assert set(retries_of(await run.download()).values()) == {0}
        assert run.landed == CONTENTS
        assert set(store.asked.values()) == {1}
        assert run.transfer.progress.bytes_moved == 2 * sum(map(len, CONTENTS.values()))
        assert run.transfer.progress.items_done == 2 * COUNT


async def test_a_refused_first_request_costs_one_retry_and_no_more(tmp_path: Path, store: SmallStore) -> None:
    store.hook = first_time(lambda request: request.key in HURT)
    expected = {key: int(key in HURT) for key in CONTENTS}
    async with running(tmp_path, store) as run:
        assert retries_of(await run.upload()) == expected
        assert store.objects == CONTENTS
        assert run.transfer.progress.retries == len(HURT)
        assert retries_of(await run.download()) == expected
        assert run.landed == CONTENTS
        assert run.transfer.progress.retries == len(run.retried) == 2 * len(HURT)
        assert run.transfer.progress.bytes_moved == 2 * sum(map(len, CONTENTS.values()))
    assert store.asked == {(method, key): 1 + expected[key] for method in ("GET", "PUT") for key in CONTENTS}


async def test_the_first_request_counts_as_one_of_the_attempts(tmp_path: Path, store: SmallStore) -> None:
    async def hook(request: Request) -> bool:
        return request.key in HURT and await request.refuse(b"500 Oops", "InternalError")

    store.hook = hook
    async with running(tmp_path, store, retries=2) as run:
        outcomes = await run.upload()
    failed = {outcome.destination for outcome in outcomes if isinstance(outcome, Failure)}
    assert failed == {f"s3://bucket/{key}" for key in HURT}
    assert store.asked == {("PUT", key): 3 if key in HURT else 1 for key in CONTENTS}


def flip(times: int) -> Hook:
    async def hook(request: Request) -> bool:
        if request.method != "GET" or request.key not in HURT or request.number > times:
            return False
        content = CONTENTS[request.key]
        etag = f'ETag: "{SmallStore(objects=CONTENTS).etag(request.key)}"'.encode()
        await request.peer.answer(bytes([content[0] ^ 1]) + content[1:], etag, f"{CRC}: {crc_of(content)}".encode())
        return True

    return hook


@pytest.mark.usefixtures("_storage")
async def test_a_bit_that_flips_once_costs_one_retry(tmp_path: Path, store: SmallStore) -> None:
    store.hook = flip(1)
    async with running(tmp_path, store) as run:
        retries = retries_of(await run.download())
        assert retries == {key: int(key in HURT) for key in CONTENTS}
        assert run.landed == CONTENTS
        assert run.transfer.progress.retries == len(HURT)
        assert run.transfer.progress.bytes_moved == sum(map(len, CONTENTS.values()))
    assert store.asked == {("GET", key): 1 + retries[key] for key in CONTENTS}


async def test_a_bit_that_flips_each_time_is_told_after_as_many_attempts_as_ever(
    tmp_path: Path, store: SmallStore
) -> None:
    store.hook = flip(99)
    async with running(tmp_path, store) as run:
        outcomes = await run.download()
        assert run.landed.keys() == CONTENTS.keys() - HURT
    errors = [outcome.error for outcome in outcomes if isinstance(outcome, Failure)]
    assert len(errors) == len(HURT)
    assert all(isinstance(error, ChecksumMismatchError) for error in errors)
    assert {store.asked["GET", key] for key in HURT} == {WHOLE_ATTEMPTS}


async def test_a_store_that_took_other_bytes_is_found_out(tmp_path: Path, store: SmallStore) -> None:
    async def hook(request: Request) -> bool:
        if request.key not in HURT:
            return False
        await request.peer.answer(b"", b'ETag: "a"', f"{CRC}: {crc_of(b'other bytes')}".encode())
        return True

    store.hook = hook
    async with running(tmp_path, store) as run:
        outcomes = await run.upload()
    errors = [outcome.error for outcome in outcomes if isinstance(outcome, Failure)]
    assert len(errors) == len(HURT)
    assert all(isinstance(error, ChecksumMismatchError) for error in errors)


async def test_a_store_that_knows_no_checksums_gets_md5_from_all(tmp_path: Path, store: SmallStore) -> None:
    early = set(list(CONTENTS)[:4])
    others_are_done = asyncio.Event()
    refused: set[str] = set()

    async def hook(request: Request) -> bool:
        if request.asked.head.header(CRC) is None:
            if early <= store.objects.keys() | {request.key}:
                others_are_done.set()
            return False
        refused.add(request.key)
        if request.key not in early:
            # By then the run has learnt from others that it is for nothing.
            await others_are_done.wait()
            await settle(100)
        return await request.refuse(b"501 Not Implemented", "NotImplemented")

    store.hook = hook
    async with running(tmp_path, store) as run:
        outcomes = await run.upload()
        assert [outcome for outcome in outcomes if not isinstance(outcome, Receipt)] == []
        assert set(retries_of(outcomes).values()) == {0}
        assert store.objects == CONTENTS
        assert len(run.warnings) == 1
    assert store.asked == {("PUT", key): 1 + (key in refused) for key in CONTENTS}
    assert early < refused


async def test_what_else_is_refused_is_told_although_checksums_were_refused_before(
    tmp_path: Path, store: SmallStore
) -> None:
    async def hook(request: Request) -> bool:
        if request.asked.head.header(CRC) is not None:
            return await request.refuse(b"501 Not Implemented", "NotImplemented")
        return request.key in HURT and await request.refuse(b"400 Bad Request", "InvalidArgument")

    store.hook = hook
    async with running(tmp_path, store) as run:
        outcomes = await run.upload()
        assert store.objects.keys() == CONTENTS.keys() - HURT
    assert sum(isinstance(outcome, Failure) for outcome in outcomes) == len(HURT)


@pytest.mark.usefixtures("_storage")
async def test_files_that_are_there_are_replaced(tmp_path: Path, store: SmallStore) -> None:
    async with running(tmp_path, store) as run:
        for times in (1, 2):
            assert set(retries_of(await run.download()).values()) == {0}
            assert run.landed == CONTENTS
            assert set(store.asked.values()) == {times}


CLASHING = {"tree/a": b"first", "tree/a/b": b"second", "tree/c": b"third"}


@pytest.mark.usefixtures("_storage")
@pytest.mark.parametrize("policy", [UnsafeKeyPolicy.ERROR, UnsafeKeyPolicy.ESCAPE])
async def test_a_name_that_is_taken_is_told_or_spelled_otherwise(
    tmp_path: Path, store: SmallStore, policy: UnsafeKeyPolicy
) -> None:
    store.objects = dict(CLASHING)
    (tmp_path / "landed" / "a").mkdir(parents=True)
    async with running(tmp_path, store, unsafe_keys=policy) as run:
        outcomes = await run.download()
        failures = [outcome.error for outcome in outcomes if isinstance(outcome, Failure)]
        if policy is UnsafeKeyPolicy.ERROR:
            assert [type(error) for error in failures] == [NameClashError]
            assert sorted(run.landed.values()) == [b"second", b"third"]
            assert run.transfer.progress.bytes_moved == sum(map(len, CLASHING.values()))
        else:
            assert failures == []
            assert sorted(run.landed.values()) == sorted(CLASHING.values())
        assert run.transfer.progress.retries == 0


async def test_an_earlier_failure_counts_once_whatever_name_the_file_gets(tmp_path: Path, store: SmallStore) -> None:
    store.objects = dict(CLASHING)
    store.hook = first_time(lambda request: request.key == "tree/a")
    (tmp_path / "landed" / "a").mkdir(parents=True)
    async with running(tmp_path, store, unsafe_keys=UnsafeKeyPolicy.ESCAPE) as run:
        outcomes = await run.download()
        assert all(isinstance(outcome, Receipt) for outcome in outcomes)
        assert run.transfer.progress.retries == len(run.retried) == 1


async def test_connections_that_break_in_the_middle_cost_at_most_a_retry(tmp_path: Path, store: SmallStore) -> None:
    fresh: set[str] = set()
    broken: set[str] = set()

    async def hook(request: Request) -> bool:
        if request.number > 1 or request.key not in HURT:
            return False
        broken.add(request.key)
        if request.on_connection == 1:
            fresh.add(request.key)
        sock = request.peer.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raise ConnectionResetError

    store.hook = hook
    async with running(tmp_path, store) as run:
        retries = retries_of(await run.upload())
        assert store.objects == CONTENTS
    # One that had served before may have been closed while it was idle: to ask again is nothing out of the ordinary.
    assert retries == {key: int(key in fresh) for key in CONTENTS}
    assert broken == HURT
    assert store.asked == {("PUT", key): 1 + (key in HURT) for key in CONTENTS}


async def test_a_silent_request_is_asked_again(
    tmp_path: Path, store: SmallStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(path_module, "WATCHDOG_SECONDS", 0.01)
    silent = min(HURT)

    async def hook(request: Request) -> bool:
        if request.key == silent and request.number == 1:
            await request.peer.wait_for_end()
            return True
        return False

    store.hook = hook
    async with running(tmp_path, store, stall_seconds=0.2) as run:
        retries = retries_of(await run.upload())
    assert retries[silent] == 1
    assert store.asked["PUT", silent] == 2


async def test_a_slow_reader_of_outcomes_holds_the_work_up_and_gets_all(
    tmp_path: Path, store: SmallStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(path_module, "BUFFERED_OUTCOMES", 4)
    monkeypatch.setattr("transfer.engine.outcomes.BUFFERED_OUTCOMES", 4)
    store.objects = dict(CONTENTS)
    async with running(tmp_path, store, concurrency=2) as run:
        outcomes = run.transfer.copy_many(["s3://bucket/tree/"], f"{tmp_path}/landed/", recursive=True)
        found = [await anext(outcomes)]
        before = 0
        while before < len(store.asked):
            before = len(store.asked)
            await settle(200)
        assert before < COUNT
        found += [outcome async for outcome in outcomes]
        assert set(retries_of(found)) == CONTENTS.keys()


async def test_what_is_done_is_noted_although_nobody_reads_of_it(
    tmp_path: Path, store: SmallStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(path_module, "BUFFERED_OUTCOMES", 8)
    monkeypatch.setattr("transfer.engine.outcomes.BUFFERED_OUTCOMES", 2)
    noted: list[str] = []
    monkeypatch.setattr(Job, "note_finished", lambda _, name, *__: noted.append(name))
    async with running(tmp_path, store, concurrency=4) as run:
        source = tmp_path / "source"
        source.mkdir()
        for key, content in CONTENTS.items():
            (source / key.removeprefix("tree/")).write_bytes(content)
        outcomes = run.transfer.copy_many([str(source)], "s3://bucket/tree/", recursive=True)
        await anext(outcomes)
        before = -1
        while before < len(store.objects):
            before = len(store.objects)
            await settle(200)
        rest = await outcomes.rest()
        assert {f"s3://bucket/{key}" for key in store.objects} == set(noted)
        assert run.transfer.progress.items_done == len(noted) == len(store.objects) < COUNT
        assert len(noted) == 1 + len(rest)


async def test_runs_that_share_lanes_share_connections(tmp_path: Path, store: SmallStore) -> None:
    connections = 0

    async def hook(request: Request) -> bool:
        nonlocal connections
        connections += request.on_connection == 1
        return False

    store.hook, store.objects = hook, dict(CONTENTS)
    async with running(tmp_path, store, concurrency=2) as run:
        async with anyio.create_task_group() as tasks:
            for number in range(6):
                tasks.start_soon(run.moved, "s3://bucket/tree/", f"{tmp_path}/landed/{number}/")
        assert len(run.landed) == 6 * COUNT
    assert connections <= 6


class Gate:
    """A hook that holds every request from some number on."""

    def __init__(self, after: int) -> None:
        self._left = after
        self.is_reached = asyncio.Event()

    async def __call__(self, _: Request) -> bool:
        if self._left:
            self._left -= 1
            return False
        self.is_reached.set()
        await asyncio.Event().wait()
        return True


@pytest.mark.parametrize("after", [0, 10])
@pytest.mark.parametrize("concurrency", [3, 32])
@pytest.mark.parametrize("method", ["upload", "download"])
async def test_a_cancelled_run_leaves_nothing_taken(
    tmp_path: Path, store: SmallStore, after: int, concurrency: int, method: str
) -> None:
    gate = store.hook = Gate(after)
    async with running(tmp_path, store, concurrency=concurrency) as run:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(getattr(run, method))
            await gate.is_reached.wait()
            await settle()
            tasks.cancel_scope.cancel()
        run.assert_idle()
        # The same run may go on with something else.
        store.hook = leave_alone
        assert set(retries_of(await run.download()).values()) == {0}


@pytest.mark.parametrize(
    ("status", "code", "ends"), [(b"403 No", "AccessDenied", False), (b"403 No", "NotSignedUp", True)]
)
async def test_a_run_that_is_refused_leaves_nothing_taken(
    tmp_path: Path, store: SmallStore, status: bytes, code: str, ends: bool
) -> None:
    async def hook(request: Request) -> bool:
        return await request.refuse(status, code)

    store.hook = hook
    async with running(tmp_path, store, concurrency=4) as run:
        outcomes: list[Outcome] = []
        with contextlib.suppress(StoreError):
            outcomes = await run.upload()
        run.assert_idle()
        failures = [outcome for outcome in outcomes if isinstance(outcome, Failure)]
        assert len(failures) == (1 if ends else COUNT)
        assert all(isinstance(one.error, StoreError) and one.error.code == code for one in failures)
    assert (store.asked.total() < COUNT) is ends
    assert set(store.asked.values()) == {1}


async def test_objects_in_parts_go_the_long_way_and_after_some_at_once(
    tmp_path: Path, store: SmallStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(path_module, "WAITING_ERRANDS", 4)
    store.objects = dict(CONTENTS)
    store.etags = {key: f"{number:032x}-2" for number, key in enumerate(CONTENTS)}
    store.headers = dict.fromkeys(CONTENTS, (b"x-amz-checksum-crc32: AAAAAA==-2", b"x-amz-checksum-type: COMPOSITE"))

    async def hook(request: Request) -> bool:
        return request.method == "HEAD" and await request.refuse(b"501 Not Implemented", "NotImplemented")

    store.hook = hook
    async with running(tmp_path, store, concurrency=4) as run:
        outcomes = await run.download()
        assert set(retries_of(outcomes).values()) == {0}
        assert {outcome.verified_by for outcome in outcomes if isinstance(outcome, Receipt)} == {VerifiedBy.UNVERIFIED}
        assert run.landed == CONTENTS
    twice = [key for key in CONTENTS if store.asked["GET", key] == 2]
    assert MOST_UNUSUAL <= len(twice) < COUNT
    assert {store.asked["GET", key] for key in CONTENTS} <= {1, 2}


class Renewing(Access):
    """Credentials that the store calls expired at some time."""

    def __init__(self, url: str) -> None:
        self._origin = parse_origin(url)[0]
        self.renewals = 0

    async def credentials(self) -> Credentials:
        return Credentials("key", "secret", f"token-{self.renewals}")

    async def renew_credentials(self) -> bool:
        self.renewals += 1
        return True

    async def bucket_endpoint(self, bucket: str, region: str | None) -> BucketEndpoint:
        return BucketEndpoint(self._origin, f"/{bucket}", region or "us-east-1")


async def test_credentials_that_expire_midway_are_renewed_once(
    tmp_path: Path, store: SmallStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Renewing] = []

    def access(connection: ConnectionOptions) -> Access:
        made.append(Renewing(connection.endpoint_url or ""))
        return made[-1]

    async def hook(request: Request) -> bool:
        is_old = request.asked.head.header("x-amz-security-token") == "token-0"
        is_expired = is_old and len(store.objects) >= COUNT // 2
        return is_expired and await request.refuse(b"400 Bad Request", "ExpiredToken")

    monkeypatch.setattr(stores, "_access", access)
    store.hook = hook
    async with running(tmp_path, store, concurrency=6) as run:
        retries = retries_of(await run.upload())
        assert store.objects == CONTENTS
    assert made[0].renewals == 1
    assert 1 <= sum(retries.values()) < COUNT // 2
    assert max(retries.values()) == 1
    assert store.asked == {("PUT", key): 1 + retries[key] for key in CONTENTS}


async def nothing(*_: object) -> None:
    pass


@asynccontextmanager
async def walked(run: Run, item: UploadItem | DownloadItem) -> AsyncIterator[QuickPath[UploadItem | DownloadItem]]:
    """The short way itself, with one item on it, in a group of tasks that lives longer."""
    ways = Ways[UploadItem | DownloadItem](lambda one: one, lambda one, _: one, nothing, lambda *_: None, nothing)
    async with plain_task_group() as tasks:
        with QuickPath(run.context, tasks, ways) as quick:
            passing = asyncio.ensure_future(anext(quick.passing(each([item])), None))
            yield quick
        passing.cancel()
        await settle()


@pytest.mark.parametrize("late", ["connection", "credentials"])
async def test_what_comes_when_the_way_is_closed_is_not_used(
    tmp_path: Path, store: SmallStore, monkeypatch: pytest.MonkeyPatch, late: str
) -> None:
    source = tmp_path / "file"
    source.write_bytes(b"hello")
    item = UploadItem(str(source), S3Location("bucket", "key"), 5, 0, ReadFile(str(source)))
    is_asked, may_come = asyncio.Event(), asyncio.Event()
    async with running(tmp_path, store) as run:
        owner, name = (run.context.store.pool, "lend") if late == "connection" else (run.context.store, "prepare")
        real = getattr(owner, name)

        async def wait(*arguments: object) -> object:
            found = await real(*arguments)
            is_asked.set()
            await may_come.wait()
            return found

        monkeypatch.setattr(owner, name, wait)
        async with walked(run, item) as quick:
            await is_asked.wait()
            quick.close()
            may_come.set()
            await settle()
        run.assert_idle()
    assert not store.asked


async def test_what_has_arrived_when_the_way_is_closed_does_not_land(
    tmp_path: Path, store: SmallStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.objects = {"key": b"hello"}
    listed = ListedObject("key", 5, f'"{store.etag("key")}"', 0.0)
    item = DownloadItem(S3Location("bucket", "key"), str(tmp_path / "landed"), "key", listed)
    is_closed = asyncio.Event()
    async with running(tmp_path, store) as run:
        async with walked(run, item) as quick:

            def close(_: int) -> None:
                asyncio.get_running_loop().call_soon(quick.close)
                is_closed.set()

            monkeypatch.setattr(run.context.attempts, "succeeded", close)
            await is_closed.wait()
        assert run.landed == {}
