"""The order of keys in a listing: that of their UTF-8 bytes (AWS: ListObjectsV2). Pure: it only compares."""

from __future__ import annotations

from collections.abc import Sequence
from operator import lt


def order_of(key: str) -> bytes:
    """What keys are ordered by. A key that is no UTF-8 holds its bytes as surrogate escapes (PEP 383)."""
    return key.encode("utf-8", "surrogateescape")


def is_ascending(keys: Sequence[str]) -> bool:
    """Whether each key comes after the one before it; a repetition does not."""
    if not is_sendable("".join(keys)):
        orders = [order_of(key) for key in keys]
        return all(map(lt, orders, orders[1:]))
    # Code points of text without surrogates are in the order of its UTF-8 bytes.
    return all(map(lt, keys, keys[1:]))


def is_sendable(text: str) -> bool:
    """Whether text has a UTF-8 form, so that every store takes it in a query."""
    if text.isascii():
        return True
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
