from collections.abc import Iterator, Sequence

from hypothesis import given
from hypothesis import strategies as st

from transfer.model.entries import Entry
from transfer.plan.joining import join_batches
from transfer.plan.key_order import order_of

NAMES = st.sets(st.text(st.sampled_from("ab/-é\uffff\U0001f600\udc80\udcff"), min_size=1, max_size=4), max_size=30)
CUTS = st.lists(st.integers(1, 7), max_size=20)
Side = list[Entry[str]]


def side(names: set[str], found: str) -> Side:
    return [Entry(name, len(name), 0.0, found) for name in sorted(names, key=order_of)]


def in_batches(entries: Side, cuts: Sequence[int]) -> Iterator[Side]:
    for cut in [*cuts, len(entries)]:
        if entries:
            yield entries[:cut]
            entries = entries[cut:]


def joined(left: Side, right: Side, left_cuts: Sequence[int], right_cuts: Sequence[int]) -> list[tuple[object, object]]:
    """Join two sides that come in pieces, as a reader of streams does."""
    lefts, rights = in_batches(left, left_cuts), in_batches(right, right_cuts)
    one: Side = []
    two: Side = []
    left_ended = right_ended = False
    pairs: list[tuple[object, object]] = []
    while not (left_ended and right_ended and not one and not two):
        if not one and not left_ended:
            one = next(lefts, [])
            left_ended = not one
        if not two and not right_ended:
            two = next(rights, [])
            right_ended = not two
        found = join_batches(one, two, left_ended=left_ended, right_ended=right_ended)
        assert found.pairs or not one or not two
        pairs += found.pairs
        one, two = one[found.left_used :], two[found.right_used :]
    return pairs


@given(NAMES, NAMES, CUTS, CUTS)
def test_the_join_of_streams_is_that_of_sets(
    left: set[str], right: set[str], left_cuts: list[int], right_cuts: list[int]
) -> None:
    one, two = side(left, "left"), side(right, "right")
    of_left, of_right = {entry.name: entry for entry in one}, {entry.name: entry for entry in two}
    expected = [(of_left.get(name), of_right.get(name)) for name in sorted(left | right, key=order_of)]
    assert joined(one, two, left_cuts, right_cuts) == expected


@given(NAMES, NAMES)
def test_what_the_other_side_may_still_bring_is_not_told_yet(left: set[str], right: set[str]) -> None:
    one, two = side(left, "left"), side(right, "right")
    found = join_batches(one, two, left_ended=False, right_ended=False)
    assert found.left_used == len(one) or found.right_used == len(two)
    if found.left_used < len(one):
        assert all(order_of(entry.name) < order_of(one[found.left_used].name) for entry in two)
    assert join_batches(one, [], left_ended=False, right_ended=False).pairs == []
