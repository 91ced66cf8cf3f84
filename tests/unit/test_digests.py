import hashlib
import os
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from transfer.integrity import digests
from transfer.integrity.files import digest_file_range
from transfer.model.checksums import ChecksumAlgorithm
from transfer.model.errors import SourceChangedError

COMPUTED = [algorithm for algorithm in ChecksumAlgorithm if algorithm is not ChecksumAlgorithm.NONE]
CHECK = b"123456789"


@pytest.mark.parametrize(
    ("algorithm", "value"),
    [
        (ChecksumAlgorithm.CRC64NVME, "ae8b14860a799888"),
        (ChecksumAlgorithm.CRC32C, "e3069283"),
        (ChecksumAlgorithm.CRC32, "cbf43926"),
        (ChecksumAlgorithm.SHA256, "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225"),
        (ChecksumAlgorithm.SHA1, "f7c3bc1d808e04732adf679965ccc34ca7ae3441"),
        (ChecksumAlgorithm.MD5, "25f9e794323b453885f5181f1b624d0b"),
    ],
)
def test_published_check_values(algorithm: ChecksumAlgorithm, value: str) -> None:
    digest = digests.new_digest(algorithm)
    digest.update(CHECK)
    assert digest.value().hex() == value


@pytest.mark.parametrize("algorithm", COMPUTED)
def test_values_have_the_stated_length(algorithm: ChecksumAlgorithm) -> None:
    assert len(digests.new_digest(algorithm).value()) == digests.value_bytes(algorithm)


def test_a_value_may_be_read_on_the_way() -> None:
    digest = digests.new_digest(ChecksumAlgorithm.CRC32)
    digest.update(CHECK[:4])
    assert digest.value() == zlib.crc32(CHECK[:4]).to_bytes(4, "big")
    digest.update(memoryview(CHECK)[4:])
    assert digest.value().hex() == "cbf43926"


def test_a_buffer_larger_than_one_feed_is_taken_whole() -> None:
    data = os.urandom(1000) * 2500
    digest = digests.new_digest(ChecksumAlgorithm.CRC32)
    digest.update(bytearray(data))
    assert digest.value() == zlib.crc32(data).to_bytes(4, "big")


def test_none_computes_nothing() -> None:
    with pytest.raises(ValueError, match="none"):
        digests.new_digest(ChecksumAlgorithm.NONE)


@pytest.mark.parametrize("algorithm", [ChecksumAlgorithm.SHA256, ChecksumAlgorithm.MD5, ChecksumAlgorithm.NONE])
def test_only_crcs_combine(algorithm: ChecksumAlgorithm) -> None:
    with pytest.raises(ValueError, match="do not combine"):
        digests.combine(algorithm, [])


def test_a_composite_is_the_digest_of_digests() -> None:
    values = [hashlib.sha256(part).digest() for part in (b"a", b"b", b"c")]
    expected = digests.encode_value(hashlib.sha256(b"".join(values)).digest())
    assert digests.composite_value(ChecksumAlgorithm.SHA256, values) == f"{expected}-3"


def test_a_multipart_etag_is_written_as_stores_do() -> None:
    values = [hashlib.md5(part).digest() for part in (b"a", b"b")]
    assert digests.multipart_etag(values) == f'"{hashlib.md5(b"".join(values)).hexdigest()}-2"'


@pytest.mark.parametrize("text", ["?", "abc", "YWJj\n!", "é"])
def test_what_is_no_base64_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="base64"):
        digests.decode_value(text)


def test_importing_does_not_load_awscrt() -> None:
    program = "import sys, transfer.integrity.verification; sys.exit('awscrt' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[tuple[int, bytes]]:
    path = tmp_path / "data"
    path.write_bytes(os.urandom(2_500_000))
    fd = os.open(path, os.O_RDONLY)
    yield fd, path.read_bytes()
    os.close(fd)


@pytest.mark.parametrize(("offset", "length"), [(0, 2_500_000), (1, 1_100_000), (2_499_999, 1), (7, 0)])
@pytest.mark.parametrize("buffer_bytes", [None, 4099, 5_000_000])
def test_a_range_of_a_file_is_digested(
    opened: tuple[int, bytes], offset: int, length: int, buffer_bytes: int | None
) -> None:
    fd, data = opened
    buffer = None if buffer_bytes is None else memoryview(bytearray(buffer_bytes))
    value = digest_file_range(fd, offset, length, ChecksumAlgorithm.SHA256, buffer)
    assert value == hashlib.sha256(data[offset : offset + length]).digest()


def test_a_file_that_became_shorter_is_told(opened: tuple[int, bytes]) -> None:
    fd, _ = opened
    with pytest.raises(SourceChangedError, match="shorter"):
        digest_file_range(fd, 2_000_000, 500_001, ChecksumAlgorithm.CRC64NVME)
