"""The bench of the fault tests: the product talks to SeaweedFS through a proxy that hurts what it is told to hurt."""

import random
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.fault_proxy import FaultProxy
from tests.support.faults import Fault
from tests.support.servers import S3Server, make_s3_client
from transfer.engine.transfer import Transfer
from transfer.model.events import Event, RequestRetried, Warned
from transfer.model.options import ConnectionOptions, TransferOptions
from transfer.wire import pool

MIB = 1024 * 1024
SHARED_BUCKET = "fault-tests"


@dataclass(slots=True)
class Run:
    """One run of the product behind the proxy; what it told is in ``events``."""

    proxy: FaultProxy
    transfer: Transfer
    events: list[Event] = field(default_factory=list)

    @property
    def retries(self) -> list[RequestRetried]:
        """The retries that were told."""
        return [event for event in self.events if isinstance(event, RequestRetried)]

    @property
    def warnings(self) -> list[str]:
        """The warnings that were told."""
        return [event.message for event in self.events if isinstance(event, Warned)]


@dataclass(slots=True)
class Bench:
    """SeaweedFS, a bucket in it, a folder on the disk, and botocore to judge with."""

    server: S3Server
    oracle: Any
    bucket: str
    folder: Path

    def url(self, key: str = "key") -> str:
        """The location of a key in the bucket."""
        return f"s3://{self.bucket}/{key}"

    def file(self, size: int, name: str = "source") -> Path:
        """Make a file of random bytes, the same in every run."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content_of(size, name))
        return path

    async def put(self, size: int, key: str = "key") -> bytes:
        """Store an object with a full-object checksum, and return its bytes."""
        path = self.file(size, f"stored/{key}")
        async with Transfer(endpoint_url=self.server.endpoint_url) as transfer:
            await transfer.copy(path, self.url(key))
        return path.read_bytes()

    def stored(self, key: str = "key") -> bytes:
        """What the store holds under a key."""
        body: bytes = self.oracle.get_object(Bucket=self.bucket, Key=key)["Body"].read()
        return body

    def keys(self) -> list[str]:
        """The keys in the bucket."""
        return [found["Key"] for found in self.oracle.list_objects_v2(Bucket=self.bucket).get("Contents", [])]

    def uploads(self) -> list[str]:
        """The multipart uploads that nobody finished."""
        found = self.oracle.list_multipart_uploads(Bucket=self.bucket).get("Uploads", [])
        return [upload["UploadId"] for upload in found]

    def clear(self) -> None:
        """Leave an empty bucket to the next test."""
        for key in self.keys():
            self.oracle.delete_object(Bucket=self.bucket, Key=key)
        for upload in self.oracle.list_multipart_uploads(Bucket=self.bucket).get("Uploads", []):
            self.oracle.abort_multipart_upload(Bucket=self.bucket, Key=upload["Key"], UploadId=upload["UploadId"])

    def target(self) -> Path:
        """A file to be, in a folder of its own."""
        folder = self.folder / "landing"
        folder.mkdir(exist_ok=True)
        return folder / "file"

    def landed(self) -> list[str]:
        """All names in the target's folder, temporary ones included."""
        return sorted(path.name for path in self.target().parent.iterdir())

    def run(
        self,
        *faults: Fault,
        options: TransferOptions | None = None,
        stall_seconds: float = 30.0,
        profile: str | None = None,
        on_event: Callable[[Event], None] | None = None,
        resume: bool = False,
    ) -> AbstractAsyncContextManager[Run]:
        """Start the product behind a proxy with these faults; each must have acted by the end.

        Without `resume` it has to clean up what it cannot finish.
        """
        chosen = replace(options or TransferOptions(), resume=resume)
        return self._run(faults, chosen, stall_seconds, profile, on_event)

    @asynccontextmanager
    async def _run(
        self,
        faults: tuple[Fault, ...],
        options: TransferOptions,
        stall_seconds: float,
        profile: str | None,
        on_event: Callable[[Event], None] | None,
    ) -> AsyncIterator[Run]:
        events: list[Event] = []

        def note(event: Event) -> None:
            events.append(event)
            if on_event is not None:
                on_event(event)

        async with FaultProxy(self.server.endpoint_url, *faults) as proxy:
            connection = ConnectionOptions(
                endpoint_url=proxy.endpoint_url, profile=profile, stall_seconds=stall_seconds
            )
            async with Transfer(connection=connection, options=options, on_event=note) as transfer:
                yield Run(proxy, transfer, events)
            assert proxy.unspent() == []


def content_of(size: int, name: str) -> bytes:
    """Bytes that differ everywhere and between names."""
    return random.Random(name).randbytes(size)


@pytest.fixture(scope="session")
def shared_bucket(seaweed: S3Server) -> Iterator[tuple[Any, str]]:
    """A client and one bucket for all fault tests: the first write into a new bucket makes SeaweedFS slow."""
    client = make_s3_client(seaweed)
    client.create_bucket(Bucket=SHARED_BUCKET)
    yield client, SHARED_BUCKET
    client.close()


@pytest.fixture
def bench(
    seaweed: S3Server, shared_bucket: tuple[Any, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Bench]:
    for name, value in seaweed.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(pool, "WATCHDOG_SECONDS", 0.05)
    monkeypatch.setattr("transfer.engine.attempts.random.random", lambda: 0.0)
    made = Bench(seaweed, *shared_bucket, tmp_path)
    yield made
    made.clear()
