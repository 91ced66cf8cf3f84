"""One step: so many workers, each making one request after another, until the time or the work is over.

Nothing is hidden in a latency: every attempt is measured for itself, pauses before another are no part of it, and
connections are opened before the clock starts.
"""

from __future__ import annotations

import random
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

import anyio

from transfer.engine.bench.actions import Action, Actions
from transfer.engine.bench.recording import Recorder, joined
from transfer.engine.bench.requests import HOP_BYTES
from transfer.engine.context import Context
from transfer.engine.spread import plain_task_group
from transfer.model.bench import BenchOperation, BenchOptions, BenchTick, StepResult
from transfer.model.errors import TransferError
from transfer.model.locations import S3Location
from transfer.plan.retry import Verdict, backoff_seconds, verdict_of
from transfer.plan.sizes import format_size
from transfer.stores.s3.store import Call

TICK_SECONDS: Final = 0.2
HOPELESS_ATTEMPTS: Final = 20
"""After so many failures and no success a step only repeats its message."""
_PASSING: Final = (Verdict.RETRY, Verdict.RETRY_FREE, Verdict.SLOW_DOWN)


class Step:
    """An operation at one size and one concurrency."""

    def __init__(
        self,
        context: Context,
        bucket: S3Location,
        actions: Actions,
        options: BenchOptions,
        operation: BenchOperation,
        size_bytes: int,
        concurrency: int,
    ) -> None:
        self._context: Final = context
        self._bucket: Final = bucket
        self._actions: Final = actions
        self._options: Final = options
        self._operation: Final = operation
        self._size_bytes: Final = size_bytes
        self._concurrency: Final = concurrency
        self._recorders: Final[dict[BenchOperation, Recorder]] = {}
        self._begun = 0
        self._begun_bytes = 0
        self._began_seconds = 0.0

    @property
    def title(self) -> str:
        """`get 1.0 MiB, 8 at once`."""
        return step_title(self._operation, self._size_bytes, self._concurrency)

    async def run(self, tell: Callable[[BenchTick], Awaitable[None]]) -> StepResult:
        """Measure.

        Raises:
            TransferError: Nothing ended well, or every further request would fail in the same way.
        """
        await self._connect()
        cpu_seconds = time.process_time()
        self._began_seconds = time.perf_counter()
        async with plain_task_group() as watching:
            watching.start_soon(self._keep_telling, tell)
            async with plain_task_group() as workers:
                for _ in range(self._concurrency):
                    workers.start_soon(self._work)
            seconds = time.perf_counter() - self._began_seconds
            watching.cancel_scope.cancel()
        cpu_seconds = time.process_time() - cpu_seconds
        whole = joined(self._operation, self._recorders.values())
        parts = sorted(self._recorders.values(), key=lambda one: list(BenchOperation).index(one.operation))
        return StepResult(
            operation=self._operation,
            size_bytes=self._size_bytes,
            concurrency=self._concurrency,
            seconds=seconds,
            cpu_seconds=cpu_seconds,
            total=whole.result(),
            parts=tuple(one.result() for one in parts) if self._operation is BenchOperation.MIXED else (),
        )

    async def _connect(self) -> None:
        """Open connections: all ask at once, so each asks on one of its own, which the pool then lends."""

        async def ask() -> None:
            with suppress(TransferError):
                async with self._context.store.exchange(Call("HEAD", self._bucket)):
                    pass

        async with plain_task_group() as tasks:
            for _ in range(self._concurrency):
                tasks.start_soon(ask)

    async def _work(self) -> None:
        hop = memoryview(bytearray(min(HOP_BYTES, self._size_bytes) or 1))
        while self._may_begin():
            action = self._actions.next(hop)
            if action is None:
                return
            self._begun += 1
            if action.operation in (BenchOperation.PUT, BenchOperation.GET):
                self._begun_bytes += self._size_bytes
            is_done = False
            try:
                is_done = await self._perform(action)
            finally:
                action.settle(is_done)

    def _may_begin(self) -> bool:
        if self._options.requests is not None:
            is_left = self._begun < self._options.requests
        else:
            is_left = time.perf_counter() - self._began_seconds < self._options.seconds
        may_move = self._begun_bytes + self._size_bytes <= self._options.max_step_bytes
        return is_left and may_move

    async def _perform(self, action: Action) -> bool:
        """Make one request, again when it failed in a passing way; whether it ended well at last."""
        recorder = self._recorders.setdefault(action.operation, Recorder(action.operation))
        spent = 0
        while True:
            generation = self._context.store.credentials_generation
            began_seconds = time.perf_counter()
            try:
                done = await action.attempt()
            except TransferError as error:
                recorder.add_error(error)
                spent += 1
                if not await self._may_repeat(error, generation, spent):
                    recorder.failed += 1
                    return False
                recorder.retries += 1
            else:
                seconds = time.perf_counter() - began_seconds
                recorder.add(seconds, done.objects, done.bytes, done.first_byte_seconds)
                return True

    async def _may_repeat(self, error: TransferError, generation: int, spent: int) -> bool:
        """Whether one more attempt is due, after the pause it needs.

        Raises:
            TransferError: The failure itself, when no other request would do better.
        """
        verdict = verdict_of(error)
        is_renewed = verdict is Verdict.REFRESH and await self._context.store.renew_credentials(generation)
        if verdict in (Verdict.FAIL_RUN, Verdict.REFRESH) and not is_renewed:
            raise error
        done = sum(recorder.latency.count for recorder in self._recorders.values())
        failed = sum(recorder.errors.total() for recorder in self._recorders.values())
        if not done and failed >= min(HOPELESS_ATTEMPTS, self._options.requests or HOPELESS_ATTEMPTS):
            raise error
        if spent > self._options.retries or not (is_renewed or verdict in _PASSING):
            return False
        if verdict is not Verdict.RETRY_FREE:
            await anyio.sleep(backoff_seconds(spent, random.random(), retry_after_seconds=None))  # noqa: S311 - jitter
        return True

    async def _keep_telling(self, tell: Callable[[BenchTick], Awaitable[None]]) -> None:
        while True:
            await anyio.sleep(TICK_SECONDS)
            whole = joined(self._operation, self._recorders.values())
            p99 = whole.latency.percentile(99) if whole.latency.count else None
            await tell(
                BenchTick(self.title, time.perf_counter() - self._began_seconds, whole.objects, whole.bytes, p99)
            )


def step_title(operation: BenchOperation, size_bytes: int, concurrency: int) -> str:
    """`get 1.0 MiB, 8 at once`."""
    size = f" {format_size(size_bytes)}" if operation.depends_on_size else ""
    return f"{operation.value}{size}, {concurrency} at once"
