from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any, cast

import anyio
import pytest

from tests.support.crew_worker import PlayedWorker, played
from transfer.engine.context import Context
from transfer.engine.crew import demand
from transfer.engine.crew.crew import Crew, Means
from transfer.engine.crew.once import OnceTold
from transfer.engine.crew.orders import (
    Answer,
    Ask,
    Counted,
    CredentialsWanted,
    EndpointWanted,
    LeaveWanted,
    Reached,
    Setup,
    Told,
)
from transfer.engine.crew.shared_governor import SharedGovernor
from transfer.model.errors import ConfigurationError
from transfer.model.events import Event, Warned
from transfer.model.locations import S3Location
from transfer.model.options import ConnectionOptions, TransferOptions
from transfer.model.progress import Progress
from transfer.plan.governor import Governor
from transfer.stores.s3 import store as store_module
from transfer.stores.s3.access import Access, BucketEndpoint
from transfer.stores.s3.credentials import Credentials
from transfer.stores.s3.store import Call, S3Store
from transfer.wire.flow import Flow
from transfer.wire.origin import parse_origin
from transfer.wire.pool import ConnectionPool

CONNECTION = ConnectionOptions("http://127.0.0.1:1")


class Rotated(Access):
    """Credentials of which a fresh look finds newer ones once."""

    def __init__(self) -> None:
        self.number = 1
        self.looks = 0

    async def credentials(self) -> Credentials | None:
        return Credentials(str(self.number), "secret")

    async def renew_credentials(self) -> bool:
        self.looks += 1
        before, self.number = self.number, 2
        return before != self.number

    async def bucket_endpoint(self, bucket: str, region: str | None) -> BucketEndpoint:
        raise ConfigurationError("no such place", subject=f"{bucket} in {region}")


async def found(bucket: str, region: str | None) -> BucketEndpoint:
    return BucketEndpoint(parse_origin("http://127.0.0.1:1")[0], f"/{bucket}", region or "us-east-1")


class Limiter:
    """Lets all pass and notes how much."""

    step_bytes = 4096

    def __init__(self) -> None:
        self.admitted: list[int] = []

    async def admit(self, count: int) -> None:
        self.admitted.append(count)


class Run:
    """What the first process has of a run, with one worker in it."""

    def __init__(self, worker: PlayedWorker, options: TransferOptions, *, is_store_here: bool) -> None:
        self.worker = worker
        self.access = Rotated()
        self.store = S3Store(self.access, cast("ConnectionPool", SimpleNamespace(is_peer_here=is_store_here)))
        self.limiter = Limiter()
        self.progress = Progress(bytes_moved=5)
        self.events: list[Event] = []
        self.context = SimpleNamespace(
            store=self.store,
            attempts=SimpleNamespace(limiter=self.limiter, note_reached=lambda: None, reached=False),
            progress=self.progress,
            on_event=OnceTold(self.events.append),
            options=options,
        )

    async def answer(self, question: Any) -> Any:
        """Ask, and wait for the answer."""
        self.worker.told.clear()
        self.worker.channel.send(Ask(7, question))
        answer = await self.worker.heard(Answer)
        assert answer.ticket == 7
        return answer.value

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for what the worker has said to be taken note of: whatever it asks then is answered later."""
        await self.answer(LeaveWanted(0))
        assert condition()


@asynccontextmanager
async def begun(
    options: TransferOptions | None = None, *, is_store_here: bool = True
) -> AsyncIterator[tuple[Run, Crew]]:
    with played() as (forked, worker):
        run = Run(worker, options or TransferOptions(), is_store_here=is_store_here)
        async with anyio.create_task_group() as tasks:
            means = Means(
                SharedGovernor(Governor(8), run.events.append), run.access, cast("Context", run.context), tasks
            )
            crew = Crew([forked], means, CONNECTION)
            yield run, crew
            await crew.aclose()


async def test_workers_are_told_what_the_run_is() -> None:
    async with begun() as (run, crew):
        setup = await run.worker.heard(Setup)
        assert (setup.connection, setup.options, setup.rate_step_bytes) == (CONNECTION, TransferOptions(), 4096)
        assert (crew.limit, setup.processes) == (8, 2)


async def test_what_workers_count_is_added() -> None:
    async with begun() as (run, _):
        run.worker.channel.send(Counted({"bytes_moved": 10, "retries": 1}))
        run.worker.channel.send(Counted({"bytes_moved": -3}))
        await run.until(lambda: (run.progress.bytes_moved, run.progress.retries) == (12, 1))


async def test_what_every_worker_finds_out_is_told_once() -> None:
    async with begun() as (run, _):
        for message in ("same", "other", "same"):
            run.worker.channel.send(Told(Warned(message)))
        await run.until(lambda: run.events == [Warned("same"), Warned("other")])


async def test_that_the_store_was_reached_is_told_once_to_all() -> None:
    async with begun() as (run, crew):
        crew.note_work()
        crew.note_reached()
        crew.note_reached()
        await run.worker.heard(Reached)
        await run.answer(LeaveWanted(0))
        assert not any(isinstance(one, Reached) for one in run.worker.told)


async def test_one_limit_of_the_rate_is_asked() -> None:
    async with begun() as (run, _):
        assert await run.answer(LeaveWanted(4096)) is None
        assert run.limiter.admitted == [4096]


async def test_why_there_is_no_answer_is_one_too() -> None:
    async with begun() as (run, _):
        error = await run.answer(EndpointWanted("bucket", "region"))
        assert isinstance(error, ConfigurationError)
        assert error.subject == "bucket in region"


async def test_newer_credentials_are_looked_for() -> None:
    async with begun() as (run, _):
        assert await run.answer(CredentialsWanted()) == Credentials("1", "secret")
        assert await run.answer(CredentialsWanted(refused=Credentials("1", "secret")))
        assert await run.answer(CredentialsWanted()) == Credentials("2", "secret")


async def test_credentials_that_another_one_has_renewed_are_newer() -> None:
    async with begun() as (run, _):
        old = await run.answer(CredentialsWanted())
        await run.store.renew_credentials(run.store.credentials_generation)
        assert await run.answer(CredentialsWanted(refused=old))
        assert run.access.looks == 1


async def test_newer_credentials_that_a_look_finds_are_not_looked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    access = Rotated()
    monkeypatch.setattr(access, "bucket_endpoint", found)
    monkeypatch.setattr(store_module, "CREDENTIALS_CHECK_SECONDS", -1.0)
    store = S3Store(access, cast("ConnectionPool", SimpleNamespace(exchange=lambda *_: None)))
    call = Call("GET", S3Location("bucket", "key"))
    await store.begin(call, Flow())
    old = store.credentials_generation
    await store.begin(call, Flow())
    assert store.credentials_generation == old
    access.number = 2
    await store.begin(call, Flow())
    assert await store.renew_credentials(old)
    assert access.looks == 0


async def test_a_lost_worker_is_told_once_and_taken_from_the_crew() -> None:
    async with begun() as (run, crew):
        run.worker.channel.close()
        while crew.members:
            await anyio.sleep(0)
        assert run.events == [Warned("a worker process has ended unexpectedly: the others do its work")]
        assert crew.limit == 8


@pytest.mark.parametrize(("asked_for", "is_store_here"), [(None, True), (2, True), (None, False)])
async def test_workers_that_are_of_no_use_get_no_items_unless_asked_for_or_the_store_is_elsewhere(
    asked_for: int | None, is_store_here: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demand, "FIRST_LOOK_SECONDS", 0)
    monkeypatch.setattr(demand, "are_workers_of_use", lambda **_: False)
    async with begun(TransferOptions(processes=asked_for), is_store_here=is_store_here) as (_, crew):
        assert crew.wants_items()
        await anyio.wait_all_tasks_blocked()
        assert crew.wants_items() is not (is_store_here and asked_for is None)


async def test_workers_that_are_of_use_again_are_woken(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = [True, False]
    monkeypatch.setattr(demand, "FIRST_LOOK_SECONDS", 0)
    monkeypatch.setattr(demand, "LOOK_SECONDS", 0)
    monkeypatch.setattr(demand, "are_workers_of_use", lambda **_: looks.pop() if looks else True)
    async with begun() as (_, crew):
        assert crew.wants_items()
        with anyio.fail_after(10):
            await crew.members[0].wait()
        assert not looks
        assert crew.wants_items()
