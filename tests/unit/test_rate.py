import pytest

from transfer.model.errors import UsageError
from transfer.plan.rate import TokenBucket


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
