"""Whether a copy that the store made holds the bytes of its source, from what is known of both. Pure."""

from __future__ import annotations

import re
from typing import Final

from transfer.integrity.digests import encode_value
from transfer.integrity.proof import same_value
from transfer.model.checksums import Checksum, ChecksumAlgorithm, ChecksumType, VerifiedBy
from transfer.model.errors import ChecksumMismatchError
from transfer.model.objects import ObjectInfo
from transfer.model.values import dataclass

_MD5: Final = re.compile(r'"?([0-9a-fA-F]{32})"?').fullmatch
_MULTIPART: Final = re.compile(r'"?[0-9a-fA-F]{32}-[1-9][0-9]{0,4}"?').fullmatch
_MD5_ENCRYPTIONS: Final = (None, "AES256")
_REMEDY: Final = "what is there now is wrong: remove it or copy again, and compare the source with another copy"


@dataclass(frozen=True, slots=True)
class Agreement:
    """What source and copy are known to have in common; the checksum is None when only their sizes are."""

    verified_by: VerifiedBy
    checksum: Checksum | None = None


NOTHING_KNOWN: Final = Agreement(VerifiedBy.UNVERIFIED)


def agree_by_etag(source: str, copy: str) -> Agreement:
    """What the ETags alone prove: that they are the same MD5. Different ones prove nothing."""
    known = _MD5(source)
    if known is None or known.group(1).lower() != copy.strip('"').lower():
        return NOTHING_KNOWN
    return Agreement(VerifiedBy.MD5_ETAG, _md5_of(known.group(1)))


def agree_by_checksum(source: ObjectInfo, copy: tuple[Checksum, ...]) -> Agreement:
    """What the checksums prove; those over a whole object first.

    Raises:
        ChecksumMismatchError: Both keep one over the whole object, and they differ.
    """
    found = NOTHING_KNOWN
    for theirs in copy:
        for ours in source.checksums:
            if ours.algorithm is not theirs.algorithm:
                continue
            kinds = {ours.type, theirs.type}
            if same_value(ours, theirs) or same_value(theirs, ours):
                is_whole = ChecksumType.FULL_OBJECT in kinds and ChecksumType.COMPOSITE not in kinds
                if is_whole:
                    return Agreement(VerifiedBy.FULL_OBJECT, ours)
                found = Agreement(VerifiedBy.COMPOSITE, ours)
            elif kinds == {ChecksumType.FULL_OBJECT}:
                raise ChecksumMismatchError(f"the copy has {theirs}, its source {ours}", remedy=_REMEDY)
    return found


def agree(source: ObjectInfo, copy: ObjectInfo, *, etags_are_md5: bool) -> Agreement:
    """What all that is known of both proves.

    Args:
        source: As the store tells it.
        copy: The same.
        etags_are_md5: Whether ETags that look like an MD5 are one for objects without KMS or customer keys; not so in
            directory buckets.

    Raises:
        ChecksumMismatchError: They are not the same bytes.
    """
    if source.size != copy.size:
        raise ChecksumMismatchError(f"the copy has {copy.size} bytes, its source {source.size}", remedy=_REMEDY)
    found = agree_by_checksum(source, copy.checksums)
    if found.verified_by is not VerifiedBy.UNVERIFIED:
        return found
    found = agree_by_etag(source.etag, copy.etag)
    if found.verified_by is not VerifiedBy.UNVERIFIED:
        return found
    if _MULTIPART(source.etag) and source.etag.strip('"') == copy.etag.strip('"'):
        composite = Checksum(ChecksumAlgorithm.MD5, source.etag.strip('"'), ChecksumType.COMPOSITE)
        return Agreement(VerifiedBy.MD5_ETAG, composite)
    if etags_are_md5 and _has_md5(source) and _has_md5(copy):
        raise ChecksumMismatchError(f"the copy has the ETag {copy.etag}, its source {source.etag}", remedy=_REMEDY)
    return NOTHING_KNOWN


def is_comparable(info: ObjectInfo) -> bool:
    """Whether an object keeps something that a copy made in one piece has as well: then equality can be seen."""
    return _has_md5(info) or any(
        found.type is ChecksumType.FULL_OBJECT and found.algorithm.is_stored for found in info.checksums
    )


def _has_md5(info: ObjectInfo) -> bool:
    return _MD5(info.etag) is not None and info.encryption in _MD5_ENCRYPTIONS


def _md5_of(digits: str) -> Checksum:
    return Checksum(ChecksumAlgorithm.MD5, encode_value(bytes.fromhex(digits)))
