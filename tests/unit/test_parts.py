import pytest

from transfer.model.errors import UsageError
from transfer.plan import parts
from transfer.plan.parts import GIB, MIB
from transfer.plan.sizes import parse_size_bytes

TIB = 1024 * GIB


@pytest.mark.parametrize(
    ("size", "part_size"),
    [
        (0, 8 * MIB),
        (80_000 * MIB, 8 * MIB),
        (80_000 * MIB + 1, 9 * MIB),
        (5 * TIB, 525 * MIB),
        (50_000 * GIB, 5 * GIB),
    ],
)
def test_parts_grow_only_when_they_must(size: int, part_size: int) -> None:
    assert parts.choose_part_size_bytes(size, None) == part_size


def test_a_requested_size_is_kept() -> None:
    assert parts.choose_part_size_bytes(GIB, 5 * MIB + 1) == 5 * MIB + 1


@pytest.mark.parametrize("requested", [0, -1, 5 * MIB - 1, 5 * GIB + 1])
def test_a_size_out_of_bounds_names_the_option_and_what_works(requested: int) -> None:
    with pytest.raises(UsageError) as caught:
        parts.choose_part_size_bytes(GIB, requested)
    assert "--part-size 5MiB" in str(caught.value)


def test_a_size_out_of_bounds_names_what_works_for_this_object() -> None:
    with pytest.raises(UsageError, match="--part-size 11MiB"):
        parts.choose_part_size_bytes(100 * GIB, MIB)


def test_too_many_parts_name_the_smallest_size_that_works() -> None:
    size = 100 * GIB
    with pytest.raises(UsageError) as caught:
        parts.choose_part_size_bytes(size, 8 * MIB)
    assert caught.value.remedy is not None
    smallest = parse_size_bytes(caught.value.remedy.rsplit(" ", 1)[-1])
    assert parts.choose_part_size_bytes(size, smallest) == smallest
    with pytest.raises(UsageError):
        parts.choose_part_size_bytes(size, smallest - MIB)


def test_an_object_above_the_limit_is_refused() -> None:
    with pytest.raises(UsageError, match=r"48\.8 TiB"):
        parts.choose_part_size_bytes(50_000 * GIB + 1, None)


@pytest.mark.parametrize(
    ("size", "part_size", "threshold", "expected"),
    [
        (8 * MIB, 8 * MIB, 8 * MIB, False),
        (8 * MIB + 1, 8 * MIB, 8 * MIB, True),
        (15 * MIB, 8 * MIB, 16 * MIB, False),
        (16 * MIB, 8 * MIB, 16 * MIB, True),
        (16 * MIB, 64 * MIB, 16 * MIB, False),
        (5 * GIB, 8 * MIB, 6 * GIB, False),
        (5 * GIB + 1, 8 * MIB, 6 * GIB, True),
    ],
)
def test_what_goes_in_parts(size: int, part_size: int, threshold: int, expected: bool) -> None:
    assert parts.is_multipart(size, part_size, threshold) is expected


def test_ranges_are_made_one_at_a_time() -> None:
    first = next(iter(parts.split_ranges(10**30, 5)))
    assert (first.number, first.offset, first.length) == (1, 0, 5)


def test_parts_of_a_stream_grow_stepwise() -> None:
    sizes = [parts.stream_part_size_bytes(number, None) // MIB for number in (1, 1000, 1001, 2001, 3001, 10_000)]
    assert sizes == [8, 8, 16, 32, 64, 64]


def test_the_largest_stream_is_the_sum_of_its_parts() -> None:
    total = sum(parts.stream_part_size_bytes(number, None) for number in range(1, parts.MAX_PARTS + 1))
    assert parts.largest_stream_bytes(None) == total
    assert total // GIB == 492


def test_a_requested_size_is_used_for_every_part_of_a_stream() -> None:
    assert {parts.stream_part_size_bytes(number, 7 * MIB) for number in (1, 5000, 10_000)} == {7 * MIB}
    assert parts.largest_stream_bytes(7 * MIB) == 70_000 * MIB


def test_a_bad_size_for_a_stream_is_refused_at_its_first_part() -> None:
    with pytest.raises(UsageError, match="--part-size"):
        parts.stream_part_size_bytes(1, MIB)


@pytest.mark.parametrize(
    ("requested", "told"),
    [(None, "--part-size 128MiB"), (8 * MIB, "--part-size 16MiB"), (5 * GIB, "split the stream")],
)
def test_a_stream_too_long_says_what_to_do(requested: int | None, told: str) -> None:
    with pytest.raises(UsageError) as caught:
        parts.stream_part_size_bytes(10_001, requested)
    assert told in str(caught.value)
