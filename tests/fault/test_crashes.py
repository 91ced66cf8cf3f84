"""Killed, interrupted, out of space, or working on what changes meanwhile: nothing is lost, mixed or sent twice."""

import os
import shlex
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from tests.support.cli import COMMAND, Cli
from tests.support.crash_journal import journal_rows, rows_now
from tests.support.crash_moments import Moment, Scenario, When
from tests.support.crash_process import INTERRUPTED_EXIT_CODE, start_in_group, wait_in
from tests.support.crash_stage import MIB, STORED, TEMPORARY_SUFFIX, Stage, make_stage, read_tree
from tests.support.crashes import CrashDrill
from tests.support.servers import S3Server

SIZE = 24 * MIB + 99
# Slow enough for a test to act in the middle, fast enough not to be waited for.
SLOW = ("--part-size", "5MiB", "--concurrency", "2", "--limit-rate", "8M")
FAST = ("--part-size", "5MiB", "--concurrency", "2")

UPLOAD, DOWNLOAD = Scenario.UPLOAD, Scenario.DOWNLOAD
UPLOAD_TREE, DOWNLOAD_TREE = Scenario.UPLOAD_TREE, Scenario.DOWNLOAD_TREE
CERTAIN: list[tuple[Scenario, list[Moment]]] = [
    (UPLOAD, [Moment(When.AT_ONCE), Moment(When.FIRST_REQUEST), Moment(When.BYTES, 0.5)]),
    (UPLOAD, [Moment(When.CREATE_LOST), Moment(When.BYTES, 0.3), Moment(When.COMPLETE_UNSENT)]),
    (UPLOAD, [Moment(When.BYTES, 0.7), Moment(When.COMPLETE_LOST)]),
    (DOWNLOAD, [Moment(When.FIRST_REQUEST), Moment(When.BYTES, 0.4), Moment(When.BYTES, 0.7)]),
    (UPLOAD_TREE, [Moment(When.REQUESTS, 20), Moment(When.RECORDED, 30), Moment(When.COMPLETE_LOST)]),
    (DOWNLOAD_TREE, [Moment(When.REQUESTS, 20), Moment(When.RECORDED, 30), Moment(When.BYTES, 0.6)]),
]
# The process may be done before it is killed at these.
FLEETING: list[tuple[Scenario, list[Moment]]] = [
    (UPLOAD, [Moment(When.CREATE_ANSWERED), Moment(When.LAST_BYTE)]),
    (UPLOAD, [Moment(When.COMPLETE_ANSWERED)]),
    (UPLOAD, [Moment(When.FORGOTTEN)]),
    (DOWNLOAD, [Moment(When.OPENED), Moment(When.LAST_BYTE), Moment(When.LANDED)]),
    (DOWNLOAD, [Moment(When.FORGOTTEN)]),
    (UPLOAD_TREE, [Moment(When.FORGOTTEN), Moment(When.LAST_BYTE)]),
    (DOWNLOAD_TREE, [Moment(When.FORGOTTEN), Moment(When.LANDED, 55)]),
]


@pytest.fixture(scope="module")
def stage(seaweed: S3Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with make_stage(seaweed, tmp_path_factory.mktemp("stage")) as made:
        yield made


@pytest.fixture
def cli(stage: Stage, tmp_path: Path) -> Iterator[Cli]:
    yield Cli(stage.server, tmp_path)
    stage.clear(tmp_path.name)


@pytest.fixture
def key(tmp_path: Path) -> str:
    """A key of this test's own."""
    return f"{tmp_path.name}/object"


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


def ids(cases: Sequence[tuple[Scenario, list[Moment]]]) -> list[str]:
    return [f"{scenario}-{'-'.join(map(str, moments))}" for scenario, moments in cases]


@pytest.mark.parametrize("scenario", list(Scenario))
def test_without_a_kill_each_byte_passes_once(stage: Stage, tmp_path: Path, scenario: Scenario) -> None:
    verdict = CrashDrill(stage, tmp_path, scenario, 0, []).run()
    assert not verdict.problems, str(verdict)


@pytest.mark.parametrize(("scenario", "moments"), CERTAIN, ids=ids(CERTAIN))
def test_killed_work_goes_on(stage: Stage, tmp_path: Path, scenario: Scenario, moments: list[Moment]) -> None:
    verdict = CrashDrill(stage, tmp_path, scenario, 0, moments).run()
    assert not verdict.problems, str(verdict)
    assert verdict.ends == moments


@pytest.mark.parametrize(("scenario", "moments"), FLEETING, ids=ids(FLEETING))
def test_work_killed_at_its_end_is_not_done_again(
    stage: Stage, tmp_path: Path, scenario: Scenario, moments: list[Moment]
) -> None:
    verdict = CrashDrill(stage, tmp_path, scenario, 0, moments).run()
    assert not verdict.problems, str(verdict)


@pytest.mark.parametrize("seed", [11, 12])
@pytest.mark.parametrize("scenario", list(Scenario))
def test_work_killed_at_any_moment_goes_on(stage: Stage, tmp_path: Path, scenario: Scenario, seed: int) -> None:
    verdict = CrashDrill(stage, tmp_path, scenario, seed).run()
    assert not verdict.problems, str(verdict)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("scenario", list(Scenario))
def test_interrupted_work_goes_on(stage: Stage, tmp_path: Path, scenario: Scenario, number: signal.Signals) -> None:
    verdict = CrashDrill(stage, tmp_path, scenario, 0, [Moment(When.BYTES, 0.6)], number).run()
    assert not verdict.problems, str(verdict)
    assert len(verdict.ends) == 1, "the exit code was not that of an interrupted run"


def test_an_interrupted_upload_is_kept_in_the_store_and_in_the_journal(
    stage: Stage, cli: Cli, key: str, state: Path
) -> None:
    write(cli.folder / "file", 1)
    command = ("cp", *SLOW, "file", f"s3://{stage.bucket}/{key}")
    with start_in_group(cli, cli.folder / "said", *command, state=state) as process:
        assert wait_in(process, lambda: stage.uploads() == [key])
        os.killpg(process.pid, signal.SIGINT)
        process.wait(20)
    assert process.returncode == INTERRUPTED_EXIT_CODE, (cli.folder / "said").read_text()
    assert stage.uploads() == [key]
    assert journal_rows(state)
    finish(cli, state, "cp", *FAST, "file", f"s3://{stage.bucket}/{key}")
    assert stage.stored(key) == (cli.folder / "file").read_bytes()
    assert_nothing_is_left(stage, state)


def grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def shrink(path: Path) -> None:
    os.truncate(path, SIZE - MIB)


def rewrite(path: Path) -> None:
    write(path, 2)


@pytest.mark.parametrize("change", [grow, shrink, rewrite, Path.unlink])
def test_a_source_that_changes_fails_by_name(
    stage: Stage, cli: Cli, key: str, state: Path, change: Callable[[Path], None]
) -> None:
    source = write(cli.folder / "source-file", 1)
    said = cli.folder / "said"
    command = ("cp", *SLOW, "source-file", f"s3://{stage.bucket}/{key}")
    with start_in_group(cli, said, *command, state=state) as process:
        assert wait_in(process, lambda: stage.uploads() == [key])
        change(source)
        process.wait(60)
    assert process.returncode == 1, said.read_text()
    assert "source-file" in said.read_text()
    assert "Traceback" not in said.read_text()
    assert stage.uploads() == []
    assert key not in stage.sizes(key)
    if source.exists():
        finish(cli, state, "cp", *FAST, "source-file", f"s3://{stage.bucket}/{key}")
        assert stage.stored(key) == source.read_bytes()
        assert_nothing_is_left(stage, state)


@pytest.mark.parametrize("change", [grow, shrink, rewrite])
def test_a_source_that_changed_after_the_kill_is_sent_anew(
    stage: Stage, cli: Cli, key: str, state: Path, change: Callable[[Path], None]
) -> None:
    source = write(cli.folder / "source-file", 1)
    with start_in_group(
        cli, cli.folder / "said", "cp", *SLOW, "source-file", f"s3://{stage.bucket}/{key}", state=state
    ) as process:
        assert wait_in(process, lambda: stage.uploads() == [key])
    change(source)
    finish(cli, state, "cp", *FAST, "source-file", f"s3://{stage.bucket}/{key}")
    assert stage.stored(key) == source.read_bytes()
    assert_nothing_is_left(stage, state)


@pytest.mark.parametrize("is_killed", [False, True])
def test_an_overwritten_object_never_lands_mixed(
    stage: Stage, cli: Cli, key: str, state: Path, *, is_killed: bool
) -> None:
    old, new, target = bytes_of(1), bytes_of(2), cli.folder / "landing" / "file"
    stage.put(key, old)
    said = cli.folder / "said"
    command = ("cp", *SLOW, f"s3://{stage.bucket}/{key}", "landing/file")
    with start_in_group(cli, said, *command, state=state) as process:
        assert wait_in(process, lambda: rows_now(state, "parts") > 0)
        if is_killed:
            os.killpg(process.pid, signal.SIGKILL)
        stage.put(key, new)
        process.wait(60)
    if process.returncode == 0:
        assert target.read_bytes() in (old, new)
    else:
        assert not target.exists()
    if process.returncode > 0:
        assert process.returncode == 1
        assert key in said.read_text()
    finish(cli, state, "cp", *FAST, f"s3://{stage.bucket}/{key}", "landing/file")
    assert target.read_bytes() == new
    assert temporary_files(cli.folder) == []
    assert_nothing_is_left(stage, state)


def test_a_second_upload_of_the_same_is_told_who_holds_it(stage: Stage, cli: Cli, key: str, state: Path) -> None:
    source = write(cli.folder / "file", 1)
    command = ("cp", *SLOW, "file", f"s3://{stage.bucket}/{key}")
    with start_in_group(cli, cli.folder / "said", *command, state=state) as first:
        assert wait_in(first, lambda: stage.uploads() == [key])
        second = run_again(cli, state, *command)
        assert second.returncode == 1, second.stderr.decode()
        assert first.poll() is None, "the first was done too early to tell"
        first.wait(60)
    assert str(first.pid) in second.stderr.decode()
    assert first.returncode == 0, (cli.folder / "said").read_text()
    assert stage.stored(key) == source.read_bytes()
    assert_nothing_is_left(stage, state)


def test_a_second_download_of_the_same_is_told_who_holds_it(stage: Stage, cli: Cli, key: str, state: Path) -> None:
    stage.put(key, bytes_of(1))
    command = ("cp", *SLOW, f"s3://{stage.bucket}/{key}", "landing/file")
    with start_in_group(cli, cli.folder / "said", *command, state=state) as first:
        assert wait_in(first, lambda: bool(temporary_files(cli.folder)))
        second = run_again(cli, state, *command)
        assert second.returncode == 1, second.stderr.decode()
        assert first.poll() is None, "the first was done too early to tell"
        first.wait(60)
    assert str(first.pid) in second.stderr.decode()
    assert first.returncode == 0, (cli.folder / "said").read_text()
    assert (cli.folder / "landing" / "file").read_bytes() == bytes_of(1)
    assert temporary_files(cli.folder) == []
    assert_nothing_is_left(stage, state)


FULL_DISK = """
mount -t tmpfs -o size=64m tmpfs landing || exit 99
head -c 30000000 /dev/zero > landing/ballast
"$@"
code=$?
rm landing/ballast
mkdir first second
cp -a landing/. first/
"$@" > second.txt 2>&1 || exit 98
cp -a landing/. second/
exit $code
"""
NO_LARGE_FILES = """
(ulimit -f 10240; exec "$@")
code=$?
mkdir first
cp -a landing/. first/
"$@" > second.txt 2>&1 || exit 98
cp -a landing second
exit $code
"""


def disk_script() -> tuple[list[str], str, str]:
    """A command that runs a script where a small disk can be mounted, the script, and what a full disk is called.

    Mounting needs a namespace of the user's own, or root. Where the system allows neither, the kernel's limit on the
    size of files takes the place of the small disk.
    """
    for namespace in (["unshare", "-Urm"], ["unshare", "-m"]):
        probe = subprocess.run(
            [*namespace, "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True, timeout=20, check=False
        )
        if probe.returncode == 0:
            return namespace, FULL_DISK, "no space left"
    return [], NO_LARGE_FILES, "file too large"


def file_limit_script() -> tuple[list[str], str, str]:
    return [], NO_LARGE_FILES, "file too large"


@pytest.mark.parametrize("script", [disk_script, file_limit_script])
def test_a_full_disk_costs_only_what_does_not_fit(
    stage: Stage, cli: Cli, state: Path, script: Callable[[], tuple[list[str], str, str]]
) -> None:
    namespace, steps, told = script()
    (cli.folder / "landing").mkdir()
    command = [*COMMAND, "cp", "-r", *FAST, f"s3://{stage.bucket}/{STORED}tree/", "landing/tree/"]
    done = subprocess.run(
        [*namespace, "sh", "-c", steps, "sh", *command],
        capture_output=True,
        cwd=cli.folder,
        env=cli.environment() | {"TRANSFER_STATE_DIR": str(state)},
        timeout=90,
        check=False,
    )
    said = done.stderr.decode()
    assert done.returncode == 1, f"{done.returncode}: {said}"
    assert told in said.lower()
    assert "file-014.bin" in said or "file-041.bin" in said
    assert "Traceback" not in said
    expected = stage.contents("tree")
    first = read_tree(cli.folder / "first" / "tree")
    assert 0 < len(first) < len(expected)
    assert first.items() <= expected.items()
    assert read_tree(cli.folder / "second" / "tree") == expected
    assert_nothing_is_left(stage, state)


def bytes_of(seed: int) -> bytes:
    """Bytes of one size that differ everywhere between seeds."""
    return bytes([seed]) * SIZE


def write(path: Path, seed: int) -> Path:
    path.write_bytes(bytes_of(seed))
    return path


def temporary_files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob(f"*{TEMPORARY_SUFFIX}") if path.is_file()]


def run_again(cli: Cli, state: Path, *command: str) -> subprocess.CompletedProcess[bytes]:
    return cli.run(*command, environment={"TRANSFER_STATE_DIR": str(state)})


def finish(cli: Cli, state: Path, *command: str) -> None:
    done = run_again(cli, state, *command)
    assert done.returncode == 0, f"{shlex.join(command)}: {done.stderr.decode()}"


def assert_nothing_is_left(stage: Stage, state: Path) -> None:
    assert stage.uploads() == []
    assert journal_rows(state) == {}
