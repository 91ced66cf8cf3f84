import pytest
from hypothesis import given
from hypothesis import strategies as st

from transfer.model.options import TransferOptions
from transfer.plan.processes import MOST_AUTOMATIC, are_workers_of_use, process_count, shares

CORES = st.integers(1, 256)
WANTED = st.integers(1, 1000)


@given(CORES)
def test_one_for_each_core_as_far_as_that_is_of_use(cores: int) -> None:
    assert process_count(TransferOptions(), cores) == min(cores, MOST_AUTOMATIC)


@given(CORES, WANTED)
def test_as_many_as_were_asked_for(cores: int, wanted: int) -> None:
    assert process_count(TransferOptions(processes=wanted), cores) == wanted
    assert process_count(TransferOptions(processes=wanted, limit_rate_bytes_per_second=1), cores) == wanted


@given(CORES, WANTED, st.none() | WANTED)
def test_never_more_than_requests(cores: int, concurrency: int, wanted: int | None) -> None:
    count = process_count(TransferOptions(concurrency=concurrency, processes=wanted), cores)
    assert 1 <= count <= concurrency


@given(CORES)
def test_a_limited_rate_needs_one(cores: int) -> None:
    assert process_count(TransferOptions(limit_rate_bytes_per_second=1e6), cores) == 1


@given(st.integers(1, 10_000), st.lists(st.integers(0, 3), min_size=1, max_size=20))
def test_all_who_have_something_to_do_share_evenly(limit: int, held: list[int]) -> None:
    share = shares(limit, held)
    busy = [one for place, (one, work) in enumerate(zip(share, held, strict=True)) if work or place == 0]
    idle = [one for place, (one, work) in enumerate(zip(share, held, strict=True)) if not work and place]
    assert sum(busy) == max(limit, len(busy))
    assert min(busy) >= 1
    assert max(busy) - min(busy) <= 1
    assert not any(idle)


@pytest.mark.parametrize(
    ("idle_cores", "used_cores", "were", "are"),
    [
        (0.0, 0.7, True, False),
        (0.0, 0.9, False, False),
        (0.3, 0.7, False, False),
        (0.9, 1.0, False, True),
        (6.0, 0.1, False, True),
        (0.0, 1.0, False, True),
        (0.0, 1.5, True, True),
        (0.4, 1.0, True, True),
        (1.6, 0.2, True, True),
    ],
)
def test_workers_are_of_use_where_processors_are_idle_or_one_would_not_do(
    idle_cores: float, used_cores: float, were: bool, are: bool
) -> None:
    assert are_workers_of_use(idle_cores, used_cores, were=were) is are
