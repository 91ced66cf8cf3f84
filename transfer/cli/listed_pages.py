"""A page of a listing as one block of lines, for people or as JSON; a key of millions costs as little as it can."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import groupby
from operator import attrgetter
from typing import Final

from transfer.cli.escape import printable
from transfer.cli.messages import ListedPage
from transfer.cli.records import iso_time, json_line
from transfer.cli.text import local_time
from transfer.model.objects import CommonPrefix, ListedObject
from transfer.plan.sizes import format_size

# Many objects are of the same moment.
_REMEMBERED_TIMES: Final = 4096
_local_time: Final = lru_cache(_REMEMBERED_TIMES)(local_time)
_iso_time: Final = lru_cache(_REMEMBERED_TIMES)(iso_time)
_quoted: Final = json.JSONEncoder(ensure_ascii=True).encode


def page_lines(page: ListedPage) -> str:
    """The entries in the columns of `aws s3 ls`: time, size and name of an object, `PRE` and the name of a folder."""
    lines: list[str] = []
    for objects, prefixes in _runs(page):
        if prefixes:
            names = _shown((entry.prefix for entry in prefixes), page.hidden_characters)
            lines += [f"{'PRE':>30} {name}\n" for name in names]
        else:
            names = _shown(map(attrgetter("key"), objects), page.hidden_characters)
            lines += _object_lines(objects, names, human_sizes=page.human_sizes)
    return "".join(lines)


def page_json_lines(page: ListedPage) -> str:
    """One JSON object per entry, ASCII, with whole keys."""
    bucket = _quoted(page.bucket)
    lines: list[str] = []
    for objects, prefixes in _runs(page):
        lines += [json_line({"type": "prefix", "bucket": page.bucket, "prefix": entry.prefix}) for entry in prefixes]
        lines += [
            f'{{"type": "object", "bucket": {bucket}, "key": {_quoted(key)}, "size": {size}, "etag": {_quoted(etag)}, '
            f'"modified": "{_iso_time(modified_seconds)}", "storage_class": {_quoted(storage_class)}}}\n'
            for key, size, etag, modified_seconds, storage_class in objects
        ]
    return "".join(lines)


def _runs(page: ListedPage) -> Iterator[tuple[Sequence[ListedObject], Sequence[CommonPrefix]]]:
    """The entries in order, as runs of one kind; the other of the two is empty."""
    for kind, run in groupby(page.entries, type):
        entries = list(run)
        objects = [entry for entry in entries if isinstance(entry, ListedObject)] if kind is ListedObject else []
        yield objects, [] if objects else [entry for entry in entries if isinstance(entry, CommonPrefix)]


def _shown(names: Iterable[str], hidden_characters: int) -> list[str]:
    shown = [name[hidden_characters:] for name in names]
    return shown if "".join(shown).isprintable() else list(map(printable, shown))


def _object_lines(objects: Sequence[ListedObject], names: Sequence[str], *, human_sizes: bool) -> list[str]:
    times = map(_local_time, map(attrgetter("modified_seconds"), objects))
    sizes = map(attrgetter("size"), objects)
    columns = zip(times, map(format_size, sizes) if human_sizes else sizes, names, strict=True)
    return [f"{time} {size:>10} {name}\n" for time, size, name in columns]
