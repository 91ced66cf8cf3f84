"""A stream of unknown length, such as standard input, to an object.

A stream cannot be read twice, so each part stays in memory until the store has it, and no later run can go on with it.
One worker reads at a time; a few parts are in flight, as many as the memory budget holds.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from typing import BinaryIO, Final

from transfer.engine.attempts import Tally
from transfer.engine.context import Context
from transfer.engine.job import Claim
from transfer.engine.multipart import ObjectToBe, multipart_upload
from transfer.engine.reasons import STREAM, mover_reason
from transfer.engine.spread import spread
from transfer.engine.uploading import Proof, body_headers, prove, sent_part, upload_with_fallback
from transfer.integrity.digests import encode_value, new_digest
from transfer.integrity.proof import SentPart
from transfer.model.checksums import Checksum, ChecksumAlgorithm
from transfer.model.errors import LocalFileError
from transfer.model.locations import S3Location
from transfer.model.receipts import Mover, Receipt
from transfer.model.unfinished import Direction, ItemIdentity
from transfer.model.values import dataclass
from transfer.plan.content_types import guess_content_type
from transfer.plan.parts import stream_part_size_bytes
from transfer.stores.s3 import multipart, objects
from transfer.stores.s3.multipart import MultipartUpload
from transfer.stores.s3.properties import property_headers
from transfer.wire.flow import Flow

BUFFER_BUDGET_BYTES: Final = 48 * 1024 * 1024
"""Parts held at once: six of the first size keep a local store busy; with eight the process peaked at 137 MB. Two parts
are held in any case, so a part size above 24 MiB needs more."""
STREAM_NAME: Final = "-"


@dataclass(frozen=True, slots=True)
class _Piece:
    number: int
    content: bytearray


async def upload_stream(context: Context, stream: BinaryIO, location: S3Location) -> Receipt:
    """Move a stream into the store until it ends.

    Args:
        context: The run.
        stream: A blocking binary stream; it is not closed.
        location: The object to be.

    Raises:
        LocalFileError: The stream cannot be read.
        UsageError: It is longer than an object of its part size can be.
        TransferError: What the store or the connection said.
    """
    started_seconds = time.monotonic()
    tally = Tally()
    upload = _StreamUpload(context, stream, location, tally)
    proof = await upload.run()
    return Receipt(
        source=STREAM_NAME,
        destination=str(location),
        size=upload.size,
        etag=proof.etag,
        version_id=proof.version_id,
        checksum=proof.checksum,
        verified_by=proof.verified_by,
        seconds=time.monotonic() - started_seconds,
        retries=tally.retries,
        mover=upload.mover if upload.size else Mover.NONE,
        mover_reason=mover_reason(upload.mover, STREAM) if upload.size else None,
    )


class _StreamUpload:
    def __init__(self, context: Context, stream: BinaryIO, location: S3Location, tally: Tally) -> None:
        self._context = context
        self._stream = stream
        self._location = location
        self._tally = tally
        self._algorithm = ChecksumAlgorithm.NONE
        self._headers = property_headers(context.options.properties, guess_content_type(location.key), None)
        self._first = _Piece(1, bytearray())
        self._begun = False
        self._piece_bytes = 0
        self.size = 0
        self.mover = Mover.NONE

    async def run(self) -> Proof:
        """Send the stream: in one PUT when it ends within the first part."""
        self._first = await self._read_piece(1)
        return await upload_with_fallback(self._context, self._upload, lambda: not self._begun)

    async def _upload(self, algorithm: ChecksumAlgorithm) -> Proof:
        self._algorithm = algorithm
        if len(self._first.content) < self._part_size_bytes(1):
            return await self._put()
        target = ObjectToBe(self._location, algorithm, self._headers)
        identity = ItemIdentity(Direction.UPLOAD, "", STREAM_NAME, str(self._location), "", 0)
        return await multipart_upload(
            self._context, target, Claim.forgetful(identity), None, self._send_parts, self._tally
        )

    async def _put(self) -> Proof:
        content = self._first.content
        value = await self._digest(content)
        headers = {**self._headers, **body_headers(self._algorithm, value)}
        written = await self._context.attempts.run(
            self._location,
            lambda flow: objects.put_object(self._context.store, self._location, content, headers, flow),
            self._tally,
        )
        self.mover = written.mover
        ours = None if self._algorithm is ChecksumAlgorithm.NONE else Checksum(self._algorithm, encode_value(value))
        return await prove(self._context, self._location, ours, written, (), self._tally)

    async def _send_parts(self, upload: MultipartUpload, earlier: Sequence[SentPart]) -> Sequence[SentPart]:
        parts = list(earlier)

        async def send(piece: _Piece) -> None:
            parts.append(await self._send_piece(upload, piece))

        await spread(self._pieces(), send, self._may_add_worker)
        return sorted(parts, key=lambda part: part.number)

    async def _send_piece(self, upload: MultipartUpload, piece: _Piece) -> SentPart:
        value = await self._digest(piece.content)
        headers = body_headers(self._algorithm, value)

        async def send(flow: Flow) -> SentPart:
            written = await multipart.upload_part(
                self._context.store, upload, piece.number, piece.content, headers, flow
            )
            self.mover = written.mover
            return sent_part(self._algorithm, piece.number, len(piece.content), value, written)

        return await self._context.attempts.run(self._location, send, self._tally)

    async def _pieces(self) -> AsyncIterator[_Piece]:
        """The stream in parts; all but the last are full."""
        self._begun = True
        piece = self._first
        self._first = _Piece(1, bytearray())
        while piece.content:
            full = len(piece.content) == self._part_size_bytes(piece.number)
            number = piece.number + 1
            yield piece
            if not full:
                return
            piece = await self._read_piece(number)

    def _may_add_worker(self, workers: int) -> bool:
        """As many parts in flight as the budget holds, at least two: one is read while one is sent."""
        affordable = max(2, BUFFER_BUDGET_BYTES // self._piece_bytes)
        return workers < affordable and self._context.may_add_part_worker(workers)

    def _part_size_bytes(self, number: int) -> int:
        return stream_part_size_bytes(number, self._context.options.part_size_bytes)

    async def _read_piece(self, number: int) -> _Piece:
        wanted = self._piece_bytes = self._part_size_bytes(number)
        content = await self._context.threads.run_abandonable(lambda: _read(self._stream, wanted))
        self.size += len(content)
        self._context.progress.bytes_planned += len(content)
        return _Piece(number, content)

    async def _digest(self, content: bytearray) -> bytes:
        algorithm = self._algorithm
        if algorithm is ChecksumAlgorithm.NONE:
            return b""

        def compute() -> bytes:
            digest = new_digest(algorithm)
            digest.update(content)
            return digest.value()

        return await self._context.threads.run(compute)


def _read(stream: BinaryIO, wanted: int) -> bytearray:
    """Read until `wanted` bytes or the end of the stream. Blocks; memory grows with what is there.

    Raises:
        LocalFileError: The stream broke.
    """
    content = bytearray()
    try:
        while len(content) < wanted:
            piece = stream.read(min(1024 * 1024, wanted - len(content)))
            if not piece:
                break
            content += piece
    except OSError as error:
        raise LocalFileError.from_os_error(error, STREAM_NAME) from error
    return content
