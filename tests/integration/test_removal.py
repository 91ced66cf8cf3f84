"""Removing objects: named ones, those of a pattern, whole prefixes; and what is not removed."""

from dataclasses import replace
from typing import Any

import pytest

from tests.integration.samples import keys_in, put_objects, settled
from tests.support.http_server import HttpServer, Peer
from tests.support.servers import S3Server
from transfer import Transfer, TransferOptions
from transfer.model.errors import ProtocolError, StoreError, UsageError
from transfer.model.options import AddressingStyle, ConnectionOptions
from transfer.model.receipts import Failure, Outcome, Removal

TREE = {"a": b"1", "dir/b": b"2", "dir/deep/c": b"3", "dir2/d": b"4", "with space+%.txt": b"5"}


async def _removed(*urls: str, recursive: bool = False, raw: bool = False) -> list[Outcome]:
    async with Transfer() as transfer:
        return await settled(transfer.remove_many(urls, recursive=recursive, raw=raw))


async def test_named_objects_are_removed(oracle: Any, bucket: str) -> None:
    put_objects(oracle, bucket, TREE)

    outcomes = await _removed(f"s3://{bucket}/a", f"s3://{bucket}/with space+%.txt")

    assert sorted(outcome.source for outcome in outcomes) == [f"s3://{bucket}/a", f"s3://{bucket}/with space+%.txt"]
    assert all(isinstance(outcome, Removal) for outcome in outcomes)
    assert keys_in(oracle, bucket) == ["dir/b", "dir/deep/c", "dir2/d"]


async def test_missing_object_is_a_failure_and_others_go_on(oracle: Any, bucket: str) -> None:
    put_objects(oracle, bucket, TREE)

    outcomes = await _removed(f"s3://{bucket}/missing", f"s3://{bucket}/a")

    (failure,) = [outcome for outcome in outcomes if isinstance(outcome, Failure)]
    assert failure.source == f"s3://{bucket}/missing"
    assert isinstance(failure.error, StoreError)
    assert failure.error.code == "NoSuchKey"
    assert failure.error.remedy
    assert "a" not in keys_in(oracle, bucket)


@pytest.mark.parametrize(
    ("pattern", "left"),
    [
        ("dir*", ["a", "with space+%.txt"]),
        ("dir/*", ["a", "dir2/d", "with space+%.txt"]),
        ("?", ["dir/b", "dir/deep/c", "dir2/d", "with space+%.txt"]),
        ("*", []),
    ],
)
async def test_pattern_chooses_objects(oracle: Any, bucket: str, pattern: str, left: list[str]) -> None:
    put_objects(oracle, bucket, TREE)

    outcomes = await _removed(f"s3://{bucket}/{pattern}")

    assert all(isinstance(outcome, Removal) for outcome in outcomes)
    assert keys_in(oracle, bucket) == left


async def test_recursive_removes_below_the_folder_only(oracle: Any, bucket: str) -> None:
    put_objects(oracle, bucket, TREE)

    outcomes = await _removed(f"s3://{bucket}/dir", recursive=True)

    assert len(outcomes) == 2
    assert keys_in(oracle, bucket) == ["a", "dir2/d", "with space+%.txt"]


async def test_recursive_empties_a_bucket(oracle: Any, bucket: str) -> None:
    put_objects(oracle, bucket, TREE)

    await _removed(f"s3://{bucket}", recursive=True)

    assert keys_in(oracle, bucket) == []
    assert await _removed(f"s3://{bucket}/", recursive=True) == []


async def test_raw_removes_the_very_key(oracle: Any, bucket: str) -> None:
    put_objects(oracle, bucket, {"a*": b"1", "ab": b"2"})

    await _removed(f"s3://{bucket}/a*", raw=True)

    assert keys_in(oracle, bucket) == ["ab"]


@pytest.mark.parametrize("recursive", [False, True])
async def test_key_with_a_bracket_is_a_name_before_it_is_a_pattern(oracle: Any, bucket: str, recursive: bool) -> None:
    put_objects(oracle, bucket, {"report[1].pdf": b"1", "report1.pdf": b"2", "old[1]/a": b"3", "old1": b"4"})

    if recursive:
        await _removed(f"s3://{bucket}/old[1]", recursive=True)
        assert set(keys_in(oracle, bucket)) == {"old1", "report1.pdf", "report[1].pdf"}
    await _removed(f"s3://{bucket}/report[1].pdf")
    assert "report1.pdf" in keys_in(oracle, bucket)
    assert "report[1].pdf" not in keys_in(oracle, bucket)
    await _removed(f"s3://{bucket}/report[1].pdf")
    assert "report1.pdf" not in keys_in(oracle, bucket)


@pytest.mark.parametrize("url", ["s3://{bucket}/nothing*", "s3://{bucket}/nothing/"])
async def test_nothing_to_remove_is_an_error(bucket: str, url: str) -> None:
    with pytest.raises(StoreError) as caught:
        await _removed(url.format(bucket=bucket), recursive=True)

    assert (caught.value.code, caught.value.subject) == ("NoSuchKey", url.format(bucket=bucket))
    assert caught.value.remedy


@pytest.mark.parametrize("url", ["s3://{bucket}", "s3://{bucket}/", "s3://{bucket}/dir/", "local/path", "-", "s3://"])
async def test_request_without_sense_removes_nothing(oracle: Any, bucket: str, url: str) -> None:
    put_objects(oracle, bucket, {"dir/b": b"2"})

    with pytest.raises(UsageError) as caught:
        await _removed(url.format(bucket=bucket))

    assert caught.value.remedy
    assert keys_in(oracle, bucket) == ["dir/b"]


PAGE = (
    b"<ListBucketResult><IsTruncated>false</IsTruncated>"
    b"<Contents><Key>p/a</Key><Size>1</Size></Contents><Contents><Key>p/b</Key><Size>1</Size></Contents>"
    b"</ListBucketResult>"
)


async def _removed_by(answer: bytes, monkeypatch: pytest.MonkeyPatch) -> list[Outcome]:
    """Remove two keys below a prefix at a server that answers the removal so."""

    async def handle(peer: Peer) -> None:
        while True:
            asked = await peer.request()
            await peer.answer(PAGE if asked.head.method == "GET" else answer)

    for variable, value in {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret"}.items():
        monkeypatch.setenv(variable, value)
    connection = ConnectionOptions(region="us-east-1", addressing_style=AddressingStyle.PATH)
    async with HttpServer(handle) as server:
        connection = replace(connection, endpoint_url=server.url)
        async with Transfer(connection=connection, options=TransferOptions(retries=0)) as transfer:
            return await settled(transfer.remove_many(["s3://b/p/"], recursive=True))


async def test_a_refused_key_is_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = b"<DeleteResult><Error><Key>p/b</Key><Code>AccessDenied</Code></Error></DeleteResult>"
    removal, failure = await _removed_by(answer, monkeypatch)
    assert removal == Removal("s3://b/p/a")
    assert isinstance(failure, Failure)
    assert failure.source == "s3://b/p/b"


async def test_a_refusal_of_a_key_that_was_not_named_leaves_no_removal_believed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answer = b"<DeleteResult><Error><Key>p/B</Key><Code>AccessDenied</Code></Error></DeleteResult>"
    with pytest.raises(StoreError) as caught:
        await _removed_by(answer, monkeypatch)
    assert (caught.value.code, caught.value.subject) == ("AccessDenied", "s3://b/p/B")


async def test_an_answer_that_says_nothing_is_no_removal(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ProtocolError, match="which keys"):
        await _removed_by(b"", monkeypatch)


async def test_keys_that_no_xml_can_carry_are_removed(moto: S3Server, s3_client: Any) -> None:
    oracle = s3_client(moto)
    oracle.create_bucket(Bucket="control-keys")
    put_objects(oracle, "control-keys", {"c/\x01one": b"", "c/two\x1f": b"", "c/plain": b"", "c/return\r": b""})

    outcomes = await _removed("s3://control-keys/c/", recursive=True)

    assert all(isinstance(outcome, Removal) for outcome in outcomes)
    assert len(outcomes) == 4
    assert keys_in(oracle, "control-keys") == []
