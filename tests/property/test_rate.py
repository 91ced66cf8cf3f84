from hypothesis import given
from hypothesis import strategies as st

from transfer.plan.rate import TokenBucket

steps = st.lists(st.tuples(st.floats(0, 100), st.integers(0, 10**9)), max_size=50)


@given(st.floats(1, 1e10), st.floats(0, 1e9), steps)
def test_no_more_than_burst_and_rate_ever_goes(
    rate: float, burst: float, reservations: list[tuple[float, int]]
) -> None:
    bucket = TokenBucket(rate, burst)
    now = 0.0
    releases = []
    for pause, count in reservations:
        now += pause
        releases.append((now + bucket.reserve(now, count), count))
    allowed = 0
    for moment, count in sorted(releases):
        allowed += count
        assert allowed <= (burst + rate * moment) * (1 + 1e-9) + 1e-3


@given(st.floats(1, 1e6), st.lists(st.integers(1, 10**6), min_size=1, max_size=50))
def test_a_steady_queue_gets_the_whole_rate(rate: float, counts: list[int]) -> None:
    bucket = TokenBucket(rate, 0)
    waits = [bucket.reserve(0.0, count) for count in counts]
    assert waits == sorted(waits)
    assert abs(waits[-1] * rate - sum(counts)) <= 1e-6 * sum(counts)
