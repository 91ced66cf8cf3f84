"""What a run leaves for the next one: jobs, and the items they have not finished. Values alone.

Nothing here may hold a secret: all of it is written to disk as it is.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from enum import StrEnum

from transfer.model.values import dataclass


class Direction(StrEnum):
    """Which way an item moves."""

    UPLOAD = "upload"
    DOWNLOAD = "download"
    COPY = "copy"


@dataclass(frozen=True, slots=True)
class JobDescription:
    """A request as it was made; the same request is the same job.

    Attributes:
        endpoint: The store it goes to.
        sources: Absolute paths and `s3://` locations.
        destination: The same.
        choices: Options that change what arrives, as pairs of name and value.
        command: The command line after the program's name; empty for jobs of Python programs.
        folder: Where the command was given: its relative paths start there.
        environment: Variables that chose the endpoint, the profile and the region.
    """

    endpoint: str
    sources: tuple[str, ...]
    destination: str
    choices: tuple[tuple[str, str], ...] = ()
    command: tuple[str, ...] = ()
    folder: str = ""
    environment: tuple[tuple[str, str], ...] = ()

    @property
    def signature(self) -> str:
        """What tells two requests apart, whatever way they were written."""
        meant = (self.endpoint, self.sources, self.destination, self.choices)
        return hashlib.sha256(json.dumps(meant).encode()).hexdigest()

    def to_json(self) -> str:
        """Write it down."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> JobDescription:
        """Read what `to_json` wrote.

        Raises:
            ValueError: The text is damaged.
        """
        try:
            found = json.loads(text)
            return cls(
                endpoint=str(found["endpoint"]),
                sources=tuple(map(str, found["sources"])),
                destination=str(found["destination"]),
                choices=tuple((str(name), str(value)) for name, value in found["choices"]),
                command=tuple(map(str, found["command"])),
                folder=str(found["folder"]),
                environment=tuple((str(name), str(value)) for name, value in found["environment"]),
            )
        except (TypeError, KeyError, AttributeError) as error:
            raise ValueError("no description of a job") from error


@dataclass(frozen=True, slots=True)
class ItemIdentity:
    """One large file or object on its way.

    Attributes:
        fingerprint: What must be the same for finished parts to count: for an upload size, mtime, inode, part size and
            checksum algorithm; for a download ETag, version, size, part size and algorithm.
        size: In bytes.
    """

    direction: Direction
    endpoint: str
    source: str
    destination: str
    fingerprint: str
    size: int


@dataclass(frozen=True, slots=True)
class FinishedPart:
    """One part that the store has acknowledged, or one range that was written to the file.

    Attributes:
        number: From 1.
        value: Its raw checksum, of the algorithm in the item's fingerprint; empty without one.
        etag: What the store called it; empty for a range.
    """

    number: int
    offset: int
    length: int
    value: bytes
    etag: str = ""


@dataclass(frozen=True, slots=True)
class UnfinishedItem:
    """What is known of an item when it is claimed.

    Attributes:
        id: Names it in the journal.
        identity: As it was recorded: its fingerprint may be that of an older source.
        upload_id: The multipart upload its parts are in; None for a download, or when none is known.
        temporary: The name of the file its ranges are in, beside the final one; None for an upload.
        began_seconds: When the record was made, in seconds since the epoch.
        is_new: No earlier run has begun it.
    """

    id: int
    identity: ItemIdentity
    upload_id: str | None
    temporary: str | None
    began_seconds: float
    parts: tuple[FinishedPart, ...]
    is_new: bool

    @property
    def finished_bytes(self) -> int:
        """Bytes of its finished parts."""
        return sum(part.length for part in self.parts)


@dataclass(frozen=True, slots=True)
class Holder:
    """A living process that works on something, and since when in seconds since the epoch."""

    process_id: int
    since_seconds: float


@dataclass(frozen=True, slots=True)
class UnfinishedJob:
    """A job that has not ended.

    Attributes:
        finished_items: Items whose transfer is done and recorded.
        holder: Who works on it now; None when nobody does.
        items: Large items it has begun and not finished.
    """

    id: int
    description: JobDescription
    began_seconds: float
    touched_seconds: float
    finished_items: int
    finished_bytes: int
    holder: Holder | None
    items: tuple[UnfinishedItem, ...]
