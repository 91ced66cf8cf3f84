"""Reads the heads of requests for the null endpoint. Pure: no sockets, no state."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote


@dataclass(frozen=True, slots=True)
class Request:
    """The head of one request.

    Attributes:
        query: The first value of each name.
        headers: By lower-case name.
    """

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]


def parse_head(head: bytes) -> Request:
    """Read a head without its final empty line (RFC 9112, section 3). Raises ValueError when it is none."""
    request_line, *lines = head.decode("latin-1").split("\r\n")
    method, target, _version = request_line.split(" ")
    path, mark, query = target.partition("?")
    headers = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    pairs = dict(reversed(parse_qsl(query, keep_blank_values=True))) if mark else {}
    return Request(method, unquote(path) if "%" in path else path, pairs, headers)


def object_size_bytes(path: str, default_bytes: int) -> int:
    """Return the number after the last `@` of `path`, or `default_bytes` where there is none."""
    _, mark, digits = path.rpartition("@")
    return int(digits) if mark and digits.isascii() and digits.isdigit() else default_bytes


def parse_range(text: str | None, size_bytes: int) -> range | None:
    """Read a Range header against an object's size (RFC 9110, section 14.1.2).

    Returns:
        The bytes asked for, which is empty when the object has none of them (416); None for the whole object,
        also when the header is malformed or names several ranges, which a server may ignore.
    """
    unit, _, numbers = (text or "").partition("=")
    first, dash, last = numbers.strip().partition("-")
    if unit.strip() != "bytes" or not dash or not (first + last).isdigit():
        return None
    if not first:
        return range(max(0, size_bytes - int(last)), size_bytes)
    stop = min(int(last) + 1, size_bytes) if last else size_bytes
    return range(int(first), max(int(first), stop))
