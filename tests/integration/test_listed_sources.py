"""Sources named in a file: what each line becomes, and which lines fail alone."""

from pathlib import Path
from typing import Any

import pytest

from tests.integration.samples import keys_in, objects_in, put_objects, read_tree, settled, write_tree
from transfer import Transfer
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
