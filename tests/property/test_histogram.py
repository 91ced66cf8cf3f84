"""Percentiles from buckets, against those of sorted lists."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transfer.plan.histogram import LARGEST_SECONDS, RELATIVE_ERROR, SMALLEST_SECONDS, Histogram, nearest_rank

durations = st.lists(
    st.floats(SMALLEST_SECONDS, LARGEST_SECONDS)
    | st.floats(1e-4, 1.0)
    | st.sampled_from([SMALLEST_SECONDS, 0.001, 0.0010000001, 1.0, LARGEST_SECONDS]),
    min_size=1,
    max_size=200,
)
percents = st.sampled_from([0.1, 1.0, 50.0, 90.0, 99.0, 99.9, 100.0]) | st.floats(0.01, 100.0)


def counted(values: list[float]) -> Histogram:
    histogram = Histogram()
    for value in values:
        histogram.add(value)
    return histogram


@given(durations, percents)
def test_a_percentile_is_within_the_stated_error_of_the_sorted_list(values: list[float], percent: float) -> None:
    exact = sorted(values)[nearest_rank(percent, len(values)) - 1]
    assert counted(values).percentile(percent) == pytest.approx(exact, rel=RELATIVE_ERROR * (1 + 1e-9))


@given(durations)
def test_extremes_count_and_mean_are_exact(values: list[float]) -> None:
    histogram = counted(values)
    assert (histogram.minimum, histogram.maximum, histogram.count) == (min(values), max(values), len(values))
    assert histogram.mean == pytest.approx(sum(values) / len(values))
    assert histogram.percentile(100) == pytest.approx(max(values), rel=RELATIVE_ERROR)
    assert min(values) <= histogram.percentile(0.01) <= histogram.percentile(99.9) <= max(values)


@given(durations, durations, percents)
def test_two_merged_are_one_that_counted_all(first: list[float], second: list[float], percent: float) -> None:
    merged = counted(first)
    merged.merge(counted(second))
    whole = counted(first + second)
    assert merged.percentile(percent) == whole.percentile(percent)
    assert (merged.count, merged.minimum, merged.maximum) == (whole.count, whole.minimum, whole.maximum)
    assert merged.mean == pytest.approx(whole.mean)


@given(st.integers(1, 100_000), st.integers(1, 1000))
def test_the_nearest_rank_is_the_first_that_reaches_the_share(count: int, per_mille: int) -> None:
    rank = nearest_rank(per_mille / 10, count)
    assert 1 <= rank <= count
    assert rank * 1000 >= per_mille * count
    assert rank == 1 or (rank - 1) * 1000 < per_mille * count


def test_its_memory_does_not_grow_and_what_is_outside_counts_at_the_ends() -> None:
    histogram = Histogram()
    buckets = len(histogram._counts)
    random = Random(7)
    for _ in range(20_000):
        histogram.add(random.lognormvariate(-5, 3))
    for value in (-1.0, 0.0, 1e-12, 10 * LARGEST_SECONDS):
        histogram.add(value)
    assert len(histogram._counts) == buckets < 1500
    assert histogram.count == 20_004
    assert (histogram.minimum, histogram.maximum) == (0.0, 10 * LARGEST_SECONDS)


@pytest.mark.parametrize("percent", [0.0, -1.0, 100.1])
def test_there_is_no_such_percentile(percent: float) -> None:
    with pytest.raises(ValueError, match="no percentile"):
        counted([1.0]).percentile(percent)


def test_nothing_has_no_percentile() -> None:
    assert Histogram().mean == 0.0
    with pytest.raises(ValueError, match="of 0 durations"):
        Histogram().percentile(50)
