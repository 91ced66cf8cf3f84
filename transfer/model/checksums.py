"""Names and values of checksums, as S3 speaks of them (AWS: Checking object integrity in Amazon S3)."""

from __future__ import annotations

from enum import StrEnum

from transfer.model.values import dataclass


class ChecksumAlgorithm(StrEnum):
    """What a checksum is computed with; the value is what `--checksum` takes.

    Attributes:
        header: The request or response header that carries the value in base64; "" for NONE.
        is_crc: Whether the checksums of adjacent parts combine into that of the whole.
        is_stored: Whether the store keeps it beside the object as an `x-amz-checksum-*` value.
    """

    header: str
    is_crc: bool
    is_stored: bool

    CRC64NVME = "crc64nvme"
    CRC32C = "crc32c"
    CRC32 = "crc32"
    SHA256 = "sha256"
    SHA1 = "sha1"
    MD5 = "md5"
    NONE = "none"

    def __init__(self, name: str) -> None:
        self.is_crc = name.startswith("crc")
        self.is_stored = name not in ("md5", "none")
        self.header = f"x-amz-checksum-{name}" if self.is_stored else {"md5": "content-md5", "none": ""}[name]


class ChecksumType(StrEnum):
    """What a stored checksum of a multipart object covers; the value is that of `x-amz-checksum-type`."""

    FULL_OBJECT = "FULL_OBJECT"
    COMPOSITE = "COMPOSITE"
    UNSTATED = "UNSTATED"
    """The store does not say, and an object in parts may have either: equality proves, a difference does not."""


@dataclass(frozen=True, slots=True)
class Checksum:
    """One checksum: `value` is base64; a composite one ends in `-N`, N being the number of parts."""

    algorithm: ChecksumAlgorithm
    value: str
    type: ChecksumType = ChecksumType.FULL_OBJECT

    def __str__(self) -> str:
        return f"{self.algorithm.value}:{self.value}"


class VerifiedBy(StrEnum):
    """What proved that source and destination hold the same bytes."""

    FULL_OBJECT = "full-object checksum"
    """The store computed or keeps a checksum over the whole object and it equals ours."""
    COMPOSITE = "composite checksum"
    """The store keeps a checksum over the checksums of the parts and it equals ours."""
    PARTS = "part checksums"
    """The store checked each part against the checksum sent with it, but keeps none for the whole."""
    MD5_ETAG = "MD5 ETag"
    """The ETag is the MD5 of the content and equals ours."""
    NOTHING_TO_VERIFY = "nothing to verify"
    """No byte was moved that could be wrong: a folder was made for an empty object that stands for one."""
    UNVERIFIED = "unverified"
    """Nothing to compare with: sizes agree, no more is known."""
