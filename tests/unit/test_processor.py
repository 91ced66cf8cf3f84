import subprocess
import sys

import pytest

from transfer.system import processor


def test_computing_is_being_busy() -> None:
    before = processor.busy_seconds()
    sum(range(2_000_000))

    assert processor.busy_seconds() > before


def test_systems_that_do_not_tell_delays_count_computing_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processor, "_SCHEDULER_STATISTICS", "/nonexistent/schedstat")

    assert processor.busy_seconds() > 0


@pytest.mark.skipif(sys.platform != "linux", reason="workers are processes of Linux alone")
def test_what_another_process_has_computed_in_all_threads_is_known_until_it_has_ended() -> None:
    code = (
        "import threading\n"
        "threads = [threading.Thread(target=lambda: sum(range(3_000_000))) for _ in range(2)]\n"
        "for one in threads: one.start()\n"
        "for one in threads: one.join()\n"
        "import time; print(time.process_time(), flush=True); input()"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        told_seconds = float(process.stdout.readline())
        seconds = processor.computed_seconds(process.pid)
        process.communicate(b"\n")
    assert seconds is not None
    assert told_seconds <= seconds < told_seconds + 5
    assert processor.computed_seconds(process.pid) is None
