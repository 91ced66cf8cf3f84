"""Runs that stop at a chosen request, and what the next run of the same asks for."""

import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.integration.samples import PART, until
from transfer import Receipt, Transfer, TransferError, TransferOptions
from transfer.engine.job import Claim
from transfer.engine.jobs import list_jobs
from transfer.engine.state import state_folder
from transfer.journal.database import FILE_NAME
from transfer.model.errors import StoreError, WireError
from transfer.model.events import Event, JobKept, JobResumed, Warned
from transfer.model.unfinished import FinishedPart, UnfinishedItem, UnfinishedJob
from transfer.stores.s3.store import Call, S3Store, Signed
from transfer.wire.connection import Response
from transfer.wire.flow import Flow

SIZE = 2 * PART + 12_345
"""Three parts, the last of them short, when files of this size go in parts."""
OPTIONS = TransferOptions(part_size_bytes=PART, retries=0)

Stops = Callable[[Call], bool]


def carries_part(call: Call) -> bool:
    """Whether a request moves one part or range."""
    if call.method == "PUT":
        return "partNumber" in dict(call.query)
    return call.method == "GET" and "range" in call.headers


def begins(call: Call) -> bool:
    """Whether a request begins a multipart upload."""
    return call.method == "POST" and "uploads" in dict(call.query)


def completes(call: Call) -> bool:
    """Whether a request completes a multipart upload."""
    return call.method == "POST" and "uploadId" in dict(call.query)


def moves(call: Call) -> bool:
    """Whether a request moves bytes of an object, whole or in part."""
    return call.method == "PUT" or (call.method == "GET" and not dict(call.query))


class Watch:
    """Sees every request that is about to be made; when told to, it lets some through and stops the others.

    Attributes:
        calls: The requests, also those that were stopped.
        noted: Parts whose record is on the disk.
        held: Requests that are being stopped now.
        refuses: What a request is refused with at once; for all runs.
        failure: What a stopped request ends with, when all that were let through are noted; None holds it for ever.
    """

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.calls: list[Call] = []
        self.noted = 0
        self.held = 0
        self.refuses: Callable[[Call], TransferError | None] = lambda _: None
        self.failure: Callable[[Call], TransferError] | None = None
        self._stops: Stops = lambda _: False
        self._left = 0
        self._let_through = 0
        exchange, signed_now, note_part = S3Store.exchange, S3Store.signed_now, Claim.note_part

        @asynccontextmanager
        async def watched(store: S3Store, call: Call, flow: Flow | None = None) -> AsyncIterator[Response]:
            self.calls.append(call)
            await self._pass(call)
            async with exchange(store, call, flow) as response:
                yield response

        def quickly(store: S3Store, call: Call) -> Signed | None:
            # What may be stopped goes the long way, on which it is seen.
            if self.refuses(call) is not None or self._stops(call):
                raise TransferError("not this way")
            signed = signed_now(store, call)
            if signed is not None:
                self.calls.append(call)
            return signed

        async def noting(claim: Claim, part: FinishedPart) -> None:
            await note_part(claim, part)
            self.noted += 1

        patch.setattr(S3Store, "exchange", watched)
        patch.setattr(S3Store, "signed_now", quickly)
        patch.setattr(Claim, "note_part", noting)

    def stop(self, stops: Stops, *, after: int = 0, failure: Callable[[Call], TransferError] | None = None) -> None:
        """Stop all such requests but the first ones; `failure` as in the attributes."""
        self.calls.clear()
        self.noted = self.held = self._let_through = 0
        self._stops, self._left, self.failure = stops, after, failure

    def open(self) -> None:
        """Let everything through, and forget what was seen."""
        self.stop(lambda _: False)

    def seen(self, meant: Stops) -> list[Call]:
        """The requests of a kind."""
        return [call for call in self.calls if meant(call)]

    def is_settled(self) -> bool:
        """Whether all parts that were let through are noted, and something else is held."""
        return self.held > 0 and self.noted >= self._let_through

    async def _pass(self, call: Call) -> None:
        refusal = self.refuses(call)
        if refusal is not None:
            raise refusal
        if not self._stops(call):
            return
        if self._left > 0:
            self._left -= 1
            self._let_through += carries_part(call)
            return
        self.held += 1
        failure = self.failure
        if failure is None:
            await anyio.sleep_forever()
            return
        await until(self.is_settled)
        raise failure(call)


def line_cut(_: Call) -> TransferError:
    """What a request fails with when the network goes."""
    return WireError("the line is cut")


def overloaded(_: Call) -> TransferError:
    """What a request fails with when the store refuses all that are made."""
    return StoreError("slower", status=503, code="SlowDown")


@dataclass(slots=True)
class Run:
    """One run of one item: its receipt, the bytes it moved, and what it told."""

    receipt: Receipt
    moved: int
    events: list[Event]

    @property
    def warnings(self) -> list[str]:
        """The warnings that were told."""
        return [event.message for event in self.events if isinstance(event, Warned)]


@dataclass(slots=True)
class Scene:
    """A bucket, a folder on the disk, and a product whose runs can be stopped anywhere."""

    oracle: Any
    bucket: str
    folder: Path
    watch: Watch
    events: list[Event] = field(default_factory=list)

    @property
    def state(self) -> Path:
        """Where the journal is."""
        return Path(state_folder(None))

    @property
    def kept(self) -> list[int]:
        """The jobs that runs said they keep."""
        return [event.job_id for event in self.events if isinstance(event, JobKept)]

    @property
    def warnings(self) -> list[str]:
        """The warnings of all runs."""
        return [event.message for event in self.events if isinstance(event, Warned)]

    @property
    def resumed(self) -> list[JobResumed]:
        """What runs said of earlier ones."""
        return [event for event in self.events if isinstance(event, JobResumed)]

    def url(self, key: str = "key") -> str:
        """The location of a key in the bucket."""
        return f"s3://{self.bucket}/{key}"

    def transfer(self, options: TransferOptions = OPTIONS) -> Transfer:
        """A new process, as far as the product can tell."""
        return Transfer(options=options, on_event=self.events.append)

    async def run(self, source: Path | str, destination: Path | str, options: TransferOptions = OPTIONS) -> Run:
        """Copy to the end."""
        self.watch.open()
        self.events.clear()
        async with self.transfer(options) as transfer:
            receipt = await transfer.copy(source, destination)
            return Run(receipt, transfer.progress.bytes_moved, self.events)

    async def interrupt(
        self,
        source: Path | str,
        destination: Path | str,
        *,
        parts: int = 1,
        options: TransferOptions = OPTIONS,
        at: Stops = carries_part,
    ) -> UnfinishedItem:
        """Copy until so many parts are noted, or with `at` until such a request; answers what the journal knows."""
        self.watch.stop(at, after=parts if at is carries_part else 0, failure=line_cut)
        async with self.transfer(options) as transfer:
            with pytest.raises(WireError, match="the line is cut"):
                await transfer.copy(source, destination)
        self.watch.open()
        [job] = await self.jobs()
        [item] = job.items
        return item

    async def jobs(self) -> tuple[UnfinishedJob, ...]:
        """What the journal lists."""
        return await list_jobs(str(self.state), self.refuse)

    def uploads(self) -> list[str]:
        """The unfinished uploads at the store."""
        found = self.oracle.list_multipart_uploads(Bucket=self.bucket).get("Uploads", ())
        return [upload["UploadId"] for upload in found]

    def rows(self) -> dict[str, int]:
        """How many rows the tables of the journal have."""
        connection = sqlite3.connect(self.state / FILE_NAME)
        try:
            tables = ("jobs", "items", "parts", "finished", "runs")
            return {name: connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in tables}
        finally:
            connection.close()

    def change_journal(self, statement: str) -> None:
        """Do to the journal what no product does."""
        connection = sqlite3.connect(self.state / FILE_NAME)
        with connection:
            connection.execute(statement)
        connection.close()

    @staticmethod
    def refuse(message: str) -> None:
        """Take a warning that must not come."""
        raise AssertionError(message)
