"""What a measured command costs, and that none outlives its measurement."""

import os
import signal
import sys
from pathlib import Path

import pytest

from benchmarks.measure import CommandFailedError, measure

MIB = 1 << 20


def test_memory_is_that_of_the_command_not_of_the_harness(tmp_path: Path) -> None:
    ballast = bytearray(os.urandom(MIB)) * 200
    sample = measure(["true"], os.environ, tmp_path, 60)
    assert MIB / 4 < sample.peak_memory_bytes < 20 * MIB
    assert len(ballast) == 200 * MIB


def test_memory_and_processor_time_of_the_command_are_seen(tmp_path: Path) -> None:
    code = "import time; kept = b'x' * (80 << 20); e = time.process_time() + 0.2\nwhile time.process_time() < e: pass"
    direct = measure([sys.executable, "-c", code], os.environ, tmp_path, 60)
    nested = f"import subprocess, sys; sys.exit(subprocess.call([sys.executable, '-c', {code!r}]))"
    launched = measure([sys.executable, "-c", nested], os.environ, tmp_path, 60)
    for sample in (direct, launched):
        assert sample.peak_memory_bytes > 80 * MIB
        assert sample.cpu_seconds > 0.2
        assert sample.wall_seconds > 0.2


def test_a_failing_command_is_named_with_its_stderr(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import sys; print('why', file=sys.stderr); sys.exit(3)"]
    with pytest.raises(CommandFailedError, match=r"(?s)import sys.*exit code 3\nwhy$"):
        measure(command, os.environ, tmp_path, 60)
    assert not list(tmp_path.iterdir())


def test_a_killed_command_names_the_signal(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"]
    with pytest.raises(CommandFailedError, match="SIGKILL"):
        measure(command, os.environ, tmp_path, 60)


def test_a_command_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(CommandFailedError, match=r"(?s)no-such-command.*could not be started.*FileNotFound"):
        measure(["no-such-command"], os.environ, tmp_path, 60)


def test_a_command_that_runs_too_long_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import signal; signal.pause()"]
    with pytest.raises(CommandFailedError, match=r"(?s)signal\.pause.*still running after 0\.5 s"):
        measure(command, os.environ, tmp_path, 0.5)


class InterruptedByChildError(Exception):
    """What the signal of the measured command raises here."""


def test_an_interrupt_ends_the_command_and_its_children(tmp_path: Path) -> None:
    def interrupt(*_: object) -> None:
        raise InterruptedByChildError

    marker = tmp_path / "child"
    code = (
        "import os, pathlib, signal, subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import signal; signal.pause()'])\n"
        f"pathlib.Path({str(marker)!r}).write_text(str(child.pid))\n"
        f"os.kill({os.getpid()}, signal.SIGUSR1)\nsignal.pause()\n"
    )
    before = signal.signal(signal.SIGUSR1, interrupt)
    try:
        with pytest.raises(InterruptedByChildError):
            measure([sys.executable, "-c", code], os.environ, tmp_path, 60)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert _is_gone(int(marker.read_text()))


def _is_gone(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return True
    # A process that nobody waited for is gone too, but for its name.
    return Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
