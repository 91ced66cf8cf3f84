"""The files of a workload as a value: how many, how large, and what each is called. It touches no file."""

from __future__ import annotations

import re
from dataclasses import dataclass

FILES_PER_FOLDER = 100
_PREFIX = re.compile(r"tree-(\d{1,9})-(\d{1,15}(?:_\d{1,15})*)/")


@dataclass(frozen=True, slots=True)
class Tree:
    """Files whose sizes take turns; names are in the order of their bytes, so the number of a name can be searched.

    Attributes:
        count: How many files, 1 or more.
        sizes_bytes: File number n has size n modulo the number of sizes.
    """

    count: int
    sizes_bytes: tuple[int, ...]

    @property
    def prefix(self) -> str:
        """The prefix that says all of the tree, so that an endpoint can list it without ever having seen it."""
        return f"tree-{self.count}-{'_'.join(map(str, self.sizes_bytes))}/"

    @property
    def total_bytes(self) -> int:
        """Of all files."""
        cycles, rest = divmod(self.count, len(self.sizes_bytes))
        return cycles * sum(self.sizes_bytes) + sum(self.sizes_bytes[:rest])

    def size_bytes(self, number: int) -> int:
        """Return the size of one file."""
        return self.sizes_bytes[number % len(self.sizes_bytes)]

    def name(self, number: int) -> str:
        """Return the name of one file below the tree's root; it ends with its size, for endpoints that keep nothing."""
        return f"{stem(number)}@{self.size_bytes(number)}"

    @classmethod
    def of_prefix(cls, key: str) -> Tree | None:
        """Read a tree back from a key or prefix that starts with a tree's prefix; None for any other."""
        match = _PREFIX.match(key)
        return cls(int(match[1]), tuple(map(int, match[2].split("_")))) if match and int(match[1]) else None


def stem(number: int) -> str:
    """Return the name of a file without its size."""
    return f"{number // FILES_PER_FOLDER:07d}/{number:09d}"
