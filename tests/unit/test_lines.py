"""Lines of files, however they are cut."""

from pathlib import Path

import pytest

from transfer.model.errors import LocalFileError, UsageError
from transfer.stores.local import lines
from transfer.stores.local.lines import Lines


async def _read(path: Path) -> list[tuple[int, str]]:
    with Lines(str(path)) as source:
        return [(line.number, line.text) async for batch in source.batches() for line in batch]


@pytest.mark.parametrize("chunk", [1, 2, 3, 5, 1000])
async def test_lines_are_whole_wherever_chunks_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    monkeypatch.setattr(lines, "CHUNK_BYTES", chunk)
    path = tmp_path / "l"
    path.write_bytes("one\n\r\n two \r\nü\nlast".encode())

    assert await _read(path) == [(1, "one"), (2, ""), (3, " two "), (4, "ü"), (5, "last")]


async def test_nothing_is_no_line(tmp_path: Path) -> None:
    path = tmp_path / "l"
    path.write_bytes(b"")

    assert await _read(path) == []


async def test_endless_line_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "LONGEST_LINE_BYTES", 100)
    path = tmp_path / "l"
    path.write_bytes(bytes(1000))
    monkeypatch.setattr(lines, "CHUNK_BYTES", 200)

    with pytest.raises(UsageError):
        await _read(path)


async def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(LocalFileError, match="gone"):
        await _read(tmp_path / "gone")
