"""Moves: what goes, what stays, and that nothing goes before its copy is safe."""

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.integration.samples import (
    MULTIPART_SIZE,
    PART,
    get_object,
    keys_in,
    objects_in,
    put_objects,
    read_tree,
    sample,
    settled,
    write_tree,
)
from tests.support.servers import S3Server
from transfer import ConnectionOptions, Transfer, TransferOptions
from transfer.engine import moving, same_object, source_removal
from transfer.engine.context import Context
from transfer.engine.copy_request import check_request
from transfer.engine.items import CopyItem
from transfer.engine.move_sources import SourceKeys
from transfer.model.errors import SourceChangedError, StoreError, UsageError
from transfer.model.filters import FilterRule, Filters
from transfer.model.locations import S3Location, parse_s3_location
from transfer.model.objects import ObjectProperties
from transfer.model.options import CopyDirective
from transfer.model.receipts import Failure, Outcome, Receipt, Skip
from transfer.plan.filters import compile_filters
from transfer.stores.s3 import listing
from transfer.stores.s3.store import S3Store

TREE = {"a.txt": b"one", "deep/b.bin": b"two", "deep/er/ü.txt": b"", "with space+%.txt": b"five"}


async def _moved(
    *sources: str, to: str, options: TransferOptions | None = None, recursive: bool = False, unverified: bool = False
) -> list[Outcome]:
    async with Transfer(options=options) as transfer:
        stream = transfer.move_many(sources, to, recursive=recursive, removes_unverified=unverified)
        return await settled(stream)


def _failures(outcomes: list[Outcome]) -> list[Failure]:
    return [outcome for outcome in outcomes if isinstance(outcome, Failure)]


async def test_folder_moves_up_and_leaves_empty_folders(oracle: Any, bucket: str, tmp_path: Path) -> None:
    write_tree(tmp_path, TREE)

    outcomes = await _moved(str(tmp_path), to=f"s3://{bucket}/x", recursive=True)

    assert all(isinstance(outcome, Receipt) and outcome.source_removed for outcome in outcomes)
    assert objects_in(oracle, bucket) == {f"x/{name}": content for name, content in TREE.items()}
    assert read_tree(tmp_path) == {}
    assert (tmp_path / "deep/er").is_dir()


async def test_prefix_moves_down_with_its_folder_marker(oracle: Any, bucket: str, tmp_path: Path) -> None:
    put_objects(oracle, bucket, {f"x/{name}": content for name, content in TREE.items()} | {"y": b"stays"})
    oracle.put_object(Bucket=bucket, Key="x/empty/")

    outcomes = await _moved(f"s3://{bucket}/x", to=str(tmp_path / "out"), recursive=True)

    assert all(isinstance(outcome, Receipt) and outcome.source_removed for outcome in outcomes)
    assert len(outcomes) == len(TREE) + 1
    assert read_tree(tmp_path / "out") == TREE
    assert (tmp_path / "out/empty").is_dir()
    assert keys_in(oracle, bucket) == ["y"]


async def test_many_objects_are_removed_in_batches(
    oracle: Any, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moving, "DELETE_BATCH_KEYS", 7)
    names = [f"{number:03d}" for number in range(40)]
    put_objects(oracle, bucket, {name: name.encode() for name in names})

    outcomes = await _moved(f"s3://{bucket}/", to=str(tmp_path / "out"), recursive=True)

    assert sorted(outcome.source for outcome in outcomes) == [f"s3://{bucket}/{name}" for name in names]
    assert sorted(read_tree(tmp_path / "out")) == names
    assert keys_in(oracle, bucket) == []


@pytest.mark.parametrize("size", [0, 10, MULTIPART_SIZE])
async def test_single_item_moves_up_and_down(oracle: Any, bucket: str, tmp_path: Path, size: int) -> None:
    content = sample(size)
    (tmp_path / "a").write_bytes(content)
    options = TransferOptions(part_size_bytes=PART)

    await _moved(str(tmp_path / "a"), to=f"s3://{bucket}/b", options=options)
    assert not (tmp_path / "a").exists()
    assert get_object(oracle, bucket, "b") == content

    await _moved(f"s3://{bucket}/b", to=str(tmp_path / "c"), options=options, unverified=True)
    assert keys_in(oracle, bucket) == []
    assert (tmp_path / "c").read_bytes() == content


async def test_moves_inside_a_store(oracle: Any, bucket: str) -> None:
    put_objects(oracle, bucket, {f"x/{name}": content for name, content in TREE.items()})

    outcomes = await _moved(f"s3://{bucket}/x/", to=f"s3://{bucket}/y/", recursive=True, unverified=True)

    assert not _failures(outcomes)
    assert objects_in(oracle, bucket) == {f"y/{name}": content for name, content in TREE.items()}


@pytest.mark.parametrize(("source", "destination"), [("a", "a"), ("a", "")])
async def test_onto_itself_is_refused(oracle: Any, bucket: str, source: str, destination: str) -> None:
    put_objects(oracle, bucket, {"a": b"1"})

    with pytest.raises(UsageError):
        await _moved(f"s3://{bucket}/{source}", to=f"s3://{bucket}/{destination}")

    assert objects_in(oracle, bucket) == {"a": b"1"}


async def test_no_source_is_overwritten_before_it_has_moved(oracle: Any, bucket: str) -> None:
    put_objects(oracle, bucket, {"a/x": b"outer", "a/a/x": b"inner"})

    outcomes = await _moved(f"s3://{bucket}/a/", to=f"s3://{bucket}/", recursive=True, unverified=True)

    (failure,) = _failures(outcomes)
    assert failure.source == f"s3://{bucket}/a/a/x"
    assert objects_in(oracle, bucket) == {"x": b"outer", "a/a/x": b"inner"}


async def test_second_source_of_one_name_stays(oracle: Any, bucket: str, tmp_path: Path) -> None:
    write_tree(tmp_path, {"one/n": b"1", "two/n": b"2"})

    outcomes = await _moved(str(tmp_path / "one"), str(tmp_path / "two"), to=f"s3://{bucket}/", recursive=True)

    (failure,) = _failures(outcomes)
    assert isinstance(failure.error, UsageError)
    moved = get_object(oracle, bucket, "n")
    assert sorted([moved, *read_tree(tmp_path).values()]) == [b"1", b"2"]


async def test_file_that_changed_after_the_copy_stays(
    oracle: Any, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")
    remove = source_removal.remove_file

    def written_first(name: str, seen: Any) -> None:
        path.write_bytes(b"newer")
        remove(name, seen)

    monkeypatch.setattr(moving, "remove_file", written_first)

    (failure,) = await _moved(str(path), to=f"s3://{bucket}/a")

    assert isinstance(failure, Failure)
    assert isinstance(failure.error.__cause__, SourceChangedError)
    assert path.read_bytes() == b"newer"
    assert objects_in(oracle, bucket) == {"a": b"old"}


@pytest.mark.parametrize("count", [1, 3])
async def test_object_that_changed_after_the_copy_stays(
    oracle: Any, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    keys = [f"k{number}" for number in range(count)]
    put_objects(oracle, bucket, dict.fromkeys(keys, b"old"))
    finish = moving.Moving.finish

    async def written_first(self: moving.Moving) -> Any:
        put_objects(oracle, bucket, {"k0": b"newer"})
        return await finish(self)

    monkeypatch.setattr(moving.Moving, "finish", written_first)

    outcomes = await _moved(*[f"s3://{bucket}/{key}" for key in keys], to=f"{tmp_path}/out/")

    (failure,) = _failures(outcomes)
    assert isinstance(failure.error.__cause__, SourceChangedError)
    assert objects_in(oracle, bucket) == {"k0": b"newer"}
    assert read_tree(tmp_path / "out") == dict.fromkeys(keys, b"old")


async def test_link_goes_and_what_it_leads_to_stays(oracle: Any, bucket: str, tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"1")
    (tmp_path / "link").symlink_to("real")

    await _moved(str(tmp_path / "link"), to=f"s3://{bucket}/")

    assert objects_in(oracle, bucket) == {"link": b"1"}
    assert [path.name for path in tmp_path.iterdir()] == ["real"]


async def test_missing_one_of_several_does_not_stop_the_others(oracle: Any, bucket: str, tmp_path: Path) -> None:
    write_tree(tmp_path, {"a": b"1", "b": b"2"})

    outcomes = await _moved(*(str(tmp_path / name) for name in ("a", "gone", "b")), to=f"s3://{bucket}/")

    (failure,) = _failures(outcomes)
    assert failure.source == str(tmp_path / "gone")
    assert objects_in(oracle, bucket) == {"a": b"1", "b": b"2"}


async def test_run_stopped_between_copy_and_removal_is_finished_by_the_next(
    oracle: Any, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_tree(tmp_path, {"a": b"1", "b": b"2", "c": b"3"})
    sources = [str(tmp_path / name) for name in "abc"]
    options = TransferOptions(state_folder=str(tmp_path.parent / f"{tmp_path.name}-state"), concurrency=1)
    remove = source_removal.remove_file
    removed = 0

    def killed(name: str, seen: Any) -> None:
        nonlocal removed
        if removed:
            raise OSError("the end of the process")
        removed += 1
        remove(name, seen)

    with monkeypatch.context() as patch:
        patch.setattr(moving, "remove_file", killed)
        with pytest.raises(OSError, match="the end"):
            await _moved(*sources, to=f"s3://{bucket}/", options=options)
    assert 0 < len(read_tree(tmp_path)) < 3

    outcomes = await _moved(*sources, to=f"s3://{bucket}/", options=options)

    assert not _failures(outcomes)
    assert read_tree(tmp_path) == {}
    assert objects_in(oracle, bucket) == {"a": b"1", "b": b"2", "c": b"3"}


async def test_streams_are_refused(bucket: str) -> None:
    with pytest.raises(UsageError):
        await _moved(f"s3://{bucket}/a", to="-")


async def test_two_names_of_one_store_never_lose_an_object(
    oracle: Any, bucket: str, server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_objects(oracle, bucket, {"a": b"1", "b": b"2"})
    other = ConnectionOptions(endpoint_url=server.endpoint_url.replace("127.0.0.1", "localhost"), stall_seconds=20)
    monkeypatch.setattr(S3Store, "is_same_as", _never_the_same)

    async with Transfer(destination=other) as transfer:
        outcomes = await settled(
            transfer.move_many([f"s3://{bucket}/"], f"s3://{bucket}/", recursive=True, removes_unverified=True)
        )

    assert len(_failures(outcomes)) == 2
    assert objects_in(oracle, bucket) == {"a": b"1", "b": b"2"}


async def _never_the_same(*_: object) -> bool:
    return False


@pytest.mark.parametrize(
    ("source", "destination", "has_second", "expected"),
    [
        ("one", "two", False, False),
        ("one", "two", True, False),
        ("one", "one", True, True),
        ("one", "point-abc-s3alias", False, True),
        ("arn:aws:s3:eu-west-1:1:accesspoint:p", "two", False, True),
    ],
)
def test_names_that_may_be_one(source: str, destination: str, has_second: bool, expected: bool) -> None:
    context = SimpleNamespace(second=object() if has_second else None)
    item = CopyItem(S3Location(source, "k"), S3Location(destination, "k"))

    assert same_object.may_be_one(cast(Context, context), item) is expected
    apart = CopyItem(S3Location(source, "k"), S3Location(destination, "other"))
    assert not same_object.may_be_one(cast(Context, context), apart)


@pytest.mark.parametrize(
    ("to", "refused", "there"),
    [
        ("", ["a/a/x"], {"a/a/x": b"inner", "x": b"outer", "b/x": b"other"}),
        ("a/b/", ["a/a/x", "a/b/x", "a/x"], {"a/a/x": b"inner", "a/x": b"outer", "a/b/x": b"other"}),
    ],
)
async def test_another_name_of_the_store_overwrites_no_source(
    oracle: Any, bucket: str, server: S3Server, to: str, refused: list[str], there: dict[str, bytes]
) -> None:
    put_objects(oracle, bucket, {"a/a/x": b"inner", "a/x": b"outer", "a/b/x": b"other"})
    other = ConnectionOptions(endpoint_url=server.endpoint_url.replace("127.0.0.1", "localhost"), stall_seconds=20)

    async with Transfer(destination=other) as transfer:
        stream = transfer.move_many(
            [f"s3://{bucket}/a/"], f"s3://{bucket}/{to}", recursive=True, removes_unverified=True
        )
        outcomes = await settled(stream)

    assert sorted(failure.source for failure in _failures(outcomes)) == [f"s3://{bucket}/{key}" for key in refused]
    assert objects_in(oracle, bucket) == there


@pytest.mark.parametrize("moves", [True, False])
async def test_a_tree_does_not_go_into_itself_as_another_user(
    oracle: Any, bucket: str, server: S3Server, monkeypatch: pytest.MonkeyPatch, moves: bool
) -> None:
    put_objects(oracle, bucket, {"a/x": b"1"})
    other = ConnectionOptions(endpoint_url=server.endpoint_url, stall_seconds=20)
    monkeypatch.setattr(S3Store, "is_same_as", _never_the_same)

    async with Transfer(destination=other) as transfer:
        carry_out = transfer.move_many if moves else transfer.copy_many
        with pytest.raises(UsageError, match="without end"):
            await settled(carry_out([f"s3://{bucket}/a/"], f"s3://{bucket}/a/b/", recursive=True))

    assert objects_in(oracle, bucket) == {"a/x": b"1"}


@pytest.mark.parametrize(
    ("source", "place", "is_held"),
    [
        ("s3://one/a/", "s3://one/a/x", True),
        ("s3://one/a/", "s3://one/b", False),
        ("s3://one/a/", "s3://two/a/x", False),
        ("s3://one/a/", "s3://point-abc-s3alias/a/x", True),
        ("s3://one/a[1]/", "s3://one/a[1]/x", True),
    ],
)
def test_sources_are_known_by_their_names(source: str, place: str, is_held: bool) -> None:
    request = check_request([source], "s3://one/to/", recursive=True, raw=False, moves=True)

    assert SourceKeys(request, compile_filters(Filters())).holds(parse_s3_location(place)) is is_held


async def test_what_a_filter_leaves_out_is_no_source(oracle: Any, bucket: str) -> None:
    put_objects(oracle, bucket, {"a": b"1", "old/b": b"2"})
    options = TransferOptions(filters=Filters((FilterRule("/old/", includes=False),)))

    outcomes = await _moved(
        f"s3://{bucket}/", to=f"s3://{bucket}/old/", options=options, recursive=True, unverified=True
    )

    assert not _failures(outcomes)
    assert objects_in(oracle, bucket) == {"old/a": b"1", "old/b": b"2"}


async def test_a_source_that_is_meant_twice_goes_once_and_both_copies_are_told(
    oracle: Any, bucket: str, tmp_path: Path
) -> None:
    put_objects(oracle, bucket, {"a/x/k": b"1", "a/l": b"2"})

    outcomes = await _moved(
        f"s3://{bucket}/a/", f"s3://{bucket}/a/x/", to=f"{tmp_path}/out", recursive=True, unverified=True
    )

    removed = [outcome.destination for outcome in outcomes if isinstance(outcome, Receipt) and outcome.source_removed]
    assert sorted(removed) == [f"{tmp_path}/out/{name}" for name in ("k", "l", "x/k")]
    assert keys_in(oracle, bucket) == []
    assert read_tree(tmp_path / "out") == {"x/k": b"1", "k": b"1", "l": b"2"}


@pytest.mark.parametrize(
    "properties", [ObjectProperties(content_type="text/plain"), ObjectProperties(tags={"new": "tag"})]
)
async def test_what_belongs_to_an_object_is_not_lost_by_naming_one_property(
    oracle: Any, bucket: str, properties: ObjectProperties
) -> None:
    oracle.put_object(Bucket=bucket, Key="a", Body=b"1", Metadata={"owner": "me"}, Tagging="old=tag")

    with pytest.raises(UsageError, match="would be lost"):
        await _moved(f"s3://{bucket}/a", to=f"s3://{bucket}/b", options=TransferOptions(properties=properties))
    assert keys_in(oracle, bucket) == ["a"]

    replacing = TransferOptions(
        properties=properties, metadata_directive=CopyDirective.REPLACE, tagging_directive=CopyDirective.REPLACE
    )
    await _moved(f"s3://{bucket}/a", to=f"s3://{bucket}/b", options=replacing)
    assert keys_in(oracle, bucket) == ["b"]


async def test_a_tree_that_is_gone_is_told_though_an_earlier_run_may_have_moved_it(
    oracle: Any, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_objects(oracle, bucket, {f"a/{number}": b"1" for number in range(3)})
    options = TransferOptions(state_folder=str(tmp_path / "state"), concurrency=1)

    async def killed(_: moving.Moving) -> Any:
        raise OSError("the end of the process")

    with monkeypatch.context() as patch:
        patch.setattr(moving.Moving, "finish", killed)
        with pytest.raises(OSError, match="the end"):
            await _moved(f"s3://{bucket}/a/", to=f"{tmp_path}/out", options=options, recursive=True)
    for key in keys_in(oracle, bucket):
        oracle.delete_object(Bucket=bucket, Key=key)

    (outcome,) = await _moved(f"s3://{bucket}/a/", to=f"{tmp_path}/out", options=options, recursive=True)

    assert isinstance(outcome, Skip)


@pytest.mark.parametrize("is_there", [True, False])
async def test_an_object_that_is_gone_was_moved_earlier_only_if_the_destination_has_it(
    oracle: Any, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_there: bool
) -> None:
    put_objects(oracle, bucket, {"a": b"1", "b": b"2"})
    options = TransferOptions(state_folder=str(tmp_path / "state"), concurrency=1)
    sources = [f"s3://{bucket}/a", f"s3://{bucket}/b"]

    async def killed(_: moving.Moving) -> Any:
        raise OSError("the end of the process")

    with monkeypatch.context() as patch:
        patch.setattr(moving.Moving, "finish", killed)
        with pytest.raises(OSError, match="the end"):
            await _moved(*sources, to=f"s3://{bucket}/to/", options=options, unverified=True)
    oracle.delete_object(Bucket=bucket, Key="a")
    if not is_there:
        oracle.delete_object(Bucket=bucket, Key="to/a")

    outcomes = await _moved(*sources, to=f"s3://{bucket}/to/", options=options, unverified=True)

    assert [failure.source for failure in _failures(outcomes)] == ([] if is_there else sources[:1])


@pytest.mark.skipif(os.name == "nt", reason="the system does not tell when a file changed")
def test_file_that_changed_in_its_time_is_not_what_was_seen(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"AAAA")
    seen = source_removal.FileSeen.of(str(path))
    times = path.stat()
    while seen == source_removal.FileSeen.of(str(path)):
        path.write_bytes(b"BBBB")
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))

    with pytest.raises(SourceChangedError):
        source_removal.remove_file(str(path), seen)

    assert path.read_bytes() == b"BBBB"


async def test_both_names_of_one_file_move(oracle: Any, bucket: str, tmp_path: Path) -> None:
    write_tree(tmp_path, {"a": b"1"})
    os.link(tmp_path / "a", tmp_path / "b")

    outcomes = await _moved(str(tmp_path), to=f"s3://{bucket}/", recursive=True)

    assert not _failures(outcomes)
    assert objects_in(oracle, bucket) == {"a": b"1", "b": b"1"}
    assert read_tree(tmp_path) == {}


async def test_store_that_takes_no_conditions_is_asked_without(
    oracle: Any, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_objects(oracle, bucket, {"a": b"1", "b": b"2"})
    real = listing.delete_objects
    asked: list[bool] = []

    async def strict(store: S3Store, name: str, keys: Any, etags: Any = None) -> Any:
        asked.append(bool(etags))
        if etags:
            raise StoreError("what is an ETag?", status=400, code="MalformedXML")
        return await real(store, name, keys, etags)

    monkeypatch.setattr(source_removal, "delete_objects", strict)

    outcomes = await _moved(f"s3://{bucket}/", to=str(tmp_path / "out"), recursive=True)

    assert not _failures(outcomes)
    assert asked == [True, False]
    assert keys_in(oracle, bucket) == []


async def test_refused_removal_keeps_the_source_and_says_so(
    oracle: Any, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_objects(oracle, bucket, {"a": b"1", "b": b"2"})

    async def refused(*_: object) -> Any:
        raise StoreError("no", status=403, code="AccessDenied")

    monkeypatch.setattr(source_removal, "delete_objects", refused)

    outcomes = await _moved(f"s3://{bucket}/", to=str(tmp_path / "out"), recursive=True)

    assert len(_failures(outcomes)) == 2
    assert all(failure.error.message == "copied, but not removed: no" for failure in _failures(outcomes))
    assert read_tree(tmp_path / "out") == objects_in(oracle, bucket) == {"a": b"1", "b": b"2"}
