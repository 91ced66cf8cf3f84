"""The properties of a new object as request headers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import urlencode

from transfer.model.errors import UsageError
from transfer.model.objects import MTIME_METADATA_KEY, ObjectInfo, ObjectProperties

_NANOSECONDS = 1_000_000_000
_NONE = ObjectProperties()
_MTIME_HEADER = f"x-amz-meta-{MTIME_METADATA_KEY}"
_NAME_REMEDY = "use letters, digits and - in the key"
_VALUE_REMEDY = "use printable ASCII characters only"
# RFC 9110, section 5.6.2.
_header_token = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+").fullmatch


def property_headers(properties: ObjectProperties, content_type: str | None, mtime_ns: int | None) -> dict[str, str]:
    """Write what a new object is given as headers, lower-case names.

    Args:
        properties: What the user wants.
        content_type: What was guessed for it, used when the user said nothing.
        mtime_ns: The source's modification time, kept as rclone keeps it, unless the user set that key.

    Raises:
        UsageError: A value, or the name of a metadata key, cannot be sent in a header; tags can hold anything.
    """
    if properties == _NONE:
        # Nearly every object of a large tree: nothing in these headers comes from a user.
        headers = {} if content_type is None else {"content-type": content_type}
        if mtime_ns is not None:
            headers[_MTIME_HEADER] = format_mtime(mtime_ns)
        return headers
    metadata = dict(properties.metadata)
    if mtime_ns is not None:
        metadata.setdefault(MTIME_METADATA_KEY, format_mtime(mtime_ns))
    plain = {
        "content-type": properties.content_type or content_type,
        "cache-control": properties.cache_control,
        "content-disposition": properties.content_disposition,
        "content-encoding": properties.content_encoding,
        "x-amz-storage-class": properties.storage_class,
        "x-amz-server-side-encryption": properties.encryption,
        "x-amz-server-side-encryption-aws-kms-key-id": properties.encryption_key_id,
        "x-amz-acl": properties.acl,
        **tagging_header(properties.tags),
    }
    for key in metadata:
        if not _header_token(key):
            raise UsageError("it is no header name", subject=f"metadata key {key!a}", remedy=_NAME_REMEDY)
    headers = {name: value for name, value in plain.items() if value is not None}
    headers.update({f"x-amz-meta-{key.lower()}": value for key, value in metadata.items()})
    for name, value in headers.items():
        if not (value.isascii() and value.isprintable()):
            raise UsageError(f"{value[:40]!a} cannot be sent in a header", subject=name, remedy=_VALUE_REMEDY)
    return headers


def tagging_header(tags: Mapping[str, str]) -> dict[str, str]:
    """The header that gives a new object its tags; none without any."""
    return {"x-amz-tagging": urlencode(tags)} if tags else {}


def kept_headers(info: ObjectInfo) -> dict[str, str]:
    """The metadata and content headers of an object as those of a copy of it, lower-case names.

    What a copy has of its own is not among them: storage class, encryption, ACL, tags (AWS: CopyObject).
    """
    plain = {
        "content-type": info.content_type,
        "cache-control": info.cache_control,
        "content-disposition": info.content_disposition,
        "content-encoding": info.content_encoding,
        "content-language": info.content_language,
        "expires": info.expires,
    }
    headers = {name: value for name, value in plain.items() if value is not None}
    headers.update({f"x-amz-meta-{key}": value for key, value in info.metadata.items()})
    return headers


def format_mtime(mtime_ns: int) -> str:
    """Seconds since the epoch with nanoseconds, as rclone writes them into the metadata key `mtime`."""
    sign = "-" if mtime_ns < 0 else ""
    seconds, nanoseconds = divmod(abs(mtime_ns), _NANOSECONDS)
    fraction = f"{nanoseconds:09d}".rstrip("0")
    return f"{sign}{seconds}.{fraction}" if fraction else f"{sign}{seconds}"


def parse_mtime(text: str) -> int | None:
    """Nanoseconds since the epoch from what `format_mtime` or rclone wrote; None when it is no such number."""
    whole, _, fraction = text.strip().removeprefix("-").partition(".")
    if not whole.isdecimal() or len(whole) > 12 or (fraction and not fraction.isdecimal()):
        return None
    nanoseconds = int(whole) * _NANOSECONDS + int(fraction[:9].ljust(9, "0") or "0")
    return -nanoseconds if text.strip().startswith("-") else nanoseconds
