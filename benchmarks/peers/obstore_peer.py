"""obstore: `put` with its defaults, and downloads by ranges, since its `get` is one stream.

Ranges are as many and small objects as concurrent as its own uploads: 12 at a time. Its blocking calls are used, from
threads: after the asynchronous ones a process now and then aborts while the interpreter ends.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import obstore
from obstore.store import S3Store

from benchmarks.peers.task import REGION, Task, print_keys, run

if TYPE_CHECKING:
    from obstore.store import ClientConfig

CONCURRENCY = 12
RANGE_BYTES = 8 << 20
Job = TypeVar("Job")


def upload(task: Task) -> None:
    """Upload all files."""
    store, width = _store(task), task.concurrency or CONCURRENCY

    def send(job: tuple[Path, str]) -> None:
        obstore.put(store, job[1], job[0], max_concurrency=width)

    _spread(send, task.files(), width)


def download(task: Task) -> None:
    """Download all objects; large ones range by range, one after the other."""
    store, width = _store(task), task.concurrency or CONCURRENCY
    if not task.is_tree:
        _fetch_ranges(store, task.key, Path(task.path), obstore.head(store, task.key)["size"], width)
        return
    large: list[tuple[str, int]] = []

    def fetch(job: tuple[str, int]) -> None:
        key, size_bytes = job
        if size_bytes > RANGE_BYTES:
            large.append(job)
        else:
            task.target(key).write_bytes(obstore.get(store, key).bytes())

    pages = obstore.list(store, task.key, chunk_size=1000)
    _spread(fetch, ((entry["path"], entry["size"]) for entries in pages for entry in entries), width)
    for key, size_bytes in large:
        _fetch_ranges(store, key, task.target(key), size_bytes, width)


def list_keys(task: Task) -> None:
    """Print all keys below the prefix."""
    pages = obstore.list(_store(task), task.key, chunk_size=1000)
    print_keys(entry["path"] for entries in pages for entry in entries)


def _fetch_ranges(store: S3Store, key: str, target: Path, size_bytes: int, width: int) -> None:
    with target.open("wb") as file:

        def fetch(start: int) -> None:
            length = min(RANGE_BYTES, size_bytes - start)
            os.pwrite(file.fileno(), obstore.get_range(store, key, start=start, length=length), start)

        _spread(fetch, range(0, size_bytes, RANGE_BYTES), width)


def _spread(do: Callable[[Job], None], jobs: Iterable[Job], width: int) -> None:
    with ThreadPoolExecutor(width) as threads:
        for _ in threads.map(do, jobs):
            pass


def _store(task: Task) -> S3Store:
    options: ClientConfig = {"allow_http": True}
    if task.ca_bundle:
        options["root_certificate"] = Path(task.ca_bundle).read_bytes()
    return S3Store(
        task.bucket,
        endpoint=task.endpoint_url,
        region=REGION,
        virtual_hosted_style_request=False,
        client_options=options,
    )


if __name__ == "__main__":
    run({"upload": upload, "download": download, "list": list_keys})
