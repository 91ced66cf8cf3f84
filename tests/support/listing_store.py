"""A store in memory that lists its keys and removes none, with the habits of servers that only know version 1.

Owns pages, markers, prefixes, folding and encodings of ListObjects in both versions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, quote_plus, urlsplit
from xml.sax.saxutils import escape

from tests.support.http_server import HttpServer, Peer


@dataclass(slots=True)
class ListingStore:
    """What is stored, and how the server behaves; ``asked`` holds the query of every request for a page.

    ``removals`` holds what was sent with each request to remove some keys, of which nothing is done.

    Attributes:
        refuses_version_2: The status and code with which it does.
        ignores_version_2: It answers version 1 whatever it is asked for.
        tells_marker: Version 1 repeats the marker of the request.
        tells_next_marker: How version 1 writes where it goes on: "" for not at all, "plain" or "encoded".
        forgets_tokens: Version 2 is cut short without a token from this page on.
        strays: Names that each page begins with from this request on, whatever it was to show.
    """

    keys: Sequence[str]
    page_entries: int = 1000
    refuses_version_2: tuple[bytes, str] | None = None
    ignores_version_2: bool = False
    tells_marker: bool = True
    tells_next_marker: str = ""
    forgets_tokens: int | None = None
    refuses_version_1: bool = False
    strays: Mapping[int, Sequence[str]] = field(default_factory=dict)
    asked: list[Mapping[str, str]] = field(default_factory=list)
    removals: list[bytes] = field(default_factory=list)

    def server(self) -> HttpServer:
        """A server of this store, path style, any bucket."""
        return HttpServer(self._serve)

    async def _serve(self, peer: Peer) -> None:
        while True:
            asked = await peer.request()
            query = dict(parse_qsl(urlsplit(asked.head.target).query, keep_blank_values=True))
            if "delete" in query:
                self.removals.append(asked.body)
                await peer.answer(b"<DeleteResult/>")
                continue
            self.asked.append(query)
            is_new = "list-type" in query
            if is_new and self.refuses_version_2:
                status, code = self.refuses_version_2
                await peer.answer(f"<Error><Code>{code}</Code></Error>".encode(), status=status)
            elif not is_new and self.refuses_version_1:
                await peer.answer(b"<Error><Code>AccessDenied</Code></Error>", status=b"403 Forbidden")
            else:
                await peer.answer(self._page(query, is_new=is_new and not self.ignores_version_2))

    def _page(self, query: Mapping[str, str], *, is_new: bool) -> bytes:
        after = query.get("continuation-token") or query.get("start-after", "") if is_new else query.get("marker", "")
        names = sorted({self._folded(key, query) for key in self.keys if key.startswith(query["prefix"])})
        rest = [name for name in names if name > after]
        page = rest[: self.page_entries]
        is_truncated = len(rest) > len(page)
        strays = [name for first, names in self.strays.items() if len(self.asked) >= first for name in names]
        page = [self._folded(name, query) for name in strays] + page
        objects = "".join(
            f"<Contents><Key>{_encoded(name)}</Key><Size>1</Size></Contents>"
            for name in page
            if name in self.keys or name in strays
        )
        folders = "".join(
            f"<CommonPrefixes><Prefix>{_encoded(name)}</Prefix></CommonPrefixes>"
            for name in page
            if name not in self.keys and name not in strays
        )
        return (
            f"<ListBucketResult><IsTruncated>{str(is_truncated).lower()}</IsTruncated>"
            f"{self._way_on(page, after, is_new=is_new, is_truncated=is_truncated)}"
            f"<EncodingType>url</EncodingType>{objects}{folders}</ListBucketResult>"
        ).encode()

    def _way_on(self, page: Sequence[str], after: str, *, is_new: bool, is_truncated: bool) -> str:
        if is_new:
            is_forgotten = self.forgets_tokens is not None and len(self.asked) > self.forgets_tokens
            if not is_truncated or is_forgotten:
                return f"<KeyCount>{len(page)}</KeyCount>"
            return f"<KeyCount>{len(page)}</KeyCount><NextContinuationToken>{page[-1]}</NextContinuationToken>"
        marker = f"<Marker>{_encoded(after)}</Marker>" if self.tells_marker else ""
        if not is_truncated or not self.tells_next_marker:
            return marker
        name = _encoded(page[-1]) if self.tells_next_marker == "encoded" else escape(page[-1])
        return f"{marker}<NextMarker>{name}</NextMarker>"

    def _folded(self, key: str, query: Mapping[str, str]) -> str:
        delimiter, start = query.get("delimiter", ""), len(query["prefix"])
        at = key.find(delimiter, start) if delimiter else -1
        return key if at < 0 else key[: at + 1]


def _encoded(key: str) -> str:
    return quote_plus(key, safe="/")
