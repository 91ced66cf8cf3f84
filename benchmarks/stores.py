"""Real stores as endpoints: moto and SeaweedFS. What peers upload is read back there."""

from __future__ import annotations

import contextlib
import random
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.endpoints import BUCKET, Endpoint
from benchmarks.pattern import Pattern
from benchmarks.workloads import Workload
from tests.support.servers import MotoServer, SeaweedServer, ServerProcess, make_s3_client

PREPARING_THREADS = 8
COMPARED_OBJECTS = 50
REMOVED_AT_ONCE = 1000
PART_BYTES = 16 << 20
LONGEST_FOLDER_CHARACTERS = 60
"""Stores make sockets below their folder, and unix(7) allows 107 characters for the path of one."""
SERVERS: dict[str, Callable[[], ServerProcess]] = {
    "moto": partial(MotoServer, own_group=True),
    # Seven volumes at once are its own default; of small ones, making the next is much of what is measured.
    "seaweedfs": partial(SeaweedServer, own_group=True, volume_mebibytes=1024, volumes_at_once=7),
}


@dataclass(frozen=True, slots=True)
class StoreEndpoint(Endpoint):
    """One that stores; `client` is botocore's, which judges and is no peer."""

    name: str
    url: str
    client: Any
    pattern: Pattern
    keeps = True

    def prepare(self, workload: Workload, folder: Path) -> str:  # noqa: ARG002  # others need a folder
        """Put all objects of the workload."""
        tree = workload.tree
        if not workload.is_tree:
            key = f"object@{tree.total_bytes}"
            self._put(key, tree.total_bytes)
            return key
        with ThreadPoolExecutor(PREPARING_THREADS) as threads:
            sizes = {tree.prefix + tree.name(number): tree.size_bytes(number) for number in range(tree.count)}
            for _ in threads.map(self._put, sizes.keys(), sizes.values()):
                pass
        return tree.prefix

    def upload_key(self, workload: Workload, label: str) -> str:
        """Return a key or prefix that nothing else uses."""
        return f"{label}/" if workload.is_tree else label

    def mark(self) -> tuple[int, int]:
        """Return nothing worth comparing: what arrived is looked at itself."""
        return 0, 0

    def upload_problem(self, workload: Workload, key: str, mark: tuple[int, int]) -> str:  # noqa: ARG002  # interface
        """Compare names and sizes of all objects, and the bytes of some."""
        tree = workload.tree
        numbers = range(tree.count)
        names = {n: f"{key}{tree.name(n)}" if workload.is_tree else key for n in numbers}
        found = self._sizes(key)
        for number, name in names.items():
            if found.get(name) != tree.size_bytes(number):
                return f"{name} has {found.get(name)} bytes at the store, the file {tree.size_bytes(number)}"
        if len(found) != tree.count:
            return f"the store has {len(found)} objects, {tree.count} were sent"
        for number in random.sample(numbers, min(COMPARED_OBJECTS, tree.count)):
            if (place := self._differs_at(names[number], tree.size_bytes(number))) is not None:
                return f"{names[number]} has other bytes at the store in the piece from {place}"
        return ""

    def forget(self, key: str) -> None:
        """Remove an object, or all below a prefix."""
        keys = list(self._sizes(key))
        for start in range(0, len(keys), REMOVED_AT_ONCE):
            removed = [{"Key": one} for one in keys[start : start + REMOVED_AT_ONCE]]
            self.client.delete_objects(Bucket=BUCKET, Delete={"Objects": removed, "Quiet": True})

    def _sizes(self, prefix: str) -> dict[str, int]:
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
        return {entry["Key"]: entry["Size"] for page in pages for entry in page.get("Contents", ())}

    def _differs_at(self, key: str, size_bytes: int) -> int | None:
        def read(start: int, count_bytes: int) -> bytes:
            span = f"bytes={start}-{start + count_bytes - 1}"
            body: bytes = self.client.get_object(Bucket=BUCKET, Key=key, Range=span)["Body"].read()
            return body

        return self.pattern.differs_at(read, size_bytes)

    def _put(self, key: str, size_bytes: int) -> None:
        if size_bytes <= PART_BYTES:
            self.client.put_object(Bucket=BUCKET, Key=key, Body=self.pattern.read(0, size_bytes))
            return
        place = {"Bucket": BUCKET, "Key": key}
        place["UploadId"] = self.client.create_multipart_upload(**place)["UploadId"]
        parts: list[dict[str, object]] = []
        for start in range(0, size_bytes, PART_BYTES):
            body = self.pattern.read(start, min(PART_BYTES, size_bytes - start))
            tag = self.client.upload_part(**place, PartNumber=len(parts) + 1, Body=body)["ETag"]
            parts.append({"PartNumber": len(parts) + 1, "ETag": tag})
        self.client.complete_multipart_upload(**place, MultipartUpload={"Parts": parts})


@contextlib.contextmanager
def store_endpoint(name: str, pattern: Pattern, folder: Path) -> Iterator[StoreEndpoint]:
    """Run the named store while the context lasts; its data is kept in `folder`, unless that has a long name."""
    before = tempfile.tempdir
    if len(str(folder)) <= LONGEST_FOLDER_CHARACTERS:
        tempfile.tempdir = str(folder)
    try:
        with SERVERS[name]() as server:
            client = make_s3_client(server)
            with contextlib.closing(client):
                client.create_bucket(Bucket=BUCKET)
                yield StoreEndpoint(name, server.endpoint_url, client, pattern)
    finally:
        tempfile.tempdir = before
