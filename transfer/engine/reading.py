"""An object to a stream, such as standard output: ranges fetched ahead in parallel, written in order.

The span of what is fetched ahead is bounded, so memory is too. What has been written cannot be taken back: a checksum
that differs is told at the end.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Final

import anyio

from transfer.engine.attempts import Tally
from transfer.engine.context import Context
from transfer.engine.in_memory import receive_into_memory
from transfer.engine.ordered_digest import OrderedDigest
from transfer.engine.reasons import STREAM, mover_reason
from transfer.engine.spread import plain_task_group
from transfer.engine.verifying import DownloadPlan, conclude, plan_download
from transfer.model.errors import LocalFileError
from transfer.model.locations import S3Location
from transfer.model.ranges import ByteRange
from transfer.model.receipts import Mover, Receipt
from transfer.plan.parts import split_ranges
from transfer.stores.s3 import objects
from transfer.wire.flow import Flow

PIECE_BYTES: Final = 8 * 1024 * 1024
"""Fetched in one request; the part size of the object does not matter, since bytes are digested in order."""
AHEAD_PIECES: Final = 6
"""How far fetching may be ahead of writing: six pieces keep a fast store busy and hold 48 MiB; with eight the process
peaked at 131 MB where a file's download peaks at 49."""
STREAM_NAME: Final = "-"

Write = Callable[[memoryview], object]


@dataclass(slots=True)
class _Slot:
    wanted: ByteRange
    content: bytearray = field(default_factory=bytearray)
    arrived: anyio.Event = field(default_factory=anyio.Event)


async def read_object(context: Context, location: S3Location, write: Write) -> Receipt:
    """Write an object's bytes in order.

    Args:
        context: The run.
        location: The object.
        write: Takes each run of bytes; called in a worker thread, it may block.

    Raises:
        ChecksumMismatchError: What was written is not what the store keeps a checksum of.
        LocalFileError: `write` failed.
        TransferError: What the store or the connection said.
    """
    started_seconds = time.monotonic()
    tally = Tally()
    info = await context.attempts.run(location, lambda _: objects.head_object(context.store, location), tally)
    context.progress.bytes_planned += info.size
    plan = await plan_download(context, location, info, tally)
    reading = _Reading(context, location, plan, write, tally)
    await reading.run()
    arrived = reading.digest.checksum()
    proof = await conclude(context, location, plan, arrived, tally)
    return Receipt(
        source=str(location),
        destination=STREAM_NAME,
        size=info.size,
        etag=info.etag,
        version_id=info.version_id,
        checksum=arrived,
        verified_by=proof,
        seconds=time.monotonic() - started_seconds,
        retries=tally.retries,
        mover=Mover.BUFFER if info.size else Mover.NONE,
        mover_reason=mover_reason(Mover.BUFFER, STREAM) if info.size else None,
    )


class _Reading:
    def __init__(self, context: Context, location: S3Location, plan: DownloadPlan, write: Write, tally: Tally) -> None:
        self._context = context
        self._location = location
        self._info = plan.info
        self._write = write
        self._tally = tally
        self.digest = OrderedDigest(plan)

    async def run(self) -> None:
        """Fetch ahead and write in order until the object ends."""
        pieces = split_ranges(self._info.size, PIECE_BYTES)
        slots: deque[_Slot] = deque()
        async with plain_task_group() as tasks:
            while True:
                for piece in islice(pieces, AHEAD_PIECES - len(slots)):
                    slots.append(_Slot(piece))
                    tasks.start_soon(self._fetch, slots[-1])
                if not slots:
                    return
                slot = slots.popleft()
                await slot.arrived.wait()
                await self._context.threads.run_abandonable(partial(self._put, slot))

    async def _fetch(self, slot: _Slot) -> None:
        async def fetch(flow: Flow) -> None:
            wanted = objects.Wanted(self._location, self._info.etag, self._info.size, slot.wanted)
            async with objects.get_object(self._context.store, wanted) as response:
                slot.content = await receive_into_memory(response, slot.wanted.length, flow)

        await self._context.attempts.run(self._location, fetch, self._tally)
        slot.arrived.set()

    def _put(self, slot: _Slot) -> None:
        """Write one range and digest it. Blocks."""
        view = memoryview(slot.content)
        self.digest.update(view)
        try:
            self._write(view)
        except OSError as error:
            raise LocalFileError.from_os_error(error, STREAM_NAME) from error
