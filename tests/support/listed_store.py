"""Keys in memory, shown in pages as a store does: in the order of bytes, or in one that other stores have.

Owns pages, tokens, prefixes and start-after, and nothing of HTTP.
"""

import asyncio
import random
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from transfer.model.errors import StoreError, TransferError, WireError
from transfer.model.objects import ListedObject, ListPage

REFUSED = StoreError("no", status=403, code="AccessDenied")


def by_bytes(key: str) -> object:
    return key.encode("utf-8", "surrogateescape")


def by_folders(key: str) -> object:
    """What is in a folder comes before the neighbours of the folder, whatever their names go on with."""
    return [part.encode("utf-8", "surrogateescape") for part in key.split("/")]


def by_utf16(key: str) -> object:
    return key.encode("utf-16-be", "surrogatepass")


@dataclass
class ListedStore:
    """A bucket. ``asked`` is what each request started after, "" where it began or went on by a token."""

    keys: Iterable[str]
    order: Callable[[str], Any] = by_bytes
    page_keys: int = 1000
    ignores_start_after: bool = False
    stuck_token: bool = False
    failures: dict[str, TransferError] = field(default_factory=dict)
    """The error of the page that would begin with a key."""
    refused_texts: Callable[[str], TransferError | None] = lambda _: None
    """The error of a page after a text."""
    asked: list[str] = field(default_factory=list)
    credentials_generation: int = 0

    def __post_init__(self) -> None:
        self.keys = sorted(set(self.keys), key=self.order)
        self._below: dict[str, tuple[list[str], list[Any]]] = {}

    def listing(self, prefix: str = "") -> list[str]:
        """All keys below a prefix as the store shows them one page after the other."""
        return self._keys_below(prefix)[0]

    def _keys_below(self, prefix: str) -> tuple[list[str], list[Any]]:
        if prefix not in self._below:
            keys = [key for key in self.keys if key.startswith(prefix)]
            self._below[prefix] = keys, [self.order(key) for key in keys]
        return self._below[prefix]

    def page(self, prefix: str, start_after: str, token: str | None, page_keys: int) -> ListPage:
        """Answer one request."""
        self.asked.append("" if token else start_after)
        refused = self.refused_texts(start_after) if start_after and token is None else None
        if refused is not None:
            raise refused
        keys, places = self._keys_below(prefix)
        start = 0
        if token is not None and token != "stuck":
            start = int(token)
        elif start_after and not self.ignores_start_after:
            start = bisect_right(places, self.order(start_after))
        end = start + min(page_keys, self.page_keys)
        shown = keys[start:end]
        if shown and shown[0] in self.failures:
            raise self.failures[shown[0]]
        next_token = None if end >= len(keys) else "stuck" if self.stuck_token else str(end)
        return ListPage(tuple(map(listed, shown)), (), next_token)


class ChangingStore:
    """A bucket that somebody writes to: at some moment all answers are those of another one. Tokens are keys."""

    def __init__(self, states: Sequence[ListedStore], chance: random.Random) -> None:
        self._states = states
        self._chance = chance
        self._has_changed = False

    def page(self, prefix: str, start_after: str, token: str | None, page_keys: int) -> ListPage:
        """Answer one request."""
        self._has_changed = self._has_changed or self._chance.random() < 0.1
        page = self._states[self._has_changed].page(prefix, token or start_after, None, page_keys)
        return replace(page, next_token=page.objects[-1].key if page.next_token else None)


class SparseStore:
    """A store whose pages may be short or empty wherever they are, and may fail. All of it is allowed but the latter.

    A token is a position and a number of its own, as no two answers of such stores need to be alike.
    """

    def __init__(self, store: ListedStore, chance: random.Random, *, empty_share: float, failing_share: float) -> None:
        self._store = store
        self._chance = chance
        self._empty_share = empty_share
        self._failing_share = failing_share
        self._answers = 0

    def page(self, prefix: str, start_after: str, token: str | None, page_keys: int) -> ListPage:
        """Answer one request."""
        self._answers += 1
        if self._chance.random() < self._failing_share:
            raise self._chance.choice([REFUSED, StoreError("no", status=503, code="SlowDown"), WireError("gone")])
        position = None if token is None else token.split(".")[0]
        is_empty = self._chance.random() < self._empty_share
        page = self._store.page(prefix, start_after, position, 0 if is_empty else self._chance.randint(1, page_keys))
        return page if page.next_token is None else replace(page, next_token=f"{page.next_token}.{self._answers}")


class SlowPages:
    """``list_page`` of a store in memory, whose answers take so many turns of the event loop."""

    def __init__(self, store: ListedStore | SparseStore, seed: int = 0, slowest_turns: int = 5) -> None:
        self.store = store
        self.in_flight = 0
        self.most_in_flight = 0
        self._random = random.Random(seed)
        self._slowest_turns = slowest_turns

    async def __call__(
        self,
        _store: object,
        _bucket: str,
        prefix: str,
        *,
        start_after: str = "",
        token: str | None = None,
        page_keys: int = 1000,
        delimiter: str = "",
    ) -> ListPage:
        assert not delimiter
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            for _ in range(self._random.randrange(self._slowest_turns)):
                await asyncio.sleep(0)
            return self.store.page(prefix, start_after, token, page_keys)
        finally:
            self.in_flight -= 1


def listed(key: str) -> ListedObject:
    """An entry whose other fields tell its key."""
    return ListedObject(key, len(key), f'"{len(key)}"', 1.5, "STANDARD")
