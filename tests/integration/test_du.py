"""`du` and the filters of listings against real servers, with keys of every kind."""

import json
from typing import Any

import pytest

from tests.integration.samples import put_objects, settled
from transfer import Transfer
from transfer.__main__ import main
from transfer.model.errors import UsageError
from transfer.model.filters import FilterRule, Filters
from transfer.model.objects import ListedObject
from transfer.model.options import TransferOptions

KEYS = {
    "a": b"1",
    "dir/b.jpg": b"22",
    "dir/deep/c.jpg": b"333",
    "dir/deep/a b+c%41&<é>'\".txt": b"4444",
    "dir-x": b"55555",
    "[1]/*?": b"666666",
}


@pytest.fixture
def filled(oracle: Any, bucket: str) -> str:
    put_objects(oracle, bucket, KEYS)
    return f"s3://{bucket}"


def usage(capsys: pytest.CaptureFixture[str], *words: str) -> list[tuple[int, int]]:
    assert main(["du", "--json", *words]) == 0
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return [(record["objects"], record["size"]) for record in records]


def test_usage_of_buckets_prefixes_and_patterns(filled: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert usage(capsys, filled, f"{filled}/dir", f"{filled}/dir/", f"{filled}/nothing") == [
        (6, 21), (4, 14), (3, 9), (0, 0),
    ]  # fmt: skip
    assert usage(capsys, f"{filled}/*.jpg") == [(2, 5)]
    assert usage(capsys, "--raw", f"{filled}/[1]/*") == [(1, 6)]
    assert usage(capsys, "--group", "storage-class", filled) == [(6, 21)]
    assert usage(capsys, "--exclude", "deep/", "--max-size", "2", f"{filled}/dir/") == [(1, 2)]


def test_a_missing_bucket_stops_no_other(filled: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["du", "s3://no-such-bucket-here", filled]) == 1
    told = capsys.readouterr()
    assert told.out == f"21 bytes in 6 objects: {filled}\n"
    assert told.err.startswith("transfer: s3://no-such-bucket-here")
    assert len(told.err.splitlines()) == 1


def test_ls_names_every_key_whole(filled: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ls", "-r", filled]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert sorted(line[31:] for line in lines) == sorted(KEYS)
    assert main(["ls", "-r", "--json", filled]) == 0
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {record["key"]: record["size"] for record in records} == {key: len(body) for key, body in KEYS.items()}


@pytest.mark.parametrize(
    ("key", "rules", "expected"),
    [
        ("", [("*.jpg", True)], ["dir/b.jpg", "dir/deep/c.jpg"]),
        ("dir/", [("/b.jpg", True)], ["dir/b.jpg"]),
        ("dir/", [("deep/", False)], ["dir/b.jpg"]),
        ("di", [("/dir/b.jpg", True)], ["dir/b.jpg"]),
        ("dir/*.jpg", [("/b.jpg", False)], ["dir/deep/c.jpg"]),
    ],
)
async def test_filters_take_names_below_what_is_listed(
    filled: str, key: str, rules: list[tuple[str, bool]], expected: list[str]
) -> None:
    options = TransferOptions(filters=Filters(tuple(FilterRule(pattern, includes) for pattern, includes in rules)))
    async with Transfer(options=options) as transfer:
        entries = await settled(transfer.list_objects(f"{filled}/{key}", recursive=True))
        assert [entry.key for entry in entries if isinstance(entry, ListedObject)] == expected
        with pytest.raises(UsageError, match="not folders"):
            transfer.list_objects(filled)


async def test_batches_hold_what_the_entries_are(filled: str) -> None:
    async with Transfer() as transfer:
        batches = await settled(transfer.list_batches(filled))
        assert [entry for batch in batches for entry in batch] == await settled(transfer.list_objects(filled))
