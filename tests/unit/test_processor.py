import os
from pathlib import Path

import pytest

from transfer.system import processor


def test_computing_is_being_busy() -> None:
    before = processor.busy_seconds()
    sum(range(2_000_000))

    assert processor.busy_seconds() > before


def test_systems_that_do_not_tell_delays_count_computing_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processor, "_SCHEDULER_STATISTICS", "/nonexistent/schedstat")

    assert processor.busy_seconds() > 0


def test_idle_is_what_had_nothing_to_do_and_what_waited_for_a_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = tmp_path / "stat"
    monkeypatch.setattr(processor, "_STATISTICS", str(told))
    told.write_text("cpu  1 2 4 800 1600 32 64 128 256 512\ncpu0 1 2 4 8 16 32 64 128 256 512\n")
    assert processor.idle_seconds() == 2400 / os.sysconf("SC_CLK_TCK")
    told.write_text("nonsense")
    assert processor.idle_seconds() is None
    told.unlink()
    assert processor.idle_seconds() is None
