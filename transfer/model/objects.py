"""What is known of an object in a store, and the properties a new object is given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import NamedTuple

from transfer.model.checksums import Checksum
from transfer.model.values import dataclass

MTIME_METADATA_KEY = "mtime"
"""User metadata key for the source's modification time in seconds since the epoch; rclone uses the same one."""


def quoted(etag: str) -> str:
    """An ETag as RFC 9110, section 8.8.3 writes it: some stores leave the quotes out of listings, not of answers."""
    return etag if not etag or etag.endswith('"') else f'"{etag}"'


class ListedObject(NamedTuple):
    """One entry of a listing.

    `modified_seconds` is the store's LastModified in seconds since the epoch; 0 when the store did not say, so that no
    age may be concluded from it. `etag` and `storage_class` are "" then.

    A tuple, because a listing makes millions of them and a frozen dataclass takes five times as long to make.
    """

    key: str
    size: int
    etag: str
    modified_seconds: float
    storage_class: str = ""


@dataclass(frozen=True, slots=True)
class CommonPrefix:
    """What a listing by folder shows for all keys that go on below a slash; `prefix` ends in it."""

    prefix: str


@dataclass(frozen=True, slots=True)
class BucketEntry:
    """A bucket of the account; `created_seconds` is in seconds since the epoch."""

    name: str
    created_seconds: float


@dataclass(frozen=True, slots=True)
class ListPage:
    """One page of a listing: objects and common prefixes in the store's order, and how to go on."""

    objects: tuple[ListedObject, ...]
    prefixes: tuple[str, ...]
    next_token: str | None


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """What a HEAD (or the head of a GET) tells of one object.

    Attributes:
        size: In bytes.
        etag: As the store wrote it, quotes included; opaque.
        modified_seconds: LastModified, seconds since the epoch; 0 when the store did not say.
        checksums: Every checksum the store keeps for it.
        metadata: User metadata, keys in lower case without the `x-amz-meta-` prefix.
        part_count: Number of parts when the store said, else None.
        tag_count: Number of tags; None when a store would not say that there are none.
    """

    size: int
    etag: str
    modified_seconds: float = 0.0
    version_id: str | None = None
    content_type: str | None = None
    cache_control: str | None = None
    content_disposition: str | None = None
    content_encoding: str | None = None
    content_language: str | None = None
    expires: str | None = None
    storage_class: str | None = None
    encryption: str | None = None
    encryption_key_id: str | None = None
    checksums: tuple[Checksum, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    part_count: int | None = None
    tag_count: int | None = None


@dataclass(frozen=True, slots=True)
class ObjectProperties:
    """What the user wants a new object to carry; None leaves it to the store (or, for the type, to a guess)."""

    content_type: str | None = None
    cache_control: str | None = None
    content_disposition: str | None = None
    content_encoding: str | None = None
    storage_class: str | None = None
    encryption: str | None = None
    encryption_key_id: str | None = None
    acl: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
