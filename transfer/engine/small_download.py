"""A small object to a file: received into memory, proved there, then landed together with others."""

from __future__ import annotations

from transfer.engine.context import Context
from transfer.engine.in_memory import receive_into_memory
from transfer.engine.items import DownloadItem
from transfer.engine.receiving import WHOLE_ATTEMPTS, Fetched, Receiver, mtime_ns_of
from transfer.engine.relay_reading import checksum_of_content
from transfer.engine.verifying import matches, plan_download
from transfer.model.objects import ObjectInfo
from transfer.stores.local.landing import WholeFile
from transfer.stores.s3 import objects
from transfer.wire.flow import Flow


async def download_small(
    context: Context, item: DownloadItem, receiver: Receiver, size: int, etag: str, info: ObjectInfo | None
) -> tuple[str, Fetched]:
    """Fetch a small object in one GET, again when its checksum is wrong, and bring it to its place.

    Args:
        context: The run.
        item: What is moved.
        receiver: Counts, and takes note of what carried the body.
        size: Of the version that is meant, in bytes.
        etag: Of the same; "" when it is not known.
        info: What a HEAD told of it, when it was asked.

    Returns:
        The path as the user would write it, and what proves the bytes.

    Raises:
        ChecksumMismatchError: What arrives is not what the store keeps a checksum of, also when fetched again.
        LocalFileError: The file cannot be written.
        TransferError: What the store or the connection said; PreconditionFailed when the object changed meanwhile.
    """
    wanted = objects.Wanted(item.source, etag, size)

    async def fetch(flow: Flow) -> tuple[ObjectInfo, bytearray]:
        async with objects.get_object(context.store, wanted) as response:
            receiver.mover = response.connection.stream.receives_by
            told = info or objects.object_info(response.headers, size)
            return told, await receive_into_memory(response, size, flow)

    left = WHOLE_ATTEMPTS
    earlier = item.earlier
    if earlier is not None and earlier.error is None:
        # Its bytes were not counted.
        left -= 1
        receiver.fetched_in_vain(0)
    while True:
        left -= 1
        found, content = await context.attempts.run(item.source, fetch, receiver.tally, earlier=earlier)
        earlier = None
        plan = await plan_download(context, item.source, found, receiver.tally)
        arrived = checksum_of_content(plan, content)
        if left == 0 or matches(plan, arrived) or not plan.verification.certain:
            fetched = await receiver.conclude(plan, arrived)
            break
        receiver.fetched_in_vain(size)
    mtime_ns = mtime_ns_of(found) if item.mtime_ns is None else item.mtime_ns
    file = WholeFile(item.root, item.relative, content, mtime_ns, item.is_one_of_many)
    return await context.landings.land(file), fetched
