"""All keys below a prefix in the order of their bytes, with pages fetched ahead in parallel.

Which page to ask for is `transfer.plan.frontier`'s to say; this module asks. One page after the other is as fast as it
gets where the processor reads pages slower than the store sends them. Only while whoever takes the keys waits, and the
processor is idle meanwhile, more pages are asked for at a time.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from typing import Final

import anyio
from anyio.abc import TaskGroup

from transfer.engine.attempts import Tally
from transfer.engine.context import Context
from transfer.engine.spread import plain_task_group
from transfer.model.errors import TransferError
from transfer.model.locations import S3Location
from transfer.model.objects import ListPage
from transfer.plan.frontier import Frontier
from transfer.plan.segments import Batch, PageRequest
from transfer.stores.s3.listing import list_page
from transfer.system.processor import busy_seconds

AHEAD_PAGES: Final = 64
"""Pages asked for or not yet taken, at most: 64,000 keys, about 30 MB. At 100 ms a page they make 640 pages a second,
more than one core reads."""
FIRST_AHEAD_PAGES: Final = 4
"""What the first wait leads to; it doubles with each further one."""
FEWEST_AHEAD_PAGES: Final = 2
LOOK_SECONDS: Final = 0.02
"""Shorter stretches do not tell how busy the process is."""
IDLE_SHARE, BUSY_SHARE = 0.8, 0.9
"""A process that computes for less of the time waits for the store; one that does for more gains nothing by asking for
more pages at a time, and each then comes in smaller pieces."""


async def list_keys(
    context: Context, bucket: str, prefix: str, *, needs_order: bool = True, is_sorted_on_disk: bool = False
) -> AsyncGenerator[Batch, None]:
    """All objects whose keys start with a prefix, in batches that are never empty.

    Close the iterator (`contextlib.aclosing`) where it may not be taken to its end: that ends the requests still going.

    Args:
        context: The run.
        bucket: Its name.
        prefix: Taken as it is; a key equal to it is among the keys.
        needs_order: Keys come in the order of their UTF-8 bytes or not at all. Without it they come in the store's
            order, which is the same for nearly every store.
        is_sorted_on_disk: List everything first, one page after the other, and sort it on disk: for stores that do not
            keep the order. No key comes twice then.

    Raises:
        UnorderedListingError: The store breaks the order, which is needed and is not made on disk.
        ProtocolError: The listing goes in circles (`transfer.plan.advancing`), or keys are outside of the prefix.
        StoreError: The store refused.
        WireError: The conversation failed.
    """
    is_parallel = context.tasks is not None and not is_sorted_on_disk
    frontier = Frontier(bucket, prefix, needs_order=needs_order and not is_sorted_on_disk, may_split=is_parallel)
    batches = _batches(context, bucket, prefix, frontier)
    try:
        if not is_sorted_on_disk:
            async for batch in batches:
                yield batch
            return
        from transfer.engine.external_sort import sorted_on_disk

        in_order = sorted_on_disk(context.threads, batches)
        try:
            async for batch in in_order:
                yield batch
        finally:
            await in_order.aclose()
    finally:
        await batches.aclose()


async def _batches(context: Context, bucket: str, prefix: str, frontier: Frontier) -> AsyncGenerator[Batch, None]:
    """What the frontier hands out, asking for pages as long as it needs some."""
    reader = _Reader(context, bucket, prefix, frontier)
    await reader.ask_once()
    try:
        while True:
            batch = frontier.take()
            if batch is None:
                if frontier.is_finished:
                    return
                await reader.wait()
                continue
            reader.go_on()
            yield batch
    finally:
        await reader.aclose()


class _Reader:
    """Asks for the pages of a frontier in the background, once there is more than the first one."""

    def __init__(self, context: Context, bucket: str, prefix: str, frontier: Frontier) -> None:
        self._context: Final = context
        self._bucket: Final = bucket
        self._prefix: Final = prefix
        self._frontier: Final = frontier
        self._scope: Final = anyio.CancelScope()
        self._ended: Final = anyio.Event()
        self._news = anyio.Event()
        self._tasks: TaskGroup | None = None
        self._has_started = False
        self._error: Exception | None = None
        self._in_flight = 0
        self._ahead_pages = 1
        self._useful_before = 0
        self._looked_seconds = time.monotonic()
        self._busy_seconds = busy_seconds()

    async def ask_once(self) -> None:
        """Ask for the next page and wait for it."""
        request = self._frontier.next_request(1)
        if request is not None:
            await self._answer(request)

    def go_on(self) -> None:
        """A batch was taken: ask for the pages that there is room for now."""
        if self._context.tasks is None or self._frontier.is_finished:
            return
        if not self._has_started:
            self._has_started = True
            self._context.tasks.start_soon(self._run)
        self._ask()

    async def wait(self) -> None:
        """Wait until a page has come; look for more at a time when the processor has nothing else to do.

        Raises:
            ClosedResourceError: The run was closed meanwhile.
        """
        if self._context.tasks is None:
            await self.ask_once()
            return
        self._widen()
        self.go_on()
        await self._news.wait()
        if self._error is not None:
            raise self._error
        if self._ended.is_set():
            raise anyio.ClosedResourceError
        self._news = anyio.Event()

    async def aclose(self) -> None:
        """End the requests that are still going."""
        self._scope.cancel()
        if self._has_started:
            with anyio.CancelScope(shield=True):
                await self._ended.wait()

    async def _run(self) -> None:
        try:
            with self._scope:
                async with plain_task_group() as tasks:
                    self._tasks = tasks
                    self._ask()
                    await anyio.sleep_forever()
        except Exception as error:  # noqa: BLE001 - handed to whoever takes the keys
            self._error = error
        finally:
            self._tasks = None
            self._ended.set()
            self._news.set()

    def _ask(self) -> None:
        # Others whose requests wait for lanes come first: those move bytes, these only look ahead.
        lanes = self._context.lanes
        while self._tasks is not None and (
            self._in_flight == 0 or (self._in_flight < lanes.limit and lanes.waiting == 0)
        ):
            request = self._frontier.next_request(self._ahead_pages)
            if request is None:
                return
            self._in_flight += 1
            self._tasks.start_soon(self._fetch, request)

    async def _fetch(self, request: PageRequest) -> None:
        useless_before = self._frontier.useless
        try:
            await self._answer(request)
        finally:
            self._in_flight -= 1
        self._narrow(self._frontier.useless - useless_before)
        self._news.set()
        self._ask()

    async def _answer(self, request: PageRequest) -> None:
        try:
            page = await self._page(request)
        except TransferError as error:
            self._frontier.fail(request, error)
        else:
            self._frontier.accept(request, page)

    async def _page(self, request: PageRequest) -> ListPage:
        return await self._context.attempts.run(
            S3Location(self._bucket, self._prefix),
            lambda _: list_page(
                self._context.store,
                self._bucket,
                self._prefix,
                start_after=request.start_after,
                token=request.token,
                page_keys=request.page_keys,
            ),
            Tally(),
        )

    def _widen(self) -> None:
        seconds = time.monotonic() - self._looked_seconds
        if seconds < LOOK_SECONDS:
            return
        busy = busy_seconds()
        spent_seconds = busy - self._busy_seconds
        self._looked_seconds, self._busy_seconds = time.monotonic(), busy
        if spent_seconds > BUSY_SHARE * seconds:
            self._narrow(self._ahead_pages // 4)
        elif (
            spent_seconds < IDLE_SHARE * seconds
            and self._frontier.useful - self._useful_before >= self._ahead_pages // 2
        ):
            self._ahead_pages = min(AHEAD_PAGES, max(FIRST_AHEAD_PAGES, 2 * self._ahead_pages))
            self._useful_before = self._frontier.useful

    def _narrow(self, useless: int) -> None:
        if self._ahead_pages > FEWEST_AHEAD_PAGES:
            self._ahead_pages = max(FEWEST_AHEAD_PAGES, self._ahead_pages - useless)
