import zlib

from hypothesis import given
from hypothesis import strategies as st

from transfer.integrity import digests
from transfer.model.checksums import ChecksumAlgorithm

crcs = st.sampled_from([algorithm for algorithm in ChecksumAlgorithm if algorithm.is_crc])
computed = st.sampled_from([algorithm for algorithm in ChecksumAlgorithm if algorithm is not ChecksumAlgorithm.NONE])
pieces = st.lists(st.binary(max_size=3000), max_size=12)


def whole(algorithm: ChecksumAlgorithm, data: bytes) -> bytes:
    digest = digests.new_digest(algorithm)
    digest.update(data)
    return digest.value()


@given(crcs, pieces)
def test_combined_parts_equal_the_whole(algorithm: ChecksumAlgorithm, parts: list[bytes]) -> None:
    joined = digests.combine(algorithm, [(whole(algorithm, part), len(part)) for part in parts])
    assert joined == whole(algorithm, b"".join(parts))


@given(computed, pieces)
def test_pieces_may_be_fed_in_any_cut(algorithm: ChecksumAlgorithm, parts: list[bytes]) -> None:
    digest = digests.new_digest(algorithm)
    for part in parts:
        digest.update(part)
    assert digest.value() == whole(algorithm, b"".join(parts))


@given(st.binary(max_size=3000))
def test_crc32_is_that_of_zlib(data: bytes) -> None:
    assert whole(ChecksumAlgorithm.CRC32, data) == zlib.crc32(data).to_bytes(4, "big")


@given(st.binary(max_size=64))
def test_values_survive_base64(value: bytes) -> None:
    assert digests.decode_value(digests.encode_value(value)) == value
