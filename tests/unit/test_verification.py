import base64
import hashlib
import itertools
import zlib
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transfer.engine.ordered_digest import OrderedDigest
from transfer.engine.verifying import DownloadPlan, RangeDigest, checksum_of_ranges, matches
from transfer.integrity.digests import encode_value, value_bytes
from transfer.integrity.verification import (
    Verification,
    VerificationKind,
    checksums_from_headers,
    choose_verification,
    composite_part_count,
    composite_part_size_bytes,
    part_count_of_etag,
)
from transfer.model.checksums import Checksum, ChecksumAlgorithm, ChecksumType
from transfer.model.objects import ObjectInfo
from transfer.plan.parts import split_ranges

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


def test_a_full_checksum_is_read_from_headers() -> None:
    value = full(ChecksumAlgorithm.CRC64NVME).value
    headers = {"x-amz-checksum-crc64nvme": value, "x-amz-checksum-type": "FULL_OBJECT", "etag": ETAG}
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


UNSTATED_CRCS = [ChecksumAlgorithm.CRC32C, ChecksumAlgorithm.CRC32]


@pytest.mark.parametrize("algorithm", STORED)
def test_a_bare_value_of_an_object_in_parts_is_what_the_algorithm_can_be(algorithm: ChecksumAlgorithm) -> None:
    (found,) = checksums_from_headers({algorithm.header: full(algorithm).value, "etag": MULTIPART_ETAG})
    # CRC64NVME is never composite, a hash never covers a whole that came in parts (AWS: Checking object integrity).
    if algorithm is ChecksumAlgorithm.CRC64NVME:
        assert found.type is ChecksumType.FULL_OBJECT
    elif algorithm.is_crc:
        assert found.type is ChecksumType.UNSTATED
    else:
        assert found.type is ChecksumType.COMPOSITE


@pytest.mark.parametrize("algorithm", STORED)
@pytest.mark.parametrize("etag", [ETAG, '"opaque"', '"opaque-2"', f"{MULTIPART_ETAG}x"])
def test_a_bare_value_of_another_object_covers_all_of_it(algorithm: ChecksumAlgorithm, etag: str) -> None:
    headers = {algorithm.header: full(algorithm).value, "etag": etag}
    assert checksums_from_headers(headers) == (full(algorithm),)


@pytest.mark.parametrize("type_", [ChecksumType.FULL_OBJECT, ChecksumType.COMPOSITE])
@pytest.mark.parametrize("algorithm", STORED)
def test_a_stated_type_is_believed_for_an_object_in_parts(algorithm: ChecksumAlgorithm, type_: ChecksumType) -> None:
    headers = {algorithm.header: full(algorithm).value, "x-amz-checksum-type": type_.value, "etag": MULTIPART_ETAG}
    assert checksums_from_headers(headers)[0].type is type_


@pytest.mark.parametrize("algorithm", UNSTATED_CRCS)
def test_only_a_checksum_of_unstated_type_is_uncertain(algorithm: ChecksumAlgorithm) -> None:
    unstated = Checksum(algorithm, full(algorithm).value, ChecksumType.UNSTATED)
    found = choose_verification(ObjectInfo(size=1, etag=MULTIPART_ETAG, checksums=(unstated,)))
    assert found == Verification(VerificationKind.COMBINED_CRC, algorithm, unstated, certain=False)
    for better in (full(ChecksumAlgorithm.SHA1), composite(ChecksumAlgorithm.SHA1)):
        found = choose_verification(ObjectInfo(size=1, etag=MULTIPART_ETAG, checksums=(unstated, better)))
        assert (found.expected, found.certain) == (better, True)


@pytest.mark.parametrize(
    ("etag", "count"),
    [(MULTIPART_ETAG, 2), (MULTIPART_ETAG.replace("-2", "-10000"), 10_000), (ETAG, None), ('"x-2"', None), ("", None)],
)
def test_the_etag_of_an_object_in_parts_tells_their_number(etag: str, count: int | None) -> None:
    assert part_count_of_etag(etag) == count


def reference(algorithm: ChecksumAlgorithm, data: bytes) -> bytes:
    if algorithm is ChecksumAlgorithm.CRC32:
        return zlib.crc32(data).to_bytes(4, "big")
    return hashlib.new(algorithm.value, data).digest()


def plan_of(kind: VerificationKind, algorithm: ChecksumAlgorithm, size: int, part_size: int) -> DownloadPlan:
    return DownloadPlan(ObjectInfo(size=size, etag=ETAG), Verification(kind, algorithm, None), part_size)


def cut(content: bytes, cuts: set[int]) -> list[bytes]:
    edges = [0, *sorted(at for at in cuts if at < len(content)), len(content)]
    return [content[first:last] for first, last in itertools.pairwise(edges)]


COMPARABLE = st.sampled_from([ChecksumAlgorithm.CRC32, ChecksumAlgorithm.SHA1, ChecksumAlgorithm.SHA256])
CONTENTS = st.binary(min_size=1, max_size=200)
CUTS = st.sets(st.integers(min_value=0, max_value=200), max_size=20)


@given(algorithm=COMPARABLE, content=CONTENTS, cuts=CUTS, part_size=st.integers(min_value=1, max_value=210))
def test_bytes_in_order_make_the_composite_of_the_original_parts(
    algorithm: ChecksumAlgorithm, content: bytes, cuts: set[int], part_size: int
) -> None:
    digest = OrderedDigest(plan_of(VerificationKind.COMPOSITE, algorithm, len(content), part_size))
    for piece in cut(content, cuts):
        digest.update(memoryview(piece))
    parts = [content[at : at + part_size] for at in range(0, len(content), part_size)]
    value = reference(algorithm, b"".join(reference(algorithm, part) for part in parts))
    text = f"{base64.b64encode(value).decode()}-{len(parts)}"
    assert digest.checksum() == Checksum(algorithm, text, ChecksumType.COMPOSITE)


@given(algorithm=COMPARABLE, content=st.binary(max_size=200), cuts=CUTS, part_size=st.integers(1, 210))
def test_bytes_in_order_make_the_checksum_of_the_whole(
    algorithm: ChecksumAlgorithm, content: bytes, cuts: set[int], part_size: int
) -> None:
    digest = OrderedDigest(plan_of(VerificationKind.WHOLE_FILE, algorithm, len(content), part_size))
    for piece in cut(content, cuts):
        digest.update(memoryview(piece))
    assert digest.checksum() == Checksum(algorithm, base64.b64encode(reference(algorithm, content)).decode())


@given(content=CONTENTS, part_size=st.integers(1, 210), order=st.randoms(use_true_random=False))
def test_ranges_in_any_order_make_the_crc_of_the_whole(content: bytes, part_size: int, order: Random) -> None:
    crc = ChecksumAlgorithm.CRC32
    digests = [
        RangeDigest(part, reference(crc, content[part.offset : part.end]))
        for part in split_ranges(len(content), part_size)
    ]
    order.shuffle(digests)
    plan = plan_of(VerificationKind.COMBINED_CRC, crc, len(content), part_size)
    expected = Checksum(crc, base64.b64encode(reference(crc, content)).decode())
    assert checksum_of_ranges(plan, digests, None) == expected


@pytest.mark.parametrize("type_", ChecksumType)
def test_what_arrived_matches_only_its_own_value(type_: ChecksumType) -> None:
    crc = ChecksumAlgorithm.CRC32
    expected = Checksum(crc, encode_value(bytes(4)), type_)
    plan = DownloadPlan(ObjectInfo(1, ETAG), Verification(VerificationKind.COMBINED_CRC, crc, expected), 1)
    assert matches(plan, Checksum(crc, encode_value(bytes(4))))
    assert not matches(plan, Checksum(crc, encode_value(b"xxxx")))
