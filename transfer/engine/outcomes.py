"""Outcomes of work that goes on in the background, as an async iterator that can be closed at any time."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from typing import Generic, Protocol, Self, TypeVar

import anyio
from anyio.abc import TaskGroup

T = TypeVar("T")
Told_contra = TypeVar("Told_contra", contravariant=True)

BUFFERED_OUTCOMES = 256
"""Outcomes that may wait for a slow reader; then the work waits too."""


class Deliver(Protocol[Told_contra]):
    """Takes one outcome, or all that one request had, at once: what is handed over in one call waits as one."""

    def __call__(self, *outcomes: Told_contra) -> Awaitable[None]:
        """Wait while there is no room for more."""


class OutcomeStream(Generic[T]):
    """What `work` delivers, in the order in which it comes.

    The work starts with the first outcome asked for, runs in the owner's task group, and is cancelled by `aclose`.
    Its exception comes out of the iteration after all that was delivered before it.
    """

    def __init__(self, tasks: TaskGroup, work: Callable[[Deliver[T]], Awaitable[None]]) -> None:
        self._tasks = tasks
        self._work = work
        self._scope = anyio.CancelScope()
        # A queue of its own: a memory stream wakes the reader for each outcome, of which there may be millions.
        self._found: deque[T] = deque()
        self._news = anyio.Event()
        self._room = anyio.Event()
        self._error: BaseException | None = None
        self._started = self._closed = False
        self._finished = anyio.Event()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        if not await self._has_any():
            raise StopAsyncIteration
        outcome = self._found.popleft()
        if len(self._found) <= BUFFERED_OUTCOMES // 2:
            self._room.set()
        return outcome

    async def next_batch(self) -> list[T]:
        """All outcomes that wait by now, once there is one: many cost one turn of the loop. Empty at the end.

        May be mixed with `anext`: each outcome comes once.

        Raises:
            Exception: What the work raised, after all that was delivered before it.
        """
        if not await self._has_any():
            return []
        batch = list(self._found)
        self._found.clear()
        self._room.set()
        return batch

    async def aclose(self) -> None:
        """Cancel what is still going on and wait until it has cleaned up."""
        await self.rest()

    async def rest(self) -> list[T]:
        """Close the stream as `aclose` does; what was done by then and nobody has taken yet."""
        self._closed = True
        self._scope.cancel()
        self._news.set()
        self._room.set()
        if self._started:
            with anyio.CancelScope(shield=True):
                await self._finished.wait()
        rest = list(self._found)
        self._found.clear()
        return rest

    async def _has_any(self) -> bool:
        """Wait for an outcome; False when none will come any more.

        Raises:
            Exception: What the work raised, once.
        """
        if not self._started:
            self._started = True
            self._tasks.start_soon(self._run)
        while not self._found and not self._closed and not self._finished.is_set():
            self._news = anyio.Event()
            await self._news.wait()
        if self._found and not self._closed:
            return True
        await self.aclose()
        if self._error is not None:
            error, self._error = self._error, None
            raise error from error.__cause__
        return False

    async def _run(self) -> None:
        try:
            with self._scope:
                await self._work(self._deliver)
        except Exception as error:  # noqa: BLE001 - handed to whoever iterates
            self._error = error
        finally:
            self._finished.set()
            self._news.set()

    async def _deliver(self, *outcomes: T) -> None:
        """Take outcomes, then wait while there is no room for more: nothing loses one, since it may be noted already.

        Raises:
            BrokenResourceError: Nobody but `rest` takes outcomes any more.
        """
        self._found.extend(outcomes)
        self._news.set()
        if self._closed:
            raise anyio.BrokenResourceError
        while len(self._found) > BUFFERED_OUTCOMES and not self._closed:
            if self._room.is_set():
                self._room = anyio.Event()
            await self._room.wait()
