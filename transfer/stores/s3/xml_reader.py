"""Reads the XML a store answers with, trusting none of it: no document type or entities, bounded in size.

Bytes go in; a value or a `ProtocolError` comes out, never another exception. Namespace prefixes are dropped
and the order of elements means nothing, as stores differ in both. What the elements mean is decided in `xml`
and `xml_listing`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NoReturn
from urllib.parse import unquote_to_bytes
from xml.parsers.expat import ExpatError, ParserCreate

from transfer.model.errors import ProtocolError

MAX_DOCUMENT_BYTES = 16 * 1024 * 1024
"""Four times the largest honest answer: 1,000 keys of 1,024 bytes, each byte as %XX, and their fields."""
MAX_DEPTH = 16
"""The deepest answer of S3 has five levels."""
MAX_ELEMENTS = 100_000
"""1,000 entries have about 15 elements each; the bound keeps the memory of a tree in proportion."""

_ROOT_LOOK_BYTES = 4096
"""A declaration and the first start tag fit many times over."""
_MAX_NUMBER_DIGITS = 19
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class Element:
    """One element: its text when it has no children, else its children."""

    name: str
    text: str = ""
    children: list[Element] = field(default_factory=list)

    def every(self, name: str) -> Iterator[Element]:
        """The direct children of that name, in order."""
        return (child for child in self.children if child.name == name)

    def find_text(self, name: str) -> str | None:
        """The text of the only direct child of that name; None when there is none.

        Raises:
            ProtocolError: There are several, or it holds elements instead of text.
        """
        found = list(self.every(name))
        if not found:
            return None
        if len(found) > 1 or found[0].children:
            raise ProtocolError(f"<{self.name}> has no single plain <{name}>")
        return found[0].text

    def require_text(self, name: str) -> str:
        """As `find_text`, but a missing or empty one is a `ProtocolError` too."""
        text = self.find_text(name)
        if not text:
            raise ProtocolError(f"<{self.name}> has no <{name}>")
        return text


def read_document(
    body: bytes,
    on_start: Callable[[str, list[str]], None],
    on_end: Callable[[str], None],
    on_text: Callable[[str], object],
) -> None:
    """Parse a whole document, calling back for each start, end and run of text.

    The body is UTF-8, whatever it declares. Blanks before it are skipped: stores send them to keep a slow
    answer alive. The callbacks bound the depth with `refuse_depth`.

    Raises:
        ProtocolError: The body is too large, not well formed or has a document type, or a callback raised it.
    """
    if len(body) > MAX_DOCUMENT_BYTES:
        raise ProtocolError(f"an XML answer of more than {MAX_DOCUMENT_BYTES} bytes")
    # The parser accepts UTF-16 whatever it is told; each such document holds a zero byte, no UTF-8 one may.
    if b"\0" in body:
        raise ProtocolError("an XML answer that is not UTF-8")
    parser = ParserCreate("UTF-8")
    parser.buffer_text = True
    parser.ordered_attributes = True
    parser.StartDoctypeDeclHandler = _refuse_doctype
    parser.StartElementHandler = on_start
    parser.EndElementHandler = on_end
    parser.CharacterDataHandler = on_text
    try:
        parser.Parse(body.lstrip(), True)
    except ExpatError as error:
        raise ProtocolError(f"an XML answer that is not well formed: {error}") from error


def refuse_depth() -> NoReturn:
    """Raise the error of a document deeper than `MAX_DEPTH`."""
    raise ProtocolError(f"an XML answer of more than {MAX_DEPTH} levels")


def read_tree(body: bytes) -> Element:
    """Parse a document into its root element; for answers that are small or rare.

    Raises:
        ProtocolError: As `read_document`, or it has too many levels or elements.
    """
    top = Element("")
    path = [top]
    text: list[str] = []
    count = 0

    def on_start(name: str, _attributes: list[str]) -> None:
        nonlocal count
        count += 1
        if len(path) > MAX_DEPTH:
            refuse_depth()
        if count > MAX_ELEMENTS:
            raise ProtocolError(f"an XML answer of more than {MAX_ELEMENTS} elements")
        element = Element(local_name(name))
        path[-1].children.append(element)
        path.append(element)
        text.clear()

    def on_end(_name: str) -> None:
        element = path.pop()
        if not element.children:
            element.text = "".join(text)
        text.clear()

    read_document(body, on_start, on_end, text.append)
    return top.children[0]


def find_root_name(body: bytes) -> str | None:
    """The name of the root element, by a look at the first bytes only; None when they hold no start tag.

    Says nothing of the rest: a document that is not well formed may have a root too.
    """
    names: list[str] = []
    parser = ParserCreate("UTF-8")
    parser.StartElementHandler = lambda name, _attributes: names.append(name)
    with suppress(ExpatError):
        parser.Parse(body.lstrip()[:_ROOT_LOOK_BYTES], False)
    return local_name(names[0]) if names else None


def local_name(name: str) -> str:
    """The name of an element without its namespace prefix."""
    return name.rpartition(":")[2]


def parse_count(text: str) -> int:
    """Read a number that is not negative.

    Raises:
        ProtocolError: The text is no such number, or is beyond 64 bits.
    """
    digits = text.strip()
    if not (digits.isascii() and digits.isdigit() and len(digits) <= _MAX_NUMBER_DIGITS):
        raise ProtocolError(f"not a number: {digits[:40]!a}")
    return int(digits)


def parse_flag(text: str | None) -> bool:
    """Read `true` or `false`; None and blank are false.

    Raises:
        ProtocolError: The text is something else.
    """
    word = (text or "false").strip().lower() or "false"
    if word not in {"true", "false"}:
        raise ProtocolError(f"neither true nor false: {word[:40]!a}")
    return word == "true"


def parse_time(text: str | None) -> float:
    """Read an ISO 8601 date and time as seconds since the epoch; 0 for none, UTC when it names no zone.

    Raises:
        ProtocolError: The text is no date and time.
    """
    if not text:
        return 0.0
    try:
        moment = datetime.fromisoformat(text)
        return ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - _EPOCH).total_seconds()
    except ValueError as error:
        raise ProtocolError(f"not a date and time: {text[:40]!a}") from error


def choose_key_decoder(encoding_type: str | None) -> Callable[[str], str]:
    """How keys of an answer are written, from its `EncodingType`: as they are, or form-encoded for `url`.

    Bytes that are no UTF-8 become surrogate escapes, which `uri.encode_key` turns back into the same bytes.

    Raises:
        ProtocolError: The encoding is not known.
    """
    if not encoding_type:
        return str
    if encoding_type.strip().lower() != "url":
        raise ProtocolError(f"keys in an unknown encoding: {encoding_type[:40]!a}")
    return _decode_form


def _decode_form(text: str) -> str:
    if "%" in text or "+" in text:
        return unquote_to_bytes(text.replace("+", " ")).decode("utf-8", "surrogateescape")
    return text


def _refuse_doctype(*_: object) -> NoReturn:
    raise ProtocolError("an XML answer with a document type")
