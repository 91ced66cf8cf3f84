"""What `transfer du` asks of the engine and says."""

import json
from collections.abc import Iterator

import pytest

from tests.support.cli_fake import Script, scripted
from transfer.__main__ import main
from transfer.model.filters import FilterRule, Filters
from transfer.model.objects import ListedObject

BATCHES = [
    (ListedObject("p/a", 1000, "e", 0.0, "STANDARD"), ListedObject("p/b", 24, "e", 0.0, "GLACIER")),
    (ListedObject("p/c", 1024, "e", 0.0, ""),),
]


@pytest.fixture
def engine() -> Iterator[Script]:
    with scripted(Script(batches=BATCHES)) as script:
        yield script


def test_objects_and_bytes_of_each_argument(engine: Script, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["du", "s3://b/p/", "s3://c"]) == 0
    assert capsys.readouterr().out == "2048 bytes in 3 objects: s3://b/p/\n2048 bytes in 3 objects: s3://c\n"
    assert engine.calls == [("ls", "s3://b/p/", True, False), ("ls", "s3://c", True, False)]


def test_storage_classes_are_counted_apart_and_none_means_the_usual_one(
    engine: Script, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["du", "-H", "--group", "storage-class", "s3://b"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "24 B in 1 object: s3://b [GLACIER]",
        "2.0 KiB in 2 objects: s3://b [STANDARD]",
    ]


def test_json(engine: Script, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["du", "--json", "s3://b"]) == 0
    assert main(["du", "--json", "--group", "storage-class", "s3://b"]) == 0
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == [
        {"type": "usage", "url": "s3://b", "objects": 3, "size": 2048},
        {"type": "usage", "url": "s3://b", "storage_class": "GLACIER", "objects": 1, "size": 24},
        {"type": "usage", "url": "s3://b", "storage_class": "STANDARD", "objects": 2, "size": 2024},
    ]


def test_nothing_is_an_answer_also_when_quiet(engine: Script, capsys: pytest.CaptureFixture[str]) -> None:
    engine.batches = [()]
    assert main(["du", "-q", "s3://b/nothing\x1b"]) == 0
    assert capsys.readouterr().out == "0 bytes in 0 objects: s3://b/nothing\\x1b\n"


def test_options_reach_the_engine(engine: Script) -> None:
    assert main(["du", "-r", "--raw", "--include", "*.jpg", "--min-size", "1K", "s3://b/a*"]) == 0
    assert engine.calls == [("ls", "s3://b/a*", True, True)]
    assert engine.options is not None
    assert engine.options.filters == Filters((FilterRule("*.jpg", includes=True),), min_size_bytes=1024)


@pytest.mark.parametrize("words", [["du"], ["du", "local"], ["du", "--group", "size", "s3://b"]])
def test_what_makes_no_sense_is_refused(engine: Script, words: list[str]) -> None:
    assert main(words) == 2
    assert engine.calls == []
