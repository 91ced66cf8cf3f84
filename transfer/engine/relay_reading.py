"""The reading half of a relay: ranges of an object into memory, and what all of them together prove.

Who asks for a range holds the memory for it. Nothing is sent from here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import anyio

from transfer.engine.attempts import Tally
from transfer.engine.context import Context
from transfer.engine.in_memory import receive_into_memory
from transfer.engine.ordered_digest import OrderedDigest
from transfer.engine.receiving import SMALL_RANGE_BYTES
from transfer.engine.threads import Threads
from transfer.engine.verifying import DownloadPlan, RangeDigest, checksum_of_ranges
from transfer.integrity.digests import new_digest
from transfer.integrity.verification import VerificationKind
from transfer.model.checksums import Checksum, ChecksumAlgorithm
from transfer.model.locations import S3Location
from transfer.model.objects import ObjectInfo
from transfer.model.ranges import ByteRange
from transfer.stores.s3 import objects
from transfer.wire.flow import Flow

Values = Mapping[ChecksumAlgorithm, bytes]
"""Raw checksums of the same bytes; that of NONE is empty."""


async def fetch_range(
    context: Context, location: S3Location, info: ObjectInfo, wanted: ByteRange, tally: Tally
) -> bytearray:
    """Read a range of the version that is meant.

    Raises:
        StoreError: As for any request; PreconditionFailed when the object is another one now.
        WireError: As for any request.
    """

    async def fetch(flow: Flow) -> bytearray:
        version = objects.Wanted(location, info.etag, info.size, wanted)
        async with objects.get_object(context.store, version) as response:
            return await receive_into_memory(response, wanted.length, flow)

    return await context.attempts.run(location, fetch, tally, is_progress=False)


async def fetch_whole(
    context: Context, location: S3Location, size: int, etag: str, tally: Tally
) -> tuple[ObjectInfo, bytearray]:
    """Read a small object in one request: what its answer tells of it, and its bytes.

    Raises:
        StoreError: As for any request; PreconditionFailed when it has another size or ETag now.
        WireError: As for any request.
    """

    async def fetch(flow: Flow) -> tuple[ObjectInfo, bytearray]:
        async with objects.get_object(context.store, objects.Wanted(location, etag, size)) as response:
            info = objects.object_info(response.headers, size)
            return info, await receive_into_memory(response, size, flow)

    return await context.attempts.run(location, fetch, tally, is_progress=False)


async def digest_content(threads: Threads, content: bytearray, algorithms: Iterable[ChecksumAlgorithm]) -> Values:
    """Compute checksums of bytes in memory, beside the event loop when they are many."""
    wanted = set(algorithms)

    def compute() -> Values:
        return {algorithm: _value(content, algorithm) for algorithm in wanted}

    return compute() if len(content) <= SMALL_RANGE_BYTES else await threads.run(compute)


def checksum_of_content(plan: DownloadPlan, content: bytes | bytearray) -> Checksum:
    """That of a whole object in memory, in the form it is compared in. Blocks while it computes."""
    digest = OrderedDigest(plan)
    digest.update(memoryview(content))
    return digest.checksum()


def combines(plan: DownloadPlan) -> bool:
    """Whether the checksums of ranges, wherever they are cut, make that of the object."""
    return plan.verification.kind in (VerificationKind.COMBINED_CRC, VerificationKind.NONE)


class Arrival:
    """What the ranges of one pass over an object prove; each is taken once.

    Checksums that do not combine are computed in order: a range waits for those before it, so ranges must be begun in
    order, each with its memory.
    """

    def __init__(self, plan: DownloadPlan, threads: Threads, known: Sequence[RangeDigest] = ()) -> None:
        """Begin a pass.

        Args:
            plan: What is compared.
            threads: Where checksums are computed.
            known: Digests of ranges that will not come, by the plan's algorithm; only for plans that combine.
        """
        self._plan: Final = plan
        self._threads: Final = threads
        self._digests: Final = list(known)
        self._ordered: Final = None if combines(plan) else OrderedDigest(plan)
        self._taken: Final[dict[int, anyio.Event]] = {}

    @property
    def algorithms(self) -> frozenset[ChecksumAlgorithm]:
        """Whose values `take` wants."""
        return frozenset() if self._ordered else frozenset({self._plan.verification.algorithm})

    async def take(self, wanted: ByteRange, content: bytearray, values: Values) -> None:
        """Take a range: its bytes, and their checksums by `algorithms`."""
        ordered = self._ordered
        if ordered is None:
            self._digests.append(RangeDigest(wanted, values[self._plan.verification.algorithm]))
            return
        if wanted.number > 1:
            await self._event(wanted.number - 1).wait()
        await self._threads.run(lambda: ordered.update(memoryview(content)))
        self._event(wanted.number).set()

    def checksum(self) -> Checksum:
        """That of the object, once all ranges are taken."""
        return self._ordered.checksum() if self._ordered else checksum_of_ranges(self._plan, self._digests, None)

    def _event(self, number: int) -> anyio.Event:
        return self._taken.setdefault(number, anyio.Event())


def _value(content: bytearray, algorithm: ChecksumAlgorithm) -> bytes:
    if algorithm is ChecksumAlgorithm.NONE:
        return b""
    digest = new_digest(algorithm)
    digest.update(content)
    return digest.value()
