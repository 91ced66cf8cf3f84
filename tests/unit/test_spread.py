import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from transfer.engine.spread import each, plain_task_group, spread


def up_to(width: int) -> Callable[[int], bool]:
    return lambda workers: workers < width


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_everything_is_worked_on_once() -> None:
    done: list[int] = []

    async def work(thing: int) -> None:
        await asyncio.sleep(0)
        done.append(thing)

    await spread(each(range(100)), work, up_to(7))
    assert sorted(done) == list(range(100))


async def test_nothing_to_do_is_done_at_once() -> None:
    async def work(_: int) -> None:
        raise AssertionError

    await spread(each(()), work, up_to(7))


@pytest.mark.parametrize("width", [0, 1, 3])
async def test_no_more_work_at_a_time_than_the_width(width: int) -> None:
    now = most = 0

    async def work(_: int) -> None:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await settle()
        now -= 1

    await spread(each(range(20)), work, up_to(width))
    assert most == max(width, 1)


async def test_a_width_that_grows_is_used() -> None:
    width = 1
    now = 0
    seen: list[int] = []

    async def work(thing: int) -> None:
        nonlocal now, width
        now += 1
        seen.append(now)
        if thing == 5:
            width = 4
        await settle()
        now -= 1

    await spread(each(range(60)), work, lambda workers: workers < width)
    assert max(seen[:5]) == 1
    assert max(seen[6:]) == 4


async def test_the_source_is_asked_only_for_what_can_be_worked_on() -> None:
    asked = 0
    go_on = asyncio.Event()

    async def source() -> AsyncIterator[int]:
        nonlocal asked
        for number in range(1000):
            asked += 1
            yield number

    async def work(_: int) -> None:
        await go_on.wait()

    things = source()
    task = asyncio.create_task(spread(things, work, up_to(3)))
    await settle()
    assert asked == 3
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await things.aclose()  # type: ignore[attr-defined]  # an async generator, which its annotation hides


async def test_the_first_failure_ends_everything_and_comes_out_bare() -> None:
    cancelled: list[int] = []

    async def work(thing: int) -> None:
        if thing == 2:
            await settle()
            raise ValueError("two")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(thing)
            raise

    with pytest.raises(ValueError, match="two"):
        await spread(each(range(5)), work, up_to(5))
    assert sorted(cancelled) == [0, 1, 3, 4]


async def test_a_failing_source_comes_out_bare() -> None:
    async def source() -> AsyncIterator[int]:
        yield 1
        raise LookupError("source")

    async def work(_: int) -> None:
        await settle()

    with pytest.raises(LookupError, match="source"):
        await spread(source(), work, up_to(3))


async def test_cancelling_cancels_the_work() -> None:
    started = asyncio.Event()
    cancelled = asyncio.Event()

    async def work(_: int) -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    task = asyncio.create_task(spread(each([1]), work, up_to(1)))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert cancelled.is_set()


async def test_a_task_group_lets_its_first_failure_out_as_it_is() -> None:
    cause = OSError("cause")

    async def fail() -> None:
        async with plain_task_group():
            raise ValueError("inner") from cause

    with pytest.raises(ValueError, match="inner") as caught:
        async with plain_task_group() as tasks:
            tasks.start_soon(fail)
            await asyncio.get_running_loop().create_future()
    assert caught.value.__cause__ is cause
