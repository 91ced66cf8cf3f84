"""Listings: by folder, recursive, by pattern, in order, across pages."""

import uuid
from pathlib import Path
from typing import Any

import pytest

from tests.integration.samples import put_objects, settled, write_tree
from transfer import Transfer, TransferError
from transfer.engine import listing
from transfer.engine.listing import sizes_of_keys
from transfer.model.errors import OutsidePrefixError, UsageError
from transfer.model.objects import CommonPrefix, ListedObject
from transfer.stores.s3 import listing as s3_listing

TREE = {"a": b"1", "dir/b": b"22", "dir/deep/c": b"333", "dir-x": b"4", "z z+%.txt": b"55555"}


def names(entries: list[ListedObject | CommonPrefix]) -> list[str]:
    return [entry.key if isinstance(entry, ListedObject) else entry.prefix for entry in entries]


async def _listed(url: str, *, recursive: bool = False) -> list[ListedObject | CommonPrefix]:
    async with Transfer() as transfer:
        return await settled(transfer.list_objects(url, recursive=recursive))


@pytest.fixture(scope="module")
def tree_bucket(oracle: Any) -> str:
    """A bucket that never held anything else: SeaweedFS shows folders that have become empty."""
    name = f"listed-{uuid.uuid4().hex[:16]}"
    oracle.create_bucket(Bucket=name)
    put_objects(oracle, name, TREE)
    return name


@pytest.mark.parametrize(
    ("key", "recursive", "expected"),
    [
        ("", False, ["a", "dir-x", "dir/", "z z+%.txt"]),
        ("", True, ["a", "dir-x", "dir/b", "dir/deep/c", "z z+%.txt"]),
        ("dir/", False, ["dir/b", "dir/deep/"]),
        ("dir/", True, ["dir/b", "dir/deep/c"]),
        ("dir", False, ["dir-x", "dir/"]),
        ("dir/deep/c", False, ["dir/deep/c"]),
        ("z z+%", False, ["z z+%.txt"]),
        ("missing/", True, []),
        ("*", False, ["a", "dir-x", "dir/b", "dir/deep/c", "z z+%.txt"]),
        ("dir*", False, ["dir-x", "dir/b", "dir/deep/c"]),
        ("dir/?", False, ["dir/b"]),
        ("[az]*", False, ["a", "z z+%.txt"]),
        ("*.missing", False, []),
    ],
)
async def test_listing_shows_what_is_asked_for(
    tree_bucket: str, key: str, recursive: bool, expected: list[str]
) -> None:
    found = names(await _listed(f"s3://{tree_bucket}/{key}", recursive=recursive))

    # SeaweedFS lists what is in a folder before its neighbours, so patterns come in its order.
    assert (sorted(found) if "*" in key else found) == expected


async def test_entries_are_those_of_the_store(oracle: Any, bucket: str) -> None:
    put_objects(oracle, bucket, TREE)

    entries = await _listed(f"s3://{bucket}", recursive=True)

    expected = oracle.list_objects_v2(Bucket=bucket)["Contents"]
    assert [
        (entry.key, entry.size, entry.etag, entry.modified_seconds, entry.storage_class)
        for entry in entries
        if isinstance(entry, ListedObject)
    ] == sorted(
        (found["Key"], found["Size"], found["ETag"], found["LastModified"].timestamp(), found["StorageClass"])
        for found in expected
    )


async def test_empty_bucket_lists_nothing(new_bucket: str) -> None:
    assert await _listed(f"s3://{new_bucket}", recursive=True) == []
    assert await _listed(f"s3://{new_bucket}/") == []


async def test_keys_of_all_scripts_come_in_byte_order(oracle: Any, bucket: str) -> None:
    keys = ["\U0001f680", "\uffee", "\u00e9", "e\u0301", "Z", "a", "_", "~", "a b", "a+b", "a%20b"]
    put_objects(oracle, bucket, dict.fromkeys(keys, b""))

    found = names(await _listed(f"s3://{bucket}", recursive=True))

    assert found == sorted(keys, key=str.encode)


async def test_pages_join_without_gap_or_repetition(new_bucket: str, tmp_path: Path) -> None:
    keys = [f"k{number:04}" for number in range(999)]
    write_tree(tmp_path, dict.fromkeys(keys, b""))

    async with Transfer() as transfer:
        await settled(transfer.copy_tree(tmp_path, f"s3://{new_bucket}/"))
        assert names(await settled(transfer.list_objects(f"s3://{new_bucket}", recursive=True))) == keys
        for number in (999, 1000):
            keys.append(f"k{number:04}")
            await transfer.copy(tmp_path / "k0000", f"s3://{new_bucket}/{keys[-1]}")
            assert names(await settled(transfer.list_objects(f"s3://{new_bucket}", recursive=True))) == keys
        outcomes = await settled(transfer.remove_many([f"s3://{new_bucket}/"], recursive=True))
        assert sorted(outcome.source for outcome in outcomes) == [f"s3://{new_bucket}/{key}" for key in keys]
        assert await settled(transfer.list_objects(f"s3://{new_bucket}", recursive=True)) == []


async def test_closing_a_listing_early_ends_it(oracle: Any, bucket: str) -> None:
    put_objects(oracle, bucket, TREE)

    async with Transfer() as transfer:
        async for _ in transfer.list_objects(f"s3://{bucket}", recursive=True):
            break
        assert len(await settled(transfer.list_objects(f"s3://{bucket}", recursive=True))) == len(TREE)


async def test_listing_what_does_not_exist_is_an_error(bucket: str) -> None:
    async with Transfer() as transfer:
        with pytest.raises(TransferError) as caught:
            await settled(transfer.list_objects("s3://no-such-bucket-here/"))
        with pytest.raises(UsageError):
            transfer.list_objects("local/path")

    assert "no-such-bucket-here" in str(caught.value.subject)
    assert getattr(caught.value, "code", "") == "NoSuchBucket"


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (["a", "z z+%.txt"], {"a": 1, "z z+%.txt": 5}),
        (["dir/b"], {"dir/b": 2}),
        (["dir/b", "dir/deep/c", "dir/deep/missing"], {"dir/b": 2, "dir/deep/c": 3}),
        (["dir-x", "dir/b"], {"dir-x": 1, "dir/b": 2}),
        (["missing", "missing too"], {}),
        ([], {}),
    ],
)
async def test_sizes_of_some_keys(tree_bucket: str, keys: list[str], expected: dict[str, int]) -> None:
    async with Transfer() as transfer:
        context = transfer._running()
        assert await sizes_of_keys(context, tree_bucket, keys) == expected


async def test_sizes_of_keys_beyond_a_page_are_found(tree_bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real = s3_listing.list_page
    asked: list[str] = []

    async def one_key(*args: Any, **named: Any) -> Any:
        asked.append(named["start_after"])
        return await real(*args, **{**named, "page_keys": 1})

    monkeypatch.setattr(listing, "list_page", one_key)
    async with Transfer() as transfer:
        found = await sizes_of_keys(transfer._running(), tree_bucket, ["dir-x", "dir/b", "dir/deep/c"])
    assert found == {"dir-x": 1, "dir/b": 2, "dir/deep/c": 3}
    assert asked


async def test_sizes_of_keys_are_asked_for_one_by_one_where_a_prefix_means_something_else(
    tree_bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def outside(*_: Any, **__: Any) -> Any:
        raise OutsidePrefixError("not asked for")

    monkeypatch.setattr(listing, "list_page", outside)
    async with Transfer() as transfer:
        found = await sizes_of_keys(transfer._running(), tree_bucket, ["dir-x", "dir/b", "dir/none"])
    assert found == {"dir-x": 1, "dir/b": 2}
