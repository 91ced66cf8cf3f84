"""One page of a listing, and the removal of many keys in one request."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from hashlib import md5
from operator import itemgetter

from transfer.model.errors import OutsidePrefixError, ProtocolError, StoreError
from transfer.model.locations import S3Location
from transfer.model.objects import ListPage
from transfer.stores.s3.store import Call, S3Store
from transfer.stores.s3.xml import DeleteFailure, build_delete, parse_delete_result
from transfer.stores.s3.xml_listing import OlderListingError, parse_list_page, parse_old_list_page

DELETE_BATCH_KEYS = 1000
"""The most that one DeleteObjects request may name (AWS API reference)."""

SHOWN_CHARACTERS = 200
"""Of a key that should not be there; a store may send any length."""

_VERSION_2_UNKNOWN = frozenset({"NotImplemented", "InvalidArgument"})
"""The codes by which stores refuse a parameter they do not know, `list-type` here."""


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

    A store that refuses version 2, or answers version 1 all the same, is asked in version 1 from then on.

    Args:
        store: Where.
        bucket: Its name.
        prefix: Only keys that start with it.
        delimiter: Keys that go on beyond it are shown as common prefixes; "" shows all keys.
        start_after: Only keys after it, for the first page.
        token: Where to go on: `ListPage.next_token` of the page before.
        page_keys: At most so many entries, 1000 at most.

    Raises:
        OutsidePrefixError: A key or common prefix does not start with the prefix.
        StoreError: The store refused.
        WireError: The conversation failed or its answer is no listing.
    """
    query = [("encoding-type", "url"), ("max-keys", str(page_keys)), ("prefix", prefix)]
    if delimiter:
        query.append(("delimiter", delimiter))
    page = await _list_in_either_version(store, bucket, query, start_after, token)
    _refuse_outsiders(page, bucket, prefix)
    return page


async def _list_in_either_version(
    store: S3Store, bucket: str, query: Sequence[tuple[str, str]], start_after: str, token: str | None
) -> ListPage:
    if store.lists_in_version_1:
        return await _list_old_page(store, bucket, query, token or start_after)
    try:
        return await _list_new_page(store, bucket, query, start_after, token)
    except (StoreError, OlderListingError) as error:
        # Beyond the first page version 2 has proved itself, and its token means nothing to version 1.
        if token is not None or (isinstance(error, StoreError) and error.code not in _VERSION_2_UNKNOWN):
            raise
        try:
            page = await _list_old_page(store, bucket, query, start_after)
        except (StoreError, ProtocolError):
            raise error from None
    store.lists_in_version_1 = True
    return page


async def _list_new_page(
    store: S3Store, bucket: str, query: Sequence[tuple[str, str]], start_after: str, token: str | None
) -> ListPage:
    query = [("list-type", "2"), *query]
    if token is not None:
        query.append(("continuation-token", token))
    elif start_after:
        query.append(("start-after", start_after))
    _, body = await store.fetch(Call("GET", S3Location(bucket), query))
    return parse_list_page(body, start_after=start_after if token is None else "")


async def _list_old_page(store: S3Store, bucket: str, query: Sequence[tuple[str, str]], marker: str) -> ListPage:
    if marker:
        query = [*query, ("marker", marker)]
    _, body = await store.fetch(Call("GET", S3Location(bucket), query))
    return parse_old_list_page(body)


def _refuse_outsiders(page: ListPage, bucket: str, prefix: str) -> None:
    if not prefix:
        return
    for names in ([*map(itemgetter(0), page.objects)], page.prefixes):
        # Names that start with a prefix lie side by side in the order of characters, so that the outermost tell of all.
        for name in (min(names), max(names)) if names else ():
            if not name.startswith(prefix):
                raise OutsidePrefixError(
                    f"the store lists what is outside of the prefix: {name[:SHOWN_CHARACTERS]!r}",
                    subject=str(S3Location(bucket, prefix)),
                )


async def delete_objects(
    store: S3Store, bucket: str, keys: Sequence[str], etags: Mapping[str, str] | None = None
) -> tuple[DeleteFailure, ...]:
    """Remove up to 1000 keys in one request (DeleteObjects).

    Args:
        store: Where.
        bucket: Its name.
        keys: Which.
        etags: By key, what must be there for it to be removed (AWS: How to perform conditional deletes).

    Returns:
        Those that the store refused to remove, each with its reason.

    Raises:
        StoreError: The store refused the whole request.
        WireError: The conversation failed or its answer is no result.
    """
    body = build_delete(keys, etags)
    # Many stores still demand Content-MD5 here, though AWS takes any checksum.
    headers = {
        "content-type": "application/xml",
        "content-md5": b64encode(md5(body, usedforsecurity=False).digest()).decode("ascii"),
    }
    _, answer = await store.fetch(Call("POST", S3Location(bucket), (("delete", ""),), headers, body))
    if not answer:
        raise ProtocolError("the store does not say which keys it removed", subject=str(S3Location(bucket)))
    return parse_delete_result(answer)
