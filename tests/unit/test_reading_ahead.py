import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from transfer.engine import reading_ahead
from transfer.engine.context import Context
from transfer.engine.items import UploadItem
from transfer.engine.reading_ahead import read_ahead
from transfer.model.errors import LocalFileError
from transfer.model.locations import S3Location
from transfer.plan.parts import SMALL_BODY_BYTES
from transfer.stores.local import source
from transfer.stores.local.source import ReadFile

CONTENTS = [b"one", b"", b"three" * 1000]


class CountingThreads:
    def __init__(self) -> None:
        self.visits = 0

    async def run(self, work: Callable[[], Any]) -> Any:
        self.visits += 1
        return work()


@pytest.fixture
def threads() -> CountingThreads:
    return CountingThreads()


@pytest.fixture
def items(tmp_path: Path) -> list[UploadItem]:
    for number, content in enumerate(CONTENTS):
        (tmp_path / str(number)).write_bytes(content)
    return [
        UploadItem(str(tmp_path / str(number)), S3Location("b", str(number)), len(content))
        for number, content in enumerate(CONTENTS)
    ]


async def read(threads: CountingThreads, *batches: list[UploadItem]) -> list[UploadItem]:
    async def found() -> AsyncIterator[list[UploadItem]]:
        for batch in batches:
            yield list(batch)

    context = cast(Context, SimpleNamespace(threads=threads))
    return [item async for item in read_ahead(context, found(), lambda item: item, lambda _, item: item)]


def contents(items: list[UploadItem]) -> list[bytes]:
    return [item.read.content for item in items if isinstance(item.read, ReadFile)]


async def test_what_is_in_memory_is_read_on_the_spot(
    threads: CountingThreads, items: list[UploadItem], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "is_in_memory", lambda _: True)
    assert contents(await read(threads, items)) == CONTENTS
    assert threads.visits == 0


async def test_a_disk_is_waited_for_in_a_thread_by_all_together(
    threads: CountingThreads, items: list[UploadItem], monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_cached(_: int, size: int) -> bytes:
        if size > 3:
            raise BlockingIOError
        return CONTENTS[0][:size]

    monkeypatch.setattr(source, "is_in_memory", lambda _: False)
    monkeypatch.setattr(source, "_read_cached", read_cached)
    assert contents(await read(threads, items, [items[0]], [items[2], items[0], items[2]])) == [
        *CONTENTS,
        CONTENTS[0],
        CONTENTS[2],
        CONTENTS[0],
        CONTENTS[2],
    ]
    assert threads.visits == 2


async def test_a_file_system_that_cannot_tell_is_asked_once(
    threads: CountingThreads, items: list[UploadItem], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def read_cached(fd: int, _: int) -> bytes:
        asked.append(fd)
        raise NotImplementedError

    monkeypatch.setattr(source, "is_in_memory", lambda _: False)
    monkeypatch.setattr(source, "_read_cached", read_cached)
    assert contents(await read(threads, items, items)) == 2 * CONTENTS
    assert len(asked) == 1
    assert threads.visits == 2


@pytest.mark.parametrize("in_memory", [True, False])
async def test_only_the_file_that_cannot_be_read_fails(
    threads: CountingThreads, items: list[UploadItem], monkeypatch: pytest.MonkeyPatch, in_memory: bool
) -> None:
    monkeypatch.setattr(source, "is_in_memory", lambda _: in_memory)
    Path(items[1].path).unlink()
    read_items = await read(threads, items)
    assert isinstance(read_items[1].read, LocalFileError)
    assert contents(read_items) == [CONTENTS[0], CONTENTS[2]]


def test_what_the_page_cache_holds_is_read_whole(items: list[UploadItem], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "is_in_memory", lambda _: False)
    try:
        found = [ReadFile(item.path, may_wait=False).content for item in items]
    except (BlockingIOError, NotImplementedError):
        # The disk below the tests says that it would wait: then nothing is read at all.
        found = CONTENTS
    assert found == CONTENTS


@pytest.mark.skipif(not hasattr(os, "RWF_NOWAIT"), reason="the system cannot say that it would wait")
def test_half_a_file_in_the_page_cache_is_no_file(items: list[UploadItem], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "is_in_memory", lambda _: False)
    monkeypatch.setattr(os, "preadv", lambda *_: 1)
    with pytest.raises(BlockingIOError):
        ReadFile(items[2].path, may_wait=False)


async def test_no_more_is_read_at_a_time_than_memory_allows(
    threads: CountingThreads, items: list[UploadItem], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "is_in_memory", lambda _: False)
    monkeypatch.setattr(source, "_read_cached", lambda *_: (_ for _ in ()).throw(BlockingIOError()))
    monkeypatch.setattr(reading_ahead, "BATCH_BYTES", 2 * len(CONTENTS[2]))
    large = UploadItem(items[0].path, items[0].destination, SMALL_BODY_BYTES + 1)
    batch = [items[2], large, items[2], items[0], items[2], items[1]]
    read_items = await read(threads, batch)
    assert [item.path for item in read_items] == [item.path for item in batch]
    assert [item.read is None for item in read_items] == [False, True, False, False, False, False]
    assert threads.visits == 2
