"""The options that choose: their order, what they mean for the engine, and what makes no sense."""

import shlex
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import pytest

from tests.support.cli_fake import Script, scripted
from transfer.__main__ import main
from transfer.cli.filter_flags import FilterFlags
from transfer.model.errors import UsageError
from transfer.model.filters import FilterRule, Filters

NOW = datetime(2026, 2, 1, 12, tzinfo=UTC).timestamp()


@pytest.fixture(autouse=True)
def _clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: NOW)


@pytest.fixture
def engine() -> Iterator[Script]:
    with scripted(Script()) as script:
        yield script


def filters_of(engine: Script, words: Sequence[str]) -> Filters:
    assert main([*words]) == 0
    assert engine.options is not None
    return engine.options.filters


@pytest.mark.parametrize("command", ["cp -r a s3://b", "rm -r s3://b"])
def test_rules_keep_the_order_of_the_command_line(engine: Script, command: str) -> None:
    words = [*shlex.split(command), "--exclude", "1", "--include=2", "-q", "--include", "3", "--exclude=4"]
    assert filters_of(engine, words).rules == (
        FilterRule("1", includes=False),
        FilterRule("2", includes=True),
        FilterRule("3", includes=True),
        FilterRule("4", includes=False),
    )
    turned = [*shlex.split(command), "--include", "2", "--exclude", "1"]
    assert filters_of(engine, turned).rules == (FilterRule("2", includes=True), FilterRule("1", includes=False))


def test_rules_stand_anywhere_but_behind_two_dashes(engine: Script) -> None:
    found = filters_of(engine, ["cp", "--exclude", "x", "-r", "a", "--include", "y", "s3://b"])
    assert found.rules == (FilterRule("x", includes=False), FilterRule("y", includes=True))
    assert filters_of(engine, ["cp", "-r", "--", "--include", "a", "s3://b"]).rules == ()
    assert engine.calls[-1] == ("cp", ["--include", "a"], "s3://b", True, False)


def test_without_an_order_excludes_come_last() -> None:
    assert FilterFlags(include=["a", "b"], exclude=["c"]).filters().rules == (
        FilterRule("a", includes=True),
        FilterRule("b", includes=True),
        FilterRule("c", includes=False),
    )


def test_bounds_and_classes_reach_the_engine(engine: Script) -> None:
    words = "rm -r s3://b --min-size 1K --max-size 1.5M --newer-than 7D --older-than 2026-02-01T13:00+02:00"
    words += " --only-storage-class glacier --only-storage-class STANDARD"
    found = filters_of(engine, words.split())
    assert (found.min_size_bytes, found.max_size_bytes) == (1024, 1536 * 1024)
    assert found.modified_after_seconds == NOW - 7 * 86400
    assert found.modified_before_seconds == NOW - 3600
    assert (found.newer_than, found.older_than) == ("7d", "")
    assert found.storage_classes == {"GLACIER", "STANDARD"}


def test_nothing_given_lets_everything_through(engine: Script) -> None:
    assert filters_of(engine, ["rm", "s3://b/k"]).is_open
    assert filters_of(engine, ["cp", "a", "s3://b/k"]).is_open


def test_a_time_without_a_zone_is_local() -> None:
    found = FilterFlags(newer_than="2026-01-31").filters()
    assert found.modified_after_seconds == datetime(2026, 1, 31).astimezone().timestamp()


@pytest.mark.parametrize(
    ("flags", "subject", "named"),
    [
        (FilterFlags(min_size="big"), "--min-size", "'big'"),
        (FilterFlags(max_size="-1"), "--max-size", "'-1'"),
        (FilterFlags(newer_than="yesterday"), "--newer-than", "'yesterday'"),
        (FilterFlags(older_than="7"), "--older-than", "'7'"),
        (FilterFlags(older_than="2026-02-30"), "--older-than", "'2026-02-30'"),
        (FilterFlags(include=[""]), "--include", "''"),
        (FilterFlags(exclude=["/"]), "--exclude", "'/'"),
        (FilterFlags(only_storage_class=[" "]), "--only-storage-class", "' '"),
        (FilterFlags(min_size="2K", max_size="1K"), "--min-size", "--max-size"),
        (FilterFlags(newer_than="1d", older_than="1d"), "--newer-than", "--older-than"),
    ],
)
def test_what_makes_no_sense_names_option_and_value(flags: FilterFlags, subject: str, named: str) -> None:
    with pytest.raises(UsageError) as caught:
        flags.filters()
    assert caught.value.subject == subject
    assert named in caught.value.message
    assert caught.value.remedy
