import os
import socket
from pathlib import Path

import pytest

from transfer.model.errors import LocalFileError, SourceChangedError
from transfer.stores.local.source import SourceFile


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "clip.mov"
    path.write_bytes(b"0123456789")
    return path


def test_an_open_source_tells_what_it_is_and_can_be_read(path: Path) -> None:
    with SourceFile(str(path)) as source:
        assert source.size == 10
        assert source.mtime_ns == path.stat().st_mtime_ns
        assert source.path == str(path)
        assert os.pread(source.fd, 4, 3) == b"3456"
        assert os.get_blocking(source.fd)
        assert not os.get_inheritable(source.fd)
        source.advise(0, 10)
        source.check_unchanged()
    assert source.fd == -1
    source.close()


def test_links_are_followed(path: Path) -> None:
    link = path.with_name("link")
    link.symlink_to(path)
    with SourceFile(str(link)) as source:
        assert source.size == 10
        source.check_unchanged()


def rewrite(path: Path) -> None:
    path.write_bytes(b"9876543210")
    os.utime(path, ns=(5, 5))


def grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def replace(path: Path) -> None:
    status = path.stat()
    other = path.with_name("other")
    other.write_bytes(b"0123456789")
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
    other.rename(path)


@pytest.mark.parametrize("change", [rewrite, grow, replace, Path.unlink])
def test_a_change_while_reading_is_noticed(path: Path, change: object) -> None:
    assert callable(change)
    with SourceFile(str(path)) as source:
        change(path)
        with pytest.raises(SourceChangedError) as caught:
            source.check_unchanged()
    assert caught.value.subject == str(path)


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.parametrize("kind", ["missing", "folder", "pipe", "socket", "device", "below a file"])
def test_what_is_no_regular_file_is_refused_at_once(path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(path.parent)
    Path("folder").mkdir()
    os.mkfifo("pipe")
    Path("device").symlink_to("/dev/null")
    name = "clip.mov/x" if kind == "below a file" else kind
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
        before = open_descriptors()
        with pytest.raises(LocalFileError) as caught:
            SourceFile(name)
    assert caught.value.subject == name
    assert open_descriptors() <= before


def test_a_pipe_put_in_place_of_the_file_neither_blocks_nor_passes(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = path.with_name("pipe")
    os.mkfifo(pipe)
    real = os.open
    monkeypatch.setattr(os, "open", lambda _, flags: real(pipe, flags))
    before = open_descriptors()
    with pytest.raises(LocalFileError, match="named pipe"):
        SourceFile(str(path))
    assert open_descriptors() == before


def test_a_file_that_may_not_be_read_names_the_remedy(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str, flags: int) -> int:
        raise PermissionError(13, "Permission denied", name)

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(LocalFileError, match="permission denied; check the permissions"):
        SourceFile(str(path))
