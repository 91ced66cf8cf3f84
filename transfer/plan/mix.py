"""Which operation comes next in a mixture, and which objects are there for it. Owns no connection and no clock."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from random import Random
from typing import Generic, TypeVar

T = TypeVar("T")

TRIES = 8
"""How often a free object is looked for by chance before all are looked at."""


class Deck(Generic[T]):
    """Draws in shares that are exact whenever a whole deck has been drawn, in an order made by chance."""

    def __init__(self, weights: Mapping[T, int], random: Random) -> None:
        """Take shares that are whole numbers.

        Raises:
            ValueError: One is negative, or all are zero.
        """
        if any(weight < 0 for weight in weights.values()) or not any(weights.values()):
            raise ValueError("a mixture needs shares that are not negative, and one above zero")
        common = math.gcd(*weights.values())
        self._cards = [thing for thing, weight in weights.items() for _ in range(weight // common)]
        self._random = random
        self._left: list[T] = []

    def draw(self) -> T:
        """The next one."""
        if not self._left:
            self._left = self._random.sample(self._cards, len(self._cards))
        return self._left.pop()


class LiveObjects:
    """The numbers of objects that exist: some are being read, and those are not given away to be deleted."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._numbers: list[int] = []
        self._places: dict[int, int] = {}
        self._readers: Counter[int] = Counter()

    def __len__(self) -> int:
        return len(self._numbers)

    def add(self, number: int) -> None:
        """An object exists now."""
        self._places[number] = len(self._numbers)
        self._numbers.append(number)

    def lend(self) -> int | None:
        """Any object, to be read; give it back with `give_back`. None when there is none."""
        if not self._numbers:
            return None
        number = self._numbers[self._random.randrange(len(self._numbers))]
        self._readers[number] += 1
        return number

    def give_back(self, number: int) -> None:
        """An object that was lent is no longer read."""
        self._readers[number] -= 1
        if not self._readers[number]:
            del self._readers[number]

    def take(self) -> int | None:
        """Any object that nobody reads, to be deleted: it is none of these any more. None when there is none."""
        number = self._free()
        if number is None:
            return None
        place = self._places.pop(number)
        last = self._numbers.pop()
        if last != number:
            self._numbers[place] = last
            self._places[last] = place
        return number

    def _free(self) -> int | None:
        if not self._numbers:
            return None
        for _ in range(TRIES):
            number = self._numbers[self._random.randrange(len(self._numbers))]
            if number not in self._readers:
                return number
        return next((number for number in self._numbers if number not in self._readers), None)
