from contextlib import AsyncExitStack

import anyio
import pytest
from anyio.lowlevel import checkpoint

from transfer.engine.memory import MemoryBudget


async def idle() -> None:
    for _ in range(5):
        await checkpoint()


async def test_what_fits_is_held_at_once_and_given_back() -> None:
    memory = MemoryBudget(10)
    async with AsyncExitStack() as stack:
        for count in (4, 6, 0):
            await stack.enter_async_context(memory.hold(count))
        assert memory.held_bytes == 10
    assert (memory.held_bytes, memory.peak_bytes) == (0, 10)


async def test_the_first_to_ask_is_the_first_to_hold_also_when_a_smaller_one_would_fit() -> None:
    memory, order = MemoryBudget(10), list[int]()

    async def take(count: int) -> None:
        async with memory.hold(count):
            order.append(count)
            await idle()

    async with anyio.create_task_group() as tasks, memory.hold(6):
        for count in (8, 1, 2):
            tasks.start_soon(take, count)
            await idle()
        assert order == []
    assert order == [8, 1, 2]
    assert memory.peak_bytes <= 10


async def test_what_is_larger_than_the_budget_is_held_alone() -> None:
    memory = MemoryBudget(10)
    alone = anyio.Event()

    async def take() -> None:
        async with memory.hold(100):
            assert memory.held_bytes == 100
            alone.set()

    async with anyio.create_task_group() as tasks:
        async with memory.hold(1):
            tasks.start_soon(take)
            await idle()
            assert not alone.is_set()
        await alone.wait()


@pytest.mark.parametrize("is_admitted", [False, True])
async def test_who_stops_waiting_keeps_nobody_waiting(is_admitted: bool) -> None:
    memory, held = MemoryBudget(10), anyio.Event()
    scope = anyio.CancelScope()

    async def give_up() -> None:
        with scope:
            async with memory.hold(9):
                await anyio.sleep_forever()

    async def take() -> None:
        async with memory.hold(2):
            held.set()

    async with anyio.create_task_group() as tasks:
        async with memory.hold(8):
            tasks.start_soon(give_up)
            await idle()
            tasks.start_soon(take)
            await idle()
            if not is_admitted:
                scope.cancel()
                await held.wait()
        if is_admitted:
            scope.cancel()
            await held.wait()
    assert memory.held_bytes == 0


async def test_a_failure_gives_back_what_was_held() -> None:
    memory = MemoryBudget(10)
    with pytest.raises(ValueError, match="broken"):
        async with memory.hold(10):
            raise ValueError("broken")
    assert memory.held_bytes == 0
