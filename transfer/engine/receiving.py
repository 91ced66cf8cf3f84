"""What every download shares: bodies into a file, their checksums, and what they are proved by."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Protocol

from transfer.engine.attempts import Tally
from transfer.engine.context import Context
from transfer.engine.verifying import DownloadPlan, RangeDigest, checksum_of_ranges, conclude
from transfer.integrity.digests import new_digest
from transfer.integrity.files import digest_file_range
from transfer.integrity.verification import VerificationKind
from transfer.model.checksums import Checksum, ChecksumAlgorithm, VerifiedBy
from transfer.model.errors import LocalFileError
from transfer.model.locations import S3Location
from transfer.model.objects import MTIME_METADATA_KEY, ObjectInfo
from transfer.model.ranges import ByteRange
from transfer.model.receipts import Mover
from transfer.stores.local.durable import DurableFile
from transfer.stores.s3.properties import parse_mtime
from transfer.wire.connection import Response
from transfer.wire.flow import Flow

SMALL_RANGE_BYTES: Final = 256 * 1024
"""A range of at most this size is digested at once: the way to a worker thread and back costs more."""

WHOLE_ATTEMPTS: Final = 3
"""How often an object that comes in one GET is fetched when its checksum is wrong: a bit that flips three times in a
row is not the network's."""

Fetched = tuple[DownloadPlan, Checksum, VerifiedBy]
"""What was meant, the checksum of what arrived, and what proves it."""


class Landing(Protocol):
    """An open file that a body goes to."""

    @property
    def fd(self) -> int:
        """Its descriptor."""

    @property
    def path(self) -> str:
        """What it is called in messages."""


class Receiver:
    """Receives one object.

    Attributes:
        tally: Counts repeated requests.
        mover: What carried the last body.
    """

    def __init__(self, context: Context, location: S3Location) -> None:
        self._context: Final = context
        self._location: Final = location
        self.tally: Final = Tally()
        self.mover = Mover.NONE

    async def receive(
        self, response: Response, landing: Landing, wanted: ByteRange, algorithm: ChecksumAlgorithm, flow: Flow
    ) -> bytes | None:
        """Move a body into the file.

        Returns:
            Its raw CRC; None for the hashes, which are so slow that a worker thread computes them from the page cache.
        """
        digest = new_digest(algorithm) if algorithm.is_crc else None
        with naming(landing.path):
            self.mover = await response.read_into_file(
                landing.fd, wanted.offset, wanted.length, flow, digest.update if digest is not None else None
            )
        return digest.value() if digest is not None else None

    async def digest(self, landing: Landing, wanted: ByteRange, algorithm: ChecksumAlgorithm) -> RangeDigest:
        """Read a range that has arrived back from the page cache for its checksum."""
        fd = landing.fd

        def read() -> bytes:
            with naming(landing.path):
                return digest_file_range(fd, wanted.offset, wanted.length, algorithm)

        value = read() if wanted.length <= SMALL_RANGE_BYTES else await self._context.threads.run(read)
        return RangeDigest(wanted, value)

    def fetched_in_vain(self, count: int) -> None:
        """Bytes that moved have to move again."""
        self.tally.retries += 1
        self._context.progress.retries += 1
        self._context.progress.bytes_moved -= count

    async def checksum(self, landing: DurableFile, plan: DownloadPlan, digests: list[RangeDigest]) -> Checksum:
        """The checksum of what is there, in the form it is compared in.

        Raises:
            LocalFileError: The file cannot be read back, where the whole of it is compared.
        """
        whole_value: bytes | None = None
        if plan.verification.kind is VerificationKind.WHOLE_FILE:
            fd, algorithm = landing.fd, plan.verification.algorithm
            with naming(landing.path):
                whole_value = await self._context.threads.run(
                    lambda: digest_file_range(fd, 0, plan.info.size, algorithm)
                )
        return checksum_of_ranges(plan, digests, whole_value)

    async def conclude(self, plan: DownloadPlan, arrived: Checksum) -> Fetched:
        """Say what the bytes that arrived are proved by.

        Raises:
            ChecksumMismatchError: They are not those of the stored checksum.
        """
        return plan, arrived, await conclude(self._context, self._location, plan, arrived, self.tally)

    async def commit(self, landing: DurableFile, info: ObjectInfo, mtime_ns: int | None) -> None:
        """Give the file its name, and its time: this one, or for None that of the source.

        Raises:
            LocalFileError: The system refuses.
        """
        given = mtime_ns_of(info) if mtime_ns is None else mtime_ns
        await self._context.threads.run(lambda: landing.commit(given))


@contextmanager
def naming(path: str) -> Iterator[None]:
    """Name the file in what the disk says."""
    try:
        yield
    except OSError as error:
        raise LocalFileError.from_os_error(error, path) from error


def mtime_ns_of(info: ObjectInfo) -> int | None:
    """The source's own time when it was kept, else the store's."""
    kept = parse_mtime(info.metadata.get(MTIME_METADATA_KEY, ""))
    if kept is not None:
        return kept
    return int(info.modified_seconds * 1_000_000_000) or None
