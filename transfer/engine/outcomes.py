"""Outcomes of work that goes on in the background, as an async iterator that can be closed at any time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Generic, Self, TypeVar

import anyio
from anyio.abc import TaskGroup

T = TypeVar("T")

Deliver = Callable[[T], Awaitable[None]]
BUFFERED_OUTCOMES = 256
"""Outcomes that may wait for a slow reader; then the work waits too."""


class OutcomeStream(Generic[T]):
    """What `work` delivers, in the order in which it comes.

    The work starts with the first outcome asked for, runs in the owner's task group, and is cancelled by `aclose`.
    Its exception comes out of the iteration after all that was delivered before it.
    """

    def __init__(self, tasks: TaskGroup, work: Callable[[Deliver[T]], Awaitable[None]]) -> None:
        self._tasks = tasks
        self._work = work
        self._scope = anyio.CancelScope()
        self._sender, self._receiver = anyio.create_memory_object_stream[T](BUFFERED_OUTCOMES)
        self._error: BaseException | None = None
        self._started = False
        self._finished = anyio.Event()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        if not self._started:
            self._started = True
            self._tasks.start_soon(self._run)
        try:
            return await self._receiver.receive()
        except (anyio.EndOfStream, anyio.ClosedResourceError):
            await self.aclose()
            if self._error is not None:
                error, self._error = self._error, None
                raise error from error.__cause__
            raise StopAsyncIteration from None

    async def aclose(self) -> None:
        """Cancel what is still going on and wait until it has cleaned up."""
        self._scope.cancel()
        self._receiver.close()
        if self._started:
            with anyio.CancelScope(shield=True):
                await self._finished.wait()
        self._sender.close()

    async def _run(self) -> None:
        try:
            with self._scope:
                await self._work(self._deliver)
        except Exception as error:  # noqa: BLE001 - handed to whoever iterates
            self._error = error
        finally:
            self._sender.close()
            self._finished.set()

    async def _deliver(self, outcome: T) -> None:
        """Take an outcome without a pause when there is room: a cancellation in that pause would lose it."""
        try:
            self._sender.send_nowait(outcome)
        except anyio.WouldBlock:
            await self._sender.send(outcome)
