import asyncio

import anyio
import pytest

from transfer.engine.outcomes import BUFFERED_OUTCOMES, Deliver, OutcomeStream


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_outcomes_come_in_the_order_of_delivery() -> None:
    async def work(deliver: Deliver[int]) -> None:
        for number in range(5):
            await deliver(number)

    async with anyio.create_task_group() as tasks:
        assert [found async for found in OutcomeStream(tasks, work)] == [0, 1, 2, 3, 4]


async def test_a_failure_comes_after_what_was_delivered_before_it() -> None:
    async def work(deliver: Deliver[int]) -> None:
        await deliver(1)
        await deliver(2)
        raise LookupError("lost")

    found: list[int] = []
    async with anyio.create_task_group() as tasks:
        stream = OutcomeStream(tasks, work)
        with pytest.raises(LookupError, match="lost"):
            async for outcome in stream:
                found.append(outcome)
        assert found == [1, 2]
        with pytest.raises(StopAsyncIteration):
            await anext(stream)


async def test_nothing_starts_before_the_first_outcome_is_asked_for() -> None:
    started = False

    async def work(_: Deliver[int]) -> None:
        nonlocal started
        started = True

    async with anyio.create_task_group() as tasks:
        stream = OutcomeStream(tasks, work)
        await settle()
        assert not started
        await stream.aclose()
        with pytest.raises(StopAsyncIteration):
            await anext(stream)


async def test_closing_cancels_the_work_and_waits_for_its_cleaning() -> None:
    cleaned = False

    async def work(deliver: Deliver[int]) -> None:
        nonlocal cleaned
        try:
            await deliver(1)
            await asyncio.Event().wait()
        finally:
            with anyio.CancelScope(shield=True):
                await settle()
            cleaned = True

    async with anyio.create_task_group() as tasks:
        stream = OutcomeStream(tasks, work)
        assert await anext(stream) == 1
        await stream.aclose()
        assert cleaned
        await stream.aclose()
        with pytest.raises(StopAsyncIteration):
            await anext(stream)


async def test_work_waits_for_a_slow_reader() -> None:
    delivered = 0

    async def work(deliver: Deliver[int]) -> None:
        nonlocal delivered
        for number in range(3 * BUFFERED_OUTCOMES):
            await deliver(number)
            delivered += 1

    async with anyio.create_task_group() as tasks:
        stream = OutcomeStream(tasks, work)
        assert await anext(stream) == 0
        for _ in range(3 * BUFFERED_OUTCOMES):
            await asyncio.sleep(0)
        assert delivered <= BUFFERED_OUTCOMES + 2
        assert [found async for found in stream] == list(range(1, 3 * BUFFERED_OUTCOMES))


async def test_cancelling_the_reader_leaves_a_stream_that_can_be_closed() -> None:
    async def work(_: Deliver[int]) -> None:
        await asyncio.Event().wait()

    async with anyio.create_task_group() as tasks:
        stream = OutcomeStream(tasks, work)
        with anyio.move_on_after(0):
            await anext(stream)
        await stream.aclose()
