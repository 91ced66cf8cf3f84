import os
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from transfer.engine import finished
from transfer.engine.context import Context
from transfer.engine.fingerprints import finished_file, finished_object
from transfer.engine.finished import BATCH_ITEMS, without_finished
from transfer.engine.items import DownloadItem, FolderItem, PrintItem, StreamUploadItem, UploadItem
from transfer.engine.job import Job
from transfer.engine.planning import Planned
from transfer.engine.threads import Threads
from transfer.model.errors import LocalFileError
from transfer.model.locations import S3Location
from transfer.model.objects import ListedObject
from transfer.model.progress import Progress
from transfer.model.receipts import Failure, Skip

KEY = S3Location("b", "k")


class Memory:
    """What a job remembers, as a table."""

    def __init__(self, fingerprints: Mapping[str, str]) -> None:
        self._fingerprints = fingerprints
        self.earlier_items = len(fingerprints)
        self.asked: list[Sequence[str]] = []

    async def finished(self, names: Sequence[str]) -> Mapping[str, str]:
        self.asked.append(names)
        return {name: self._fingerprints[name] for name in names if name in self._fingerprints}


@pytest.fixture
def context() -> Context:
    made = SimpleNamespace(threads=Threads(), progress=Progress())
    made.destination = made
    return cast("Context", made)


@pytest.fixture(autouse=True)
def at_store(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Keys and sizes that the store lists; at first whatever is asked for, as `upload` makes it."""
    listed_sizes: dict[str, int] = {}

    async def sizes(context: Context, bucket: str, keys: Sequence[str]) -> dict[str, int]:
        assert bucket == "b"
        return {key: listed_sizes.get(key, 5) for key in keys if listed_sizes.get(key, 5) >= 0}

    monkeypatch.setattr(finished, "sizes_of_keys", sizes)
    return listed_sizes


async def left_of(context: Context, memory: Memory, *planned: Planned) -> list[Planned]:
    async def items() -> AsyncIterator[Planned]:
        for item in planned:
            yield item

    return [item async for item in without_finished(context, cast("Job", memory), items())]


def upload(key: str = "k", size: int | None = 5, mtime_ns: int | None = 7) -> UploadItem:
    return UploadItem("/a", S3Location("b", key), size, mtime_ns)


def download(path: Path, size: int = 5, etag: str = '"e"') -> DownloadItem:
    return DownloadItem(KEY, str(path.parent), path.name, listed(size, etag))


def listed(size: int, etag: str) -> ListedObject:
    values: dict[str, Any] = {"key": "k", "size": size, "etag": etag, "modified_seconds": 0.0}
    return ListedObject(**values)


async def test_same_file_is_left_out(context: Context) -> None:
    memory = Memory({"s3://b/k": finished_file(5, 7)})
    other = upload("other")
    assert await left_of(context, memory, upload(), other) == [other]
    assert context.progress.items_resumed == 1


@pytest.mark.parametrize("size", [-1, 0, 4, 6])
async def test_file_whose_object_is_gone_or_another_is_not(
    context: Context, at_store: dict[str, int], size: int
) -> None:
    at_store["k"] = size
    memory = Memory({"s3://b/k": finished_file(5, 7)})
    assert await left_of(context, memory, upload()) == [upload()]
    assert context.progress.items_resumed == 0


@pytest.mark.parametrize("item", [upload(size=6), upload(mtime_ns=8), upload(size=None), upload(mtime_ns=None)])
async def test_changed_file_is_not(context: Context, item: UploadItem) -> None:
    assert await left_of(context, Memory({"s3://b/k": finished_file(5, 7)}), item) == [item]
    assert context.progress.items_resumed == 0


async def test_same_object_is_left_out_while_its_file_is_there(context: Context, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    memory = Memory({str(path): finished_object(5, '"e"')})
    assert await left_of(context, memory, download(path)) == []


async def test_object_is_found_by_its_absolute_path(
    context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "file").write_bytes(b"12345")
    memory = Memory({str(tmp_path / "sub" / "file"): finished_object(5, '"e"')})
    for root in ("sub", "./sub/", str(tmp_path / "sub")):
        assert await left_of(context, memory, DownloadItem(KEY, root, "file", listed(5, '"e"'))) == []


@pytest.mark.parametrize("other", ["size", "etag"])
async def test_changed_object_is_not(context: Context, tmp_path: Path, other: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    memory = Memory({str(path): finished_object(5, '"e"')})
    item = download(path, 6) if other == "size" else download(path, 5, '"f"')
    assert await left_of(context, memory, item) == [item]


@pytest.mark.parametrize("there", [None, b"", b"1234", b"123456"])
async def test_object_whose_file_is_gone_or_cut_is_not(context: Context, tmp_path: Path, there: bytes | None) -> None:
    path = tmp_path / "file"
    if there is not None:
        path.write_bytes(there)
    memory = Memory({str(path): finished_object(5, '"e"')})
    item = download(path)
    assert await left_of(context, memory, item) == [item]


async def test_link_in_the_place_of_the_file_is_not_the_file(context: Context, tmp_path: Path) -> None:
    (tmp_path / "other").write_bytes(b"12345")
    path = tmp_path / "file"
    path.symlink_to(tmp_path / "other")
    assert os.path.getsize(path) == 5  # noqa: PTH202 - as text
    item = download(path)
    assert await left_of(context, Memory({str(path): finished_object(5, '"e"')}), item) == [item]


async def test_all_else_passes_in_order(context: Context) -> None:
    others: list[Planned] = [
        Skip("/x", "a reason"),
        Failure("/y", "s3://b/k", LocalFileError("unreadable")),
        FolderItem(KEY, "/root", "sub"),
        StreamUploadItem(KEY),
        PrintItem(KEY),
        upload("other"),
    ]
    assert await left_of(context, Memory({"s3://b/k": finished_file(5, 7)}), *others) == others


async def test_nothing_is_looked_up_when_nothing_was_finished(context: Context) -> None:
    memory = Memory({})
    assert await left_of(context, memory, upload()) == [upload()]
    assert memory.asked == []


@pytest.mark.parametrize("count", [1, BATCH_ITEMS - 1, BATCH_ITEMS, BATCH_ITEMS + 1, 2 * BATCH_ITEMS + 3])
async def test_many_are_looked_up_together(context: Context, count: int) -> None:
    items = [upload(f"k{number}") for number in range(count)]
    memory = Memory({str(item.destination): finished_file(5, 7) for item in items[::2]})
    assert await left_of(context, memory, *items) == items[1::2]
    assert max(map(len, memory.asked)) <= BATCH_ITEMS
    assert sum(map(len, memory.asked)) == count
    assert context.progress.items_resumed == len(items[::2])
