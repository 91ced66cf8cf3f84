import random
from dataclasses import dataclass
from statistics import mean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transfer.plan.governor import (
    DEFAULT_INITIAL,
    FAR_SECONDS,
    LONGEST_ECHO_WINDOWS,
    NEAR_SECONDS,
    TRIAL_WINDOWS,
    Governor,
    Window,
)

MB = 1_000_000
SECONDS = 0.25
PART_BYTES = 8 * MB


@dataclass
class Store:
    """Answers a number of lanes with the window they would see."""

    lane_bytes_per_second: float = 0.0
    cap_bytes_per_second: float = float("inf")
    request_seconds: float = 0.0
    cap_requests_per_second: float = float("inf")
    slow_above: int | None = None
    noise: float = 0.0
    seed: int = 1

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._part_bytes = 0

    def pace(self, lanes: int) -> float:
        return min(lanes * self.lane_bytes_per_second, self.cap_bytes_per_second)

    def window(self, lanes: int) -> Window:
        factor = 1 + self._random.uniform(-self.noise, self.noise)
        pace = lanes / self.request_seconds if self.request_seconds else 0.0
        requests = min(pace, self.cap_requests_per_second) * SECONDS * factor
        is_slow = self.slow_above is not None and lanes > self.slow_above
        work = self.pace(min(lanes, self.slow_above or lanes)) * SECONDS * factor
        parts, self._part_bytes = divmod(self._part_bytes + int(work), PART_BYTES)
        return Window(SECONDS, int(work), int(requests) + parts, lanes, slowdowns=5 if is_slow else 0)


def run(store: Store, windows: int, initial: int = 8, maximum: int = 256) -> list[Window]:
    governor = Governor(initial, maximum=maximum)
    seen = []
    for _ in range(windows):
        seen.append(store.window(governor.limit))
        governor.observe(seen[-1])
    return seen


def rate(windows: list[Window]) -> float:
    return mean(window.work_bytes / window.seconds for window in windows)


NOISES = pytest.mark.parametrize(("noise", "seed"), [(0.0, 1), (0.05, 1), (0.05, 2), (0.05, 3), (0.1, 4), (0.1, 5)])


@NOISES
def test_a_fast_store_is_used_up_to_its_cap(noise: float, seed: int) -> None:
    store = Store(lane_bytes_per_second=90 * MB, cap_bytes_per_second=1200 * MB, noise=noise, seed=seed)
    seen = run(store, 400)
    assert rate(seen[20:]) > 0.9 * 1200 * MB
    assert mean(window.in_use for window in seen[20:]) < 40


def test_a_short_run_reaches_a_high_level_within_seconds() -> None:
    seen = run(Store(lane_bytes_per_second=90 * MB), 10, maximum=128)
    assert seen[4].in_use >= 64


@NOISES
def test_a_store_that_four_lanes_fill_gets_few(noise: float, seed: int) -> None:
    store = Store(lane_bytes_per_second=300 * MB, cap_bytes_per_second=1200 * MB, noise=noise, seed=seed)
    seen = run(store, 600)
    assert max(window.in_use for window in seen) <= 24
    assert mean(window.in_use for window in seen[50:]) <= 16
    assert rate(seen[20:]) > 0.9 * 1200 * MB


@NOISES
def test_a_store_that_asks_to_slow_down_is_rarely_asked_twice(noise: float, seed: int) -> None:
    store = Store(lane_bytes_per_second=20 * MB, slow_above=32, noise=noise, seed=seed)
    seen = run(store, 2000)
    assert rate(seen[50:]) > 0.8 * 32 * 20 * MB
    assert sum(window.slowdowns > 0 for window in seen[50:]) < 0.02 * len(seen)


@NOISES
def test_small_requests_are_judged_by_their_number(noise: float, seed: int) -> None:
    store = Store(request_seconds=0.03, cap_requests_per_second=3000, noise=noise, seed=seed)
    seen = run(store, 400)
    assert mean(window.requests / window.seconds for window in seen[50:]) > 0.9 * 3000


def test_a_start_that_is_over_goes_on_in_smaller_steps() -> None:
    seen = run(Store(lane_bytes_per_second=100 * MB, cap_bytes_per_second=3200 * MB), 100, initial=32)
    levels = [window.in_use for window in seen]
    assert levels[1] == 64
    assert {32, 48} <= set(levels[10:])
    assert max(levels[10:]) == 48


def test_latency_alone_leads_to_the_maximum() -> None:
    seen = run(Store(request_seconds=0.03), 40, maximum=64)
    assert seen[-1].in_use == 64


def test_fewer_lanes_that_cost_a_tenth_are_not_kept() -> None:
    store = Store(lane_bytes_per_second=90 * MB, cap_bytes_per_second=800 * MB)
    seen = run(store, 400, initial=12)
    assert {window.in_use for window in seen} >= {8, 12}
    assert rate(seen[20:]) > 0.97 * 800 * MB


def test_lanes_without_work_do_not_climb() -> None:
    governor = Governor(8)
    for _ in range(100):
        governor.observe(Window(SECONDS, 10 * MB, 10, in_use=3))
    assert governor.limit == 8


@pytest.mark.parametrize("trouble", [{"slowdowns": 40}, {"timeouts": 1}])
def test_trouble_halves_a_first_guess_once_per_window(trouble: dict[str, int]) -> None:
    governor = Governor(100)
    assert governor.observe(Window(SECONDS, 0, 0, 100, **trouble)) == 50


def test_late_answers_to_the_old_level_do_not_cut_again() -> None:
    governor = Governor(100)
    governor.observe(Window(SECONDS, 0, 0, 100, slowdowns=1))
    assert governor.observe(Window(SECONDS, 0, 0, 51, slowdowns=9)) == 50
    assert governor.observe(Window(SECONDS, 0, 0, 50, slowdowns=1)) == 50
    assert governor.observe(Window(SECONDS, 0, 0, 50, slowdowns=1)) == 25


def test_objections_are_believed_in_the_end_when_more_stay_in_flight_than_allowed() -> None:
    governor = Governor(100)
    governor.observe(Window(SECONDS, 0, 0, 100, slowdowns=1))
    windows = 0
    while governor.observe(Window(SECONDS, 0, 0, 60, slowdowns=1)) == 50:
        windows += 1
    assert windows == LONGEST_ECHO_WINDOWS
    assert governor.limit == 25


def test_a_level_at_which_a_round_went_well_all_the_same_is_no_mere_guess() -> None:
    governor = Governor(100)
    assert governor.observe(Window(SECONDS, 0, 99, 100, slowdowns=1)) == 50
    governor = Governor(100)
    assert governor.observe(Window(SECONDS, 0, 100, 100, slowdowns=1)) == 70


def test_trouble_in_a_trial_brings_the_last_good_level_back_and_then_lowers_it() -> None:
    governor = Governor(100)
    assert governor.observe(Window(SECONDS, 10 * MB, 100, 100)) == 200
    assert governor.observe(Window(SECONDS, 10 * MB, 100, 200, slowdowns=1)) == 100
    assert governor.observe(Window(SECONDS, 10 * MB, 100, 200, slowdowns=99)) == 100
    assert governor.observe(Window(SECONDS, 10 * MB, 99, 100, slowdowns=9)) == 100
    assert governor.observe(Window(SECONDS, 10 * MB, 99, 100, slowdowns=1)) == 70


def test_a_store_that_grew_is_used_after_a_while() -> None:
    store = Store(lane_bytes_per_second=20 * MB, slow_above=32)
    governor = Governor(8)
    for window in range(6000):
        store.slow_above = 32 if window < 100 else None
        governor.observe(store.window(governor.limit))
    assert governor.limit > 100


@pytest.mark.parametrize(
    ("answer_seconds", "limit"), [(0.0, 16), (NEAR_SECONDS, 16), (0.015, 32), (FAR_SECONDS, 48), (3.0, 48)]
)
def test_parts_start_with_as_many_as_the_store_is_far(answer_seconds: float, limit: int) -> None:
    governor = Governor(DEFAULT_INITIAL)
    assert governor.expect(answer_seconds) == governor.limit == limit


@pytest.mark.parametrize("answer_seconds", [0.001, 0.1])
def test_once_something_is_known_the_distance_says_nothing(answer_seconds: float) -> None:
    governor = Governor(DEFAULT_INITIAL)
    governor.observe(Window(SECONDS, 10 * MB, 10, DEFAULT_INITIAL))
    assert governor.expect(answer_seconds) == governor.limit
    assert governor.limit in (DEFAULT_INITIAL, 2 * DEFAULT_INITIAL)
    governor = Governor(DEFAULT_INITIAL)
    governor.observe(Window(SECONDS, 10 * MB, 10, DEFAULT_INITIAL, slowdowns=1))
    assert governor.expect(answer_seconds) == DEFAULT_INITIAL // 2
    governor = Governor(DEFAULT_INITIAL)
    governor.expect(0.015)
    assert governor.expect(answer_seconds) == DEFAULT_INITIAL


@pytest.mark.parametrize("answer_seconds", [0.001, 0.1])
def test_a_time_in_which_there_was_too_little_to_do_tells_nothing_of_the_level(answer_seconds: float) -> None:
    governor = Governor(DEFAULT_INITIAL)
    governor.observe(Window(SECONDS, 0, 0, 1))
    assert governor.expect(answer_seconds) in (16, 48)


@pytest.mark.parametrize("maximum", [1, 32])
def test_where_no_more_can_be_tried_the_distance_changes_nothing(maximum: int) -> None:
    governor = Governor(32, maximum=maximum)
    assert governor.expect(FAR_SECONDS) == maximum
    governor.observe(Window(SECONDS, 10 * MB, maximum, maximum))
    assert governor.limit == maximum


def test_a_start_with_more_goes_on_from_there_when_all_is_well() -> None:
    governor = Governor(DEFAULT_INITIAL)
    governor.expect(FAR_SECONDS)
    assert governor.observe(Window(SECONDS, 10 * MB, 48, 48)) == 96


def test_only_a_start_with_more_is_kept_before_each_lane_has_done_something() -> None:
    governor = Governor(DEFAULT_INITIAL)
    governor.expect(FAR_SECONDS)
    assert governor.observe(Window(SECONDS, 10 * MB, 2, 48)) == 96
    assert governor.observe(Window(SECONDS, 40 * MB, 2, 96)) == 96
    assert governor.observe(Window(SECONDS, 40 * MB, 96, 96)) == 192


@pytest.mark.parametrize("answer_seconds", [0.015, 3.0])
def test_as_long_as_nothing_moves_no_trial_is_kept(answer_seconds: float) -> None:
    governor = Governor(DEFAULT_INITIAL)
    start = governor.expect(answer_seconds)
    limits = [governor.observe(Window(SECONDS, 0, 0, governor.limit)) for _ in range(40)]
    assert max(limits) <= max(start, 2 * DEFAULT_INITIAL)
    assert min(limits) >= DEFAULT_INITIAL // 2


def test_an_objection_to_a_start_with_more_brings_the_usual_start_back() -> None:
    governor = Governor(DEFAULT_INITIAL)
    governor.expect(FAR_SECONDS)
    assert governor.observe(Window(SECONDS, 10 * MB, 30, 48, slowdowns=1)) == DEFAULT_INITIAL


def test_a_start_with_more_that_leaves_the_process_without_rest_is_taken_back() -> None:
    governor = Governor(DEFAULT_INITIAL)
    governor.expect(FAR_SECONDS)
    for _ in range(8):
        governor.observe(Window(SECONDS, 100 * MB, 48, 48, busy=0.99))
    assert governor.limit == DEFAULT_INITIAL


def test_a_fixed_number_is_kept_whatever_happens() -> None:
    governor = Governor.fixed(5)
    assert (governor.expect(0.0), governor.expect(1.0)) == (5, 5)
    for window in (
        Window(SECONDS, 10**9, 0, 5),
        Window(SECONDS, 0, 0, 5, slowdowns=9),
        Window(0.0, 0, 0, 5),
    ) * 20:
        assert governor.observe(window) == 5


def test_bounds_that_leave_nothing_are_refused() -> None:
    with pytest.raises(ValueError):
        Governor(1, minimum=3, maximum=2)
    with pytest.raises(ValueError):
        Governor.fixed(0)


windows = st.builds(
    Window,
    seconds=st.floats(0, 10),
    work_bytes=st.integers(0, 10**12),
    requests=st.integers(0, 10**6),
    in_use=st.integers(0, 500),
    slowdowns=st.sampled_from([0, 0, 0, 1, 50]),
    timeouts=st.sampled_from([0, 0, 0, 1]),
)


@given(
    st.integers(-5, 600), st.integers(1, 20), st.integers(0, 400), st.floats(0, 0.1), st.lists(windows, max_size=200)
)
def test_the_limit_never_leaves_its_bounds(
    initial: int, minimum: int, more: int, answer_seconds: float, seen: list[Window]
) -> None:
    governor = Governor(initial, minimum, minimum + more)
    assert minimum <= governor.limit <= minimum + more
    assert minimum <= governor.expect(answer_seconds) <= minimum + more
    for window in seen:
        assert minimum <= governor.observe(window) <= minimum + more


def test_a_round_must_have_ended_before_more_are_tried_and_before_they_are_kept() -> None:
    governor = Governor(16)
    for _ in range(3):
        assert governor.observe(Window(SECONDS, 40 * MB, 5, 16)) == 16
    assert governor.observe(Window(SECONDS, 40 * MB, 5, 16)) == 32
    # What the new ones hand to the system at once, before the store has taken it, is no gain.
    assert governor.observe(Window(SECONDS, 90 * MB, 31, 32)) == 32
    assert governor.observe(Window(SECONDS, 90 * MB, 1, 32)) == 64


@pytest.mark.parametrize(("after", "kept"), [(80, 64), (41, 32)])
def test_where_rounds_last_longer_than_a_trial_some_windows_stand_for_one(after: int, kept: int) -> None:
    governor = Governor(32)
    windows = 0
    while governor.limit == 32:
        governor.observe(Window(SECONDS, 40 * MB, 0, 32))
        windows += 1
    assert windows == TRIAL_WINDOWS + 1
    for _ in range(TRIAL_WINDOWS + 1):
        assert governor.limit == 64
        governor.observe(Window(SECONDS, after * MB, 0, 64))
    assert (governor.limit == 128) == (kept == 64)
    assert (governor.limit == 32) == (kept == 32)


def test_only_an_objection_that_lowers_the_limit_is_a_cut() -> None:
    governor = Governor(32)
    governor.observe(Window(SECONDS, 100 * MB, 32, 32))
    assert (governor.limit, governor.cuts) == (64, 0)
    governor.observe(Window(SECONDS, 100 * MB, 32, 64, slowdowns=1))
    assert (governor.limit, governor.cuts) == (32, 1)
    governor = Governor(16)
    for _ in range(3):
        governor.observe(Window(SECONDS, 100 * MB, 16, governor.limit))
    governor.observe(Window(SECONDS, 1 * MB, 16, 32))
    assert governor.cuts == 0
    assert Governor.fixed(4).cuts == 0


def test_a_doubling_that_clearly_costs_is_taken_back_soon() -> None:
    governor = Governor(16)
    assert governor.observe(Window(SECONDS, 100 * MB, 16, 16)) == 32
    assert governor.observe(Window(SECONDS, 75 * MB, 16, 32)) == 32
    assert governor.observe(Window(SECONDS, 75 * MB, 16, 32)) == 16


def test_a_process_that_always_has_work_gets_no_more_lanes_however_it_speeds_up() -> None:
    governor = Governor(32)
    for number in range(200):
        governor.observe(Window(0.1, 0, 1000 + 500 * number, governor.limit, busy=0.97))
    assert governor.limit <= 32


def test_a_doubling_that_leaves_the_process_without_rest_is_taken_back() -> None:
    governor = Governor(32)
    governor.observe(Window(0.1, 0, 100, 32, busy=0.3))
    assert governor.limit == 64
    for _ in range(8):
        governor.observe(Window(0.1, 0, 1000, 64, busy=0.99))
    assert governor.limit == 32


def test_a_process_that_is_busy_at_first_gets_more_lanes_once_it_rests() -> None:
    governor = Governor(32)
    for _ in range(3):
        governor.observe(Window(0.1, 0, 100, 32, busy=1.0))
    assert governor.limit == 32
    governor.observe(Window(0.1, 0, 100, 32, busy=0.4))
    assert governor.limit == 64
