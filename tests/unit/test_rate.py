import pytest

from transfer.model.errors import UsageError
from transfer.plan.rate import TokenBucket, parts_at_once


def test_a_burst_goes_at_once_and_the_rest_waits() -> None:
    bucket = TokenBucket(100, 50)
    assert bucket.reserve(0.0, 50) == 0.0
    assert bucket.reserve(0.0, 100) == pytest.approx(1.0)
    assert bucket.reserve(0.5, 100) == pytest.approx(1.5)


def test_one_reservation_may_be_larger_than_the_burst() -> None:
    assert TokenBucket(100, 10).reserve(0.0, 1010) == pytest.approx(10.0)


def test_idle_time_fills_no_more_than_the_burst() -> None:
    bucket = TokenBucket(100, 50)
    bucket.reserve(0.0, 0)
    assert bucket.reserve(1000.0, 150) == pytest.approx(1.0)


def test_a_clock_that_steps_back_gives_no_bytes() -> None:
    bucket = TokenBucket(100, 0)
    assert bucket.reserve(10.0, 100) == pytest.approx(1.0)
    assert bucket.reserve(0.0, 100) == pytest.approx(2.0)
    assert bucket.reserve(10.0, 100) == pytest.approx(3.0)


@pytest.mark.parametrize("rate", [0, -1, float("nan")])
def test_a_rate_must_be_above_zero(rate: float) -> None:
    with pytest.raises(UsageError, match="--limit-rate"):
        TokenBucket(rate, 1)


@pytest.mark.parametrize(
    ("rate", "part_size", "parts"), [(20e6, 8 * 1024**2, 4), (1.0, 8 * 1024**2, 2), (10e9, 8 * 1024**2, 2384)]
)
def test_so_few_parts_at_once_that_each_is_soon_finished(rate: float, part_size: int, parts: int) -> None:
    assert parts_at_once(rate, part_size) == parts
