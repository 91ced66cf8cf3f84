"""One command, several processes: whoever is killed or stopped, everything arrives whole and nobody is left behind."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.integration.samples import MIB, get_object, read_tree, sample, unfinished_uploads, write_tree
from tests.support.cli import TIMEOUT_SECONDS, Cli, lines_of
from tests.support.servers import S3Server, make_s3_client
from transfer.model.checksums import VerifiedBy

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="there is one process where others cannot be forked")

KIB = 1024
BUCKET = "processes"
SMALL_FILES = 400
SHARED = ("--processes", "3")
PARTS = ("--part-size", "5MiB")
RATE_BYTES_PER_SECOND = 2_000_000
SLOWLY = ("--limit-rate", str(RATE_BYTES_PER_SECOND))
"""What `SMALL_TREE` needs more than a second for, so that there is a middle to be stopped in."""
SMALL_TREE = {f"{index % 7}/{index:03}": sample(8 * KIB + index, index) for index in range(SMALL_FILES)}
WHOLE_TREE = {**SMALL_TREE, "large": sample(40 * MIB)}
SOCKETS_OF_AN_IDLE_WORKER = 3
"""One to the first process, two by which the event loop wakes itself."""
WAIT_SECONDS = 20.0
LOST = "a worker process has ended unexpectedly: the others do its work"


@pytest.fixture(scope="module")
def told_up(seaweed: S3Server, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What was told of the upload of `WHOLE_TREE` below `tree` in `BUCKET`."""
    folder = tmp_path_factory.mktemp("up")
    write_tree(folder / "tree", WHOLE_TREE)
    with closing(make_s3_client(seaweed)) as client:
        client.create_bucket(Bucket=BUCKET)
    told = Cli(seaweed, folder).ok("cp", "-r", "tree", f"s3://{BUCKET}/tree/", *SHARED, *PARTS, "--json")
    return records(told)


@pytest.fixture
def cli(seaweed: S3Server, tmp_path: Path) -> Cli:
    folder = tmp_path / "work"
    folder.mkdir()
    return Cli(seaweed, folder)


@pytest.fixture
def small_tree(cli: Cli) -> Path:
    root = cli.folder / "tree"
    write_tree(root, SMALL_TREE)
    return root


def records(text: str | bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def of_type(told: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [record for record in told if record["type"] == kind]


def sources(told: list[dict[str, Any]]) -> list[str]:
    return [record["source"] for record in of_type(told, "receipt")]


def is_alive(pid: int) -> bool:
    """Whether a process goes on; one that only waits for its parent to take note of its end does not."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


def workers_of(process: subprocess.Popen[bytes]) -> list[int]:
    return [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]


def is_at_work(pid: int) -> bool:
    """Whether a worker talks to the store."""
    sockets = 0
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        try:
            sockets += str(descriptor.readlink()).startswith("socket:")
        except FileNotFoundError:
            continue
    return sockets > SOCKETS_OF_AN_IDLE_WORKER


def wait_until(condition: Callable[[], bool], process: subprocess.Popen[bytes] | None = None) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        assert process is None or process.poll() is None, process.communicate()
        time.sleep(0.005)


@contextmanager
def midway(cli: Cli, *arguments: str) -> Iterator[tuple[subprocess.Popen[bytes], list[int]]]:
    """A command that needs more than a second, with the process ids of its workers, the first of which is at work."""
    with cli.start(*arguments, *SHARED, *SLOWLY) as process:
        wait_until(lambda: any(map(is_at_work, workers_of(process))), process)
        workers = sorted(workers_of(process), key=is_at_work, reverse=True)
        try:
            yield process, workers
        finally:
            if any(map(is_alive, workers)):
                process.kill()
            for left in filter(is_alive, workers):
                os.kill(left, signal.SIGKILL)


def assert_holds(oracle: Any, bucket: str, files: Mapping[str, bytes], prefix: str = "") -> None:
    """Compare objects that were sent whole by their ETags: those are MD5 sums of what the store has."""
    pages = oracle.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    found = {one["Key"].removeprefix(prefix): one["ETag"] for page in pages for one in page["Contents"]}
    wanted = {name: f'"{hashlib.md5(body).hexdigest()}"' for name, body in files.items()}
    assert {name: etag for name, etag in found.items() if name in wanted} == wanted
    assert set(found) - set(wanted) <= {"large"}


def assert_each_is_proved(told: list[dict[str, Any]]) -> None:
    receipts = of_type(told, "receipt")
    assert len(receipts) == len(WHOLE_TREE)
    assert len({receipt["source"] for receipt in receipts}) == len(WHOLE_TREE)
    assert VerifiedBy.UNVERIFIED.value not in {receipt["verified_by"] for receipt in receipts}
    (summary,) = of_type(told, "summary")
    assert (summary["moved"], summary["failed"], summary["exit_code"]) == (len(WHOLE_TREE), 0, 0)
    assert summary["moved_bytes"] == sum(map(len, WHOLE_TREE.values()))


def test_a_tree_goes_up_whole(seaweed_oracle: Any, told_up: list[dict[str, Any]]) -> None:
    assert_each_is_proved(told_up)
    assert_holds(seaweed_oracle, BUCKET, SMALL_TREE, "tree/")
    assert get_object(seaweed_oracle, BUCKET, "tree/large") == WHOLE_TREE["large"]
    assert unfinished_uploads(seaweed_oracle, BUCKET) == []


@pytest.mark.usefixtures("told_up")
def test_a_tree_comes_down_whole(cli: Cli) -> None:
    told = records(cli.ok("cp", "-r", f"s3://{BUCKET}/tree/", "down", *SHARED, *PARTS, "--json"))
    assert_each_is_proved(told)
    assert read_tree(cli.folder / "down") == WHOLE_TREE


@pytest.mark.usefixtures("small_tree")
def test_the_others_do_the_work_of_a_killed_worker(cli: Cli, seaweed_bucket: str, seaweed_oracle: Any) -> None:
    with midway(cli, "cp", "-r", "tree", f"s3://{seaweed_bucket}/", "--json") as (process, workers):
        os.kill(workers[0], signal.SIGKILL)
        out, said = process.communicate(timeout=TIMEOUT_SECONDS)
    assert (process.returncode, said) == (0, b"")
    told = records(out)
    assert [record["message"] for record in of_type(told, "warning")] == [LOST]
    assert sorted(sources(told)) == sorted(f"tree/{name}" for name in SMALL_TREE)
    assert of_type(told, "summary")[0]["moved"] == SMALL_FILES
    assert_holds(seaweed_oracle, seaweed_bucket, SMALL_TREE)


@pytest.mark.usefixtures("told_up")
def test_after_ctrl_c_nobody_is_left_and_the_same_command_completes(cli: Cli) -> None:
    arguments = ("cp", "-r", f"s3://{BUCKET}/tree/", "down", "--json", *PARTS)
    with midway(cli, *arguments) as (process, workers):
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=TIMEOUT_SECONDS)
    assert (process.returncode, said) == (130, b"")
    assert not any(map(is_alive, workers))
    landed = read_tree(cli.folder / "down")
    (temporary,) = [name for name in landed if name not in WHOLE_TREE] or [""]
    assert temporary.startswith(".large") or not temporary
    assert landed.items() - {(temporary, landed.get(temporary, b""))} <= WHOLE_TREE.items()
    cli.ok(*arguments, *SHARED)
    assert read_tree(cli.folder / "down") == WHOLE_TREE


@pytest.mark.usefixtures("told_up")
def test_workers_end_with_a_killed_first_process_and_the_same_command_completes(cli: Cli) -> None:
    arguments = ("cp", "-r", f"s3://{BUCKET}/tree/", "down", *PARTS)
    with midway(cli, *arguments) as (process, workers):
        process.kill()
        process.communicate(timeout=TIMEOUT_SECONDS)
        wait_until(lambda: not any(map(is_alive, workers)))
    landed = {name: body for name, body in read_tree(cli.folder / "down").items() if name in WHOLE_TREE}
    assert landed.items() <= WHOLE_TREE.items()
    cli.ok(*arguments, *SHARED)
    there = read_tree(cli.folder / "down")
    assert {name: body for name, body in there.items() if name in WHOLE_TREE} == WHOLE_TREE


@pytest.mark.usefixtures("small_tree")
def test_what_workers_have_finished_is_not_sent_again(cli: Cli, seaweed_bucket: str, seaweed_oracle: Any) -> None:
    arguments = ("cp", "-r", "tree", f"s3://{seaweed_bucket}/", "--json")
    with midway(cli, *arguments) as (process, _):
        assert process.stdout is not None
        first = [process.stdout.readline() for _ in range(SMALL_FILES // 4)]
        process.send_signal(signal.SIGINT)
        # Not `communicate`: that passes over what has been read ahead for the lines.
        rest = process.stdout.read()
        process.wait(TIMEOUT_SECONDS)
    assert process.returncode == 130
    earlier = sources(records(b"".join(first) + rest))
    told = records(cli.ok(*arguments, *SHARED))
    assert len(earlier) >= SMALL_FILES // 4
    assert set(earlier).isdisjoint(sources(told))
    assert of_type(told, "summary")[0]["resumed"] == SMALL_FILES - len(sources(told))
    assert_holds(seaweed_oracle, seaweed_bucket, SMALL_TREE)


@pytest.mark.usefixtures("small_tree")
def test_one_limit_of_the_rate_holds_for_all(cli: Cli, seaweed_bucket: str) -> None:
    told = records(cli.ok("cp", "-r", "tree", f"s3://{seaweed_bucket}/", "--json", *SHARED, *SLOWLY))
    (summary,) = of_type(told, "summary")
    assert summary["moved_bytes"] / summary["seconds"] < 1.1 * RATE_BYTES_PER_SECOND


@pytest.mark.parametrize("number", ["0", "x"])
def test_a_number_of_processes_that_makes_no_sense(cli: Cli, number: str) -> None:
    refused = cli.run("cp", "a", "s3://bucket/", "--processes", number)
    assert (refused.returncode, refused.stdout) == (2, b"")
    (line,) = lines_of(refused.stderr)
    assert "--processes" in line


@pytest.mark.usefixtures("small_tree")
def test_what_every_process_would_run_into_is_told_once(cli: Cli, seaweed_bucket: str) -> None:
    for bucket, secret, reason in (
        (seaweed_bucket, "wrong", "signature"),
        ("missing", cli.server.secret_key, "bucket does not exist"),
    ):
        environment = {"AWS_SECRET_ACCESS_KEY": secret}
        refused = cli.run("cp", "-r", "tree", f"s3://{bucket}/", *SHARED, environment=environment)
        assert refused.returncode == 1
        (line,) = [line for line in lines_of(refused.stderr) if not line.startswith("moved 0 objects")]
        assert reason in line
