"""One page of a listing, and the removal of many keys in one request."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from hashlib import md5

from transfer.model.errors import ProtocolError
from transfer.model.locations import S3Location
from transfer.model.objects import ListPage
from transfer.stores.s3.store import Call, S3Store
from transfer.stores.s3.xml import DeleteFailure, build_delete, parse_delete_result, parse_list_page

DELETE_BATCH_KEYS = 1000
"""The most that one DeleteObjects request may name (AWS API reference)."""


async def list_page(
    store: S3Store,
    bucket: str,
    prefix: str,
    *,
    delimiter: str = "",
    start_after: str = "",
    token: str | None = None,
    page_keys: int = 1000,
) -> ListPage:
    """Fetch one page of a bucket's keys (ListObjectsV2).

    Args:
        store: Where.
        bucket: Its name.
        prefix: Only keys that start with it.
        delimiter: Keys that go on beyond it are shown as common prefixes; "" shows all keys.
        start_after: Only keys after it, for the first page.
        token: Where to go on: `ListPage.next_token` of the page before.
        page_keys: At most so many entries, 1000 at most.

    Raises:
        StoreError: The store refused.
        WireError: The conversation failed or its answer is no listing.
    """
    query = [("list-type", "2"), ("encoding-type", "url"), ("max-keys", str(page_keys)), ("prefix", prefix)]
    if delimiter:
        query.append(("delimiter", delimiter))
    if start_after and token is None:
        query.append(("start-after", start_after))
    if token is not None:
        query.append(("continuation-token", token))
    _, body = await store.fetch(Call("GET", S3Location(bucket), query))
    return parse_list_page(body)


async def delete_objects(store: S3Store, bucket: str, keys: Sequence[str]) -> tuple[DeleteFailure, ...]:
    """Remove up to 1000 keys in one request (DeleteObjects).

    Returns:
        Those that the store refused to remove, each with its reason.

    Raises:
        StoreError: The store refused the whole request.
        WireError: The conversation failed or its answer is no result.
    """
    body = build_delete(keys)
    # Many stores still demand Content-MD5 here, though AWS takes any checksum.
    headers = {
        "content-type": "application/xml",
        "content-md5": b64encode(md5(body, usedforsecurity=False).digest()).decode("ascii"),
    }
    _, answer = await store.fetch(Call("POST", S3Location(bucket), (("delete", ""),), headers, body))
    if not answer:
        raise ProtocolError("the store does not say which keys it removed", subject=str(S3Location(bucket)))
    return parse_delete_result(answer)
