"""Making a request until it succeeds or it is clear that it will not.

The verdict on each failure comes from the table in `transfer.plan.retry`; this module carries it out. A lane is held
only while a request is in flight, never during a pause.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Final, TypeVar

import anyio

from transfer.engine.lanes import Lane, Lanes
from transfer.engine.retry_turns import RetryTurns
from transfer.model.errors import (
    ConnectError,
    LocalFileError,
    SchemeError,
    StalledError,
    StoreError,
    TransferError,
    WireError,
)
from transfer.model.events import EventSink, RequestRetried
from transfer.model.locations import S3Location
from transfer.model.progress import Progress
from transfer.plan.remedies import UNANSWERED
from transfer.plan.retry import (
    BUDGET_CAPACITY,
    DEFAULT_RETRIES,
    RetryBudget,
    Verdict,
    backoff_seconds,
    verdict_of,
)
from transfer.stores.s3.store import S3Store
from transfer.wire.flow import Flow, RateLimiter

T = TypeVar("T")

FIRST_CONNECT_RETRIES: Final = 2
"""As long as nothing has ever been reached, a wrong address is likelier than an outage: the user should know soon."""
DOUBTED_AFTER: Final = FIRST_CONNECT_RETRIES + 1
"""So many attempts that a server just closed, before it has ever answered any, are no outage either: it is asked in TLS
then, since a server of OpenSSL gives no other sign that it wants that."""
FREE_RETRIES: Final = 8
"""A store that closes every idle connection costs one of these each time; more than that is no idle connection."""

_SIGNATURE_REFUSED: Final = "SignatureDoesNotMatch"
_ABOUT_THE_USER: Final = frozenset(
    {"AccountProblem", "InvalidAccessKeyId", "InvalidSecurity", "NotSignedUp", _SIGNATURE_REFUSED}
)
"""Refusals that do not depend on what was asked for."""


@dataclass(slots=True)
class Tally:
    """What the requests of one item cost beyond the first attempts."""

    retries: int = 0


@dataclass(frozen=True, slots=True)
class EarlierAttempt:
    """A request of an item that was made already, on a shorter way than this one.

    Attributes:
        error: How it failed; None when it was answered, but the bytes did not agree with their checksum.
        generation: The store's `credentials_generation` when it was made.
        began_seconds: When it was given a lane, by the clock of the loop.
    """

    error: TransferError | None
    generation: int
    began_seconds: float


class Attempts:
    """The one way requests are made by the engine.

    Attributes:
        limiter: Slows all bodies to the rate of the run; None when there is no limit.
        reached: Whether the store has ever answered with success.
    """

    def __init__(
        self,
        store: S3Store,
        lanes: Lanes,
        progress: Progress,
        on_event: EventSink,
        *,
        retries: int | None = None,
        limiter: RateLimiter | None = None,
        processes: int = 1,
    ) -> None:
        self._store: Final = store
        self._lanes: Final = lanes
        self._progress: Final = progress
        self._on_event: Final = on_event
        self._retries: Final = DEFAULT_RETRIES if retries is None else retries
        self.limiter: Final = limiter
        # Each process of a run has its part of what all of them may spend.
        self._turns: Final = RetryTurns(RetryBudget(BUDGET_CAPACITY / processes))
        self.reached = False

    async def run(
        self,
        location: S3Location,
        action: Callable[[Flow], Awaitable[T]],
        tally: Tally,
        *,
        before: Callable[[], Awaitable[None]] | None = None,
        is_progress: bool = True,
        before_parts: bool = False,
        earlier: EarlierAttempt | None = None,
    ) -> T:
        """Make one request, again if need be.

        Args:
            location: The object or bucket it is about.
            action: Makes the request once. It must be safe to make again.
            tally: Where repetitions of the item are counted.
            before: Work that each attempt needs first; done without a lane, so that none is held by a disk.
            is_progress: Whether the bytes of its body are progress of the run; not when they have to move once more.
            before_parts: Whether it has no body and parts of a large object follow: the time it takes tells how many
                of them to begin with.
            earlier: A first attempt that was made elsewhere; if it failed, it counts as one made here.

        Raises:
            TransferError: The last failure, when it is final or the attempts are used up.
        """
        spent = free = 0
        failed = None if earlier is None else earlier.error
        turn: AbstractContextManager[None] = nullcontext()
        while True:
            generation = self._store.credentials_generation
            lane = self._lanes.lane()
            try:
                if earlier is not None and failed is not None:
                    generation, lane.began_seconds = earlier.generation, earlier.began_seconds
                    error, failed = failed, None
                    raise error
                with turn:
                    if before is not None:
                        await before()
                    count_bytes = self._count_bytes if is_progress else self._lanes.count_bytes
                    return await self._once(lane, action, count_bytes, before_parts=before_parts)
            except TransferError as error:
                if error.subject is None:
                    error.subject = str(location)
                verdict = verdict_of(error)
                if verdict is Verdict.RETRY_FREE and free < FREE_RETRIES:
                    free += 1
                    turn = nullcontext()
                    continue
                spent += 1
                is_silent = type(error) is WireError and not (error.answered or self.reached)
                if is_silent and spent == DOUBTED_AFTER and await self._store.speaks_tls(location.bucket):
                    raise _note_attempts(SchemeError("https"), spent, subject=error.subject) from error
                if not await self._may_repeat(location, error, verdict, generation, spent, lane.began_seconds):
                    _note_attempts(error, spent)
                    if is_silent and error.remedy is None:
                        error.remedy = UNANSWERED
                    raise
                tally.retries += 1
                self._progress.retries += 1
                turn = await self._pause(location, error, spent)

    def note_reached(self) -> None:
        """The store was reached by somebody else: it is there."""
        self.reached = True

    def ends_run(self, error: TransferError) -> bool:
        """Whether every other item would fail in the same way, so that going on only repeats the message."""
        if isinstance(error, ConnectError) and not self.reached:
            return True
        if isinstance(error, SchemeError):
            return not self.reached
        if isinstance(error, StoreError) and error.code == _SIGNATURE_REFUSED and self.reached:
            # Others were accepted with the same secret: it is this key that something on the way rewrites.
            return False
        return verdict_of(error) in (Verdict.FAIL_RUN, Verdict.REFRESH)

    def ends_all(self, error: TransferError) -> bool:
        """Whether every other request would fail in the same way, whatever bucket it is about.

        That is so without credentials that are taken, and when no connection can be made at all.
        """
        if isinstance(error, LocalFileError) or not self.ends_run(error):
            return False
        if isinstance(error, StoreError):
            return error.code in _ABOUT_THE_USER or verdict_of(error) is Verdict.REFRESH
        # A host may be named after its bucket: where another one was reached, this one is no matter of all.
        return not self.reached

    async def _once(
        self,
        lane: Lane,
        action: Callable[[Flow], Awaitable[T]],
        count_bytes: Callable[[int], None],
        *,
        before_parts: bool,
    ) -> T:
        flow = Flow(count_bytes, self.limiter)
        async with lane:
            try:
                result = await action(flow)
            except BaseException:
                flow.take_back()
                raise
        self._note_success()
        if before_parts:
            self._lanes.expect_parts(anyio.current_time() - lane.began_seconds)
        return result

    def succeeded(self, body_bytes: int) -> None:
        """Count a request that was made elsewhere, with the bytes of its body."""
        self._count_bytes(body_bytes)
        self._note_success()

    def _note_success(self) -> None:
        self.reached = True
        self._lanes.count_request()
        self._turns.count_success()

    async def _may_repeat(
        self,
        location: S3Location,
        error: TransferError,
        verdict: Verdict,
        generation: int,
        spent: int,
        began_seconds: float,
    ) -> bool:
        """Learn what the failure teaches; whether the request is worth another attempt."""
        if spent > self._allowed(error):
            return False
        if verdict in (Verdict.RETRY, Verdict.RETRY_FREE):
            if isinstance(error, StalledError):
                self._lanes.count_timeout(began_seconds)
            return True
        if verdict is Verdict.SLOW_DOWN:
            self._lanes.count_slowdown(began_seconds)
            return True
        if not isinstance(error, StoreError):
            # A store that has answered before speaks the right scheme: something on the way answered in its place.
            return isinstance(error, SchemeError) and self.reached
        if verdict is Verdict.REFRESH:
            return await self._store.renew_credentials(generation)
        if verdict is Verdict.REDIRECT:
            return await self._store.learn_region(location.bucket, error)
        if verdict is Verdict.CLOCK_SKEW:
            return self._store.learn_clock(error)
        return False

    def _allowed(self, error: TransferError) -> int:
        if isinstance(error, ConnectError) and not self.reached:
            return min(self._retries, FIRST_CONNECT_RETRIES)
        return self._retries

    async def _pause(self, location: S3Location, error: TransferError, spent: int) -> AbstractContextManager[None]:
        """Wait until the request may be repeated; in what it is to be."""
        wish = error.retry_after_seconds if isinstance(error, StoreError) else None
        delay_seconds = backoff_seconds(spent, random.random(), retry_after_seconds=wish)  # noqa: S311 - jitter
        self._on_event(RequestRetried(str(location), spent, delay_seconds, error.message))
        if not self.reached:
            # As long as nobody knows whether the store is there at all, no others take their place.
            await anyio.sleep(delay_seconds)
            return await self._turns.next()
        self._lanes.begin_pause()
        try:
            await anyio.sleep(delay_seconds)
            return await self._turns.next()
        finally:
            self._lanes.end_pause()

    def _count_bytes(self, count: int) -> None:
        self._progress.bytes_moved += count
        self._lanes.count_bytes(count)


def _note_attempts(error: TransferError, attempts: int, *, subject: str | None = None) -> TransferError:
    if attempts > 1:
        error.message = f"{error.message} (after {attempts} attempts)"
    error.subject = error.subject or subject
    return error
