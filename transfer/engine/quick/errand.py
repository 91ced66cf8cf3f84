"""What is to be done for one small item by one request, and what its answer means. Nothing here sends or waits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from transfer.engine.context import Context
from transfer.engine.items import DownloadItem, UploadItem
from transfer.model.locations import S3Location
from transfer.model.receipts import Mover, Receipt
from transfer.model.values import dataclass
from transfer.plan.parts import SMALL_BODY_BYTES
from transfer.stores.local.landing import WholeFile
from transfer.stores.local.source import ReadFile
from transfer.stores.s3.store import Call
from transfer.wire.quick import Answer

Note = tuple[str, str, int]
"""What is remembered of a finished item: its name, its fingerprint, its size in bytes."""


@dataclass(frozen=True, slots=True)
class Done:
    """An item that was moved.

    Attributes:
        note: What the journal is to remember; None when a later run shall not leave it out.
        planned_bytes: How many bytes more it had than was planned.
    """

    receipt: Receipt
    note: Note | None
    planned_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Arrived:
    """An object whose bytes are proved and have to be brought to their place.

    Attributes:
        done: What it is when it has landed at this path.
    """

    file: WholeFile
    done: Callable[[str], Done]


class DamagedError(Exception):
    """The bytes that arrived are not those of the checksum that the store keeps."""


class Errand(Protocol):
    """One item's request."""

    @property
    def item(self) -> UploadItem | DownloadItem:
        """What is moved."""

    @property
    def body_bytes(self) -> int:
        """Bytes of the body that moves."""

    @property
    def is_upload(self) -> bool:
        """Which way it moves."""

    @property
    def location(self) -> S3Location:
        """The object it is about."""

    def call(self) -> Call:
        """The request, with its body in memory. Raises UsageError for headers that cannot be sent."""

    def conclude(self, answer: Answer, mover: Mover, seconds: float) -> Done | Arrived | None:
        """What a success means.

        Args:
            answer: With a status below 300.
            mover: What carried the body.
            seconds: How long it has taken.

        Returns:
            None when only the long way can tell.

        Raises:
            DamagedError: The bytes are wrong.
            TransferError: The answer is a failure all the same.
        """


def errand_of(context: Context, item: object) -> Errand | None:
    """The errand of an item; None when it does not go the short way."""
    if isinstance(item, UploadItem):
        if not isinstance(item.read, ReadFile) or item.read.size > SMALL_BODY_BYTES:
            return None
        from transfer.engine.quick.put import Put

        return Put(context, item, item.read)
    if isinstance(item, DownloadItem):
        if item.listed is None or item.listed.size > SMALL_BODY_BYTES or not item.listed.etag:
            return None
        from transfer.engine.quick.get import Get

        return Get(context, item, item.listed)
    return None
