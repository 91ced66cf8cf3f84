"""Dry runs of copies, moves and removals: what is told, and that nothing is done or remembered."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.integration.samples import objects_in, put_objects, read_tree, settled, write_tree
from transfer import Transfer, TransferOptions
from transfer.model.errors import LocalFileError, StoreError
from transfer.model.filters import FilterRule, Filters
from transfer.model.receipts import Failure, Intent, Outcome, Removal

TREE = {"a.txt": b"one", "deep/b.bin": b"three", "skip.log": b""}

Begin = Callable[[Transfer], Any]


@pytest.fixture
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("state")


async def _told(begin: Begin, state: Path | None = None, filters: Filters | None = None) -> list[Outcome]:
    options = TransferOptions(state_folder=None if state is None else str(state), filters=filters or Filters())
    async with Transfer(options=options) as transfer:
        outcomes = await settled(begin(transfer))
        assert transfer.progress.bytes_moved == transfer.progress.bytes_planned == 0
    return sorted(outcomes, key=lambda outcome: outcome.source)


@pytest.mark.parametrize("moves", [False, True])
async def test_a_folder_would_go_up(oracle: Any, bucket: str, tmp_path: Path, state: Path, moves: bool) -> None:
    write_tree(tmp_path, TREE)

    def begin(transfer: Transfer) -> Any:
        many = transfer.move_many if moves else transfer.copy_many
        return many([str(tmp_path)], f"s3://{bucket}/x", recursive=True, dry_run=True)

    outcomes = await _told(begin, state, Filters((FilterRule("*.log", includes=False),)))

    assert outcomes == [
        Intent(f"{tmp_path}/{name}", f"s3://{bucket}/x/{name}", len(TREE[name]), moves=moves)
        for name in ("a.txt", "deep/b.bin")
    ]
    assert objects_in(oracle, bucket) == {}
    assert read_tree(tmp_path) == TREE
    assert list(state.iterdir()) == []


@pytest.mark.parametrize("moves", [False, True])
async def test_a_prefix_would_come_down(oracle: Any, bucket: str, tmp_path: Path, state: Path, moves: bool) -> None:
    objects = {f"x/{name}": content for name, content in TREE.items()} | {"x/folder/": b""}
    put_objects(oracle, bucket, objects)

    def begin(transfer: Transfer) -> Any:
        many = transfer.move_many if moves else transfer.copy_many
        return many([f"s3://{bucket}/x"], str(tmp_path / "out"), recursive=True, dry_run=True)

    outcomes = await _told(begin, state)

    assert [(one.source, one.size, one.moves) for one in outcomes if isinstance(one, Intent)] == [
        (f"s3://{bucket}/{key}", len(content), moves) for key, content in sorted(objects.items())
    ]
    assert objects_in(oracle, bucket) == objects
    assert list(tmp_path.iterdir()) == []
    assert list(state.iterdir()) == []


@pytest.mark.parametrize("moves", [False, True])
async def test_named_things_are_looked_at(oracle: Any, bucket: str, tmp_path: Path, moves: bool) -> None:
    put_objects(oracle, bucket, {"a": b"four"})
    places = [f"s3://{bucket}/a", f"s3://{bucket}/missing"]

    def begin(transfer: Transfer) -> Any:
        many = transfer.move_many if moves else transfer.copy_many
        return many(places, f"s3://{bucket}/to/", dry_run=True)

    there, missing = await _told(begin)

    assert there == Intent(f"s3://{bucket}/a", f"s3://{bucket}/to/a", 4, moves=moves)
    assert isinstance(missing, Failure)
    assert isinstance(missing.error, StoreError)
    assert objects_in(oracle, bucket) == {"a": b"four"}


async def test_a_move_onto_one_name_is_refused_beforehand(oracle: Any, bucket: str) -> None:
    put_objects(oracle, bucket, {"x/same": b"1", "y/same": b"2"})
    sources = [f"s3://{bucket}/x/", f"s3://{bucket}/y/"]

    outcomes = await _told(lambda one: one.move_many(sources, f"s3://{bucket}/z/", recursive=True, dry_run=True))

    assert {type(outcome) for outcome in outcomes} == {Failure, Intent}
    assert objects_in(oracle, bucket) == {"x/same": b"1", "y/same": b"2"}


async def test_what_a_file_names_would_move(oracle: Any, bucket: str, tmp_path: Path) -> None:
    write_tree(tmp_path / "root", TREE)
    lines = tmp_path / "lines"
    lines.write_text("a.txt\nmissing\n")

    def begin(transfer: Transfer) -> Any:
        place = str(tmp_path / "root")
        return transfer.copy_listed(str(lines), f"s3://{bucket}/x/", root=place, moves=True, dry_run=True)

    there, missing = await _told(begin)

    assert there == Intent(f"{tmp_path}/root/a.txt", f"s3://{bucket}/x/a.txt", 3, moves=True)
    assert isinstance(missing, Failure)
    assert isinstance(missing.error, LocalFileError)
    assert read_tree(tmp_path / "root") == TREE
    assert objects_in(oracle, bucket) == {}


async def test_what_would_be_removed(oracle: Any, bucket: str) -> None:
    objects = {f"x/{name}": content for name, content in TREE.items()} | {"y": b"named"}
    put_objects(oracle, bucket, objects)
    filters = Filters((FilterRule("*.log", includes=False),))

    tree = await _told(
        lambda one: one.remove_many([f"s3://{bucket}/x/"], recursive=True, dry_run=True), filters=filters
    )
    named = await _told(lambda one: one.remove_many([f"s3://{bucket}/y", f"s3://{bucket}/no"], dry_run=True))

    assert tree == [
        Removal(f"s3://{bucket}/x/{name}", is_dry_run=True, size=len(TREE[name])) for name in ("a.txt", "deep/b.bin")
    ]
    assert isinstance(named[0], Failure)
    assert named[1] == Removal(f"s3://{bucket}/y", is_dry_run=True, size=5)
    assert objects_in(oracle, bucket) == objects


async def test_what_a_file_names_would_be_removed(oracle: Any, bucket: str, tmp_path: Path) -> None:
    put_objects(oracle, bucket, {"a": b"1", "b/c": b"2"})
    lines = tmp_path / "lines"
    lines.write_text(f"s3://{bucket}/a\ns3://{bucket}/b/*\n")

    outcomes = await _told(lambda one: one.remove_listed(os.fspath(lines), dry_run=True))

    assert outcomes == [
        Removal(f"s3://{bucket}/a", is_dry_run=True),
        Removal(f"s3://{bucket}/b/c", is_dry_run=True, size=1),
    ]
    assert objects_in(oracle, bucket) == {"a": b"1", "b/c": b"2"}
