"""Reads the entries of a page by one regular expression, where they provably have the plain shape that stores write.

A callback for every element of a million keys costs ten times as much. Never guesses: entries of which a single
character is not accounted for are left to the full parser.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final, NamedTuple

from transfer.model.objects import quoted
from transfer.stores.s3.xml_reader import parse_time

_KEY, _SIZE, _ETAG, _MODIFIED, _CLASS = "Key", "Size", "ETag", "LastModified", "StorageClass"
_VALUES: Final = {
    _KEY: "([^<]+)",
    _SIZE: "([0-9]{1,19})",
    _ETAG: "([^<]*)",
    _MODIFIED: "([^<]*)",
    _CLASS: "([^<]*)",
}
_UNUSED: Final = (
    "<ChecksumAlgorithm>[^<]*</ChecksumAlgorithm>"
    "|<ChecksumType>[^<]*</ChecksumType>"
    "|<Owner>(?:<ID>[^<]*</ID>|<DisplayName>[^<]*</DisplayName>)*</Owner>"
)
_ANY_UNUSED: Final = f"((?:{_UNUSED})*)"
_NAME: Final = re.compile(f"<({'|'.join(_VALUES)})>")
_BEGIN, _END = "<Contents>", "</Contents>"

# What XML 1.0 (section 2.2) does not allow, and the carriage return, which parsers turn into another character.
_ILLEGAL: Final = re.compile("[\x00-\x08\x0b-\x1f\ufffe\uffff]")
_REFERENCE: Final = re.compile("&(?:(amp|lt|gt|quot|apos)|#([0-9]{1,7})|#x([0-9A-Fa-f]{1,6}));|&")
_PREDEFINED: Final = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"}
# Neither a document nor a reference in it can hold this character.
_SEPARATOR: Final = "\0"

_seconds_of: Final = lru_cache(maxsize=4096)(parse_time)


class Columns(NamedTuple):
    """The entries of a page, field by field; keys are not decoded yet."""

    keys: tuple[str, ...]
    sizes: tuple[int, ...]
    etags: tuple[str, ...]
    modified_seconds: tuple[float, ...]
    storage_classes: tuple[str, ...]


class _NotPlainError(Exception):
    """The entries are for the full parser."""


def read_plain_entries(entries: bytes) -> Columns | None:
    """Read a run of entries.

    Args:
        entries: From the first `<Contents>` to the last `</Contents>`.

    Returns:
        Their fields, or None when the full parser has to read them.

    Raises:
        ProtocolError: A date is none.
    """
    try:
        return _read(entries.decode())
    except (UnicodeDecodeError, _NotPlainError):
        return None


def _read(entries: str) -> Columns:
    order, unused_at = _look_at(entries[: entries.find(_END)])
    try:
        columns = _split(entries, order, unused_at)
    except _NotPlainError:
        # Newer and older objects of a bucket differ in what else is told of them.
        columns = _split(entries, order, frozenset(range(len(order) + 1)))
    fields = dict(zip(order, columns, strict=False))
    count = len(columns[0])
    none = ("",) * count
    return Columns(
        tuple(_unescaped(fields[_KEY])),
        tuple(map(int, fields[_SIZE])),
        _quoted(tuple(_unescaped(fields.get(_ETAG, none)))),
        tuple(map(_seconds_of, _unescaped(fields.get(_MODIFIED, none)))),
        tuple(_unescaped(fields.get(_CLASS, none))),
    )


def _look_at(first: str) -> tuple[tuple[str, ...], frozenset[int]]:
    """The order of the fields in the first entry, and before which of them something unused stands."""
    order = tuple(_NAME.findall(first))
    if len(set(order)) < len(order) or not {_KEY, _SIZE} <= set(order):
        raise _NotPlainError
    rest = first
    unused_at = set()
    for index, name in enumerate(order):
        before, _, rest = rest.partition(f"<{name}>")
        if not before.endswith((_BEGIN, f"</{order[index - 1]}>")):
            unused_at.add(index)
    if not rest.endswith(f"</{order[-1]}>"):
        unused_at.add(len(order))
    return order, frozenset(unused_at)


@lru_cache(maxsize=64)
def _compiled(order: tuple[str, ...], unused_at: frozenset[int]) -> tuple[re.Pattern[str], int]:
    """The pattern of an entry, whose groups are fields and what is unused as they come, and its length without them."""
    pattern = _BEGIN
    plain_length = len(_BEGIN) + len(_END)
    for index, name in enumerate(order):
        pattern += (_ANY_UNUSED if index in unused_at else "") + f"<{name}>{_VALUES[name]}</{name}>"
        plain_length += len(f"<{name}></{name}>")
    pattern += (_ANY_UNUSED if len(order) in unused_at else "") + _END
    return re.compile(pattern), plain_length


def _split(entries: str, order: tuple[str, ...], unused_at: frozenset[int]) -> list[tuple[str, ...]]:
    """The columns in that order. Each character of the entries is then known to be in them or in the shape."""
    pattern, plain_length = _compiled(order, unused_at)
    columns = list(zip(*pattern.findall(entries), strict=True))
    if not columns:
        raise _NotPlainError
    text = "".join(map("".join, columns))
    if len(columns[0]) * plain_length + len(text) != len(entries):
        raise _NotPlainError
    if "]]>" in text or (not text.isprintable() and _ILLEGAL.search(text)):
        raise _NotPlainError
    fields: list[tuple[str, ...]] = []
    group = 0
    for index in range(len(order) + 1):
        if index in unused_at:
            if "&" in "".join(columns[group]):
                raise _NotPlainError
            group += 1
        if index < len(order):
            fields.append(columns[group])
            group += 1
    return fields


def _quoted(etags: tuple[str, ...]) -> tuple[str, ...]:
    """ETags with their quotes; a store that writes them writes them at the first one."""
    return etags if quoted(etags[0]) == etags[0] != "" else tuple(map(quoted, etags))


def _unescaped(column: tuple[str, ...]) -> Iterable[str]:
    """A column with its references resolved, all at once."""
    text = _SEPARATOR.join(column)
    if "&" not in text:
        return column
    # The two that stand around every ETag.
    text = text.replace("&quot;", '"').replace("&#34;", '"')
    if "&" in text:
        text = _REFERENCE.sub(_character, text)
    return text.split(_SEPARATOR)


def _character(found: re.Match[str]) -> str:
    name, decimal, hexadecimal = found.groups()
    if name:
        return _PREDEFINED[name]
    if not (decimal or hexadecimal):
        raise _NotPlainError
    code = int(decimal) if decimal else int(hexadecimal, 16)
    is_legal = code in (0x9, 0xA, 0xD) or 0x20 <= code <= 0xD7FF or 0xE000 <= code <= 0xFFFD or code >= 0x10000
    if not is_legal or code > 0x10FFFF:
        raise _NotPlainError
    return chr(code)
