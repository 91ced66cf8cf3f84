"""What the tests of the engine arrange and look at: contents, trees, buckets, and the end of a run."""

import random
from collections.abc import AsyncIterable, Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import anyio

T = TypeVar("T")

MIB = 1024 * 1024
PART = 5 * MIB
MULTIPART_SIZE = 16 * MIB + 12_345
"""Just above the size from which files go in parts: four of the smallest ones, the last of them short."""
WAIT_SECONDS = 30.0


def sample(size: int, seed: int = 0) -> bytes:
    """The same bytes, that nothing can compress, for the same arguments."""
    return random.Random(seed).randbytes(size)


def write_tree(root: Path, files: Mapping[str, bytes]) -> None:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def read_tree(root: Path) -> dict[str, bytes]:
    """Every file below a folder, temporary ones included, by its relative path."""
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def put_objects(oracle: Any, bucket: str, objects: Mapping[str, bytes]) -> None:
    for key, content in objects.items():
        oracle.put_object(Bucket=bucket, Key=key, Body=content)


def get_object(oracle: Any, bucket: str, key: str) -> bytes:
    content = oracle.get_object(Bucket=bucket, Key=key)["Body"].read()
    assert isinstance(content, bytes)
    return content


def keys_in(oracle: Any, bucket: str) -> list[str]:
    pages = oracle.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    return [found["Key"] for page in pages for found in page.get("Contents", ())]


def objects_in(oracle: Any, bucket: str) -> dict[str, bytes]:
    return {key: get_object(oracle, bucket, key) for key in keys_in(oracle, bucket)}


def unfinished_uploads(oracle: Any, bucket: str) -> list[str]:
    return [found["Key"] for found in oracle.list_multipart_uploads(Bucket=bucket).get("Uploads", ())]


async def settled(outcomes: AsyncIterable[T]) -> list[T]:
    return [outcome async for outcome in outcomes]


async def until(condition: Callable[[], bool]) -> None:
    """Wait until a condition holds, giving way to the work it waits for."""
    with anyio.fail_after(WAIT_SECONDS):
        while not condition():
            await anyio.sleep(0)
