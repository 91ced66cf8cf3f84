"""One part of a file to the store: its checksum, then its bytes. Any process that has the file open can do it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from transfer.engine.attempts import Tally
from transfer.engine.context import Context
from transfer.engine.uploading import body_headers, sent_part
from transfer.integrity.files import digest_file_range
from transfer.integrity.proof import SentPart
from transfer.model.checksums import ChecksumAlgorithm
from transfer.model.errors import LocalFileError, SourceChangedError
from transfer.model.ranges import ByteRange
from transfer.model.receipts import Mover
from transfer.model.values import dataclass
from transfer.stores.local.source import ReadFile, SourceFile
from transfer.stores.s3 import multipart
from transfer.stores.s3.multipart import MultipartUpload
from transfer.wire.connection import FileBody
from transfer.wire.flow import Flow


@dataclass(frozen=True, slots=True)
class PartToSend:
    """What is to be sent, and where to."""

    upload: MultipartUpload
    wanted: ByteRange
    algorithm: ChecksumAlgorithm


async def send_part(context: Context, source: SourceFile, part: PartToSend, tally: Tally) -> tuple[SentPart, Mover]:
    """Send a part; what the store has of it, and what carried it.

    Raises:
        SourceChangedError: The file is not what it was when it was opened.
        TransferError: What the disk, the store or the connection said.
    """
    wanted, algorithm = part.wanted, part.algorithm
    value = b""

    async def digest() -> None:
        nonlocal value
        value = await digest_of(context, source, wanted, algorithm)

    async def send(flow: Flow) -> tuple[SentPart, Mover]:
        headers = body_headers(algorithm, value)
        body = FileBody(source.fd, wanted.offset, wanted.length)
        with naming_source(source.path):
            written = await multipart.upload_part(context.store, part.upload, wanted.number, body, headers, flow)
        return sent_part(algorithm, wanted.number, wanted.length, value, written), written.mover

    return await context.attempts.run(part.upload.location, send, tally, before=digest)


async def digest_of(
    context: Context, source: SourceFile | ReadFile, wanted: ByteRange, algorithm: ChecksumAlgorithm
) -> bytes:
    """The checksum of a range as it is now; that also brings it into the page cache.

    Computed anew for each attempt, so that a file that changed between two attempts is told from bytes that changed on
    the way.
    """
    if algorithm is ChecksumAlgorithm.NONE:
        # Nobody reads the range beforehand: a cold one would make the kernel's send wait for the disk.
        source.advise(wanted.offset, 2 * wanted.length)
        return b""

    def read() -> bytes:
        source.check_unchanged()
        source.advise(wanted.end, wanted.length)
        with naming_source(source.path):
            return digest_file_range(source.fd, wanted.offset, wanted.length, algorithm)

    return await context.threads.run(read)


@contextmanager
def naming_source(path: str) -> Iterator[None]:
    """Name the file in what goes wrong while it is read by its descriptor."""
    try:
        yield
    except OSError as error:
        raise LocalFileError.from_os_error(error, path) from error
    except SourceChangedError as error:
        error.subject = path
        raise
