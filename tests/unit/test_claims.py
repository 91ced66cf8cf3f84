"""What is tried on a file, and what two sets of stored checksums say of each other."""

import hashlib
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transfer.integrity.claims import (
    MOST_CANDIDATES,
    Claim,
    candidate_claims,
    candidate_part_sizes_bytes,
    checksums_of,
    compare_kept,
    part_claims,
    part_count_of,
    uniform_lengths,
    whole_claim,
)
from transfer.integrity.digests import composite_value, encode_value, multipart_etag, new_digest
from transfer.integrity.passes import try_claims
from transfer.model.checksums import Checksum, ChecksumAlgorithm, ChecksumType, VerifiedBy
from transfer.model.errors import ProtocolError, SourceChangedError
from transfer.model.objects import ObjectInfo
from transfer.stores.s3.attributes import parse_part_lengths

MIB = 1024 * 1024
MD5_ETAG = '"00112233445566778899aabbccddeeff"'
CRC = Checksum(ChecksumAlgorithm.CRC64NVME, "AAAAAAAAAAA=")
SHA = Checksum(ChecksumAlgorithm.SHA256, "A" * 43 + "=")
COMPOSITE = Checksum(ChecksumAlgorithm.CRC32C, "AAAAAA==-3", ChecksumType.COMPOSITE)
UNSTATED = Checksum(ChecksumAlgorithm.CRC32, "AAAAAA==", ChecksumType.UNSTATED)


def raw(algorithm: ChecksumAlgorithm, content: bytes) -> bytes:
    digest = new_digest(algorithm)
    digest.update(content)
    return digest.value()


@given(st.lists(st.binary(min_size=1, max_size=300), min_size=1, max_size=6), st.data())
def test_all_claims_are_computed_in_one_reading(
    tmp_path_factory: pytest.TempPathFactory, parts: list[bytes], data: st.DataObject
) -> None:
    content = b"".join(parts)
    lengths = tuple(map(len, parts))
    algorithms = data.draw(st.permutations([found for found in ChecksumAlgorithm if found.value != "none"]))
    claims, expected = [], []
    for algorithm in algorithms:
        whole = Checksum(algorithm, encode_value(raw(algorithm, content)))
        values = [raw(algorithm, part) for part in parts]
        joined = multipart_etag(values).strip('"') if algorithm.value == "md5" else composite_value(algorithm, values)
        composite = Checksum(algorithm, joined, ChecksumType.COMPOSITE)
        claims += [Claim(whole, (len(content),), True), Claim(composite, lengths, True)]
        expected += [whole, composite]
    path = tmp_path_factory.getbasetemp() / "content"
    path.write_bytes(content)
    fd = os.open(path, os.O_RDONLY)
    try:
        found = try_claims(fd, len(content), claims)
    finally:
        os.close(fd)
    assert list(found) == expected
    assert all(claim.agrees(value) for claim, value in zip(claims, found, strict=True))


def test_a_file_that_ends_early(tmp_path: Path) -> None:
    (tmp_path / "short").write_bytes(b"12")
    fd = os.open(tmp_path / "short", os.O_RDONLY)
    try:
        with pytest.raises(SourceChangedError):
            try_claims(fd, 3, [Claim(CRC, (3,), True)])
    finally:
        os.close(fd)


@given(st.integers(1, 5 * 1024**4), st.integers(1, 10_000))
def test_candidates_give_the_number_of_parts(size: int, count: int) -> None:
    found = candidate_part_sizes_bytes(size, count)
    assert len(found) <= MOST_CANDIDATES
    assert len(set(found)) == len(found)
    if count <= size:
        for part_size in found:
            lengths = uniform_lengths(size, part_size)
            assert len(lengths) == count
            assert sum(lengths) == size


@pytest.mark.parametrize(
    ("size", "part_size"), [(17 * MIB, 8 * MIB), (17 * MIB, 5 * MIB), (200 * MIB, 16 * MIB), (99 * MIB, 15 * MIB)]
)
def test_usual_part_sizes_are_among_the_candidates(size: int, part_size: int) -> None:
    assert part_size in candidate_part_sizes_bytes(size, -(-size // part_size))


@pytest.mark.parametrize(
    ("info", "algorithms"),
    [
        (ObjectInfo(1, MD5_ETAG), ["md5"]),
        (ObjectInfo(1, MD5_ETAG, encryption="AES256"), ["md5"]),
        (ObjectInfo(1, MD5_ETAG, encryption="aws:kms"), []),
        (ObjectInfo(1, MD5_ETAG, encryption="SSE-C AES256"), []),
        (ObjectInfo(1, MD5_ETAG, checksums=(SHA, CRC)), ["crc64nvme", "sha256", "md5"]),
        (ObjectInfo(1, MD5_ETAG[:-1] + '-3"', checksums=(COMPOSITE,)), ["crc32c", "md5"]),
        (ObjectInfo(1, MD5_ETAG[:-1] + '-3"', encryption="aws:kms"), []),
        (ObjectInfo(1, '"00000000000000000000000000000000-1"'), []),
        (ObjectInfo(1, '"opaque"'), []),
    ],
)
def test_what_counts_as_a_checksum(info: ObjectInfo, algorithms: list[str]) -> None:
    assert [found.algorithm.value for found in checksums_of(info)] == algorithms


def test_the_cheapest_claim_over_the_whole_comes_first() -> None:
    claim = whole_claim(ObjectInfo(5, MD5_ETAG, checksums=(SHA, COMPOSITE, CRC)))
    assert claim == Claim(CRC, (5,), True)
    assert claim.verified_by is VerifiedBy.FULL_OBJECT
    assert whole_claim(ObjectInfo(5, '"opaque"', checksums=(COMPOSITE, UNSTATED))) is None


def test_what_a_checksum_covers_may_be_left_open() -> None:
    etag = '"' + hashlib.md5(b"").hexdigest() + '-3"'
    info = ObjectInfo(17 * MIB, etag, checksums=(UNSTATED,))
    lengths = uniform_lengths(info.size, 8 * MIB)
    claims = part_claims(info, lengths, is_certain=True)
    kinds = [(claim.expected.type, claim.part_lengths, claim.is_certain) for claim in claims]
    assert kinds == [
        (ChecksumType.UNSTATED, (info.size,), False),
        (ChecksumType.COMPOSITE, lengths, False),
        (ChecksumType.COMPOSITE, lengths, True),
    ]
    assert part_count_of(info) == 3
    assert not any(claim.is_certain for claim in candidate_claims(info))
    one_part = ObjectInfo(5, etag.replace("-3", "-1"))
    assert [(claim.part_lengths, claim.is_certain) for claim in candidate_claims(one_part)] == [((5,), True)]


def test_two_objects_by_what_is_kept_of_them() -> None:
    other_crc = Checksum(CRC.algorithm, "AAAAAAAAAAE=")
    other_composite = Checksum(COMPOSITE.algorithm, "AAAAAQ==-3", ChecksumType.COMPOSITE)

    def compare(ours: tuple[Checksum, ...], theirs: tuple[Checksum, ...]) -> tuple[bool, Checksum] | None:
        return compare_kept(ObjectInfo(1, '"a"', checksums=ours), ObjectInfo(1, '"b"', checksums=theirs))

    assert compare((CRC, SHA), (SHA, CRC)) == (True, CRC)
    assert compare((CRC, SHA), (SHA, other_crc)) == (False, CRC)
    assert compare((COMPOSITE,), (COMPOSITE,)) == (True, COMPOSITE)
    assert compare((COMPOSITE,), (other_composite,)) is None
    assert compare((COMPOSITE, SHA), (other_composite, SHA)) == (True, SHA)
    assert compare((CRC,), (SHA,)) is None


def test_lengths_of_parts_are_read() -> None:
    head = "<GetObjectAttributesResponse><ETag>e-3</ETag><ObjectParts>"
    part = "<Part><PartNumber>2</PartNumber><Size>7</Size><ChecksumCRC32>AAAAAA==</ChecksumCRC32></Part>"
    more = "<IsTruncated>true</IsTruncated><NextPartNumberMarker>2</NextPartNumberMarker>"
    tail = "</ObjectParts></GetObjectAttributesResponse>"
    page = parse_part_lengths(f"{head}{more}{part}{tail}".encode())
    assert (page.etag, page.lengths, page.next_marker) == ("e-3", {2: 7}, 2)
    assert parse_part_lengths(f"{head}{part}{tail}".encode()).next_marker is None
    without = b"<GetObjectAttributesResponse><ETag>e</ETag></GetObjectAttributesResponse>"
    assert parse_part_lengths(without).lengths == {}
    for body in (b"", b"<html/>", f"{head}<Part><Size>1</Size></Part>{tail}".encode()):
        with pytest.raises(ProtocolError):
            parse_part_lengths(body)
