"""Whole buckets as batches, at stores that keep the order of bytes and at stores that do not."""

import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.samples import settled, write_tree
from transfer import Transfer
from transfer.engine import ordered_listing
from transfer.engine.ordered_listing import list_keys
from transfer.model.errors import UnorderedListingError
from transfer.model.objects import ListedObject
from transfer.plan import frontier

FLAT = [f"flat/f{number:05}" for number in range(600)]
TREE = [f"tree/{folder}/{number:03}" for folder in ("a", "a b", "b", "\u00e9", "\U0001f680") for number in range(100)]


@pytest.fixture(scope="module")
def keys_bucket(oracle: Any) -> str:
    """A bucket of 1,100 keys."""
    name = f"keys-{uuid.uuid4().hex[:16]}"
    oracle.create_bucket(Bucket=name)
    for key in FLAT + TREE:
        oracle.put_object(Bucket=name, Key=key, Body=b"1")
    return name


@pytest.fixture(autouse=True)
def _eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the store were far away, with pages small enough to need many."""
    monkeypatch.setattr(ordered_listing, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(ordered_listing, "IDLE_SHARE", float("inf"))
    monkeypatch.setattr(ordered_listing, "BUSY_SHARE", float("inf"))
    monkeypatch.setattr(frontier, "PAGE_KEYS", 100)


async def keys_of(batches: AsyncIterator[tuple[ListedObject, ...]]) -> list[str]:
    return [entry.key async for batch in batches for entry in batch]


@pytest.mark.parametrize(("prefix", "expected"), [("flat/", FLAT), ("tree/b/", TREE[200:300]), ("flat/f00", FLAT)])
async def test_all_keys_in_order(keys_bucket: str, prefix: str, expected: list[str]) -> None:
    async with Transfer() as transfer:
        assert await keys_of(list_keys(transfer._running(), keys_bucket, prefix)) == expected


@pytest.mark.parametrize("prefix", ["", "tree/", "tree/a"])
async def test_every_key_once_whatever_the_order(keys_bucket: str, prefix: str) -> None:
    expected = sorted((key for key in FLAT + TREE if key.startswith(prefix)), key=str.encode)

    async with Transfer() as transfer:
        context = transfer._running()
        assert (
            sorted(await keys_of(list_keys(context, keys_bucket, prefix, needs_order=False)), key=str.encode)
            == expected
        )
        assert await keys_of(list_keys(context, keys_bucket, prefix, is_sorted_on_disk=True)) == expected
        refusal: UnorderedListingError | None = None
        found: list[str] = []
        try:
            found = await keys_of(list_keys(context, keys_bucket, prefix))
        except UnorderedListingError as error:
            refusal = error
    assert found == expected or refusal is not None
    assert refusal is None or refusal.subject == f"s3://{keys_bucket}/{prefix}"


async def test_trees_and_patterns_are_listed_from_batches(keys_bucket: str) -> None:
    async with Transfer() as transfer:
        below = await settled(transfer.list_objects(f"s3://{keys_bucket}/flat/", recursive=True))
        matching = await settled(transfer.list_objects(f"s3://{keys_bucket}/flat/*7"))

    assert [entry.key for entry in below if isinstance(entry, ListedObject)] == FLAT
    assert [entry.key for entry in matching if isinstance(entry, ListedObject)] == FLAT[7::10]


async def test_a_folder_that_breaks_the_order_of_bytes_is_noticed(
    seaweed_oracle: Any, seaweed_bucket: str, seaweed: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable, value in seaweed.environment().items():
        monkeypatch.setenv(variable, value)
    keys = sorted(["a-b", *(f"a/{number:03}" for number in range(250)), "b"])
    write_tree(tmp_path, dict.fromkeys(keys, b"1"))

    async with Transfer() as transfer:
        await settled(transfer.copy_tree(tmp_path, f"s3://{seaweed_bucket}/"))
        context = transfer._running()
        with pytest.raises(UnorderedListingError):
            await keys_of(list_keys(context, seaweed_bucket, ""))
        assert sorted(await keys_of(list_keys(context, seaweed_bucket, "", needs_order=False))) == keys
        assert await keys_of(list_keys(context, seaweed_bucket, "", is_sorted_on_disk=True)) == keys
