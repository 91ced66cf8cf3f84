import subprocess
import sys
import threading
import time

import pytest

from transfer.system.occupancy import Occupancy, occupied_seconds


def used(watched: Occupancy, seconds: float) -> float:
    before = watched.seconds()
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass
    return watched.seconds() - before


def test_work_is_seen_at_least_as_long_as_the_processor_had_it() -> None:
    watched = Occupancy()
    assert used(watched, 0.05) >= 0.04
    watched.close()
    watched.close()


def test_elsewhere_the_time_of_the_thread_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("transfer.system.occupancy.sys.platform", "other")
    watched = Occupancy()
    assert used(watched, 0.02) >= 0.02
    watched.close()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells how long a thread has waited")
def test_a_thread_is_occupied_while_it_runs_and_while_others_have_its_processor() -> None:
    code = "import os; os.sched_setaffinity(0, [min(os.sched_getaffinity(0))]); print(flush=True)\nwhile True: pass"
    with (
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as one,
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as other,
    ):
        try:
            for process in (one, other):
                assert process.stdout
                process.stdout.readline()
            before, began = occupied_seconds(one.pid), time.monotonic()
            used(Occupancy(), 0.3)
            after, seconds = occupied_seconds(one.pid), time.monotonic() - began
        finally:
            one.kill()
            other.kill()
    assert before is not None
    assert after is not None
    # The system adds up what is not over yet with each turn of the scheduler.
    assert after - before > 0.8 * seconds
    assert occupied_seconds(one.pid) is None


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells it of any thread")
def test_of_this_thread_both_say_the_same() -> None:
    watched = Occupancy()
    before = watched.seconds()
    told = occupied_seconds(threading.get_native_id())
    assert told is not None
    assert before <= told <= watched.seconds()
    watched.close()


def test_a_system_that_does_not_count_tells_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("transfer.system.occupancy.Path.read_bytes", lambda _: b"0 0 0\n")
    assert occupied_seconds(1) is None
