"""An object to a stream, such as standard output: ranges fetched ahead in parallel, written in order.

The span of what is fetched ahead is bounded, so memory is too. What has been written cannot be taken back: a checksum
that differs is told at the end.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import anyio

from transfer.engine.attempts import Tally
from transfer.engine.context import Context
from transfer.engine.reasons import STREAM, mover_reason
from transfer.engine.spread import plain_task_group
from transfer.engine.verifying import (
    DownloadPlan,
    RangeDigest,
    checksum_of_ranges,
    matches,
    mismatch,
    plan_download,
    verified_by,
)
from transfer.integrity.digests import Digest, new_digest
from transfer.integrity.verification import VerificationKind
from transfer.model.errors import LocalFileError, ProtocolError
from transfer.model.locations import S3Location
from transfer.model.ranges import ByteRange
from transfer.model.receipts import Mover, Receipt
from transfer.stores.s3 import objects
from transfer.wire.flow import Flow

AHEAD_BYTES: Final = 64 * 1024 * 1024
"""How far fetching may be ahead of writing: eight ranges of the usual size keep a fast store busy."""
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
    arrived = checksum_of_ranges(plan, reading.digests, reading.whole.value())
    if not matches(plan, arrived):
        raise mismatch(plan, location, arrived)
    return Receipt(
        source=str(location),
        destination=STREAM_NAME,
        size=info.size,
        etag=info.etag,
        version_id=info.version_id,
        checksum=arrived,
        verified_by=verified_by(plan),
        seconds=time.monotonic() - started_seconds,
        retries=tally.retries,
        mover=Mover.BUFFER if info.size else Mover.NONE,
        mover_reason=mover_reason(Mover.BUFFER, STREAM) if info.size else None,
    )


class _Reading:
    def __init__(self, context: Context, location: S3Location, plan: DownloadPlan, write: Write, tally: Tally) -> None:
        self._context = context
        self._location = location
        self._plan = plan
        self._write = write
        self._tally = tally
        self._needs_whole = plan.verification.kind is VerificationKind.WHOLE_FILE
        self.whole: Digest = new_digest(plan.verification.algorithm)
        self.digests: list[RangeDigest] = []

    async def run(self) -> None:
        """Fetch ahead and write in order until the object ends."""
        ahead = max(2, AHEAD_BYTES // self._plan.part_size_bytes)
        ranges = self._plan.ranges()
        slots: dict[int, _Slot] = {}
        async with plain_task_group() as tasks:
            started = 0
            for position in range(len(ranges)):
                while started < len(ranges) and started - position < ahead:
                    slot = slots[started] = _Slot(ranges[started])
                    tasks.start_soon(self._fetch, slot)
                    started += 1
                slot = slots.pop(position)
                await slot.arrived.wait()
                await self._context.threads.run_abandonable(partial(self._put, slot))

    async def _fetch(self, slot: _Slot) -> None:
        async def fetch(flow: Flow) -> None:
            async with objects.get_object(
                self._context.store, self._location, self._plan.info.etag or None, slot.wanted
            ) as response:
                if response.length != slot.wanted.length:
                    raise ProtocolError(f"the store sent {response.length} bytes, not {slot.wanted.length}")
                slot.content = bytearray(slot.wanted.length)
                view = memoryview(slot.content)
                while view:
                    got = await response.read_into(view[: flow.step_bytes])
                    view = view[got:]
                    flow.moved(got)
                    await flow.admit(got)

        await self._context.attempts.run(self._location, fetch, self._tally)
        slot.arrived.set()

    def _put(self, slot: _Slot) -> None:
        """Write one range and digest it. Blocks."""
        view = memoryview(slot.content)
        digest = new_digest(self._plan.part_algorithm)
        digest.update(view)
        if self._needs_whole:
            self.whole.update(view)
        self.digests.append(RangeDigest(slot.wanted, digest.value()))
        try:
            self._write(view)
        except OSError as error:
            raise LocalFileError.from_os_error(error, STREAM_NAME) from error
