"""The options that choose among what a command finds, and what they mean for the engine. Lists and opens nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import field
from datetime import datetime
from typing import Annotated

import typer

from transfer.cli.flags import OCCURRENCES
from transfer.model.errors import UsageError
from transfer.model.filters import FilterRule, Filters
from transfer.model.values import dataclass
from transfer.plan.durations import parse_duration_seconds
from transfer.plan.filters import compile_filters
from transfer.plan.sizes import parse_size_bytes

_FILTERS = "Filters"


@dataclass(frozen=True, slots=True)
class FilterFlags:
    """What of trees and patterns a command looks at; None means: not given.

    Attributes:
        occurrences: The names of all options as they came, which tells in what order rules were given. Without it the
            excludes come after the includes.
    """

    include: Annotated[
        list[str] | None,
        typer.Option(
            "--include",
            metavar="PATTERN",
            help="Take what matches: '*.jpg', 'raw/', '/top/**/x'. Given first, nothing else is taken. Repeatable.",
            rich_help_panel=_FILTERS,
        ),
    ] = None
    exclude: Annotated[
        list[str] | None,
        typer.Option(
            "--exclude",
            metavar="PATTERN",
            help="Leave out what matches. Of all --include and --exclude the last that matches decides. Repeatable.",
            rich_help_panel=_FILTERS,
        ),
    ] = None
    min_size: Annotated[
        str | None,
        typer.Option("--min-size", metavar="SIZE", help="Nothing smaller, such as 1MiB.", rich_help_panel=_FILTERS),
    ] = None
    max_size: Annotated[
        str | None,
        typer.Option("--max-size", metavar="SIZE", help="Nothing larger, such as 5G.", rich_help_panel=_FILTERS),
    ] = None
    newer_than: Annotated[
        str | None,
        typer.Option(
            "--newer-than",
            metavar="AGE|TIME",
            help="Modified within this age (7d, 12h, 30m, 90s), or since this time (2026-01-31, 2026-01-31T12:00Z).",
            rich_help_panel=_FILTERS,
        ),
    ] = None
    older_than: Annotated[
        str | None,
        typer.Option(
            "--older-than",
            metavar="AGE|TIME",
            help="Modified longer ago than this age, or before this time.",
            rich_help_panel=_FILTERS,
        ),
    ] = None
    only_storage_class: Annotated[
        list[str] | None,
        typer.Option(
            "--only-storage-class",
            metavar="NAME",
            help="Objects of this class alone, such as STANDARD or GLACIER. Repeatable.",
            rich_help_panel=_FILTERS,
        ),
    ] = None
    occurrences: tuple[str, ...] = field(default=(), metadata=OCCURRENCES)

    def filters(self) -> Filters:
        """The engine's filters; ages count back from now.

        Raises:
            UsageError: A value makes no sense; its line names the option.
        """
        now = time.time()
        filters = Filters(
            rules=tuple(self._rules()),
            min_size_bytes=_size("--min-size", self.min_size),
            max_size_bytes=_size("--max-size", self.max_size),
            modified_after_seconds=_moment("--newer-than", self.newer_than, now),
            modified_before_seconds=_moment("--older-than", self.older_than, now),
            storage_classes=frozenset(_storage_class(name) for name in self.only_storage_class or ()),
            newer_than=_if_age(self.newer_than),
            older_than=_if_age(self.older_than),
        )
        compile_filters(filters)
        _refuse_contradictions(filters)
        return filters

    def _rules(self) -> Iterator[FilterRule]:
        includes, excludes = iter(self.include or ()), iter(self.exclude or ())
        for name in self.occurrences:
            source = includes if name == "include" else excludes if name == "exclude" else iter(())
            yield from (FilterRule(pattern, name == "include") for pattern in _first_of(source))
        yield from (FilterRule(pattern, includes=True) for pattern in includes)
        yield from (FilterRule(pattern, includes=False) for pattern in excludes)


def _first_of(patterns: Iterator[str]) -> Iterator[str]:
    for pattern in patterns:
        yield pattern
        return


def _size(option: str, text: str | None) -> int | None:
    if text is None:
        return None
    try:
        return parse_size_bytes(text)
    except UsageError as error:
        raise UsageError(error.message, subject=option, remedy=error.remedy) from None


def _moment(option: str, text: str | None, now_seconds: float) -> float | None:
    """Seconds since the epoch; a time without a zone is local, as `ls` shows it."""
    if text is None:
        return None
    age = _age(text)
    if age is not None:
        return now_seconds - age
    try:
        return datetime.fromisoformat(text.strip()).timestamp()
    except (ValueError, OverflowError, OSError):
        raise UsageError(
            f"{text!r} is no age and no time",
            subject=option,
            remedy="write an age such as 7d, 12h, 30m or 90s, or a time such as 2026-01-31 or 2026-01-31T12:00Z",
        ) from None


def _age(text: str) -> float | None:
    try:
        return parse_duration_seconds(text)
    except UsageError:
        return None


def _if_age(text: str | None) -> str:
    return "" if text is None or _age(text) is None else "".join(text.split()).lower()


def _storage_class(text: str) -> str:
    name = text.strip().upper()
    if not name:
        raise UsageError(
            f"{text!r} is no storage class", subject="--only-storage-class", remedy="write such as STANDARD"
        )
    return name


def _refuse_contradictions(filters: Filters) -> None:
    """Refuse bounds that no object can meet: they are surely mistyped."""
    smallest, largest = filters.min_size_bytes, filters.max_size_bytes
    if smallest is not None and largest is not None and smallest > largest:
        raise UsageError(
            "nothing is as large and yet smaller than --max-size", subject="--min-size", remedy="exchange the two"
        )
    after, before = filters.modified_after_seconds, filters.modified_before_seconds
    if after is not None and before is not None and after >= before:
        raise UsageError(
            "nothing is as new and yet older than --older-than", subject="--newer-than", remedy="exchange the two"
        )
