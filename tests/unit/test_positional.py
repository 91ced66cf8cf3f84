import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from transfer.system import positional

Read = Callable[[int, memoryview, int], int]
Write = Callable[[int, memoryview, int], None]


@pytest.fixture
def fd(tmp_path: Path) -> Iterator[int]:
    opened = os.open(tmp_path / "data", os.O_RDWR | os.O_CREAT)
    os.write(opened, bytes(range(100)))
    yield opened
    os.close(opened)


@pytest.mark.parametrize("read", [positional.read_by_position, positional.read_by_seeking])
@pytest.mark.parametrize(("offset", "length", "got"), [(0, 100, 100), (7, 10, 10), (95, 10, 5), (100, 1, 0)])
def test_reading_stops_at_the_end(fd: int, read: Read, offset: int, length: int, got: int) -> None:
    buffer = bytearray(length)
    assert read(fd, memoryview(buffer), offset) == got
    assert buffer[:got] == bytes(range(100))[offset : offset + got]


@pytest.mark.parametrize("write", [positional.write_by_position, positional.write_by_seeking])
def test_all_is_written_at_its_place(fd: int, write: Write) -> None:
    write(fd, memoryview(b"abc"), 50)
    write(fd, memoryview(b"end"), 100)
    content = os.pread(fd, 200, 0)
    assert content == bytes(range(50)) + b"abc" + bytes(range(53, 100)) + b"end"


@pytest.mark.parametrize("write", [positional.write_by_position, positional.write_by_seeking])
def test_a_short_write_goes_on_where_it_stopped(fd: int, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    pwrite, plain = os.pwrite, os.write
    monkeypatch.setattr(os, "pwrite", lambda fd, view, offset: pwrite(fd, view[:3], offset))
    monkeypatch.setattr(os, "write", lambda fd, view: plain(fd, view[:3]))
    write(fd, memoryview(b"abcdefgh"), 10)
    assert os.pread(fd, 8, 10) == b"abcdefgh"
