"""The verbs on single objects: put, get, head, delete. Each is one request, made once."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Final

from transfer.integrity.verification import checksums_from_headers
from transfer.model.checksums import Checksum
from transfer.model.errors import ProtocolError, StoreError
from transfer.model.locations import S3Location
from transfer.model.objects import ObjectInfo, quoted
from transfer.model.ranges import ByteRange
from transfer.model.receipts import Mover
from transfer.model.values import dataclass
from transfer.plan.remedies import remedy_of
from transfer.stores.s3.store import Call, S3Store, embedded_error, http_date_seconds
from transfer.wire.connection import Body, Response
from transfer.wire.flow import Flow

_METADATA_PREFIX: Final = "x-amz-meta-"
_CHECKSUM_MODE: Final = {"x-amz-checksum-mode": "ENABLED"}


@dataclass(frozen=True, slots=True)
class Written:
    """What the store says of an object or part it has just taken, and what carried it there."""

    etag: str
    version_id: str | None
    checksums: tuple[Checksum, ...]
    mover: Mover = Mover.NONE


async def put_object(
    store: S3Store, location: S3Location, body: Body, headers: Mapping[str, str], flow: Flow
) -> Written:
    """Write a whole object (PutObject).

    Args:
        store: Where.
        location: The object.
        body: Its bytes.
        headers: Properties and checksums, lower-case names.
        flow: Counts and paces the body.

    Raises:
        StoreError: The store refused it; BadDigest when the bytes do not match their checksum.
        WireError: The conversation failed.
    """
    async with store.exchange(Call("PUT", location, (), headers, body), flow) as response:
        return await written_by(response, location)


async def head_object(store: S3Store, location: S3Location, etag: str = "") -> ObjectInfo:
    """Ask what is known of an object (HeadObject), stored checksums included.

    The answer to a HEAD has no body, so the reason of a refusal is asked for by a second request.

    Args:
        store: Where.
        location: The object.
        etag: The version that is meant; "" takes any.

    Raises:
        StoreError: There is no such object or bucket, or no access to it.
        WireError: The conversation failed.
    """
    try:
        condition = {"if-match": etag} if etag else {}
        async with store.exchange(Call("HEAD", location, (), {**_CHECKSUM_MODE, **condition})) as response:
            return object_info(response.headers, length_of(response.headers))
    except StoreError as error:
        if error.status == 404:
            raise await _name_what_is_missing(store, location, error) from error
        if error.status in (400, 403) and error.region is None:
            raise await _ask_reason(store, location, error) from error
        raise


async def head_part(store: S3Store, location: S3Location, part_number: int, etag: str) -> int:
    """The size in bytes of one part of a multipart object (HeadObject with partNumber).

    Raises:
        StoreError: The store does not know parts, or the object changed.
        WireError: The conversation failed.
    """
    call = Call("HEAD", location, (("partNumber", str(part_number)),), {"if-match": etag})
    async with store.exchange(call) as response:
        return length_of(response.headers)


@dataclass(frozen=True, slots=True)
class Wanted:
    """The version of an object that is meant, and which of its bytes.

    Attributes:
        etag: What it must have, "" when it is not known.
        size: Of the whole object, in bytes.
        range: Which bytes; None for all of them.
    """

    location: S3Location
    etag: str
    size: int
    range: ByteRange | None = None


class Opened:
    """An object, or a range of it, that is being read. A class, as `Answered` is one."""

    __slots__ = ("_answered", "_wanted")

    def __init__(self, answered: AbstractAsyncContextManager[Response], wanted: Wanted) -> None:
        self._answered = answered
        self._wanted = wanted

    async def __aenter__(self) -> Response:
        response = await self._answered.__aenter__()
        try:
            require_version(response.status, response.headers, self._wanted)
        except BaseException as error:
            await self._answered.__aexit__(type(error), error, None)
            raise
        return response

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._answered.__aexit__(kind, error, traceback)


def get_object(store: S3Store, wanted: Wanted) -> Opened:
    """Open an object, or a range of it, for reading (GetObject): for `async with`.

    The store is asked for that version alone (If-Match), and its answer is checked against it as well, since some
    stores do not look at the condition.

    Raises:
        StoreError: As for any request; PreconditionFailed when the object is another one now.
        ProtocolError: The answer is for another range than was asked for.
        WireError: The conversation failed.
    """
    return Opened(store.exchange(get_call(wanted)), wanted)


def get_call(wanted: Wanted) -> Call:
    """The request of `get_object`; `require_version` is to be asked of its answer."""
    headers = dict(_CHECKSUM_MODE)
    if wanted.etag:
        headers["if-match"] = wanted.etag
    if wanted.range is not None:
        headers["range"] = wanted.range.http_range()
    return Call("GET", wanted.location, (), headers)


async def delete_object(store: S3Store, location: S3Location, etag: str = "") -> None:
    """Remove an object (DeleteObject); removing what does not exist succeeds, as in S3.

    Args:
        store: Where.
        location: The object.
        etag: What must be there; "" takes anything. Not all stores look at it.

    Raises:
        StoreError: The store refused; PreconditionFailed when another object is there.
        WireError: The conversation failed.
    """
    await store.fetch(Call("DELETE", location, (), {"if-match": etag} if etag else {}))


async def written_by(response: Response, location: S3Location) -> Written:
    """Read the answer to a write to its end.

    Raises:
        StoreError: The body of the success is an error document.
        ProtocolError: There is no ETag: whatever answered did not store an object.
    """
    body = await response.read()
    return written_from_answer(location, response.headers, body, response.sent_by)


def written_from_answer(location: S3Location, headers: Mapping[str, str], body: bytes, mover: Mover) -> Written:
    """Read a whole answer to a write; raises as `written_by`, but for the conversation."""
    error = embedded_error(location, body, headers)
    if error is not None:
        raise error
    if not headers.get("etag"):
        raise ProtocolError(
            "the answer names no ETag, so nothing shows that the object was stored",
            subject=str(location),
            remedy="check that the endpoint is an S3 store",
        )
    return written_from(headers, mover)


def written_from(headers: Mapping[str, str], mover: Mover = Mover.NONE) -> Written:
    """Read the head of the answer to a write."""
    return Written(quoted(headers.get("etag", "")), _version_of(headers), checksums_from_headers(headers), mover)


def object_info(headers: Mapping[str, str], size: int) -> ObjectInfo:
    """Read the head of the answer to HEAD or to a GET of the whole object."""
    metadata = {
        name.removeprefix(_METADATA_PREFIX): value
        for name, value in headers.items()
        if name.startswith(_METADATA_PREFIX)
    }
    part_count = headers.get("x-amz-mp-parts-count", "")
    tag_count = headers.get("x-amz-tagging-count", "")
    customer_key = headers.get("x-amz-server-side-encryption-customer-algorithm")
    return ObjectInfo(
        size=size,
        etag=quoted(headers.get("etag", "")),
        modified_seconds=http_date_seconds(headers.get("last-modified")) or 0.0,
        version_id=_version_of(headers),
        content_type=headers.get("content-type"),
        cache_control=headers.get("cache-control"),
        content_disposition=headers.get("content-disposition"),
        content_encoding=headers.get("content-encoding"),
        content_language=headers.get("content-language"),
        expires=headers.get("expires"),
        storage_class=headers.get("x-amz-storage-class"),
        encryption=f"SSE-C {customer_key}" if customer_key else headers.get("x-amz-server-side-encryption"),
        encryption_key_id=headers.get("x-amz-server-side-encryption-aws-kms-key-id"),
        checksums=checksums_from_headers(headers),
        metadata=metadata,
        part_count=int(part_count) if part_count.isdecimal() and len(part_count) < 9 else None,
        tag_count=int(tag_count) if tag_count.isdecimal() and len(tag_count) < 9 else None,
    )


def length_of(headers: Mapping[str, str]) -> int:
    """The Content-Length of an answer that must have one.

    Raises:
        ProtocolError: It has none.
    """
    text = headers.get("content-length", "")
    if not text.isdecimal() or len(text) > 18:
        raise ProtocolError("the answer does not tell the object's size")
    return int(text)


def _version_of(headers: Mapping[str, str]) -> str | None:
    version = headers.get("x-amz-version-id")
    return None if version in (None, "", "null") else version


def require_version(status: int, headers: Mapping[str, str], wanted: Wanted) -> None:
    """Refuse an answer from another version of the object, or for another range (RFC 9110, section 14.4).

    Raises:
        StoreError: PreconditionFailed, as the store itself would say.
        ProtocolError: It is another range.
    """
    etag = quoted(headers.get("etag", ""))
    total = str(wanted.size)
    if wanted.range is not None:
        answered, _, told = headers.get("content-range", "").partition("/")
        # Some stores say 200 with it; whoever sends the whole object instead does not.
        if status not in (200, 206) or answered != f"bytes {wanted.range.offset}-{wanted.range.end - 1}":
            message = "the store answered with another range than was asked for"
            raise ProtocolError(message, subject=str(wanted.location))
        total = told if told != "*" else total
    if (wanted.etag and etag and etag != wanted.etag) or total != str(wanted.size):
        error = StoreError(
            "the object changed while it was read", status=412, code="PreconditionFailed", subject=str(wanted.location)
        )
        error.remedy = remedy_of(error)
        raise error


async def _name_what_is_missing(store: S3Store, location: S3Location, error: StoreError) -> StoreError:
    """Say whether it is the key or the whole bucket that does not exist."""
    try:
        async with store.exchange(Call("HEAD", S3Location(location.bucket))):
            code, message = "NoSuchKey", "there is no such object"
    except StoreError as answer:
        if answer.status != 404:
            return error
        code, message = "NoSuchBucket", "there is no such bucket"
    found = StoreError(message, status=404, code=code, subject=str(location), request_id=error.request_id)
    found.remedy = remedy_of(found)
    return found


async def _ask_reason(store: S3Store, location: S3Location, error: StoreError) -> StoreError:
    """Repeat a refused HEAD as a GET of one byte: its answer has a body that tells the reason."""
    try:
        async with store.exchange(Call("GET", location, (), {"range": "bytes=0-0"})):
            return error
    except StoreError as answer:
        return answer
