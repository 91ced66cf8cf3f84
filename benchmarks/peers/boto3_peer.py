"""boto3, with its classic transfer manager: threads, one pool for all files of a tree."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

import boto3
from boto3.s3.transfer import TransferConfig, create_transfer_manager

from benchmarks.peers.task import Task, print_keys, run

Client: TypeAlias = Any
"""boto3 makes the classes of its clients while it runs."""


def upload(task: Task) -> None:
    """Upload all files through one transfer manager."""
    with create_transfer_manager(_client(task), _config(task)) as manager:
        futures = [manager.upload(str(path), task.bucket, key) for path, key in task.files()]
        for future in futures:
            future.result()


def download(task: Task) -> None:
    """Download all objects through one transfer manager."""
    client = _client(task)
    with create_transfer_manager(client, _config(task)) as manager:
        keys = _keys(client, task) if task.is_tree else iter([task.key])
        futures = [manager.download(task.bucket, key, str(task.target(key))) for key in keys]
        for future in futures:
            future.result()


def list_keys(task: Task) -> None:
    """Print all keys below the prefix."""
    print_keys(_keys(_client(task), task))


def _client(task: Task) -> Client:
    return boto3.client("s3", endpoint_url=task.endpoint_url)


def _config(task: Task) -> TransferConfig:
    if task.concurrency is None:
        return TransferConfig(preferred_transfer_client="classic")
    return TransferConfig(preferred_transfer_client="classic", max_concurrency=task.concurrency)


def _keys(client: Client, task: Task) -> Iterator[str]:
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=task.bucket, Prefix=task.key):
        for entry in page.get("Contents", ()):
            yield entry["Key"]


if __name__ == "__main__":
    run({"upload": upload, "download": download, "list": list_keys})
