"""Reads a page of a listing, the one XML answer that is hot: a thousand keys at a time, without a tree."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

from transfer.model.errors import ProtocolError
from transfer.model.objects import ListedObject, ListPage, quoted
from transfer.plan.key_order import order_of
from transfer.stores.s3.xml_entries import Columns, read_plain_entries
from transfer.stores.s3.xml_reader import (
    MAX_DEPTH,
    MAX_DOCUMENT_BYTES,
    choose_key_decoder,
    local_name,
    parse_count,
    parse_flag,
    parse_time,
    read_document,
    refuse_depth,
)

_ROOT = "ListBucketResult"
_OUR_NAME = b"EntriesReadElsewhere"
_OUR_ENTRY = b"<Contents><" + _OUR_NAME + b"/></Contents>"
_OUR_ENTRIES = [{_OUR_NAME.decode(): ""}]
# Levels of a listing: the root, its fields and entries, the fields of an entry. The owner, deeper, is unused.
_ROOT_LEVEL, _TOP_LEVEL, _ENTRY_LEVEL = 1, 2, 3

# The generated constructor of a named tuple checks what is known here.
_make_object: partial[ListedObject] = partial(tuple.__new__, ListedObject)


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


class OlderListingError(ProtocolError):
    """What was answered is version 1 of the listing, which goes on by other means than version 2."""


def parse_list_page(body: bytes, *, start_after: str = "") -> ListPage:
    """Read the answer of ListObjectsV2.

    Args:
        body: The document.
        start_after: The key after which the page was asked to begin, "" for none.

    Returns:
        The page; `next_token` is the continuation token, or None on the last page. Keys are decoded, ETags have
        their quotes.

    Raises:
        ProtocolError: The body is no listing, an entry has no name or size, or more follows and nothing says
            where; as OlderListingError when it may be that the store only knows version 1.
    """
    page, top = _read_page(body)
    token = top.get("NextContinuationToken") or None
    if token is None and "KeyCount" not in top:
        # Version 1 knows no `start-after`, which shows at once.
        ignores_start = bool(start_after and page.objects) and order_of(page.objects[0].key) <= order_of(start_after)
        if "Marker" in top or ignores_start:
            raise OlderListingError("the store answers version 1 of a listing")
    # Some stores leave out `IsTruncated`; then the token alone says that there is one.
    if not (parse_flag(top["IsTruncated"]) if "IsTruncated" in top else token):
        return page
    if token is None:
        raise OlderListingError("a listing is cut short and does not say where it goes on")
    return replace(page, next_token=token)


def parse_old_list_page(body: bytes) -> ListPage:
    """Read the answer of ListObjects, version 1.

    Returns:
        As `parse_list_page`; `next_token` is the marker of the next page. Without a delimiter AWS names none: it is the
        last key then (API reference, ListObjects).

    Raises:
        ProtocolError: As `parse_list_page`.
    """
    page, top = _read_page(body)
    marker = top.get("NextMarker") or ""
    if not (parse_flag(top["IsTruncated"]) if "IsTruncated" in top else marker):
        return page
    last = [*(entry.key for entry in page.objects[-1:]), *page.prefixes[-1:]]
    if marker not in last:
        # AWS writes it encoded as keys are, SeaweedFS plain.
        marker = choose_key_decoder(top.get("EncodingType"))(marker) or max(last, key=order_of, default="")
    if not marker:
        raise ProtocolError("a listing is cut short and does not say where it goes on")
    return replace(page, next_token=marker)


def _read_page(body: bytes) -> tuple[ListPage, Mapping[str, str]]:
    """The page, which does not say yet how it goes on, and the fields beside its entries."""
    plain = _read_plain(body)
    raw, columns = plain or (_collect(body), None)
    if raw.root != _ROOT:
        raise ProtocolError(f"expected <{_ROOT}>, got <{raw.root[:40]}>")
    decode = choose_key_decoder(raw.top.get("EncodingType"))
    if columns is None:
        objects = tuple([_build_object(fields, decode) for fields in raw.entries])
    else:
        keys = columns.keys if decode is str else map(decode, columns.keys)
        objects = tuple(map(_make_object, zip(keys, *columns[1:], strict=True)))
    if not all(raw.prefixes):
        raise ProtocolError("a common prefix of a listing is empty")
    return ListPage(objects, tuple(map(decode, raw.prefixes)), None), raw.top


def _read_plain(body: bytes) -> tuple[_Collected, Columns] | None:
    """Read entries of the plain shape the fast way, and what stands around them in full; None when they are not plain.

    The full parser gets the document with one entry of our own in the place of theirs. It shows up as the only entry
    exactly if theirs stand where entries belong, and not within a comment, a section or another element.
    """
    begin = body.find(b"<Contents>")
    end = body.rfind(b"</Contents>") + len(b"</Contents>")
    head, tail = body[:begin], body[end:]
    if begin < 0 or end <= begin or len(body) > MAX_DOCUMENT_BYTES or any(_OUR_NAME in part for part in (head, tail)):
        return None
    columns = read_plain_entries(body[begin:end])
    if columns is None:
        return None
    try:
        around = _collect(b"".join((head, _OUR_ENTRY, tail)))
    except ProtocolError:
        return None
    return (around, columns) if around.entries == _OUR_ENTRIES else None


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
        quoted(fields.get("ETag", "")),
        parse_time(fields.get("LastModified")),
        fields.get("StorageClass", ""),
    )
