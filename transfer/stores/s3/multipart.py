"""The verbs of multipart uploads: create, send a part, complete, abort. Each is one request, made once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from transfer.model.checksums import Checksum
from transfer.model.locations import S3Location
from transfer.model.values import dataclass
from transfer.stores.s3.objects import Written, written_by, written_from
from transfer.stores.s3.store import Call, S3Store
from transfer.stores.s3.xml import CompletedPart, build_complete, parse_complete, parse_create_upload
from transfer.wire.connection import Body
from transfer.wire.flow import Flow


@dataclass(frozen=True, slots=True)
class MultipartUpload:
    """An upload the store holds parts for; until it is completed or aborted, they cost money and nobody sees them."""

    location: S3Location
    upload_id: str


async def create_upload(store: S3Store, location: S3Location, headers: Mapping[str, str]) -> MultipartUpload:
    """Begin (CreateMultipartUpload).

    Args:
        store: Where.
        location: The object to be.
        headers: Properties, checksum algorithm and type, lower-case names.

    Raises:
        StoreError: The store refused.
        WireError: The conversation failed; an upload that nobody knows of may have been begun.
    """
    _, body = await store.fetch(Call("POST", location, (("uploads", ""),), headers))
    return MultipartUpload(location, parse_create_upload(body))


async def upload_part(
    store: S3Store, upload: MultipartUpload, number: int, body: Body, headers: Mapping[str, str], flow: Flow
) -> Written:
    """Send one part (UploadPart); sending it again replaces it.

    Args:
        store: Where.
        upload: The upload it belongs to.
        number: From 1 to 10,000.
        body: Its bytes.
        headers: Its checksum, lower-case names.
        flow: Counts and paces the body.

    Raises:
        StoreError: The store refused it; BadDigest when the bytes do not match their checksum.
        WireError: The conversation failed.
    """
    query = (("partNumber", str(number)), ("uploadId", upload.upload_id))
    async with store.exchange(Call("PUT", upload.location, query, headers, body), flow) as response:
        return await written_by(response, upload.location)


async def complete_upload(
    store: S3Store, upload: MultipartUpload, parts: Sequence[CompletedPart], headers: Mapping[str, str]
) -> Written:
    """Join the parts into the object (CompleteMultipartUpload); may take minutes.

    Args:
        store: Where.
        upload: The upload.
        parts: All of them, by number.
        headers: Size and checksum of the whole, lower-case names.

    Raises:
        StoreError: The store refused, also when the refusal comes in the body of a 200.
        WireError: The conversation failed; the object may exist all the same.
    """
    query = (("uploadId", upload.upload_id),)
    content = {"content-type": "application/xml", **headers}
    answer, body = await store.fetch(Call("POST", upload.location, query, content, build_complete(parts), patient=True))
    result = parse_complete(body)
    head = written_from(answer)
    return Written(result.etag or head.etag, head.version_id, _unique(result.checksums + head.checksums))


async def abort_upload(store: S3Store, upload: MultipartUpload) -> None:
    """Give the upload up and free its parts (AbortMultipartUpload).

    Raises:
        StoreError: The store refused; NoSuchUpload when it is gone already.
        WireError: The conversation failed.
    """
    await store.fetch(Call("DELETE", upload.location, (("uploadId", upload.upload_id),)))


def _unique(checksums: tuple[Checksum, ...]) -> tuple[Checksum, ...]:
    return tuple(dict.fromkeys(checksums))
