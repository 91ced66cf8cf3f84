"""Copies from one store to another through this process: moto and SeaweedFS, either way round."""

import uuid
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests.integration.samples import MIB, MULTIPART_SIZE, PART, get_object, keys_in, put_objects, sample, settled
from tests.support.fault_proxy import FaultProxy
from tests.support.faults import Direction, FlipBit
from tests.support.servers import S3Server, make_s3_client
from transfer import Transfer, TransferOptions
from transfer.engine import copied_properties
from transfer.engine.memory import MemoryBudget
from transfer.model.checksums import ChecksumAlgorithm, VerifiedBy
from transfer.model.errors import ChecksumMismatchError, ConfigurationError, StoreError, UsageError
from transfer.model.locations import S3Location
from transfer.model.options import ConnectionOptions, CopyDirective
from transfer.model.receipts import Mover, Receipt
from transfer.stores.s3 import objects, tagging
from transfer.stores.s3.store import Call, S3Store
from transfer.wire.connection import Response
from transfer.wire.flow import Flow

PROFILE = "there"
WRONG_KEYS = {"AWS_ACCESS_KEY_ID": "nobody", "AWS_SECRET_ACCESS_KEY": "nothing"}


@dataclass(frozen=True, slots=True)
class End:
    """One store, a bucket in it, and botocore to judge with."""

    server: S3Server
    oracle: Any
    bucket: str

    def url(self, key: str = "") -> str:
        return f"s3://{self.bucket}/{key}"

    def get(self, key: str = "key") -> bytes:
        return get_object(self.oracle, self.bucket, key)

    def put(self, content: bytes, key: str = "key", **properties: Any) -> None:
        self.oracle.put_object(Bucket=self.bucket, Key=key, Body=content, **properties)

    def uploads(self) -> list[str]:
        found = self.oracle.list_multipart_uploads(Bucket=self.bucket).get("Uploads", ())
        return [upload["UploadId"] for upload in found]

    def clear(self) -> None:
        for key in keys_in(self.oracle, self.bucket):
            self.oracle.delete_object(Bucket=self.bucket, Key=key)
        for upload in self.oracle.list_multipart_uploads(Bucket=self.bucket).get("Uploads", ()):
            self.oracle.abort_multipart_upload(Bucket=self.bucket, Key=upload["Key"], UploadId=upload["UploadId"])


@dataclass(frozen=True, slots=True)
class Ends:
    """Where objects come from, by the environment, and where they go, by a profile."""

    here: End
    there: End

    def transfer(self, options: TransferOptions | None = None, **changes: Any) -> Transfer:
        named = {"profile": PROFILE, "heeds_environment": False, **changes}
        return Transfer(options=options or TransferOptions(), destination=ConnectionOptions(**named))


@pytest.fixture(scope="session")
def both(moto: S3Server, seaweed: S3Server) -> Iterator[dict[str, End]]:
    """The buckets of all tests: the first write into a new one makes SeaweedFS slow."""
    clients = {server.name: make_s3_client(server) for server in (moto, seaweed)}
    made = {}
    for server in (moto, seaweed):
        bucket = f"relay-{server.name}-{uuid.uuid4().hex[:8]}"
        clients[server.name].create_bucket(Bucket=bucket)
        made[server.name] = End(server, clients[server.name], bucket)
    yield made
    for client in clients.values():
        client.close()


def point(ends: Ends, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment speaks of the source, whose keys SeaweedFS refuses unless it is the source; a profile of the
    destination."""
    server = ends.there.server
    config = folder / "aws-config"
    config.write_text(
        f"[profile {PROFILE}]\naws_access_key_id = {server.access_key}\naws_secret_access_key = {server.secret_key}\n"
        f"region = {server.region}\nendpoint_url = {server.endpoint_url}\n"
    )
    for name, value in ends.here.server.environment().items():
        monkeypatch.setenv(name, value)
    if ends.here.server.name == "moto":
        for name, value in WRONG_KEYS.items():
            monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))


@pytest.fixture(params=["moto to seaweedfs", "seaweedfs to moto"])
def ends(
    request: pytest.FixtureRequest, both: dict[str, End], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Ends]:
    here, there = request.param.split(" to ")
    made = Ends(both[here], both[there])
    point(made, tmp_path, monkeypatch)
    yield made
    made.here.clear()
    made.there.clear()


@pytest.mark.parametrize("size", [0, 1, 300_000, 3 * MIB, MULTIPART_SIZE])
async def test_an_object_arrives_as_it_is(ends: Ends, size: int) -> None:
    content = sample(size)
    ends.here.put(content)

    async with ends.transfer() as transfer:
        receipt = await transfer.copy(ends.here.url("key"), ends.there.url("key"))
        progress = transfer.progress

    assert ends.there.get() == content
    assert (receipt.source, receipt.destination) == (ends.here.url("key"), ends.there.url("key"))
    assert receipt.size == size
    assert receipt.mover is (Mover.BUFFER if size else Mover.NONE)
    assert receipt.verified_by is VerifiedBy.FULL_OBJECT
    assert (progress.bytes_moved, progress.bytes_planned) == (size, size)


@pytest.mark.parametrize(
    ("algorithm", "proof"),
    [
        (ChecksumAlgorithm.CRC32C, VerifiedBy.FULL_OBJECT),
        (ChecksumAlgorithm.SHA256, VerifiedBy.COMPOSITE),
        (ChecksumAlgorithm.NONE, VerifiedBy.UNVERIFIED),
    ],
)
async def test_the_proof_is_no_stronger_than_that_of_the_source(
    from_seaweed: Ends, tmp_path: Path, algorithm: ChecksumAlgorithm, proof: VerifiedBy
) -> None:
    """The source is cut otherwise than the copy: four parts become two. moto keeps no such checksums of parts."""
    ends = from_seaweed
    source = tmp_path / "source"
    source.write_bytes(sample(MULTIPART_SIZE))
    async with Transfer(options=TransferOptions(checksum=algorithm, part_size_bytes=PART)) as transfer:
        await transfer.copy(source, ends.here.url("key"))

    async with ends.transfer(TransferOptions(part_size_bytes=2 * PART)) as transfer:
        receipt = await transfer.copy(ends.here.url("key"), ends.there.url("key"))

    assert ends.there.get() == source.read_bytes()
    assert receipt.verified_by is proof


async def test_an_object_that_is_known_by_its_md5_is_compared_with_that(
    ends: Ends, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its bytes are digested in order, with memory for two parts: none may wait for one that waits for memory."""
    content = sample(MULTIPART_SIZE)
    put_without_checksum(ends.here, content)

    async with ends.transfer(TransferOptions(part_size_bytes=PART)) as transfer:
        memory = budget(transfer, 2 * PART)
        receipt = await transfer.copy(ends.here.url("key"), ends.there.url("key"))

    assert ends.there.get() == content
    assert receipt.verified_by is VerifiedBy.MD5_ETAG
    assert memory.peak_bytes <= 2 * PART


def put_without_checksum(end: End, content: bytes) -> None:
    client = make_s3_client(end.server)
    client.meta.config.request_checksum_calculation = "when_required"
    client.put_object(Bucket=end.bucket, Key="key", Body=content)
    client.close()


def budget(transfer: Transfer, limit_bytes: int) -> MemoryBudget:
    context = transfer._running()
    context.memory = MemoryBudget(limit_bytes)
    return context.memory


@pytest.mark.parametrize("concurrency", [1, 12])
async def test_no_more_is_in_memory_than_the_budget(ends: Ends, concurrency: int) -> None:
    contents = {f"tree/{number}": sample(size, number) for number, size in enumerate([MULTIPART_SIZE] * 3 + [MIB] * 12)}
    put_objects(ends.here.oracle, ends.here.bucket, contents)

    async with ends.transfer(TransferOptions(part_size_bytes=PART, concurrency=concurrency)) as transfer:
        memory = budget(transfer, 2 * PART)
        receipts = await settled(transfer.copy_tree(ends.here.url("tree/"), ends.there.url("tree/")))

    assert {key: ends.there.get(key) for key in keys_in(ends.there.oracle, ends.there.bucket)} == contents
    assert len(receipts) == len(contents)
    assert memory.held_bytes == 0
    assert PART <= memory.peak_bytes <= 2 * PART


async def test_a_part_larger_than_the_budget_goes_alone(ends: Ends) -> None:
    ends.here.put(sample(MULTIPART_SIZE))

    async with ends.transfer(TransferOptions(part_size_bytes=PART)) as transfer:
        memory = budget(transfer, MIB)
        await transfer.copy(ends.here.url("key"), ends.there.url("key"))

    assert ends.there.get() == sample(MULTIPART_SIZE)
    assert memory.peak_bytes == PART


ODD_KEYS = (
    "plain",
    "with space",
    "plus+",
    "percent%41%",
    "hash#",
    "question?",
    "amp&=;",
    "quote'\"",
    "star*[x]{y}",
    "caf\u00e9",
    "cafe\u0301",
    "\u65e5\u672c/\u6587.txt",
    "\U0001f680",
    "...dots/..almost",
    "-dash",
    "folder/",
    "a//b",
)


async def test_a_tree_keeps_its_names(ends: Ends) -> None:
    odd = [key for key in ODD_KEYS if ends.here.server.name != "seaweedfs" or "//" not in key]
    contents = {f"tree/{key}": b"" if key.endswith("/") else key.encode() for key in odd}
    put_objects(ends.here.oracle, ends.here.bucket, contents)

    async with ends.transfer() as transfer:
        outcomes = await settled(transfer.copy_many([ends.here.url("tree/")], ends.there.url("tree"), recursive=True))

    assert all(isinstance(outcome, Receipt) for outcome in outcomes)
    assert {outcome.destination for outcome in outcomes if isinstance(outcome, Receipt)} == set(
        map(ends.there.url, contents)
    )
    for key, content in contents.items():
        assert ends.there.get(key) == content


@pytest.mark.parametrize("size", [1000, MULTIPART_SIZE])
async def test_what_belongs_to_an_object_goes_with_it(ends: Ends, size: int) -> None:
    ends.here.put(
        sample(size),
        ContentType="text/x-odd",
        CacheControl="max-age=5",
        ContentDisposition="attachment",
        ContentEncoding="identity",
        ContentLanguage="de",
        Metadata={"mtime": "1.5", "colour": "blue"},
        Tagging="a=1&b=two%20words",
    )

    async with ends.transfer() as transfer:
        await transfer.copy(ends.here.url("key"), ends.there.url("key"))

    found = ends.there.oracle.head_object(Bucket=ends.there.bucket, Key="key")
    names = ("ContentType", "CacheControl", "ContentDisposition", "ContentEncoding", "ContentLanguage")
    assert [found.get(name) for name in names] == ["text/x-odd", "max-age=5", "attachment", "identity", "de"]
    assert found["Metadata"] == {"mtime": "1.5", "colour": "blue"}
    tags = ends.there.oracle.get_object_tagging(Bucket=ends.there.bucket, Key="key")["TagSet"]
    assert {tag["Key"]: tag["Value"] for tag in tags} == {"a": "1", "b": "two words"}


class Tags:
    """How a store answers when it is asked for tags, and how often it was."""

    def __init__(self, patch: pytest.MonkeyPatch, status: int | None = None) -> None:
        self.asked = 0
        self._status = status
        self._real = tagging.get_tags
        patch.setattr(copied_properties, "get_tags", self._get)

    async def _get(self, store: S3Store, location: S3Location) -> dict[str, str]:
        self.asked += 1
        if self._status is not None:
            raise StoreError("no", status=self._status, code="Refused", subject=str(location))
        return await self._real(store, location)


def count_no_tags(patch: pytest.MonkeyPatch) -> None:
    """As S3 answers whoever may not read tags (AWS: GetObject)."""
    real = objects.object_info
    patch.setattr(objects, "object_info", lambda *told: replace(real(*told), tag_count=None))


@pytest.mark.parametrize("size", [1000, MULTIPART_SIZE])
async def test_a_move_keeps_the_source_whose_tags_cannot_be_read(
    ends: Ends, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    ends.here.put(sample(size), Tagging="a=1")
    count_no_tags(monkeypatch)
    Tags(monkeypatch, status=403)

    async with ends.transfer() as transfer:
        (receipt,) = await settled(transfer.move_many([ends.here.url("key")], ends.there.url("key")))
    assert isinstance(receipt, Receipt)
    assert (receipt.tags_unread, receipt.source_removed) == (True, False)
    assert ends.here.get() == ends.there.get() == sample(size)

    async with ends.transfer(TransferOptions(tagging_directive=CopyDirective.REPLACE)) as transfer:
        (receipt,) = await settled(transfer.move_many([ends.here.url("key")], ends.there.url("key")))
    assert isinstance(receipt, Receipt)
    assert (receipt.tags_unread, receipt.source_removed) == (False, True)
    assert keys_in(ends.here.oracle, ends.here.bucket) == []


async def test_small_objects_are_not_asked_for_tags_once_it_is_known_that_they_are_told(
    ends: Ends, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_objects(ends.here.oracle, ends.here.bucket, {f"tree/{number}": b"1" for number in range(40)})
    ends.here.put(b"2", "tree/tagged", Tagging="a=1")
    tags = Tags(monkeypatch)

    async with ends.transfer(TransferOptions(concurrency=1)) as transfer:
        receipts = await settled(transfer.copy_tree(ends.here.url("tree/"), ends.there.url("tree/")))

    assert not any(isinstance(receipt, Receipt) and receipt.tags_unread for receipt in receipts)
    assert 1 <= tags.asked < 20
    found = ends.there.oracle.get_object_tagging(Bucket=ends.there.bucket, Key="tree/tagged")["TagSet"]
    assert found == [{"Key": "a", "Value": "1"}]


async def test_a_store_without_tags_has_none_to_lose(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    ends.here.put(b"content")
    count_no_tags(monkeypatch)
    Tags(monkeypatch, status=501)

    async with ends.transfer() as transfer:
        (receipt,) = await settled(transfer.move_many([ends.here.url("key")], ends.there.url("key")))

    assert isinstance(receipt, Receipt)
    assert (receipt.tags_unread, receipt.source_removed) == (False, True)


@pytest.fixture
def from_seaweed(both: dict[str, End], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ends]:
    made = Ends(both["seaweedfs"], both["moto"])
    point(made, tmp_path, monkeypatch)
    monkeypatch.setattr("transfer.engine.attempts.random.random", lambda: 0.0)
    yield made
    made.here.clear()
    made.there.clear()


@pytest.fixture
def to_seaweed(both: dict[str, End], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ends]:
    made = Ends(both["moto"], both["seaweedfs"])
    point(made, tmp_path, monkeypatch)
    monkeypatch.setattr("transfer.engine.attempts.random.random", lambda: 0.0)
    yield made
    made.here.clear()
    made.there.clear()


SIZES = pytest.mark.parametrize("size", [1000, 3 * MIB, MULTIPART_SIZE])
FORGETFUL = TransferOptions(part_size_bytes=PART, resume=False, retries=2)


@SIZES
async def test_a_bit_that_flips_on_the_way_here_is_read_again(
    from_seaweed: Ends, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    ends, content = from_seaweed, sample(size)
    ends.here.put(content)
    async with FaultProxy(ends.here.server.endpoint_url, FlipBit(method="GET", target="/key$", at_byte=7)) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint_url)
        async with ends.transfer(FORGETFUL) as transfer:
            receipt = await transfer.copy(ends.here.url("key"), ends.there.url("key"))
            progress = transfer.progress
        assert proxy.unspent() == []
    assert ends.there.get() == content
    assert receipt.retries == 1
    assert receipt.verified_by is VerifiedBy.FULL_OBJECT
    assert progress.bytes_moved == size


@SIZES
async def test_what_arrives_wrong_for_ever_never_gets_its_name(
    from_seaweed: Ends, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    ends = from_seaweed
    ends.here.put(sample(size))
    ends.there.put(b"what was there before")
    fault = FlipBit(method="GET", target="/key$", times=None, at_byte=7)
    async with FaultProxy(ends.here.server.endpoint_url, fault) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint_url)
        async with ends.transfer(FORGETFUL) as transfer:
            with pytest.raises(ChecksumMismatchError) as failure:
                await transfer.copy(ends.here.url("key"), ends.there.url("key"))
    assert failure.value.subject == ends.here.url("key")
    assert ends.there.get() == b"what was there before"
    assert ends.there.uploads() == []


@SIZES
async def test_a_bit_that_flips_on_the_way_there_is_refused_and_sent_again(to_seaweed: Ends, size: int) -> None:
    ends, content = to_seaweed, sample(size)
    ends.here.put(content)
    fault = FlipBit(method="PUT", direction=Direction.UP, at_byte=7)
    async with FaultProxy(ends.there.server.endpoint_url, fault) as proxy:
        async with ends.transfer(FORGETFUL, endpoint_url=proxy.endpoint_url) as transfer:
            receipt = await transfer.copy(ends.here.url("key"), ends.there.url("key"))
            progress = transfer.progress
        assert proxy.unspent() == []
    assert ends.there.get() == content
    assert receipt.retries == 1
    assert progress.bytes_moved == size


async def test_a_part_that_arrives_wrong_for_ever_leaves_nothing_behind(to_seaweed: Ends) -> None:
    ends = to_seaweed
    ends.here.put(sample(MULTIPART_SIZE))
    fault = FlipBit(method="PUT", direction=Direction.UP, target="partNumber=2", times=None, at_byte=7)
    async with (
        FaultProxy(ends.there.server.endpoint_url, fault) as proxy,
        ends.transfer(FORGETFUL, endpoint_url=proxy.endpoint_url) as transfer,
    ):
        with pytest.raises(StoreError) as failure:
            await transfer.copy(ends.here.url("key"), ends.there.url("key"))
    assert failure.value.code == "BadDigest"
    assert failure.value.subject == ends.there.url("key")
    assert keys_in(ends.there.oracle, ends.there.bucket) == []
    assert ends.there.uploads() == []


async def test_a_later_run_goes_on_with_what_is_there(to_seaweed: Ends, tmp_path: Path) -> None:
    ends, content = to_seaweed, sample(MULTIPART_SIZE)
    ends.here.put(content, ChecksumAlgorithm="CRC64NVME")
    options = TransferOptions(part_size_bytes=PART, retries=0, concurrency=1, state_folder=str(tmp_path / "state"))
    fault = FlipBit(method="PUT", direction=Direction.UP, target="partNumber=3", times=None, at_byte=7)
    async with FaultProxy(ends.there.server.endpoint_url, fault) as proxy:
        there = {"endpoint_url": proxy.endpoint_url}
        async with ends.transfer(options, **there) as transfer:
            with pytest.raises(StoreError):
                await transfer.copy(ends.here.url("key"), ends.there.url("key"))
        assert len(ends.there.uploads()) == 1
        proxy.disarm()
        before = len(proxy.seen("PUT"))
        async with ends.transfer(options, **there) as transfer:
            receipt = await transfer.copy(ends.here.url("key"), ends.there.url("key"))
            progress = transfer.progress
        assert len(proxy.seen("PUT")) - before == 2
    assert ends.there.get() == content
    assert receipt.resumed_bytes == 2 * PART
    assert receipt.verified_by is VerifiedBy.FULL_OBJECT
    assert progress.bytes_done == progress.bytes_planned == MULTIPART_SIZE
    assert ends.there.uploads() == []


async def test_a_source_that_changes_midway_fails_clearly(to_seaweed: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    ends = to_seaweed
    ends.here.put(sample(MULTIPART_SIZE))

    async with ends.transfer(FORGETFUL) as transfer:
        store = transfer._running().store
        exchange = store.exchange

        def change_then_exchange(call: Call, flow: Flow | None = None) -> AbstractAsyncContextManager[Response]:
            if call.headers.get("range", "").startswith(f"bytes={2 * PART}-"):
                ends.here.put(sample(MULTIPART_SIZE, 1))
            return exchange(call, flow)

        monkeypatch.setattr(store, "exchange", change_then_exchange)
        with pytest.raises(StoreError) as failure:
            await transfer.copy(ends.here.url("key"), ends.there.url("key"))

    assert failure.value.code == "PreconditionFailed"
    assert failure.value.subject == ends.here.url("key")
    assert keys_in(ends.there.oracle, ends.there.bucket) == []
    assert ends.there.uploads() == []


async def test_each_side_has_its_own_credentials(to_seaweed: Ends) -> None:
    """The environment's keys are unknown to SeaweedFS: with them, nothing gets there."""
    ends = to_seaweed
    ends.here.put(b"content")
    server = ends.there.server.endpoint_url
    async with Transfer(destination=ConnectionOptions(endpoint_url=server)) as transfer:
        with pytest.raises(StoreError) as failure:
            await transfer.copy(ends.here.url("key"), ends.there.url("key"))
    assert failure.value.code == "InvalidAccessKeyId"
    async with ends.transfer() as transfer:
        assert await transfer.copy(ends.here.url("key"), ends.there.url("key"))
    assert ends.there.get() == b"content"


async def test_the_same_keys_are_used_at_another_server(from_seaweed: Ends) -> None:
    ends = from_seaweed
    ends.here.put(b"content")
    async with Transfer(destination=ConnectionOptions(endpoint_url=ends.there.server.endpoint_url)) as transfer:
        receipt = await transfer.copy(ends.here.url("key"), ends.there.url("key"))
    assert ends.there.get() == b"content"
    assert receipt.mover is Mover.BUFFER


async def test_an_unknown_profile_is_named(to_seaweed: Ends) -> None:
    async with to_seaweed.transfer(profile="nowhere") as transfer:
        with pytest.raises(ConfigurationError) as failure:
            await transfer.copy(to_seaweed.here.url("key"), to_seaweed.there.url("key"))
    assert "nowhere" in str(failure.value)


@pytest.mark.parametrize("named", ["endpoint", "region", "profile"])
async def test_one_store_named_twice_copies_by_itself(from_seaweed: Ends, named: str) -> None:
    ends = Ends(from_seaweed.here, from_seaweed.here)
    ends.here.put(b"content")
    server = ends.here.server
    destination = {
        "endpoint": ConnectionOptions(endpoint_url=server.endpoint_url),
        "region": ConnectionOptions(region="eu-west-1"),
        "profile": ConnectionOptions(endpoint_url=server.endpoint_url, profile=PROFILE, heeds_environment=False),
    }[named]
    async with Transfer(destination=destination) as transfer:
        receipt = await transfer.copy(ends.here.url("key"), ends.here.url("copy"))
    assert ends.here.get("copy") == b"content"
    assert receipt.mover is Mover.SERVER


async def test_nothing_is_written_over_itself_as_somebody_else(from_seaweed: Ends, tmp_path: Path) -> None:
    ends = from_seaweed
    ends.here.put(b"content")
    server = ends.here.server
    with (tmp_path / "aws-config").open("a") as config:
        config.write("[profile other]\naws_access_key_id = other\naws_secret_access_key = other\n")
    destination = ConnectionOptions(endpoint_url=server.endpoint_url, profile="other", heeds_environment=False)
    async with Transfer(destination=destination) as transfer:
        with pytest.raises(UsageError):
            await transfer.copy(ends.here.url("key"), ends.here.url("key"))


@pytest.mark.parametrize(
    ("destination", "option"),
    [
        (ConnectionOptions(endpoint_url="http://127.0.0.1:1"), "--dest-endpoint-url"),
        (ConnectionOptions(profile="there", heeds_environment=False), "--dest-profile"),
    ],
)
@pytest.mark.parametrize("up", [True, False])
async def test_a_local_side_and_a_second_store_make_no_sense(
    destination: ConnectionOptions, option: str, up: bool, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(b"content")
    places = [str(tmp_path / "file"), "s3://bucket/key"]
    async with Transfer(endpoint_url="http://127.0.0.1:2", destination=destination) as transfer:
        with pytest.raises(UsageError) as failure:
            await transfer.copy(*(places if up else reversed(places)))
    assert failure.value.subject == option
