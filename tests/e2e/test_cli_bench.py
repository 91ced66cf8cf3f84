"""`transfer bench` as a process against real servers: what it says, what it leaves, and how it ends."""

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.support.cli import Cli, lines_of
from tests.support.servers import S3Server

FEW = ("--requests", "20", "--objects", "5", "--size", "1KiB", "--concurrency", "1,2")


@pytest.fixture
def cli(server: S3Server, tmp_path: Path) -> Cli:
    return Cli(server, tmp_path)


def keys(oracle: Any, bucket: str) -> list[str]:
    return [found["Key"] for found in oracle.list_objects_v2(Bucket=bucket).get("Contents", ())]


def test_a_table_for_people(cli: Cli, oracle: Any, bucket: str) -> None:
    done = cli.run("bench", f"s3://{bucket}/tmp", *FEW, "--op", "put,get,mixed")
    assert done.returncode == 0, done.stderr.decode()
    heads, *rows = done.stdout.decode().splitlines()
    assert heads.split()[:5] == ["at", "once", "objects/s", "MiB/s", "p50"]
    assert [row[:13].rstrip() for row in rows] == [
        "put 1.0 KiB",
        "put 1.0 KiB",
        "get 1.0 KiB",
        "get 1.0 KiB",
        *(["mixed 1.0 KiB", "  put", "  get", "  stat", "  delete"] * 2),
    ]
    assert [row.split()[3] for row in rows[:4]] == ["1", "2", "1", "2"]
    told = lines_of(done.stderr)
    assert told[0].startswith(f"transfer: bench: below s3://{bucket}/tmp/transfer-bench-")
    assert "at most: 130 requests" in told[2]
    assert [line.split(":")[2].strip() for line in told[3:]] == ["put 1.0 KiB", "get 1.0 KiB", "mixed 1.0 KiB"]
    assert keys(oracle, bucket) == []


def test_records_for_machines(cli: Cli, oracle: Any, bucket: str) -> None:
    done = cli.run("bench", f"s3://{bucket}", *FEW, "--op", "get,list", "--json", "--output", "figures.json")
    assert (done.returncode, done.stderr) == (0, b"")
    plan, *steps, summary = [json.loads(line) for line in done.stdout.splitlines()]
    assert (plan["type"], plan["dry_run"], plan["at_most"]["steps"]) == ("bench_plan", False, 4)
    assert plan["options"]["operations"] == ["get", "list"]
    assert [(step["type"], step["operation"], step["size"], step["concurrency"]) for step in steps] == [
        ("bench_step", operation, 1024, level) for operation in ("get", "list") for level in (1, 2)
    ]
    get = steps[0]
    assert (get["requests"], get["objects"], get["bytes"], get["errors"], get["retries"]) == (20, 20, 20 * 1024, {}, 0)
    assert list(get["latency_seconds"]) == ["mean", "min", "p50", "p90", "p99", "p99.9", "max"]
    assert list(get["first_byte_seconds"]) == list(get["latency_seconds"])
    assert get["objects_per_second"] == pytest.approx(20 / get["seconds"], rel=0.01)
    assert steps[2]["objects"] == 20 * 5
    assert steps[2]["first_byte_seconds"] is None
    assert (summary["type"], summary["command"], summary["exit_code"]) == ("summary", "bench", 0)
    assert (summary["steps"], summary["requests"], summary["failed"]) == (4, 80, 0)
    assert (summary["objects"]["left"], summary["objects"]["place"]) == (0, plan["place"])

    kept = json.loads((cli.folder / "figures.json").read_text())
    assert (kept["url"], kept["steps"], kept["summary"]) == (f"s3://{bucket}", steps, summary)
    assert [file.name for file in cli.folder.iterdir()] == ["figures.json"]


def test_a_dry_run_only_tells(cli: Cli, oracle: Any, bucket: str) -> None:
    done = cli.run("bench", f"s3://{bucket}", "--dry-run")
    assert (done.returncode, done.stderr) == (0, b"")
    assert "72.3 GiB written (8.2 GiB there at one time)" in done.stdout.decode()
    [plan] = [json.loads(line) for line in cli.ok("bench", f"s3://{bucket}", "--dry-run", "--json").splitlines()]
    assert plan["dry_run"] is True
    assert keys(oracle, bucket) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_keeps_the_figures_and_leaves_no_object(
    cli: Cli, oracle: Any, bucket: str, number: signal.Signals
) -> None:
    oracle.put_object(Bucket=bucket, Key="tmp/foreign", Body=b"1")
    words = ("--op", "get,put", "--size", "1KiB", "--objects", "20", "--concurrency", "1,2,3", "--requests", "200")
    with cli.start("bench", f"s3://{bucket}/tmp", *words, "--json", "--output", "figures.json") as process:
        assert process.stdout is not None
        plan = json.loads(process.stdout.readline())
        first = json.loads(process.stdout.readline())
        assert first["type"] == "bench_step"
        assert any(key.startswith(plan["place"].partition(f"{bucket}/")[2]) for key in keys(oracle, bucket))
        process.send_signal(number)
        said, _ = process.communicate(timeout=60)
        assert process.returncode == 130
    *_, summary, last = [json.loads(line) for line in said.splitlines()]
    assert (summary["type"], summary["exit_code"]) == ("summary", 130)
    assert (last["type"], last["kind"]) == ("error", "interrupted")
    assert last["remedy"] == f"what was written below {plan['place']} has been removed"
    assert (summary["objects"]["place"], summary["objects"]["left"]) == (plan["place"], 0)
    assert json.loads((cli.folder / "figures.json").read_text())["steps"][0] == first
    assert keys(oracle, bucket) == ["tmp/foreign"]


def test_what_is_kept_can_be_removed_as_told(cli: Cli, oracle: Any, bucket: str) -> None:
    done = cli.run("bench", f"s3://{bucket}", *FEW, "--op", "stat", "--keep")
    assert len(keys(oracle, bucket)) == 5
    advice = lines_of(done.stderr)[-1].partition("transfer rm ")[2]
    cli.ok("rm", *advice.split())
    assert keys(oracle, bucket) == []


def test_a_missing_bucket(cli: Cli) -> None:
    done = cli.run("bench", "s3://no-such-bucket-here/x")
    assert (done.returncode, done.stdout) == (1, b"")
    [line] = lines_of(done.stderr)
    assert line.startswith("transfer: s3://no-such-bucket-here")
    assert "bucket" in line
