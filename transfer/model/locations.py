"""Where an object may live: a key in a bucket, a local path, or a standard stream; and how each is written.

Locations are plain text to the user and frozen values to us. Parsing never looks at the disk or the network.
"""

from __future__ import annotations

from transfer.model.errors import UsageError
from transfer.model.values import dataclass

S3_SCHEME = "s3://"
_HALF_SCHEME = "s3:/"
WILDCARDS = ("*", "?", "[")
"""A location is a pattern when it holds one of these."""


@dataclass(frozen=True, slots=True)
class S3Location:
    """A bucket and a key, a key prefix or a key pattern in it; `key` is "" for the bucket itself."""

    bucket: str
    key: str = ""

    def __str__(self) -> str:
        return f"{S3_SCHEME}{self.bucket}/{self.key}"

    @property
    def is_folder_like(self) -> bool:
        """Whether the user meant a prefix: the bucket itself or a key ending in a slash."""
        return not self.key or self.key.endswith("/")

    def in_bucket(self, bucket: str) -> S3Location:
        """The same key, another bucket."""
        return S3Location(bucket, self.key)

    def with_key(self, key: str) -> S3Location:
        """The same bucket, another key."""
        return S3Location(self.bucket, key)


@dataclass(frozen=True, slots=True)
class LocalLocation:
    """A path on a local disk, as the user wrote it."""

    path: str

    def __str__(self) -> str:
        return self.path


@dataclass(frozen=True, slots=True)
class StreamLocation:
    """Standard input as a source, standard output as a destination; written `-`."""

    def __str__(self) -> str:
        return "-"


Location = S3Location | LocalLocation | StreamLocation


def parse_location(text: str) -> Location:
    """Read what a user wrote as a source or a destination.

    Args:
        text: `s3://bucket[/key]`, `-`, or a local path.

    Raises:
        UsageError: The text is empty, has no bucket, a bucket with impossible characters, or another scheme.
    """
    if not text:
        raise UsageError("an empty location", remedy="write a path, s3://bucket/key or -")
    if text == "-":
        return StreamLocation()
    if text.lower().startswith(S3_SCHEME):
        return _parse_s3(text)
    if text.lower().startswith(_HALF_SCHEME):
        raise UsageError(
            "a location in a bucket begins with two slashes",
            subject=text,
            remedy=f"did you mean {S3_SCHEME}{text[len(_HALF_SCHEME) :]}? Write ./ before a local path",
        )
    scheme, separator, _ = text.partition("://")
    if separator and scheme.isalnum():
        raise UsageError(
            f"the scheme {scheme}:// is not known",
            subject=text,
            remedy="write s3://bucket/key for an object or ./ before a local path",
        )
    return LocalLocation(text)


def parse_s3_location(text: str) -> S3Location:
    """Read a location that must be in a bucket.

    Raises:
        UsageError: As `parse_location`, or the location is not in a bucket.
    """
    location = parse_location(text)
    if not isinstance(location, S3Location):
        raise UsageError("not a location in a bucket", subject=text, remedy="write s3://bucket/key")
    return location


def has_wildcard(text: str) -> bool:
    """Whether the text holds a wildcard character."""
    return any(character in text for character in WILDCARDS)


def _parse_s3(text: str) -> S3Location:
    bucket, _, key = text[len(S3_SCHEME) :].partition("/")
    if not bucket:
        raise UsageError("no bucket is named", subject=text, remedy="write s3://bucket/key")
    if any(not character.isprintable() or character in "/?#[]@!$&'()*+,;= \\\"<>^`{|}%" for character in bucket):
        raise UsageError(
            "the bucket name has characters that no bucket can have",
            subject=text,
            remedy="wildcards and special characters are allowed in the key only",
        )
    if len(key.encode("utf-8", "surrogateescape")) > 1024:
        raise UsageError("the key is longer than 1024 bytes", subject=f"{text[:60]}...", remedy="shorten the key")
    return S3Location(bucket, key)
