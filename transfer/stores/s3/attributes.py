"""What a store tells of the parts that an object was uploaded in. Each verb is one request, made once."""

from __future__ import annotations

from collections.abc import Mapping

from transfer.model.errors import ProtocolError
from transfer.model.locations import S3Location
from transfer.model.values import dataclass
from transfer.stores.s3.store import Call, S3Store, embedded_error
from transfer.stores.s3.xml_reader import Element, parse_count, parse_flag, read_tree

PAGE_PARTS = 1000
"""The most that one answer names (AWS: GetObjectAttributes)."""

ANSWER_LIMIT_BYTES = 4 * 1024 * 1024
"""Ten times what a thousand parts with all their checksums take."""


@dataclass(frozen=True, slots=True)
class PartLengthsPage:
    """One page of an object's parts.

    Attributes:
        etag: Of the object, without its quotes.
        lengths: Bytes by part number; empty for objects of which the store keeps no list of parts.
        next_marker: Asks for the next page; None on the last.
    """

    etag: str
    lengths: Mapping[int, int]
    next_marker: int | None


async def list_part_lengths(store: S3Store, location: S3Location, marker: int) -> PartLengthsPage | None:
    """Ask for the sizes of an object's parts (GetObjectAttributes).

    A store that does not know the request may answer with the object itself: that is not read.

    Args:
        store: Where.
        location: The object.
        marker: Parts with higher numbers only: `PartLengthsPage.next_marker` of the page before, 0 for the first.

    Returns:
        None when the answer is none to this request.

    Raises:
        StoreError: The store refused.
        WireError: The conversation failed.
    """
    headers = {"x-amz-object-attributes": "ETag,ObjectParts", "x-amz-max-parts": str(PAGE_PARTS)}
    if marker:
        headers["x-amz-part-number-marker"] = str(marker)
    try:
        async with store.exchange(Call("GET", location, (("attributes", ""),), headers)) as response:
            if (response.length or 0) > ANSWER_LIMIT_BYTES:
                return None
            body = await response.read(ANSWER_LIMIT_BYTES)
            error = embedded_error(location, body, response.headers)
        if error is None:
            return parse_part_lengths(body)
    except ProtocolError:
        return None
    raise error


def parse_part_lengths(body: bytes) -> PartLengthsPage:
    """Read the answer of GetObjectAttributes.

    Raises:
        ProtocolError: It is another document.
    """
    root = read_tree(body)
    if root.name not in ("GetObjectAttributesResponse", "GetObjectAttributesOutput", "GetObjectAttributesResult"):
        raise ProtocolError(f"expected <GetObjectAttributesResponse>, got <{root.name[:40]}>")
    etag = (root.find_text("ETag") or "").strip('"')
    parts = next(root.every("ObjectParts"), Element("ObjectParts"))
    lengths = {
        parse_count(part.require_text("PartNumber")): parse_count(part.require_text("Size"))
        for part in parts.every("Part")
    }
    if not parse_flag(parts.find_text("IsTruncated")):
        return PartLengthsPage(etag, lengths, None)
    return PartLengthsPage(etag, lengths, parse_count(parts.require_text("NextPartNumberMarker")))
