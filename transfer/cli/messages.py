"""What commands say besides outcomes, errors and events. How each looks is in `text` and `records`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from transfer.cli.audit_tally import AuditTally
from transfer.cli.exit_codes import ExitCode
from transfer.cli.tally import Tally
from transfer.model.audits import Audited
from transfer.model.errors import TransferError
from transfer.model.events import Event
from transfer.model.objects import BucketEntry, CommonPrefix, ListedObject, ObjectInfo
from transfer.model.receipts import Outcome, Receipt
from transfer.model.unfinished import UnfinishedJob
from transfer.model.values import dataclass


@dataclass(frozen=True, slots=True)
class ListedBucket:
    """A bucket of the account."""

    entry: BucketEntry


@dataclass(frozen=True, slots=True)
class ListedPage:
    """Some entries of a listing, a line each.

    Attributes:
        bucket: Where they are.
        entries: In order.
        hidden_characters: How many characters at the start of each name a person does not see: what all have in common.
        human_sizes: Write sizes with units.
    """

    bucket: str
    entries: Sequence[ListedObject | CommonPrefix]
    hidden_characters: int = 0
    human_sizes: bool = False


@dataclass(frozen=True, slots=True)
class Usage:
    """What is stored below a location.

    Attributes:
        url: As the user wrote it.
        size: Of all objects, in bytes.
        storage_class: Of what is counted, when each class is counted for itself, else None.
        human_sizes: Write sizes with units.
    """

    url: str
    objects: int
    size: int
    storage_class: str | None = None
    human_sizes: bool = False


@dataclass(frozen=True, slots=True)
class ListedUpload:
    """An unfinished upload.

    Attributes:
        initiated_seconds: When it was begun, in seconds since the epoch; 0 when the store did not say.
        parts: How many parts the store holds for it, and `size` their bytes; None when nobody asked, or when it ended
            in the meantime.
    """

    bucket: str
    key: str
    upload_id: str
    initiated_seconds: float
    with_parts: bool = False
    parts: int | None = None
    size: int | None = None


@dataclass(frozen=True, slots=True)
class ListedJob:
    """A job that no run has brought to its end."""

    job: UnfinishedJob


@dataclass(frozen=True, slots=True)
class NoJobs:
    """There is nothing unfinished. For people: a machine sees an empty list."""


@dataclass(frozen=True, slots=True)
class JobRepeated:
    """The command of a job is about to be carried out again."""

    job: UnfinishedJob


@dataclass(frozen=True, slots=True)
class KeptJob:
    """What a run leaves for a later one, told as its last word.

    Attributes:
        state_folder: Where it is remembered, when `transfer resume` would not look there by itself.
    """

    job_id: int
    state_folder: str | None = None


@dataclass(frozen=True, slots=True)
class JobForgotten:
    """A job that was given up, or would be."""

    job: UnfinishedJob
    is_dry_run: bool = False


@dataclass(frozen=True, slots=True)
class Described:
    """All that is known of one object."""

    url: str
    info: ObjectInfo


@dataclass(frozen=True, slots=True)
class BucketChanged:
    """A bucket was made (`mb`) or removed (`rb`)."""

    command: str
    url: str


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the demonstration."""

    text: str


@dataclass(frozen=True, slots=True)
class Proof:
    """A receipt of the demonstration, told in full to everyone."""

    receipt: Receipt


@dataclass(frozen=True, slots=True)
class Unproven:
    """An object that moved without proof, when proof was asked for."""

    source: str


@dataclass(frozen=True, slots=True)
class SourceKept:
    """A source that stays after a move, because nothing could verify its copy."""

    source: str


@dataclass(frozen=True, slots=True)
class LineFailed:
    """A command of a list that did not end well: where it stands, and its exit code."""

    file: str
    number: int
    text: str
    code: ExitCode


@dataclass(frozen=True, slots=True)
class Interrupted:
    """The user or the system stopped the run.

    Attributes:
        kept: The job that it leaves.
        ending: What else became of its work; "" when it just ended.
    """

    kept: KeptJob | None = None
    ending: str = ""


@dataclass(frozen=True, slots=True)
class Broken:
    """An error nobody foresaw; `trace` is for those who repair it."""

    type_name: str
    text: str
    trace: str


@dataclass(frozen=True, slots=True)
class Summary:
    """The last word of a run over many items."""

    command: str
    tally: Tally
    seconds: float
    code: ExitCode


@dataclass(frozen=True, slots=True)
class AuditSummary:
    """The last word of a comparison."""

    tally: AuditTally
    seconds: float
    code: ExitCode


@dataclass(frozen=True, slots=True)
class Measured:
    """What a measurement of a store says, already written for people and for machines.

    Attributes:
        is_answer: It is what was asked for, and no remark on it.
    """

    lines: str
    record: Mapping[str, Any]
    is_answer: bool = False


Message = (
    Outcome
    | TransferError
    | Event
    | ListedBucket
    | ListedPage
    | Usage
    | ListedUpload
    | ListedJob
    | NoJobs
    | JobRepeated
    | KeptJob
    | JobForgotten
    | Described
    | BucketChanged
    | Step
    | Proof
    | Unproven
    | SourceKept
    | LineFailed
    | Interrupted
    | Broken
    | Summary
    | Audited
    | AuditSummary
    | Measured
)
