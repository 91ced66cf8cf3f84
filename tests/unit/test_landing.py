import errno
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from transfer.model.errors import LocalFileError, NameClashError, TransferError, UnsafeKeyError
from transfer.stores.local import folders, landing
from transfer.stores.local.landing import OpenFolders, WholeFile, land
from transfer.stores.local.storage import sync_file
from transfer.system.positional import write_at


@pytest.fixture(params=["unnamed", "temporary"])
def system(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "temporary":
        monkeypatch.setattr(folders, "_UNNAMED", 0)


@pytest.fixture
def opened() -> Iterator[OpenFolders]:
    with OpenFolders() as opened:
        yield opened


def whole(root: Path | str, relative: str, content: bytes = b"bytes", mtime_ns: int | None = None) -> WholeFile:
    return WholeFile(str(root), relative, content, mtime_ns, keeps_spelling=True)


def below(root: Path) -> list[str]:
    return sorted(
        path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_symlink() or not path.is_dir()
    )


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def error_of(results: Sequence[str | TransferError]) -> TransferError:
    [error] = [result for result in results if isinstance(result, TransferError)]
    return error


@pytest.mark.usefixtures("system")
def test_files_land_whole_in_new_folders(tmp_path: Path) -> None:
    before = open_descriptors()
    root = tmp_path / "new" / "root"
    names = [f"{folder}f{number}" for folder in ("", "a/", "a/b/", "c/", "d/", "e/") for number in range(2)]
    with OpenFolders() as opened:
        results = land([whole(root, name, name.encode(), 1_700_000_000_123_456_789) for name in names], opened)
    assert results == [str(root / name) for name in names]
    assert below(root) == sorted(names)
    for name in names:
        assert (root / name).read_bytes() == name.encode()
        assert (root / name).stat().st_mtime_ns == 1_700_000_000_123_456_789
    assert open_descriptors() == before


@pytest.mark.usefixtures("system")
def test_paths_are_told_as_the_user_writes_them(
    tmp_path: Path, opened: OpenFolders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    files = [whole("", "f"), whole("", "a/f"), whole(".", "g"), whole("out/", "f"), whole("out/", "a/f")]
    assert land(files, opened) == ["f", "a/f", "g", "out/f", "out/a/f"]


@pytest.mark.usefixtures("system")
@pytest.mark.skipif(not hasattr(os, "fchmod"), reason="the system has no such permissions")
def test_the_users_umask_decides_the_permissions(tmp_path: Path, opened: OpenFolders) -> None:
    umask = os.umask(0)
    os.umask(umask)
    land([whole(tmp_path, "f")], opened)
    assert stat.S_IMODE((tmp_path / "f").stat().st_mode) == 0o666 & ~umask


@pytest.mark.usefixtures("system")
def test_what_has_the_name_is_replaced_and_a_link_is_not_followed(tmp_path: Path, opened: OpenFolders) -> None:
    (tmp_path / "old").write_bytes(b"a longer content")
    (tmp_path / "link").symlink_to("old")
    assert land([whole(tmp_path, "link")], opened) == [str(tmp_path / "link")]
    assert (tmp_path / "old").read_bytes() == b"a longer content"
    assert land([whole(tmp_path, "old")], opened) == [str(tmp_path / "old")]
    assert (tmp_path / "old").read_bytes() == (tmp_path / "link").read_bytes() == b"bytes"
    assert not (tmp_path / "link").is_symlink()


@pytest.mark.usefixtures("system")
@pytest.mark.parametrize(
    ("relative", "kind"),
    [
        ("folder", NameClashError),
        ("file/f", NameClashError),
        ("link/f", LocalFileError),
        ("../f", UnsafeKeyError),
        ("a/", UnsafeKeyError),
        ("..", UnsafeKeyError),
        ("", LocalFileError),
        ("n" * 300, LocalFileError),
    ],
)
def test_only_what_cannot_land_fails(
    tmp_path: Path, opened: OpenFolders, relative: str, kind: type[TransferError]
) -> None:
    root = tmp_path / "root"
    (root / "folder").mkdir(parents=True)
    (root / "file").write_bytes(b"old")
    (root / "link").symlink_to(tmp_path)
    results = land([whole(root, "before"), whole(root, relative), whole(root, "after")], opened)
    assert isinstance(error_of(results), kind)
    assert below(root) == ["after", "before", "file", "link"]
    assert below(tmp_path) == [f"root/{name}" for name in below(root)]


@pytest.mark.usefixtures("system")
def test_a_full_disk_costs_only_what_does_not_fit(
    tmp_path: Path, opened: OpenFolders, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(fd: int, view: memoryview, offset: int) -> None:
        write_at(fd, view[: len(view) // 2], offset)
        if len(view) > 10:
            raise OSError(errno.ENOSPC, "No space left on device")
        write_at(fd, view[len(view) // 2 :], offset + len(view) // 2)

    monkeypatch.setattr(landing, "write_at", write)
    results = land([whole(tmp_path, "a"), whole(tmp_path, "large", b"x" * 11), whole(tmp_path, "b")], opened)
    error = error_of(results)
    assert error.remedy == "free space on the disk or choose another folder"
    assert error.subject == str(tmp_path / "large")
    assert below(tmp_path) == ["a", "b"]
    assert (tmp_path / "b").read_bytes() == b"bytes"


def test_a_time_that_no_file_can_have_fails_and_leaves_nothing(tmp_path: Path, opened: OpenFolders) -> None:
    assert isinstance(error_of(land([whole(tmp_path, "f", mtime_ns=10**30)], opened)), LocalFileError)
    assert below(tmp_path) == []


@pytest.mark.parametrize("becomes", ["nothing", "another", "a link"])
def test_a_folder_that_went_away_meanwhile_is_no_place_any_more(
    tmp_path: Path, opened: OpenFolders, becomes: str
) -> None:
    root, away = tmp_path / "root", tmp_path / "away"
    assert land([whole(root, "a/f")], opened) == [str(root / "a/f")]
    (root / "a").rename(away)
    if becomes == "another":
        (root / "a").mkdir()
    elif becomes == "a link":
        (tmp_path / "elsewhere").mkdir()
        (root / "a").symlink_to(tmp_path / "elsewhere")
    results = land([whole(root, "a/g")], opened)
    assert below(away) == ["f"]
    if becomes == "a link":
        assert "symbolic link" in error_of(results).message
        assert below(tmp_path / "elsewhere") == []
    else:
        assert below(root) == ["a/g"]


def record_calls(monkeypatch: pytest.MonkeyPatch, calls: list[str]) -> None:
    def recorded(name: str, call: Callable[..., object]) -> Callable[..., object]:
        def run(*args: object, **options: object) -> object:
            calls.append(name)
            return call(*args, **options)

        return run

    monkeypatch.setattr(landing, "write_at", recorded("write", write_at))
    monkeypatch.setattr(landing, "sync_file", recorded("sync", sync_file))
    monkeypatch.setattr(folders.Folder, "link", recorded("link", folders.Folder.link))
    monkeypatch.setattr(folders.Folder, "sync", recorded("sync folder", folders.Folder.sync))


@pytest.mark.skipif(not hasattr(os, "O_TMPFILE"), reason="the system has no files without a name")
def test_bytes_are_on_the_disk_before_the_name_and_names_once_a_folder(
    tmp_path: Path, opened: OpenFolders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(landing, "is_in_memory", lambda _: False)
    (tmp_path / "a").mkdir()
    calls: list[str] = []
    record_calls(monkeypatch, calls)
    land([whole(tmp_path, "a/f"), whole(tmp_path, "g"), whole(tmp_path, "a/h")], opened)
    assert calls == ["write", "sync", "link"] * 2 + ["sync folder"] + ["write", "sync", "link", "sync folder"]


@pytest.mark.skipif(not hasattr(os, "O_TMPFILE"), reason="the system has no files without a name")
def test_names_that_cannot_be_made_durable_are_no_success(
    tmp_path: Path, opened: OpenFolders, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: folders.Folder) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(landing, "is_in_memory", lambda _: False)
    monkeypatch.setattr(folders.Folder, "sync", refuse)
    results = land([whole(tmp_path, "f"), whole(tmp_path, "g"), whole(tmp_path, "../h")], opened)
    assert [isinstance(result, LocalFileError) for result in results] == [True, True, False]
    assert [getattr(result, "subject", None) for result in results[:2]] == [str(tmp_path / "f"), str(tmp_path / "g")]
