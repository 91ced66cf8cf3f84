import asyncio
import os
import resource
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from operator import contains
from pathlib import Path
from typing import Any

import pytest

from transfer.engine.crew.channel import Channel


class End:
    """One end, and what came to it."""

    def __init__(self, end: socket.socket) -> None:
        self.found: list[Any] = []
        self.files: list[int] = []
        self.ends = 0
        self.refused: Any = None
        self._news = asyncio.Event()
        self.channel = Channel(end, {}, self._take, self._end)

    async def until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self._news.clear()
            await self._news.wait()

    def _take(self, message: Any, descriptor: int | None) -> None:
        self.found.append(message)
        if descriptor is not None:
            self.files.append(descriptor)
        self._news.set()
        if message == self.refused:
            raise ValueError(message)

    def _end(self) -> None:
        self.ends += 1
        self._news.set()


@pytest.fixture
async def ends() -> AsyncIterator[tuple[End, End]]:
    here, there = (End(end) for end in socket.socketpair())
    yield here, there
    for one in (here, there):
        one.channel.close()
        for descriptor in one.files:
            os.close(descriptor)


async def test_messages_arrive_in_order_both_ways(ends: tuple[End, End]) -> None:
    here, there = ends
    for number in range(100):
        here.channel.send(("here", number))
        there.channel.send(("there", number))
        if number % 10 == 0:
            await asyncio.sleep(0)
    await there.until(lambda: len(there.found) == 100)
    await here.until(lambda: len(here.found) == 100)
    assert there.found == [("here", number) for number in range(100)]
    assert here.found == [("there", number) for number in range(100)]


async def test_what_is_larger_than_the_sockets_buffer_arrives_whole(ends: tuple[End, End]) -> None:
    here, there = ends
    large = [bytes([number]) * 3_000_000 for number in range(3)]
    for message in large:
        here.channel.send(message)
        await asyncio.sleep(0)
    here.channel.send("last")
    await there.until(lambda: "last" in there.found)
    assert there.found == [*large, "last"]


async def test_open_files_keep_their_place_among_messages(ends: tuple[End, End], tmp_path: Path) -> None:
    here, there = ends
    here.channel.send(b"x" * 1_000_000)
    for number in range(40):
        path = tmp_path / str(number)
        path.write_text(f"file {number}")
        with path.open("rb") as file:
            here.channel.send(("before", number))
            here.channel.send_with_file(("file", number), file.fileno())
            here.channel.send(("after", number))
            await there.until(partial(contains, there.found, ("after", number)))
    told = [(word, number) for number in range(40) for word in ("before", "file", "after")]
    assert there.found[1:] == told
    assert [os.pread(descriptor, 99, 0).decode() for descriptor in there.files] == [f"file {n}" for n in range(40)]


async def test_a_file_that_comes_with_a_large_message_comes_once(ends: tuple[End, End], tmp_path: Path) -> None:
    here, there = ends
    path = tmp_path / "file"
    path.write_text("content")
    with path.open("rb") as file:
        here.channel.send_with_file(b"y" * 5_000_000, file.fileno())
        here.channel.send("last")
        await there.until(lambda: "last" in there.found)
    assert [os.pread(descriptor, 99, 0) for descriptor in there.files] == [b"content"]


async def test_the_end_of_the_other_side_is_told_once(ends: tuple[End, End]) -> None:
    here, there = ends
    here.channel.send("last words")
    await asyncio.sleep(0)
    here.channel.close()
    here.channel.close()
    await there.until(lambda: there.ends > 0)
    there.channel.send("nobody hears this")
    there.channel.send_with_file("nor this", 0)
    await asyncio.sleep(0)
    assert (there.found, there.ends, here.ends) == (["last words"], 1, 0)


async def test_who_still_sends_learns_of_the_end(ends: tuple[End, End]) -> None:
    here, there = ends
    there.channel.close()
    here.channel.send(b"x" * 5_000_000)
    await here.until(lambda: here.ends > 0)
    assert (here.ends, there.ends) == (1, 0)


async def test_a_closed_one_takes_nothing_any_more(ends: tuple[End, End]) -> None:
    here, there = ends
    here.channel.send("before")
    await asyncio.sleep(0)
    there.channel.close()
    here.channel.send("after")
    await here.until(lambda: here.ends > 0)
    assert there.found == []


@contextmanager
def no_more_descriptors() -> Iterator[None]:
    """Those that are open stay open; no other one can be had."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_a_file_that_cannot_be_taken_ends_it_and_none_takes_its_place(
    ends: tuple[End, End], tmp_path: Path
) -> None:
    here, there = ends
    path = tmp_path / "file"
    path.touch()
    with path.open("rb") as file:
        with no_more_descriptors():
            here.channel.send_with_file("first", file.fileno())
            # The message is at the other end already: it is read in the next turns of the loop.
            for _ in range(3):
                await asyncio.sleep(0)
        here.channel.send_with_file("second", file.fileno())
    await there.until(lambda: bool(there.ends or there.found))
    assert (there.found, there.files, there.ends) == ([], [], 1)


async def test_a_message_whose_handling_fails_comes_once(ends: tuple[End, End]) -> None:
    here, there = ends
    errors: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, what: errors.append(what["exception"]))
    there.refused = "refused"
    here.channel.send("refused")
    await there.until(lambda: len(there.found) == 1)
    here.channel.send("next")
    await there.until(lambda: len(there.found) == 2)
    assert there.found == ["refused", "next"]
    assert [type(error) for error in errors] == [ValueError]
