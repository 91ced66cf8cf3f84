"""What stored checksums claim of an object's bytes, and on which boundaries. Pure: reads nothing, asks nobody.

A claim is what can be tried on a file: compute what it says, compare. Several may be tried in one reading.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from transfer.integrity.digests import combine, composite_value, encode_value, multipart_etag
from transfer.integrity.proof import same_value
from transfer.integrity.verification import checksum_of_etag, composite_part_count, part_count_of_etag
from transfer.model.checksums import Checksum, ChecksumAlgorithm, ChecksumType, VerifiedBy
from transfer.model.objects import ObjectInfo
from transfer.model.values import dataclass

CHEAPEST_FIRST = (
    ChecksumAlgorithm.CRC64NVME,
    ChecksumAlgorithm.CRC32C,
    ChecksumAlgorithm.CRC32,
    ChecksumAlgorithm.SHA256,
    ChecksumAlgorithm.SHA1,
    ChecksumAlgorithm.MD5,
)
MOST_CANDIDATES = 6
"""Part sizes that are tried at most in one reading: each costs an own checksum over all bytes."""

_NO_MD5 = '"00000000000000000000000000000000'
"""What some gateways show in place of an ETag for files that came to be without them."""
_USUAL_PART_SIZES_MIB = (8, 5, 16, 64, 10, 15, 100, 50, 32, 128, 256, 512, 25, 20, 6, 7, 1024, 12, 48, 500, 200, 250)
_USUAL_PART_SIZES_MB = (5, 8, 10, 16, 50, 64, 100, 128, 512)
_MIB = 1024 * 1024
_MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Claim:
    """One stored checksum as it can be tried on bytes.

    Attributes:
        expected: A composite MD5 is written like a multipart ETag without its quotes.
        part_lengths: What it covers, part by part in bytes; one for the whole.
        is_certain: A difference proves other bytes; else equality alone proves something.
    """

    expected: Checksum
    part_lengths: tuple[int, ...]
    is_certain: bool

    @property
    def verified_by(self) -> VerifiedBy:
        """What equality is called."""
        if self.expected.algorithm is ChecksumAlgorithm.MD5:
            return VerifiedBy.MD5_ETAG
        is_composite = self.expected.type is ChecksumType.COMPOSITE
        return VerifiedBy.COMPOSITE if is_composite else VerifiedBy.FULL_OBJECT

    def value_of(self, part_values: Sequence[tuple[bytes, int]]) -> Checksum:
        """The checksum of bytes in the form of the expected one.

        Args:
            part_values: Raw values and lengths in order: on the claim's own boundaries, or on any for a CRC over the
                whole.
        """
        algorithm, type_ = self.expected.algorithm, self.expected.type
        values = [value for value, _ in part_values]
        if type_ is not ChecksumType.COMPOSITE:
            joined = values[0] if len(values) == 1 else combine(algorithm, part_values)
            return Checksum(algorithm, encode_value(joined), type_)
        if algorithm is ChecksumAlgorithm.MD5:
            return Checksum(algorithm, multipart_etag(values).strip('"'), type_)
        return Checksum(algorithm, composite_value(algorithm, values), type_)

    def agrees(self, found: Checksum) -> bool:
        """Whether what was computed is what is expected."""
        return same_value(self.expected, found)


def checksums_of(info: ObjectInfo) -> tuple[Checksum, ...]:
    """All that a store tells of an object's bytes, the cheapest first: its checksums, and its ETag where that is one.

    Those over the whole come first, those over parts last.
    """
    found = [one for one in info.checksums if one.algorithm in CHEAPEST_FIRST]
    etag = None if info.etag.startswith(_NO_MD5) else checksum_of_etag(info)
    if etag is not None and etag not in found:
        found.append(etag)
    types = (ChecksumType.FULL_OBJECT, ChecksumType.UNSTATED, ChecksumType.COMPOSITE)
    return tuple(sorted(found, key=lambda one: (types.index(one.type), CHEAPEST_FIRST.index(one.algorithm))))


def whole_claim(info: ObjectInfo) -> Claim | None:
    """The cheapest claim over the whole object; None when the store keeps none."""
    for found in checksums_of(info):
        if found.type is ChecksumType.FULL_OBJECT:
            return Claim(found, (info.size,), is_certain=True)
    return None


def part_count_of(info: ObjectInfo) -> int | None:
    """How many parts an object was uploaded in, as far as that is told."""
    counts = [composite_part_count(found) for found in info.checksums if found.type is ChecksumType.COMPOSITE]
    told = next((count for count in counts if count), None)
    return told or info.part_count or part_count_of_etag(info.etag)


def part_claims(info: ObjectInfo, part_lengths: tuple[int, ...], *, is_certain: bool) -> tuple[Claim, ...]:
    """What can be tried on given boundaries: one claim, or several where it is not told what a checksum covers.

    Args:
        info: Has no checksum over the whole.
        part_lengths: The parts in bytes.
        is_certain: These are its parts beyond doubt.
    """
    claims: list[Claim] = []
    for found in checksums_of(info):
        if found.type is ChecksumType.COMPOSITE:
            return (*claims, Claim(found, part_lengths, is_certain))
        claims.append(Claim(found, (info.size,), is_certain=False))
        claims.append(Claim(replace(found, type=ChecksumType.COMPOSITE), part_lengths, is_certain=False))
    return tuple(claims)


def candidate_claims(info: ObjectInfo) -> tuple[Claim, ...]:
    """What is worth trying on an object in parts whose sizes nobody tells."""
    count = part_count_of(info)
    found: dict[Claim, None] = {}
    for part_size in candidate_part_sizes_bytes(info.size, count) if count else (info.size,):
        # One part leaves no room for doubt; of several, other sizes than the usual ones may be in use.
        claims = part_claims(info, uniform_lengths(info.size, part_size), is_certain=count == 1)
        found |= dict.fromkeys(claims)
    return tuple(found)


def uniform_lengths(size_bytes: int, part_size_bytes: int) -> tuple[int, ...]:
    """The parts of an object that are all of one size but the last."""
    full, rest = divmod(size_bytes, part_size_bytes)
    return (part_size_bytes,) * full + ((rest,) if rest else ())


def candidate_part_sizes_bytes(size_bytes: int, part_count: int) -> tuple[int, ...]:
    """Usual part sizes that give so many parts, the most usual first, `MOST_CANDIDATES` at most.

    Args:
        size_bytes: Of the object, above zero.
        part_count: How many parts it has.
    """
    if part_count <= 1:
        return (size_bytes,)
    smallest = -(-size_bytes // part_count)
    largest = (size_bytes - 1) // (part_count - 1)
    usual = [size * _MIB for size in _USUAL_PART_SIZES_MIB] + [size * _MILLION for size in _USUAL_PART_SIZES_MB]
    # Programs that fit an object into a number of parts round up, to whole MiB or not at all.
    fitted = [-(-smallest // _MIB) * _MIB, smallest]
    fitting = dict.fromkeys(size for size in (*usual, *fitted) if smallest <= size <= largest)
    return tuple(fitting)[:MOST_CANDIDATES]


def compare_kept(ours: ObjectInfo, theirs: ObjectInfo) -> tuple[bool, Checksum] | None:
    """Compare two objects by what is kept of each, without their bytes.

    Args:
        ours: One of them.
        theirs: The other, of the same size.

    Returns:
        Whether they are equal, and by which checksum of `ours`; None when no two of their checksums say so: those over
        parts of unknown sizes prove equality alone.
    """
    kept: Mapping[tuple[ChecksumAlgorithm, ChecksumType], Checksum] = {
        (found.algorithm, found.type): found for found in checksums_of(theirs)
    }
    for found in checksums_of(ours):
        other = kept.get((found.algorithm, found.type))
        if other is None:
            continue
        if same_value(other, found) or same_value(found, other):
            return True, found
        if found.type is ChecksumType.FULL_OBJECT:
            return False, found
    return None
