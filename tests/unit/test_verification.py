import hashlib
import itertools

import pytest

from transfer.integrity.digests import encode_value, value_bytes
from transfer.integrity.verification import (
    Verification,
    VerificationKind,
    checksums_from_headers,
    choose_verification,
    composite_part_count,
    composite_part_size_bytes,
)
from transfer.model.checksums import Checksum, ChecksumAlgorithm, ChecksumType
from transfer.model.objects import ObjectInfo

MD5 = hashlib.md5(b"content")
ETAG = f'"{MD5.hexdigest()}"'
MULTIPART_ETAG = f'"{MD5.hexdigest()}-2"'
STORED = [algorithm for algorithm in ChecksumAlgorithm if algorithm.is_stored]


def full(algorithm: ChecksumAlgorithm) -> Checksum:
    return Checksum(algorithm, encode_value(bytes(value_bytes(algorithm))))


def composite(algorithm: ChecksumAlgorithm) -> Checksum:
    return Checksum(algorithm, full(algorithm).value + "-2", ChecksumType.COMPOSITE)


PREFERENCE = [
    *((full(algorithm), VerificationKind.COMBINED_CRC) for algorithm in STORED[:3]),
    *((full(algorithm), VerificationKind.WHOLE_FILE) for algorithm in STORED[3:]),
    *((composite(algorithm), VerificationKind.COMPOSITE) for algorithm in STORED),
]


@pytest.mark.parametrize(("better", "worse"), list(itertools.pairwise(PREFERENCE)))
def test_the_strongest_and_cheapest_proof_is_chosen(
    better: tuple[Checksum, VerificationKind], worse: tuple[Checksum, VerificationKind]
) -> None:
    info = ObjectInfo(size=1, etag=ETAG, checksums=(worse[0], better[0]))
    assert choose_verification(info) == Verification(better[1], better[0].algorithm, better[0])


def test_a_composite_goes_before_an_md5_etag() -> None:
    info = ObjectInfo(size=1, etag=ETAG, checksums=(composite(ChecksumAlgorithm.SHA1),))
    assert choose_verification(info).kind is VerificationKind.COMPOSITE


@pytest.mark.parametrize("encryption", [None, "AES256"])
def test_a_plain_etag_is_the_md5_of_the_content(encryption: str | None) -> None:
    expected = Checksum(ChecksumAlgorithm.MD5, encode_value(MD5.digest()))
    found = choose_verification(ObjectInfo(size=1, etag=ETAG, encryption=encryption))
    assert found == Verification(VerificationKind.WHOLE_FILE, ChecksumAlgorithm.MD5, expected)


@pytest.mark.parametrize(
    ("etag", "encryption"),
    [
        (ETAG, "aws:kms"),
        (ETAG, "aws:kms:dsse"),
        (MULTIPART_ETAG, None),
        (f"W/{ETAG}", None),
        (ETAG.replace('"', ""), None),
        ('"opaque"', None),
        ("", None),
    ],
)
def test_other_etags_prove_nothing(etag: str, encryption: str | None) -> None:
    found = choose_verification(ObjectInfo(size=1, etag=etag, encryption=encryption))
    assert found == Verification(VerificationKind.NONE, ChecksumAlgorithm.CRC64NVME, None)


def test_headers_are_read_in_any_case() -> None:
    value = full(ChecksumAlgorithm.CRC64NVME).value
    headers = {"X-Amz-Checksum-CRC64NVME": value, "x-amz-checksum-type": "FULL_OBJECT", "etag": ETAG}
    assert checksums_from_headers(headers) == (Checksum(ChecksumAlgorithm.CRC64NVME, value),)


@pytest.mark.parametrize("algorithm", STORED)
@pytest.mark.parametrize("stated", [{}, {"x-amz-checksum-type": "COMPOSITE"}, {"x-amz-checksum-type": "FULL_OBJECT"}])
def test_the_suffix_tells_a_composite(algorithm: ChecksumAlgorithm, stated: dict[str, str]) -> None:
    headers = {algorithm.header: composite(algorithm).value, **stated}
    assert checksums_from_headers(headers) == (composite(algorithm),)


def test_the_stated_type_tells_a_composite_without_suffix() -> None:
    value = full(ChecksumAlgorithm.SHA256).value
    headers = {"x-amz-checksum-sha256": value, "x-amz-checksum-type": "COMPOSITE"}
    assert checksums_from_headers(headers)[0].type is ChecksumType.COMPOSITE


def test_no_headers_no_checksums() -> None:
    assert checksums_from_headers({"etag": ETAG, "x-amz-checksum-type": "FULL_OBJECT"}) == ()


@pytest.mark.parametrize("value", ["", "?", "AAAA", "AAAAAA==-0", "AAAAAA==-x", "AAAAAA==-2-2"])
def test_what_cannot_be_a_checksum_is_left_out(value: str) -> None:
    assert checksums_from_headers({"x-amz-checksum-crc32": value}) == ()


def test_a_composite_tells_its_parts() -> None:
    assert composite_part_count(composite(ChecksumAlgorithm.CRC32)) == 2
    assert composite_part_count(full(ChecksumAlgorithm.CRC32)) is None


@pytest.mark.parametrize(
    ("size", "count", "first", "expected"),
    [
        (20, 2, 10, 10),
        (21, 3, 10, 10),
        (11, 2, 10, 10),
        (10, 2, 10, None),
        (31, 3, 10, None),
        (7, 1, 7, 7),
        (7, 0, 7, None),
        (7, 1, 0, None),
    ],
)
def test_the_part_size_follows_when_the_numbers_agree(size: int, count: int, first: int, expected: int | None) -> None:
    assert composite_part_size_bytes(size, count, first) == expected
