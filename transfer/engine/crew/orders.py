"""What the first process of a run and its workers say to each other. Values only, and how they travel."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields
from operator import attrgetter
from typing import Any, Final

from transfer.engine.items import DownloadItem, UploadItem
from transfer.engine.part_sending import PartToSend
from transfer.engine.range_fetching import RangeToFetch
from transfer.engine.verifying import RangeDigest
from transfer.integrity.proof import SentPart
from transfer.model.checksums import Checksum
from transfer.model.errors import TransferError
from transfer.model.events import Event
from transfer.model.locations import S3Location
from transfer.model.options import ConnectionOptions, TransferOptions
from transfer.model.progress import Progress
from transfer.model.receipts import Mover, Outcome, Receipt
from transfer.model.values import dataclass
from transfer.stores.local.source import FileVersion
from transfer.stores.s3.credentials import Credentials

Note = tuple[str, str, int]
"""What is remembered of a finished item: its name, its fingerprint, its size in bytes."""


SmallItem = UploadItem | DownloadItem
"""What a worker can move by itself."""

# To a worker.


@dataclass(frozen=True, slots=True)
class Setup:
    """The run to take part in; the first message.

    Attributes:
        rate_step_bytes: How many bytes to ask leave for at a time; None when no limit is set.
        processes: How many share the run's retries.
    """

    connection: ConnectionOptions
    options: TransferOptions
    rate_step_bytes: int | None
    processes: int


@dataclass(frozen=True, slots=True)
class Share:
    """How many requests may be in flight from now on, and how often the store has objected to those of all."""

    requests: int
    cuts: int


@dataclass(frozen=True, slots=True)
class Move:
    """Small items to be moved whole, numbered from `first`."""

    first: int
    items: tuple[SmallItem, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a question, or why there is none."""

    ticket: int
    value: Any


@dataclass(frozen=True, slots=True)
class OpenFile:
    """An open file that parts will be about, which comes beside this message.

    Attributes:
        number: Names it from now on.
        path: For messages, and for the look whether a source is still the same.
        identity: Device and inode of the file that must have come.
        version: What a source was when it was opened; None for a file that is written.
    """

    number: int
    path: str
    identity: tuple[int, int]
    version: FileVersion | None


@dataclass(frozen=True, slots=True)
class CloseFile:
    """No part will be about it any more."""

    number: int


@dataclass(frozen=True, slots=True)
class DoPart:
    """A part to be sent, or a range to be fetched."""

    ticket: int
    file: int
    part: PartToSend | RangeToFetch


@dataclass(frozen=True, slots=True)
class Cancel:
    """The part is not wanted any more; it is answered all the same, when nothing is done for it any more."""

    ticket: int


@dataclass(frozen=True, slots=True)
class Reached:
    """The store was reached by somebody: what cannot be connected to now is an outage, not a wrong address."""


# From a worker.


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of an item.

    Attributes:
        outcome: None when it is not small after all, and was not touched.
        note: What the journal is to remember of it.
    """

    number: int
    outcome: Outcome | None
    note: Note | None


@dataclass(frozen=True, slots=True)
class PartDone:
    """What became of a part.

    Attributes:
        result: None when it was cancelled.
        mover: What carried it.
        retries: Requests that had to be repeated.
    """

    ticket: int
    result: SentPart | RangeDigest | TransferError | None
    mover: Mover
    retries: int


@dataclass(frozen=True, slots=True)
class Told:
    """Something that the user may want to know."""

    event: Event


@dataclass(frozen=True, slots=True)
class Counted:
    """What was counted since the last time, by the names of the counters of a run."""

    by_name: dict[str, int]


@dataclass(frozen=True, slots=True)
class Ask:
    """A question that only the first process can answer."""

    ticket: int
    question: Question


@dataclass(frozen=True, slots=True)
class CredentialsWanted:
    """The current credentials.

    Attributes:
        refused: Those that the store calls expired: the answer is whether there are others.
    """

    refused: Credentials | None = None


@dataclass(frozen=True, slots=True)
class EndpointWanted:
    """Where a bucket is, in the region that the store named, if any."""

    bucket: str
    region: str | None


@dataclass(frozen=True, slots=True)
class LeaveWanted:
    """Leave to move so many bytes."""

    count: int


Question = CredentialsWanted | EndpointWanted | LeaveWanted

COUNTERS: Final = tuple(
    field.name for field in fields(Progress) if field.type == "int" and not field.name.startswith("items_")
)
"""What workers count; items are counted where their outcomes are told."""

_BY_FIELDS: Final[Sequence[type[Any]]] = (UploadItem, DownloadItem, S3Location, Receipt, Checksum, Settled, Move)


def _reducer(kind: type[Any]) -> Callable[[Any], tuple[Any, ...]]:
    names = [field.name for field in fields(kind)]
    values = attrgetter(*names)
    return lambda value: (kind, values(value))


REDUCERS: Final = {kind: _reducer(kind) for kind in _BY_FIELDS}
"""How what travels often is pickled: by its fields at once, which takes a fifth of the time of the default."""
