"""What a measurement decides by itself: sweeps, mixtures, objects for them, and what it will cost."""

from collections import Counter
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transfer.engine.bench.asking import check_bench
from transfer.engine.bench.content import SPAN_BYTES, Content
from transfer.model.bench import DEFAULT_MIX, MIB, BenchOperation, BenchOptions
from transfer.model.errors import UsageError
from transfer.plan.bench_estimate import estimate, prepared_objects, sweeps
from transfer.plan.mix import Deck, LiveObjects
from transfer.plan.sweep import HIGHEST, enough, most_steps, next_concurrency

PUT, GET, STAT, LIST, DELETE, MIXED = BenchOperation


def swept(chosen: tuple[int, ...], rates: dict[int, float]) -> list[int]:
    done: list[tuple[int, float]] = []
    while (level := next_concurrency(chosen, done)) is not None:
        done.append((level, rates.get(level, 0.0)))
    return [level for level, _ in done]


def test_a_sweep_doubles_while_it_gains() -> None:
    assert swept((), {1: 100, 2: 190, 4: 300, 8: 310, 16: 900}) == [1, 2, 4, 8]
    assert swept((), {}) == [1, 2]
    assert swept((), {2**step: 1.5**step for step in range(12)}) == [1, 2, 4, 8, 16, 32, 64, 128, HIGHEST]


def test_chosen_numbers_are_taken_in_order_whatever_they_bring() -> None:
    assert swept((8, 1, 64), {8: 5.0}) == [8, 1, 64]
    assert (most_steps((8, 1, 64)), most_steps(())) == (3, 9)


def test_enough_is_the_smallest_that_is_about_as_fast_as_the_fastest() -> None:
    assert enough([(1, 10.0), (2, 19.6), (4, 20.0), (8, 15.0)]) == 2
    assert enough([(1, 0.0)]) is None
    assert enough([]) is None


@given(st.dictionaries(st.sampled_from("abcd"), st.integers(0, 50), min_size=1), st.integers(0, 2**32))
def test_a_deck_deals_exact_shares(weights: dict[str, int], seed: int) -> None:
    if not any(weights.values()):
        with pytest.raises(ValueError, match="above zero"):
            Deck(weights, Random(seed))
        return
    deck = Deck(weights, Random(seed))
    assert Counter(deck.draw() for _ in range(sum(weights.values()))) == +Counter(weights)


@given(st.lists(st.sampled_from(["add", "lend", "back", "take"]), max_size=200), st.integers(0, 2**32))
def test_what_is_read_is_not_given_away(moves: list[str], seed: int) -> None:
    live = LiveObjects(Random(seed))
    there: set[int] = set()
    read: list[int] = []
    for number, move in enumerate(moves):
        if move == "add":
            live.add(number)
            there.add(number)
        elif move == "lend":
            lent = live.lend()
            assert (lent in there) if there else lent is None
            read += [] if lent is None else [lent]
        elif move == "back" and read:
            live.give_back(read.pop())
        elif move == "take":
            taken = live.take()
            free = there - set(read)
            assert (taken in free) if free else taken is None
            there.discard(-1 if taken is None else taken)
        assert len(live) == len(there)


def test_contents_differ_and_do_not_compress_into_each_other() -> None:
    content = Content(4096)
    bodies = {bytes(content.body(number, 4096)) for number in range(500)}
    assert len(bodies) == 500
    assert content.body(7, 100) == content.body(7, 4096)[:100]
    assert content.body(SPAN_BYTES, 4096) == content.body(0, 4096)
    assert len(content.body(3, 0)) == 0


def test_an_estimate_of_counted_requests_is_exact() -> None:
    options = BenchOptions(
        operations=(PUT, GET, STAT, DELETE), sizes_bytes=(1000, 10), objects=5, requests=20, concurrency=(1, 2, 4)
    )
    found = estimate(options)
    assert found.steps == 3 * (2 + 2 + 1 + 1)
    assert found.seconds is None
    assert (found.prepared_objects, found.prepared_bytes) == (10, 5050)
    refilled = 3 * 5
    assert found.written_bytes == 1010 + 3 * 20 * 1010 + 5050 + refilled * 10
    assert found.stored_bytes == 5050 + 20 * 1000
    assert found.read_bytes == 3 * 20 * 1010
    assert found.requests == 2 + 10 + 3 * (20 * 5 + 5) + refilled
    kept = estimate(replace(options, keep=True))
    assert kept.stored_bytes == found.written_bytes


def test_an_estimate_of_timed_steps_is_bounded_by_the_bytes() -> None:
    found = estimate(BenchOptions(max_step_bytes=100 * MIB, concurrency=(8,)))
    assert (found.steps, found.seconds, found.prepared_objects) == (2, 20.0, 256)
    assert (found.written_bytes, found.read_bytes) == (357 * MIB, 100 * MIB)
    assert found.requests == 256 + 201
    assert estimate(BenchOptions(operations=(LIST,))).requests is None
    assert estimate(BenchOptions(operations=(MIXED,))).requests is None
    assert estimate(BenchOptions(operations=(PUT,), sizes_bytes=(0,))).requests is None
    reading = BenchOptions(operations=(MIXED,), mix={GET: 1}, max_step_bytes=100 * MIB, concurrency=(1,))
    assert estimate(reading).written_bytes == estimate(reading).prepared_bytes


def test_objects_that_are_prepared() -> None:
    assert [prepared_objects(BenchOptions(), size) for size in (0, 4096, MIB, 100 * MIB)] == [1000, 1000, 256, 8]
    assert prepared_objects(BenchOptions(objects=3), MIB) == 3
    options = BenchOptions(operations=(PUT, LIST), sizes_bytes=(MIB, 4096))
    assert list(sweeps(options)) == [(PUT, MIB), (PUT, 4096), (LIST, 4096)]


def test_every_run_has_a_prefix_of_its_own() -> None:
    first, second = (check_bench("s3://bucket/some/tmp", BenchOptions()).place for _ in range(2))
    assert first != second
    assert str(first).startswith("s3://bucket/some/tmp/transfer-bench-")
    assert str(check_bench("s3://bucket", BenchOptions()).place).startswith("s3://bucket/transfer-bench-")


@pytest.mark.parametrize(
    ("changes", "option"),
    [
        ({"operations": ()}, "--op"),
        ({"sizes_bytes": ()}, "--size"),
        ({"sizes_bytes": (257 * MIB,)}, "--size"),
        ({"sizes_bytes": (2000,), "max_step_bytes": 1000}, "--max-bytes"),
        ({"seconds": 0.0}, "--duration"),
        ({"seconds": float("inf")}, "--duration"),
        ({"objects": 0}, "--objects"),
        ({"requests": 0}, "--requests"),
        ({"retries": -1}, "--retries"),
        ({"concurrency": (0,)}, "--concurrency"),
        ({"concurrency": (5000,)}, "--concurrency"),
        ({"operations": (MIXED,), "mix": {LIST: 1}}, "--mix"),
        ({"operations": (MIXED,), "mix": {GET: 0}}, "--mix"),
        ({"operations": (MIXED,), "mix": {GET: 5, PUT: 1, DELETE: 2}}, "--mix"),
    ],
)
def test_what_makes_no_sense_names_its_option(changes: dict[str, object], option: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_bench("s3://bucket/x", replace(BenchOptions(), **changes))  # type: ignore[arg-type]  # of many types
    assert caught.value.subject == option
    assert caught.value.remedy


def test_the_default_mixture_makes_sense() -> None:
    assert sum(DEFAULT_MIX.values()) == 100
    check_bench("s3://bucket/x", BenchOptions(operations=(MIXED,)))
