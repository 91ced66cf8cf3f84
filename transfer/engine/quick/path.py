"""The short way itself: which errands are on which connections, in which lanes, and what becomes of them.

It does what nearly always happens, once, and nothing else. Whatever is out of the ordinary - a failure, an answer that
is not a plain one, a name that is taken - goes to the long way, with what is known by then: that one repeats, waits,
renews and explains. What it gives back so is bounded as everything that is under way.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from types import TracebackType
from typing import Final, Generic, Self, TypeVar

import anyio
from anyio.abc import TaskGroup

from transfer.engine.attempts import EarlierAttempt
from transfer.engine.context import Context
from transfer.engine.items import Item
from transfer.engine.landing import Landed
from transfer.engine.outcomes import BUFFERED_OUTCOMES
from transfer.engine.quick.errand import Arrived, DamagedError, Done, Errand, errand_of
from transfer.model.errors import TransferError, WireError
from transfer.model.receipts import Mover
from transfer.model.values import dataclass
from transfer.plan.parts import SMALL_BODY_BYTES
from transfer.stores.s3.store import ERROR_BODY_LIMIT_BYTES, Call, Signed, refusal
from transfer.wire.origin import Origin
from transfer.wire.pool import WATCHDOG_SECONDS
from transfer.wire.quick import ANSWER_BUFFER_BYTES, Answer, QuickConnection

T = TypeVar("T")

WAITING_ERRANDS: Final = 64
"""So many wait for their turn at most: what is read ahead at a time."""
HELD_BYTES: Final = 32 * 1024 * 1024
"""Bodies of this size together are under way at a time: 128 of the largest, which at 30 ms a request is 1 GB/s."""
ANSWER_LIMIT_BYTES: Final = max(SMALL_BODY_BYTES, ERROR_BODY_LIMIT_BYTES)
MOST_UNUSUAL: Final = 16
"""After so many answers that only the long way understands, the rest goes there at once: each has cost a request."""


@dataclass(frozen=True, slots=True)
class Ways(Generic[T]):
    """Where things come from and go to.

    Attributes:
        item_of: The item that a thing is about; None when it is not one to be moved.
        with_item: The same thing with another item.
        go_long: Does a thing on the long way, to its end.
        note: Takes note of what was done, at once: a run that is stopped while outcomes wait has done it all the same.
        tell: Tells what was done; may wait for whoever listens.
    """

    item_of: Callable[[T], object]
    with_item: Callable[[T, Item], T]
    go_long: Callable[[T], Awaitable[None]]
    note: Callable[[T, Done], None]
    tell: Callable[[Sequence[Done]], Awaitable[None]]


class _Claim(Generic[T]):
    """An errand on its way."""

    __slots__ = ("began_seconds", "call", "errand", "generation", "region", "thing")

    def __init__(self, thing: T, errand: Errand) -> None:
        self.thing: Final = thing
        self.errand: Final = errand
        self.call: Call | None = None
        self.generation = 0
        self.region = ""
        self.began_seconds = 0.0

    def attempt(self, error: TransferError | None) -> EarlierAttempt:
        """Say how its request went, for whoever repeats it; None for an answer that did not agree with its checksum."""
        return EarlierAttempt(error, self.generation, self.began_seconds)


class QuickPath(Generic[T]):
    """The short way of one run; for `with`, inside the task group that it is given."""

    def __init__(self, context: Context, tasks: TaskGroup, ways: Ways[T]) -> None:
        """Prepare; needs a running event loop, and a group that ends with the run."""
        self._context: Final = context
        self._tasks: Final = tasks
        self._ways: Final = ways
        self._loop: Final = asyncio.get_running_loop()
        self._buffer: Final = bytearray(ANSWER_BUFFER_BYTES)
        self._waiting: Final[deque[_Claim[T]]] = deque()
        self._idle: Final[dict[Origin, list[QuickConnection]]] = {}
        self._in_flight: Final[dict[QuickConnection, _Claim[T]]] = {}
        self._arrived: list[tuple[_Claim[T], Arrived]] = []
        self._settled: list[Done] = []
        self._undelivered = 0
        self._under_way = 0
        self._held_bytes = 0
        self._wishes = 0
        self._unusual = 0
        self._news = anyio.Event()
        self._room = anyio.Event()
        self._error: BaseException | None = None
        self._is_closed = False
        self._watchdog = self._loop.call_later(WATCHDOG_SECONDS, self._watch)

    def __enter__(self) -> Self:
        self._tasks.start_soon(self._run)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    async def _run(self) -> None:
        """Tell what was done, until the path is closed.

        Raises:
            Exception: What went wrong in a callback, or in telling.
        """
        try:
            while not self._is_closed:
                await self._news.wait()
                self._news = anyio.Event()
                if self._error is not None:
                    raise self._error
                settled, self._settled = self._settled, []
                if settled:
                    await self._ways.tell(settled)
                    self._undelivered -= len(settled)
                    self._pump()
                self._note_room()
        finally:
            # Nothing is noted from now on, and what was noted is told: a later run will say nothing of it.
            self.close()
            if self._settled:
                with anyio.CancelScope(shield=True), suppress(anyio.BrokenResourceError):
                    await self._ways.tell(self._settled)

    async def passing(self, things: AsyncIterator[T]) -> AsyncIterator[T]:
        """Take those things that go the short way; the others pass. It ends when what was taken is done."""
        async for thing in things:
            errand = self._errand_of(thing)
            if errand is None:
                yield thing
                continue
            self._waiting.append(_Claim(thing, errand))
            self._pump()
            while len(self._waiting) >= WAITING_ERRANDS:
                await self._wait()
        while self._waiting or self._under_way or self._undelivered:
            await self._wait()

    def close(self) -> None:
        """Stop: what is on its way is given up."""
        self._is_closed = True
        self._watchdog.cancel()
        for connection in self._in_flight:
            self._give_back(connection)
            self._context.lanes.release()
        self._in_flight.clear()
        self._waiting.clear()
        self._arrived.clear()
        self._rest()
        self._news.set()

    def _errand_of(self, thing: T) -> Errand | None:
        if self._unusual >= MOST_UNUSUAL or self._context.attempts.limiter is not None:
            return None
        return errand_of(self._context, self._ways.item_of(thing))

    async def _wait(self) -> None:
        self._room = anyio.Event()
        await self._room.wait()

    def _note_room(self) -> None:
        if len(self._waiting) < WAITING_ERRANDS // 2 or not (self._under_way or self._undelivered):
            self._room.set()

    def _pump(self) -> None:
        """Begin what may be begun."""
        context, lanes = self._context, self._context.lanes
        while (
            len(self._waiting) > self._wishes
            and self._undelivered < BUFFERED_OUTCOMES
            and self._held_bytes < HELD_BYTES
            and context.may_add_item_worker(self._under_way + self._wishes)
        ):
            if lanes.take_now():
                self._begin_next()
            else:
                self._wishes += 1
                lanes.take_later(self._use_lane)
        if not self._waiting or not self._under_way:
            self._note_room()

    def _use_lane(self) -> None:
        """A lane was asked for, and has come."""
        self._wishes -= 1
        if self._waiting and not self._is_closed:
            self._begin_next()
        else:
            self._context.lanes.release()

    def _begin_next(self) -> None:
        claim = self._waiting.popleft()
        self._under_way += 1
        self._held_bytes += claim.errand.body_bytes
        self._begin(claim)
        if len(self._waiting) == WAITING_ERRANDS // 2:
            self._room.set()

    def _begin(self, claim: _Claim[T]) -> None:
        """Send its request, in the lane that was taken for it."""
        store = self._context.store
        claim.began_seconds = self._loop.time()
        claim.generation = store.credentials_generation
        try:
            call = claim.call = claim.call or claim.errand.call()
            signed = store.signed_now(call)
            if signed is None:
                self._tasks.start_soon(self._prepare, claim, call.location.bucket)
                return
            connection = self._connection_to(signed.origin)
            if connection is None:
                self._tasks.start_soon(self._dial, claim, signed)
            else:
                self._send(connection, claim, signed)
        except TransferError:
            # What cannot even be sent is explained elsewhere.
            self._context.lanes.release()
            self._go_long(claim, None)
        except BaseException as error:  # noqa: BLE001 - in a callback nobody else would see it
            self._context.lanes.release()
            self._stop(error)

    async def _prepare(self, claim: _Claim[T], bucket: str) -> None:
        """Have the store ask for what it signs with; then as before."""
        try:
            await self._context.store.prepare(bucket)
        except TransferError:
            self._context.lanes.release()
            self._go_long(claim, None)
        except BaseException:
            self._context.lanes.release()
            raise
        else:
            if self._is_closed:
                self._context.lanes.release()
            else:
                self._begin(claim)

    async def _dial(self, claim: _Claim[T], signed: Signed) -> None:
        try:
            lent = await self._context.store.pool.lend(signed.origin)
            connection = QuickConnection(lent, self._buffer, ANSWER_LIMIT_BYTES, self._take)
            if self._is_closed:
                self._give_back(connection)
                self._context.lanes.release()
                return
            self._send(connection, claim, signed)
        except TransferError as error:
            self._context.lanes.release()
            self._go_long(claim, claim.attempt(error))
        except BaseException:
            self._context.lanes.release()
            raise

    def _connection_to(self, origin: Origin) -> QuickConnection | None:
        idle = self._idle.get(origin)
        while idle:
            connection = idle.pop()
            if connection.is_open:
                return connection
            self._give_back(connection)
        lent = self._context.store.pool.lend_idle(origin)
        return None if lent is None else QuickConnection(lent, self._buffer, ANSWER_LIMIT_BYTES, self._take)

    def _send(self, connection: QuickConnection, claim: _Claim[T], signed: Signed) -> None:
        claim.region = signed.region
        try:
            connection.exchange(signed.request)
        except BaseException:
            self._give_back(connection)
            raise
        self._in_flight[connection] = claim

    def _take(self, connection: QuickConnection, result: Answer | WireError) -> None:
        """An exchange has ended."""
        try:
            claim = self._in_flight.pop(connection)
            stream = connection.connection.stream
            mover = stream.sends_by if claim.errand.is_upload else stream.receives_by
            if connection.is_open:
                self._idle.setdefault(connection.connection.origin, []).append(connection)
            else:
                self._give_back(connection)
            if isinstance(result, Answer) and result.head.status < 300:
                # First of all, so that the connection is used again before the answer is looked at.
                self._context.lanes.release()
                self._judge(claim, result, mover)
            else:
                self._go_long(claim, claim.attempt(_error_of(claim, result)))
                # What the failure teaches is learnt before another request takes the lane.
                self._loop.call_soon(self._context.lanes.release)
            self._pump()
            if self._context.lanes.in_use > len(self._in_flight):
                # Others have lanes too: what is kept for later here they would have to dial.
                self._rest()
        except BaseException as error:  # noqa: BLE001 - in a callback nobody else would see it
            self._stop(error)

    def _judge(self, claim: _Claim[T], answer: Answer, mover: Mover) -> None:
        errand = claim.errand
        try:
            result = errand.conclude(answer, mover, self._loop.time() - claim.began_seconds)
        except TransferError as error:
            self._go_long(claim, claim.attempt(error))
            return
        except DamagedError:
            self._go_long(claim, claim.attempt(None))
            return
        if result is None:
            self._unusual += 1
            self._go_long(claim, None)
            return
        self._context.attempts.succeeded(errand.body_bytes)
        if isinstance(result, Done):
            self._settle(claim, result)
            return
        if not self._arrived:
            self._loop.call_soon(self._land)
        self._arrived.append((claim, result))

    def _end(self, claim: _Claim[T]) -> None:
        self._under_way -= 1
        self._held_bytes -= claim.errand.body_bytes

    def _settle(self, claim: _Claim[T], done: Done) -> None:
        if self._is_closed:
            return
        self._end(claim)
        self._undelivered += 1
        self._context.progress.bytes_planned += done.planned_bytes
        self._ways.note(claim.thing, done)
        self._settled.append(done)
        if len(self._settled) == 1:
            self._news.set()

    def _land(self) -> None:
        """Bring to the disk what has arrived in one turn of the loop."""
        arrived, self._arrived = self._arrived, []
        try:
            landed = self._context.landings.land_now([found.file for _, found in arrived])
            if landed is None:
                self._tasks.start_soon(self._land_in_thread, arrived)
            else:
                self._note_landed(arrived, landed)
        except BaseException as error:  # noqa: BLE001 - in a callback nobody else would see it
            self._stop(error)

    async def _land_in_thread(self, arrived: Sequence[tuple[_Claim[T], Arrived]]) -> None:
        self._note_landed(arrived, await self._context.landings.land_all([found.file for _, found in arrived]))

    def _note_landed(self, arrived: Sequence[tuple[_Claim[T], Arrived]], landed: Sequence[Landed]) -> None:
        for (claim, found), result in zip(arrived, landed, strict=True):
            if isinstance(result, TransferError):
                # What another name or another try could do is known elsewhere; the bytes move once more.
                self._context.progress.bytes_moved -= claim.errand.body_bytes
                self._go_long(claim, None)
            else:
                self._settle(claim, found.done(result))
        self._pump()

    def _go_long(self, claim: _Claim[T], earlier: EarlierAttempt | None) -> None:
        thing = claim.thing
        if earlier is not None:
            thing = self._ways.with_item(thing, replace(claim.errand.item, earlier=earlier))
        self._tasks.start_soon(self._on_the_long_way, claim, thing)

    async def _on_the_long_way(self, claim: _Claim[T], thing: T) -> None:
        await self._ways.go_long(thing)
        self._end(claim)
        self._pump()

    def _give_back(self, connection: QuickConnection) -> None:
        self._context.store.pool.give_back(connection.leave())

    def _rest(self) -> None:
        """Give back the connections that are idle now: they are there for others, and do not grow old unseen."""
        for idle in self._idle.values():
            for connection in idle:
                self._give_back(connection)
        self._idle.clear()

    def _watch(self) -> None:
        now = self._loop.time()
        for connection in list(self._in_flight):
            connection.fail_if_stalled(now)
        self._rest()
        self._watchdog = self._loop.call_later(WATCHDOG_SECONDS, self._watch)

    def _stop(self, error: BaseException) -> None:
        """End the run with an error."""
        self._error = self._error or error
        self._news.set()


def _error_of(claim: _Claim[T], result: Answer | WireError) -> TransferError:
    if isinstance(result, WireError):
        return result
    error = refusal(claim.errand.location, result.head, bytes(result.body))
    error.signed_region = claim.region
    return error
