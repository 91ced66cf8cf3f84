"""What became of one item: a receipt that proves a transfer, a failure, or a skip with its reason."""

from __future__ import annotations

from enum import StrEnum

from transfer.model.checksums import Checksum, VerifiedBy
from transfer.model.errors import TransferError
from transfer.model.sync import Change
from transfer.model.values import dataclass


class Mover(StrEnum):
    """What carried the bytes of a body between the socket and the file."""

    SENDFILE = "sendfile"
    """Up: the kernel moved it from the page cache to the socket."""
    RECV = "recv"
    """Down: received into one hot buffer, digested there, written at its place."""
    BUFFER = "buffer"
    """Through memory of this process, in either direction."""
    TLS = "tls"
    """Encrypted or decrypted in this process."""
    KTLS = "ktls"
    """Up: as `SENDFILE`, and the kernel encrypted it on its way."""
    SERVER = "server"
    """The store copied it: no byte came here."""
    NONE = "none"
    """No body was moved: the object is empty."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """Proof of one finished transfer; every field is what was seen, none is assumed.

    Attributes:
        size: Bytes of the object.
        checksum: What both sides agree on, or what was computed when `verified_by` is UNVERIFIED.
        retries: Requests that had to be repeated.
        mover: How the bytes travelled; `mover_reason` says why when it was not the platform's fastest.
        resumed_bytes: Of the size, what an earlier run had moved already.
        source_removed: Whether the source is gone, as it is after a move.
        tags_unread: Whether the source may have tags that could not be read, so that the copy has none of them.
    """

    source: str
    destination: str
    size: int
    etag: str
    version_id: str | None
    checksum: Checksum | None
    verified_by: VerifiedBy
    seconds: float
    retries: int
    mover: Mover
    mover_reason: str | None = None
    resumed_bytes: int = 0
    source_removed: bool = False
    tags_unread: bool = False


@dataclass(frozen=True, slots=True)
class Failure:
    """An item that could not be moved; nothing half-written was left under its final name."""

    source: str
    destination: str
    error: TransferError


@dataclass(frozen=True, slots=True)
class Skip:
    """An item that was left out on purpose, and why; never silent."""

    source: str
    reason: str


@dataclass(frozen=True, slots=True)
class Removal:
    """An object that is gone from the store, or a file from the disk; in a dry run, one that would go.

    Attributes:
        moved_to: Where it was moved instead; None when it is gone for good.
        size: In bytes, where it was listed.
    """

    source: str
    moved_to: str | None = None
    is_dry_run: bool = False
    size: int | None = None


@dataclass(frozen=True, slots=True)
class Intent:
    """What a dry run found to be copied or moved.

    Attributes:
        size: In bytes; None for a stream, which only reading would tell.
        change: Why, when both sides were compared; None when it is copied whatever is there.
        moves: Its source would be removed.
    """

    source: str
    destination: str
    size: int | None
    change: Change | None = None
    moves: bool = False


@dataclass(frozen=True, slots=True)
class UploadAbort:
    """An unfinished multipart upload whose parts the store no longer keeps; in a dry run, one that would be aborted.

    Attributes:
        source: The object it would have become.
        initiated_seconds: When it was begun, in seconds since the epoch; 0 when the store did not say.
    """

    source: str
    upload_id: str
    initiated_seconds: float
    is_dry_run: bool = False


Outcome = Receipt | Failure | Skip | Removal | UploadAbort | Intent
