import pytest

from transfer.system import processor


def test_computing_is_being_busy() -> None:
    before = processor.busy_seconds()
    sum(range(2_000_000))

    assert processor.busy_seconds() > before


def test_systems_that_do_not_tell_delays_count_computing_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processor, "_SCHEDULER_STATISTICS", "/nonexistent/schedstat")

    assert processor.busy_seconds() > 0
