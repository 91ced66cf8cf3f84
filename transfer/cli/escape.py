"""Makes foreign text harmless for a terminal. Keys, paths and server messages may hold anything."""

from __future__ import annotations

import re

_HARMFUL = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
"""Control characters of both sets, line separators, marks that reorder text, and undecodable bytes."""


def printable(text: str) -> str:
    r"""Write harmful characters as escapes: `\n`, `\x1b`, `\u202e`.

    An undecodable byte of a file name, which Python keeps as a lone surrogate, shows as that byte: `\xff`.
    Letters of every script stay as they are.
    """
    if text.isprintable():
        return text
    return _HARMFUL.sub(_escaped, text)


def _escaped(found: re.Match[str]) -> str:
    code = ord(found[0])
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    return found[0].encode("unicode_escape").decode("ascii") if code < 0xD800 else f"\\u{code:04x}"
