"""Whole trees up and down: names, links, what is left out, and what stands for a folder."""

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.integration.samples import (
    MULTIPART_SIZE,
    PART,
    keys_in,
    objects_in,
    put_objects,
    read_tree,
    sample,
    settled,
    write_tree,
)
from tests.support.servers import S3Server
from transfer import Transfer, TransferError, TransferOptions
from transfer.model.checksums import VerifiedBy
from transfer.model.errors import LocalFileError, UsageError
from transfer.model.events import Event, Warned
from transfer.model.receipts import Failure, Receipt, Skip

ODD_TREE = {
    "plain.txt": b"plain",
    "empty": b"",
    "sub/empty too": b"",
    "with space.txt": b"space",
    " leading and trailing ": b"edges",
    "plus+plus": b"+",
    "percent%41%": b"%",
    "hash#hash": b"#",
    "question?mark": b"?",
    "ampersand&equals=semicolon;": b"&",
    "quote'double\"": b"'",
    "star*[brackets]{braces}": b"*",
    "comma,colon:at@dollar$exclamation!tilde~": b",",
    "caf\u00e9": b"composed",
    "cafe\u0301": b"decomposed",
    "\u65e5\u672c\u8a9e/\u6587\u5b57.txt": b"cjk",
    "\U0001f680/\U0001f6f0.bin": b"emoji",
    "...dots/..almost": b"dots",
    "-dash": b"dash",
    ".hidden/.file": b"hidden",
    "/".join(f"d{level}" for level in range(40)) + "/leaf": b"deep",
    "a-b": b"sorted before a/",
    "a/b": b"in a",
    "a.b": b"also before a/",
}


async def test_tree_with_odd_names_goes_up(oracle: Any, bucket: str, tmp_path: Path) -> None:
    write_tree(tmp_path, ODD_TREE)

    async with Transfer() as transfer:
        receipts = await settled(transfer.copy_tree(tmp_path, f"s3://{bucket}/tree/"))

    assert objects_in(oracle, bucket) == {f"tree/{name}": content for name, content in ODD_TREE.items()}
    assert sorted(receipt.destination for receipt in receipts) == sorted(
        f"s3://{bucket}/tree/{name}" for name in ODD_TREE
    )


async def test_tree_with_odd_names_comes_down(oracle: Any, bucket: str, tmp_path: Path) -> None:
    put_objects(oracle, bucket, {f"tree/{name}": content for name, content in ODD_TREE.items()})

    async with Transfer() as transfer:
        receipts = await settled(transfer.copy_tree(f"s3://{bucket}/tree", tmp_path / "out"))

    assert read_tree(tmp_path / "out") == ODD_TREE
    assert sorted(receipt.source for receipt in receipts) == sorted(f"s3://{bucket}/tree/{name}" for name in ODD_TREE)


async def test_small_and_large_files_share_a_run(oracle: Any, bucket: str, tmp_path: Path) -> None:
    tree = {"large.bin": sample(MULTIPART_SIZE), **{f"small/{number}": sample(1000, number) for number in range(60)}}
    write_tree(tmp_path / "in", tree)

    async with Transfer(options=TransferOptions(part_size_bytes=PART)) as transfer:
        up = await settled(transfer.copy_tree(tmp_path / "in", f"s3://{bucket}/"))
        down = await settled(transfer.copy_tree(f"s3://{bucket}/", tmp_path / "out"))
        progress = transfer.progress

    assert (len(up), len(down)) == (len(tree), len(tree))
    assert read_tree(tmp_path / "out") == tree
    assert progress.items_done == 2 * len(tree)
    assert progress.bytes_moved == progress.bytes_planned == 2 * sum(map(len, tree.values()))


@pytest.mark.parametrize("destination", ["", "/", "/below", "/below/"])
async def test_tree_keeps_relative_names_below_the_destination(
    oracle: Any, bucket: str, tmp_path: Path, destination: str
) -> None:
    write_tree(tmp_path / "in", {"a": b"1", "sub/b": b"2"})

    async with Transfer() as transfer:
        outcomes = await settled(
            transfer.copy_many([str(tmp_path / "in")], f"s3://{bucket}{destination.rstrip('/')}/", recursive=True)
        )

    assert len(outcomes) == 2
    prefix = f"{destination.strip('/')}/".lstrip("/")
    assert objects_in(oracle, bucket) == {f"{prefix}a": b"1", f"{prefix}sub/b": b"2"}


async def test_prefix_is_a_folder_not_a_beginning_of_names(oracle: Any, bucket: str, tmp_path: Path) -> None:
    put_objects(oracle, bucket, {"photos/a": b"in", "photos2/b": b"out", "photos-old": b"out"})

    async with Transfer() as transfer:
        await settled(transfer.copy_many([f"s3://{bucket}/photos"], str(tmp_path / "out"), recursive=True))

    assert read_tree(tmp_path / "out") == {"a": b"in"}


async def test_empty_folder_moves_nothing(oracle: Any, bucket: str, tmp_path: Path) -> None:
    (tmp_path / "in" / "nested").mkdir(parents=True)

    async with Transfer() as transfer:
        assert await settled(transfer.copy_many([str(tmp_path / "in")], f"s3://{bucket}/", recursive=True)) == []

    assert keys_in(oracle, bucket) == []


async def test_empty_bucket_moves_nothing(bucket: str, tmp_path: Path) -> None:
    async with Transfer() as transfer:
        assert await settled(transfer.copy_many([f"s3://{bucket}/"], str(tmp_path / "out"), recursive=True)) == []

    assert read_tree(tmp_path) == {}


async def test_links_are_followed(oracle: Any, bucket: str, tmp_path: Path) -> None:
    write_tree(tmp_path, {"in/real": b"1", "elsewhere/far": b"2"})
    (tmp_path / "in/to-file").symlink_to("real")
    (tmp_path / "in/to-folder").symlink_to("../elsewhere")

    async with Transfer() as transfer:
        await settled(transfer.copy_tree(tmp_path / "in", f"s3://{bucket}/"))

    assert objects_in(oracle, bucket) == {"real": b"1", "to-file": b"1", "to-folder/far": b"2"}


async def test_links_that_loop_or_lead_nowhere_are_told(oracle: Any, bucket: str, tmp_path: Path) -> None:
    write_tree(tmp_path, {"in/sub/real": b"1"})
    (tmp_path / "in/sub/up").symlink_to("..")
    (tmp_path / "in/broken").symlink_to("nowhere")
    (tmp_path / "in/self").symlink_to("self")

    async with Transfer() as transfer:
        outcomes = await settled(transfer.copy_many([str(tmp_path / "in")], f"s3://{bucket}/", recursive=True))
        progress = transfer.progress

    skipped = {Path(outcome.source).name: outcome.reason for outcome in outcomes if isinstance(outcome, Skip)}
    assert skipped["broken"] == "a broken link"
    assert "leads back" in skipped["up"]
    assert set(skipped) == {"broken", "self", "up"}
    assert objects_in(oracle, bucket) == {"sub/real": b"1"}
    assert (progress.items_done, progress.items_skipped, progress.items_failed) == (1, 3, 0)


async def test_links_are_left_out_when_not_followed(oracle: Any, bucket: str, tmp_path: Path) -> None:
    write_tree(tmp_path, {"in/real": b"1", "elsewhere/far": b"2"})
    (tmp_path / "in/to-file").symlink_to("real")
    (tmp_path / "in/to-folder").symlink_to("../elsewhere")

    async with Transfer(options=TransferOptions(follow_symlinks=False)) as transfer:
        outcomes = await settled(transfer.copy_many([str(tmp_path / "in")], f"s3://{bucket}/", recursive=True))

    skipped = [outcome for outcome in outcomes if isinstance(outcome, Skip)]
    assert {Path(skip.source).name for skip in skipped} == {"to-file", "to-folder"}
    assert {skip.reason for skip in skipped} == {"symbolic link not followed"}
    assert objects_in(oracle, bucket) == {"real": b"1"}


async def test_pipe_in_a_tree_is_skipped_and_does_not_hang(oracle: Any, bucket: str, tmp_path: Path) -> None:
    write_tree(tmp_path, {"real": b"1"})
    os.mkfifo(tmp_path / "pipe")

    async with Transfer() as transfer:
        outcomes = await settled(transfer.copy_many([str(tmp_path)], f"s3://{bucket}/", recursive=True))

    assert [outcome for outcome in outcomes if isinstance(outcome, Skip)] == [
        Skip(str(tmp_path / "pipe"), "a named pipe, not a regular file")
    ]
    assert objects_in(oracle, bucket) == {"real": b"1"}


async def test_name_that_is_no_text_is_skipped_in_printable_form(oracle: Any, bucket: str, tmp_path: Path) -> None:
    write_tree(tmp_path, {"real": b"1"})
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/latin-\xe9")).write_bytes(b"x")

    async with Transfer() as transfer:
        outcomes = await settled(transfer.copy_many([str(tmp_path)], f"s3://{bucket}/", recursive=True))

    (skip,) = [outcome for outcome in outcomes if isinstance(outcome, Skip)]
    assert skip.source == f"{tmp_path}/latin-\\xe9"
    assert "UTF-8" in skip.reason
    assert keys_in(oracle, bucket) == ["real"]


async def test_folder_markers_become_folders(oracle: Any, bucket: str, tmp_path: Path) -> None:
    put_objects(oracle, bucket, {"tree/": b"", "tree/empty/": b"", "tree/full/": b"", "tree/full/file": b"1"})

    async with Transfer() as transfer:
        outcomes = await settled(transfer.copy_many([f"s3://{bucket}/tree"], str(tmp_path / "out"), recursive=True))

    assert all(isinstance(outcome, Receipt) for outcome in outcomes)
    assert read_tree(tmp_path / "out") == {"full/file": b"1"}
    assert (tmp_path / "out/empty").is_dir()


async def test_tree_replaces_files_and_leaves_others_alone(oracle: Any, bucket: str, tmp_path: Path) -> None:
    put_objects(oracle, bucket, {"a": b"new", "sub/b": b"new"})
    write_tree(tmp_path, {"a": b"old", "sub/mine": b"mine"})

    async with Transfer() as transfer:
        await settled(transfer.copy_tree(f"s3://{bucket}/", tmp_path))

    assert read_tree(tmp_path) == {"a": b"new", "sub/b": b"new", "sub/mine": b"mine"}


async def test_one_bad_item_stops_no_other(oracle: Any, bucket: str, tmp_path: Path) -> None:
    put_objects(oracle, bucket, {"a": b"1", "clash": b"2", "z": b"3"})
    write_tree(tmp_path, {"clash/file": b"in the way"})

    async with Transfer() as transfer:
        outcomes = await settled(transfer.copy_many([f"s3://{bucket}/"], str(tmp_path), recursive=True))
        with pytest.raises(TransferError) as caught:
            await settled(transfer.copy_tree(f"s3://{bucket}/", tmp_path))

    (failure,) = [outcome for outcome in outcomes if isinstance(outcome, Failure)]
    assert failure.source == f"s3://{bucket}/clash"
    assert failure.error.kind == caught.value.kind == "unsafe_key"
    assert read_tree(tmp_path) == {"a": b"1", "clash/file": b"in the way", "z": b"3"}


async def test_same_run_can_be_repeated(oracle: Any, bucket: str, tmp_path: Path) -> None:
    write_tree(tmp_path / "in", {"a": b"1", "b": b"2"})

    async with Transfer() as transfer:
        for _ in range(3):
            assert len(await settled(transfer.copy_tree(tmp_path / "in", f"s3://{bucket}/"))) == 2

    assert objects_in(oracle, bucket) == {"a": b"1", "b": b"2"}


async def test_what_copy_tree_leaves_out_is_told(oracle: Any, bucket: str, tmp_path: Path) -> None:
    write_tree(tmp_path, {"a": b"a"})
    (tmp_path / "nowhere").symlink_to(tmp_path / "missing")
    events: list[Event] = []

    async with Transfer(on_event=events.append) as transfer:
        receipts = await settled(transfer.copy_tree(tmp_path, f"s3://{bucket}/"))

    assert [receipt.destination for receipt in receipts] == [f"s3://{bucket}/a"]
    (warned,) = [event for event in events if isinstance(event, Warned)]
    assert warned.message.startswith(f"{tmp_path}/nowhere: skipped: ")


async def test_folder_marker_leaves_nothing_to_verify(moto: S3Server, s3_client: Any, tmp_path: Path) -> None:
    oracle = s3_client(moto)
    oracle.create_bucket(Bucket="marked-folders")
    put_objects(oracle, "marked-folders", {"t/folder/": b""})

    async with Transfer() as transfer:
        (made,) = await settled(transfer.copy_tree("s3://marked-folders/t/", tmp_path))

    assert made.verified_by is VerifiedBy.NOTHING_TO_VERIFY
    assert (tmp_path / "folder").is_dir()


async def test_key_with_a_bracket_is_fetched_by_its_name(oracle: Any, bucket: str, tmp_path: Path) -> None:
    put_objects(oracle, bucket, {"report[1].pdf": b"1", "report1.pdf": b"2", "x[1]/a": b"3", "only1": b"4"})
    (tmp_path / "file").write_bytes(b"old")

    async with Transfer() as transfer:
        await settled(transfer.copy_many([f"s3://{bucket}/report[1].pdf"], str(tmp_path / "file")))
        await settled(transfer.copy_many([f"s3://{bucket}/x[1]"], str(tmp_path / "tree"), recursive=True))
        await settled(transfer.copy_many([f"s3://{bucket}/only[1]"], str(tmp_path / "matches")))
        with pytest.raises(UsageError):
            await settled(transfer.copy_many([f"s3://{bucket}/only[1]"], str(tmp_path / "file")))

    assert read_tree(tmp_path) == {"file": b"1", "tree/a": b"3", "matches/only1": b"4"}


async def test_closed_standard_input_is_named(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    async with Transfer() as transfer:
        with pytest.raises(LocalFileError, match="standard input is closed"):
            await transfer.copy("-", f"s3://{bucket}/key")
