"""Two trees side by side, name by name: folders and prefixes in any combination, in memory of a fixed size.

Stores that do not list in the order of bytes are noticed on the way, and listed once more into a sorted file. Nothing
is told twice: the pairs told so far are noted on disk. What one side lacks is told when both have been seen to their
ends, since only then it is certain.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing, closing
from typing import Final, cast

from transfer.engine.context import Context
from transfer.engine.notes import Note, Notes
from transfer.engine.planning_copies import nothing_found
from transfer.engine.sides import join_sides, local_side, remote_side
from transfer.model.entries import Entry
from transfer.model.errors import LocalFileError, UnorderedListingError
from transfer.model.filters import Filters
from transfer.model.locations import LocalLocation, S3Location
from transfer.model.objects import ListedObject
from transfer.model.receipts import Failure, Skip
from transfer.model.values import dataclass
from transfer.plan.filters import DEFAULT_STORAGE_CLASS, Wants, compile_filters
from transfer.plan.key_order import order_of
from transfer.plan.naming import folder_prefix
from transfer.stores.local.walk import WalkedFile, WalkWarning

Found = WalkedFile | WalkWarning | ListedObject


@dataclass(frozen=True, slots=True)
class Pair:
    """A name and its sizes in bytes on both sides; None where one lacks it.

    Attributes:
        etag: What the listing of an object said; of the second side when both are objects.
    """

    name: str
    size: int | None
    other_size: int | None
    etag: str = ""


@dataclass(frozen=True, slots=True)
class TreePair:
    """Two trees; `second` is in the store that the context names as the destination."""

    first: S3Location | LocalLocation
    second: S3Location | LocalLocation

    def places(self, name: str) -> tuple[S3Location | LocalLocation, S3Location | LocalLocation]:
        """Where a name is on both sides."""
        return member(self.first, name), member(self.second, name)


def member(tree: S3Location | LocalLocation, name: str) -> S3Location | LocalLocation:
    """A name below a tree."""
    if isinstance(tree, S3Location):
        return tree.with_key(folder_prefix(tree.key) + name)
    root = tree.path
    return LocalLocation(f"{root}{name}" if not root or root.endswith("/") else f"{root}/{name}")


async def pair_trees(context: Context, trees: TreePair) -> AsyncGenerator[Pair | Skip | Failure]:
    """All names of two trees: first those that both have, then those of one alone and what could not be looked at.

    Close the generator where it may not be taken to its end.

    Raises:
        StoreError: A listing failed, or the first tree is a prefix with nothing below it.
        LocalFileError: A folder cannot be walked.
        WireError: As for any request.
    """
    with closing(Notes()) as told, closing(Notes()) as aside:
        run = _Pairing(context, trees, aside)
        try:
            async with aclosing(run.pairs(is_sorted_on_disk=False)) as pairs:
                async for pair in pairs:
                    told.add(pair.name)
                    yield pair
        except UnorderedListingError:
            aside.clear()
            async with aclosing(run.pairs(is_sorted_on_disk=True)) as pairs:
                async for pair in _without(pairs, iter(told)):
                    yield pair
        run.require_something()
        for note in aside:
            yield _told(note)


async def _without(pairs: AsyncIterator[Pair], names: Iterator[Note]) -> AsyncIterator[Pair]:
    """Pairs whose names are not among some others; both are in order."""
    known = next(names, None)
    async for pair in pairs:
        while known is not None and order_of(str(known[0])) < order_of(pair.name):
            known = next(names, None)
        if known is None or known[0] != pair.name:
            yield pair


_LACKING, _SKIPPED, _LOST = "lacking", "skipped", "lost"


def _told(note: Note) -> Pair | Skip | Failure:
    kind, name, *rest = note
    if kind == _LACKING:
        size, other_size = rest
        return Pair(str(name), _number(size), _number(other_size))
    reason = str(rest[0])
    if kind == _SKIPPED:
        return Skip(str(name), reason)
    return Failure(str(name), "", LocalFileError(reason, subject=str(name), remedy="check the permissions"))


def _number(field: str | int | None) -> int | None:
    return None if field is None else int(field)


class _Pairing:
    """One comparison of names; what is not a pair is put aside."""

    def __init__(self, context: Context, trees: TreePair, aside: Notes) -> None:
        self._context = context
        self._trees = trees
        self._aside = aside
        self._wants: Final = compile_filters(context.options.filters)
        # Sizes and times of one side alone decide nothing: only names mean the same on both.
        self._wants_names: Final = compile_filters(Filters(rules=context.options.filters.rules))
        self._has_any = False

    async def pairs(self, *, is_sorted_on_disk: bool) -> AsyncGenerator[Pair]:
        """What both sides have, in order."""
        context, trees = self._context, self._trees
        left = self._side(context, trees.first, is_sorted_on_disk=is_sorted_on_disk)
        right = self._side(context.destination, trees.second, is_sorted_on_disk=is_sorted_on_disk)
        async with aclosing(left), aclosing(right):
            async for batch in join_sides(left, right):
                for one, two in batch:
                    self._has_any = self._has_any or one is not None
                    pair = self._pair(one, two)
                    if pair is not None:
                        yield pair

    def require_something(self) -> None:
        """Refuse a first side that is a prefix without any object: it is likely mistyped, and nothing was compared.

        Raises:
            StoreError: It is one.
        """
        first = self._trees.first
        if not self._has_any and isinstance(first, S3Location) and first.key:
            raise nothing_found(first, by_pattern=False)

    def _side(
        self, context: Context, tree: S3Location | LocalLocation, *, is_sorted_on_disk: bool
    ) -> AsyncGenerator[list[Entry[Found]]]:
        side = (
            remote_side(context, tree, is_sorted_on_disk=is_sorted_on_disk)
            if isinstance(tree, S3Location)
            else local_side(context, tree.path, self._wants_names)
        )
        # Both are generators, and what their entries hold is one of the kinds of `Found`.
        return cast("AsyncGenerator[list[Entry[Found]]]", side)

    def _pair(self, one: Entry[Found] | None, two: Entry[Found] | None) -> Pair | None:
        """What both have under a name; None when one lacks it, which is put aside, and when nobody wants it."""
        entry = one or two
        # The marker of a tree itself has no name in it.
        if entry is None or not entry.name:
            return None
        for side in (one, two):
            if side is not None and isinstance(side.found, WalkWarning):
                self._put_aside(side.found)
                return None
        if not _is_wanted(self._wants, one, two):
            return None
        if one is None or two is None:
            self._aside.add(_LACKING, entry.name, one and one.size, two and two.size)
            return None
        return Pair(entry.name, one.size, two.size, _etag_of(two) or _etag_of(one))

    def _put_aside(self, warning: WalkWarning) -> None:
        if self._wants.wants_name(warning.relative.removesuffix("/")):
            self._aside.add(_LOST if warning.is_loss else _SKIPPED, warning.path, warning.reason)


def _is_wanted(wants: Wants, one: Entry[Found] | None, two: Entry[Found] | None) -> bool:
    """Whether filters want a name: by what the first side says of it, by the second where the first has nothing.

    A file has no storage class: there that of the object decides.
    """
    entry = one or two
    if entry is None:
        return False
    classes = [_storage_class(side.found) for side in (one, two) if side is not None]
    storage_class = next((name for name in classes if name), "")
    return wants(entry.name, entry.size, entry.modified_seconds, storage_class)


def _storage_class(found: Found) -> str:
    return (found.storage_class or DEFAULT_STORAGE_CLASS) if isinstance(found, ListedObject) else ""


def _etag_of(entry: Entry[Found]) -> str:
    return entry.found.etag if isinstance(entry.found, ListedObject) else ""
