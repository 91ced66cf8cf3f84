"""Runs one command as a whole process and says what it cost.

Owns that process and those it starts: none outlives the call.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep

from benchmarks.interrupts import deferred_interrupts

LAUNCHER = Path(__file__).with_name("launcher.py")
PROJECT = Path(__file__).resolve().parent.parent
END_TIMEOUT_SECONDS = 5.0
POLL_SECONDS = 0.01
ERROR_TEXT_CHARACTERS = 4000
READ_BYTES = 1 << 20
RU_MAXRSS_UNIT_BYTES = 1 if sys.platform == "darwin" else 1024


@dataclass(frozen=True, slots=True)
class Measurement:
    """What one run cost, from its start to its end, with the processes it waited for.

    Attributes:
        cpu_seconds: User and system time.
        peak_memory_bytes: The largest resident set of a single process among them.
        output_lines: What it printed, which for a listing is its work.
    """

    wall_seconds: float
    cpu_seconds: float
    peak_memory_bytes: int
    output_lines: int = 0


class CommandFailedError(RuntimeError):
    """A measured command failed or did not do its work; the text names the command and holds its stderr."""

    def __init__(self, command: Sequence[str], reason: str, errors: str = "") -> None:
        text = f"{shlex.join(command)}\n{reason}"
        super().__init__(f"{text}\n{errors.rstrip()[-ERROR_TEXT_CHARACTERS:]}" if errors.strip() else text)


def measure(
    command: Sequence[str], environment: Mapping[str, str], folder: Path, timeout_seconds: float
) -> Measurement:
    """Run `command` in the project's folder and measure it.

    Args:
        command: The program and its arguments.
        environment: All of its environment.
        folder: Where its output is kept while it runs.
        timeout_seconds: A command that runs longer is killed.

    Raises:
        CommandFailedError: It could not start, ran too long or did not end with exit code 0.
    """
    output, errors = folder / "command.stdout", folder / "command.stderr"
    try:
        reported, launcher_errors = _launch([str(output), str(errors), *command], environment, timeout_seconds)
        if not reported:
            raise CommandFailedError(command, "could not be started", launcher_errors)
        result = json.loads(reported)
        if result["exit_code"]:
            said = "\n".join(path.read_text(errors="replace").rstrip() for path in (output, errors)).lstrip("\n")
            raise CommandFailedError(command, _describe_end(result["exit_code"]), said)
        lines = _count_lines(output)
    except subprocess.TimeoutExpired:
        said = errors.read_text(errors="replace") if errors.exists() else ""
        raise CommandFailedError(command, f"killed: still running after {timeout_seconds:g} s", said) from None
    finally:
        output.unlink(missing_ok=True)
        errors.unlink(missing_ok=True)
    return Measurement(
        wall_seconds=result["wall_seconds"],
        cpu_seconds=result["cpu_seconds"],
        peak_memory_bytes=result["ru_maxrss"] * RU_MAXRSS_UNIT_BYTES,
        output_lines=lines,
    )


def measure_floor(environment: Mapping[str, str], folder: Path) -> Measurement:
    """Measure `true`: no memory below its peak can be seen, because a process starts with its parent's."""
    return measure(["true"], environment, folder, timeout_seconds=60.0)


def _launch(arguments: Sequence[str], environment: Mapping[str, str], timeout_seconds: float) -> tuple[str, str]:
    process: subprocess.Popen[str] | None = None
    try:
        with deferred_interrupts():
            # A group of its own: a Ctrl-C in the terminal reaches the harness alone, which then ends the whole group.
            process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(LAUNCHER), *arguments],
                env=dict(environment),
                cwd=PROJECT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                process_group=0,
            )
        return process.communicate(timeout=timeout_seconds)
    except BaseException:
        if process is not None:
            _end_group(process)
        raise


def _end_group(leader: subprocess.Popen[str]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(leader.pid, signal.SIGKILL)
        leader.communicate()
        # The command is no child of ours: wait until it is gone, so that
        # it cannot write into a folder that is being removed.
        deadline = monotonic() + END_TIMEOUT_SECONDS
        while monotonic() < deadline:
            os.killpg(leader.pid, 0)
            sleep(POLL_SECONDS)


def _count_lines(path: Path) -> int:
    with path.open("rb") as file:
        return sum(block.count(b"\n") for block in iter(lambda: file.read(READ_BYTES), b""))


def _describe_end(code: int) -> str:
    if code < 0:
        return f"ended by signal {signal.Signals(-code).name}"
    return f"exit code {code}"
