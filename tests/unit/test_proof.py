import hashlib
import zlib

import pytest

from transfer.engine.uploading import sent_part
from transfer.integrity.digests import encode_value, multipart_etag, new_digest, value_bytes
from transfer.integrity.proof import SentPart, checksum_of_whole, prove_upload, same_value
from transfer.model.checksums import Checksum, ChecksumAlgorithm, ChecksumType, VerifiedBy
from transfer.model.errors import ChecksumMismatchError
from transfer.stores.s3.objects import Written

CRC = ChecksumAlgorithm.CRC64NVME
SHA = ChecksumAlgorithm.SHA256
MD5 = ChecksumAlgorithm.MD5
CONTENT = b"some content in three parts"
PIECES = [CONTENT[:10], CONTENT[10:20], CONTENT[20:]]


def value_of(algorithm: ChecksumAlgorithm, data: bytes) -> bytes:
    digest = new_digest(algorithm)
    digest.update(data)
    return digest.value()


def full(algorithm: ChecksumAlgorithm, data: bytes = CONTENT) -> Checksum:
    return Checksum(algorithm, encode_value(value_of(algorithm, data)))


def parts_of(algorithm: ChecksumAlgorithm) -> list[SentPart]:
    return [
        SentPart(number, len(piece), value_of(algorithm, piece), "", echoed=False)
        for number, piece in enumerate(PIECES, start=1)
    ]


@pytest.mark.parametrize("algorithm", [found for found in ChecksumAlgorithm if found.is_crc])
def test_the_crcs_of_parts_make_that_of_the_whole(algorithm: ChecksumAlgorithm) -> None:
    assert checksum_of_whole(algorithm, parts_of(algorithm)) == full(algorithm)


def test_a_combined_crc32_is_the_one_everybody_computes() -> None:
    found = checksum_of_whole(ChecksumAlgorithm.CRC32, parts_of(ChecksumAlgorithm.CRC32))
    assert found == Checksum(ChecksumAlgorithm.CRC32, encode_value(zlib.crc32(CONTENT).to_bytes(4, "big")))


def test_the_hashes_of_parts_make_a_composite() -> None:
    value = hashlib.sha256(b"".join(hashlib.sha256(piece).digest() for piece in PIECES)).digest()
    assert checksum_of_whole(SHA, parts_of(SHA)) == Checksum(SHA, encode_value(value) + "-3", ChecksumType.COMPOSITE)


def test_the_md5s_of_parts_make_an_etag() -> None:
    value = hashlib.md5(b"".join(hashlib.md5(piece).digest() for piece in PIECES)).hexdigest()
    assert checksum_of_whole(MD5, parts_of(MD5)) == Checksum(MD5, f"{value}-3", ChecksumType.COMPOSITE)


def test_nothing_computed_proves_nothing() -> None:
    nothing = [SentPart(1, 5, b"", '"etag"', echoed=False)]
    assert checksum_of_whole(ChecksumAlgorithm.NONE, nothing) is None
    assert prove_upload(None, '"etag"', [full(CRC)], encrypted_etag=False) is VerifiedBy.UNVERIFIED


def composite(value: bytes = bytes(32), suffix: str = "-3", type_: ChecksumType = ChecksumType.COMPOSITE) -> Checksum:
    return Checksum(SHA, encode_value(value) + suffix, type_)


@pytest.mark.parametrize(
    ("ours", "theirs", "proof"),
    [
        (full(CRC), full(CRC), VerifiedBy.FULL_OBJECT),
        (composite(), composite(), VerifiedBy.COMPOSITE),
        (composite(), composite(suffix=""), VerifiedBy.COMPOSITE),
        (full(CRC), Checksum(CRC, full(CRC).value, ChecksumType.UNSTATED), VerifiedBy.FULL_OBJECT),
        (composite(), composite(suffix="", type_=ChecksumType.UNSTATED), VerifiedBy.COMPOSITE),
        (full(CRC), Checksum(CRC, full(CRC, b"other").value, ChecksumType.UNSTATED), VerifiedBy.UNVERIFIED),
        (full(CRC), full(SHA), VerifiedBy.UNVERIFIED),
        (full(SHA), composite(), VerifiedBy.UNVERIFIED),
        (full(SHA), composite(suffix=""), VerifiedBy.UNVERIFIED),
    ],
)
def test_only_the_same_kind_of_checksum_proves(ours: Checksum, theirs: Checksum, proof: VerifiedBy) -> None:
    assert prove_upload(ours, '"opaque"', [theirs], encrypted_etag=False) is proof


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (full(CRC), full(CRC, b"other")),
        (composite(), composite(b"x" * 32)),
        (composite(), composite(b"x" * 32, suffix="")),
        (composite(), composite(suffix="-2")),
    ],
)
def test_another_checksum_of_that_kind_is_a_mismatch(ours: Checksum, theirs: Checksum) -> None:
    with pytest.raises(ChecksumMismatchError) as failure:
        prove_upload(ours, '"opaque"', [full(ChecksumAlgorithm.SHA1), theirs], encrypted_etag=False)
    assert theirs.value in failure.value.message
    assert failure.value.remedy


def test_an_unstated_value_does_not_hide_a_stated_one() -> None:
    unstated = Checksum(CRC, full(CRC, b"other").value, ChecksumType.UNSTATED)
    assert prove_upload(full(CRC), "", [unstated, full(CRC)], encrypted_etag=False) is VerifiedBy.FULL_OBJECT


def test_the_md5_is_proved_by_the_etag_of_an_object_in_one_piece() -> None:
    etag = f'"{hashlib.md5(CONTENT).hexdigest().upper()}"'
    assert prove_upload(full(MD5), etag, [], encrypted_etag=False) is VerifiedBy.MD5_ETAG
    assert prove_upload(full(MD5), etag, [], encrypted_etag=True) is VerifiedBy.UNVERIFIED
    assert prove_upload(full(MD5, b"other"), etag, [], encrypted_etag=False) is VerifiedBy.UNVERIFIED
    assert prove_upload(full(CRC), etag, [], encrypted_etag=False) is VerifiedBy.UNVERIFIED


def test_the_md5_is_proved_by_the_etag_of_an_object_in_parts() -> None:
    parts = parts_of(MD5)
    ours = checksum_of_whole(MD5, parts)
    etag = multipart_etag([part.value for part in parts])
    assert prove_upload(ours, etag, [], encrypted_etag=False) is VerifiedBy.MD5_ETAG


def test_a_suffix_may_be_missing_in_what_the_store_says_only_for_composites() -> None:
    assert same_value(composite(suffix=""), composite())
    assert not same_value(composite(suffix="-2"), composite())
    assert not same_value(full(SHA), Checksum(SHA, full(SHA).value + "-3", ChecksumType.COMPOSITE))


def written(etag: str, *checksums: Checksum) -> Written:
    return Written(etag, None, checksums)


@pytest.mark.parametrize("algorithm", [found for found in ChecksumAlgorithm if found.is_stored])
def test_a_part_is_echoed_when_its_checksum_comes_back(algorithm: ChecksumAlgorithm) -> None:
    value = bytes(range(value_bytes(algorithm)))
    part = sent_part(algorithm, 7, 9, value, written('"etag"', Checksum(algorithm, encode_value(value))))
    assert part == SentPart(7, 9, value, '"etag"', echoed=True)
    assert not sent_part(algorithm, 7, 9, value, written('"etag"')).echoed


def test_a_part_with_another_checksum_is_a_mismatch() -> None:
    with pytest.raises(ChecksumMismatchError, match="part 7"):
        sent_part(CRC, 7, 9, bytes(8), written('"etag"', Checksum(CRC, encode_value(b"x" * 8))))


def test_a_checksum_nobody_asked_for_says_nothing_of_a_part() -> None:
    assert not sent_part(CRC, 7, 9, bytes(8), written('"etag"', full(SHA))).echoed
    assert not sent_part(ChecksumAlgorithm.NONE, 7, 9, b"", written('"etag"', full(SHA))).echoed


def test_the_etag_of_a_part_echoes_its_md5() -> None:
    value = hashlib.md5(CONTENT).digest()
    assert sent_part(MD5, 1, 9, value, written(f'"{value.hex()}"')).echoed
    assert not sent_part(MD5, 1, 9, value, written(f'"{"0" * 32}"')).echoed
