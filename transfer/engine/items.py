"""What a run works on: one value per file or object to move."""

from __future__ import annotations

import os

from transfer.engine.attempts import EarlierAttempt
from transfer.model.errors import TransferError
from transfer.model.locations import S3Location
from transfer.model.objects import ListedObject
from transfer.model.values import dataclass
from transfer.stores.local.source import ReadFile
from transfer.system.paths import absolute_path


@dataclass(frozen=True, slots=True)
class UploadItem:
    """A local file on its way to a key.

    Attributes:
        size: What the walk saw, in bytes; None when nobody looked yet.
        mtime_ns: The same for the modification time, in nanoseconds since the epoch.
        read: The file itself, when it was read ahead, or why it could not be.
        earlier: A request that was made for it already.
    """

    path: str
    destination: S3Location
    size: int | None = None
    mtime_ns: int | None = None
    read: ReadFile | TransferError | None = None
    earlier: EarlierAttempt | None = None


@dataclass(frozen=True, slots=True)
class StreamUploadItem:
    """Standard input on its way to a key."""

    destination: S3Location


@dataclass(frozen=True, slots=True)
class DownloadItem:
    """An object on its way to `relative` below the folder `root`; `listed` is what a listing said of it.

    Attributes:
        mtime_ns: The time that the file gets, in nanoseconds since the epoch; None means the one that was kept of the
            source, else the store's.
        earlier: A request that was made for it already.
    """

    source: S3Location
    root: str
    relative: str
    listed: ListedObject | None = None
    mtime_ns: int | None = None
    earlier: EarlierAttempt | None = None

    @property
    def is_one_of_many(self) -> bool:
        """Whether it was found and not named: then it must not take the place of another one."""
        return self.listed is not None

    @property
    def path(self) -> str:
        """Where it goes, absolute; links on the way are names of their own."""
        return absolute_path(f"{self.root or os.curdir}/{self.relative}")


@dataclass(frozen=True, slots=True)
class FolderItem:
    """An empty `name/` object, which stands for a folder."""

    source: S3Location
    root: str
    relative: str


@dataclass(frozen=True, slots=True)
class PrintItem:
    """An object on its way to standard output."""

    source: S3Location


@dataclass(frozen=True, slots=True)
class CopyItem:
    """An object on its way to another key; `listed` is what a listing said of it."""

    source: S3Location
    destination: S3Location
    listed: ListedObject | None = None


Item = UploadItem | StreamUploadItem | DownloadItem | FolderItem | PrintItem | CopyItem
