"""Does jobs of an asynchronous peer, a given number at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import TypeVar

Job = TypeVar("Job")


async def spread(jobs: AsyncIterator[Job], do: Callable[[Job], Awaitable[None]], width: int) -> None:
    """Await `do(job)` for every job, `width` at a time; the first failure ends all."""
    turn = asyncio.Lock()

    async def work() -> None:
        while True:
            # An asynchronous generator can be asked by one at a time.
            async with turn:
                try:
                    job = await anext(jobs)
                except StopAsyncIteration:
                    return
            await do(job)

    async with asyncio.TaskGroup() as group:
        for _ in range(width):
            group.create_task(work())


async def each(jobs: Iterable[Job]) -> AsyncIterator[Job]:
    """Yield what is known already."""
    for job in jobs:
        yield job
