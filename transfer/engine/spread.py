"""Working on many things at once, with as many workers as are useful now. The one way tasks are made here."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Generic, TypeVar

import anyio
from anyio.abc import TaskGroup

T = TypeVar("T")


async def spread(
    source: AsyncIterator[T], work: Callable[[T], Awaitable[None]], may_grow: Callable[[int], bool]
) -> None:
    """Do `work` for each thing of `source`, several at a time.

    Workers are added only when there is something for them and one more is useful, so that a source of millions never
    becomes a list and a wider limit is used at once.

    Args:
        source: What to work on; asked for the next thing by one worker at a time.
        work: Handles one; an exception ends everything.
        may_grow: Told how many workers there are, says whether one more is useful now.

    Raises:
        Exception: The first one of `work` or `source`; the others are cancelled then.
    """
    crew = _Crew(source, work, may_grow)
    async with plain_task_group() as tasks:
        await crew.serve(tasks)


async def each(things: Iterable[T]) -> AsyncIterator[T]:
    """Hand plain values to `spread`."""
    for thing in things:
        yield thing


class _Crew(Generic[T]):
    def __init__(
        self, source: AsyncIterator[T], work: Callable[[T], Awaitable[None]], may_grow: Callable[[int], bool]
    ) -> None:
        self._source = source
        self._work = work
        self._may_grow = may_grow
        self._turn = anyio.Lock(fast_acquire=True)
        self._workers = 1
        self._exhausted = False

    async def serve(self, tasks: TaskGroup) -> None:
        """Take things until there are none; call for one more worker before each piece of work."""
        while (found := await self._next()) is not None:
            if not self._exhausted and self._may_grow(self._workers):
                self._workers += 1
                tasks.start_soon(self.serve, tasks)
            await self._work(found[0])
        self._workers -= 1

    async def _next(self) -> tuple[T] | None:
        async with self._turn:
            if self._exhausted:
                return None
            try:
                return (await anext(self._source),)
            except StopAsyncIteration:
                self._exhausted = True
                return None


@asynccontextmanager
async def plain_task_group() -> AsyncIterator[TaskGroup]:
    """A task group whose first failure comes out as it is: whoever waits for one piece of work expects its error.

    Raises:
        Exception: The first one of the tasks or of the block; the others are cancelled then.
    """
    try:
        async with anyio.create_task_group() as tasks:
            yield tasks
    except BaseExceptionGroup as group:
        error: BaseException = group
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        raise error from error.__cause__
