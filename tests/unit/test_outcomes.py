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


async def test_what_was_done_and_not_taken_is_told_at_the_end_also_what_is_delivered_while_it_closes() -> None:
    async def work(deliver: Deliver[int]) -> None:
        await deliver(1, 2)
        try:
            await asyncio.Event().wait()
        finally:
            with anyio.CancelScope(shield=True), pytest.raises(anyio.BrokenResourceError):
                await deliver(3)

    async with anyio.create_task_group() as tasks:
        stream = OutcomeStream(tasks, work)
        assert await anext(stream) == 1
        assert await stream.rest() == [2, 3]
        assert await stream.rest() == []


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


async def test_a_batch_is_all_that_waits_and_each_outcome_comes_once() -> None:
    async def work(deliver: Deliver[int]) -> None:
        await deliver(0)
        await deliver(*range(1, 4))
        await settle()
        await deliver()
        await deliver(4)

    async with anyio.create_task_group() as tasks:
        stream = OutcomeStream(tasks, work)
        assert await anext(stream) == 0
        assert await stream.next_batch() == [1, 2, 3]
        assert await stream.next_batch() == [4]
        assert await stream.next_batch() == []
        assert await stream.next_batch() == []


async def test_a_failure_comes_after_the_last_batch() -> None:
    async def work(deliver: Deliver[int]) -> None:
        await deliver(1, 2)
        raise LookupError("lost")

    async with anyio.create_task_group() as tasks:
        stream = OutcomeStream(tasks, work)
        assert await stream.next_batch() == [1, 2]
        with pytest.raises(LookupError, match="lost"):
            await stream.next_batch()
        assert await stream.next_batch() == []


async def test_closing_between_batches_ends_work_that_waits_for_room() -> None:
    has_failed = False

    async def work(deliver: Deliver[int]) -> None:
        nonlocal has_failed
        await deliver(*range(BUFFERED_OUTCOMES + 1))
        try:
            await deliver(*range(BUFFERED_OUTCOMES + 1))
        finally:
            with anyio.CancelScope(shield=True), pytest.raises(anyio.BrokenResourceError):
                await deliver(0)
            has_failed = True

    async with anyio.create_task_group() as tasks:
        stream = OutcomeStream(tasks, work)
        assert len(await stream.next_batch()) == BUFFERED_OUTCOMES + 1
        await settle()
        await stream.aclose()
        assert has_failed
        assert await stream.next_batch() == []


async def test_a_full_batch_lets_the_work_go_on_only_when_it_is_taken() -> None:
    delivered = 0

    async def work(deliver: Deliver[int]) -> None:
        nonlocal delivered
        for _ in range(3):
            await deliver(*range(2 * BUFFERED_OUTCOMES))
            delivered += 1

    async with anyio.create_task_group() as tasks:
        stream = OutcomeStream(tasks, work)
        for taken in range(3):
            assert await stream.next_batch() == list(range(2 * BUFFERED_OUTCOMES))
            assert delivered == taken
            await settle()
            assert delivered == taken + 1
        assert await stream.next_batch() == []


async def test_a_cancelled_wait_for_a_batch_loses_nothing() -> None:
    go_on = anyio.Event()

    async def work(deliver: Deliver[int]) -> None:
        await go_on.wait()
        await deliver(1, 2)

    async with anyio.create_task_group() as tasks:
        stream = OutcomeStream(tasks, work)
        with anyio.move_on_after(0):
            await stream.next_batch()
        go_on.set()
        assert await stream.next_batch() == [1, 2]
