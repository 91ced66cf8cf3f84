import os
import socket
from pathlib import Path

import pytest

from transfer.model.errors import LocalFileError
from transfer.stores.local.walk import WalkedFile, WalkWarning, expand_wildcard, walk_files


def make(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())


def relatives(root: Path, *, follow_symlinks: bool = True) -> list[str]:
    met = list(walk_files(str(root), follow_symlinks=follow_symlinks))
    assert not [item for item in met if isinstance(item, WalkWarning)]
    return [item.relative for item in met if isinstance(item, WalkedFile)]


def warnings(root: Path, *, follow_symlinks: bool = True) -> list[tuple[str, str]]:
    met = walk_files(str(root), follow_symlinks=follow_symlinks)
    return [(Path(item.path).name, item.reason) for item in met if isinstance(item, WalkWarning)]


def test_folders_sort_as_if_they_ended_in_a_slash(tmp_path: Path) -> None:
    make(tmp_path, "a/x", "a.b", "a-b", "a0", "B", "é", "z/y/x", "z/y.x")
    assert relatives(tmp_path) == ["B", "a-b", "a.b", "a/x", "a0", "z/y.x", "z/y/x", "é"]


def test_a_file_is_described(tmp_path: Path) -> None:
    make(tmp_path, "d/file")
    os.utime(tmp_path / "d/file", ns=(1, 1_700_000_000_123_456_789))
    [found] = walk_files(str(tmp_path), follow_symlinks=True)
    assert found == WalkedFile(str(tmp_path / "d" / "file"), "d/file", 6, 1_700_000_000_123_456_789)


def test_the_current_folder_may_be_written_as_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, "d/file")
    monkeypatch.chdir(tmp_path)
    assert [item.path for item in walk_files("", follow_symlinks=True)] == ["d/file"]
    assert [item.path for item in walk_files("./", follow_symlinks=True)] == ["./d/file"]


def test_links_are_followed(tmp_path: Path) -> None:
    make(tmp_path, "real/x", "tree/file")
    (tmp_path / "tree/folder").symlink_to(tmp_path / "real")
    (tmp_path / "tree/link").symlink_to(tmp_path / "real/x")
    (tmp_path / "root").symlink_to(tmp_path / "tree")
    assert relatives(tmp_path / "root") == ["file", "folder/x", "link"]


def test_links_are_left_out_on_request_with_a_warning(tmp_path: Path) -> None:
    make(tmp_path, "real/x")
    (tmp_path / "folder").symlink_to("real")
    (tmp_path / "link").symlink_to("real/x")
    assert warnings(tmp_path, follow_symlinks=False) == [
        ("folder", "symbolic link not followed"),
        ("link", "symbolic link not followed"),
    ]


def test_loops_end_with_a_warning_and_siblings_are_still_walked(tmp_path: Path) -> None:
    make(tmp_path, "a/b/file", "a/z")
    (tmp_path / "a/b/up").symlink_to(tmp_path / "a")
    (tmp_path / "a/b/top").symlink_to(tmp_path)
    (tmp_path / "self").symlink_to("self")
    met = list(walk_files(str(tmp_path), follow_symlinks=True))
    assert [item.relative for item in met if isinstance(item, WalkedFile)] == ["a/b/file", "a/z"]
    reasons = {Path(item.path).name: item.reason for item in met if isinstance(item, WalkWarning)}
    assert set(reasons) == {"up", "top", "self"}
    assert "leads back" in reasons["up"]
    assert "leads back" in reasons["top"]


def test_two_links_to_one_folder_are_no_loop(tmp_path: Path) -> None:
    make(tmp_path, "real/x")
    (tmp_path / "one").symlink_to("real")
    (tmp_path / "two").symlink_to("real")
    assert relatives(tmp_path) == ["one/x", "real/x", "two/x"]


def test_what_cannot_be_moved_gives_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    Path("device").symlink_to("/dev/null")
    Path("broken").symlink_to("nowhere")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
        assert warnings(Path()) == [
            ("broken", "a broken link"),
            ("device", "a device, not a regular file"),
            ("pipe", "a named pipe, not a regular file"),
            ("socket", "a socket, not a regular file"),
        ]


def test_a_name_that_is_no_text_is_shown_escaped(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"caf\xe9")).write_bytes(b"x")
    (tmp_path / os.fsdecode(b"d\xff")).mkdir()
    (tmp_path / os.fsdecode(b"d\xff") / "inside").write_bytes(b"x")
    reason = "the name is no UTF-8 text, so no key can carry it"
    assert warnings(tmp_path) == [("caf\\xe9", reason), ("d\\xff", reason)]


def test_a_folder_that_cannot_be_read_gives_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, "a", "closed/x", "z")
    real = os.scandir

    def refuse(path: str) -> "os._ScandirIterator[str]":
        if path.endswith("closed"):
            raise PermissionError(13, "Permission denied", path)
        return real(path)

    monkeypatch.setattr(os, "scandir", refuse)
    met = list(walk_files(str(tmp_path), follow_symlinks=True))
    assert met[1] == WalkWarning(
        str(tmp_path / "closed"), "closed/", "it cannot be read: permission denied", is_loss=True
    )
    assert [item.relative for item in met if isinstance(item, WalkedFile)] == ["a", "z"]


@pytest.mark.parametrize("name", ["missing", "file"])
def test_a_root_that_is_no_folder_is_an_error(tmp_path: Path, name: str) -> None:
    make(tmp_path, "file")
    with pytest.raises(LocalFileError) as caught:
        list(walk_files(str(tmp_path / name), follow_symlinks=True))
    assert caught.value.subject == str(tmp_path / name)


def test_the_walk_reads_a_folder_only_when_it_gets_there(tmp_path: Path) -> None:
    make(tmp_path, "a/1", "b/2")
    walk = walk_files(str(tmp_path), follow_symlinks=True)
    next(walk)
    make(tmp_path, "b/late")
    assert [item.relative for item in walk if isinstance(item, WalkedFile)] == ["b/2", "b/late"]


def test_a_wildcard_crosses_folders_and_is_cut_at_its_base(tmp_path: Path) -> None:
    make(tmp_path, "in/a.mov", "in/d/b.mov", "in/c.txt", "other/d.mov")
    found = list(expand_wildcard(f"{tmp_path}/in/*.mov", follow_symlinks=True))
    assert [(item.path, item.relative) for item in found if isinstance(item, WalkedFile)] == [
        (f"{tmp_path}/in/a.mov", "a.mov"),
        (f"{tmp_path}/in/d/b.mov", "d/b.mov"),
    ]


def test_a_wildcard_without_a_folder_looks_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, "day1/a.mov", "day2/a.mov", "night/a.mov")
    monkeypatch.chdir(tmp_path)
    found = expand_wildcard("day[12]/a.mov", follow_symlinks=True)
    assert [item.path for item in found] == ["day1/a.mov", "day2/a.mov"]


def test_a_wildcard_warns_only_of_what_it_could_mean(tmp_path: Path) -> None:
    (tmp_path / "a.mov").symlink_to("nowhere")
    (tmp_path / "b.txt").symlink_to("nowhere")
    found = list(expand_wildcard(f"{tmp_path}/*.mov", follow_symlinks=True))
    assert found == [WalkWarning(f"{tmp_path}/a.mov", "a.mov", "a broken link")]


def test_a_wildcard_does_not_enter_folders_that_cannot_match(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, "2023/x", "2024-01/x", "2024-02/x")
    entered: list[str] = []
    real = os.scandir

    def record(path: str) -> "os._ScandirIterator[str]":
        entered.append(Path(path).name)
        return real(path)

    monkeypatch.setattr(os, "scandir", record)
    assert len(list(expand_wildcard(f"{tmp_path}/2024*", follow_symlinks=True))) == 2
    assert entered[1:] == ["2024-01", "2024-02"]
