"""Joins two trees by name: what only one of them has, and what both have. Never needs more than a batch of each.

Both sides come in the order of the bytes of their names (UTF-8), as stores list keys; whoever reads them checks that.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, TypeVar

from transfer.model.entries import Entry
from transfer.model.values import dataclass
from transfer.plan.key_order import order_of

L = TypeVar("L")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Joined(Generic[L, R]):
    """What can be said of two batches.

    Attributes:
        pairs: In order; None stands for the side that lacks the name.
        left_used: How many entries of the left batch the pairs have used up; the others wait for the right side.
        right_used: The same for the right batch.
    """

    pairs: list[tuple[Entry[L] | None, Entry[R] | None]]
    left_used: int
    right_used: int


def join_batches(
    left: Sequence[Entry[L]], right: Sequence[Entry[R]], *, left_ended: bool, right_ended: bool
) -> Joined[L, R]:
    """Join two batches as far as one of them reaches.

    Args:
        left: The next entries of one side, in order.
        right: Those of the other side.
        left_ended: No entries follow `left`, so what is only on the right can be told.
        right_ended: The same for the right side.
    """
    pairs: list[tuple[Entry[L] | None, Entry[R] | None]] = []
    index = other = 0
    left_count, right_count = len(left), len(right)
    while index < left_count and other < right_count:
        one, two = left[index], right[other]
        if one.name == two.name:
            pairs.append((one, two))
            index += 1
            other += 1
        elif order_of(one.name) < order_of(two.name):
            pairs.append((one, None))
            index += 1
        else:
            pairs.append((None, two))
            other += 1
    if right_ended and other == right_count:
        pairs += [(one, None) for one in left[index:]]
        index = left_count
    if left_ended and index == left_count:
        pairs += [(None, two) for two in right[other:]]
        other = right_count
    return Joined(pairs, index, other)
