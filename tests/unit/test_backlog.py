from collections.abc import AsyncIterator

import anyio
import pytest
from anyio.abc import TaskGroup

from transfer.engine.backlog import BACKLOG_ITEMS, LENT_FROM, Backlog
from transfer.model.errors import TransferError

MOST = 64


async def numbers(count: int) -> AsyncIterator[int]:
    for number in range(count):
        yield number


async def filled(count: int) -> Backlog[int]:
    backlog = Backlog(numbers(count))
    await backlog.fill()
    return backlog


async def taken(backlog: Backlog[int]) -> list[int]:
    return [number async for batch in backlog.batches(MOST) for number in batch]


def take_all(backlog: Backlog[int], tasks: TaskGroup) -> list[int]:
    """What somebody finds who iterates in the background."""
    found: list[int] = []

    async def take() -> None:
        async for batch in backlog.batches(MOST):
            found.extend(batch)
        found.append(-1)

    tasks.start_soon(take)
    return found


def everything(_: int) -> bool:
    return True


async def test_what_is_found_is_taken_in_order() -> None:
    async with anyio.create_task_group() as tasks:
        backlog = Backlog(numbers(3 * BACKLOG_ITEMS))
        tasks.start_soon(backlog.fill)
        assert await taken(backlog) == list(range(3 * BACKLOG_ITEMS))


async def test_no_more_is_found_than_there_is_room_for() -> None:
    backlog = Backlog(numbers(BACKLOG_ITEMS + 5))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(backlog.fill)
        await anyio.wait_all_tasks_blocked()
        lent = backlog.lend(BACKLOG_ITEMS // 2, everything)
        assert lent == list(range(BACKLOG_ITEMS // 2))
        assert not backlog.is_exhausted
        await anyio.wait_all_tasks_blocked()
        assert len(backlog.lend(2 * BACKLOG_ITEMS, everything)) == BACKLOG_ITEMS // 2
        await anyio.wait_all_tasks_blocked()
        assert backlog.is_exhausted


async def test_a_failure_to_find_more_is_kept_for_the_end() -> None:
    error = TransferError("no more")

    async def failing() -> AsyncIterator[int]:
        yield 1
        raise error

    backlog = Backlog(failing())
    await backlog.fill()
    assert (await taken(backlog), backlog.error) == ([1], error)


async def test_few_are_not_lent() -> None:
    backlog = await filled(LENT_FROM - 1)
    assert backlog.is_exhausted
    assert backlog.lend(MOST, everything) == []
    assert await taken(backlog) == list(range(LENT_FROM - 1))


async def test_iterating_ends_when_all_that_was_lent_is_settled() -> None:
    backlog = await filled(LENT_FROM)
    lent = backlog.lend(MOST, everything)
    assert lent == list(range(MOST))
    async with anyio.create_task_group() as tasks:
        found = take_all(backlog, tasks)
        await anyio.wait_all_tasks_blocked()
        assert found == list(range(MOST, LENT_FROM))
        backlog.return_(MOST - 1)
        await anyio.wait_all_tasks_blocked()
        assert -1 not in found
        backlog.return_(1)
        await anyio.wait_all_tasks_blocked()
        assert found[-1] == -1


async def test_what_was_not_done_is_done_here() -> None:
    backlog = await filled(LENT_FROM)
    lent = backlog.lend(MOST, everything)
    async with anyio.create_task_group() as tasks:
        found = take_all(backlog, tasks)
        await anyio.wait_all_tasks_blocked()
        backlog.return_(len(lent), lent[:3])
        await anyio.wait_all_tasks_blocked()
        assert found == [*range(MOST, LENT_FROM), *lent[:3], -1]


async def test_what_may_not_go_is_kept() -> None:
    backlog = await filled(2 * LENT_FROM)
    lent = backlog.lend(MOST, lambda number: number % 2 == 0)
    assert lent == list(range(0, MOST, 2))
    async with anyio.create_task_group() as tasks:
        found = take_all(backlog, tasks)
        backlog.return_(len(lent))
        await anyio.wait_all_tasks_blocked()
        assert sorted(found[:-1]) == sorted(set(range(2 * LENT_FROM)) - set(lent))


async def test_what_is_kept_wakes_who_iterates() -> None:
    release = anyio.Event()

    async def slow() -> AsyncIterator[int]:
        for number in range(LENT_FROM):
            yield number
        await release.wait()

    backlog = Backlog(slow())
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(backlog.fill)
        await anyio.wait_all_tasks_blocked()
        assert backlog.lend(LENT_FROM, lambda _: False) == []
        found = take_all(backlog, tasks)
        await anyio.wait_all_tasks_blocked()
        assert found == list(range(LENT_FROM))
        release.set()


@pytest.mark.parametrize("count", [0, LENT_FROM - 1, LENT_FROM, 3 * LENT_FROM])
async def test_listeners_hear_when_there_is_something_to_lend_and_when_never_more(count: int) -> None:
    backlog = Backlog(numbers(count))
    heard: list[tuple[bool, bool]] = []
    backlog.listeners.append(lambda: heard.append((len(backlog.lend(0, everything)) == 0, backlog.is_exhausted)))
    await backlog.fill()
    assert len(heard) == 1 + (count >= LENT_FROM)
    await taken(backlog)
    assert heard[-1][1]
    assert backlog.is_exhausted


async def test_closing_drops_what_is_left_and_tells() -> None:
    backlog = await filled(2 * LENT_FROM)
    backlog.lend(MOST, lambda number: number % 2 == 0)
    heard: list[bool] = []
    backlog.listeners.append(lambda: heard.append(backlog.is_exhausted))
    backlog.close()
    assert heard == [True]
    assert (await taken(backlog), backlog.lend(MOST, everything)) == ([], [])
