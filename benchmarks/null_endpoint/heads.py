"""Reads the heads of requests for the null endpoint. Pure: no sockets, no state."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote


@dataclass(frozen=True, slots=True)
class Request:
    """The head of one request; of its fields only those that somebody asks for are ever read.

    Attributes:
        query_text: What follows the `?` of the target.
        fields: Its lines in lower case, each after its line end.
    """

    method: str
    path: str
    query_text: str
    fields: str

    @property
    def query(self) -> dict[str, str]:
        """The first value of each name."""
        return dict(reversed(parse_qsl(self.query_text, keep_blank_values=True)))

    def field(self, name: str) -> str:
        """Return the value of the first field with the lower-case `name`, in lower case; empty where there is none."""
        start = self.fields.find(f"\r\n{name}:")
        if start < 0:
            return ""
        start += len(name) + 3
        end = self.fields.find("\r\n", start)
        return (self.fields[start:end] if end >= 0 else self.fields[start:]).strip()


def parse_head(head: bytes) -> Request:
    """Read a head without its final empty line (RFC 9112, section 3). Raises ValueError when it is none."""
    text = head.decode("latin-1")
    request_line = text.partition("\r\n")[0]
    method, target, _version = request_line.split(" ")
    path, _, query_text = target.partition("?")
    return Request(method, unquote(path) if "%" in path else path, query_text, text[len(request_line) :].lower())


def object_size_bytes(path: str, default_bytes: int) -> int:
    """Return the number after the last `@` of `path`, or `default_bytes` where there is none."""
    _, mark, digits = path.rpartition("@")
    return int(digits) if mark and digits.isascii() and digits.isdigit() else default_bytes


def parse_range(text: str, size_bytes: int) -> range | None:
    """Read a Range header against an object's size (RFC 9110, section 14.1.2).

    Returns:
        The bytes asked for, which is empty when the object has none of them (416); None for the whole object,
        also when the header is malformed or names several ranges, which a server may ignore.
    """
    unit, _, numbers = text.partition("=")
    first, dash, last = numbers.strip().partition("-")
    if unit.strip() != "bytes" or not dash or not (first + last).isdigit():
        return None
    if not first:
        return range(max(0, size_bytes - int(last)), size_bytes)
    stop = min(int(last) + 1, size_bytes) if last else size_bytes
    return range(int(first), max(int(first), stop))
