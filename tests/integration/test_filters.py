"""Filters choose what of a tree or a pattern moves or is removed; what they leave out is not told."""

import os
from pathlib import Path
from typing import Any

import pytest

from tests.integration.samples import keys_in, put_objects, read_tree, settled, write_tree
from transfer import Transfer, TransferOptions
from transfer.model.errors import LocalFileError, StoreError, UsageError
from transfer.model.filters import FilterRule, Filters
from transfer.model.receipts import Outcome, Receipt, Removal, Skip

TREE = {
    "a.jpg": b"1",
    "b.txt": b"22",
    "drafts/c.jpg": b"333",
    "drafts/keep/d.jpg": b"4444",
    "deep/er/e.jpg": b"55555",
    "deep/er/f.txt": b"666666",
}


def rules(*words: str) -> Filters:
    return Filters(rules=tuple(FilterRule(word[1:], word[0] == "+") for word in words))


async def _copied(source: str, destination: str, filters: Filters, *, recursive: bool = True) -> list[Outcome]:
    async with Transfer(options=TransferOptions(filters=filters)) as transfer:
        return await settled(transfer.copy_many([source], destination, recursive=recursive))


async def _removed(url: str, filters: Filters, *, recursive: bool = True) -> list[Outcome]:
    async with Transfer(options=TransferOptions(filters=filters)) as transfer:
        return await settled(transfer.remove_many([url], recursive=recursive))


CHOICES = [
    (rules("+*.jpg", "-drafts/"), {"a.jpg", "deep/er/e.jpg"}),
    (rules("-drafts/", "+drafts/keep/"), {"a.jpg", "b.txt", "drafts/keep/d.jpg", "deep/er/e.jpg", "deep/er/f.txt"}),
    (rules("-*", "+/deep/**/*.txt"), {"deep/er/f.txt"}),
    (Filters(min_size_bytes=2, max_size_bytes=4), {"b.txt", "drafts/c.jpg", "drafts/keep/d.jpg"}),
    (rules("-**"), set()),
]


@pytest.mark.parametrize(("filters", "wanted"), CHOICES)
async def test_an_upload_takes_what_is_wanted(
    oracle: Any, bucket: str, tmp_path: Path, filters: Filters, wanted: set[str]
) -> None:
    write_tree(tmp_path / "in", TREE)
    outcomes = await _copied(str(tmp_path / "in"), f"s3://{bucket}/x/", filters)
    assert all(isinstance(outcome, Receipt) for outcome in outcomes)
    assert set(keys_in(oracle, bucket)) == {f"x/{name}" for name in wanted}


@pytest.mark.parametrize(("filters", "wanted"), CHOICES)
async def test_a_download_takes_what_is_wanted(
    oracle: Any, bucket: str, tmp_path: Path, filters: Filters, wanted: set[str]
) -> None:
    put_objects(oracle, bucket, {f"x/{name}": content for name, content in TREE.items()})
    outcomes = await _copied(f"s3://{bucket}/x", str(tmp_path), filters)
    assert all(isinstance(outcome, Receipt) for outcome in outcomes)
    assert set(read_tree(tmp_path)) == wanted


@pytest.mark.parametrize(("filters", "wanted"), CHOICES)
async def test_rm_never_takes_what_is_not_wanted(oracle: Any, bucket: str, filters: Filters, wanted: set[str]) -> None:
    put_objects(oracle, bucket, {f"x/{name}": content for name, content in TREE.items()} | {"x2/a.jpg": b""})
    outcomes = await _removed(f"s3://{bucket}/x", filters)
    assert all(isinstance(outcome, Removal) for outcome in outcomes)
    assert {outcome.source for outcome in outcomes} == {f"s3://{bucket}/x/{name}" for name in wanted}
    assert set(keys_in(oracle, bucket)) == {f"x/{name}" for name in TREE.keys() - wanted} | {"x2/a.jpg"}


async def test_names_start_below_the_base_of_a_pattern(oracle: Any, bucket: str, tmp_path: Path) -> None:
    write_tree(tmp_path / "in", TREE)
    await _copied(f"{tmp_path}/in/d*", f"s3://{bucket}/x/", rules("-/drafts/"), recursive=False)
    assert set(keys_in(oracle, bucket)) == {"x/deep/er/e.jpg", "x/deep/er/f.txt"}

    await _copied(f"s3://{bucket}/x/deep/*", f"{tmp_path}/out/", rules("+/er/*.txt"), recursive=False)
    assert set(read_tree(tmp_path / "out")) == {"er/f.txt"}

    await _removed(f"s3://{bucket}/x/deep/*", rules("-/er/*.txt"), recursive=False)
    assert set(keys_in(oracle, bucket)) == {"x/deep/er/f.txt"}


async def test_times_are_those_of_the_side_that_is_read(oracle: Any, bucket: str, tmp_path: Path) -> None:
    write_tree(tmp_path / "in", {"old": b"old", "new": b"new"})
    os.utime(tmp_path / "in/old", (1_000_000, 1_000_000))
    await _copied(str(tmp_path / "in"), f"s3://{bucket}", Filters(modified_after_seconds=1_000_001.0))
    assert keys_in(oracle, bucket) == ["new"]

    await _copied(f"s3://{bucket}", str(tmp_path / "out"), Filters(modified_before_seconds=1_000_001.0))
    assert read_tree(tmp_path / "out") == {}


async def test_what_is_left_out_gives_no_warning(oracle: Any, bucket: str, tmp_path: Path) -> None:
    write_tree(tmp_path / "in", TREE)
    (tmp_path / "in/drafts/broken").symlink_to("nowhere")
    (tmp_path / "in/broken").symlink_to("nowhere")

    outcomes = await _copied(str(tmp_path / "in"), f"s3://{bucket}", rules("-drafts/"))
    assert [outcome.source for outcome in outcomes if isinstance(outcome, Skip)] == [f"{tmp_path}/in/broken"]

    outcomes = await _copied(f"{tmp_path}/in/*", f"s3://{bucket}", rules("-broken"), recursive=False)
    assert [outcome for outcome in outcomes if isinstance(outcome, Skip)] == []


async def test_a_name_that_is_nothing_is_still_an_error(bucket: str, tmp_path: Path) -> None:
    with pytest.raises(StoreError):
        await _copied(f"s3://{bucket}/nothing", str(tmp_path), rules("+*.jpg"))
    with pytest.raises(LocalFileError):
        await _copied(f"{tmp_path}/*.nothing", f"s3://{bucket}/", rules("+*.jpg"), recursive=False)
    with pytest.raises(StoreError):
        await _removed(f"s3://{bucket}/nothing", rules("+*.jpg"))


async def test_a_single_name_is_not_filtered(oracle: Any, bucket: str, tmp_path: Path) -> None:
    put_objects(oracle, bucket, {"k": b"1", "k[1]": b"1"})
    (tmp_path / "f").write_bytes(b"1")
    filters = Filters(min_size_bytes=1)
    for source, destination, recursive in (
        (f"s3://{bucket}/k", str(tmp_path / "out"), False),
        (f"s3://{bucket}/k[1]", str(tmp_path / "out"), False),
        (str(tmp_path / "f"), f"s3://{bucket}/f", False),
        (str(tmp_path / "f"), f"s3://{bucket}/f", True),
    ):
        with pytest.raises(UsageError) as caught:
            await _copied(source, destination, filters, recursive=recursive)
        assert caught.value.subject == source
    for url in (f"s3://{bucket}/k", f"s3://{bucket}/k[1]"):
        with pytest.raises(UsageError):
            await _removed(url, filters, recursive=False)
    assert keys_in(oracle, bucket) == ["k", "k[1]"]
    assert not (tmp_path / "out").exists()
