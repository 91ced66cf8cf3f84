"""What is known to prove that a copy equals its source, and what is not."""

import pytest

from transfer.integrity.copy_proof import agree, agree_by_etag, is_comparable
from transfer.model.checksums import Checksum, ChecksumAlgorithm, ChecksumType, VerifiedBy
from transfer.model.errors import ChecksumMismatchError
from transfer.model.objects import ObjectInfo

ONE = '"5d41402abc4b2a76b9719d911017c592"'
TWO = '"7d793037a0760186574b0282f2f435e7"'
PARTS = '"5d41402abc4b2a76b9719d911017c592-2"'
CRC = Checksum(ChecksumAlgorithm.CRC32C, "R2N4zg==")
OTHER_CRC = Checksum(ChecksumAlgorithm.CRC32C, "35dA9g==")
COMPOSITE = Checksum(ChecksumAlgorithm.SHA256, "R2N4zg==-2", ChecksumType.COMPOSITE)
OTHER_COMPOSITE = Checksum(ChecksumAlgorithm.SHA256, "35dA9g==-3", ChecksumType.COMPOSITE)


def info(etag: str = PARTS, *checksums: Checksum, size: int = 10, encryption: str | None = None) -> ObjectInfo:
    return ObjectInfo(size=size, etag=etag, checksums=checksums, encryption=encryption)


@pytest.mark.parametrize(
    ("source", "copy", "proof"),
    [
        (info(PARTS, CRC), info(ONE, CRC), VerifiedBy.FULL_OBJECT),
        (info(ONE, CRC), info(TWO, CRC), VerifiedBy.FULL_OBJECT),
        (info(PARTS, COMPOSITE, CRC), info(PARTS, COMPOSITE, CRC), VerifiedBy.FULL_OBJECT),
        (info(PARTS, COMPOSITE), info(PARTS, COMPOSITE), VerifiedBy.COMPOSITE),
        (info(ONE), info(ONE), VerifiedBy.MD5_ETAG),
        (info(PARTS), info(PARTS), VerifiedBy.MD5_ETAG),
        (info(PARTS), info(ONE), VerifiedBy.UNVERIFIED),
        (info(PARTS, COMPOSITE), info(TWO, OTHER_COMPOSITE), VerifiedBy.UNVERIFIED),
        (info(ONE, encryption="aws:kms"), info(TWO), VerifiedBy.UNVERIFIED),
        (info(ONE), info(TWO, encryption="aws:kms"), VerifiedBy.UNVERIFIED),
        (info(ONE, encryption="SSE-C AES256"), info(TWO), VerifiedBy.UNVERIFIED),
        (info(PARTS, CRC), info(ONE, Checksum(ChecksumAlgorithm.CRC32, "R2N4zg==")), VerifiedBy.UNVERIFIED),
    ],
)
def test_what_both_keep_decides(source: ObjectInfo, copy: ObjectInfo, proof: VerifiedBy) -> None:
    found = agree(source, copy, etags_are_md5=True)
    assert found.verified_by is proof
    assert (found.checksum is None) == (proof is VerifiedBy.UNVERIFIED)


@pytest.mark.parametrize(
    ("source", "copy"),
    [
        (info(ONE), info(ONE, size=11)),
        (info(PARTS, CRC), info(PARTS, OTHER_CRC)),
        (info(ONE, CRC), info(ONE, OTHER_CRC)),
        (info(ONE), info(TWO)),
        (info(ONE, encryption="AES256"), info(TWO)),
    ],
)
def test_what_differs_is_told(source: ObjectInfo, copy: ObjectInfo) -> None:
    with pytest.raises(ChecksumMismatchError, match="the copy has"):
        agree(source, copy, etags_are_md5=True)


def test_etags_of_directory_buckets_prove_nothing_by_being_different() -> None:
    assert agree(info(ONE), info(TWO), etags_are_md5=False).verified_by is VerifiedBy.UNVERIFIED


def test_etags_alone_prove_only_equal_md5() -> None:
    assert agree_by_etag(ONE, ONE.strip('"')).verified_by is VerifiedBy.MD5_ETAG
    assert str(agree_by_etag(ONE, ONE).checksum) == "md5:XUFAKrxLKna5cZ2REBfFkg=="
    for source, copy in ((ONE, TWO), (PARTS, PARTS), ("", ""), ('"x"', '"x"')):
        assert agree_by_etag(source, copy).verified_by is VerifiedBy.UNVERIFIED


def test_what_a_copy_in_one_piece_has_as_well_is_comparable() -> None:
    assert is_comparable(info(PARTS, CRC))
    assert is_comparable(info(ONE))
    assert not is_comparable(info(PARTS, COMPOSITE))
    assert not is_comparable(info(ONE, encryption="aws:kms"))
