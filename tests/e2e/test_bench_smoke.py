"""The benchmarks as a process: `python -m benchmarks` at a size that takes seconds."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
WORKLOADS = (
    "upload 1GiB-1x",
    "download 1GiB-1x",
    "upload 4GiB-1x",
    "download 4GiB-1x",
    "upload 4KiB-10_000x",
    "version",
    "cp-one-small-file",
)
PEERS = ("transfer", "s5cmd", "s5cmd-binary")


def command(folder: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "benchmarks", "--scale", "0.001", "--folder", str(folder), *arguments]


def test_every_workload_has_a_row_for_every_peer_that_is_here(tmp_path: Path) -> None:
    data, found = tmp_path / "data", tmp_path / "found.json"
    data.mkdir()
    ended = subprocess.run(
        command(data, "--runs", "1", "--json", str(found)), cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    skipped = {name for name in PEERS if f"Skipped peer {name}:" in ended.stdout}
    assert "transfer" not in skipped
    rows = [line.strip("| ").split(" | ") for line in ended.stdout.splitlines() if line.startswith("| ")]
    measured = {(row[0], row[1]) for row in rows if "[" in row[2]}
    assert measured == {(workload, peer) for workload in WORKLOADS for peer in PEERS if peer not in skipped}
    assert len(json.loads(found.read_text())["outcomes"]) == len(measured)
    assert not list(data.iterdir())


def test_an_interrupt_leaves_nothing_behind(tmp_path: Path) -> None:
    process = subprocess.Popen(
        command(tmp_path, "--runs", "1000"), cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with process:
        assert process.stderr
        assert any(line.startswith("endpoint http://127.0.0.1:") for line in process.stderr)
        os.kill(process.pid, signal.SIGINT)
        _, errors = process.communicate()
    assert process.returncode == 130, errors
    assert not list(tmp_path.iterdir())
