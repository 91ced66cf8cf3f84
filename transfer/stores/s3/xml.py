"""The XML of S3: what answers mean and how requests are written. Pure: bytes to values and back, no I/O.

Every `parse_*` gives a value or raises `ProtocolError`, never another exception, whatever the bytes. Reading
itself, with its bounds, is in `xml_reader`; the hot listing page is in `xml_listing`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import repeat

from transfer.model.checksums import Checksum, ChecksumAlgorithm, ChecksumType
from transfer.model.errors import ProtocolError, UsageError
from transfer.model.values import dataclass
from transfer.stores.s3.xml_listing import parse_list_page
from transfer.stores.s3.xml_reader import (
    Element,
    choose_key_decoder,
    find_root_name,
    parse_count,
    parse_flag,
    parse_time,
    read_tree,
)

__all__ = [
    "CompleteResult",
    "CompletedPart",
    "CopyResult",
    "DeleteFailure",
    "ErrorBody",
    "PartsPage",
    "PendingUpload",
    "UploadedPart",
    "UploadsPage",
    "build_complete",
    "build_delete",
    "parse_complete",
    "parse_copy_result",
    "parse_create_upload",
    "parse_delete_result",
    "parse_error",
    "parse_list_page",
    "parse_list_parts",
    "parse_list_uploads",
    "split_deletable",
]

_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
_CHECKSUM_ELEMENTS = {f"Checksum{algorithm.name}": algorithm for algorithm in ChecksumAlgorithm if algorithm.is_stored}
# XML 1.0, section 2.2: these characters are no part of a document, not even as a character reference. A carriage
# return is one, but a store that writes it raw in its answer names another key: parsers read a line feed (2.11).
_uncarriable = re.compile("[\x00-\x08\x0b-\x1f\ud800-\udfff\ufffe\uffff]").search
_is_form_encoded = re.compile("(?:[!-$&-~]|%[0-9A-Fa-f]{2})*").fullmatch
# Some parsers drop blanks at the ends.
_ESCAPED = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\t": "&#9;", "\n": "&#10;"})


@dataclass(frozen=True, slots=True)
class ErrorBody:
    """An `<Error>` document; "" or None for what the store did not say."""

    code: str
    message: str
    request_id: str
    region: str | None
    endpoint: str | None
    bucket: str | None


@dataclass(frozen=True, slots=True)
class CompletedPart:
    """A part as CompleteMultipartUpload names it; the checksum is the one it was uploaded with, if any."""

    number: int
    etag: str
    checksum: Checksum | None = None


@dataclass(frozen=True, slots=True)
class CompleteResult:
    """What became of a multipart upload: the ETag as written and the checksums of the whole object.

    Attributes:
        checksum_type: The type when the store named one; else the form of each checksum tells it.
    """

    etag: str
    checksums: tuple[Checksum, ...]
    checksum_type: ChecksumType | None


@dataclass(frozen=True, slots=True)
class CopyResult:
    """The outcome of CopyObject or UploadPartCopy; `modified_seconds` since the epoch, 0 when not said."""

    etag: str
    modified_seconds: float
    checksums: tuple[Checksum, ...]


@dataclass(frozen=True, slots=True)
class DeleteFailure:
    """A key that DeleteObjects could not delete."""

    key: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class UploadedPart:
    """A part that an unfinished upload holds; `size` in bytes, the ETag as written, checksums where they are told."""

    number: int
    etag: str
    size: int
    checksums: tuple[Checksum, ...] = ()


@dataclass(frozen=True, slots=True)
class PartsPage:
    """One page of ListParts; `next_marker` asks for the next one, None on the last."""

    parts: tuple[UploadedPart, ...]
    next_marker: int | None


@dataclass(frozen=True, slots=True)
class PendingUpload:
    """An unfinished multipart upload; `initiated_seconds` since the epoch, 0 when not said."""

    key: str
    upload_id: str
    initiated_seconds: float


@dataclass(frozen=True, slots=True)
class UploadsPage:
    """One page of ListMultipartUploads.

    Attributes:
        next_key_marker: With `next_upload_id_marker` it asks for the next page; both are None on the last one, and
            SeaweedFS names the upload id alone.
        answered_seconds: The store's clock when it answered, in seconds since the epoch; None when it did not say.
    """

    uploads: tuple[PendingUpload, ...]
    next_key_marker: str | None
    next_upload_id_marker: str | None
    answered_seconds: float | None = None


def parse_error(body: bytes) -> ErrorBody | None:
    """Read an error; None when the body is no `<Error>` document, XML or not. Never raises.

    To be asked before `parse_complete`, `parse_copy_result` and `parse_delete_result` too: those verbs may
    report an error in the body of a 200 (AWS: CompleteMultipartUpload, CopyObject). Costs next to nothing when the
    body is another document, however long.
    """
    if find_root_name(body) != "Error":
        return None
    try:
        root = read_tree(body)
    except ProtocolError:
        return None
    fields = {child.name: child.text.strip() for child in root.children if not child.children}
    return ErrorBody(
        code=fields.get("Code", ""),
        message=fields.get("Message", ""),
        request_id=fields.get("RequestId", ""),
        region=fields.get("Region") or None,
        endpoint=fields.get("Endpoint") or None,
        bucket=fields.get("Bucket") or fields.get("BucketName") or None,
    )


def parse_create_upload(body: bytes) -> str:
    """Read the upload id that CreateMultipartUpload answers with; rclone's server names its root without Result."""
    return _read(body, "InitiateMultipartUploadResult", "InitiateMultipartUpload").require_text("UploadId")


def parse_complete(body: bytes) -> CompleteResult:
    """Read the answer of CompleteMultipartUpload; an `<Error>` in its place is a `ProtocolError`."""
    root = _read(body, "CompleteMultipartUploadResult")
    return CompleteResult(root.require_text("ETag"), _read_checksums(root), _read_checksum_type(root))


def parse_copy_result(body: bytes) -> CopyResult:
    """Read the answer of CopyObject or UploadPartCopy; an `<Error>` in its place is a `ProtocolError`."""
    root = _read(body, "CopyObjectResult", "CopyPartResult")
    modified = parse_time(root.find_text("LastModified"))
    return CopyResult(root.require_text("ETag"), modified, _read_checksums(root))


def parse_delete_result(body: bytes) -> tuple[DeleteFailure, ...]:
    """Read the failures that DeleteObjects answers with; empty when every key is gone."""
    root = _read(body, "DeleteResult")
    return tuple(
        DeleteFailure(
            key=failure.require_text("Key"),
            code=failure.find_text("Code") or "",
            message=failure.find_text("Message") or "",
        )
        for failure in root.every("Error")
    )


def parse_list_parts(body: bytes) -> PartsPage:
    """Read a page of ListParts; moto names its root by the request."""
    root = _read(body, "ListPartsResult", "ListPartsResponse")
    parts = tuple(
        UploadedPart(
            number=parse_count(part.require_text("PartNumber")),
            etag=part.require_text("ETag"),
            size=parse_count(part.require_text("Size")),
            checksums=_read_checksums(part),
        )
        for part in root.every("Part")
    )
    if not parse_flag(root.find_text("IsTruncated")):
        return PartsPage(parts, None)
    return PartsPage(parts, parse_count(root.require_text("NextPartNumberMarker")))


def parse_list_uploads(body: bytes) -> UploadsPage:
    """Read a page of ListMultipartUploads.

    Keys are decoded as `EncodingType` says, unless one of them cannot be encoded so: SeaweedFS says `url` here and
    writes keys as they are.
    """
    root = _read(body, "ListMultipartUploadsResult")
    decode = choose_key_decoder(root.find_text("EncodingType"))
    if not all(_is_form_encoded(upload.require_text("Key")) for upload in root.every("Upload")):
        decode = str
    uploads = tuple(
        PendingUpload(
            key=decode(upload.require_text("Key")),
            upload_id=upload.require_text("UploadId"),
            initiated_seconds=parse_time(upload.find_text("Initiated")),
        )
        for upload in root.every("Upload")
    )
    if not parse_flag(root.find_text("IsTruncated")):
        return UploadsPage(uploads, None, None)
    key_marker = decode(root.find_text("NextKeyMarker") or "") or None
    upload_id_marker = root.find_text("NextUploadIdMarker") or None
    if key_marker is None and upload_id_marker is None:
        raise ProtocolError("a list of uploads goes on, but nothing says where")
    return UploadsPage(uploads, key_marker, upload_id_marker)


def build_complete(parts: Sequence[CompletedPart]) -> bytes:
    """Write the body of CompleteMultipartUpload.

    Args:
        parts: Every part, in ascending order of number (AWS refuses another order).
    """
    items = "".join(
        f"<Part>{_format_checksum(part.checksum)}<ETag>{part.etag.translate(_ESCAPED)}</ETag>"
        f"<PartNumber>{part.number}</PartNumber></Part>"
        for part in parts
    )
    return _format_document("CompleteMultipartUpload", items)


def split_deletable(keys: Iterable[str]) -> tuple[list[str], list[str]]:
    """Tell the keys that DeleteObjects can name, and its answer too, from those that XML 1.0 does not carry safely.

    Returns:
        The keys for `build_delete`, and those to delete one by one; each list in the order given.

    Raises:
        UsageError: A key is empty: a DELETE of that name would address the bucket.
    """
    batch = list(keys)
    if not all(batch):
        raise UsageError("an empty key cannot be deleted")
    # One look at all of them: that a key cannot be carried is rare.
    if not _uncarriable("".join(batch)):
        return batch, []
    return [key for key in batch if not _uncarriable(key)], [key for key in batch if _uncarriable(key)]


def build_delete(keys: Sequence[str], etags: Mapping[str, str] | None = None, *, quiet: bool = True) -> bytes:
    """Write the body of DeleteObjects.

    Args:
        keys: At most 1,000 (AWS: DeleteObjects), as `split_deletable` lets through.
        etags: By key, the ETag that an object must have to be removed.
        quiet: Whether the store answers with failures only.

    Raises:
        UsageError: A key is empty or not one that XML 1.0 carries safely.
    """
    _, single = split_deletable(keys)
    if single:
        raise UsageError("the key has characters that XML cannot carry", subject=ascii(single[0]))
    # Escaped together: a zero, which no key has here, stands between them.
    names = "\0".join(keys).translate(_ESCAPED).split("\0") if keys else []
    conditions = [_format_etag(etags, key) for key in keys] if etags else repeat("", len(keys))
    items = "".join([f"<Object><Key>{name}</Key>{etag}</Object>" for name, etag in zip(names, conditions, strict=True)])
    return _format_document("Delete", f"<Quiet>true</Quiet>{items}" if quiet else items)


def _read(body: bytes, *roots: str) -> Element:
    root = read_tree(body)
    if root.name not in roots:
        raise ProtocolError(f"expected <{roots[0]}>, got <{root.name[:40]}>")
    return root


def _read_checksums(root: Element) -> tuple[Checksum, ...]:
    stated = _read_checksum_type(root)
    found = []
    for name, algorithm in _CHECKSUM_ELEMENTS.items():
        value = (root.find_text(name) or "").strip()
        if value:
            # The count of parts marks a composite; base64 has no dash.
            told = ChecksumType.COMPOSITE if "-" in value else ChecksumType.FULL_OBJECT
            found.append(Checksum(algorithm, value, stated or told))
    return tuple(found)


def _read_checksum_type(root: Element) -> ChecksumType | None:
    text = (root.find_text("ChecksumType") or "").strip()
    if not text:
        return None
    try:
        return ChecksumType(text)
    except ValueError as error:
        raise ProtocolError(f"an unknown checksum type: {text[:40]!a}") from error


def _format_etag(etags: Mapping[str, str], key: str) -> str:
    etag = etags.get(key)
    return f"<ETag>{etag.translate(_ESCAPED)}</ETag>" if etag else ""


def _format_checksum(checksum: Checksum | None) -> str:
    if checksum is None or not checksum.algorithm.is_stored:
        return ""
    name = f"Checksum{checksum.algorithm.name}"
    return f"<{name}>{checksum.value.translate(_ESCAPED)}</{name}>"


def _format_document(root: str, items: str) -> bytes:
    return f'<?xml version="1.0" encoding="UTF-8"?><{root} xmlns="{_NAMESPACE}">{items}</{root}>'.encode()
