"""The verbs by which a store copies by itself: a whole object, or a range of one as a part of an upload.

Each is one request, made once. No byte of the object comes here, so nothing here can tell whether it was copied right.
"""

from __future__ import annotations

from collections.abc import Mapping

from transfer.model.locations import S3Location
from transfer.model.ranges import ByteRange
from transfer.model.receipts import Mover
from transfer.model.values import dataclass
from transfer.stores.s3.multipart import MultipartUpload
from transfer.stores.s3.objects import Written, written_from
from transfer.stores.s3.store import Call, S3Store
from transfer.stores.s3.uri import encode_key, encode_query
from transfer.stores.s3.xml import parse_copy_result


@dataclass(frozen=True, slots=True)
class CopySource:
    """The object that is copied.

    Attributes:
        etag: What it must have, "" when any will do.
        version_id: Which of its versions; None for the newest.
    """

    location: S3Location
    etag: str = ""
    version_id: str | None = None

    def headers(self) -> dict[str, str]:
        """How a request names it (AWS: CopyObject, `x-amz-copy-source`): encoded as in the path of a request.

        Raises:
            UsageError: The key has no UTF-8 form.
        """
        query = "" if self.version_id is None else f"?{encode_query((('versionId', self.version_id),))}"
        named = {"x-amz-copy-source": f"/{self.location.bucket}/{encode_key(self.location.key)}{query}"}
        return {**named, "x-amz-copy-source-if-match": self.etag} if self.etag else named


async def copy_object(
    store: S3Store, source: CopySource, destination: S3Location, headers: Mapping[str, str]
) -> Written:
    """Copy a whole object of up to 5 GiB (CopyObject); may take minutes.

    Args:
        store: Where both are.
        source: What.
        destination: The object to be.
        headers: Directives and new properties, lower-case names.

    Raises:
        StoreError: The store refused, also when the refusal comes in the body of a 200; PreconditionFailed when the
            source is another one now.
        ProtocolError: The answer names no ETag: whatever answered did not copy an object.
        WireError: The conversation failed; the copy may exist all the same.
    """
    call = Call("PUT", destination, (), {**headers, **source.headers()}, patient=True)
    return await _fetch(store, call)


async def copy_part(store: S3Store, upload: MultipartUpload, source: CopySource, wanted: ByteRange) -> Written:
    """Copy a range of an object into a part (UploadPartCopy); doing it again replaces the part.

    Args:
        store: Where both are.
        upload: The upload it belongs to.
        source: The whole object.
        wanted: Which bytes; its number is that of the part.

    Raises:
        StoreError: As `copy_object`.
        ProtocolError: As `copy_object`.
        WireError: The conversation failed.
    """
    query = (("partNumber", str(wanted.number)), ("uploadId", upload.upload_id))
    headers = {**source.headers(), "x-amz-copy-source-range": wanted.http_range()}
    return await _fetch(store, Call("PUT", upload.location, query, headers, patient=True))


async def _fetch(store: S3Store, call: Call) -> Written:
    answer, body = await store.fetch(call)
    result = parse_copy_result(body)
    head = written_from(answer)
    checksums = tuple(dict.fromkeys(result.checksums + head.checksums))
    return Written(_quoted(result.etag), head.version_id, checksums, Mover.SERVER)


def _quoted(etag: str) -> str:
    """An ETag as HTTP writes it; some stores leave out its quotes in a document."""
    return etag if etag.startswith('"') else f'"{etag}"'
