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
def test_what_another_process_has_computed_is_known_until_it_has_ended() -> None:
    code = "sum(range(5_000_000)); print(flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        assert 0.01 < processor.thread_seconds(process.pid) < 60
        process.communicate(b"\n")
    assert processor.thread_seconds(process.pid) == 0
