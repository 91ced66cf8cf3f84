from hypothesis import given
from hypothesis import strategies as st

from transfer.plan import parts

sizes = st.integers(0, parts.MAX_OBJECT_SIZE_BYTES)


@given(sizes)
def test_every_object_fits_into_parts_that_s3_takes(size: int) -> None:
    part_size = parts.choose_part_size_bytes(size, None)
    assert parts.DEFAULT_PART_SIZE_BYTES <= part_size <= parts.MAX_PART_SIZE_BYTES
    assert part_size % parts.MIB == 0
    assert parts.part_count(size, part_size) <= parts.MAX_PARTS
    is_grown = part_size > parts.DEFAULT_PART_SIZE_BYTES
    assert not is_grown or parts.part_count(size, part_size - parts.MIB) > parts.MAX_PARTS


@given(st.integers(0, 10_000), st.integers(1, 500))
def test_ranges_cover_every_byte_once_and_in_order(size: int, part_size: int) -> None:
    ranges = list(parts.split_ranges(size, part_size))
    assert [offset for found in ranges for offset in range(found.offset, found.end)] == list(range(size))
    assert [found.number for found in ranges] == list(range(1, parts.part_count(size, part_size) + 1))
    assert all(found.length == part_size for found in ranges[:-1])
