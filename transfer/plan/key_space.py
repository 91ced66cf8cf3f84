"""Guesses where in the order of keys a listing can be split, from the keys that it has shown. Pure arithmetic.

Keys cluster: between two keys most texts are no keys. What tells where the next thousand are is the thousand before
them. A ruler reads keys as numbers, each position of a key as a digit of its own alphabet, and lays the distance
between the first and the last key of a page once more behind the last one. For numbered, hashed and dated keys that
hits the next page closely; where it misses, a page is wasted and nothing else: a guess is never taken for knowledge.
"""

from __future__ import annotations

import string
from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from transfer.model.values import dataclass
from transfer.plan.key_order import is_sendable, order_of

SAMPLED_KEYS: Final = 24
"""Keys of a page that are looked at: enough to see which positions change, and tens of microseconds a page."""
REMEMBERED_PAGES: Final = 64
"""After so many pages what was seen before them fades: other folders are named in other ways."""
CARRY_POSITIONS: Final = 12
"""Positions before the first difference that a step may carry into: a page of numbers ends with nines."""
FINEST_STEP: Final = 10**7
"""A page is measured in at least so many units, so that its thousand keys have room between them."""

_ALPHABETS: Final = tuple(
    "".join(sorted(letters))
    for letters in (
        string.digits,
        string.digits + "abcdef",
        string.digits + "ABCDEF",
        string.ascii_lowercase,
        string.ascii_uppercase,
        string.digits + string.ascii_lowercase,
        string.digits + string.ascii_uppercase,
        string.ascii_letters,
        string.digits + string.ascii_letters,
    )
)
"""What the characters of a position are likely to be among, the smallest first."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What a page shows of the density of keys: its first and last key, and how many there are."""

    first: str
    last: str
    count: int


class _Seen:
    """The characters that a position has held, and how often the text before it changed meanwhile."""

    __slots__ = ("changes", "characters")

    def __init__(self) -> None:
        self.characters: set[str] = set()
        self.changes = 0


class KeyRuler:
    """Measures distances between the keys below a prefix by what it has learnt of them."""

    def __init__(self, prefix: str) -> None:
        self._start: Final = len(prefix)
        self._seen: list[_Seen] = []
        self._faded: list[_Seen] = []
        self._pages = 0
        self._alphabets: dict[int, str] = {}

    def learn(self, keys: Sequence[str]) -> None:
        """Take in the keys of a page, in order."""
        stride = max(1, len(keys) // SAMPLED_KEYS)
        sampled = [key[self._start :] for key in keys[::stride]]
        self._pages += 1
        if self._pages % REMEMBERED_PAGES == 0:
            self._faded, self._seen = self._seen, []
        while len(self._seen) < max(map(len, sampled), default=0):
            self._seen.append(_Seen())
        for key in sampled:
            for seen, character in zip(self._seen, key, strict=False):
                seen.characters.add(character)
        for one, other in pairwise(sampled):
            for seen in self._seen[_common_length(one, other) + 1 :]:
                seen.changes += 1
        self._alphabets.clear()

    def step(self, base: str, high: str | None, sample: Sample, pages: float) -> str | None:
        """A text that is expected to lie so many pages behind a key.

        Args:
            base: The key or text to start from.
            high: The end of the interval, or None when it has none.
            sample: The page whose density is expected to go on.
            pages: How far to go.

        Returns:
            A text between `base` and `high`, or None when no place there is worth a request.
        """
        first, last = self._span(sample)
        unit = self._value(sample.last, first, last) - self._value(sample.first, first, last)
        if unit <= 0 or len(base) < first:
            return None
        start = self._value(base, first, last)
        reach = max(1, int(unit * pages))
        if high is not None and high[:first] == base[:first]:
            left = self._value(high, first, last) - start
            if left < reach + unit // 4:
                return None
        found = self._text(start + reach, first, last)
        if found is None:
            return None
        guess = base[:first] + found
        if not is_sendable(guess) or order_of(guess) <= order_of(base):
            return None
        if high is not None and order_of(guess) >= order_of(high):
            return None
        return guess

    def pages_between(self, base: str, high: str, sample: Sample) -> float:
        """How many pages are expected between two keys; negative when that cannot be told."""
        first, last = self._span(sample)
        unit = self._value(sample.last, first, last) - self._value(sample.first, first, last)
        if unit <= 0 or high[:first] != base[:first]:
            return -1.0
        return (self._value(high, first, last) - self._value(base, first, last)) / unit

    def _span(self, sample: Sample) -> tuple[int, int]:
        """The positions to measure by: some that a step carries into, and enough to make it fine."""
        common = _common_length(sample.first, sample.last)
        last, fineness = common, 1
        while fineness < FINEST_STEP and last - self._start < len(self._seen):
            fineness *= len(self._alphabet(last))
            last += 1
        return max(self._start, common - CARRY_POSITIONS), last

    def _value(self, key: str, first: int, last: int) -> int:
        value = 0
        for position in range(first, last):
            alphabet = self._alphabet(position)
            value *= len(alphabet)
            if position < len(key):
                value += min(bisect_left(alphabet, key[position]), len(alphabet) - 1)
        return value

    def _text(self, value: int, first: int, last: int) -> str | None:
        characters = []
        for position in reversed(range(first, last)):
            alphabet = self._alphabet(position)
            value, digit = divmod(value, len(alphabet))
            characters.append(alphabet[digit])
        return "".join(reversed(characters)) if value == 0 else None

    def _alphabet(self, position: int) -> str:
        found = self._alphabets.get(position)
        if found is None:
            found = self._alphabets[position] = self._choose_alphabet(position)
        return found

    def _choose_alphabet(self, position: int) -> str:
        """The characters seen there when they have had many chances to be seen, else all of their kind."""
        index = position - self._start
        characters: set[str] = set()
        changes = 0
        for seen in (self._seen, self._faded):
            if index < len(seen):
                characters |= seen[index].characters
                changes += seen[index].changes
        characters = {character for character in characters if is_sendable(character)}
        if not characters:
            return string.digits
        own = "".join(sorted(characters))
        if changes >= max(8, 3 * len(characters)):
            return own
        # A position of digits beside one of hexadecimal digits is one itself, though its letters come later.
        if own.isdigit() and index + 1 < len(self._seen):
            beside = self._seen[index + 1].characters
            if any(characters | beside <= set(kind) for kind in _ALPHABETS):
                characters = characters | beside
        return next((kind for kind in _ALPHABETS if characters <= set(kind)), own)


def _common_length(one: str, other: str) -> int:
    for index, (left, right) in enumerate(zip(one, other, strict=False)):
        if left != right:
            return index
    return min(len(one), len(other))
