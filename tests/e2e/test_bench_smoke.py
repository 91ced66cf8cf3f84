"""The benchmarks as a process: `python -m benchmarks` at a size that takes seconds, on each kind of endpoint."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).resolve().parents[2]
DEMANDED = {"transfer", "boto3-classic", "boto3-crt", "awscrt", "aiobotocore"}
"""What the tests' own extra installs; others are measured where they are, and named where they are not."""


def command(folder: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "benchmarks", "--folder", str(folder), "--runs", "1", *arguments]


def run(tmp_path: Path, *arguments: str) -> tuple[dict[str, Any], str]:
    data, found = tmp_path / "data", tmp_path / "found.json"
    data.mkdir()
    ended = subprocess.run(
        command(data, "--json", str(found), *arguments), cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert not list(data.iterdir())
    return json.loads(found.read_text()), ended.stdout


def states(found: dict[str, Any]) -> dict[tuple[str, str], str]:
    return {(one["workload"], one["peer"]): one["state"] for one in found["outcomes"]}


def test_every_peer_that_is_here_does_small_files_and_others_are_named(tmp_path: Path) -> None:
    found, table = run(tmp_path, "--endpoint", "null", "--scale", "0.003", "--workload", "64KiB")
    missing = {one["name"] for one in found["missing"]}
    assert not missing & DEMANDED
    assert all(f"Skipped peer {name}: not installed: pip install" in table for name in missing)
    assert set(states(found).values()) == {"measured"}
    assert {peer for _, peer in states(found)} >= DEMANDED
    assert not {peer for _, peer in states(found)} & missing


def test_every_workload_is_done(tmp_path: Path) -> None:
    found, table = run(tmp_path, "--endpoint", "null", "--scale", "0.0005", "--peer", "transfer")
    assert len(states(found)) == 15
    assert set(states(found).values()) == {"measured"}
    assert table.count("| transfer |") == 15


@pytest.mark.parametrize("endpoint", ["moto", "seaweedfs", "null-tls", "null-s3"])
def test_every_endpoint_serves(tmp_path: Path, endpoint: str) -> None:
    workloads = ["--workload", "mixed", "--workload", "list"]
    found, _ = run(tmp_path, "--endpoint", endpoint, "--scale", "0.0005", *workloads, "--peer", "transfer")
    assert len(states(found)) == 3
    assert set(states(found).values()) == {"measured"}


def test_an_interrupt_leaves_nothing_behind(tmp_path: Path) -> None:
    arguments = command(tmp_path, "--runs", "1000", "--scale", "0.001", "--peer", "transfer", "--endpoint", "null")
    process = subprocess.Popen(arguments, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with process:
        assert process.stderr
        assert any(line.startswith("endpoint http://127.0.0.1:") for line in process.stderr)
        os.kill(process.pid, signal.SIGINT)
        _, errors = process.communicate()
    assert process.returncode == 130, errors
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--workload", "nothing"], "no workload matches"),
        (["--delay-ms", "5"], "needs one of the endpoints null"),
        (["--compare", "no-such-revision"], "git knows no revision"),
        (["--endpoint", "null", "--scale", "0"], "the scale must be above 0"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(tmp_path: Path, arguments: list[str], reason: str) -> None:
    ended = subprocess.run(command(tmp_path, *arguments), cwd=PROJECT, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert reason in ended.stderr.splitlines()[-1]
    assert "Traceback" not in ended.stderr


def test_plots_without_matplotlib_are_refused_and_with_it_drawn(tmp_path: Path) -> None:
    plots = tmp_path / "plots"
    arguments = ["--plots", str(plots), "--endpoint", "null", "--scale", "0.001", "--workload", "upload 1GiB"]
    ended = subprocess.run(
        command(tmp_path, "--peer", "transfer", *arguments), cwd=PROJECT, capture_output=True, text=True, check=False
    )
    if importlib.util.find_spec("matplotlib") is None:
        assert ended.returncode == 2
        assert "pip install '.[bench]'" in ended.stderr
    else:
        assert ended.returncode == 0, ended.stderr
        assert {path.name for path in plots.iterdir()} >= {"throughput.png", "throughput.svg"}
