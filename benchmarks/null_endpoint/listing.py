"""Pages of listings of trees that exist only as their prefix (`benchmarks.tree`). Pure.

Follows ListObjectsV2 and ListObjects: https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote
from xml.sax.saxutils import escape

from benchmarks.tree import Tree, stem

PAGE_KEYS = 1000
_AFTER_ALL = "\U0010ffff"
_TAIL = (
    "</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>&quot;d41d8cd98f00b204e9800998ecf8427e-9&quot;"
    "</ETag><Size>{}</Size><StorageClass>STANDARD</StorageClass></Contents>"
)


@dataclass(frozen=True, slots=True)
class Page:
    """What one answer lists.

    Attributes:
        numbers: Of the tree's files.
        prefixes: That stand for the files below them.
        next_number: Where the next page starts; None after the last.
    """

    numbers: list[int]
    prefixes: list[str]
    next_number: int | None


def list_document(bucket: str, query: Mapping[str, str]) -> str:
    """Return the content of a ListBucketResult; a prefix that is no tree's has no keys."""
    prefix = query.get("prefix", "")
    tree = Tree.of_prefix(prefix)
    page = _page(tree, query, prefix) if tree else Page([], [], None)
    encode = quote if query.get("encoding-type") == "url" else escape
    root = encode(tree.prefix) if tree else ""
    head = (
        f"<Name>{escape(bucket)}</Name><Prefix>{encode(prefix)}</Prefix><MaxKeys>{_max_keys(query)}</MaxKeys>"
        f"<KeyCount>{len(page.numbers) + len(page.prefixes)}</KeyCount>"
        f"<IsTruncated>{str(page.next_number is not None).lower()}</IsTruncated>"
    )
    parts = [head]
    if "encoding-type" in query:
        parts.append("<EncodingType>url</EncodingType>")
    if "delimiter" in query:
        parts.append(f"<Delimiter>{encode(query['delimiter'])}</Delimiter>")
    if tree and page.next_number is not None:
        parts.append(f"<NextContinuationToken>{page.next_number}</NextContinuationToken>")
        parts.append(f"<NextMarker>{encode(tree.prefix + tree.name(page.next_number - 1))}</NextMarker>")
    if tree:
        # Only the sign before the size is ever encoded, so no name needs a look of its own.
        tails = [encode(f"@{size}") + _TAIL.format(size) for size in tree.sizes_bytes]
        turns = len(tails)
        parts += [f"<Contents><Key>{root}{stem(number)}{tails[number % turns]}" for number in page.numbers]
    parts += [f"<CommonPrefixes><Prefix>{encode(one)}</Prefix></CommonPrefixes>" for one in page.prefixes]
    return "".join(parts)


def _page(tree: Tree, query: Mapping[str, str], prefix: str) -> Page:
    start, stop = _first(tree, prefix), _first(tree, prefix + _AFTER_ALL)
    after = query.get("start-after") or query.get("marker")
    if token := query.get("continuation-token"):
        start = max(start, int(token))
    elif after:
        start = max(start, bisect_right(range(tree.count), after, key=lambda number: _key(tree, number)))
    delimiter = query.get("delimiter")
    limit = _max_keys(query)
    if not delimiter:
        end = min(stop, start + limit)
        return Page(list(range(start, end)), [], end if end < stop else None)
    numbers: list[int] = []
    prefixes: list[str] = []
    while start < stop and len(numbers) + len(prefixes) < limit:
        name, mark, _ = _key(tree, start)[len(prefix) :].partition(delimiter)
        if mark:
            prefixes.append(prefix + name + mark)
            start = _first(tree, prefixes[-1] + _AFTER_ALL)
        else:
            numbers.append(start)
            start += 1
    return Page(numbers, prefixes, start if start < stop else None)


def _max_keys(query: Mapping[str, str]) -> int:
    return min(PAGE_KEYS, int(query.get("max-keys") or PAGE_KEYS))


def _key(tree: Tree, number: int) -> str:
    return tree.prefix + tree.name(number)


def _first(tree: Tree, text: str) -> int:
    """Return the number of the first key that is not below `text`."""
    return bisect_left(range(tree.count), text, key=lambda number: _key(tree, number))
