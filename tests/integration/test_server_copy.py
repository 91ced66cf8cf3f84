"""Copies that the store makes by itself, judged through another client."""

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.samples import (
    MIB,
    PART,
    get_object,
    keys_in,
    objects_in,
    put_objects,
    sample,
    settled,
    unfinished_uploads,
)
from tests.support.servers import S3Server
from transfer import Transfer, TransferError, TransferOptions
from transfer.engine import copied_properties, server_copy
from transfer.engine.items import CopyItem
from transfer.engine.job import Job
from transfer.engine.server_copy import copy_object
from transfer.model.checksums import ChecksumAlgorithm, VerifiedBy
from transfer.model.errors import ChecksumMismatchError, StoreError, UsageError, WireError
from transfer.model.events import Event, Warned
from transfer.model.locations import S3Location
from transfer.model.objects import ListedObject, ObjectProperties
from transfer.model.options import CopyDirective
from transfer.model.receipts import Failure, Mover, Outcome, Receipt, Skip
from transfer.model.unfinished import JobDescription
from transfer.stores.s3 import copying
from transfer.stores.s3.multipart import MultipartUpload
from transfer.stores.s3.objects import Written

ODD_KEYS = ["plain", "with space +plus", "umlaut-\u00fc/\u65e5\u672c", "a%41#?&=b", "quote'\"<>"]
LARGE = sample(2 * PART + 12_345, seed=4)


@pytest.fixture(scope="module")
def second_bucket(oracle: Any) -> str:
    name = f"second-{uuid.uuid4().hex[:16]}"
    oracle.create_bucket(Bucket=name)
    return name


@pytest.fixture
def other_bucket(oracle: Any, second_bucket: str) -> Iterator[str]:
    yield second_bucket
    for key in keys_in(oracle, second_bucket):
        oracle.delete_object(Bucket=second_bucket, Key=key)


@pytest.fixture
def in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Objects of more than a MiB are too large for one request."""
    monkeypatch.setattr(server_copy, "SINGLE_COPY_BYTES", MIB)


def put_full(oracle: Any, bucket: str, key: str, content: bytes = b"content") -> None:
    oracle.put_object(
        Bucket=bucket,
        Key=key,
        Body=content,
        ContentType="text/x-kept",
        CacheControl="max-age=7",
        ContentDisposition="inline",
        ContentEncoding="x-kept",
        ContentLanguage="de",
        Metadata={"owner": "somebody", "two-words": "a b"},
        Tagging="project=moon%20shot&a%2Bb=c",
    )


def tags_of(oracle: Any, bucket: str, key: str) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in oracle.get_object_tagging(Bucket=bucket, Key=key)["TagSet"]}


def assert_full(oracle: Any, bucket: str, key: str) -> None:
    head = oracle.head_object(Bucket=bucket, Key=key)
    assert head["ContentType"] == "text/x-kept"
    assert head["CacheControl"] == "max-age=7"
    assert head["ContentDisposition"] == "inline"
    assert head["ContentEncoding"] == "x-kept"
    assert head["ContentLanguage"] == "de"
    assert head["Metadata"] == {"owner": "somebody", "two-words": "a b"}
    assert tags_of(oracle, bucket, key) == {"project": "moon shot", "a+b": "c"}


async def copied(*places: str, recursive: bool = False, raw: bool = False, **options: Any) -> list[Outcome]:
    *sources, destination = places
    async with Transfer(options=TransferOptions(**options)) as transfer:
        return await settled(transfer.copy_many(sources, destination, recursive=recursive, raw=raw))


def only_receipt(outcomes: list[Outcome]) -> Receipt:
    assert len(outcomes) == 1, outcomes
    assert isinstance(outcomes[0], Receipt), outcomes
    return outcomes[0]


@pytest.mark.parametrize("key", ODD_KEYS)
async def test_an_object_is_copied_under_any_key(oracle: Any, bucket: str, other_bucket: str, key: str) -> None:
    put_objects(oracle, bucket, {key: b"content"})

    receipt = only_receipt(await copied(f"s3://{bucket}/{key}", f"s3://{other_bucket}/to/{key}", raw=True))

    assert objects_in(oracle, other_bucket) == {f"to/{key}": b"content"}
    assert receipt.mover is Mover.SERVER
    assert receipt.verified_by is VerifiedBy.MD5_ETAG
    assert (receipt.size, receipt.source) == (7, f"s3://{bucket}/{key}")


async def test_slashes_are_kept_where_the_store_keeps_them(moto: S3Server, s3_client: Any) -> None:
    oracle = s3_client(moto)
    oracle.create_bucket(Bucket="slashes-of-copies")
    put_objects(oracle, "slashes-of-copies", {"a//b": b"1", "/c": b"2"})

    await copied("s3://slashes-of-copies/a//b", "s3://slashes-of-copies/d//e")
    await copied("s3://slashes-of-copies//c", "s3://slashes-of-copies/c")

    assert keys_in(oracle, "slashes-of-copies") == ["/c", "a//b", "c", "d//e"]


async def test_what_belongs_to_an_object_goes_with_it(oracle: Any, bucket: str, other_bucket: str) -> None:
    put_full(oracle, bucket, "a")

    await copied(f"s3://{bucket}/a", f"s3://{other_bucket}/")

    assert_full(oracle, other_bucket, "a")


@pytest.mark.usefixtures("in_parts")
async def test_what_belongs_to_a_large_object_goes_with_it(oracle: Any, bucket: str, other_bucket: str) -> None:
    put_full(oracle, bucket, "a", LARGE)

    only_receipt(await copied(f"s3://{bucket}/a", f"s3://{other_bucket}/", part_size_bytes=PART))

    assert_full(oracle, other_bucket, "a")
    assert get_object(oracle, other_bucket, "a") == LARGE


@pytest.mark.parametrize("size", [7, len(LARGE)])
async def test_new_metadata_replaces_all_of_it_and_leaves_the_tags(
    oracle: Any, bucket: str, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_copy, "SINGLE_COPY_BYTES", MIB)
    put_full(oracle, bucket, "a", sample(size))

    properties = ObjectProperties(metadata={"new": "1"}, cache_control="no-store")
    only_receipt(await copied(f"s3://{bucket}/a", f"s3://{bucket}/b.html", properties=properties))

    head = oracle.head_object(Bucket=bucket, Key="b.html")
    assert head["Metadata"] == {"new": "1"}
    assert (head["CacheControl"], head["ContentType"]) == ("no-store", "text/html")
    assert "ContentDisposition" not in head
    assert "ContentLanguage" not in head
    assert tags_of(oracle, bucket, "b.html") == {"project": "moon shot", "a+b": "c"}


@pytest.mark.parametrize("size", [7, len(LARGE)])
async def test_new_tags_replace_all_of_them_and_leave_the_metadata(
    oracle: Any, bucket: str, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_copy, "SINGLE_COPY_BYTES", MIB)
    put_full(oracle, bucket, "a", sample(size))

    properties = ObjectProperties(tags={"only": "this one"}, storage_class="STANDARD_IA")
    only_receipt(await copied(f"s3://{bucket}/a", f"s3://{bucket}/b", properties=properties))

    head = oracle.head_object(Bucket=bucket, Key="b")
    assert head["Metadata"]["owner"] == "somebody"
    assert head["StorageClass"] == "STANDARD_IA"
    assert tags_of(oracle, bucket, "b") == {"only": "this one"}


@pytest.mark.parametrize("size", [7, len(LARGE)])
async def test_replacing_by_nothing_leaves_nothing(
    oracle: Any, bucket: str, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_copy, "SINGLE_COPY_BYTES", MIB)
    put_full(oracle, bucket, "a", sample(size))

    replace = CopyDirective.REPLACE
    places = (f"s3://{bucket}/a", f"s3://{bucket}/b")
    only_receipt(await copied(*places, metadata_directive=replace, tagging_directive=replace))

    head = oracle.head_object(Bucket=bucket, Key="b")
    assert head["Metadata"] == {}
    assert "CacheControl" not in head
    assert tags_of(oracle, bucket, "b") == {}


async def test_a_tree_keeps_its_names_below_the_destination(oracle: Any, bucket: str, other_bucket: str) -> None:
    tree = {f"from/{key}": sample(50, number) for number, key in enumerate(ODD_KEYS)}
    put_objects(oracle, bucket, {**tree, "from/folder/": b"", "from2/no": b"no", "fro": b"no"})

    outcomes = await copied(f"s3://{bucket}/from", f"s3://{other_bucket}/to", recursive=True)

    expected = {f"to/{key.removeprefix('from/')}": content for key, content in tree.items()}
    assert objects_in(oracle, other_bucket) == {**expected, "to/folder/": b""}
    assert {outcome.verified_by for outcome in outcomes if isinstance(outcome, Receipt)} == {VerifiedBy.MD5_ETAG}
    assert len(outcomes) == len(expected) + 1


async def test_a_small_object_of_a_listing_costs_one_request(
    oracle: Any, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_objects(oracle, bucket, {f"few/{number}": b"%d" % number for number in range(5)})
    monkeypatch.setattr(server_copy, "head_object", None)

    outcomes = await copied(f"s3://{bucket}/few/", f"s3://{bucket}/as-few/", recursive=True)

    assert all(isinstance(outcome, Receipt) for outcome in outcomes)
    assert len(outcomes) == 5


async def test_the_marker_of_a_folder_that_becomes_a_bucket_is_left_out(
    oracle: Any, bucket: str, other_bucket: str
) -> None:
    put_objects(oracle, bucket, {"from/": b"", "from/a": b"1"})

    outcomes = await copied(f"s3://{bucket}/from/", f"s3://{other_bucket}", recursive=True)

    assert keys_in(oracle, other_bucket) == ["a"]
    assert [outcome.source for outcome in outcomes if isinstance(outcome, Skip)] == [f"s3://{bucket}/from/"]


async def test_a_pattern_chooses_among_keys(oracle: Any, bucket: str, other_bucket: str) -> None:
    put_objects(oracle, bucket, {"x/a.mov": b"1", "x/y/b.mov": b"2", "x/c.txt": b"3", "a.mov": b"4"})

    await copied(f"s3://{bucket}/x/*.mov", f"s3://{other_bucket}/to")

    assert objects_in(oracle, other_bucket) == {"to/a.mov": b"1", "to/y/b.mov": b"2"}


async def test_several_sources_keep_their_names_in_a_folder(oracle: Any, bucket: str) -> None:
    put_objects(oracle, bucket, {"x/a": b"1", "y/b": b"2"})

    await copied(f"s3://{bucket}/x/a", f"s3://{bucket}/y/b", f"s3://{bucket}/z/")

    assert get_object(oracle, bucket, "z/a") == b"1"
    assert get_object(oracle, bucket, "z/b") == b"2"


@pytest.mark.parametrize(
    ("source", "destination", "recursive", "message"),
    [
        ("a", "a", False, "onto itself"),
        ("x/a", "x/", False, "onto itself"),
        ("x/", "x", True, "onto itself"),
        ("", "", True, "onto itself"),
        ("x/*", "x/", False, "onto itself"),
        ("x/", "x/y/", True, "without end"),
        ("", "copy/", True, "without end"),
        ("x/*.gz", "x/old/", False, "without end"),
        ("x/2*.gz", "x/2024/", False, "without end"),
    ],
)
async def test_a_copy_onto_or_into_itself_is_refused(
    oracle: Any, bucket: str, source: str, destination: str, recursive: bool, message: str
) -> None:
    put_objects(oracle, bucket, {"a": b"1", "x/a": b"2", "x/2.gz": b"3"})

    with pytest.raises(UsageError, match=message) as caught:
        await copied(f"s3://{bucket}/{source}", f"s3://{bucket}/{destination}", recursive=recursive)

    assert caught.value.remedy
    assert keys_in(oracle, bucket) == ["a", "x/2.gz", "x/a"]


@pytest.mark.parametrize(
    ("source", "destination", "recursive"),
    [("x/2*.gz", "x/old/", False), ("x/?.gz", "x/old/", False), ("x/", "", True), ("x", "xx", True)],
)
async def test_a_copy_beside_itself_is_none(
    oracle: Any, bucket: str, source: str, destination: str, recursive: bool
) -> None:
    put_objects(oracle, bucket, {"x/a": b"1", "x/2.gz": b"2"})

    outcomes = await copied(f"s3://{bucket}/{source}", f"s3://{bucket}/{destination}", recursive=recursive)

    assert outcomes
    assert all(isinstance(outcome, Receipt) for outcome in outcomes)


@pytest.mark.parametrize("size", [7, len(LARGE)])
async def test_a_tree_can_get_new_metadata_in_its_place(
    oracle: Any, bucket: str, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_copy, "SINGLE_COPY_BYTES", MIB)
    put_full(oracle, bucket, "x/a", sample(size))

    outcomes = await copied(
        f"s3://{bucket}/x", f"s3://{bucket}/x", recursive=True, properties=ObjectProperties(cache_control="no-store")
    )

    assert isinstance(only_receipt(outcomes), Receipt)
    assert oracle.head_object(Bucket=bucket, Key="x/a")["CacheControl"] == "no-store"
    assert get_object(oracle, bucket, "x/a") == sample(size)


@pytest.mark.parametrize("size", [7, len(LARGE)])
async def test_a_tree_can_change_its_storage_class_in_its_place(
    moto: S3Server, s3_client: Any, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_copy, "SINGLE_COPY_BYTES", MIB)
    oracle, bucket = s3_client(moto), f"classes-of-copies-{size}"
    oracle.create_bucket(Bucket=bucket)
    put_full(oracle, bucket, "x/a", sample(size))

    properties = ObjectProperties(storage_class="STANDARD_IA")
    only_receipt(await copied(f"s3://{bucket}/x", f"s3://{bucket}/x", recursive=True, properties=properties))

    assert oracle.head_object(Bucket=bucket, Key="x/a")["StorageClass"] == "STANDARD_IA"
    assert_full(oracle, bucket, "x/a")
    assert get_object(oracle, bucket, "x/a") == sample(size)


async def test_an_object_in_parts_can_change_in_its_place(oracle: Any, bucket: str) -> None:
    put_in_parts(oracle, bucket, "x/a", LARGE)

    outcomes = await copied(
        f"s3://{bucket}/x", f"s3://{bucket}/x", recursive=True, properties=ObjectProperties(cache_control="no-store")
    )

    assert only_receipt(outcomes).size == len(LARGE)
    assert oracle.head_object(Bucket=bucket, Key="x/a")["CacheControl"] == "no-store"
    assert get_object(oracle, bucket, "x/a") == LARGE


async def test_what_is_not_there_is_told_of_the_source(oracle: Any, bucket: str) -> None:
    (outcome,) = await copied(f"s3://{bucket}/nothing", f"s3://{bucket}/x")
    assert isinstance(outcome, Failure)
    assert outcome.error.subject == f"s3://{bucket}/nothing"

    with pytest.raises(StoreError, match="no objects below"):
        await copied(f"s3://{bucket}/nothing", f"s3://{bucket}/x", recursive=True)
    assert keys_in(oracle, bucket) == []


async def _copy_listed(bucket: str, listed: ListedObject, options: TransferOptions | None = None) -> Receipt:
    item = CopyItem(S3Location(bucket, listed.key), S3Location(bucket, "copy"), listed)
    async with Transfer(options=options) as transfer:
        context = transfer._running()
        return await copy_object(context, Job(None, JobDescription("", (), ""), is_tree=False), item)


@pytest.mark.parametrize("size", [7, len(LARGE)])
async def test_a_source_that_changed_since_it_was_listed_fails(
    oracle: Any, bucket: str, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_copy, "SINGLE_COPY_BYTES", MIB)
    old = oracle.put_object(Bucket=bucket, Key="a", Body=sample(size, 1))["ETag"]
    put_objects(oracle, bucket, {"a": sample(size, 2)})

    with pytest.raises(StoreError, match=r"changed|pre-?condition") as caught:
        await _copy_listed(bucket, ListedObject("a", size, old, 0.0))

    assert caught.value.status == 412
    assert caught.value.subject == f"s3://{bucket}/a"
    assert unfinished_uploads(oracle, bucket) == []


@pytest.mark.usefixtures("in_parts")
async def test_a_source_that_changes_between_two_parts_fails(
    oracle: Any, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_objects(oracle, bucket, {"a": LARGE})
    genuine = copying.copy_part
    count = 0

    async def change_first(store: Any, upload: MultipartUpload, source: Any, wanted: Any) -> Written:
        nonlocal count
        count += 1
        if count == 2:
            put_objects(oracle, bucket, {"a": sample(len(LARGE), 9)})
        return await genuine(store, upload, source, wanted)

    monkeypatch.setattr(copying, "copy_part", change_first)
    (outcome,) = await copied(f"s3://{bucket}/a", f"s3://{bucket}/b", part_size_bytes=PART, concurrency=1)

    assert isinstance(outcome, Failure)
    assert isinstance(outcome.error, StoreError)
    assert outcome.error.status == 412
    assert keys_in(oracle, bucket) == ["a"]
    assert unfinished_uploads(oracle, bucket) == []


@pytest.mark.usefixtures("in_parts")
async def test_a_large_object_is_proved(oracle: Any, bucket: str) -> None:
    oracle.put_object(Bucket=bucket, Key="a", Body=LARGE, ChecksumAlgorithm="CRC64NVME")

    receipt = only_receipt(await copied(f"s3://{bucket}/a", f"s3://{bucket}/b", part_size_bytes=PART))

    assert get_object(oracle, bucket, "b") == LARGE
    assert (receipt.size, receipt.mover) == (len(LARGE), Mover.SERVER)
    assert receipt.verified_by is VerifiedBy.FULL_OBJECT
    assert receipt.checksum is not None
    assert receipt.checksum.algorithm is ChecksumAlgorithm.CRC64NVME


@pytest.mark.usefixtures("in_parts", "seaweed")
@pytest.mark.parametrize(
    ("algorithm", "proof"),
    [
        (None, VerifiedBy.FULL_OBJECT),
        (ChecksumAlgorithm.CRC32C, VerifiedBy.FULL_OBJECT),
        (ChecksumAlgorithm.SHA256, VerifiedBy.UNVERIFIED),
        (ChecksumAlgorithm.MD5, VerifiedBy.UNVERIFIED),
    ],
)
async def test_a_large_copy_keeps_the_checksum_of_its_source_unless_another_is_chosen(
    seaweed_oracle: Any, seaweed_bucket: str, algorithm: ChecksumAlgorithm | None, proof: VerifiedBy
) -> None:
    seaweed_oracle.put_object(Bucket=seaweed_bucket, Key="a", Body=LARGE, ChecksumAlgorithm="CRC32C")

    places = (f"s3://{seaweed_bucket}/a", f"s3://{seaweed_bucket}/b")
    receipt = only_receipt(await copied(*places, part_size_bytes=PART, checksum=algorithm))

    assert get_object(seaweed_oracle, seaweed_bucket, "b") == LARGE
    assert receipt.verified_by is proof


def put_in_parts(oracle: Any, bucket: str, key: str, content: bytes, part_size: int = PART, **kind: str) -> None:
    """An object as other tools send them."""
    upload = oracle.create_multipart_upload(Bucket=bucket, Key=key, **kind)["UploadId"]
    named = {"Bucket": bucket, "Key": key, "UploadId": upload}
    parts = []
    for number, offset in enumerate(range(0, len(content), part_size), start=1):
        body = content[offset : offset + part_size]
        answer = oracle.upload_part(**named, PartNumber=number, Body=body, **kind)
        parts.append({"PartNumber": number, **{k: v for k, v in answer.items() if k in ("ETag", "ChecksumSHA256")}})
    oracle.complete_multipart_upload(**named, MultipartUpload={"Parts": parts})


@pytest.mark.usefixtures("in_parts")
async def test_an_object_without_a_checksum_of_the_whole_keeps_its_parts(
    seaweed: S3Server,
    seaweed_oracle: Any,
    seaweed_bucket: str,
) -> None:
    oracle, bucket = seaweed_oracle, seaweed_bucket
    put_in_parts(oracle, bucket, "a", LARGE, PART + MIB)

    receipt = only_receipt(await copied(f"s3://{bucket}/a", f"s3://{bucket}/b"))

    assert receipt.etag == oracle.head_object(Bucket=bucket, Key="a")["ETag"]
    assert receipt.verified_by is VerifiedBy.MD5_ETAG
    assert get_object(oracle, bucket, "b") == LARGE


async def test_a_proof_that_is_asked_for_takes_the_parts(
    seaweed: S3Server,
    seaweed_oracle: Any,
    seaweed_bucket: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    oracle, bucket = seaweed_oracle, seaweed_bucket
    monkeypatch.setattr(copying, "copy_object", None)
    put_in_parts(oracle, bucket, "x/a", LARGE)

    receipt = only_receipt(
        await copied(f"s3://{bucket}/x/", f"s3://{bucket}/y/", recursive=True, require_verified=True)
    )

    assert receipt.verified_by is not VerifiedBy.UNVERIFIED
    assert get_object(oracle, bucket, "y/a") == LARGE


@pytest.mark.usefixtures("in_parts")
async def test_a_wrong_part_never_becomes_an_object(
    seaweed_oracle: Any, seaweed_bucket: str, seaweed: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    oracle, bucket = seaweed_oracle, seaweed_bucket
    oracle.put_object(Bucket=bucket, Key="a", Body=LARGE, ChecksumAlgorithm="CRC64NVME")
    put_objects(oracle, bucket, {"other": sample(len(LARGE), 77)})
    wrong = oracle.head_object(Bucket=bucket, Key="other")["ETag"]
    genuine = copying.copy_part

    async def mistake(store: Any, upload: MultipartUpload, source: Any, wanted: Any) -> Written:
        if wanted.number == 2:
            source = copying.CopySource(S3Location(bucket, "other"), wrong)
        return await genuine(store, upload, source, wanted)

    monkeypatch.setattr(copying, "copy_part", mistake)
    async with Transfer(endpoint_url=seaweed.endpoint_url, options=TransferOptions(part_size_bytes=PART)) as transfer:
        with pytest.raises(ChecksumMismatchError, match="the copy has"):
            await transfer.copy(f"s3://{bucket}/a", f"s3://{bucket}/b")

    assert keys_in(oracle, bucket) == ["a", "other"]
    assert unfinished_uploads(oracle, bucket) == []


async def test_a_wrong_copy_is_told(oracle: Any, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    put_objects(oracle, bucket, {"a": b"right", "other": b"wrong"})
    genuine = copying.copy_object

    async def mistake(store: Any, source: Any, destination: S3Location, headers: Any) -> Written:
        return await genuine(store, copying.CopySource(S3Location(bucket, "other")), destination, headers)

    monkeypatch.setattr(copying, "copy_object", mistake)
    (outcome,) = await copied(f"s3://{bucket}/a", f"s3://{bucket}/b")

    assert isinstance(outcome, Failure)
    assert isinstance(outcome.error, ChecksumMismatchError)
    assert outcome.error.subject == f"s3://{bucket}/b"
    assert outcome.error.remedy


@pytest.mark.usefixtures("in_parts")
async def test_an_interrupted_copy_goes_on(oracle: Any, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    oracle.put_object(Bucket=bucket, Key="a", Body=LARGE, ChecksumAlgorithm="CRC64NVME")
    genuine = copying.copy_part
    copied_parts: list[int] = []
    fails = True

    async def fail_late(store: Any, upload: MultipartUpload, source: Any, wanted: Any) -> Written:
        if fails and wanted.number == 3:
            raise StoreError("no more", status=503, code="SlowDown")
        copied_parts.append(wanted.number)
        return await genuine(store, upload, source, wanted)

    monkeypatch.setattr(copying, "copy_part", fail_late)
    places = (f"s3://{bucket}/a", f"s3://{bucket}/b")
    (outcome,) = await copied(*places, part_size_bytes=PART, concurrency=1, retries=0)
    assert isinstance(outcome, Failure)
    assert unfinished_uploads(oracle, bucket) == ["b"]

    fails = False
    receipt = only_receipt(await copied(*places, part_size_bytes=PART, concurrency=1))

    assert copied_parts == [1, 2, 3]
    assert receipt.resumed_bytes == 2 * PART
    assert receipt.verified_by is VerifiedBy.FULL_OBJECT
    assert get_object(oracle, bucket, "b") == LARGE
    assert unfinished_uploads(oracle, bucket) == []


async def test_a_tree_that_failed_in_part_is_finished_later(
    oracle: Any, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_objects(oracle, bucket, {f"x/{name}": name.encode() for name in "abc"})
    genuine = copying.copy_object
    asked: list[str] = []
    fails = True

    async def fail_one(store: Any, source: Any, destination: S3Location, headers: Any) -> Written:
        asked.append(destination.key)
        if fails and destination.key == "y/b":
            raise StoreError("no", status=403, code="AccessDenied")
        return await genuine(store, source, destination, headers)

    monkeypatch.setattr(copying, "copy_object", fail_one)
    places = (f"s3://{bucket}/x/", f"s3://{bucket}/y/")
    first = await copied(*places, recursive=True)
    assert len([outcome for outcome in first if isinstance(outcome, Failure)]) == 1

    asked.clear()
    fails = False
    only_receipt(await copied(*places, recursive=True))

    assert asked == ["y/b"]
    assert objects_in(oracle, bucket) == {f"{folder}/{n}": n.encode() for folder in "xy" for n in "abc"}


@pytest.mark.usefixtures("in_parts")
async def test_tags_that_cannot_be_read_are_told_of_each_object(
    oracle: Any, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_full(oracle, bucket, "x/a", LARGE)
    put_full(oracle, bucket, "x/b", LARGE)

    async def refuse(store: Any, location: S3Location) -> dict[str, str]:
        raise StoreError("denied", status=403, code="AccessDenied", subject=str(location))

    monkeypatch.setattr(copied_properties, "get_tags", refuse)
    events: list[Event] = []
    async with Transfer(options=TransferOptions(part_size_bytes=PART), on_event=events.append) as transfer:
        receipts = await settled(transfer.copy_tree(f"s3://{bucket}/x", f"s3://{bucket}/y"))

    assert get_object(oracle, bucket, "y/b") == LARGE
    assert tags_of(oracle, bucket, "y/a") == {}
    assert [isinstance(receipt, Receipt) and receipt.tags_unread for receipt in receipts] == [True, True]
    assert len([event for event in events if isinstance(event, Warned) and "tags" in event.message]) == 2


async def test_an_archived_object_has_to_be_restored_first(moto: S3Server, s3_client: Any) -> None:
    oracle = s3_client(moto)
    oracle.create_bucket(Bucket="archive-of-copies")
    oracle.put_object(Bucket="archive-of-copies", Key="a", Body=b"x", StorageClass="GLACIER")

    async with Transfer(endpoint_url=moto.endpoint_url) as transfer:
        with pytest.raises(TransferError, match="restore it first"):
            await transfer.copy("s3://archive-of-copies/a", "s3://archive-of-copies/b")


@pytest.mark.parametrize("is_ours", [True, False])
async def test_a_copy_onto_itself_whose_answer_is_lost_is_told_from_another_object(
    oracle: Any, bucket: str, monkeypatch: pytest.MonkeyPatch, is_ours: bool
) -> None:
    put_objects(oracle, bucket, {"a": b"content"})
    genuine = copying.copy_object
    requests = 0

    async def copy_once(store: Any, source: Any, destination: S3Location, headers: Any) -> Written:
        nonlocal requests
        requests += 1
        if requests > 1:
            raise StoreError("the ETag is another one", status=412, code="PreconditionFailed")
        if is_ours:
            await genuine(store, source, destination, headers)
        else:
            put_objects(oracle, bucket, {"a": b"changed"})
        raise WireError("the connection broke")

    monkeypatch.setattr(copying, "copy_object", copy_once)
    replacing: dict[str, Any] = {
        "metadata_directive": CopyDirective.REPLACE,
        "properties": ObjectProperties(metadata={"k": "v"}),
    }
    (outcome,) = await copied(f"s3://{bucket}/a", f"s3://{bucket}/a", **replacing)

    assert requests == 2
    if is_ours:
        assert isinstance(outcome, Receipt)
        assert outcome.verified_by is not VerifiedBy.UNVERIFIED
        assert oracle.head_object(Bucket=bucket, Key="a")["Metadata"] == {"k": "v"}
    else:
        assert isinstance(outcome, Failure)
        assert isinstance(outcome.error, StoreError)
        assert outcome.error.status == 412
        assert get_object(oracle, bucket, "a") == b"changed"
