"""A local file to an object: one PUT when it is small, parts in parallel when it is not.

Way of a byte: a worker thread reads a part for its checksum, which also warms the page cache; then the kernel sends
the same range from the page cache to the socket. The file must not change meanwhile, and that is checked.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from transfer.engine.attempts import Tally
from transfer.engine.context import Context
from transfer.engine.crew.shared_file import SharedFile
from transfer.engine.fingerprints import finished_file, upload_fingerprint
from transfer.engine.items import UploadItem
from transfer.engine.job import Claim, Job
from transfer.engine.multipart import ObjectToBe, multipart_upload
from transfer.engine.part_sending import PartToSend, digest_of, naming_source
from transfer.engine.reasons import SMALL_UPLOAD, mover_reason
from transfer.engine.resuming_upload import resume_upload
from transfer.engine.spread import each, spread
from transfer.engine.uploading import (
    MULTIPART_THRESHOLD_BYTES,
    Proof,
    body_headers,
    prove,
    still_counting,
    upload_with_fallback,
)
from transfer.integrity.digests import encode_value, new_digest
from transfer.integrity.proof import SentPart
from transfer.model.checksums import Checksum, ChecksumAlgorithm
from transfer.model.errors import TransferError
from transfer.model.ranges import ByteRange
from transfer.model.receipts import Mover, Receipt
from transfer.model.unfinished import Direction, FinishedPart, ItemIdentity, UnfinishedItem
from transfer.plan.content_types import guess_content_type
from transfer.plan.parts import SMALL_BODY_BYTES, choose_part_size_bytes, is_multipart, split_ranges
from transfer.stores.local.source import ReadFile, SourceFile
from transfer.stores.s3 import objects
from transfer.stores.s3.multipart import MultipartUpload
from transfer.stores.s3.properties import property_headers
from transfer.system.paths import absolute_path
from transfer.wire.connection import FileBody
from transfer.wire.flow import Flow
from transfer.wire.ktls import OFFER

Source = SourceFile | ReadFile
"""A file that is open, or a small one that was read whole."""


async def upload_file(context: Context, job: Job, item: UploadItem) -> Receipt:
    """Move one file into the store; a large one goes on from where an earlier run was stopped.

    Raises:
        HeldError: Another process moves it.
        LocalFileError: The file cannot be read.
        SourceChangedError: It changed while it was read.
        UsageError: No part size fits it.
        TransferError: What the store or the connection said.
    """
    started_seconds = time.monotonic()
    tally = Tally()
    if isinstance(item.read, TransferError):
        raise item.read
    with await _open(context, item) as source:
        context.progress.bytes_planned += source.size - (item.size or 0)
        upload = _FileUpload(context, job, item, source, tally)
        proof = await upload.run()
        return Receipt(
            source=item.path,
            destination=str(item.destination),
            size=source.size,
            etag=proof.etag,
            version_id=proof.version_id,
            checksum=proof.checksum,
            verified_by=proof.verified_by,
            seconds=time.monotonic() - started_seconds,
            retries=tally.retries,
            mover=upload.mover if source.size else Mover.NONE,
            mover_reason=upload.mover_reason if source.size else None,
            resumed_bytes=upload.resumed_bytes,
        )


class _FileUpload:
    """One file's upload: the choices made for it once, and its parts."""

    def __init__(self, context: Context, job: Job, item: UploadItem, source: Source, tally: Tally) -> None:
        self._context = context
        self._job = job
        self._location = item.destination
        self._source = source
        self._content = source.content if isinstance(source, ReadFile) else None
        self._tally = tally
        self._algorithm = ChecksumAlgorithm.NONE
        self._part_size_bytes = choose_part_size_bytes(source.size, context.options.part_size_bytes)
        self._headers = property_headers(context.options.properties, guess_content_type(item.path), source.mtime_ns)
        self._claim: Claim | None = None
        self._earlier = still_counting(context, item.earlier)
        self.mover = Mover.NONE
        self.resumed_bytes = 0

    @property
    def mover_reason(self) -> str | None:
        """Why the bytes did not travel the fastest way."""
        if self._content is None:
            return mover_reason(self.mover, None, OFFER.obstacle if self.mover is Mover.TLS else None)
        return mover_reason(self.mover, SMALL_UPLOAD)

    async def run(self) -> Proof:
        """Send the file: in one PUT when it is small."""
        return await upload_with_fallback(self._context, self._upload, lambda: True)

    async def _upload(self, algorithm: ChecksumAlgorithm) -> Proof:
        self._algorithm = algorithm
        if is_multipart(self._source.size, self._part_size_bytes, MULTIPART_THRESHOLD_BYTES):
            return await self._in_parts()
        return await self._put()

    async def _in_parts(self) -> Proof:
        """Send the file part by part, or what is missing of it."""
        claim = self._claim = await self._job.claim(self._identity(self._algorithm))
        try:
            if self._is_sent_with_md5(claim.item):
                self._algorithm = ChecksumAlgorithm.MD5
            target = ObjectToBe(self._location, self._algorithm, self._headers)
            identity = self._identity(self._algorithm)
            resumed = await resume_upload(
                self._context, target, claim, identity, tuple(self._ranges()), self._digest_as, self._tally
            )
            if isinstance(resumed, Proof):
                self._count_resumed(self._source.size)
                proof = resumed
            else:
                if resumed is not None:
                    self._count_resumed(sum(part.length for part in resumed.parts))
                proof = await multipart_upload(self._context, target, claim, resumed, self._send_parts, self._tally)
        except TransferError as error:
            if claim.leaves_nothing(error):
                await claim.finish()
            raise
        else:
            await claim.done(*self._finished(), counts=self._context.counts_as_finished(proof.verified_by))
            return proof
        finally:
            await claim.release()

    def _is_sent_with_md5(self, known: UnfinishedItem) -> bool:
        """Whether an earlier run found that the store takes no newer checksums, and left the choice to us."""
        md5 = self._identity(ChecksumAlgorithm.MD5).fingerprint
        return self._context.options.checksum is None and known.identity.fingerprint == md5

    def _identity(self, algorithm: ChecksumAlgorithm) -> ItemIdentity:
        return ItemIdentity(
            Direction.UPLOAD,
            self._job.endpoint,
            absolute_path(self._source.path),
            str(self._location),
            upload_fingerprint(self._source, self._part_size_bytes, algorithm, self._headers),
            self._source.size,
        )

    def _finished(self) -> tuple[str, str, int]:
        """What is noted of the file when it is sent: its name in the job, its fingerprint and its size."""
        source = self._source
        return str(self._location), finished_file(source.size, source.mtime_ns), source.size

    def _ranges(self) -> Iterator[ByteRange]:
        return split_ranges(self._source.size, self._part_size_bytes)

    def _count_resumed(self, count: int) -> None:
        """Bytes that need not move again; what was counted for an attempt with another checksum counts no more."""
        self._context.progress.bytes_resumed += count - self.resumed_bytes
        self.resumed_bytes = count

    async def _put(self) -> Proof:
        value = b""
        whole = ByteRange(1, 0, self._source.size)

        async def digest() -> None:
            nonlocal value
            value = await self._digest(whole)

        async def put(flow: Flow) -> objects.Written:
            headers = {**self._headers, **body_headers(self._algorithm, value)}
            with naming_source(self._source.path):
                return await objects.put_object(self._context.store, self._location, self._body(whole), headers, flow)

        earlier, self._earlier = self._earlier, None
        written = await self._context.attempts.run(self._location, put, self._tally, before=digest, earlier=earlier)
        self.mover = written.mover
        self._source.check_unchanged()
        ours = None if self._algorithm is ChecksumAlgorithm.NONE else Checksum(self._algorithm, encode_value(value))
        proof = await prove(self._context, self._location, ours, written, (), self._tally)
        if self._context.counts_as_finished(proof.verified_by):
            self._job.note_finished(*self._finished())
        return proof

    async def _send_parts(self, upload: MultipartUpload, earlier: Sequence[SentPart]) -> Sequence[SentPart]:
        parts = list(earlier)
        there = {part.number for part in earlier}

        source = self._source
        if not isinstance(source, SourceFile):
            raise TypeError("a file that was read whole has no parts")

        async def send(wanted: ByteRange) -> None:
            part, self.mover = await shared.send(source, PartToSend(upload, wanted, self._algorithm), self._tally)
            parts.append(part)
            await self._remember(wanted, part)

        missing = (wanted for wanted in self._ranges() if wanted.number not in there)
        with SharedFile(self._context, source) as shared:
            await spread(each(missing), send, self._context.may_add_part_worker)
        self._source.check_unchanged()
        return sorted(parts, key=lambda part: part.number)

    async def _remember(self, wanted: ByteRange, part: SentPart) -> None:
        if self._claim is not None:
            await self._claim.note_part(
                FinishedPart(wanted.number, wanted.offset, wanted.length, part.value, part.etag)
            )

    async def _digest(self, wanted: ByteRange) -> bytes:
        """The checksum of a range as it is now."""
        algorithm = self._algorithm
        if self._content is None or algorithm is ChecksumAlgorithm.NONE:
            return await self._digest_as(wanted, algorithm)
        digest = new_digest(algorithm)
        digest.update(self._content)
        return digest.value()

    async def _digest_as(self, wanted: ByteRange, algorithm: ChecksumAlgorithm) -> bytes:
        """Read a range for a checksum of it."""
        return await digest_of(self._context, self._source, wanted, algorithm)

    def _body(self, wanted: ByteRange) -> bytes | FileBody:
        if self._content is not None:
            return self._content
        return FileBody(self._source.fd, wanted.offset, wanted.length)


async def _open(context: Context, item: UploadItem) -> Source:
    """Open a file, or read it when it is small, unless that was done ahead."""

    def read() -> Source:
        source = SourceFile(item.path)
        if source.size > SMALL_BODY_BYTES:
            return source
        source.close()
        return ReadFile(item.path)

    return item.read if isinstance(item.read, ReadFile) else await context.threads.run(read)
