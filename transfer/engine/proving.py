"""Proving that a file or an object is what another place holds, by the checksums that stores keep.

No object is downloaded. A file is read once, whatever is tried on it; twice only when its parts turn out to be of other
sizes than their first one promised.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from transfer.engine.attempts import Tally
from transfer.engine.context import Context
from transfer.engine.part_lengths import exact_lengths, probable_lengths
from transfer.engine.spread import each, spread
from transfer.engine.threads import THREADS
from transfer.integrity.claims import (
    Claim,
    candidate_claims,
    checksums_of,
    compare_kept,
    part_claims,
    part_count_of,
    whole_claim,
)
from transfer.integrity.files import digest_file_range
from transfer.integrity.passes import try_claims
from transfer.model.audits import Evidence, Finding, Recorded
from transfer.model.checksums import Checksum, ChecksumType, VerifiedBy
from transfer.model.errors import LocalFileError, SourceChangedError
from transfer.model.locations import S3Location
from transfer.model.objects import ObjectInfo
from transfer.model.ranges import ByteRange
from transfer.plan.parts import MIB, split_ranges
from transfer.stores.local.source import SourceFile
from transfer.stores.s3.objects import head_object

SMALL_BYTES: Final = 16 * MIB
"""Up to this size a file is opened, read and closed in one visit to a thread."""
STRETCH_BYTES: Final = 32 * MIB
"""What a thread reads at a time of a larger one: some milliseconds, so that many files share the threads evenly."""
LISTED_PROOF_BYTES: Final = 256 * 1024
"""Up to this size the MD5 of a file costs less than asking the store for a better checksum: when the ETag of a listing
is that MD5, no request is made."""

_NOTHING_KEPT: Final = "the store keeps no checksum of it"
_OTHER_KINDS: Final = "their checksums are of different kinds"
_UNKNOWN_PARTS: Final = "its checksum covers parts, and the store does not tell their sizes"


class FileProof:
    """One file that is compared with what a store or a record says of the same bytes."""

    def __init__(self, context: Context, path: str) -> None:
        """Open nothing yet.

        Args:
            context: The run.
            path: As the user or the walk wrote it.
        """
        self._context: Final = context
        self._path: Final = path
        self._tally: Final = Tally()

    async def against_listed(self, location: S3Location, size: int, etag: str) -> Evidence:
        """Compare with an object of a listing, by the listing itself when that is enough.

        Args:
            location: The object.
            size: As listed, in bytes.
            etag: As listed.

        Raises:
            TransferError: One of the two could not be read, or the file changed meanwhile.
        """
        if size == 0:
            return await self._compare(ObjectInfo(0, etag), ())
        if size <= LISTED_PROOF_BYTES:
            listed = ObjectInfo(size, etag)
            claim = whole_claim(listed)
            if claim is not None:
                found = await self._compare(listed, (claim,))
                # An ETag that is not the MD5 may be none at all: the listing does not tell what encrypts the object.
                if found.finding is Finding.MATCH or found.verified_by is VerifiedBy.UNVERIFIED:
                    return found
        return await self.against_object(location)

    async def against_object(self, location: S3Location) -> Evidence:
        """Compare with the best that the store keeps of an object.

        Raises:
            TransferError: One of the two could not be read, or the file changed meanwhile.
        """
        info = await head(self._context, location, self._tally)
        whole = whole_claim(info)
        if whole is not None or info.size == 0 or not checksums_of(info):
            return await self._compare(info, () if whole is None else (whole,))
        lengths = await probable_lengths(self._context, location, info, self._tally)
        if lengths is None:
            return await self._compare(info, candidate_claims(info))
        found = await self._compare(info, part_claims(info, lengths, is_certain=True))
        if found.finding is Finding.DIFFERS and found.verified_by is not VerifiedBy.UNVERIFIED and len(lengths) > 1:
            exact = await exact_lengths(self._context, location, info, self._tally)
            if exact is None:
                # Sizes concluded from the first part are a guess: only when they explain the checksum they prove it.
                return Evidence(Finding.UNVERIFIABLE, reason=_UNKNOWN_PARTS)
            if exact != lengths:
                return await self._compare(info, part_claims(info, exact, is_certain=True))
        return found

    async def against_record(self, recorded: Recorded) -> Evidence:
        """Compare with what an earlier run noted of the file.

        Raises:
            TransferError: The file could not be read, or changed meanwhile.
        """
        info = info_of_record(replace(recorded, etag=""))
        whole = whole_claim(info)
        return await self._compare(info, candidate_claims(info) if whole is None else (whole,))

    async def _compare(self, info: ObjectInfo, claims: Sequence[Claim]) -> Evidence:
        """Read the file and try all claims on it."""
        run = self._context.threads.run
        if info.size <= SMALL_BYTES:
            judged = await run(lambda: _judged_at_once(self._path, info, claims))
            self._context.progress.bytes_read += info.size if claims else 0
            return judged
        source = await run(lambda: SourceFile(self._path))
        with source:
            if source.size != info.size or not claims:
                return _judged(source.size, info, claims, ())
            values = await self._values(source, claims)
            await run(source.check_unchanged)
            return _judged(source.size, info, claims, values)

    async def _values(self, source: SourceFile, claims: Sequence[Claim]) -> Sequence[Checksum]:
        """The checksum of each claim; one whose parts are independent is computed by several threads."""
        ranges = _independent_ranges(claims)
        if len(ranges) < 2:
            tried = await self._context.threads.run(lambda: _tried(source, claims))
            self._context.progress.bytes_read += source.size
            return tried
        claim = claims[0]
        values: dict[int, bytes] = {}

        async def digest(wanted: ByteRange) -> None:
            values[wanted.number] = await self._context.threads.run(lambda: _digested(source, wanted, claim))
            self._context.progress.bytes_read += wanted.length

        await spread(each(ranges), digest, lambda workers: workers < THREADS)
        return (claim.value_of([(values[wanted.number], wanted.length) for wanted in ranges]),)


async def compare_objects(context: Context, one: S3Location, other: S3Location) -> Evidence:
    """Compare two objects by what is kept of them.

    Args:
        context: The run.
        one: The first of them.
        other: The second; in the store that the context names as the destination.

    Raises:
        StoreError: One of them is not there, or the store refused.
        WireError: As for any request.
    """
    tally = Tally()
    ours = await head(context, one, tally)
    theirs = await head(context.destination, other, tally)
    found = judge_kept(ours, theirs)
    if found.finding is not Finding.UNVERIFIABLE or not _share_parts_checksum(ours, theirs):
        return found
    # Checksums over parts that differ mean other bytes only where the parts are the same.
    first = await exact_lengths(context, one, ours, tally)
    if first is None or first != await exact_lengths(context.destination, other, theirs, tally):
        return found
    return Evidence(Finding.DIFFERS, VerifiedBy.COMPOSITE, None, "the checksums of their parts differ")


async def compare_record(context: Context, location: S3Location, recorded: Recorded) -> Evidence:
    """Compare an object with what an earlier run noted of it.

    Raises:
        StoreError: It is not there, or the store refused.
        WireError: As for any request.
    """
    info = await head(context, location, Tally())
    return judge_kept(info_of_record(recorded), info, first="the receipt has")


async def head(context: Context, location: S3Location, tally: Tally) -> ObjectInfo:
    """What the store tells of an object, checksums included.

    Raises:
        StoreError: It is not there, or the store refused.
        WireError: As for any request.
    """
    return await context.attempts.run(location, lambda _: head_object(context.store, location), tally)


def info_of_record(recorded: Recorded) -> ObjectInfo:
    """A record in the form of what a store tells."""
    checksums = () if recorded.checksum is None else (recorded.checksum,)
    return ObjectInfo(recorded.size, recorded.etag, checksums=checksums)


def judge_kept(ours: ObjectInfo, theirs: ObjectInfo, *, first: str = "the first one has") -> Evidence:
    """Compare two objects by their sizes and what is kept of both; `first` says whose the first is, if they differ."""
    if ours.size != theirs.size:
        return _other_size(ours.size, theirs.size)
    if ours.size == 0:
        return Evidence(Finding.MATCH, VerifiedBy.NOTHING_TO_VERIFY)
    compared = compare_kept(ours, theirs)
    if compared is None:
        kept = checksums_of(ours) and checksums_of(theirs)
        return Evidence(Finding.UNVERIFIABLE, reason=_OTHER_KINDS if kept else _NOTHING_KEPT)
    is_equal, checksum = compared
    proof = Claim(checksum, (ours.size,), is_certain=True).verified_by
    if is_equal:
        return Evidence(Finding.MATCH, proof, checksum)
    kinds = {(found.algorithm, found.type): found.value for found in checksums_of(theirs)}
    other = kinds[checksum.algorithm, checksum.type]
    return Evidence(Finding.DIFFERS, proof, None, f"{first} {checksum}, kept is {other}")


def _share_parts_checksum(ours: ObjectInfo, theirs: ObjectInfo) -> bool:
    """Whether both keep a checksum over as many parts by one algorithm."""
    kinds = [
        {found.algorithm for found in checksums_of(info) if found.type is ChecksumType.COMPOSITE}
        for info in (ours, theirs)
    ]
    count = part_count_of(ours)
    return not kinds[0].isdisjoint(kinds[1]) and count is not None and count == part_count_of(theirs)


def _independent_ranges(claims: Sequence[Claim]) -> Sequence[ByteRange]:
    """Ranges that may be read in any order and by several threads; empty when the file must be read in order."""
    if len(claims) != 1:
        return ()
    claim = claims[0]
    if claim.expected.type is ChecksumType.COMPOSITE:
        ranges, offset = [], 0
        for number, length in enumerate(claim.part_lengths, start=1):
            ranges.append(ByteRange(number, offset, length))
            offset += length
        return ranges
    return tuple(split_ranges(sum(claim.part_lengths), STRETCH_BYTES)) if claim.expected.algorithm.is_crc else ()


def _judged_at_once(path: str, info: ObjectInfo, claims: Sequence[Claim]) -> Evidence:
    with SourceFile(path) as source:
        values: Sequence[Checksum] = ()
        if source.size == info.size and claims:
            values = _tried(source, claims)
            source.check_unchanged()
        return _judged(source.size, info, claims, values)


def _tried(source: SourceFile, claims: Sequence[Claim]) -> Sequence[Checksum]:
    """Try claims on an open file, and name it in what goes wrong."""
    try:
        return try_claims(source.fd, source.size, claims)
    except OSError as error:
        raise LocalFileError.from_os_error(error, source.path) from error
    except SourceChangedError as error:
        error.subject = source.path
        raise


def _digested(source: SourceFile, wanted: ByteRange, claim: Claim) -> bytes:
    try:
        return digest_file_range(source.fd, wanted.offset, wanted.length, claim.expected.algorithm)
    except OSError as error:
        raise LocalFileError.from_os_error(error, source.path) from error
    except SourceChangedError as error:
        error.subject = source.path
        raise


def _judged(size: int, info: ObjectInfo, claims: Sequence[Claim], values: Sequence[Checksum]) -> Evidence:
    if size != info.size:
        return _other_size(size, info.size)
    if size == 0:
        return Evidence(Finding.MATCH, VerifiedBy.NOTHING_TO_VERIFY)
    tried = tuple(zip(claims, values, strict=True)) if values else ()
    for claim, found in tried:
        if claim.agrees(found):
            return Evidence(Finding.MATCH, claim.verified_by, found)
    for claim, found in tried:
        if claim.is_certain:
            reason = f"the file has {found}, kept is {claim.expected.value}"
            return Evidence(Finding.DIFFERS, claim.verified_by, None, reason)
    return Evidence(Finding.UNVERIFIABLE, reason=_UNKNOWN_PARTS if checksums_of(info) else _NOTHING_KEPT)


def _other_size(size: int, other: int) -> Evidence:
    return Evidence(Finding.DIFFERS, reason=f"{size} bytes, and {other} in the other place")
