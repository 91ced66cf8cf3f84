"""The tags of an object as the store tells them. Reads only: new objects get theirs by a header."""

from __future__ import annotations

from typing import Final

from transfer.model.errors import ProtocolError, StoreError
from transfer.model.locations import S3Location
from transfer.stores.s3.store import Call, S3Store
from transfer.stores.s3.xml_reader import read_tree

_HAS_NONE: Final = frozenset({"NoSuchTagSet", "NoSuchTagSetError"})
"""What some stores answer for an object without tags, where S3 answers an empty set."""


async def get_tags(store: S3Store, location: S3Location) -> dict[str, str]:
    """The tags of an object (GetObjectTagging).

    Raises:
        StoreError: The store refused; not all know tags, and to read them takes a permission of its own.
        ProtocolError: The answer is no set of tags.
        WireError: The conversation failed.
    """
    try:
        _, body = await store.fetch(Call("GET", location, (("tagging", ""),)))
    except StoreError as error:
        if error.code in _HAS_NONE:
            return {}
        raise
    return parse_tags(body)


def parse_tags(body: bytes) -> dict[str, str]:
    """Read the answer of GetObjectTagging.

    Raises:
        ProtocolError: It is another document.
    """
    root = read_tree(body)
    if root.name != "Tagging":
        raise ProtocolError(f"expected <Tagging>, got <{root.name[:40]}>")
    return {
        tag.require_text("Key"): tag.find_text("Value") or ""
        for tags in root.every("TagSet")
        for tag in tags.every("Tag")
    }
