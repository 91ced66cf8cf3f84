import contextlib
import errno
import fcntl
import os
import secrets
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from transfer.model.errors import LocalFileError, NameClashError, UnsafeKeyError
from transfer.stores.local import durable, folders, storage
from transfer.stores.local.durable import DurableFile, make_folder
from transfer.stores.local.temporary import new_temporary_name

PROJECT = Path(folders.__file__).parents[3]


@pytest.fixture(params=["descriptors", "paths"])
def system(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "BY_DESCRIPTOR", request.param == "descriptors")


def land(root: Path | str, relative: str, contents: bytes = b"contents", mtime_ns: int | None = None) -> None:
    landing = DurableFile.create(str(root), relative, len(contents))
    os.pwrite(landing.fd, contents, 0)
    landing.commit(mtime_ns)


def below(root: Path) -> list[str]:
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*"))


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.usefixtures("system")
def test_a_file_lands_whole_in_new_folders(tmp_path: Path) -> None:
    before = open_descriptors()
    land(tmp_path / "new" / "root", "a/b/clip.mov", b"bytes", mtime_ns=1_700_000_000_123_456_789)
    path = tmp_path / "new/root/a/b/clip.mov"
    assert path.read_bytes() == b"bytes"
    assert path.stat().st_mtime_ns == 1_700_000_000_123_456_789
    assert below(tmp_path / "new/root") == ["a", "a/b", "a/b/clip.mov"]
    assert open_descriptors() == before


@pytest.mark.usefixtures("system")
def test_until_the_commit_the_old_file_stays_and_the_new_one_is_private(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"old")
    landing = DurableFile.create(str(tmp_path), "f", 3)
    os.pwrite(landing.fd, b"new", 0)
    [temporary] = [path for path in tmp_path.iterdir() if path.name != "f"]
    assert temporary.name.startswith(".f.")
    assert temporary.name.endswith(".transfer")
    assert stat.S_IMODE(temporary.stat().st_mode) == 0o600
    assert (tmp_path / "f").read_bytes() == b"old"
    landing.commit(None)
    assert (tmp_path / "f").read_bytes() == b"new"
    assert below(tmp_path) == ["f"]


@pytest.mark.usefixtures("system")
def test_discarding_leaves_nothing_and_may_be_repeated(tmp_path: Path) -> None:
    before = open_descriptors()
    landing = DurableFile.create(str(tmp_path), "f", 10)
    landing.discard()
    landing.discard()
    assert below(tmp_path) == []
    assert landing.fd == -1
    assert open_descriptors() == before
    with pytest.raises(ValueError, match="discarded before"):
        landing.commit(None)


def test_discarding_after_the_commit_keeps_the_file(tmp_path: Path) -> None:
    landing = DurableFile.create(str(tmp_path), "f", None)
    landing.commit(None)
    landing.discard()
    assert below(tmp_path) == ["f"]


def test_the_users_umask_decides_the_permissions(tmp_path: Path) -> None:
    program = (
        "import os, sys; os.umask(0o027)\n"
        "from transfer.stores.local.durable import DurableFile\n"
        "DurableFile.create(sys.argv[1], 'd/f', 0).commit(None)\n"
        "assert os.umask(0) == 0o027\n"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True, cwd=PROJECT)
    assert stat.S_IMODE((tmp_path / "d/f").stat().st_mode) == 0o640
    assert stat.S_IMODE((tmp_path / "d").stat().st_mode) == 0o750


@pytest.fixture
def on_a_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "_devices_in_memory", frozenset)


@pytest.fixture
def in_memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(storage, "_devices_in_memory", lambda: frozenset([tmp_path.stat().st_dev]))


def test_file_systems_in_memory_are_told_by_the_list_of_mounts(monkeypatch: pytest.MonkeyPatch) -> None:
    mounts = (
        "25 24 0:23 / /dev/shm rw,relatime - tmpfs tmpfs rw,size=24684084k\n"
        "27 1 254:7 / / rw,relatime shared:1 master:2 - ext4 /dev/vda rw,discard\n"
        "31 23 0:300 / /mnt/tmpfs\\040x rw - ramfs none rw\n"
        "32 23 0:9 / /mnt/y rw - nfs4 tmpfs:/ rw\n"
    )
    monkeypatch.setattr(storage, "read_mounts", lambda: mounts)
    assert storage._devices_in_memory.__wrapped__() == {os.makedev(0, 23), os.makedev(0, 300)}


@pytest.mark.usefixtures("in_memory")
def test_in_memory_no_page_is_taken_before_its_bytes_come(tmp_path: Path) -> None:
    landing = DurableFile.create(str(tmp_path), "f", 1_000_000)
    status = os.fstat(landing.fd)
    assert status.st_size == 1_000_000
    assert status.st_blocks == 0
    landing.discard()


@pytest.mark.usefixtures("in_memory")
def test_in_memory_a_lack_of_space_shows_at_once_all_the_same(tmp_path: Path) -> None:
    with pytest.raises(LocalFileError, match="no space left on device; free space"):
        DurableFile.create(str(tmp_path), "f", 1 << 60)
    assert below(tmp_path) == []


@pytest.mark.usefixtures("on_a_disk")
def test_space_is_reserved_before_the_bytes_come(tmp_path: Path) -> None:
    landing = DurableFile.create(str(tmp_path), "f", 1_000_000)
    status = os.fstat(landing.fd)
    assert status.st_size == 1_000_000
    assert status.st_blocks * 512 >= 1_000_000
    landing.discard()


@pytest.mark.usefixtures("on_a_disk")
@pytest.mark.parametrize("code", [errno.EOPNOTSUPP, errno.EINVAL])
def test_a_file_system_that_cannot_reserve_still_sets_the_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def refuse(fd: int, size: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(storage, "_native_fallocate", lambda: refuse)
    landing = DurableFile.create(str(tmp_path), "f", 1000)
    assert os.fstat(landing.fd).st_size == 1000
    landing.discard()


@pytest.mark.usefixtures("on_a_disk")
def test_a_full_disk_shows_at_once_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(fd: int, size: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(storage, "_native_fallocate", lambda: refuse)
    before = open_descriptors()
    with pytest.raises(LocalFileError, match="no space left on device; free space") as caught:
        DurableFile.create(str(tmp_path), "f", 1000)
    assert caught.value.subject == str(tmp_path / "f")
    assert below(tmp_path) == []
    assert open_descriptors() == before


def test_a_size_beyond_the_system_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(LocalFileError):
        DurableFile.create(str(tmp_path), "f", 2**63 - 1)
    assert below(tmp_path) == []


@pytest.mark.usefixtures("system")
def test_a_link_inside_the_tree_leads_nowhere(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    (root / "a").mkdir(parents=True)
    outside.mkdir()
    (root / "a" / "link").symlink_to(outside)
    before = open_descriptors()
    for relative in ("a/link/f", "a/link/deeper/f"):
        with pytest.raises(LocalFileError, match="symbolic link") as caught:
            DurableFile.create(str(root), relative, 1)
        assert caught.value.subject == str(root / "a" / "link")
    with pytest.raises(LocalFileError, match="symbolic link"):
        make_folder(str(root), "a/link/deeper")
    assert below(outside) == []
    assert open_descriptors() == before


@pytest.mark.usefixtures("system")
def test_the_root_itself_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "root").symlink_to("real")
    land(tmp_path / "root", "a/f")
    assert below(tmp_path / "real") == ["a", "a/f"]


@pytest.mark.usefixtures("system")
def test_a_link_under_the_final_name_is_replaced_and_its_target_kept(tmp_path: Path) -> None:
    (tmp_path / "target").write_bytes(b"precious")
    (tmp_path / "f").symlink_to("target")
    land(tmp_path, "f", b"new")
    assert (tmp_path / "target").read_bytes() == b"precious"
    assert not (tmp_path / "f").is_symlink()
    assert (tmp_path / "f").read_bytes() == b"new"


@pytest.mark.parametrize("relative", ["../f", "a/../../f", "/etc/f", "a//f", ".", "..", "a/.", "a/", "a\0b"])
def test_a_path_that_could_leave_the_root_is_refused(tmp_path: Path, relative: str) -> None:
    root = tmp_path / "root"
    with pytest.raises(UnsafeKeyError):
        DurableFile.create(str(root), relative, 1)
    with pytest.raises(UnsafeKeyError):
        make_folder(str(root), relative)
    assert below(tmp_path) == []


@pytest.mark.usefixtures("system")
def test_one_name_for_a_file_and_a_folder_is_explained(tmp_path: Path) -> None:
    land(tmp_path, "a")
    land(tmp_path, "b/f")
    before = open_descriptors()
    for relative, clash in [("a/f", "a"), ("a/d/f", "a"), ("b", "b")]:
        with pytest.raises(NameClashError, match="both for a file and for a folder") as caught:
            DurableFile.create(str(tmp_path), relative, 1)
        assert caught.value.subject == str(tmp_path / clash)
    with pytest.raises(NameClashError, match="both for a file and for a folder"):
        make_folder(str(tmp_path), "a")
    assert below(tmp_path) == ["a", "b", "b/f"]
    assert open_descriptors() == before


@pytest.mark.usefixtures("system")
def test_a_folder_that_takes_the_name_meanwhile_is_explained(tmp_path: Path) -> None:
    landing = DurableFile.create(str(tmp_path), "f", 1)
    (tmp_path / "f").mkdir()
    with pytest.raises(NameClashError, match="both for a file and for a folder"):
        landing.commit(None)
    assert below(tmp_path) == ["f"]


@pytest.mark.usefixtures("system")
def test_devices_pipes_and_system_links_are_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "null").symlink_to("/dev/null")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "stdout").symlink_to("/proc/self/fd/1")
    for name in ("null", "pipe", "stdout"):
        with pytest.raises(LocalFileError, match="write - as the destination"):
            DurableFile.create(str(tmp_path), name, 1)
    with pytest.raises(LocalFileError, match="write - as the destination"):
        DurableFile.create("/dev", "null", 1)
    assert below(tmp_path) == ["null", "pipe", "stdout"]
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)


@pytest.mark.usefixtures("system")
def test_a_single_file_in_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    land("", "f")
    landing = DurableFile.create("new/folder", "g", 1)
    assert landing.path == "new/folder/g"
    landing.commit(None)
    assert below(tmp_path) == ["f", "new", "new/folder", "new/folder/g"]


def test_a_root_that_is_a_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "root").touch()
    with pytest.raises(LocalFileError) as caught:
        DurableFile.create(str(tmp_path / "root"), "f", 1)
    assert caught.value.subject == str(tmp_path / "root")


@pytest.mark.parametrize("name", ["n" * 255, "é" * 127, "\U0001f3a5" * 63])
def test_the_longest_names_land(tmp_path: Path, name: str) -> None:
    land(tmp_path, name)
    assert below(tmp_path) == [name]


def test_a_name_that_is_too_long_names_the_remedy(tmp_path: Path) -> None:
    for relative in ("n" * 256, "n" * 256 + "/f"):
        with pytest.raises(LocalFileError, match="--unsafe-keys"):
            DurableFile.create(str(tmp_path), relative, 1)
    assert below(tmp_path) == []


@pytest.mark.usefixtures("system")
def test_folders_are_made_once_and_may_exist(tmp_path: Path) -> None:
    make_folder(str(tmp_path / "root"), "a/b")
    make_folder(str(tmp_path / "root"), "a/b")
    make_folder(str(tmp_path / "root"), "")
    assert below(tmp_path) == ["root", "root/a", "root/a/b"]


def test_everything_is_synced_before_and_after_the_rename(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[str] = []
    sync, replace = os.fsync, folders.Folder.replace

    def record_sync(fd: int) -> None:
        target = Path(f"/proc/self/fd/{fd}").readlink().relative_to(tmp_path)
        steps.append("file" if target.suffix == ".transfer" else str(target))
        sync(fd)

    def record_replace(folder: folders.Folder, old: str, new: str) -> None:
        steps.append("rename")
        replace(folder, old, new)

    monkeypatch.setattr(os, "fsync", record_sync)
    monkeypatch.setattr(folders.Folder, "replace", record_replace)
    land(tmp_path / "root", "a/b/f", mtime_ns=7)
    assert steps == [".", "root", "root/a", "file", "rename", "root/a/b"]


@pytest.mark.parametrize("call", ["fsync", "fchmod", "replace"])
def test_a_refusal_at_the_end_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    land(tmp_path, "f", b"old")
    before = open_descriptors()
    landing = DurableFile.create(str(tmp_path), "f", 1)
    monkeypatch.setattr(os, call, refuse)
    with pytest.raises(LocalFileError) as caught:
        landing.commit(None)
    assert caught.value.subject == str(tmp_path / "f")
    assert (tmp_path / "f").read_bytes() == b"old"
    assert below(tmp_path) == ["f"]
    assert open_descriptors() == before


def test_a_time_that_no_file_can_have_is_an_error(tmp_path: Path) -> None:
    landing = DurableFile.create(str(tmp_path), "f", 1)
    with pytest.raises(LocalFileError, match="modification time"):
        landing.commit(10**40)
    assert below(tmp_path) == []


def test_a_folder_without_permission_names_the_remedy(tmp_path: Path) -> None:
    program = (
        "import os, sys\n"
        "from transfer.model.errors import LocalFileError\n"
        "from transfer.stores.local.durable import DurableFile\n"
        "os.chdir(sys.argv[1])\n"
        "if os.getuid() == 0: os.setuid(65534)\n"
        "try: DurableFile.create('', 'f', 1)\n"
        "except LocalFileError as error: print(error)\n"
    )
    tmp_path.chmod(0o555)
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], check=True, cwd=PROJECT, capture_output=True, text=True
    )
    assert done.stdout == "f: permission denied; check the permissions\n"


def test_a_taken_temporary_name_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = iter(["taken", "free"])
    (tmp_path / ".f.taken.transfer").write_bytes(b"of another run")
    monkeypatch.setattr(secrets, "token_hex", lambda _: next(names))
    land(tmp_path, "f")
    assert below(tmp_path) == [".f.taken.transfer", "f"]


@pytest.mark.usefixtures("system")
def test_a_kept_file_is_found_again_with_its_bytes(tmp_path: Path) -> None:
    before = open_descriptors()
    landing = DurableFile.create(str(tmp_path), "a/f", 8)
    os.pwrite(landing.fd, b"half", 0)
    temporary = landing.temporary
    landing.keep()
    assert below(tmp_path) == ["a", f"a/{temporary}"]
    assert open_descriptors() == before
    again = DurableFile.reopen(str(tmp_path), "a/f", temporary, 8)
    assert again is not None
    assert os.pread(again.fd, 8, 0) == b"half\0\0\0\0"
    os.pwrite(again.fd, b"done", 4)
    again.commit(None)
    assert (tmp_path / "a/f").read_bytes() == b"halfdone"
    assert below(tmp_path) == ["a", "a/f"]
    assert open_descriptors() == before


@pytest.mark.usefixtures("system")
@pytest.mark.parametrize(
    "name", ["f", ".f.transfer", ".f.0123456789ab", "../.f.0123456789ab.transfer", ".g.0123456789ab.transfer", ""]
)
def test_only_names_of_temporary_files_are_reopened(tmp_path: Path, name: str) -> None:
    (tmp_path / "d").mkdir()
    for one in ("f", ".f.transfer", ".f.0123456789ab", ".g.0123456789ab.transfer"):
        (tmp_path / "d" / one).write_bytes(b"12345678")
    (tmp_path / ".f.0123456789ab.transfer").write_bytes(b"12345678")
    assert DurableFile.reopen(str(tmp_path), "d/f", name, 8) is None


@pytest.mark.usefixtures("system")
def test_what_is_no_longer_the_kept_file_is_left_alone(tmp_path: Path) -> None:
    name = ".f.0123456789ab.transfer"
    assert DurableFile.reopen(str(tmp_path), "f", name, 8) is None
    (tmp_path / name).write_bytes(b"short")
    assert DurableFile.reopen(str(tmp_path), "f", name, 8) is None
    (tmp_path / name).unlink()
    (tmp_path / "secret").write_bytes(b"12345678")
    (tmp_path / name).symlink_to(tmp_path / "secret")
    assert DurableFile.reopen(str(tmp_path), "f", name, 8) is None
    (tmp_path / name).unlink()
    os.mkfifo(tmp_path / name)
    assert DurableFile.reopen(str(tmp_path), "f", name, 8) is None
    assert sorted(below(tmp_path)) == [name, "secret"]


@pytest.mark.usefixtures("system")
def test_what_a_killed_run_left_of_a_small_file_is_taken_over(tmp_path: Path) -> None:
    program = (
        "import os, sys\n"
        "from transfer.stores.local.durable import DurableFile\n"
        "landing = DurableFile.create(sys.argv[1], 'f', 100)\n"
        "os.pwrite(landing.fd, b'x' * 100, 0)\n"
        "os.fchmod(landing.fd, 0o644)\n"
        "os._exit(0)\n"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True, cwd=PROJECT)
    [left] = below(tmp_path)
    landing = DurableFile.create(str(tmp_path), "f", 3)
    assert landing.temporary == left
    assert os.fstat(landing.fd).st_size == 3
    assert stat.S_IMODE(os.fstat(landing.fd).st_mode) == 0o600
    os.pwrite(landing.fd, b"new", 0)
    landing.commit(None)
    assert below(tmp_path) == ["f"]
    assert (tmp_path / "f").read_bytes() == b"new"


@pytest.mark.usefixtures("system")
def test_two_that_write_the_same_file_have_a_temporary_file_each(tmp_path: Path) -> None:
    first, second = (DurableFile.create(str(tmp_path), "f", 5) for _ in range(2))
    assert first.temporary != second.temporary
    os.pwrite(first.fd, b"first", 0)
    os.pwrite(second.fd, b"secon", 0)
    first.commit(None)
    assert (tmp_path / "f").read_bytes() == b"first"
    third = DurableFile.create(str(tmp_path), "f", 5)
    os.pwrite(third.fd, b"third", 0)
    second.commit(None)
    third.commit(None)
    assert (tmp_path / "f").read_bytes() == b"third"
    assert below(tmp_path) == ["f"]


@pytest.mark.parametrize("trap", ["hard link", "link", "folder", "fifo"])
def test_nothing_that_others_may_have_laid_there_is_taken_over(tmp_path: Path, trap: str) -> None:
    landing = DurableFile.create(str(tmp_path), "f", 1)
    name = landing.temporary
    landing.discard()
    path = tmp_path / name
    if trap == "hard link":
        path.write_bytes(b"trap")
        (tmp_path / "other").hardlink_to(path)
    if trap == "link":
        path.symlink_to(tmp_path / "elsewhere")
    if trap == "folder":
        path.mkdir()
    if trap == "fifo":
        os.mkfifo(path)
    land(tmp_path, "f", b"contents")
    assert (tmp_path / "f").read_bytes() == b"contents"
    assert name in below(tmp_path)
    assert not (tmp_path / "elsewhere").exists()


def test_a_name_chosen_before_is_the_one_that_is_made(tmp_path: Path) -> None:
    name = new_temporary_name("f")
    landing = DurableFile.create(str(tmp_path), "f", 1, name)
    assert below(tmp_path) == [name]
    landing.discard()
    assert below(tmp_path) == []


@pytest.mark.usefixtures("system")
@pytest.mark.parametrize("step", ["replace", "remove_file"])
def test_nobody_takes_a_small_file_while_it_is_renamed_or_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    original = getattr(folders.Folder, step)
    landing = DurableFile.create(str(tmp_path), "f", 8)
    others: list[DurableFile] = []

    def interrupted(folder: folders.Folder, *names: str) -> None:
        monkeypatch.undo()
        others.append(DurableFile.create(str(tmp_path), "f", 5))
        os.pwrite(others[0].fd, b"other", 0)
        original(folder, *names)

    os.pwrite(landing.fd, b"contents", 0)
    monkeypatch.setattr(folders.Folder, step, interrupted)
    if step == "replace":
        landing.commit(None)
        assert (tmp_path / "f").read_bytes() == b"contents"
    else:
        landing.discard()
    [other] = others
    other.commit(None)
    assert (tmp_path / "f").read_bytes() == b"other"
    assert below(tmp_path) == ["f"]


@pytest.mark.usefixtures("system")
@pytest.mark.parametrize("end", ["commit", "discard"])
def test_a_temporary_name_that_has_come_to_another_is_left_to_it(tmp_path: Path, end: str) -> None:
    before = open_descriptors()
    landing = DurableFile.create(str(tmp_path), "f", 8)
    (tmp_path / landing.temporary).unlink()
    other = DurableFile.create(str(tmp_path), "f", 5)
    assert other.temporary == landing.temporary
    if end == "commit":
        with pytest.raises(LocalFileError, match="another process took the temporary file") as caught:
            landing.commit(None)
        assert caught.value.subject == str(tmp_path / "f")
    landing.discard()
    assert below(tmp_path) == [other.temporary]
    os.pwrite(other.fd, b"other", 0)
    other.commit(None)
    assert (tmp_path / "f").read_bytes() == b"other"
    assert open_descriptors() == before


@pytest.mark.usefixtures("system")
@pytest.mark.parametrize("code", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_where_nothing_locks_no_empty_file_stays_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def refuse(fd: int, operation: int) -> None:
        raise OSError(code, os.strerror(code))

    before = open_descriptors()
    monkeypatch.setattr(fcntl, "flock", refuse)
    landing = DurableFile.create(str(tmp_path), "f", 1)
    assert below(tmp_path) == [landing.temporary]
    landing.commit(None)
    assert below(tmp_path) == ["f"]
    assert open_descriptors() == before


def test_a_new_file_that_another_locks_first_is_left_to_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    create_file = folders.Folder.create_file
    faster: list[DurableFile] = []

    def overtaken(folder: folders.Folder, name: str) -> int:
        monkeypatch.undo()
        fd = create_file(folder, name)
        faster.append(DurableFile.create(str(tmp_path), "f", 6))
        return fd

    monkeypatch.setattr(folders.Folder, "create_file", overtaken)
    slower = DurableFile.create(str(tmp_path), "f", 6)
    assert below(tmp_path) == sorted([faster[0].temporary, slower.temporary])
    os.pwrite(slower.fd, b"slower", 0)
    os.pwrite(faster[0].fd, b"faster", 0)
    slower.commit(None)
    faster[0].commit(None)
    assert (tmp_path / "f").read_bytes() == b"faster"
    assert below(tmp_path) == ["f"]


@pytest.mark.parametrize("step", ["replace", "remove_file"])
def test_where_open_files_cannot_be_renamed_or_removed_they_are_closed_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    original = getattr(folders.Folder, step)
    landing = DurableFile.create(str(tmp_path), "f", 1)
    seen: list[int] = []

    def record(folder: folders.Folder, *names: str) -> None:
        seen.append(landing.fd)
        original(folder, *names)

    monkeypatch.setattr(durable, "_ONLY_CLOSED_FILES_MOVE", True)
    monkeypatch.setattr(folders.Folder, step, record)
    if step == "replace":
        landing.commit(None)
    else:
        landing.discard()
    assert seen == [-1]
    assert below(tmp_path) == (["f"] if step == "replace" else [])


# Only a file of the shared name is left to a successor by the writer that dies; any other is its own for good.
_WRITER = """
import os, random, sys
from transfer.stores.local.durable import DurableFile
root, shared, letter, size = sys.argv[1], sys.argv[2], sys.argv[3].encode(), int(sys.argv[4])
choose = random.Random(letter)
os.fsync = lambda fd: None

def write(end):
    landing = DurableFile.create(root, "f", size)
    for offset in range(0, size, size // 4):
        os.pwrite(landing.fd, letter * (size // 4), offset)
        if end == "die" and landing.temporary == shared and choose.random() < 0.5:
            os._exit(0)
    landing.commit(None) if end == "commit" else landing.discard()

for _ in sys.stdin:
    for end in choose.choices(["commit", "discard", "die"], [6, 2, 1], k=5):
        if end != "die":
            write(end)
        elif (child := os.fork()) == 0:
            write(end)
            os._exit(0)
        else:
            assert os.waitpid(child, 0)[1] == 0
    print("done", flush=True)
"""


def test_processes_that_write_the_same_file_never_mix_or_cut_it(tmp_path: Path) -> None:
    size, letters = 1 << 14, "abc"
    landing = DurableFile.create(str(tmp_path), "f", size)
    shared = landing.temporary
    landing.discard()
    land(tmp_path, "f", b"z" * size)
    whole = {letter.encode() * size for letter in f"{letters}z"}
    with contextlib.ExitStack() as stack:
        writers = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", _WRITER, str(tmp_path), shared, letter, str(size)],
                    cwd=PROJECT,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                    bufsize=1,
                )
            )
            for letter in letters
        ]
        for writer in writers:
            stack.callback(writer.kill)
        for _ in range(200):
            for writer in writers:
                assert writer.stdin is not None
                writer.stdin.write("write\n")
            assert (tmp_path / "f").read_bytes() in whole
            for writer in writers:
                assert writer.stdout is not None
                assert writer.stdout.readline() == "done\n"
            assert (tmp_path / "f").read_bytes() in whole
            assert set(below(tmp_path)) <= {"f", shared}
    land(tmp_path, "f", b"z" * size)
    assert below(tmp_path) == ["f"]
