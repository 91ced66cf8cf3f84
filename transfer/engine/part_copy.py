"""An object that the store copies part by part: one that a single request cannot take, or whose proof needs its parts.

The store is told to keep a checksum and answers that of each part; the one of the whole, combined from them, goes out
with the completion. It is compared with the source's before that, so that a wrong copy never gets its name. An object
that keeps no checksum over the whole is copied in the parts it was uploaded in, if they are all of one size: then the
ETags, which are made of those of the parts, must be the same.

Parts are remembered as those of uploads are, so that a later run goes on.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Final

from transfer.engine.attempts import Tally
from transfer.engine.context import Context
from transfer.engine.copied_properties import headers_of_copy
from transfer.engine.fingerprints import copy_fingerprint, finished_object
from transfer.engine.job import Claim, Job
from transfer.engine.multipart import ObjectToBe, multipart_upload
from transfer.engine.resuming_upload import resume_upload
from transfer.engine.spread import each, spread
from transfer.engine.uploading import Proof, upload_with_fallback
from transfer.integrity.copy_proof import agree_by_checksum
from transfer.integrity.digests import decode_value, value_bytes
from transfer.integrity.proof import SentPart, checksum_of_whole
from transfer.integrity.verification import composite_part_size_bytes, part_count_of_etag
from transfer.model.checksums import ChecksumAlgorithm, ChecksumType
from transfer.model.errors import ChecksumMismatchError, StoreError, TransferError
from transfer.model.locations import S3Location
from transfer.model.objects import ObjectInfo
from transfer.model.ranges import ByteRange
from transfer.model.unfinished import Direction, FinishedPart, ItemIdentity
from transfer.plan.copying import can_keep_parts, copy_part_size_bytes
from transfer.plan.parts import split_ranges
from transfer.stores.s3 import copying
from transfer.stores.s3.copying import CopySource
from transfer.stores.s3.multipart import MultipartUpload
from transfer.stores.s3.objects import Written, head_object, head_part
from transfer.wire.flow import Flow

Prove = Callable[[Proof, Written | None], Awaitable[Proof]]
"""Says what proves a finished copy, from what the completion told."""

_TELLS_NO_PARTS: Final = frozenset({400, 405, 412, 416, 501})


class PartCopy:
    """One object's copy in parts.

    Attributes:
        resumed_bytes: What an earlier run had copied.
        tags_unread: Whether the source may have tags that could not be read.
    """

    def __init__(
        self,
        context: Context,
        job: Job,
        source: S3Location,
        destination: S3Location,
        info: ObjectInfo,
        tally: Tally,
    ) -> None:
        self._context = context
        self._job = job
        self._source = source
        self._destination = destination
        self._info = info
        self._tally = tally
        self._part_size_bytes = copy_part_size_bytes(info.size, context.options.part_size_bytes)
        self._headers: Mapping[str, str] = {}
        self._algorithm = ChecksumAlgorithm.NONE
        self._claim: Claim | None = None
        self.resumed_bytes = 0
        self.tags_unread = False

    async def keeps_parts(self) -> bool:
        """Whether the copy can have the very parts of its source; if so, it will."""
        count = part_count_of_etag(self._info.etag)
        if count is None or self._context.options.part_size_bytes is not None:
            return False
        try:
            first = await self._context.attempts.run(
                self._source, lambda _: head_part(self._context.store, self._source, 1, self._info.etag), self._tally
            )
        except StoreError as error:
            if error.status not in _TELLS_NO_PARTS:
                raise
            return False
        size = composite_part_size_bytes(self._info.size, count, first)
        if size is None or not can_keep_parts(count, size):
            return False
        self._part_size_bytes = size
        return True

    async def run(self, prove: Prove) -> Proof:
        """Copy the object.

        Args:
            prove: Called when it is there.

        Raises:
            TransferError: As `multipart_upload`.
        """
        if self._whole_crc() is None:
            await self.keeps_parts()
        headers = await headers_of_copy(self._context, self._source, self._destination, self._info, self._tally)
        self._headers, self.tags_unread = headers.values, headers.tags_unread
        return await upload_with_fallback(self._context, lambda algorithm: self._copy(algorithm, prove), lambda: True)

    async def _copy(self, algorithm: ChecksumAlgorithm, prove: Prove) -> Proof:
        self._algorithm = self._choose(algorithm)
        target = ObjectToBe(self._destination, self._algorithm, self._headers)
        identity = self._identity()
        claim = self._claim = await self._job.claim(identity)
        try:
            resumed = await resume_upload(
                self._context, target, claim, identity, tuple(self._ranges()), _no_bytes_here, self._tally
            )
            if isinstance(resumed, Proof):
                self._count_resumed(self._info.size)
                written = resumed
            else:
                self._count_resumed(sum(part.length for part in resumed.parts) if resumed else 0)
                written = await multipart_upload(self._context, target, claim, resumed, self._copy_parts, self._tally)
            proof = await prove(written, None)
        except TransferError as error:
            if claim.leaves_nothing(error):
                await claim.finish()
            raise
        else:
            fingerprint = finished_object(self._info.size, self._info.etag)
            counts = self._context.counts_as_finished(proof.verified_by) and not self.tags_unread
            await claim.done(str(self._destination), fingerprint, self._info.size, counts=counts)
            return proof
        finally:
            await claim.release()

    def _choose(self, algorithm: ChecksumAlgorithm) -> ChecksumAlgorithm:
        """What the copy keeps: what its source keeps of the whole, if nobody chose, so that both can be compared."""
        own = self._whole_crc()
        if own is not None and self._context.options.checksum is None and algorithm.is_stored:
            return own
        # Of bytes that are not here nothing can be sent along: a store without checksums is asked for none.
        return algorithm if algorithm.is_stored else ChecksumAlgorithm.NONE

    def _whole_crc(self) -> ChecksumAlgorithm | None:
        found = (one for one in self._info.checksums if one.algorithm.is_crc and one.type is ChecksumType.FULL_OBJECT)
        return next((one.algorithm for one in found), None)

    def _identity(self) -> ItemIdentity:
        return ItemIdentity(
            Direction.COPY,
            self._job.endpoint,
            str(self._source),
            str(self._destination),
            copy_fingerprint(self._info, self._part_size_bytes, self._algorithm, self._headers),
            self._info.size,
        )

    def _ranges(self) -> Iterator[ByteRange]:
        return split_ranges(self._info.size, self._part_size_bytes)

    def _count_resumed(self, count: int) -> None:
        self._context.progress.bytes_resumed += count - self.resumed_bytes
        self.resumed_bytes = count

    async def _copy_parts(self, upload: MultipartUpload, earlier: Sequence[SentPart]) -> Sequence[SentPart]:
        parts = list(earlier)
        there = {part.number for part in earlier}

        async def copy(wanted: ByteRange) -> None:
            part = await self._copy_part(upload, wanted)
            parts.append(part)
            if self._claim is not None:
                await self._claim.note_part(
                    FinishedPart(wanted.number, wanted.offset, wanted.length, part.value, part.etag)
                )

        missing = (wanted for wanted in self._ranges() if wanted.number not in there)
        await spread(each(missing), copy, self._context.may_add_part_worker)
        await self._check_unchanged()
        parts.sort(key=lambda part: part.number)
        self._check_whole(parts)
        return parts

    async def _copy_part(self, upload: MultipartUpload, wanted: ByteRange) -> SentPart:
        source = CopySource(self._source, self._info.etag)

        async def copy(flow: Flow) -> Written:
            written = await copying.copy_part(self._context.store, upload, source, wanted)
            flow.moved(wanted.length)
            return written

        written = await self._context.attempts.run(self._destination, copy, self._tally)
        return SentPart(wanted.number, wanted.length, self._value_of(written), written.etag, echoed=False)

    def _value_of(self, written: Written) -> bytes:
        """The checksum that the store computed of a part; empty when it does not tell one."""
        for found in written.checksums:
            if found.algorithm is self._algorithm:
                try:
                    value = decode_value(found.value)
                except ValueError:
                    continue
                if len(value) == value_bytes(found.algorithm):
                    return value
        return b""

    async def _check_unchanged(self) -> None:
        """Not all stores look at the condition of a copy."""
        await self._context.attempts.run(
            self._source, lambda _: head_object(self._context.store, self._source, self._info.etag), self._tally
        )

    def _check_whole(self, parts: Sequence[SentPart]) -> None:
        """Compare what the store says it copied with what it keeps of the source, before the copy gets its name."""
        whole = checksum_of_whole(self._algorithm, parts)
        if whole is not None:
            try:
                agree_by_checksum(self._info, (whole,))
            except ChecksumMismatchError as error:
                error.remedy = "nothing was changed at the destination: copy it again, and compare the source"
                error.subject = str(self._destination)
                raise


async def _no_bytes_here(wanted: ByteRange, algorithm: ChecksumAlgorithm) -> bytes:  # noqa: ARG001 - a DigestRange
    """What a part is compared with that only the store knows of: nothing, so that it is copied once more."""
    return b""
