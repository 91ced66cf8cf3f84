"""What an upload is proved by, from what the store answered. Pure: compares values, asks nobody."""

from __future__ import annotations

from collections.abc import Sequence

from transfer.integrity.digests import combine, composite_value, decode_value, encode_value, multipart_etag
from transfer.model.checksums import Checksum, ChecksumAlgorithm, ChecksumType, VerifiedBy
from transfer.model.errors import ChecksumMismatchError
from transfer.model.values import dataclass


@dataclass(frozen=True, slots=True)
class SentPart:
    """A part the store took: the raw value of its checksum (b"" when none is computed) and what was answered.

    Attributes:
        echoed: Whether the store repeated the checksum, so that it is known to have looked at it.
    """

    number: int
    length: int
    value: bytes
    etag: str
    echoed: bool


def checksum_of_whole(algorithm: ChecksumAlgorithm, parts: Sequence[SentPart]) -> Checksum | None:
    """The checksum of an object sent in parts: combined for CRCs, over those of the parts for others.

    Args:
        algorithm: What the parts were computed with.
        parts: All of them, by number.

    Returns:
        None when nothing was computed, or not of every part: a store that copies parts may not tell. For MD5 the value
        is that of a multipart ETag without its quotes.
    """
    if algorithm is ChecksumAlgorithm.NONE or not all(part.value for part in parts):
        return None
    if algorithm.is_crc:
        return Checksum(algorithm, encode_value(combine(algorithm, [(part.value, part.length) for part in parts])))
    values = [part.value for part in parts]
    if algorithm is ChecksumAlgorithm.MD5:
        return Checksum(algorithm, multipart_etag(values).strip('"'), ChecksumType.COMPOSITE)
    return Checksum(algorithm, composite_value(algorithm, values), ChecksumType.COMPOSITE)


def prove_upload(ours: Checksum | None, etag: str, theirs: Sequence[Checksum], *, encrypted_etag: bool) -> VerifiedBy:
    """Compare what was sent with what the store says it holds.

    Args:
        ours: The checksum of the whole as computed here.
        etag: As the store wrote it.
        theirs: The checksums the store told for the whole object.
        encrypted_etag: The ETag is known not to be an MD5 (KMS and customer keys).

    Raises:
        ChecksumMismatchError: The store holds other bytes than were sent.
    """
    if ours is None:
        return VerifiedBy.UNVERIFIED
    for found in theirs:
        if found.algorithm is not ours.algorithm:
            continue
        if found.type is ChecksumType.UNSTATED and same_value(found, ours):
            return _proof_by(ours)
        if found.type is ours.type:
            if not same_value(found, ours):
                raise ChecksumMismatchError(
                    f"the store holds {found}, but {ours} was sent", remedy="send it again: what is there now is wrong"
                )
            return _proof_by(ours)
    if ours.algorithm is ChecksumAlgorithm.MD5 and not encrypted_etag and etag.strip('"').lower() == _etag_form(ours):
        return VerifiedBy.MD5_ETAG
    return VerifiedBy.UNVERIFIED


def same_value(theirs: Checksum, ours: Checksum) -> bool:
    """Whether both are one checksum; some stores leave out the number of parts that a composite one ends in."""
    if theirs.type is not ChecksumType.FULL_OBJECT and "-" not in theirs.value:
        return theirs.value == ours.value.partition("-")[0]
    return theirs.value == ours.value


def _proof_by(ours: Checksum) -> VerifiedBy:
    return VerifiedBy.FULL_OBJECT if ours.type is ChecksumType.FULL_OBJECT else VerifiedBy.COMPOSITE


def _etag_form(md5: Checksum) -> str:
    if md5.type is ChecksumType.COMPOSITE:
        return md5.value
    return decode_value(md5.value).hex()
