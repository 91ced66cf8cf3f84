"""What a download can be verified by, decided from what the store told of the object. Reads no byte of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Enum
from itertools import product

from transfer.integrity.digests import decode_value, encode_value, value_bytes
from transfer.model.checksums import Checksum, ChecksumAlgorithm, ChecksumType
from transfer.model.objects import ObjectInfo
from transfer.model.values import dataclass

_STRONGEST_FIRST = (
    ChecksumAlgorithm.CRC64NVME,
    ChecksumAlgorithm.CRC32C,
    ChecksumAlgorithm.CRC32,
    ChecksumAlgorithm.SHA256,
    ChecksumAlgorithm.SHA1,
)
"""CRCs come first: those of parts that arrive in any order combine, while a hash needs another pass over the
file."""
_HEADERS = tuple((algorithm, algorithm.header) for algorithm in _STRONGEST_FIRST)

_RANKS = {pair: rank for rank, pair in enumerate(product(ChecksumType, _STRONGEST_FIRST))}
_TYPE_HEADER = "x-amz-checksum-type"
_COMPOSITE_SUFFIX = re.compile(r"-([1-9][0-9]{0,4})\Z")
_MULTIPART_ETAG = re.compile(r'"[0-9a-fA-F]{32}-[1-9][0-9]{0,4}"')
_MD5_ETAG = re.compile(r'"([0-9a-fA-F]{32})"')
_MD5_ENCRYPTIONS = (None, "AES256")


class VerificationKind(Enum):
    """How the expected checksum is compared with what arrived."""

    COMBINED_CRC = "combined_crc"
    """The CRCs of the parts, whatever their boundaries, combine into the expected one."""
    WHOLE_FILE = "whole_file"
    """One pass over the whole file in order."""
    COMPOSITE = "composite"
    """A checksum over the checksums of the parts, on the boundaries the object was uploaded with."""
    NONE = "none"
    """Nothing to compare with; the algorithm says what the receipt tells."""


@dataclass(frozen=True, slots=True)
class Verification:
    """What to compute for a download and what it must equal; `expected` is None for NONE only.

    An MD5 ETag is expected in base64 like all others.

    Attributes:
        certain: A difference proves damage. It does not when the store leaves open what its checksum covers.
    """

    kind: VerificationKind
    algorithm: ChecksumAlgorithm
    expected: Checksum | None
    certain: bool = True


def choose_verification(info: ObjectInfo) -> Verification:
    """Choose the strongest proof that costs least.

    In this order: a full-object CRC, a full-object SHA, a composite checksum, an ETag that is an MD5.

    Args:
        info: What HEAD or a plain GET told. Objects encrypted with the customer's key (SSE-C) need an
            `encryption` that says so: their ETag looks like an MD5 and is none.
    """
    expected = min(info.checksums, key=_rank, default=None)
    if expected is not None:
        return Verification(
            _kind_of(expected), expected.algorithm, expected, expected.type is not ChecksumType.UNSTATED
        )
    md5 = _md5_of_etag(info)
    if md5 is not None:
        return Verification(VerificationKind.WHOLE_FILE, ChecksumAlgorithm.MD5, md5)
    return Verification(VerificationKind.NONE, ChecksumAlgorithm.CRC64NVME, None)


def checksums_from_headers(headers: Mapping[str, str]) -> tuple[Checksum, ...]:
    """Read every checksum that an answer carries.

    A value that cannot be one (no base64, the wrong length) is left out: it could prove nothing.

    Args:
        headers: By lower-case name.
    """
    told = [(algorithm, headers[header]) for algorithm, header in _HEADERS if header in headers]
    if not told:
        return ()
    stated = headers.get(_TYPE_HEADER, "").upper()
    sent_in_parts = _MULTIPART_ETAG.fullmatch(headers.get("etag", "")) is not None
    found = (_checksum_from(algorithm, value, stated, sent_in_parts=sent_in_parts) for algorithm, value in told)
    return tuple(checksum for checksum in found if checksum is not None)


def composite_part_count(expected: Checksum) -> int | None:
    """How many parts a composite checksum says it covers; None when it does not say."""
    suffix = _COMPOSITE_SUFFIX.search(expected.value)
    return int(suffix.group(1)) if suffix else None


def part_count_of_etag(etag: str) -> int | None:
    """How many parts the ETag of a multipart object names; None for other ETags."""
    return int(etag.strip('"').rpartition("-")[2]) if _MULTIPART_ETAG.fullmatch(etag) else None


def checksum_of_etag(info: ObjectInfo) -> Checksum | None:
    """The MD5 that an ETag is, or for an object in parts the MD5 of their MD5s; None when it is neither.

    The second is written as in the ETag, without its quotes.
    """
    if part_count_of_etag(info.etag) is not None and info.encryption in _MD5_ENCRYPTIONS:
        return Checksum(ChecksumAlgorithm.MD5, info.etag.strip('"').lower(), ChecksumType.COMPOSITE)
    return _md5_of_etag(info)


def composite_part_size_bytes(size_bytes: int, part_count: int, first_part_size_bytes: int) -> int | None:
    """The part size that an object was uploaded with, when all its parts but the last have that of the first.

    Args:
        size_bytes: Of the object.
        part_count: From the checksum's `-N` or the store.
        first_part_size_bytes: What HEAD with `partNumber=1` told.

    Returns:
        Bytes, or None when the numbers do not agree, so parts differ in size. That they agree proves nothing
        yet: a composite value that differs may still mean other boundaries.
    """
    if first_part_size_bytes <= 0 or part_count < 1:
        return None
    agrees = -(-size_bytes // first_part_size_bytes) == part_count
    return first_part_size_bytes if agrees else None


def _rank(found: Checksum) -> int:
    return _RANKS[found.type, found.algorithm]


def _kind_of(expected: Checksum) -> VerificationKind:
    if expected.type is ChecksumType.COMPOSITE:
        return VerificationKind.COMPOSITE
    return VerificationKind.COMBINED_CRC if expected.algorithm.is_crc else VerificationKind.WHOLE_FILE


def _md5_of_etag(info: ObjectInfo) -> Checksum | None:
    found = _MD5_ETAG.fullmatch(info.etag)
    if found is None or info.encryption not in _MD5_ENCRYPTIONS:
        return None
    return Checksum(ChecksumAlgorithm.MD5, encode_value(bytes.fromhex(found.group(1))))


def _checksum_from(
    algorithm: ChecksumAlgorithm, text: str, stated_type: str, *, sent_in_parts: bool
) -> Checksum | None:
    encoded, count = _COMPOSITE_SUFFIX.subn("", text)
    try:
        is_possible = len(decode_value(encoded)) == value_bytes(algorithm)
    except ValueError:
        is_possible = False
    if not is_possible:
        return None
    type_ = _type_of(algorithm, stated_type, has_part_count=count > 0, sent_in_parts=sent_in_parts)
    return Checksum(algorithm, text, type_)


def _type_of(
    algorithm: ChecksumAlgorithm, stated_type: str, *, has_part_count: bool, sent_in_parts: bool
) -> ChecksumType:
    """What a checksum covers; some stores say neither its type nor its number of parts."""
    if has_part_count or stated_type == ChecksumType.COMPOSITE.value:
        return ChecksumType.COMPOSITE
    if stated_type or not sent_in_parts or algorithm is ChecksumAlgorithm.CRC64NVME:
        return ChecksumType.FULL_OBJECT
    # There is no full-object SHA of an object in parts; the shorter CRCs come in both forms.
    return ChecksumType.UNSTATED if algorithm.is_crc else ChecksumType.COMPOSITE
