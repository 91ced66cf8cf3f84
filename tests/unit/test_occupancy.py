import time

import pytest

from transfer.system.occupancy import Occupancy


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
