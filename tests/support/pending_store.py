"""A store in memory that holds unfinished uploads and nothing else, with the habits of different servers.

Owns pages, markers, prefixes and encodings of ListMultipartUploads and ListParts, and AbortMultipartUpload.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import formatdate
from urllib.parse import parse_qsl, quote_plus, unquote, urlsplit
from xml.sax.saxutils import escape

from tests.support.http_server import Asked, HttpServer, Peer

NO_SUCH_UPLOAD = b"<Error><Code>NoSuchUpload</Code><Message>no such upload</Message></Error>"


@dataclass(frozen=True, slots=True, order=True)
class Pending:
    """An upload; ``initiated`` is written into the answer as it is, "" leaves it out."""

    key: str
    upload_id: str
    initiated: str = "2024-01-01T00:00:00Z"


@dataclass(slots=True)
class PendingStore:
    """What is pending, and how the server behaves; ``asked`` is every request as method, key and query."""

    uploads: list[Pending] = field(default_factory=list)
    parts: Sequence[tuple[int, int]] = ()
    page_entries: int = 1000
    clock_seconds: float = 1_704_067_200.0
    """2024-01-01T00:00:00Z."""
    takes_prefix_for_a_key: bool = False
    ignores_prefix: bool = False
    looks_markers_up: bool = False
    is_stuck: bool = False
    only_says_url: bool = False
    loses_odd_characters: bool = False
    refuses_the_bucket: bool = False
    refused_keys: frozenset[str] = frozenset()
    taken_keys: frozenset[str] = frozenset()
    """Uploads that another program aborts just before us."""
    asked: list[tuple[str, str, Mapping[str, str]]] = field(default_factory=list)

    def server(self) -> HttpServer:
        """A server of this store, path style, any bucket."""
        return HttpServer(self._serve)

    def requests(self, method: str) -> list[tuple[str, Mapping[str, str]]]:
        """Keys and queries of the requests of one method, in order."""
        return [(key, query) for asked, key, query in self.asked if asked == method]

    async def _serve(self, peer: Peer) -> None:
        date = b"Date: " + formatdate(self.clock_seconds, usegmt=True).encode()
        while True:
            status, body = self._answer(await peer.request())
            await peer.answer(body, date, status=status)

    def _answer(self, asked: Asked) -> tuple[bytes, bytes]:
        target = urlsplit(asked.head.target)
        key = unquote(target.path.lstrip("/").partition("/")[2])
        query = dict(parse_qsl(target.query, keep_blank_values=True))
        self.asked.append((asked.head.method, key, query))
        if asked.head.method == "DELETE":
            return self._abort(key, query["uploadId"])
        if "uploads" in query:
            return self._list_uploads(query)
        return self._list_parts(int(query.get("part-number-marker", "0")))

    def _abort(self, key: str, upload_id: str) -> tuple[bytes, bytes]:
        if key in self.refused_keys:
            return b"403 Forbidden", b"<Error><Code>AccessDenied</Code></Error>"
        found = [upload for upload in self.uploads if (upload.key, upload.upload_id) == (key, upload_id)]
        for upload in found:
            self.uploads.remove(upload)
        if not found or key in self.taken_keys:
            return b"404 Not Found", NO_SUCH_UPLOAD
        return b"204 No Content", b""

    def _list_uploads(self, query: Mapping[str, str]) -> tuple[bytes, bytes]:
        prefix = query["prefix"]
        if self.refuses_the_bucket and not prefix:
            return b"403 Forbidden", b"<Error><Code>AccessDenied</Code></Error>"
        marker = (query.get("key-marker", ""), query.get("upload-id-marker", ""))
        places = [(upload.key, upload.upload_id) for upload in self.uploads]
        if self.looks_markers_up and any(marker) and marker not in places:
            rest = []
        else:
            rest = sorted(upload for upload in self.uploads if (upload.key, upload.upload_id) > marker)
        matching = [upload for upload in rest if self._matches(upload.key, prefix)]
        page = matching[: self.page_entries]
        is_truncated = self.is_stuck or len(matching) > self.page_entries
        encodes = query.get("encoding-type") == "url"
        items = "".join(self._item(upload, encodes=encodes) for upload in page)
        last = min(self.uploads) if self.is_stuck else page[-1] if page else Pending("", "")
        markers = (
            f"<NextKeyMarker>{self._written(last.key, encodes=encodes)}</NextKeyMarker>"
            f"<NextUploadIdMarker>{last.upload_id}</NextUploadIdMarker>"
        )
        return b"200 OK", (
            "<ListMultipartUploadsResult>"
            f"<IsTruncated>{str(is_truncated).lower()}</IsTruncated>{markers if is_truncated else ''}{items}"
            f"{'<EncodingType>url</EncodingType>' if encodes else ''}</ListMultipartUploadsResult>"
        ).encode()

    def _matches(self, key: str, prefix: str) -> bool:
        if self.takes_prefix_for_a_key:
            return not prefix or key == prefix
        return self.ignores_prefix or key.startswith(prefix)

    def _item(self, upload: Pending, *, encodes: bool) -> str:
        initiated = f"<Initiated>{upload.initiated}</Initiated>" if upload.initiated else ""
        key = self._written(upload.key, encodes=encodes)
        return f"<Upload><Key>{key}</Key><UploadId>{upload.upload_id}</UploadId>{initiated}</Upload>"

    def _written(self, key: str, *, encodes: bool) -> str:
        if encodes and not self.only_says_url:
            return quote_plus(key, safe="/")
        odd = "\N{REPLACEMENT CHARACTER}" if self.loses_odd_characters else None
        return "".join(escape(c) if c >= " " else odd or f"&#x{ord(c):x};" for c in key)

    def _list_parts(self, marker: int) -> tuple[bytes, bytes]:
        rest = [part for part in self.parts if part[0] > marker]
        page = rest[: self.page_entries]
        is_truncated = self.is_stuck or len(rest) > self.page_entries
        last = 1 if self.is_stuck else page[-1][0] if page else 0
        items = "".join(
            f'<Part><PartNumber>{number}</PartNumber><ETag>"{number:032x}"</ETag><Size>{size}</Size></Part>'
            for number, size in page
        )
        return b"200 OK", (
            f"<ListPartsResult><IsTruncated>{str(is_truncated).lower()}</IsTruncated>"
            f"<NextPartNumberMarker>{last}</NextPartNumberMarker>{items}</ListPartsResult>"
        ).encode()
