"""What a store holds of uploads that nobody has finished: one page of them, one page of their parts.

Each verb is one request, made once. Going from page to page, and what is believed of it, is the caller's.
"""

from __future__ import annotations

from dataclasses import replace

from transfer.model.locations import S3Location
from transfer.stores.s3.multipart import MultipartUpload
from transfer.stores.s3.store import Call, S3Store, http_date_seconds
from transfer.stores.s3.xml import PartsPage, UploadsPage, parse_list_parts, parse_list_uploads

PAGE_ENTRIES = 1000
"""The most that a page holds (AWS API reference); asked for, because some stores would send ten times as many."""


async def list_parts(store: S3Store, upload: MultipartUpload, marker: int) -> PartsPage:
    """Fetch one page of the parts that an upload holds (ListParts).

    Args:
        store: Where.
        upload: The upload.
        marker: Parts with higher numbers only: `PartsPage.next_marker` of the page before, 0 for the first page.

    Raises:
        StoreError: The store refused; NoSuchUpload when it was completed or aborted.
        WireError: The conversation failed or its answer is no list of parts.
    """
    query = [("uploadId", upload.upload_id), ("max-parts", str(PAGE_ENTRIES))]
    if marker:
        query.append(("part-number-marker", str(marker)))
    _, body = await store.fetch(Call("GET", upload.location, query))
    return parse_list_parts(body)


async def list_uploads(
    store: S3Store,
    bucket: str,
    prefix: str,
    key_marker: str | None,
    upload_id_marker: str | None,
    *,
    encoded: bool,
) -> UploadsPage:
    """Fetch one page of a bucket's unfinished uploads (ListMultipartUploads).

    Args:
        store: Where.
        bucket: Its name.
        prefix: Only uploads to keys that start with it.
        key_marker: Where to go on, `UploadsPage.next_key_marker` of the page before.
        upload_id_marker: Where to go on within that key, `UploadsPage.next_upload_id_marker` of the page before.
        encoded: Ask for keys percent-encoded. Every key can be written so, but SeaweedFS says it does and does not;
            otherwise a key with characters that XML lacks makes the answer unreadable or has U+FFFD in their place.

    Returns:
        The page, with the time at which the store says it answered.

    Raises:
        StoreError: The store refused.
        WireError: The conversation failed or its answer is no list of uploads.
    """
    query = [("uploads", ""), ("max-uploads", str(PAGE_ENTRIES)), ("prefix", prefix)]
    if encoded:
        query.append(("encoding-type", "url"))
    if key_marker is not None:
        query.append(("key-marker", key_marker))
    if upload_id_marker is not None:
        query.append(("upload-id-marker", upload_id_marker))
    headers, body = await store.fetch(Call("GET", S3Location(bucket), query))
    return replace(parse_list_uploads(body), answered_seconds=http_date_seconds(headers.get("date")))
