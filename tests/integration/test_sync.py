"""Making one tree like another, on both servers: what is copied, what is removed, and when nothing may be."""

import hashlib
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.integration.samples import keys_in, objects_in, put_objects, read_tree, write_tree
from tests.support.servers import S3Server
from tests.support.servers import make_s3_client as make_client
from transfer import Transfer, TransferOptions
from transfer.engine import ordered_listing, reading_ahead, source_removal, sync_removal
from transfer.engine.server_copy import copy_object
from transfer.model.checksums import VerifiedBy
from transfer.model.errors import DeletionRefusedError, LocalFileError, StoreError, UsageError
from transfer.model.events import Event, Warned
from transfer.model.filters import FilterRule, Filters
from transfer.model.options import ConnectionOptions, UnsafeKeyPolicy
from transfer.model.receipts import Failure, Intent, Outcome, Receipt, Removal, Skip
from transfer.model.sync import Change, CompareBy, Comparison, DeleteLimit, SyncOptions
from transfer.plan import comparing, frontier
from transfer.stores.local.clearing import FileBelow, remove_below
from transfer.stores.local.source import ReadFile
from transfer.stores.s3.listing import delete_objects, list_page

OLD = 1_000_000_000
NEW = time.time() + 3600
DELETE = SyncOptions(delete=True)
TREE = {"a": b"one", "a-b": b"two", "a.d/x": b"three", "sub/\u00e9 +%41": b"four", "empty": b""}


class Run:
    """What a sync told."""

    def __init__(self) -> None:
        self.outcomes: list[Outcome] = []
        self.warnings: list[str] = []
        self.equal = 0

    def hear(self, event: Event) -> None:
        if isinstance(event, Warned):
            self.warnings.append(event.message)

    def told(self, kind: type[Any], root: str = "") -> list[str]:
        """The sources of all outcomes of a kind, below a root, sorted."""
        return sorted(outcome.source.removeprefix(root) for outcome in self.outcomes if isinstance(outcome, kind))


async def sync(
    source: object,
    destination: object,
    options: SyncOptions | None = None,
    *,
    run: Run | None = None,
    second: ConnectionOptions | None = None,
    **choices: Any,
) -> Run:
    run = run or Run()
    async with Transfer(options=TransferOptions(**choices), on_event=run.hear, destination=second) as transfer:
        stream = transfer.sync(str(source), str(destination), options)
        try:
            async for outcome in stream:
                run.outcomes.append(outcome)
        finally:
            await stream.aclose()
            run.equal = transfer.progress.items_equal
    return run


@pytest.fixture(autouse=True)
def _nothing_is_racy(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """What a test has stored right before counts as stored for good."""
    if "racy" not in request.node.name:
        monkeypatch.setattr(comparing, "RACY_SECONDS", 0.0)


def age(root: Path, seconds: float = OLD) -> None:
    """Make all files old, so that whatever is stored now is newer."""
    for path in root.rglob("*"):
        if path.is_file():
            os.utime(path, (seconds, seconds))


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    write_tree(root, TREE)
    age(root)
    return root


@pytest.fixture
def moto_bucket(moto: S3Server) -> Iterator[tuple[Any, str]]:
    """A client and a bucket of the server that keeps keys as they are."""
    client = make_client(moto)
    bucket = f"odd-{os.urandom(6).hex()}"
    client.create_bucket(Bucket=bucket)
    yield client, bucket
    client.close()


def at(bucket: str) -> str:
    return f"s3://{bucket}/site"


def stored(oracle: Any, bucket: str, prefix: str = "site/") -> Mapping[str, bytes]:
    found = objects_in(oracle, bucket)
    return {key.removeprefix(prefix): body for key, body in found.items() if key.startswith(prefix)}


async def test_a_tree_goes_up_once_and_then_only_what_changed(oracle: Any, bucket: str, tree: Path) -> None:
    first = await sync(tree, at(bucket))
    assert first.told(Receipt, f"{tree}/") == sorted(TREE)
    assert stored(oracle, bucket) == TREE
    again = await sync(tree, at(bucket))
    assert (again.outcomes, again.equal) == ([], len(TREE))
    (tree / "a").write_bytes(b"other size")
    (tree / "a-b").write_bytes(b"TWO")
    os.utime(tree / "a-b", (NEW, NEW))
    (tree / "new").write_bytes(b"new")
    third = await sync(tree, at(bucket))
    assert third.told(Receipt, f"{tree}/") == ["a", "a-b", "new"]
    assert third.equal == len(TREE) - 2
    assert stored(oracle, bucket) == {**TREE, "a": b"other size", "a-b": b"TWO", "new": b"new"}


async def test_a_tree_comes_down_once_and_then_only_what_changed(oracle: Any, bucket: str, tmp_path: Path) -> None:
    put_objects(oracle, bucket, {f"site/{key}": body for key, body in TREE.items()})
    root = tmp_path / "down"
    first = await sync(at(bucket), root)
    assert len(first.told(Receipt)) == len(TREE)
    assert read_tree(root) == TREE
    assert (await sync(at(bucket), root)).outcomes == []
    put_objects(oracle, bucket, {"site/new": b"new", "site/a": b"other size"})
    os.utime(root / "a-b", (OLD, OLD))
    third = await sync(at(bucket), root)
    assert third.told(Receipt, f"s3://{bucket}/site/") == ["a", "a-b", "new"]
    assert read_tree(root) == {**TREE, "new": b"new", "a": b"other size"}


async def test_one_prefix_becomes_like_another(oracle: Any, bucket: str) -> None:
    put_objects(oracle, bucket, {f"site/{key}": body for key, body in TREE.items()})
    put_objects(oracle, bucket, {"copy/extra": b"x", "copy/empty": b"not empty"})
    first = await sync(at(bucket), f"s3://{bucket}/copy/", DELETE)
    assert len(first.told(Receipt)) == len(TREE)
    assert first.told(Removal) == [f"s3://{bucket}/copy/extra"]
    assert stored(oracle, bucket, "copy/") == TREE
    assert (await sync(at(bucket), f"s3://{bucket}/copy/", DELETE)).outcomes == []


async def test_between_two_stores(
    moto: S3Server, seaweed: S3Server, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    buckets = []
    for server in (moto, seaweed):
        client = make_client(server)
        buckets.append((client, f"two-{os.urandom(6).hex()}"))
        client.create_bucket(Bucket=buckets[-1][1])
    (one, here), (other, there) = buckets
    put_objects(one, here, {f"site/{key}": body for key, body in TREE.items()})
    put_objects(other, there, {"site/extra": b"x"})
    for name, value in moto.environment().items():
        monkeypatch.setenv(name, value)
    second = ConnectionOptions(endpoint_url=seaweed.endpoint_url)
    if (moto.access_key, moto.secret_key) != (seaweed.access_key, seaweed.secret_key):
        pytest.fail("the two servers are expected to take the same keys")
    first = await sync(at(here), at(there), DELETE, second=second)
    assert (len(first.told(Receipt)), first.told(Removal)) == (len(TREE), [f"{at(there)}/extra"])
    assert stored(other, there) == TREE
    assert (await sync(at(here), at(there), DELETE, second=second)).outcomes == []
    one.close()
    other.close()


async def test_what_only_the_destination_has_stays_unless_it_is_to_go(oracle: Any, bucket: str, tree: Path) -> None:
    put_objects(oracle, bucket, {"site/extra": b"x", "site/a-b-c/extra": b"y", "outside": b"z"})
    await sync(tree, at(bucket))
    assert set(stored(oracle, bucket)) == {*TREE, "extra", "a-b-c/extra"}
    run = await sync(tree, at(bucket), DELETE)
    assert run.told(Removal, f"{at(bucket)}/") == ["a-b-c/extra", "extra"]
    assert stored(oracle, bucket) == TREE
    assert "outside" in keys_in(oracle, bucket)


async def test_files_go_with_the_folders_that_they_leave_empty(oracle: Any, bucket: str, tmp_path: Path) -> None:
    put_objects(oracle, bucket, {"site/keep/me": b"1"})
    root = tmp_path / "down"
    write_tree(root, {"keep/me": b"1", "keep/not": b"2", "gone/deep/x": b"3", "y": b"4"})
    run = await sync(at(bucket), root, DELETE)
    assert run.told(Removal, f"{root}/") == ["gone/deep/x", "keep/not", "y"]
    assert read_tree(root) == {"keep/me": b"1"}
    assert not (root / "gone").exists()


async def test_a_dry_run_tells_the_very_plan_and_does_nothing(oracle: Any, bucket: str, tree: Path) -> None:
    put_objects(oracle, bucket, {"site/extra": b"x", "site/a": b"other size"})
    before = objects_in(oracle, bucket)
    told = await sync(tree, at(bucket), SyncOptions(delete=True, is_dry_run=True))
    assert objects_in(oracle, bucket) == before
    changes = {
        intent.source.removeprefix(f"{tree}/"): intent.change for intent in told.outcomes if isinstance(intent, Intent)
    }
    assert changes == {**dict.fromkeys(TREE, Change.NEW), "a": Change.SIZE}
    assert all(removal.is_dry_run for removal in told.outcomes if isinstance(removal, Removal))
    done = await sync(tree, at(bucket), DELETE)
    assert done.told(Receipt) == told.told(Intent)
    assert done.told(Removal) == told.told(Removal) == [f"{at(bucket)}/extra"]


@pytest.mark.parametrize(
    ("limit", "is_allowed"),
    [
        (DeleteLimit(2), True),
        (DeleteLimit(1), False),
        (DeleteLimit(0), False),
        (DeleteLimit(50, is_percent=True), True),
        (DeleteLimit(49, is_percent=True), False),
    ],
)
async def test_no_more_than_allowed_is_removed(
    oracle: Any, bucket: str, tmp_path: Path, limit: DeleteLimit, is_allowed: bool
) -> None:
    put_objects(oracle, bucket, {f"site/{name}": b"1" for name in ("one", "two", "three", "four")})
    write_tree(tmp_path, {"one": b"1", "two": b"1", "new": b"1"})
    age(tmp_path)
    run = Run()
    options = SyncOptions(delete=True, delete_limit=limit)
    if is_allowed:
        await sync(tmp_path, at(bucket), options, run=run)
        assert set(stored(oracle, bucket)) == {"one", "two", "new"}
        return
    with pytest.raises(DeletionRefusedError, match="2 of 4 at the destination"):
        await sync(tmp_path, at(bucket), options, run=run)
    assert run.told(Receipt) == [f"{tmp_path}/new"]
    assert set(stored(oracle, bucket)) == {"one", "two", "three", "four", "new"}


async def test_an_empty_source_removes_nothing_unless_that_is_said(oracle: Any, bucket: str, tmp_path: Path) -> None:
    put_objects(oracle, bucket, {"site/one": b"1"})
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(DeletionRefusedError, match="nothing in the source is wanted"):
        await sync(empty, at(bucket), DELETE)
    assert set(stored(oracle, bucket)) == {"one"}
    await sync(empty, at(bucket), SyncOptions(delete=True, delete_limit=DeleteLimit(100, is_percent=True)))
    assert stored(oracle, bucket) == {}


async def test_nothing_is_removed_after_a_failure(
    oracle: Any, bucket: str, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_objects(oracle, bucket, {"site/extra": b"x"})

    def fail_one(path: str, **how: Any) -> ReadFile:
        if path.endswith("a-b"):
            raise LocalFileError("no", subject=path)
        return ReadFile(path, **how)

    monkeypatch.setattr(reading_ahead, "ReadFile", fail_one)
    run = await sync(tree, at(bucket), DELETE)
    assert (run.told(Failure), len(run.told(Receipt))) == ([f"{tree}/a-b"], len(TREE) - 1)
    assert run.told(Removal) == []
    assert any("nothing is removed, because something failed" in warning for warning in run.warnings)
    assert "extra" in stored(oracle, bucket)


@pytest.mark.parametrize("failing", ["source", "destination"])
async def test_nothing_is_removed_after_a_failed_listing(
    oracle: Any, bucket: str, failing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_objects(oracle, bucket, {"site/one": b"1", "copy/extra": b"x", "copy/one": b"1"})
    real = list_page

    async def refuse(store: Any, name: str, prefix: str, **rest: Any) -> Any:
        if prefix == {"source": "site/", "destination": "copy/"}[failing]:
            raise StoreError("no", status=403, code="AccessDenied", subject=prefix)
        return await real(store, name, prefix, **rest)

    monkeypatch.setattr(ordered_listing, "list_page", refuse)
    with pytest.raises(StoreError, match="no"):
        await sync(at(bucket), f"s3://{bucket}/copy", DELETE)
    assert set(stored(oracle, bucket, "copy/")) == {"extra", "one"}


@pytest.mark.skipif(os.name == "nt", reason="permissions of folders are another matter there")
async def test_a_folder_that_cannot_be_read_protects_what_it_may_hold(
    oracle: Any, bucket: str, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root may read everything, so the walk is told that it may not."""
    put_objects(oracle, bucket, {"site/sub/kept": b"x", "site/extra": b"x"})
    real = os.scandir

    def scandir(path: Any) -> Any:
        if str(path).endswith("/sub"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    run = await sync(tree, at(bucket), DELETE)
    assert run.told(Failure) == [f"{tree}/sub"]
    assert run.told(Removal) == []


async def test_what_is_left_out_of_the_source_is_not_taken_for_missing(oracle: Any, bucket: str, tree: Path) -> None:
    (tree / "link").symlink_to("nowhere")
    (tree / "folder").symlink_to("nowhere either")
    put_objects(oracle, bucket, {"site/link": b"x", "site/folder/y": b"y", "site/folder-z": b"z"})
    run = await sync(tree, at(bucket), DELETE)
    assert run.told(Skip, f"{tree}/") == ["folder", "link"]
    assert run.told(Removal, f"{at(bucket)}/") == ["folder-z"]
    assert {"link", "folder/y"} <= set(stored(oracle, bucket))


async def test_nothing_outside_of_the_target_is_removed_through_a_link(
    oracle: Any, bucket: str, tmp_path: Path
) -> None:
    put_objects(oracle, bucket, {"site/one": b"1"})
    write_tree(tmp_path / "precious", {"x": b"1"})
    root = tmp_path / "down"
    write_tree(root, {"one": b"1", "extra": b"2"})
    (root / "link").symlink_to(tmp_path / "precious")
    run = await sync(at(bucket), root, DELETE)
    assert run.told(Removal, f"{root}/") == ["extra"]
    assert read_tree(tmp_path / "precious") == {"x": b"1"}
    assert (root / "link").is_symlink()


async def test_what_is_removed_can_be_moved_to_another_prefix(oracle: Any, bucket: str, tree: Path) -> None:
    put_objects(oracle, bucket, {"site/extra": b"x", "site/deep/one": b"y"})
    run = await sync(tree, at(bucket), SyncOptions(delete=True, backup=f"s3://{bucket}/gone/"))
    moved = {outcome.source: outcome.moved_to for outcome in run.outcomes if isinstance(outcome, Removal)}
    assert moved == {f"{at(bucket)}/{name}": f"s3://{bucket}/gone/{name}" for name in ("extra", "deep/one")}
    assert stored(oracle, bucket, "gone/") == {"extra": b"x", "deep/one": b"y"}
    assert stored(oracle, bucket) == TREE


async def test_what_is_removed_can_be_moved_to_another_folder(oracle: Any, bucket: str, tmp_path: Path) -> None:
    put_objects(oracle, bucket, {"site/one": b"1"})
    root, gone = tmp_path / "down", tmp_path / "gone"
    write_tree(root, {"one": b"1", "deep/extra": b"2"})
    await sync(at(bucket), root, SyncOptions(delete=True, backup=str(gone)))
    assert (read_tree(root), read_tree(gone)) == ({"one": b"1"}, {"deep/extra": b"2"})


@pytest.mark.parametrize("unwanted", [Filters(max_size_bytes=2), Filters(rules=(FilterRule("ex*", False),))])
async def test_what_a_filter_leaves_out_is_neither_copied_nor_removed(
    oracle: Any, bucket: str, tmp_path: Path, unwanted: Filters
) -> None:
    put_objects(oracle, bucket, {"site/extra": b"xxx", "site/gone": b"x", "site/exists": b"x"})
    write_tree(tmp_path, {"exists": b"now larger", "one": b"1", "exnew": b"xxxx"})
    age(tmp_path)
    run = await sync(tmp_path, at(bucket), DELETE, filters=unwanted)
    assert run.told(Receipt, f"{tmp_path}/") == ["one"]
    assert run.told(Removal, f"{at(bucket)}/") == ["gone"]
    assert set(stored(oracle, bucket)) == {"extra", "exists", "one"}


async def test_by_checksum_a_change_of_the_same_size_and_time_is_found(oracle: Any, bucket: str, tree: Path) -> None:
    await sync(tree, at(bucket))
    status = (tree / "a").stat()
    (tree / "a").write_bytes(b"ONE")
    os.utime(tree / "a", ns=(status.st_atime_ns, status.st_mtime_ns))
    os.utime(tree / "a-b", (NEW, NEW))
    how = SyncOptions(Comparison(CompareBy.CHECKSUM))
    assert (await sync(tree, at(bucket), SyncOptions(Comparison(CompareBy.SIZE)))).outcomes == []
    run = await sync(tree, at(bucket), how)
    assert run.told(Receipt, f"{tree}/") == ["a"]
    assert run.equal == len(TREE) - 1
    assert stored(oracle, bucket)["a"] == b"ONE"
    # The other way round, and between prefixes.
    (tree / "a").write_bytes(b"two")
    assert len((await sync(at(bucket), tree, how)).told(Receipt)) == 1
    assert (tree / "a").read_bytes() == b"ONE"
    put_objects(oracle, bucket, {f"copy/{key}": body for key, body in TREE.items()})
    assert (await sync(at(bucket), f"s3://{bucket}/copy/", how)).told(Receipt, f"{at(bucket)}/") == ["a"]


async def test_the_own_time_of_a_file_is_compared_exactly(oracle: Any, bucket: str, tree: Path, tmp_path: Path) -> None:
    how = SyncOptions(Comparison(CompareBy.EXACT_MTIME))
    await sync(tree, at(bucket))
    assert (await sync(tree, at(bucket), how)).outcomes == []
    os.utime(tree / "a", (OLD - 5, OLD - 5))
    assert (await sync(tree, at(bucket), how)).told(Receipt, f"{tree}/") == ["a"]
    down = tmp_path / "down"
    await sync(at(bucket), down, how)
    assert (down / "a").stat().st_mtime == OLD - 5
    assert (await sync(at(bucket), down, how)).outcomes == []
    os.utime(down / "a-b", (OLD + 1, OLD + 1))
    assert (await sync(at(bucket), down, how)).told(Receipt, f"{at(bucket)}/") == ["a-b"]
    await sync(at(bucket), f"s3://{bucket}/copy/", how)
    assert (await sync(at(bucket), f"s3://{bucket}/copy/", how)).outcomes == []


async def test_what_is_newer_or_there_can_be_left_alone(oracle: Any, bucket: str, tree: Path) -> None:
    put_objects(oracle, bucket, {"site/a": b"newer and larger"})
    run = await sync(tree, at(bucket), SyncOptions(Comparison(skip_newer=True)))
    assert stored(oracle, bucket)["a"] == b"newer and larger"
    assert len(run.told(Receipt)) == len(TREE) - 1
    os.utime(tree / "a", (NEW, NEW))
    assert (await sync(tree, at(bucket), SyncOptions(Comparison(skip_existing=True)))).outcomes == []
    assert len((await sync(tree, at(bucket), SyncOptions(Comparison(skip_newer=True)))).outcomes) == 1


async def test_markers_of_folders(oracle: Any, bucket: str, tree: Path, tmp_path: Path) -> None:
    """A folder that is there keeps its marker; one that is gone loses it; coming down it becomes a folder, once."""
    put_objects(oracle, bucket, {"site/": b"", "site/sub/": b"", "site/gone/": b""})
    run = await sync(tree, at(bucket), DELETE)
    assert run.told(Removal, f"{at(bucket)}/") == ["gone/"]
    assert {"", "sub/"} <= set(stored(oracle, bucket))
    put_objects(oracle, bucket, {"site/hollow/": b""})
    down = tmp_path / "down"
    await sync(at(bucket), down, DELETE)
    assert (down / "hollow").is_dir()
    assert (await sync(at(bucket), down, DELETE)).outcomes == []
    assert (down / "hollow").is_dir()


async def test_keys_that_are_no_file_names_come_down_escaped_once(
    moto: S3Server, moto_bucket: tuple[Any, str], tmp_path: Path
) -> None:
    oracle, bucket = moto_bucket
    put_objects(oracle, bucket, {"site/a//b": b"1", "site/..": b"2", "site/plain": b"3", "site/100%": b"4"})
    how: Any = {"unsafe_keys": UnsafeKeyPolicy.ESCAPE}
    first = await sync(at(bucket), tmp_path, DELETE, **how)
    assert (len(first.told(Receipt)), first.told(Failure)) == (4, [])
    assert (await sync(at(bucket), tmp_path, DELETE, **how)).outcomes == []
    refused = await sync(at(bucket), tmp_path / "other", DELETE)
    assert refused.told(Failure, f"{at(bucket)}/") == ["..", "a//b"]
    skipped = await sync(at(bucket), tmp_path / "third", unsafe_keys=UnsafeKeyPolicy.SKIP)
    assert skipped.told(Skip, f"{at(bucket)}/") == ["..", "a//b"]


async def test_a_store_that_lists_out_of_order_is_sorted_and_then_deleted_from(
    seaweed_oracle: Any, seaweed: S3Server, seaweed_bucket: str, tmp_path: Path
) -> None:
    """SeaweedFS lists what is in a folder before the neighbours whose names come first."""
    names = {f"{folder}{mark}{number}": b"x" for folder in "ab" for mark in ("/", "-", ".", "") for number in range(4)}
    write_tree(tmp_path, names)
    age(tmp_path)
    run = await sync(tmp_path, at(seaweed_bucket), DELETE)
    assert len(run.told(Receipt)) == len(names)
    put_objects(seaweed_oracle, seaweed_bucket, {"site/a/extra": b"", "site/a-extra": b"", "site/c/extra": b""})
    again = await sync(tmp_path, at(seaweed_bucket), DELETE)
    assert again.told(Removal, f"{at(seaweed_bucket)}/") == ["a-extra", "a/extra", "c/extra"]
    assert again.told(Receipt) == []
    assert again.equal == len(names)
    assert "the store lists keys out of order: they are sorted on disk first" in again.warnings
    assert stored(seaweed_oracle, seaweed_bucket) == names


@pytest.mark.parametrize("count", [100, 101])
async def test_pages_meet_without_gap(
    moto: S3Server, moto_bucket: tuple[Any, str], tmp_path: Path, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frontier, "PAGE_KEYS", 100)
    oracle, bucket = moto_bucket
    names = {f"{number % 7}/{number:05}": b"x" for number in range(count)}
    write_tree(tmp_path, names)
    age(tmp_path)
    put_objects(oracle, bucket, {f"site/{name}": b"x" for name in names})
    extras = [f"{number % 7}/{number:05}" for number in range(0, count, 10)]
    for name in extras:
        (tmp_path / name).unlink()
    run = await sync(tmp_path, at(bucket), DELETE)
    assert run.told(Removal, f"{at(bucket)}/") == sorted(extras)
    assert (run.told(Receipt), run.equal) == ([], count - len(extras))


@pytest.mark.parametrize(
    ("source", "destination", "options", "message"),
    [
        ("-", "s3://b/x", SyncOptions(), "no trees"),
        ("s3://b/x", "s3://b/x/", SyncOptions(), "are the same"),
        ("s3://b/x", "s3://b/x/y", SyncOptions(), "without end"),
        ("s3://b/x/y", "s3://b/x", DELETE, "would remove the source"),
        ("s3://b/x", "s3://b/y", SyncOptions(delete=True, backup="s3://b/y/gone"), "below the destination"),
        ("s3://b/x", "s3://b/y/z", SyncOptions(delete=True, backup="s3://b/y"), "is below it"),
        ("s3://b/x", "s3://b/y", SyncOptions(delete=True, backup="gone"), "a prefix of a bucket"),
        ("s3://b/x", "s3://b/y", SyncOptions(delete=True, backup="s3://b/x/gone"), "would be copied again"),
        ("s3://b/x/*", "there", SyncOptions(), "write s3://b/x/$"),
        ("s3://b/x/2024-*.gz", "there", SyncOptions(), "write s3://b/x/ --include '2024-\\*.gz'"),
        ("s3://alias-s3alias/x/y", "s3://b/x", DELETE, "would remove the source"),
        (".", "elsewhere", SyncOptions(), "neither"),
        ("pyproject.toml", "s3://b/x", SyncOptions(), "not a folder"),
    ],
)
async def test_what_makes_no_sense_is_refused_before_anything_is_asked(
    moto: S3Server, source: str, destination: str, options: SyncOptions, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        await sync(source, destination, options)


async def test_a_source_folder_must_be_there(moto: S3Server, tmp_path: Path) -> None:
    with pytest.raises(LocalFileError, match="no such folder"):
        await sync(tmp_path / "nowhere", "s3://b/x")


async def test_a_source_above_its_destination_may_be_copied_without_deleting(oracle: Any, bucket: str) -> None:
    put_objects(oracle, bucket, {"site/sub/x": b"1"})
    await sync(f"{at(bucket)}/sub", at(bucket))
    assert stored(oracle, bucket) == {"sub/x": b"1", "x": b"1"}


@pytest.mark.parametrize(("source", "destination"), [("s3://b/x/y", "s3://b/x"), ("s3://b/x", "s3://b/x/y")])
async def test_two_endpoints_may_be_one_store(moto: S3Server, source: str, destination: str) -> None:
    other = ConnectionOptions(endpoint_url=moto.endpoint_url.replace("127.0.0.1", "localhost"))
    with pytest.raises(UsageError, match=r"without end|would remove the source"):
        await sync(source, destination, DELETE, second=other)


async def test_a_prefix_without_any_key_is_likely_mistyped(oracle: Any, bucket: str, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there are no objects below it"):
        await sync(f"s3://{bucket}/nowhere", tmp_path)
    write_tree(tmp_path, {"x": b"1"})
    with pytest.raises(StoreError, match="there are no objects below it"):
        await sync(f"s3://{bucket}/nowhere", tmp_path, DELETE)
    meant = SyncOptions(delete=True, delete_limit=DeleteLimit(100, is_percent=True))
    assert (await sync(f"s3://{bucket}/nowhere", tmp_path, meant)).told(Removal) == [f"{tmp_path}/x"]


async def test_a_source_with_nothing_but_its_marker_empties_nothing(oracle: Any, bucket: str, tmp_path: Path) -> None:
    put_objects(oracle, bucket, {"site/": b""})
    write_tree(tmp_path, {"precious": b"1"})
    with pytest.raises(DeletionRefusedError):
        await sync(at(bucket), tmp_path, DELETE)
    assert read_tree(tmp_path) == {"precious": b"1"}


async def test_markers_between_prefixes_go_with_their_folders(oracle: Any, bucket: str) -> None:
    put_objects(oracle, bucket, {"site/kept/x": b"1", "copy/kept/": b"", "copy/gone/": b"", "copy/kept/x": b"1"})
    run = await sync(at(bucket), f"s3://{bucket}/copy", DELETE)
    assert run.told(Removal) == [f"s3://{bucket}/copy/gone/"]


async def test_unfinished_downloads_are_neither_sent_nor_removed(oracle: Any, bucket: str, tmp_path: Path) -> None:
    put_objects(oracle, bucket, {"site/one": b"1"})
    temporary = ".one.0123456789ab.transfer"
    write_tree(tmp_path, {"one": b"1", temporary: b"half", "x.0123456789ab.transfer": b"no dot", ".y.zz.transfer": b""})
    age(tmp_path)
    run = await sync(at(bucket), tmp_path, DELETE)
    assert run.told(Removal, f"{tmp_path}/") == [".y.zz.transfer", "x.0123456789ab.transfer"]
    assert (tmp_path / temporary).exists()
    up = await sync(tmp_path, f"s3://{bucket}/up")
    assert up.told(Receipt, f"{tmp_path}/") == ["one"]


@pytest.mark.parametrize("name", ["sub", "link"])
async def test_an_unreadable_folder_is_told_though_only_some_files_are_wanted(
    oracle: Any, bucket: str, tree: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Root may read everything, so the walk is told that it may not."""
    real = os.scandir

    def scandir(path: Any) -> Any:
        if str(path).endswith("/sub") and name == "sub":
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    class Unreadable:
        name = "link"

        def is_symlink(self) -> bool:
            return True

        def is_dir(self) -> bool:
            raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "scandir", scandir)
    if name == "link":
        from contextlib import contextmanager

        @contextmanager
        def with_link(path: Any) -> Iterator[Iterator[Any]]:
            with real(path) as found:
                yield iter([*found, Unreadable()] if str(path) == str(tree) else found)

        monkeypatch.setattr(os, "scandir", with_link)
    run = await sync(tree, at(bucket), DELETE, filters=Filters(rules=(FilterRule("x", True),)))
    assert run.told(Failure) == [f"{tree}/{name}"]
    assert run.told(Receipt, f"{tree}/") == ["a.d/x"]


async def test_what_changed_after_it_was_listed_stays(
    oracle: Any, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_objects(oracle, bucket, {"site/one": b"1"})
    write_tree(tmp_path, {"one": b"1", "extra": b"2", "other": b"3"})
    real = remove_below

    def write_first(root: str, seen: FileBelow) -> None:
        if seen.relative == "extra":
            (tmp_path / "extra").write_bytes(b"written in between")
        real(root, seen)

    monkeypatch.setattr(sync_removal, "remove_below", write_first)
    run = await sync(at(bucket), tmp_path, DELETE)
    assert (run.told(Failure), run.told(Removal)) == ([f"{tmp_path}/extra"], [f"{tmp_path}/other"])
    assert (tmp_path / "extra").exists()


async def test_an_object_goes_only_if_it_is_what_was_listed(
    moto: S3Server, moto_bucket: tuple[Any, str], tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store is asked to compare the ETag that the listing told."""
    oracle, bucket = moto_bucket
    put_objects(oracle, bucket, {"site/extra": b"x", "site/more": b"y"})
    asked: list[dict[str, str]] = []
    real = delete_objects

    async def delete(store: Any, name: str, keys: Any, etags: Any) -> Any:
        asked.append({key: etags[key] for key in keys})
        return await real(store, name, keys, etags)

    monkeypatch.setattr(source_removal, "delete_objects", delete)
    await sync(tree, at(bucket), DELETE)
    assert asked == [
        {f"site/{name}": f'"{hashlib.md5(body).hexdigest()}"' for name, body in {"extra": b"x", "more": b"y"}.items()}
    ]


async def test_what_nothing_proves_to_be_in_the_backup_stays(
    oracle: Any, bucket: str, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_objects(oracle, bucket, {"site/extra": b"x"})
    real = copy_object

    async def unproven(context: Any, job: Any, item: Any) -> Receipt:
        return replace(await real(context, job, item), verified_by=VerifiedBy.UNVERIFIED)

    monkeypatch.setattr(sync_removal, "copy_object", unproven)
    run = await sync(tree, at(bucket), SyncOptions(delete=True, backup=f"s3://{bucket}/gone"))
    assert (run.told(Failure), run.told(Removal)) == ([f"{at(bucket)}/extra"], [])
    assert "extra" in stored(oracle, bucket)


async def test_racy_objects_are_fetched_once_more(oracle: Any, bucket: str, tmp_path: Path) -> None:
    """What was overwritten in the second in which it was fetched tells the same time and may tell the same size."""
    put_objects(oracle, bucket, {"site/one": b"AAAA"})
    await sync(at(bucket), tmp_path)
    put_objects(oracle, bucket, {"site/one": b"BBBB"})
    await sync(at(bucket), tmp_path)
    assert read_tree(tmp_path) == {"one": b"BBBB"}


async def test_racy_copies_are_made_once_more(oracle: Any, bucket: str) -> None:
    put_objects(oracle, bucket, {"site/one": b"AAAA"})
    await sync(at(bucket), f"s3://{bucket}/copy")
    put_objects(oracle, bucket, {"site/one": b"BBBB"})
    await sync(at(bucket), f"s3://{bucket}/copy")
    assert stored(oracle, bucket, "copy/") == {"one": b"BBBB"}


@pytest.mark.parametrize("by", [CompareBy.CHECKSUM, CompareBy.EXACT_MTIME])
async def test_each_equal_item_is_counted_once(
    moto: S3Server, moto_bucket: tuple[Any, str], tmp_path: Path, by: CompareBy
) -> None:
    _, bucket = moto_bucket
    write_tree(tmp_path, {f"{number:04}": b"x" for number in range(300)})
    age(tmp_path)
    await sync(tmp_path, at(bucket))
    run = await sync(tmp_path, at(bucket), SyncOptions(Comparison(by)))
    assert (run.outcomes, run.equal) == ([], 300)


async def test_a_store_that_breaks_the_order_late_tells_nothing_twice(
    seaweed: S3Server, seaweed_bucket: str, tmp_path: Path
) -> None:
    names = {f"{folder}{mark}{number}": b"x" for folder in "abc" for mark in ("/", "-") for number in range(3)}
    write_tree(tmp_path, names)
    age(tmp_path)
    await sync(tmp_path, at(seaweed_bucket))
    plan = SyncOptions(Comparison(CompareBy.TIME), is_dry_run=True)
    run = await sync(at(seaweed_bucket), f"s3://{seaweed_bucket}/copy/", plan)
    assert run.told(Intent, f"{at(seaweed_bucket)}/") == sorted(names)


async def test_a_dry_run_shows_what_is_too_much(oracle: Any, bucket: str, tree: Path) -> None:
    put_objects(oracle, bucket, {"site/x": b"x"})
    run = Run()
    with pytest.raises(DeletionRefusedError):
        await sync(tree, at(bucket), SyncOptions(delete=True, delete_limit=DeleteLimit(0), is_dry_run=True), run=run)
    assert run.told(Removal) == [f"{at(bucket)}/x"]
    assert "x" in stored(oracle, bucket)
