"""An object from one store to another, through this process and proved at both ends.

Way of a byte: from one socket into memory, where it is digested, and from there to the other socket. The checksum of
what arrived is compared with the one that the source keeps before the object gets its name at the destination, and the
destination proves what it took as for any upload. Bytes in memory are bounded for the whole run.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Final

from transfer.engine.attempts import Tally
from transfer.engine.context import Context
from transfer.engine.copied_properties import CopyHeaders, headers_of_copy
from transfer.engine.fingerprints import finished_object
from transfer.engine.items import CopyItem
from transfer.engine.job import Job
from transfer.engine.reasons import RELAY, mover_reason
from transfer.engine.receiving import SMALL_RANGE_BYTES, WHOLE_ATTEMPTS
from transfer.engine.relay_parts import PartsRelay
from transfer.engine.relay_reading import checksum_of_content, digest_content, fetch_whole
from transfer.engine.uploading import MULTIPART_THRESHOLD_BYTES, Proof, body_headers, prove, upload_with_fallback
from transfer.engine.verifying import DownloadPlan, conclude, plan_download
from transfer.integrity.digests import encode_value
from transfer.model.checksums import Checksum, ChecksumAlgorithm, VerifiedBy
from transfer.model.errors import ChecksumMismatchError, UsageError
from transfer.model.objects import ObjectInfo
from transfer.model.receipts import Mover, Receipt
from transfer.model.values import dataclass
from transfer.plan.parts import choose_part_size_bytes, is_multipart
from transfer.stores.s3 import objects

_STRENGTH: Final = (
    VerifiedBy.UNVERIFIED,
    VerifiedBy.PARTS,
    VerifiedBy.MD5_ETAG,
    VerifiedBy.COMPOSITE,
    VerifiedBy.FULL_OBJECT,
)


@dataclass(frozen=True, slots=True)
class _Relayed:
    info: ObjectInfo
    arrived_by: VerifiedBy
    proof: Proof
    mover: Mover
    tags_unread: bool = False
    resumed_bytes: int = 0


async def relay_object(context: Context, job: Job, item: CopyItem) -> Receipt:
    """Move one object from the store of `context` to that of its destination.

    A large one goes on from where an earlier run was stopped.

    Raises:
        HeldError: Another process moves it.
        ChecksumMismatchError: What arrives is not what the source keeps a checksum of, also when fetched again; or the
            destination holds other bytes than it was sent.
        UsageError: No part size fits it, or its properties cannot be sent.
        TransferError: What a store or a connection said; PreconditionFailed when the source changed meanwhile.
    """
    started_seconds = time.monotonic()
    tally = Tally()
    done = await _Relay(context, job, item, tally).run()
    size = done.info.size
    return Receipt(
        source=str(item.source),
        destination=str(item.destination),
        size=size,
        etag=done.proof.etag,
        version_id=done.proof.version_id,
        checksum=done.proof.checksum,
        verified_by=weaker(done.arrived_by, done.proof.verified_by),
        seconds=time.monotonic() - started_seconds,
        retries=tally.retries,
        mover=done.mover if size else Mover.NONE,
        mover_reason=mover_reason(done.mover, RELAY) if size else None,
        resumed_bytes=done.resumed_bytes,
        tags_unread=done.tags_unread,
    )


def weaker(read_by: VerifiedBy, written_by: VerifiedBy) -> VerifiedBy:
    """What proves that two stores hold the same bytes: no more than the weaker of the two proofs.

    Nothing does when the source keeps no checksum, however well the destination proves what it was sent.
    """
    return min(read_by, written_by, key=_STRENGTH.index)


class _Relay:
    """One object's way, and the choice between one request and many."""

    def __init__(self, context: Context, job: Job, item: CopyItem, tally: Tally) -> None:
        self._context = context
        self._destination = context.destination
        self._job = job
        self._item = item
        self._tally = tally

    async def run(self) -> _Relayed:
        await self._check_not_onto_itself()
        listed = self._item.listed
        if listed is not None and not self._goes_in_parts(listed.size):
            return await self._in_one(listed.size, listed.etag)
        info = await self._context.attempts.run(
            self._item.source, lambda _: objects.head_object(self._context.store, self._item.source), self._tally
        )
        self._context.progress.bytes_planned += info.size - (listed.size if listed else 0)
        if self._goes_in_parts(info.size):
            return await self._in_parts(info)
        return await self._in_one(info.size, info.etag)

    async def _check_not_onto_itself(self) -> None:
        """Another user of the same store may not move an object onto itself either."""
        source, destination = self._item.source, self._item.destination
        if source != destination:
            return
        bucket = source.bucket
        if await self._context.store.address_of(bucket) == await self._destination.store.address_of(bucket):
            raise UsageError("it would be copied onto itself", subject=str(source), remedy="name another destination")

    def _goes_in_parts(self, size: int) -> bool:
        part_size_bytes = choose_part_size_bytes(size, self._context.options.part_size_bytes)
        return is_multipart(size, part_size_bytes, MULTIPART_THRESHOLD_BYTES)

    async def _in_parts(self, info: ObjectInfo) -> _Relayed:
        plan = await plan_download(self._context, self._item.source, info, self._tally)
        headers = await self._headers(info)
        relay = PartsRelay(self._context, self._job, self._item, plan, headers, self._tally)
        proof = await relay.run()
        return _Relayed(info, relay.arrived_by, proof, relay.mover, headers.tags_unread, relay.resumed_bytes)

    async def _in_one(self, size: int, etag: str) -> _Relayed:
        """Read the object into memory, prove that it arrived, and write it."""
        async with self._context.memory.hold(size):
            plan, content, arrived_by = await self._fetch(size, etag)
            headers = await self._headers(plan.info, is_whole=True)
            mover = Mover.NONE

            async def put(algorithm: ChecksumAlgorithm) -> Proof:
                nonlocal mover
                written, ours = await self._put(content, algorithm, headers.values)
                mover = written.mover
                return await prove(self._destination, self._item.destination, ours, written, (), self._tally)

            proof = await upload_with_fallback(self._destination, put, lambda: True)
        verified_by = weaker(arrived_by, proof.verified_by)
        if self._context.counts_as_finished(verified_by) and not headers.tags_unread:
            self._job.note_finished(str(self._item.destination), finished_object(size, plan.info.etag), size)
        return _Relayed(plan.info, arrived_by, proof, mover, headers.tags_unread)

    async def _fetch(self, size: int, etag: str) -> tuple[DownloadPlan, bytearray, VerifiedBy]:
        """Fetch a small object, and again when its checksum is wrong."""
        source = self._item.source
        left = WHOLE_ATTEMPTS
        while True:
            left -= 1
            info, content = await fetch_whole(self._context, source, size, etag, self._tally)
            plan = await plan_download(self._context, source, info, self._tally)
            arrived = await self._checksum(plan, content)
            try:
                return plan, content, await conclude(self._context, source, plan, arrived, self._tally)
            except ChecksumMismatchError:
                if not left:
                    raise
            # Let go before as many bytes come again.
            content = bytearray()
            self._tally.retries += 1
            self._context.progress.retries += 1

    async def _checksum(self, plan: DownloadPlan, content: bytearray) -> Checksum:
        if len(content) <= SMALL_RANGE_BYTES:
            return checksum_of_content(plan, content)
        return await self._context.threads.run(lambda: checksum_of_content(plan, content))

    async def _put(
        self, content: bytearray, algorithm: ChecksumAlgorithm, headers: Mapping[str, str]
    ) -> tuple[objects.Written, Checksum | None]:
        value = (await digest_content(self._context.threads, content, [algorithm]))[algorithm]
        all_headers = {**headers, **body_headers(algorithm, value)}
        written = await self._destination.attempts.run(
            self._item.destination,
            lambda flow: objects.put_object(
                self._destination.store, self._item.destination, content, all_headers, flow
            ),
            self._tally,
        )
        ours = None if algorithm is ChecksumAlgorithm.NONE else Checksum(algorithm, encode_value(value))
        return written, ours

    async def _headers(self, info: ObjectInfo, *, is_whole: bool = False) -> CopyHeaders:
        """The headers of the new object; `is_whole` says that a GET told of the source."""
        item = self._item
        return await headers_of_copy(
            self._context, item.source, item.destination, info, self._tally, counts_tags=is_whole
        )
