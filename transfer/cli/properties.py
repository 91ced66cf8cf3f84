"""Reads what `cp` is told of the new objects: metadata, tags and headers. Pure: text in, checked values out."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from enum import StrEnum

from transfer.model.errors import UsageError

_HEADER_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""RFC 9110, section 5.6.2."""

MAX_TAGS = 10
MAX_TAG_KEY_CHARACTERS = 128
MAX_TAG_VALUE_CHARACTERS = 256
"""AWS: Categorizing your objects using tags."""


class CannedAcl(StrEnum):
    """AWS: Access control list overview, canned ACL."""

    PRIVATE = "private"
    PUBLIC_READ = "public-read"
    PUBLIC_READ_WRITE = "public-read-write"
    AUTHENTICATED_READ = "authenticated-read"
    AWS_EXEC_READ = "aws-exec-read"
    BUCKET_OWNER_READ = "bucket-owner-read"
    BUCKET_OWNER_FULL_CONTROL = "bucket-owner-full-control"
    LOG_DELIVERY_WRITE = "log-delivery-write"


class Encryption(StrEnum):
    """With whose keys the store encrypts."""

    AES256 = "AES256"
    AWS_KMS = "aws:kms"


def parse_metadata(pairs: Sequence[str]) -> Mapping[str, str]:
    """Read `--metadata` pairs.

    Returns:
        Keys in lower case, as S3 keeps them; values without surrounding blanks, which HTTP does not keep.

    Raises:
        UsageError: A pair is not `key=value`, a key is no header token or given twice, a value is not ASCII.
    """
    found: dict[str, str] = {}
    for pair in pairs:
        key, value = _split(pair, "--metadata")
        if not _HEADER_TOKEN.fullmatch(key):
            raise UsageError(
                f"{pair!r}: the key {key!r} is no header name",
                subject="--metadata",
                remedy="use letters, digits and - in the key",
            )
        _add(found, key.lower(), header_value("--metadata", value), "--metadata")
    return found


def parse_tags(pairs: Sequence[str]) -> Mapping[str, str]:
    """Read `--tag` pairs.

    Raises:
        UsageError: A pair is not `key=value`, a key is given twice, or AWS's limits are passed.
    """
    found: dict[str, str] = {}
    for pair in pairs:
        key, value = _split(pair, "--tag")
        if len(key) > MAX_TAG_KEY_CHARACTERS or len(value) > MAX_TAG_VALUE_CHARACTERS:
            raise UsageError(
                f"{pair[:40]!r}... is too long",
                subject="--tag",
                remedy=f"keys have at most {MAX_TAG_KEY_CHARACTERS}, values {MAX_TAG_VALUE_CHARACTERS} characters",
            )
        _add(found, key, value, "--tag")
    if len(found) > MAX_TAGS:
        raise UsageError(
            f"{len(found)} tags were given", subject="--tag", remedy=f"an object has at most {MAX_TAGS} tags"
        )
    return found


def header_value(option: str, value: str) -> str:
    """Check a text that becomes a header's value.

    Raises:
        UsageError: A character cannot travel in a header: a control character or one outside ASCII.
    """
    if value.isascii() and value.isprintable():
        return value.strip()
    raise UsageError(
        f"{value!r} cannot be sent in a header", subject=option, remedy="use printable ASCII characters only"
    )


def optional_header_value(option: str, value: str | None) -> str | None:
    """As `header_value`; None stays None."""
    return None if value is None else header_value(option, value)


def _split(pair: str, option: str) -> tuple[str, str]:
    key, separator, value = pair.partition("=")
    if not separator or not key:
        raise UsageError(f"{pair!r} is not key=value", subject=option, remedy=f"write {option} key=value")
    return key, value


def _add(found: dict[str, str], key: str, value: str, option: str) -> None:
    if key in found:
        raise UsageError(f"{key!r} is given twice", subject=option, remedy="give each key once")
    found[key] = value
