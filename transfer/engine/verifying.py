"""What a download is compared with, and on which boundaries its parts must be checked."""

from __future__ import annotations

from collections.abc import Sequence

from transfer.engine.attempts import Tally
from transfer.engine.context import Context
from transfer.integrity.digests import combine, composite_value, encode_value
from transfer.integrity.proof import same_value
from transfer.integrity.verification import (
    Verification,
    VerificationKind,
    choose_verification,
    composite_part_count,
    composite_part_size_bytes,
    part_count_of_etag,
)
from transfer.model.checksums import Checksum, ChecksumAlgorithm, ChecksumType, VerifiedBy
from transfer.model.errors import ChecksumMismatchError, StoreError
from transfer.model.locations import S3Location
from transfer.model.objects import ObjectInfo
from transfer.model.ranges import ByteRange
from transfer.model.values import dataclass
from transfer.plan.parts import choose_part_size_bytes, split_ranges
from transfer.stores.s3.objects import head_part

_KNOWS_NO_PARTS = frozenset({400, 405, 412, 416, 501})
"""Answers to a HEAD of one part by stores that keep no parts; 412 by those that compare the condition with the ETag of
the part (an object that really changed is noticed by the ranges)."""

_UNVERIFIABLE = Verification(VerificationKind.NONE, ChecksumAlgorithm.CRC64NVME, None)


@dataclass(frozen=True, slots=True)
class DownloadPlan:
    """How one object is fetched and proved."""

    info: ObjectInfo
    verification: Verification
    part_size_bytes: int

    @property
    def part_algorithm(self) -> ChecksumAlgorithm:
        """What each range is digested with."""
        return part_algorithm(self.verification)

    def ranges(self) -> Sequence[ByteRange]:
        """The ranges to fetch, in order."""
        return tuple(split_ranges(self.info.size, self.part_size_bytes))


@dataclass(frozen=True, slots=True)
class RangeDigest:
    """The raw checksum of one range as it arrived."""

    wanted: ByteRange
    value: bytes


def part_algorithm(verification: Verification) -> ChecksumAlgorithm:
    """What ranges are digested with: for a proof over the whole file it only tells which range differs."""
    if verification.kind is VerificationKind.WHOLE_FILE:
        return ChecksumAlgorithm.CRC64NVME
    return verification.algorithm


async def plan_download(context: Context, location: S3Location, info: ObjectInfo, tally: Tally) -> DownloadPlan:
    """Decide how an object is fetched; one that keeps a composite checksum is asked for its part size.

    Raises:
        UsageError: The part size asked for does not fit it.
        StoreError: As for any request.
        WireError: As for any request.
    """
    verification = choose_verification(info)
    size = choose_part_size_bytes(info.size, context.options.part_size_bytes)
    if verification.kind is not VerificationKind.COMPOSITE:
        return DownloadPlan(info, verification, size)
    original = await _original_part_size_bytes(context, location, info, verification, tally)
    if original is None:
        return DownloadPlan(info, _UNVERIFIABLE, size)
    return DownloadPlan(info, verification, original)


def checksum_of_ranges(plan: DownloadPlan, digests: Sequence[RangeDigest], whole_value: bytes | None) -> Checksum:
    """The object's checksum as it arrived, in the form it is compared in.

    Args:
        plan: What is compared.
        digests: Those of all ranges.
        whole_value: The raw checksum of the whole file, for a plan that compares that.
    """
    algorithm = plan.verification.algorithm
    ordered = sorted(digests, key=lambda found: found.wanted.offset)
    if plan.verification.kind is VerificationKind.WHOLE_FILE:
        return Checksum(algorithm, encode_value(whole_value or b""))
    if plan.verification.kind is VerificationKind.COMPOSITE:
        return Checksum(
            algorithm, composite_value(algorithm, [found.value for found in ordered]), ChecksumType.COMPOSITE
        )
    return Checksum(
        algorithm, encode_value(combine(algorithm, [(found.value, found.wanted.length) for found in ordered]))
    )


def matches(plan: DownloadPlan, arrived: Checksum) -> bool:
    """Whether what arrived equals what the store keeps, or there is nothing to compare with."""
    expected = plan.verification.expected
    return expected is None or same_value(expected, arrived)


async def conclude(
    context: Context, location: S3Location, plan: DownloadPlan, arrived: Checksum, tally: Tally
) -> VerifiedBy:
    """Say what the bytes that arrived are proved by.

    Raises:
        ChecksumMismatchError: They are not those of the stored checksum.
    """
    if matches(plan, arrived):
        return proof_of(plan)
    if not plan.verification.certain:
        return VerifiedBy.UNVERIFIED
    is_composite = plan.verification.kind is VerificationKind.COMPOSITE
    if is_composite and not await _has_uniform_parts(context, location, plan, tally):
        return VerifiedBy.UNVERIFIED
    raise ChecksumMismatchError(
        f"the bytes that arrived have {arrived}, the store keeps {plan.verification.expected}",
        subject=str(location),
        remedy="the object or the network is damaged: compare with another copy",
    )


def proof_of(plan: DownloadPlan) -> VerifiedBy:
    """What an object is proved by whose bytes match."""
    if plan.verification.kind is VerificationKind.NONE:
        return VerifiedBy.UNVERIFIED
    if plan.verification.kind is VerificationKind.COMPOSITE:
        return VerifiedBy.COMPOSITE
    if plan.verification.algorithm is ChecksumAlgorithm.MD5:
        return VerifiedBy.MD5_ETAG
    return VerifiedBy.FULL_OBJECT


async def _has_uniform_parts(context: Context, location: S3Location, plan: DownloadPlan, tally: Tally) -> bool:
    """Whether every part of the object has the size the plan assumes, as far as the store tells.

    A composite checksum that differs proves damage only then. Asked in the rare case of a mismatch: it costs a request
    a part. A store that does not answer leaves the mismatch standing.
    """
    etag = plan.info.etag
    for wanted in plan.ranges():
        try:
            size = await _part_size_bytes(context, location, wanted.number, etag, tally)
        except StoreError:
            return True
        if size != wanted.length:
            return False
    return True


async def _original_part_size_bytes(
    context: Context, location: S3Location, info: ObjectInfo, verification: Verification, tally: Tally
) -> int | None:
    count = composite_part_count(verification.expected) if verification.expected else None
    count = count or info.part_count or part_count_of_etag(info.etag)
    if count is None:
        return None
    try:
        first = await _part_size_bytes(context, location, 1, info.etag, tally)
    except StoreError as error:
        if error.status not in _KNOWS_NO_PARTS:
            raise
        # The object can be moved, only not proved.
        return None
    return composite_part_size_bytes(info.size, count, first)


async def _part_size_bytes(context: Context, location: S3Location, number: int, etag: str, tally: Tally) -> int:
    return await context.attempts.run(location, lambda _: head_part(context.store, location, number, etag), tally)
