"""Unfinished multipart uploads: found with all their parts, aborted where they are meant, and nowhere else."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.integration.samples import keys_in, put_objects, settled
from tests.support.pending_store import Pending, PendingStore
from tests.support.servers import S3Server
from transfer.engine.attempts import Tally
from transfer.engine.transfer import Transfer
from transfer.engine.unfinished_uploads import all_parts
from transfer.model.errors import ProtocolError, StoreError, UsageError
from transfer.model.events import Event, Warned
from transfer.model.locations import S3Location
from transfer.model.options import AddressingStyle, ConnectionOptions, TransferOptions
from transfer.model.receipts import Failure, Outcome, Skip, UploadAbort
from transfer.stores.s3.multipart import MultipartUpload
from transfer.stores.s3.xml import UploadedPart

DAY_SECONDS = 86_400.0
ODD_KEYS = ("with space+%41#?&=.txt", "ümläut/東京 😀", "a+b", "tab\t<>&'\"", "a%2Fb", "dir//b", "~!*'()")


def begin(oracle: Any, bucket: str, *keys: str) -> list[tuple[str, str]]:
    """Begin an upload of each key; answers keys and upload ids."""
    begun = [(key, oracle.create_multipart_upload(Bucket=bucket, Key=key)) for key in keys]
    return sorted((key, answer["UploadId"]) for key, answer in begun)


def pending_in(oracle: Any, bucket: str) -> list[tuple[str, str]]:
    answer = oracle.list_multipart_uploads(Bucket=bucket)
    return sorted((found["Key"], found["UploadId"]) for found in answer.get("Uploads", ()))


async def listed(url: str) -> list[tuple[str, str]]:
    async with Transfer() as transfer:
        return sorted([(found.key, found.upload_id) async for found in transfer.list_uploads(url)])


async def aborted(*urls: str, older_than_seconds: float | None = None, dry_run: bool = False) -> list[Outcome]:
    async with Transfer() as transfer:
        return await settled(transfer.abort_uploads(urls, older_than_seconds=older_than_seconds, dry_run=dry_run))


def places(outcomes: Sequence[Outcome]) -> list[tuple[str, str]]:
    """Objects and upload ids of aborts; nothing else may have come out."""
    assert [outcome for outcome in outcomes if not isinstance(outcome, UploadAbort)] == []
    return sorted((outcome.source, outcome.upload_id) for outcome in outcomes if isinstance(outcome, UploadAbort))


async def test_uploads_of_odd_keys_are_listed_and_aborted(oracle: Any, bucket: str) -> None:
    begin(oracle, bucket, *ODD_KEYS)
    there = pending_in(oracle, bucket)
    assert len(there) == len(ODD_KEYS)

    assert await listed(f"s3://{bucket}") == there
    outcomes = await aborted(f"s3://{bucket}")

    assert places(outcomes) == sorted((f"s3://{bucket}/{key}", upload_id) for key, upload_id in there)
    assert pending_in(oracle, bucket) == []


async def test_several_uploads_of_one_key_are_told_apart(oracle: Any, bucket: str) -> None:
    begun = begin(oracle, bucket, "movie.mov", "movie.mov", "movie.mov")

    assert await listed(f"s3://{bucket}/movie.mov") == begun
    assert len({upload_id for _, upload_id in places(await aborted(f"s3://{bucket}/movie.mov"))}) == 3
    assert pending_in(oracle, bucket) == []


@pytest.mark.parametrize(
    ("key", "meant"),
    [("", ["a", "dir/b", "dir/c", "dir2/d"]), ("dir/", ["dir/b", "dir/c"]), ("dir", ["dir/b", "dir/c", "dir2/d"])],
)
async def test_uploads_below_the_location_alone_are_aborted(
    oracle: Any, bucket: str, key: str, meant: list[str]
) -> None:
    put_objects(oracle, bucket, {"dir/b": b"finished", "a": b"finished"})
    begun = begin(oracle, bucket, "a", "dir/b", "dir/c", "dir2/d")

    assert [found for found, _ in await listed(f"s3://{bucket}/{key}")] == meant
    outcomes = await aborted(f"s3://{bucket}/{key}", f"s3://{bucket}/{key}")

    assert [source for source, _ in places(outcomes)] == [f"s3://{bucket}/{found}" for found in meant]
    assert pending_in(oracle, bucket) == [(found, upload_id) for found, upload_id in begun if found not in meant]
    assert keys_in(oracle, bucket) == ["a", "dir/b"]


async def test_a_dry_run_tells_and_aborts_nothing(oracle: Any, bucket: str) -> None:
    begun = begin(oracle, bucket, "a", "b")

    outcomes = await aborted(f"s3://{bucket}", dry_run=True)

    assert [source for source, _ in places(outcomes)] == [f"s3://{bucket}/a", f"s3://{bucket}/b"]
    assert all(isinstance(outcome, UploadAbort) and outcome.is_dry_run for outcome in outcomes)
    assert pending_in(oracle, bucket) == begun


async def test_nothing_pending_is_no_error(bucket: str) -> None:
    assert await listed(f"s3://{bucket}/none") == []
    assert await aborted(f"s3://{bucket}", f"s3://{bucket}/none") == []


async def test_a_bucket_that_is_not_there_is_one(server: S3Server) -> None:
    with pytest.raises(StoreError) as caught:
        await aborted("s3://no-such-bucket-here")
    assert caught.value.code == "NoSuchBucket"


async def test_young_uploads_stay(seaweed: S3Server, s3_client: Any) -> None:
    oracle = s3_client(seaweed)
    oracle.create_bucket(Bucket="young")
    begun = begin(oracle, "young", "a", "b")

    assert await aborted("s3://young", older_than_seconds=DAY_SECONDS) == []
    assert pending_in(oracle, "young") == begun


async def test_more_uploads_than_a_page_holds_are_all_aborted(seaweed: S3Server, s3_client: Any) -> None:
    oracle = s3_client(seaweed)
    oracle.create_bucket(Bucket="many")
    begin(oracle, "many", *(f"key-{number:04}" for number in range(1100)))

    assert len(await listed("s3://many")) == 1100
    assert len(places(await aborted("s3://many"))) == 1100
    assert pending_in(oracle, "many") == []


async def test_parts_of_an_upload_are_found(oracle: Any, bucket: str) -> None:
    ((key, upload_id),) = begin(oracle, bucket, "dir/a+b c")
    etags = [
        oracle.upload_part(Bucket=bucket, Key=key, UploadId=upload_id, PartNumber=number, Body=b"x" * number)["ETag"]
        for number in (1, 2, 3)
    ]

    async with Transfer() as transfer:
        upload = MultipartUpload(S3Location(bucket, key), upload_id)
        found = await all_parts(transfer._running(), upload, Tally())

    assert [(part.number, part.etag, part.size) for part in found] == [(n, etags[n - 1], n) for n in (1, 2, 3)]


async def test_more_parts_than_a_page_holds_are_all_found(moto: S3Server, s3_client: Any) -> None:
    oracle = s3_client(moto)
    oracle.create_bucket(Bucket="parts")
    ((key, upload_id),) = begin(oracle, "parts", "key")
    for number in range(1, 1003):
        oracle.upload_part(Bucket="parts", Key=key, UploadId=upload_id, PartNumber=number, Body=b"x")

    async with Transfer() as transfer:
        found = await all_parts(transfer._running(), MultipartUpload(S3Location("parts", key), upload_id), Tally())

    assert [part.number for part in found] == list(range(1, 1003))


@dataclass
class Bench:
    """A transfer at a store in memory."""

    store: PendingStore
    transfer: Transfer
    events: list[Event] = field(default_factory=list)

    async def keys(self, url: str = "s3://b") -> list[str]:
        return [found.key async for found in self.transfer.list_uploads(url)]

    async def abort(self, *urls: str, older_than_seconds: float | None = None) -> list[Outcome]:
        stream = self.transfer.abort_uploads(urls or ("s3://b",), older_than_seconds=older_than_seconds, dry_run=False)
        return await settled(stream)

    async def parts(self) -> tuple[UploadedPart, ...]:
        return await all_parts(self.transfer._running(), MultipartUpload(S3Location("b", "k"), "u"), Tally())


@asynccontextmanager
async def bench(store: PendingStore) -> AsyncIterator[Bench]:
    events: list[Event] = []
    async with store.server() as server:
        connection = ConnectionOptions(
            endpoint_url=server.url, region="us-east-1", addressing_style=AddressingStyle.PATH, sign_request=False
        )
        options = TransferOptions(retries=0)
        async with Transfer(connection=connection, options=options, on_event=events.append) as transfer:
            yield Bench(store, transfer, events)


def pending(*keys: str) -> list[Pending]:
    return [Pending(key, f"id-{number}") for number, key in enumerate(keys)]


async def test_pages_of_parts_follow_each_other() -> None:
    parts = [(number, number * 10) for number in range(1, 2101)]
    async with bench(PendingStore(parts=parts)) as at:
        found = await at.parts()
    assert [(part.number, part.size) for part in found] == parts
    assert [query.get("part-number-marker") for _, query in at.store.requests("GET")] == [None, "1000", "2000"]


async def test_a_list_of_parts_that_does_not_advance_is_refused() -> None:
    async with bench(PendingStore(parts=[(1, 1), (2, 1)], page_entries=1, is_stuck=True)) as at:
        with pytest.raises(ProtocolError, match="advance"):
            await at.parts()
    assert len(at.store.asked) == 2


async def test_pages_of_uploads_follow_each_other() -> None:
    uploads = [Pending("one key", f"id-{number}") for number in range(5)] + pending("a", "b+%", "c")
    async with bench(PendingStore(uploads, page_entries=2)) as at:
        found = [(one.key, one.upload_id) async for one in at.transfer.list_uploads("s3://b")]
    assert found == [(one.key, one.upload_id) for one in sorted(uploads)]


async def test_a_list_of_uploads_that_does_not_advance_is_refused() -> None:
    async with bench(PendingStore(pending("a", "b"), is_stuck=True)) as at:
        with pytest.raises(ProtocolError, match="advance"):
            await at.keys()
    assert len(at.store.asked) == 2


async def test_aborting_does_not_take_away_what_the_next_page_is_asked_by() -> None:
    store = PendingStore(pending(*"abcdefg"), page_entries=2, looks_markers_up=True)
    async with bench(store) as at:
        assert len(places(await at.abort())) == 7
    assert store.uploads == []


@pytest.mark.parametrize("key", ["", "dir/", "dir/a", "d"])
async def test_a_store_that_takes_the_prefix_for_a_key_hides_nothing(key: str) -> None:
    keys = ["dir/a", "dir/a", "dir/a.old", "dir/b", "dir2", "other"]
    async with bench(PendingStore(pending(*keys), takes_prefix_for_a_key=True)) as at:
        assert sorted(await at.keys(f"s3://b/{key}")) == [found for found in keys if found.startswith(key)]


async def test_a_store_that_ignores_the_prefix_loses_nothing_else() -> None:
    store = PendingStore(pending("dir/a", "dir2/b", "other"), ignores_prefix=True)
    async with bench(store) as at:
        assert [source for source, _ in places(await at.abort("s3://b/dir/"))] == ["s3://b/dir/a"]
    assert [upload.key for upload in store.uploads] == ["dir2/b", "other"]


async def test_who_may_see_only_a_prefix_sees_that() -> None:
    async with bench(PendingStore(pending("a"), refuses_the_bucket=True)) as at:
        assert await at.keys("s3://b/a") == ["a"]
        assert await at.keys("s3://b/none") == []
        with pytest.raises(StoreError):
            await at.keys("s3://b")


@pytest.mark.parametrize("loses", [False, True], ids=["unreadable", "replaced"])
async def test_a_key_that_no_xml_carries_is_asked_for_encoded(loses: bool) -> None:
    keys = ["a+b%41", "con\x01trol", "plain"]
    store = PendingStore(pending(*keys), page_entries=2, loses_odd_characters=loses)
    async with bench(store) as at:
        assert await at.keys() == keys
        assert [source for source, _ in places(await at.abort())] == [f"s3://b/{key}" for key in keys]
    assert store.uploads == []


async def test_an_upload_that_its_listed_key_does_not_name_is_not_called_aborted() -> None:
    store = PendingStore(pending("a+b%41", "con\x01trol"), loses_odd_characters=True, only_says_url=True)
    async with bench(store) as at:
        done, failure = await at.abort()
    assert places([done]) == [("s3://b/a+b%41", "id-0")]
    assert isinstance(failure, Failure)
    assert isinstance(failure.error, StoreError)
    assert (failure.error.code, "id-1" in failure.error.message) == ("NoSuchUpload", True)
    assert failure.error.remedy


async def test_an_upload_that_ended_meanwhile_is_gone() -> None:
    async with bench(PendingStore(pending("a", "b"), taken_keys=frozenset("a"))) as at:
        assert [source for source, _ in places(await at.abort())] == ["s3://b/a", "s3://b/b"]


async def test_a_refusal_stops_no_other_abort() -> None:
    store = PendingStore(pending("a", "b", "c"), refused_keys=frozenset("b"))
    async with bench(store) as at:
        outcomes = await at.abort()
    (failure,) = [outcome for outcome in outcomes if isinstance(outcome, Failure)]
    assert failure.source == "s3://b/b"
    assert isinstance(failure.error, StoreError)
    assert failure.error.code == "AccessDenied"
    assert [upload.key for upload in store.uploads] == ["b"]


async def test_age_is_told_by_the_clock_of_the_store() -> None:
    uploads = [
        Pending("old", "1", "2023-12-24T00:00:00Z"),
        Pending("just old enough", "2", "2023-12-25T00:00:00.000Z"),
        Pending("young", "3", "2023-12-25T00:00:01Z"),
        Pending("from tomorrow", "4", "2024-01-02T00:00:00Z"),
        Pending("nobody knows", "5", ""),
    ]
    store = PendingStore(uploads)
    async with bench(store) as at:
        outcomes = await at.abort(older_than_seconds=7 * DAY_SECONDS)
    (skip,) = [outcome for outcome in outcomes if isinstance(outcome, Skip)]
    assert skip.source == "s3://b/nobody knows"
    gone = places([outcome for outcome in outcomes if outcome is not skip])
    assert [source for source, _ in gone] == ["s3://b/just old enough", "s3://b/old"]
    assert sorted(upload.key for upload in store.uploads) == ["from tomorrow", "nobody knows", "young"]


async def test_locations_that_overlap_are_listed_once() -> None:
    async with bench(PendingStore(pending("a/b", "a/c", "b"))) as at:
        outcomes = await at.abort("s3://b/a/b", "s3://b/a", "s3://b/a", "s3://b2/a/b")
    assert [source for source, _ in places(outcomes)] == ["s3://b/a/b", "s3://b/a/c"]
    assert [query["prefix"] for key, query in at.store.requests("GET")] == ["a", "a/b", ""]


async def test_a_pattern_that_means_itself_is_told() -> None:
    async with bench(PendingStore(pending("a1", "b*c"))) as at:
        assert await at.keys("s3://b/b*") == ["b*c"]
        assert at.events == []
        assert await at.keys("s3://b/a*") == []
        (warning,) = at.events
    assert isinstance(warning, Warned)
    assert "s3://b/a*" in warning.message


@pytest.mark.parametrize("urls", [[], ["local/path"], ["s3://"], ["s3://b", "-"]], ids=" ".join)
async def test_request_without_sense_aborts_nothing(urls: list[str]) -> None:
    async with bench(PendingStore(pending("a"))) as at:
        with pytest.raises(UsageError) as caught:
            await settled(at.transfer.abort_uploads(urls, older_than_seconds=None, dry_run=False))
    assert caught.value.remedy
    assert at.store.asked == []
