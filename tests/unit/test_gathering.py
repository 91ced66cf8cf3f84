"""Keys that wait for a request that is worth it: how many at most, and how long."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import anyio
import pytest

from transfer.engine import gathering
from transfer.engine.gathering import Gathering, Removable
from transfer.engine.removal import Batch
from transfer.model.locations import S3Location
from transfer.stores.s3.listing import DELETE_BATCH_KEYS

Take = Callable[[Removable], Awaitable[None]]


@asynccontextmanager
async def gathered(sent: list[Removable]) -> AsyncIterator[Gathering]:
    """A gathering and who takes what it hands on."""
    sender, receiver = anyio.create_memory_object_stream[Removable](0)

    async def take_all() -> None:
        async for found in receiver:
            sent.append(found)

    with receiver:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(take_all)
            with sender:
                yield Gathering(sender)


async def test_a_full_request_goes_at_once_and_the_rest_when_asked() -> None:
    sent: list[Removable] = []
    async with gathered(sent) as waiting:
        for number in range(DELETE_BATCH_KEYS + 2):
            await waiting.take(S3Location("b", str(number)))
        await waiting.take(S3Location("other", "k"))
        assert [len(found.keys) for found in sent if isinstance(found, Batch)] == [DELETE_BATCH_KEYS]
        await waiting.send_all()
    assert [(found.bucket, len(found.keys)) for found in sent if isinstance(found, Batch)] == [
        ("b", DELETE_BATCH_KEYS),
        ("b", 2),
        ("other", 1),
    ]


async def test_what_waits_is_bounded_also_with_a_bucket_for_each_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "MOST_WAITING_KEYS", 10)
    sent: list[Removable] = []
    async with gathered(sent) as waiting:
        for number in range(25):
            await waiting.take(S3Location(f"b{number}", "k"))
            assert number + 1 - len(sent) < 10 + 1
        assert len(sent) >= 15
        await waiting.send_all()
    assert sent == [Batch(f"b{number}", ("k",)) for number in range(25)]


async def test_what_waits_is_handed_on_before_the_next_key_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "LONGEST_WAIT_SECONDS", 0.01)
    sent: list[Removable] = []
    async with gathered(sent) as waiting, anyio.create_task_group() as tasks:
        tasks.start_soon(waiting.keep_sending)
        await waiting.take(S3Location("b", "k"))
        with anyio.fail_after(10):
            while not sent:
                await anyio.sleep(0)
        tasks.cancel_scope.cancel()
    assert sent == [Batch("b", ("k",))]
