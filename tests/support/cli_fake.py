"""A scripted engine for tests of the command line: what it was asked is kept, what it answers is given."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from types import ModuleType
from typing import Any, ParamSpec, Self

import pytest

from transfer.model.checksums import Checksum, ChecksumAlgorithm, VerifiedBy
from transfer.model.events import Event, EventSink, ignore_event
from transfer.model.objects import BucketEntry, CommonPrefix, ListedObject, ObjectInfo
from transfer.model.options import ConnectionOptions, TransferOptions
from transfer.model.progress import Progress
from transfer.model.receipts import Mover, Outcome, Receipt
from transfer.stores.s3.xml import PendingUpload, UploadedPart
from transfer.system.forking import Forked


def receipt(name: str = "a", *, size: int = 2048, verified_by: VerifiedBy = VerifiedBy.FULL_OBJECT) -> Receipt:
    checksum = Checksum(ChecksumAlgorithm.CRC64NVME, "AAAAAAAAAAA=")
    return Receipt(name, f"s3://b/{name}", size, '"e"', None, checksum, verified_by, 0.5, 1, Mover.SENDFILE, None)


Asked = ParamSpec("Asked")


@dataclass
class Script:
    outcomes: Sequence[Outcome | BaseException] = ()
    events: Sequence[Event] = ()
    entries: Sequence[ListedObject | CommonPrefix] = ()
    batches: Sequence[tuple[ListedObject | CommonPrefix, ...]] = ()
    infos: dict[str, ObjectInfo | BaseException] = field(default_factory=dict)
    uploads: Sequence[PendingUpload] = ()
    parts: dict[str, tuple[UploadedPart, ...] | BaseException] = field(default_factory=dict)
    content: bytes = b""
    wait_forever: bool = False
    calls: list[tuple[Any, ...]] = field(default_factory=list)
    connection: ConnectionOptions | None = None
    destination: ConnectionOptions | None = None
    options: TransferOptions | None = None
    environment: dict[str, str] = field(default_factory=dict)
    folder: str = ""
    workers: int = 0
    cleanup_began: threading.Event = field(default_factory=threading.Event)
    cleanup_may_end: threading.Event | None = None
    cleaned_up: bool = False
    is_dry_run: bool = False


class ScriptedOutcomes:
    def __init__(self, outcomes: AsyncGenerator[Outcome, None]) -> None:
        self._outcomes = outcomes

    def __aiter__(self) -> AsyncIterator[Outcome]:
        return self._outcomes

    async def next_batch(self) -> list[Outcome]:
        async for outcome in self._outcomes:
            return [outcome]
        return []

    async def aclose(self) -> None:
        await self._outcomes.aclose()


def as_stream(work: Callable[Asked, AsyncGenerator[Outcome, None]]) -> Callable[Asked, ScriptedOutcomes]:
    @wraps(work)
    def begin(*args: Asked.args, **options: Asked.kwargs) -> ScriptedOutcomes:
        return ScriptedOutcomes(work(*args, **options))

    return begin


class ScriptedTransfer:
    script: Script

    def __init__(
        self,
        *,
        connection: ConnectionOptions | None = None,
        options: TransferOptions | None = None,
        on_event: EventSink = ignore_event,
        destination: ConnectionOptions | None = None,
        workers: Sequence[Forked] = (),
    ) -> None:
        self.script.workers = len(workers)
        self.script.connection, self.script.options, self.script.destination = connection, options, destination
        self.script.environment, self.script.folder = dict(os.environ), str(Path.cwd())
        self.progress = Progress()
        self._on_event = on_event

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.script.cleanup_began.set()
        if self.script.cleanup_may_end is not None:
            while not self.script.cleanup_may_end.is_set():
                await asyncio.sleep(0)
            # What arrived before the permission is handled by the loop's next turns.
            for _turn in range(10):
                await asyncio.sleep(0)
        self.script.cleaned_up = True

    @as_stream
    async def copy_many(
        self,
        sources: Sequence[str],
        destination: str,
        *,
        recursive: bool = False,
        raw: bool = False,
        dry_run: bool = False,
    ) -> AsyncGenerator[Outcome, None]:
        self.script.is_dry_run = dry_run
        self.script.calls.append(("cp", list(sources), destination, recursive, raw))
        for outcome in await self._settled():
            yield outcome
        await self._ended()

    @as_stream
    async def move_many(
        self, sources: Sequence[str], destination: str, *, removes_unverified: bool = False, **options: bool
    ) -> AsyncGenerator[Outcome, None]:
        async for outcome in self.copy_many(sources, destination, **options):
            yield outcome

    @as_stream
    async def remove_many(
        self, urls: Sequence[str], *, recursive: bool = False, raw: bool = False, dry_run: bool = False
    ) -> AsyncGenerator[Outcome, None]:
        self.script.is_dry_run = dry_run
        self.script.calls.append(("rm", list(urls), recursive, raw))
        for outcome in await self._settled():
            yield outcome
        await self._ended()

    async def list_objects(
        self, url: str, *, recursive: bool = False, raw: bool = False
    ) -> AsyncIterator[ListedObject | CommonPrefix]:
        self.script.calls.append(("ls", url, recursive, raw))
        for entry in self.script.entries:
            yield entry

    async def list_batches(
        self, url: str, *, recursive: bool = False, raw: bool = False
    ) -> AsyncIterator[tuple[ListedObject | CommonPrefix, ...]]:
        self.script.calls.append(("ls", url, recursive, raw))
        for batch in self.script.batches or [tuple(self.script.entries)]:
            yield batch

    async def list_uploads(self, url: str) -> AsyncIterator[PendingUpload]:
        self.script.calls.append(("mpu ls", url))
        for upload in self.script.uploads:
            yield upload

    async def list_parts(self, url: str, upload_id: str) -> tuple[UploadedPart, ...]:
        self.script.calls.append(("parts", url, upload_id))
        found = self.script.parts[upload_id]
        if isinstance(found, BaseException):
            raise found
        return found

    async def abort_upload(self, url: str, upload_id: str) -> bool:
        self.script.calls.append(("abort", url, upload_id))
        await self._ended()
        return True

    @as_stream
    async def abort_uploads(
        self, urls: Sequence[str], *, older_than_seconds: float | None = None, dry_run: bool = False
    ) -> AsyncGenerator[Outcome, None]:
        self.script.calls.append(("mpu abort", list(urls), older_than_seconds, dry_run))
        for outcome in await self._settled():
            yield outcome
        await self._ended()

    async def list_buckets(self) -> tuple[BucketEntry, ...]:
        return (BucketEntry("photos", 1_700_000_000.0),)

    async def stat(self, url: str) -> ObjectInfo:
        found = self.script.infos[url]
        if isinstance(found, BaseException):
            raise found
        return found

    async def cat(self, url: str, write: Callable[[memoryview], object]) -> None:
        self.script.calls.append(("cat", url))
        await asyncio.to_thread(write, memoryview(self.script.content))

    async def make_bucket(self, bucket: str) -> None:
        self.script.calls.append(("mb", bucket))

    async def remove_bucket(self, bucket: str) -> None:
        self.script.calls.append(("rb", bucket))

    async def _settled(self) -> list[Outcome]:
        for event in self.script.events:
            self._on_event(event)
        return [outcome for outcome in self.script.outcomes if not isinstance(outcome, BaseException)]

    async def _ended(self) -> None:
        if self.script.wait_forever:
            await asyncio.Event().wait()
        for outcome in self.script.outcomes:
            if isinstance(outcome, BaseException):
                raise outcome


@contextmanager
def scripted(script: Script) -> Iterator[Script]:
    """Put an engine that follows the script in the place of the real one."""
    module = ModuleType("transfer.engine.transfer")
    module.__dict__["Transfer"] = type("Transfer", (ScriptedTransfer,), {"script": script})
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "transfer.engine.transfer", module)
        yield script
