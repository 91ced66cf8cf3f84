"""Sources named in a file: what each line becomes, and which lines fail alone."""

import os
from pathlib import Path
from typing import Any

import pytest

from tests.integration.samples import get_object, keys_in, objects_in, put_objects, read_tree, settled, write_tree
from transfer import Transfer
from transfer.engine import gathering
from transfer.engine.listed_keys import ListedKeys
from transfer.model.errors import LocalFileError, UsageError
from transfer.model.receipts import Failure, Outcome, Receipt, Removal

TREE = {"2024/a.jpg": b"1", "2024/b c.jpg": b"2", "2025/a.jpg": b"3", "#odd": b"4"}


async def _copied(lines: list[str], folder: Path, to: str, **choices: Any) -> list[Outcome]:
    listed = folder / "list.txt"
    listed.write_text("\n".join(lines) + "\n")
    async with Transfer() as transfer:
        return await settled(transfer.copy_listed(str(listed), to, **choices))


def _failures(outcomes: list[Outcome]) -> list[Failure]:
    return [outcome for outcome in outcomes if isinstance(outcome, Failure)]


async def test_names_below_a_root_are_kept_up_and_down(oracle: Any, bucket: str, tmp_path: Path) -> None:
    write_tree(tmp_path / "photos", TREE)

    up = await _copied(["", *TREE], tmp_path, f"s3://{bucket}/p/", root=str(tmp_path / "photos"))
    down = await _copied(list(TREE), tmp_path, str(tmp_path / "out"), root=f"s3://{bucket}/p")

    assert not _failures(up + down)
    assert objects_in(oracle, bucket) == {f"p/{name}": content for name, content in TREE.items()}
    assert read_tree(tmp_path / "out") == TREE


async def test_lines_are_sources_as_on_a_command_line(oracle: Any, bucket: str, tmp_path: Path) -> None:
    write_tree(tmp_path / "photos", TREE)
    lines = [f"{tmp_path}/photos/2024/a.jpg", f"{tmp_path}/photos/2025/a.jpg", f"{tmp_path}/photos/#odd", "gone"]

    outcomes = await _copied(lines, tmp_path, f"s3://{bucket}/p/")

    second, gone = _failures(outcomes)
    assert second.source == lines[1]
    assert isinstance(gone.error, LocalFileError)
    assert objects_in(oracle, bucket) == {"p/a.jpg": b"1", "p/#odd": b"4"}


async def test_listed_objects_come_down_into_a_folder_to_be(oracle: Any, bucket: str, tmp_path: Path) -> None:
    put_objects(oracle, bucket, {"x/a": b"1", "b": b"2"})

    outcomes = await _copied([f"s3://{bucket}/x/a", f"s3://{bucket}/b"], tmp_path, str(tmp_path / "out"))

    assert all(isinstance(outcome, Receipt) for outcome in outcomes)
    assert read_tree(tmp_path / "out") == {"a": b"1", "b": b"2"}


async def test_listed_trees_need_recursive(oracle: Any, bucket: str, tmp_path: Path) -> None:
    write_tree(tmp_path / "photos", TREE)

    (failure,) = await _copied([str(tmp_path / "photos")], tmp_path, f"s3://{bucket}/")
    assert isinstance(failure, Failure)

    await _copied([str(tmp_path / "photos")], tmp_path, f"s3://{bucket}/", recursive=True)
    assert objects_in(oracle, bucket) == TREE


@pytest.mark.parametrize("name", ["../secret", "/etc/hostname", "a/../../secret", "."])
async def test_names_do_not_leave_the_root(oracle: Any, bucket: str, tmp_path: Path, name: str) -> None:
    write_tree(tmp_path, {"secret": b"1", "photos/a": b"2"})

    (failure,) = await _copied([name], tmp_path, f"s3://{bucket}/", root=str(tmp_path / "photos"))

    assert isinstance(failure, Failure)
    assert keys_in(oracle, bucket) == []


async def test_listed_sources_are_moved(oracle: Any, bucket: str, tmp_path: Path) -> None:
    write_tree(tmp_path / "photos", TREE)

    outcomes = await _copied(
        ["2024/a.jpg", "2024/a.jpg", "#odd"], tmp_path, f"s3://{bucket}/", root=str(tmp_path / "photos"), moves=True
    )

    assert len(_failures(outcomes)) == 1
    assert objects_in(oracle, bucket) == {"2024/a.jpg": b"1", "#odd": b"4"}
    assert sorted(read_tree(tmp_path / "photos")) == ["2024/b c.jpg", "2025/a.jpg"]


async def test_second_of_one_name_is_not_moved_over_the_first(oracle: Any, bucket: str, tmp_path: Path) -> None:
    put_objects(oracle, bucket, {"x/a": b"1", "y/a": b"2"})

    outcomes = await _copied(
        [f"s3://{bucket}/x/a", f"s3://{bucket}/y/a"], tmp_path, f"{tmp_path}/out", moves=True, removes_unverified=True
    )

    assert len(_failures(outcomes)) == 1
    assert read_tree(tmp_path / "out") == {"a": b"1"}
    assert objects_in(oracle, bucket) == {"y/a": b"2"}


NESTED = {"a/a/z": b"inner", "a/z": b"outer"}


@pytest.mark.parametrize("moves", [True, False])
async def test_no_listed_object_is_overwritten_before_its_turn(
    oracle: Any, bucket: str, tmp_path: Path, moves: bool
) -> None:
    put_objects(oracle, bucket, NESTED)

    outcomes = await _copied(
        ["a/z", "z"], tmp_path, f"s3://{bucket}/", root=f"s3://{bucket}/a/", moves=moves, removes_unverified=True
    )

    (failure,) = _failures(outcomes)
    assert (failure.source, type(failure.error)) == (f"s3://{bucket}/a/a/z", UsageError)
    left = {} if moves else {"a/z": b"outer"}
    assert objects_in(oracle, bucket) == {"a/a/z": b"inner", "z": b"outer"} | left


async def test_listed_objects_move_within_their_root(oracle: Any, bucket: str, tmp_path: Path) -> None:
    put_objects(oracle, bucket, {"a": b"1", "x/b": b"2", "old/c": b"3"})

    outcomes = await _copied(
        ["a", "x/b"], tmp_path, f"s3://{bucket}/old/", root=f"s3://{bucket}/", moves=True, removes_unverified=True
    )

    assert not _failures(outcomes)
    assert objects_in(oracle, bucket) == {"old/a": b"1", "old/x/b": b"2", "old/c": b"3"}


@pytest.mark.parametrize("to", ["", "apart/"])
async def test_a_list_that_is_read_once_may_still_name_what_is_below_its_root(
    oracle: Any, bucket: str, to: str
) -> None:
    put_objects(oracle, bucket, NESTED)
    reading, writing = os.pipe()
    os.write(writing, b"a/z\nz\n")
    os.close(writing)

    async with Transfer() as transfer:
        stream = transfer.copy_listed(
            f"/dev/fd/{reading}", f"s3://{bucket}/{to}", root=f"s3://{bucket}/a/", moves=True, removes_unverified=True
        )
        outcomes = await settled(stream)
    os.close(reading)

    assert [failure.source for failure in _failures(outcomes)] == ([] if to else [f"s3://{bucket}/a/a/z"])
    assert sorted(objects_in(oracle, bucket).values()) == [b"inner", b"outer"]


async def test_a_list_without_root_that_is_read_once_moves_nothing_within_a_bucket(oracle: Any, bucket: str) -> None:
    put_objects(oracle, bucket, {"x/a": b"1"})
    reading, writing = os.pipe()
    os.write(writing, f"s3://{bucket}/x/a\n".encode())
    os.close(writing)

    async with Transfer() as transfer:
        (failure,) = await settled(transfer.copy_listed(f"/dev/fd/{reading}", f"s3://{bucket}/y/", moves=True))
    os.close(reading)

    assert isinstance(failure, Failure)
    assert isinstance(failure.error, UsageError)
    assert objects_in(oracle, bucket) == {"x/a": b"1"}


@pytest.mark.parametrize("line", ["a/", "a/*"])
async def test_no_member_of_a_listed_tree_is_overwritten_wherever_the_first_line_is(
    oracle: Any, bucket: str, new_bucket: str, tmp_path: Path, line: str
) -> None:
    put_objects(oracle, bucket, NESTED)
    lines = [f"s3://{new_bucket}/none", f"s3://{bucket}/{line}"]

    outcomes = await _copied(
        lines, tmp_path, f"s3://{bucket}/", recursive=line.endswith("/"), moves=True, removes_unverified=True
    )

    assert f"s3://{bucket}/a/a/z" in [failure.source for failure in _failures(outcomes)]
    assert objects_in(oracle, bucket) == {"a/a/z": b"inner", "z": b"outer"}


async def test_a_line_does_not_overwrite_what_a_later_one_names(oracle: Any, bucket: str, tmp_path: Path) -> None:
    put_objects(oracle, bucket, {"x/k": b"first", "y/k": b"second", "y/x/k": b"third"})
    lines = [f"s3://{bucket}/y/x/k", f"s3://{bucket}/x/k"]

    outcomes = await _copied(lines, tmp_path, f"s3://{bucket}/x/", moves=True, removes_unverified=True)

    assert len(_failures(outcomes)) == 2
    assert objects_in(oracle, bucket) == {"x/k": b"first", "y/k": b"second", "y/x/k": b"third"}


async def test_listed_trees_move_beside_each_other(oracle: Any, bucket: str, tmp_path: Path) -> None:
    put_objects(oracle, bucket, {"a/z": b"1", "archive/old": b"2"})

    outcomes = await _copied(
        [f"s3://{bucket}/a/"], tmp_path, f"s3://{bucket}/archive/", recursive=True, moves=True, removes_unverified=True
    )

    assert not _failures(outcomes)
    assert objects_in(oracle, bucket) == {"archive/z": b"1", "archive/old": b"2"}


async def test_a_line_that_came_while_the_list_was_read_is_not_moved(
    oracle: Any, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_objects(oracle, bucket, NESTED)
    read = ListedKeys.read

    async def read_before(self: ListedKeys) -> None:
        await read(self)
        (tmp_path / "list.txt").write_text("z\na/z\n")

    monkeypatch.setattr(ListedKeys, "read", read_before)

    outcomes = await _copied(["z"], tmp_path, f"s3://{bucket}/", root=f"s3://{bucket}/a", moves=True)

    assert [failure.error.message for failure in _failures(outcomes)] == ["the list was changed while it was read"]
    assert get_object(oracle, bucket, "a/a/z") == b"inner"


async def test_second_run_leaves_out_what_the_first_has_copied(
    oracle: Any, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRANSFER_STATE_DIR", str(tmp_path / "state"))
    write_tree(tmp_path / "photos", TREE)
    lines = [*TREE, "late"]

    first = await _copied(lines, tmp_path, f"s3://{bucket}/", root=str(tmp_path / "photos"))
    write_tree(tmp_path / "photos", {"late": b"5"})
    second = await _copied(lines, tmp_path, f"s3://{bucket}/", root=str(tmp_path / "photos"))

    assert [failure.source for failure in _failures(first)] == [str(tmp_path / "photos/late")]
    assert [outcome.source for outcome in second] == [str(tmp_path / "photos/late")]


async def test_listed_objects_are_removed(oracle: Any, bucket: str, tmp_path: Path) -> None:
    put_objects(oracle, bucket, {"a": b"1", "b": b"2", "x/c": b"3", "stays": b"4"})
    listed = tmp_path / "list"
    listed.write_bytes(f"s3://{bucket}/a\r\n\nnot a url\ns3://{bucket}/x/*\ns3://{bucket}/b".encode())

    async with Transfer() as transfer:
        outcomes = await settled(transfer.remove_listed(str(listed)))

    assert len([outcome for outcome in outcomes if isinstance(outcome, Removal)]) == 3
    assert [failure.source for failure in _failures(outcomes)] == ["not a url"]
    assert sorted(keys_in(oracle, bucket)) == ["stays"]


@pytest.mark.parametrize(
    ("destination", "choices"),
    [("s3://b/name", {}), ("-", {}), ("out", {"root": "photos"}), ("s3://b/", {"root": "p", "recursive": True})],
)
async def test_requests_that_make_no_sense_are_refused(
    bucket: str, tmp_path: Path, destination: str, choices: dict[str, Any]
) -> None:
    with pytest.raises(UsageError):
        await _copied(["a"], tmp_path, destination, **choices)


async def test_listed_objects_are_removed_while_the_list_is_still_written(
    oracle: Any, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gathering, "LONGEST_WAIT_SECONDS", 0.01)
    put_objects(oracle, bucket, {"a": b"1", "b": b"2"})
    reading, writing = os.pipe()
    os.write(writing, f"s3://{bucket}/a\n".encode())
    told: list[Outcome] = []

    async with Transfer() as transfer:
        async for outcome in transfer.remove_listed(f"/dev/fd/{reading}"):
            told.append(outcome)
            if len(told) == 1:
                assert keys_in(oracle, bucket) == ["b"]
                os.write(writing, f"s3://{bucket}/b\n".encode())
                os.close(writing)
    os.close(reading)

    assert [outcome.source for outcome in told] == [f"s3://{bucket}/a", f"s3://{bucket}/b"]
    assert keys_in(oracle, bucket) == []
