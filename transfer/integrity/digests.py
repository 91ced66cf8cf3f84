"""Checksums of bytes: computing them, joining those of parts, and writing them as stores do. Opens no file.

CRCs come from awscrt (AWS's implementation with processor instructions), the others from hashlib. awscrt
computes under the interpreter lock, so it is fed `FEED_BYTES` at a time: no other thread waits longer than
that takes.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Protocol, TypeAlias

from transfer.model.checksums import ChecksumAlgorithm
from transfer.model.values import dataclass

if TYPE_CHECKING:
    from hashlib import _Hash

Buffer: TypeAlias = bytes | bytearray | memoryview

FEED_BYTES = 1024 * 1024
"""Takes well below 0.1 ms per call at the speed of a CRC instruction, and fits into the processor's cache."""

_VALUE_BYTES: Mapping[ChecksumAlgorithm, int] = {
    ChecksumAlgorithm.CRC64NVME: 8,
    ChecksumAlgorithm.CRC32C: 4,
    ChecksumAlgorithm.CRC32: 4,
    ChecksumAlgorithm.SHA256: 32,
    ChecksumAlgorithm.SHA1: 20,
    ChecksumAlgorithm.MD5: 16,
}


class Digest(Protocol):
    """A checksum in the making."""

    def update(self, data: Buffer) -> None:
        """Take the next bytes; blocks while it computes."""

    def value(self) -> bytes:
        """The checksum of all bytes so far: raw, big-endian for CRCs; more bytes may follow."""


@dataclass(frozen=True, slots=True)
class _Crc:
    extend: Callable[[Buffer, int], int]
    combine: Callable[[int, int, int], int]


class _CrcDigest:
    __slots__ = ("_extend", "_register", "_value_bytes")

    def __init__(self, extend: Callable[[Buffer, int], int], value_bytes: int) -> None:
        self._extend = extend
        self._value_bytes = value_bytes
        self._register = 0

    def update(self, data: Buffer) -> None:
        if len(data) <= FEED_BYTES and not isinstance(data, memoryview):
            self._register = self._extend(data, self._register)
            return
        view = memoryview(data).cast("B")
        for start in range(0, len(view), FEED_BYTES):
            self._register = self._extend(view[start : start + FEED_BYTES], self._register)

    def value(self) -> bytes:
        return self._register.to_bytes(self._value_bytes, "big")


class _HashDigest:
    __slots__ = ("_hash",)

    def __init__(self, hash_: _Hash) -> None:
        self._hash = hash_

    def update(self, data: Buffer) -> None:
        self._hash.update(data)

    def value(self) -> bytes:
        return self._hash.digest()


def new_digest(algorithm: ChecksumAlgorithm) -> Digest:
    """Begin a checksum.

    Raises:
        ValueError: The algorithm is NONE, which computes nothing.
    """
    if algorithm.is_crc:
        return _CrcDigest(_crcs()[algorithm].extend, value_bytes(algorithm))
    value_bytes(algorithm)
    return _HashDigest(hashlib.new(algorithm.value, usedforsecurity=False))


def value_bytes(algorithm: ChecksumAlgorithm) -> int:
    """How long a raw value is.

    Raises:
        ValueError: The algorithm is NONE.
    """
    if algorithm not in _VALUE_BYTES:
        raise ValueError("no checksum is computed with the algorithm none")
    return _VALUE_BYTES[algorithm]


def combine(algorithm: ChecksumAlgorithm, parts: Sequence[tuple[bytes, int]]) -> bytes:
    """Join the CRCs of adjacent parts to that of the whole, without the bytes.

    Args:
        algorithm: A CRC.
        parts: In order: the raw value of each part and its length in bytes.

    Returns:
        The raw value of the whole; that of no bytes for no parts.

    Raises:
        ValueError: The algorithm is no CRC: checksums of other kinds do not combine.
    """
    if not algorithm.is_crc:
        raise ValueError(f"checksums by {algorithm.value} do not combine")
    joined = 0
    for value, length in parts:
        joined = _crcs()[algorithm].combine(joined, int.from_bytes(value, "big"), length)
    return joined.to_bytes(value_bytes(algorithm), "big")


def composite_value(algorithm: ChecksumAlgorithm, part_values: Sequence[bytes]) -> str:
    """The composite checksum of a multipart object: the checksum over those of its parts, and their number.

    AWS, "Checking object integrity in Amazon S3", composite checksums.

    Args:
        algorithm: What the parts were computed with.
        part_values: The raw values of the parts in order.

    Returns:
        Base64 and `-N`.
    """
    return f"{encode_value(_digest_of_digests(algorithm, part_values))}-{len(part_values)}"


def multipart_etag(part_md5s: Sequence[bytes]) -> str:
    """The ETag that S3 gives a multipart object without KMS encryption, in quotes as in the header.

    Args:
        part_md5s: The raw MD5 of each part in order.
    """
    return f'"{_digest_of_digests(ChecksumAlgorithm.MD5, part_md5s).hex()}-{len(part_md5s)}"'


def encode_value(value: bytes) -> str:
    """Write a raw value in base64, as headers carry it."""
    return binascii.b2a_base64(value, newline=False).decode("ascii")


def decode_value(text: str) -> bytes:
    """Read a raw value from base64, without a `-N`.

    Raises:
        ValueError: The text is no base64.
    """
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"{text!r} is no base64") from error


def _digest_of_digests(algorithm: ChecksumAlgorithm, part_values: Sequence[bytes]) -> bytes:
    digest = new_digest(algorithm)
    for value in part_values:
        digest.update(value)
    return digest.value()


def load_crcs() -> None:
    """Load what CRCs are computed with, as the first of them does, which then takes no longer than others."""
    _crcs()


@cache
def _crcs() -> Mapping[ChecksumAlgorithm, _Crc]:
    # Importing awscrt takes 30 ms, which commands that list or remove should not pay.
    from awscrt import checksums

    return {
        ChecksumAlgorithm.CRC64NVME: _Crc(checksums.crc64nvme, checksums.combine_crc64nvme),
        ChecksumAlgorithm.CRC32C: _Crc(checksums.crc32c, checksums.combine_crc32c),
        ChecksumAlgorithm.CRC32: _Crc(checksums.crc32, checksums.combine_crc32),
    }
