"""aiobotocore, part by part: what a program does that calls it directly, with boto3's sizes and concurrency.

Parts and ranges of 8 MiB from 8 MiB on, 10 requests at a time. The bodies of parts are held in memory.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any, TypeAlias

from aiobotocore.config import AioConfig
from aiobotocore.session import get_session

from benchmarks.peers.spread import each, spread
from benchmarks.peers.task import REGION, Task, print_keys, run

CONCURRENCY = 10
PART_BYTES = 8 << 20
Client: TypeAlias = Any
"""aiobotocore makes the classes of its clients while it runs."""


async def upload(client: Client, task: Task) -> None:
    """Upload all files; files of a tree go at a time, and the parts of each at a time within the same limit."""
    gate = asyncio.Semaphore(_width(task))

    async def send(job: tuple[Path, str]) -> None:
        path, key = job
        size_bytes = path.stat().st_size
        if size_bytes > PART_BYTES:
            await _upload_parts(client, task, job, range(0, size_bytes, PART_BYTES), gate)
            return
        async with gate:
            await client.put_object(Bucket=task.bucket, Key=key, Body=path.read_bytes())

    await spread(each(task.files()), send, _width(task))


async def download(client: Client, task: Task) -> None:
    """Download all objects; large ones range by range."""
    gate = asyncio.Semaphore(_width(task))

    async def fetch(job: tuple[str, int]) -> None:
        key, size_bytes = job
        with task.target(key).open("wb") as file:

            async def fetch_range(start: int) -> None:
                asked = {"Range": f"bytes={start}-{start + PART_BYTES - 1}"} if size_bytes > PART_BYTES else {}
                async with gate:
                    answer = await client.get_object(Bucket=task.bucket, Key=key, **asked)
                    async with answer["Body"] as body:
                        os.pwrite(file.fileno(), await body.read(), start)

            await spread(each(range(0, max(1, size_bytes), PART_BYTES)), fetch_range, _width(task))

    await spread(_objects(client, task), fetch, _width(task))


async def list_keys(client: Client, task: Task) -> None:
    """Print all keys below the prefix."""
    async for page in client.get_paginator("list_objects_v2").paginate(Bucket=task.bucket, Prefix=task.key):
        print_keys(entry["Key"] for entry in page.get("Contents", ()))


async def _upload_parts(
    client: Client, task: Task, job: tuple[Path, str], starts: range, gate: asyncio.Semaphore
) -> None:
    path, key = job
    place = {"Bucket": task.bucket, "Key": key}
    place["UploadId"] = (await client.create_multipart_upload(**place))["UploadId"]
    parts: dict[int, dict[str, object]] = {}
    with path.open("rb") as file:

        async def send(start: int) -> None:
            number = start // PART_BYTES + 1
            async with gate:
                body = os.pread(file.fileno(), PART_BYTES, start)
                answer = await client.upload_part(**place, PartNumber=number, Body=body)
            checksums = {name: value for name, value in answer.items() if name == "ChecksumCRC32"}
            parts[number] = {"PartNumber": number, "ETag": answer["ETag"], **checksums}

        await spread(each(starts), send, _width(task))
    done = {"Parts": [parts[number] for number in sorted(parts)]}
    await client.complete_multipart_upload(**place, MultipartUpload=done)


async def _objects(client: Client, task: Task) -> AsyncIterator[tuple[str, int]]:
    if not task.is_tree:
        found = await client.head_object(Bucket=task.bucket, Key=task.key)
        yield task.key, found["ContentLength"]
        return
    async for page in client.get_paginator("list_objects_v2").paginate(Bucket=task.bucket, Prefix=task.key):
        for entry in page.get("Contents", ()):
            yield entry["Key"], entry["Size"]


def _width(task: Task) -> int:
    return task.concurrency or CONCURRENCY


def _with_client(action: Callable[[Client, Task], Coroutine[None, None, None]]) -> Callable[[Task], None]:
    async def act(task: Task) -> None:
        config = AioConfig(max_pool_connections=_width(task))
        async with get_session().create_client(
            "s3", region_name=REGION, endpoint_url=task.endpoint_url, config=config
        ) as client:
            await action(client, task)

    return lambda task: asyncio.run(act(task))


if __name__ == "__main__":
    run({"upload": _with_client(upload), "download": _with_client(download), "list": _with_client(list_keys)})
