"""Going on after an interruption, as a user sees it: processes that are killed, and the commands that follow."""

import json
import os
import re
import signal
import sqlite3
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.cli import COMMAND, TIMEOUT_SECONDS, Cli, lines_of
from tests.support.fault_proxy import ThreadedFaultProxy
from tests.support.faults import Direction, Stall
from tests.support.servers import S3Server

MIB = 1024 * 1024
SIZE_BYTES = 40 * MIB
LANES = 2
HOW = ("--part-size", "5M", "--concurrency", str(LANES))
SLOWLY = ("--limit-rate", "8M")
FINISHED_BYTES = LANES * 5 * MIB
"""What is finished when each lane has moved one part."""
NO_MORE = (
    Stall(method="PUT", target="partNumber=", nth=LANES + 1, times=None, direction=Direction.UP, at_byte=None),
    Stall(method="GET", target="/large$", nth=LANES + 1, times=None, direction=Direction.UP, at_byte=None),
)
"""What holds all parts but the first ones before the store gets anything of them."""

NO_FIRST_PART = Stall(method="PUT", target=r"partNumber=1(&|$)", times=None, direction=Direction.UP, at_byte=None)
"""What lets no upload come to its end, while its other parts pass."""


@pytest.fixture
def proxy(seaweed: S3Server) -> Iterator[ThreadedFaultProxy]:
    with ThreadedFaultProxy(seaweed.endpoint_url) as made:
        yield made


@pytest.fixture
def cli(seaweed: S3Server, proxy: ThreadedFaultProxy, tmp_path: Path) -> Cli:
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "large").write_bytes(os.urandom(SIZE_BYTES))
    return Cli(seaweed.at(proxy.endpoint_url), folder)


def records(text: bytes | str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def jobs(cli: Cli, *flags: str) -> list[dict[str, Any]]:
    return records(cli.ok("jobs", "--json", *flags))


def finished_bytes(cli: Cli, *flags: str) -> int:
    return sum(item["finished_bytes"] for job in jobs(cli, *flags) for item in job["items"])


def uploads(oracle: Any, bucket: str) -> list[Any]:
    found: list[Any] = oracle.list_multipart_uploads(Bucket=bucket).get("Uploads", [])
    return found


def run_in(folder: Path, cli: Cli, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    """Run the command in another folder, with the same home."""
    folder.mkdir(exist_ok=True)
    return subprocess.run(
        [*COMMAND, *arguments],
        capture_output=True,
        cwd=folder,
        env=cli.environment(),
        timeout=TIMEOUT_SECONDS,
        check=False,
    )


@contextmanager
def midway(cli: Cli, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """A copy of one large item that has finished some of its parts and not all."""
    with cli.start("cp", *arguments, *HOW, *SLOWLY) as process:
        while not finished_bytes(cli):
            assert process.poll() is None, process.communicate()
        yield process


def kill_midway(cli: Cli, proxy: ThreadedFaultProxy, *arguments: str) -> None:
    """Kill a copy without a warning when `FINISHED_BYTES` are recorded and nothing else is on its way.

    A part that the store has and the journal has not would count as well when the copy goes on: whether there is one
    must not depend on the moment of the kill.
    """
    proxy.arm(*NO_MORE)
    with cli.start("cp", *arguments, *HOW) as process:
        while proxy.injected["Stall"] < LANES or finished_bytes(cli) < FINISHED_BYTES:
            assert process.poll() is None, process.communicate()
        process.kill()
        process.communicate()
    proxy.disarm()
    assert finished_bytes(cli) == FINISHED_BYTES


def store(cli: Cli, bucket: str) -> None:
    cli.ok("cp", "--no-resume", "large", f"s3://{bucket}/large", *HOW)


def moved_earlier(told: bytes) -> str:
    found = re.search(rb"of which (\S+ MiB) moved earlier", told)
    assert found, told.decode()
    return found[1].decode()


def assert_landed(cli: Cli, name: str) -> None:
    assert (cli.folder / name).read_bytes() == (cli.folder / "large").read_bytes()
    assert not list((cli.folder / name).parent.glob(".*.transfer"))


def test_the_same_command_goes_on_with_a_killed_upload(
    cli: Cli, proxy: ThreadedFaultProxy, seaweed_bucket: str, seaweed_oracle: Any
) -> None:
    url = f"s3://{seaweed_bucket}/large"
    kill_midway(cli, proxy, "large", url)
    (job,) = jobs(cli)
    assert (job["command"][:3], job["folder"], job["process_id"]) == (["cp", "large", url], str(cli.folder), None)
    listed = cli.ok("jobs")
    assert f"cd {cli.folder} && transfer cp large {url}" in listed
    assert f"{100 * FINISHED_BYTES // SIZE_BYTES}% of 40.0 MiB: {cli.folder}/large -> {url}" in listed
    done = cli.run("cp", "large", url, *HOW)
    assert done.returncode == 0, done.stderr.decode()
    assert moved_earlier(done.stderr) == f"{FINISHED_BYTES / MIB:.1f} MiB"
    assert jobs(cli) == []
    assert uploads(seaweed_oracle, seaweed_bucket) == []
    body = seaweed_oracle.get_object(Bucket=seaweed_bucket, Key="large")["Body"].read()
    assert body == (cli.folder / "large").read_bytes()


def test_resume_goes_on_with_a_killed_download_from_any_folder(
    cli: Cli, proxy: ThreadedFaultProxy, seaweed_bucket: str
) -> None:
    store(cli, seaweed_bucket)
    kill_midway(cli, proxy, f"s3://{seaweed_bucket}/large", "out/there")
    elsewhere = cli.folder.parent / "elsewhere"
    done = run_in(elsewhere, cli, "resume")
    assert done.returncode == 0, done.stderr.decode()
    assert moved_earlier(done.stderr) == f"{FINISHED_BYTES / MIB:.1f} MiB"
    assert f"job 1: cd {cli.folder} && transfer cp".encode() in done.stderr
    assert_landed(cli, "out/there")
    assert list(elsewhere.iterdir()) == []
    assert jobs(cli) == []


def elsewhere(cli: Cli, name: str, bucket: str) -> str:
    """Let the default profile go to the same server under another name; answers where it goes then."""
    url = cli.server.endpoint_url.replace("127.0.0.1", name)
    (cli.folder / "config").write_text(f"[default]\nendpoint_url = {url}\n")
    return f"{url}/{bucket}"


def test_a_profile_that_leads_elsewhere_now_keeps_the_job(
    cli: Cli, proxy: ThreadedFaultProxy, seaweed_bucket: str, seaweed_oracle: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server is called by two names: to the one who asks these are two stores."""
    environment = {name: value for name, value in cli.environment().items() if "ENDPOINT" not in name}
    environment["AWS_CONFIG_FILE"] = str(cli.folder / "config")
    monkeypatch.setattr(Cli, "environment", lambda _: environment)
    first = elsewhere(cli, "127.0.0.1", seaweed_bucket)
    url = f"s3://{seaweed_bucket}/large"
    kill_midway(cli, proxy, "large", url)
    before = jobs(cli)
    second = elsewhere(cli, "localhost", seaweed_bucket)
    cleaned = cli.run("clean")
    assert (cleaned.returncode, cleaned.stdout) == (1, b"")
    assert f"its upload is at {first}, but clean would ask {second};" in cleaned.stderr.decode()
    assert (jobs(cli), len(uploads(seaweed_oracle, seaweed_bucket))) == (before, 1)
    resumed = cli.run("resume")
    assert resumed.returncode == 1
    assert "job 1: still unfinished: its command went elsewhere" in lines_of(resumed.stderr)[-1]
    assert f"while this one went to {first};" in lines_of(resumed.stderr)[-1]
    assert jobs(cli) == before
    elsewhere(cli, "127.0.0.1", seaweed_bucket)
    cli.ok("resume")
    assert (jobs(cli), uploads(seaweed_oracle, seaweed_bucket)) == ([], [])


def test_resume_tells_machines_all_in_json(cli: Cli, proxy: ThreadedFaultProxy, seaweed_bucket: str) -> None:
    url = f"s3://{seaweed_bucket}/large"
    kill_midway(cli, proxy, "large", url)
    done = run_in(cli.folder.parent, cli, "resume", "1", "--json")
    assert (done.returncode, done.stderr) == (0, b"")
    repeated, receipt, summary = records(done.stdout)
    (item,) = repeated["items"]
    assert (repeated["type"], repeated["job"], item["finished_bytes"]) == ("job_repeated", 1, FINISHED_BYTES)
    assert (receipt["type"], receipt["resumed_bytes"], receipt["size"]) == ("receipt", FINISHED_BYTES, SIZE_BYTES)
    assert (summary["type"], summary["resumed_bytes"], summary["exit_code"]) == ("summary", FINISHED_BYTES, 0)


def test_clean_gives_up_an_upload_with_what_it_left_at_the_store(
    cli: Cli, proxy: ThreadedFaultProxy, seaweed_bucket: str, seaweed_oracle: Any
) -> None:
    url = f"s3://{seaweed_bucket}/large"
    kill_midway(cli, proxy, "large", url)
    before = jobs(cli)
    assert cli.ok("clean", "--older-than", "1h") == ""
    assert cli.ok("clean", "--dry-run").startswith(f"would give up job 1: transfer cp large {url} ")
    (would,) = records(cli.ok("clean", "--dry-run", "--json"))
    assert would == before[0] | {"type": "job_would_be_forgotten"}
    assert (jobs(cli), len(uploads(seaweed_oracle, seaweed_bucket))) == (before, 1)
    (forgotten,) = records(cli.ok("clean", "--json"))
    assert forgotten == before[0] | {"type": "job_forgotten"}
    assert (jobs(cli), uploads(seaweed_oracle, seaweed_bucket)) == ([], [])


def test_clean_removes_the_temporary_file_of_a_download(
    cli: Cli, proxy: ThreadedFaultProxy, seaweed_bucket: str
) -> None:
    store(cli, seaweed_bucket)
    kill_midway(cli, proxy, f"s3://{seaweed_bucket}/large", "out/there")
    (temporary,) = (cli.folder / "out").iterdir()
    cli.ok("clean", "--dry-run")
    assert temporary.exists()
    assert run_in(cli.folder.parent, cli, "clean", "-q").stdout == b""
    assert list((cli.folder / "out").iterdir()) == []
    assert jobs(cli) == []


def test_a_running_job_is_left_alone_and_done_once(cli: Cli, seaweed_bucket: str, seaweed_oracle: Any) -> None:
    arguments = ("large", f"s3://{seaweed_bucket}/large")
    with midway(cli, *arguments) as process:
        assert f"running as process {process.pid} since" in cli.ok("jobs")
        cleaned = cli.run("clean")
        assert (cleaned.returncode, cleaned.stdout) == (0, b"")
        assert f"job 1: skipped: process {process.pid} works on it" in cleaned.stderr.decode()
        again = cli.run("cp", *arguments, *HOW)
        assert again.returncode == 1
        assert f"process {process.pid} is moving the same" in again.stderr.decode()
        assert cli.run("resume", "1").returncode == 1
        assert len(uploads(seaweed_oracle, seaweed_bucket)) == 1
        _, said = process.communicate(timeout=TIMEOUT_SECONDS)
    assert process.returncode == 0, said.decode()
    assert jobs(cli) == []


@pytest.mark.parametrize("flags", [(), ("-q",)])
def test_ctrl_c_keeps_what_is_finished_and_says_how_to_go_on(
    cli: Cli, seaweed_bucket: str, seaweed_oracle: Any, flags: Sequence[str]
) -> None:
    with midway(cli, *flags, "large", f"s3://{seaweed_bucket}/large") as process:
        process.send_signal(signal.SIGINT)
        out, said = process.communicate(timeout=TIMEOUT_SECONDS)
    assert (process.returncode, out) == (130, b"")
    advice = "run the same command again to go on, or: transfer resume 1"
    assert lines_of(said)[-1] == f"transfer: interrupted; {advice}"
    assert len(uploads(seaweed_oracle, seaweed_bucket)) == 1
    done = cli.run("resume", "1", *flags)
    assert done.returncode == 0, done.stderr.decode()
    assert done.stderr == b"" if flags else moved_earlier(done.stderr)


def test_ctrl_c_does_not_wait_for_a_process_that_keeps_the_journal_busy(cli: Cli, seaweed_bucket: str) -> None:
    """A run that waits to the end would give up with a warning that the journal cannot be written."""
    with midway(cli, "large", f"s3://{seaweed_bucket}/large") as process:
        (journal,) = Path(cli.environment()["HOME"]).rglob("journal.sqlite3")
        with closing(sqlite3.connect(journal, isolation_level=None)) as busy:
            busy.execute("BEGIN IMMEDIATE")
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=TIMEOUT_SECONDS)
    assert process.returncode == 130
    assert [line for line in lines_of(said) if "warning" in line] == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_in_json_tells_the_job_too(cli: Cli, seaweed_bucket: str, number: signal.Signals) -> None:
    store(cli, seaweed_bucket)
    with midway(cli, "--json", f"s3://{seaweed_bucket}/large", "there") as process:
        process.send_signal(number)
        out, said = process.communicate(timeout=TIMEOUT_SECONDS)
    assert (process.returncode, said) == (130, b"")
    told = records(out)
    assert [record["job"] for record in told if record["type"] == "job_kept"] == [1]
    assert told[-1]["kind"] == "interrupted"


def test_without_resume_nothing_is_remembered(cli: Cli, seaweed_bucket: str, seaweed_oracle: Any) -> None:
    url = f"s3://{seaweed_bucket}/large"
    with cli.start("cp", "--no-resume", "large", url, *HOW, *SLOWLY) as process:
        while not uploads(seaweed_oracle, seaweed_bucket):
            assert process.poll() is None, process.communicate()
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=TIMEOUT_SECONDS)
    assert process.returncode == 130
    assert b"transfer resume" not in said
    assert uploads(seaweed_oracle, seaweed_bucket) == []
    assert [path.name for path in cli.folder.iterdir()] == ["large"]


def test_a_state_folder_that_cannot_be_used_is_a_warning(cli: Cli, seaweed_bucket: str, seaweed_oracle: Any) -> None:
    tree = cli.folder / "tree"
    tree.mkdir()
    for name in ("one", "two"):
        (tree / name).write_bytes(name.encode())
    (cli.folder / "large").rename(tree / "large")
    arguments = ("cp", "-r", "tree", f"s3://{seaweed_bucket}/", "--state-dir", "tree/one/state")
    done = cli.run(*arguments)
    assert done.returncode == 0, done.stderr.decode()
    warnings = [line for line in lines_of(done.stderr) if line.startswith("transfer: warning: ")]
    assert len(warnings) == 1, done.stderr.decode()
    assert "tree/one/state" in warnings[0]
    keys = [found["Key"] for found in seaweed_oracle.list_objects_v2(Bucket=seaweed_bucket)["Contents"]]
    assert sorted(keys) == ["large", "one", "two"]
    assert [record["type"] for record in records(cli.ok(*arguments, "--json"))].count("warning") == 1
    assert cli.run(*arguments, "-q").stderr == b""


def test_a_named_state_folder_is_used_by_all_commands(cli: Cli, seaweed_bucket: str, seaweed_oracle: Any) -> None:
    url = f"s3://{seaweed_bucket}/large"
    named = ("--state-dir", "my state")
    with cli.start("cp", "large", url, *HOW, *SLOWLY, *named) as process:
        while not finished_bytes(cli, *named):
            assert process.poll() is None, process.communicate()
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=TIMEOUT_SECONDS)
    assert process.returncode == 130
    assert said.endswith(b"transfer resume 1 --state-dir 'my state'\n")
    assert jobs(cli) == []
    cli.ok("clean", *named)
    assert cli.ok("jobs", *named) == ""
    assert uploads(seaweed_oracle, seaweed_bucket) == []
    assert cli.run("resume", "1", *named).returncode == 2


def midway_through(cli: Cli, process: subprocess.Popen[bytes], count: int) -> None:
    """Wait until so many items have finished some of their parts."""
    while sum(bool(item["finished_bytes"]) for job in jobs(cli) for item in job["items"]) < count:
        assert process.poll() is None, process.communicate()


@pytest.mark.parametrize("count", [1, 2])
def test_ctrl_c_in_run_tells_what_each_line_leaves(cli: Cli, seaweed_bucket: str, count: int) -> None:
    (cli.folder / "small").write_bytes(b"1")
    slow = " ".join((*HOW, *SLOWLY))
    large = [f"cp large s3://{seaweed_bucket}/{number} {slow}" for number in range(count)]
    (cli.folder / "list").write_text("\n".join([f"cp small s3://{seaweed_bucket}/small", *large]))

    with cli.start("run", "list") as process:
        midway_through(cli, process, count)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=TIMEOUT_SECONDS)

    assert process.returncode == 130
    told = lines_of(said)
    assert sorted(re.findall(r"transfer resume (\d+)", said.decode())) == [str(job["job"]) for job in jobs(cli)]
    assert [line for line in told if line.startswith("moved 1 object")]
    assert told[-1].startswith("transfer: interrupted; ")


def test_ctrl_c_in_run_tells_the_jobs_of_plain_lines(cli: Cli, proxy: ThreadedFaultProxy, seaweed_bucket: str) -> None:
    proxy.arm(NO_FIRST_PART)
    lines = [f"cp large s3://{seaweed_bucket}/{number}" for number in range(2)]
    (cli.folder / "list").write_text("\n".join(lines))

    with cli.start("run", "list") as process:
        midway_through(cli, process, 2)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=TIMEOUT_SECONDS)

    assert process.returncode == 130
    kept = [str(job["job"]) for job in jobs(cli)]
    assert len(kept) == 2
    assert sorted(re.findall(r"transfer resume (\d+)", said.decode())) == kept
