"""How many requests at once are measured next, and which of the measured numbers is enough. Sees rates, no clock."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

GAIN: Final = 1.05
"""Twice the requests must bring more than this, or the store or the way to it is saturated."""
HIGHEST: Final = 256
"""As many as a transfer ever has in flight."""

Measured = tuple[int, float]
"""A concurrency and the rate reached with it."""


def next_concurrency(chosen: Sequence[int], done: Sequence[Measured]) -> int | None:
    """What to measure next.

    Args:
        chosen: The numbers the user wants, in order; empty doubles from 1 while the last doubling gained.
        done: What has been measured, in order.

    Returns:
        The next number, None when the sweep is over.
    """
    if chosen:
        return chosen[len(done)] if len(done) < len(chosen) else None
    if not done:
        return 1
    last, rate = done[-1]
    if last >= HIGHEST or (len(done) > 1 and rate <= done[-2][1] * GAIN):
        return None
    return 2 * last


def most_steps(chosen: Sequence[int]) -> int:
    """How many steps a sweep has at most."""
    return len(chosen) or HIGHEST.bit_length()


def enough(done: Sequence[Measured]) -> int | None:
    """The smallest measured concurrency that is about as fast as the fastest; None when nothing ended well."""
    best = max((rate for _, rate in done), default=0.0)
    return min((level for level, rate in done if rate * GAIN >= best), default=None) if best > 0 else None
