"""Reads a page of a listing, the one XML answer that is hot: a thousand keys at a time, without a tree."""

from __future__ import annotations

from collections.abc import Callable

from transfer.model.errors import ProtocolError
from transfer.model.objects import ListedObject, ListPage
from transfer.stores.s3.xml_reader import (
    MAX_DEPTH,
    choose_key_decoder,
    local_name,
    parse_count,
    parse_flag,
    parse_time,
    read_document,
    refuse_depth,
)

_ROOT = "ListBucketResult"
# Levels of a listing: the root, its fields and entries, the fields of an entry. The owner, deeper, is unused.
_ROOT_LEVEL, _TOP_LEVEL, _ENTRY_LEVEL = 1, 2, 3


class _Collected:
    """The raw texts of one page."""

    __slots__ = ("entries", "prefixes", "root", "top")

    def __init__(self) -> None:
        self.root = ""
        self.top: dict[str, str] = {}
        self.entries: list[dict[str, str]] = []
        self.prefixes: list[str] = []

    def close(self, name: str, depth: int, fields: dict[str, str], text: str | None) -> None:
        """Take in the root or one of its children; `text` is None when it has children, the `fields`."""
        name = local_name(name)
        if depth == _ROOT_LEVEL:
            self.root = name
            return
        if ":" in "".join(fields):
            fields = {local_name(field): value for field, value in fields.items()}
        if name == "Contents":
            self.entries.append(fields)
        elif name == "CommonPrefixes":
            self.prefixes.append(fields.get("Prefix", ""))
        elif text is not None:
            self.top[name] = text


def parse_list_page(body: bytes) -> ListPage:
    """Read the answer of ListObjectsV2.

    Returns:
        The page; `next_token` is the continuation token, or None on the last page. Keys are decoded, ETags are kept
        as written, quotes included.

    Raises:
        ProtocolError: The body is no listing, an entry has no name or size, or more follows and nothing says
            where.
    """
    raw = _collect(body)
    if raw.root != _ROOT:
        raise ProtocolError(f"expected <{_ROOT}>, got <{raw.root[:40]}>")
    decode = choose_key_decoder(raw.top.get("EncodingType"))
    objects = tuple([_build_object(fields, decode) for fields in raw.entries])
    if not all(raw.prefixes):
        raise ProtocolError("a common prefix of a listing is empty")
    prefixes = tuple([decode(prefix) for prefix in raw.prefixes])
    return ListPage(objects, prefixes, _find_next(raw.top))


def _collect(body: bytes) -> _Collected:
    collected = _Collected()
    fields: dict[str, str] = {}
    text: list[str] = []
    depth = 0
    # Whether the element that ends now held text only.
    is_leaf = False

    def on_start(_name: str, _attributes: list[str]) -> None:
        nonlocal depth, is_leaf, fields
        depth += 1
        is_leaf = True
        if depth == _TOP_LEVEL:
            fields = {}
        elif depth > MAX_DEPTH:
            refuse_depth()
        if text:
            text.clear()

    def on_end(name: str) -> None:
        nonlocal depth, is_leaf
        if depth == _ENTRY_LEVEL:
            if is_leaf:
                fields[name] = "".join(text)
        elif depth <= _TOP_LEVEL:
            collected.close(name, depth, fields, "".join(text) if is_leaf else None)
        depth -= 1
        is_leaf = False
        text.clear()

    read_document(body, on_start, on_end, text.append)
    return collected


def _build_object(fields: dict[str, str], decode: Callable[[str], str]) -> ListedObject:
    key = fields.get("Key")
    size = fields.get("Size")
    if not key or size is None:
        raise ProtocolError("an entry of a listing has no key or no size")
    return ListedObject(
        decode(key),
        parse_count(size),
        fields.get("ETag", ""),
        parse_time(fields.get("LastModified")),
        fields.get("StorageClass", ""),
    )


def _find_next(top: dict[str, str]) -> str | None:
    """Where the next page begins. Some stores leave out `IsTruncated`; then the token alone says that there is one."""
    token = top.get("NextContinuationToken") or None
    if not (parse_flag(top["IsTruncated"]) if "IsTruncated" in top else token):
        return None
    if token is None:
        raise ProtocolError("a listing is cut short and does not say where it goes on")
    return token
