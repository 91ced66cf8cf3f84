"""An object to a local file: into a temporary file, proved, then given its name.

Way of a byte: from the socket into a buffer that stays in the core's cache, where its CRC is computed, and from there
into the file at its place. The checksums of the ranges combine into that of the object, which is compared with what the
store keeps. Only then does the file get its name. Small objects come in one request, large ones in ranges; the smallest
are received into memory (`small_download`).
"""

from __future__ import annotations

import time
from typing import Final

from transfer.engine.context import Context
from transfer.engine.fingerprints import finished_object
from transfer.engine.items import DownloadItem, FolderItem
from transfer.engine.job import Job
from transfer.engine.ranged_download import RangedDownload
from transfer.engine.reasons import mover_reason
from transfer.engine.receiving import WHOLE_ATTEMPTS, Fetched, Receiver
from transfer.engine.small_download import download_small
from transfer.engine.verifying import RangeDigest, matches, part_algorithm, plan_download
from transfer.integrity.verification import VerificationKind, choose_verification
from transfer.model.checksums import VerifiedBy
from transfer.model.objects import ObjectInfo
from transfer.model.ranges import ByteRange
from transfer.model.receipts import Mover, Receipt
from transfer.plan.parts import SMALL_BODY_BYTES
from transfer.stores.local.durable import DurableFile, make_folder
from transfer.stores.s3 import objects
from transfer.wire.flow import Flow

WHOLE_OBJECT_BYTES: Final = 8 * 1024 * 1024
"""An object of at most this size comes in one plain GET: its answer carries the stored checksum, so that an object
known from a listing needs no HEAD."""


async def download_object(context: Context, job: Job, item: DownloadItem) -> Receipt:
    """Move one object into a file; a large one goes on from where an earlier run was stopped.

    Raises:
        HeldError: Another process moves it.
        ChecksumMismatchError: What arrives is not what the store keeps a checksum of, also when fetched again.
        LocalFileError: The file cannot be written.
        TransferError: What the store or the connection said; PreconditionFailed when the object changed meanwhile.
    """
    started_seconds = time.monotonic()
    receiver = Receiver(context, item.source)
    whole = _WholeDownload(context, item, receiver)
    size, etag = await whole.identify()
    resumed_bytes = 0
    if whole.info is not None and size > WHOLE_OBJECT_BYTES:
        ranged = RangedDownload(context, item, receiver)
        path, (plan, arrived, proof) = await ranged.run(job, whole.info)
        resumed_bytes = ranged.resumed_bytes
    else:
        if size <= SMALL_BODY_BYTES:
            path, (plan, arrived, proof) = await download_small(context, item, receiver, size, etag, whole.info)
        else:
            path, (plan, arrived, proof) = await whole.land(size, etag)
        if context.counts_as_finished(proof):
            job.note_finished(item.path, finished_object(size, plan.info.etag), size)
    return Receipt(
        source=str(item.source),
        destination=path,
        size=size,
        etag=plan.info.etag,
        version_id=plan.info.version_id,
        checksum=arrived,
        verified_by=proof,
        seconds=time.monotonic() - started_seconds,
        retries=receiver.tally.retries,
        mover=receiver.mover if size else Mover.NONE,
        mover_reason=mover_reason(receiver.mover, None) if size else None,
        resumed_bytes=resumed_bytes,
    )


async def make_marked_folder(context: Context, item: FolderItem) -> Receipt:
    """Make the folder that an empty `name/` object stands for.

    Raises:
        LocalFileError: It cannot be made.
    """
    started_seconds = time.monotonic()
    root, relative = item.root, item.relative
    await context.threads.run(lambda: make_folder(root, relative))
    return Receipt(
        source=str(item.source),
        destination=f"{root.rstrip('/')}/{relative}",
        size=0,
        etag="",
        version_id=None,
        checksum=None,
        verified_by=VerifiedBy.NOTHING_TO_VERIFY,
        seconds=time.monotonic() - started_seconds,
        retries=0,
        mover=Mover.NONE,
    )


class _WholeDownload:
    """One small object's download, and which version of an object is meant."""

    def __init__(self, context: Context, item: DownloadItem, receiver: Receiver) -> None:
        self._context = context
        self._item = item
        self._location = item.source
        self._listed = item.listed
        self._receiver = receiver
        self.info: ObjectInfo | None = None

    async def identify(self) -> tuple[int, str]:
        """Size and ETag of the version that is meant: from the listing of a small object, else from the store."""
        if self._listed is not None and self._listed.size <= WHOLE_OBJECT_BYTES:
            return self._listed.size, self._listed.etag
        info = self.info = await self._context.attempts.run(
            self._location,
            lambda _: objects.head_object(self._context.store, self._location),
            self._receiver.tally,
            before_parts=True,
        )
        self._context.progress.bytes_planned += info.size - (self._listed.size if self._listed else 0)
        return info.size, info.etag

    async def land(self, size: int, etag: str) -> tuple[str, Fetched]:
        """Bring the object to its place; the path as the user would write it."""
        item = self._item
        landing = await self._context.threads.run(
            lambda: DurableFile.create(item.root, item.relative, size, keeps_spelling=item.is_one_of_many)
        )
        try:
            fetched = await self._fetch(landing, size, etag)
            await self._receiver.commit(landing, fetched[0].info, item.mtime_ns)
        finally:
            landing.discard()
        return landing.path, fetched

    async def _fetch(self, landing: DurableFile, size: int, etag: str) -> Fetched:
        """Fetch a small object in one GET, and again when its checksum is wrong."""
        whole = ByteRange(1, 0, size)
        left = WHOLE_ATTEMPTS
        while True:
            left -= 1
            info, value = await self._fetch_once(landing, whole, etag)
            plan = await plan_download(self._context, self._location, info, self._receiver.tally)
            if plan.verification.kind is VerificationKind.COMPOSITE:
                digests = [
                    await self._receiver.digest(landing, wanted, plan.part_algorithm) for wanted in plan.ranges()
                ]
            elif value is not None and plan.verification == choose_verification(info):
                digests = [RangeDigest(whole, value)]
            else:
                digests = [await self._receiver.digest(landing, whole, plan.part_algorithm)]
            arrived = await self._receiver.checksum(landing, plan, digests)
            if left == 0 or matches(plan, arrived) or not plan.verification.certain:
                return await self._receiver.conclude(plan, arrived)
            self._receiver.fetched_in_vain(size)

    async def _fetch_once(self, landing: DurableFile, whole: ByteRange, etag: str) -> tuple[ObjectInfo, bytes | None]:
        """Move a whole object into the file: what its answer told, and its CRC."""

        async def fetch(flow: Flow) -> tuple[ObjectInfo, bytes | None]:
            wanted = objects.Wanted(self._location, etag, whole.length)
            async with objects.get_object(self._context.store, wanted) as response:
                info = self.info or objects.object_info(response.headers, whole.length)
                algorithm = part_algorithm(choose_verification(info))
                return info, await self._receiver.receive(response, landing, whole, algorithm, flow)

        return await self._context.attempts.run(self._location, fetch, self._receiver.tally)
