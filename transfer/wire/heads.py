"""HTTP/1.1 heads: building those of requests, parsing those of responses, and what frames a response's body.

Pure functions over bytes. The parser is strict (RFC 9112): what is ambiguous is refused, because an answer that two
parsers read differently is how bytes of one object end up in another. It must never raise anything but ProtocolError.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from transfer.model.errors import ProtocolError, SchemeError, UsageError
from transfer.model.values import dataclass

MAX_HEAD_BYTES = 64 * 1024
"""A head that is longer is refused; S3's largest legal one (8 KiB of headers, 2 KiB of them metadata) is far below."""

_STATUS_LINE = re.compile(r"HTTP/1\.([01]) ([1-5][0-9]{2})(?: ([\t\x20-\x7e\x80-\xff]*))?")
_FIELD_LINES = re.compile(r"(?:\r\n[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*)*")
_TLS_ALERT = b"\x15\x03"
"""How an alert begins: its type, and the first byte of any version (RFC 8446, section 5.1)."""
_WANTS_TLS = re.compile(
    rb"Client sent an HTTP request to an HTTPS server"
    rb"|plain HTTP request was sent to HTTPS port"
    rb"|speaking plain HTTP to an SSL-enabled server port"
    rb"|combination of host and port requires TLS"
)
"""What Go's net/http (MinIO, SeaweedFS), nginx, Apache and Tomcat write into the 400 to a request that is not
encrypted."""
_UNSAFE_IN_REQUEST = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_DIGITS = re.compile(r"[0-9]{1,18}")


@dataclass(frozen=True, slots=True)
class ResponseHead:
    """A parsed head. Header names are in lower case; repeated ones are joined by a comma (RFC 9110, 5.3)."""

    status: int
    reason: str
    headers: dict[str, str]
    keep_alive: bool


@dataclass(frozen=True, slots=True)
class BodyFraming:
    """Where the body ends: after `length` bytes, after the last chunk, or (`length` None) when the server closes."""

    length: int | None
    chunked: bool = False


def build_request_head(method: str, target: str, headers: Iterable[tuple[str, str]]) -> bytes:
    """Write a request head.

    Args:
        method: Such as `PUT`.
        target: Path and query, encoded; or an absolute URL or authority for a proxy.
        headers: Names and values in the order to send.

    Raises:
        UsageError: A value holds a line break or another control character: sent as it is, it could forge headers.
    """
    lines = [f"{method} {target} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in headers]
    text = "\r\n".join(lines)
    # Nearly every head holds printable characters alone, which is seen in a third of the time.
    if not "".join(lines).isprintable() and any(_UNSAFE_IN_REQUEST.search(line) for line in lines):
        raise UsageError("a header value holds a control character", remedy="remove line breaks from the value")
    try:
        return text.encode("latin-1") + b"\r\n\r\n"
    except UnicodeEncodeError as error:
        raise UsageError(
            "a header value holds a character that HTTP cannot carry", remedy="use ASCII or encode the value"
        ) from error


def parse_response_head(block: bytes) -> ResponseHead:
    """Parse a response head.

    Args:
        block: Everything before the empty line that ends the head, without it.

    Raises:
        ProtocolError: The block is no well-formed HTTP/1.x response head.
    """
    text = block.decode("latin-1")
    lines = text.split("\r\n")
    status_line = _STATUS_LINE.fullmatch(lines[0])
    if status_line is None:
        raise ProtocolError("the answer is not HTTP/1.1", remedy="check the endpoint URL, its scheme and its port")
    headers: dict[str, str] = {}
    for line in lines[1:]:
        name, _, value = line.partition(":")
        name, value = name.lower(), value.strip(" \t")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    # One look at all lines: for each of its own it took as long as everything else here together.
    if _FIELD_LINES.fullmatch(text, len(lines[0])) is None:
        raise ProtocolError("a malformed header line in the answer")
    return ResponseHead(int(status_line[2]), status_line[3] or "", headers, _keeps_alive(status_line[1], headers))


def _keeps_alive(minor_version: str, headers: Mapping[str, str]) -> bool:
    if "connection" not in headers:
        return minor_version == "1"
    tokens = {token.strip() for token in headers["connection"].lower().split(",")}
    return "close" not in tokens and (minor_version == "1" or "keep-alive" in tokens)


def refuse_tls_alert(arrived: bytes | bytearray) -> None:
    """Look at what came instead of a head to a request that was not encrypted.

    Raises:
        SchemeError: It is an alert of TLS.
    """
    if arrived.startswith(_TLS_ALERT):
        raise SchemeError("https")


def refuse_wish_for_tls(head: ResponseHead, body: bytes | memoryview) -> None:
    """Look at the answer to a request that was not encrypted; `body` is what came of it together with the head.

    Here and not where refusals are read to their end: Go's comes without length to a HEAD too, and a reset follows it.

    Raises:
        SchemeError: The server wants the request encrypted.
    """
    if head.status == 400 and _WANTS_TLS.search(body):
        raise SchemeError("https")


def body_framing(method: str, head: ResponseHead) -> BodyFraming:
    """Tell how the body of a response ends (RFC 9112, section 6.3).

    Raises:
        ProtocolError: Both framings at once, another transfer coding than chunked, or lengths that disagree.
    """
    if method == "HEAD" or head.status in (204, 304) or head.status < 200:
        return BodyFraming(0)
    if method == "CONNECT" and head.status < 300:
        return BodyFraming(0)
    coding = head.headers.get("transfer-encoding")
    length = head.headers.get("content-length")
    if coding is not None:
        if length is not None or coding.strip().lower() != "chunked":
            raise ProtocolError("an ambiguous or unknown framing of the answer's body")
        return BodyFraming(None, chunked=True)
    if length is None:
        return BodyFraming(None)
    if not _DIGITS.fullmatch(length):
        # Some servers say it twice.
        length, *others = {value.strip() for value in length.split(",")}
        if others or not _DIGITS.fullmatch(length):
            raise ProtocolError("a malformed Content-Length in the answer")
    return BodyFraming(int(length))
