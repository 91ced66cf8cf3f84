"""The chunked coding of a body that is in memory (RFC 9112, section 7.1). Pure functions over bytes."""

from __future__ import annotations

from transfer.model.errors import ProtocolError

LONGEST_LINE_BYTES = 4096
"""A size with its extensions, or a field after the last chunk."""


def parse_chunk_size(line: bytes) -> int:
    """Read a chunk-size line; extensions are ignored.

    Raises:
        ProtocolError: No hexadecimal size, or one beyond any sane chunk.
    """
    digits = line.partition(b";")[0].strip(b" \t")
    if not 1 <= len(digits) <= 15 or digits.strip(b"0123456789abcdefABCDEF"):
        raise ProtocolError("a malformed chunk size in the answer")
    return int(digits, 16)


def unchunk(data: bytes | bytearray) -> tuple[bytes, int] | None:
    """Read a whole body.

    Returns:
        The body and where in `data` it ends; None as long as its end has not come.

    Raises:
        ProtocolError: It is malformed.
    """
    body = bytearray()
    position = 0
    while True:
        line_end = _line_end(data, position)
        if line_end is None:
            return None
        size = parse_chunk_size(bytes(data[position:line_end]))
        position = line_end + 2
        if size == 0:
            break
        end = position + size
        if len(data) < end + 2:
            return None
        if data[end : end + 2] != b"\r\n":
            raise ProtocolError("a malformed chunk in the answer")
        body += data[position:end]
        position = end + 2
    while (line_end := _line_end(data, position)) is not None:
        is_last, position = line_end == position, line_end + 2
        if is_last:
            return bytes(body), position
    return None


def _line_end(data: bytes | bytearray, position: int) -> int | None:
    end = data.find(b"\r\n", position, position + LONGEST_LINE_BYTES + 2)
    if end < 0 and len(data) - position > LONGEST_LINE_BYTES + 1:
        raise ProtocolError("a malformed chunk in the answer")
    return None if end < 0 else end
