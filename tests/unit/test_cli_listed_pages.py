"""The lines of a page of a listing: the same as those of each entry for itself."""

import json
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.cli_fake import Script, scripted
from transfer.__main__ import main
from transfer.cli.escape import printable
from transfer.cli.listed_pages import page_json_lines, page_lines
from transfer.cli.messages import ListedPage
from transfer.model.filters import Filters
from transfer.model.objects import CommonPrefix, ListedObject

texts = st.text(max_size=8) | st.binary(max_size=8).map(lambda raw: raw.decode("utf-8", "surrogateescape"))
objects = st.builds(
    ListedObject, texts, st.integers(0, 2**63), texts, st.floats(0, 4e9).map(lambda moment: round(moment, 3)), texts
)
entries = st.lists(objects | st.builds(CommonPrefix, texts), max_size=6)


@pytest.fixture
def engine() -> Iterator[Script]:
    with scripted(Script()) as script:
        yield script


@given(entries, st.booleans(), st.integers(0, 3))
def test_a_line_per_entry_with_its_name_made_harmless(
    entries: list[ListedObject | CommonPrefix], human_sizes: bool, hidden: int
) -> None:
    lines = page_lines(ListedPage("b", entries, hidden, human_sizes)).split("\n")
    assert lines.pop() == ""
    for line, entry in zip(lines, entries, strict=True):
        name = entry.prefix if isinstance(entry, CommonPrefix) else entry.key
        assert line[31:] == printable(name[hidden:]) or len(line) > 31
        assert line.endswith(f" {printable(name[hidden:])}")
        assert line.isprintable() or not name.isprintable()
        assert ("PRE" in line[:30]) is isinstance(entry, CommonPrefix)


@given(entries, texts)
def test_a_json_object_per_entry_in_ascii(entries: list[ListedObject | CommonPrefix], bucket: str) -> None:
    lines = page_json_lines(ListedPage(bucket, entries))
    assert lines.isascii()
    records = [json.loads(line) for line in lines.split("\n")[:-1]]
    for record, entry in zip(records, entries, strict=True):
        assert record["bucket"] == bucket
        if isinstance(entry, CommonPrefix):
            assert record == {"type": "prefix", "bucket": bucket, "prefix": entry.prefix}
            continue
        fields = ["type", "bucket", "key", "size", "etag", "modified", "storage_class"]
        assert list(record) == fields
        assert [record[name] for name in fields if name not in ("bucket", "modified")] == [
            "object", entry.key, entry.size, entry.etag, entry.storage_class,
        ]  # fmt: skip


def test_pages_come_out_in_order_and_the_same_as_json(engine: Script, capsys: pytest.CaptureFixture[str]) -> None:
    engine.batches = [(ListedObject("a", 1, "e", 1.0),), (), (CommonPrefix("b/"), ListedObject("c", 2, "e", 2.0))]
    assert main(["ls", "s3://x"]) == 0
    assert [line.split()[-1] for line in capsys.readouterr().out.splitlines()] == ["a", "b/", "c"]
    assert main(["ls", "--json", "s3://x"]) == 0
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [record.get("key", record.get("prefix")) for record in records] == ["a", "b/", "c"]


def test_filters_of_ls_reach_the_engine(engine: Script) -> None:
    engine.entries = [ListedObject("a", 1, "e", 1.0)]
    assert main(["ls", "-r", "--max-size", "1K", "--only-storage-class", "glacier", "s3://b"]) == 0
    assert engine.options is not None
    assert engine.options.filters == Filters(max_size_bytes=1024, storage_classes=frozenset({"GLACIER"}))


def test_buckets_are_not_filtered(engine: Script, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ls", "--max-size", "1K"]) == 2
    assert "filters choose among objects" in capsys.readouterr().err


def test_nothing_wanted_is_no_failure_but_nothing_there_is_one(engine: Script) -> None:
    assert main(["ls", "-r", "--max-size", "1K", "s3://b/p/"]) == 0
    assert main(["ls", "-r", "s3://b/p/"]) == 1
