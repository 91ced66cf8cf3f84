"""Percent-encoding of keys and queries as S3 signs and routes them. Pure text: nothing is sent here.

A key is encoded exactly as it is: `..`, `//` and any Unicode form are the user's and are never normalised.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from urllib.parse import quote_from_bytes

from transfer.model.errors import UsageError

# One look tells that a key needs no encoding, which is so for nearly every key there is.
_is_plain_key = re.compile(r"[A-Za-z0-9._~/-]*").fullmatch
_is_plain_value = re.compile(r"[A-Za-z0-9._~-]*").fullmatch
_encode_odd = partial(re.compile(rb"[^A-Za-z0-9._~/-]").sub, lambda found: b"%%%02X" % found[0][0])


def encode_key(key: str) -> str:
    """Encode a key for the path of a request, without a leading slash.

    Args:
        key: Any text; odd bytes of a file name come as surrogate escapes (PEP 383) and go out as those bytes.

    Returns:
        RFC 3986 unreserved characters and `/` as they are, every other byte of the UTF-8 form as `%XX`
        (AWS: Signature Version 4, UriEncode).

    Raises:
        UsageError: The key holds a surrogate that stands for no byte, so it has no UTF-8 form.
    """
    if _is_plain_key(key):
        return key
    return _encode_odd(_to_bytes(key)).decode("ascii")


def encode_query(pairs: Sequence[tuple[str, str]]) -> str:
    """Encode a query in the canonical form of Signature Version 4; the same text is signed and sent.

    Args:
        pairs: Names and values, not encoded, in any order; a sub-resource such as `uploads` has the value "".

    Returns:
        `name=value` pairs joined by `&`, ordered by encoded name, then by encoded value; "" for no pairs.

    Raises:
        UsageError: A name or a value has no UTF-8 form.
    """
    encoded = sorted((_encode_value(name), _encode_value(value)) for name, value in pairs)
    return "&".join(f"{name}={value}" for name, value in encoded)


def _encode_value(text: str) -> str:
    if _is_plain_value(text):
        return text
    return quote_from_bytes(_to_bytes(text), safe="~")


def _to_bytes(text: str) -> bytes:
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise UsageError("a lone surrogate has no UTF-8 form", subject=ascii(text)) from error
