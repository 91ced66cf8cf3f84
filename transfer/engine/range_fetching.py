"""One range of an object into a file. Any process that has the file open can do it."""

from __future__ import annotations

from transfer.engine.context import Context
from transfer.engine.receiving import Landing, Receiver
from transfer.engine.verifying import RangeDigest
from transfer.model.checksums import ChecksumAlgorithm
from transfer.model.locations import S3Location
from transfer.model.ranges import ByteRange
from transfer.model.values import dataclass
from transfer.stores.s3 import objects
from transfer.wire.flow import Flow


@dataclass(frozen=True, slots=True)
class RangeToFetch:
    """What is to be fetched: a range of the version of an object that has this ETag and this size in bytes."""

    location: S3Location
    etag: str
    size: int
    wanted: ByteRange
    algorithm: ChecksumAlgorithm


async def fetch_range(context: Context, receiver: Receiver, landing: Landing, range_: RangeToFetch) -> RangeDigest:
    """Bring a range to its place; cancelling it stops all writing before it returns.

    Raises:
        TransferError: What the disk, the store or the connection said.
    """
    wanted = range_.wanted

    async def fetch(flow: Flow) -> bytes | None:
        version = objects.Wanted(range_.location, range_.etag, range_.size, wanted)
        async with objects.get_object(context.store, version) as response:
            return await receiver.receive(response, landing, wanted, range_.algorithm, flow)

    value = await context.attempts.run(range_.location, fetch, receiver.tally)
    if value is not None:
        return RangeDigest(wanted, value)
    # The lane is free by now: another request starts while this range is digested.
    return await receiver.digest(landing, wanted, range_.algorithm)
