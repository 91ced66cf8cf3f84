"""A bit that flips on the way is found wherever it flips, and nothing wrong is ever called done."""

import pytest

from tests.fault.conftest import MIB, Bench
from tests.support.faults import Direction, FlipBit
from transfer.model.checksums import ChecksumAlgorithm, VerifiedBy
from transfer.model.errors import ChecksumMismatchError, StoreError
from transfer.model.options import TransferOptions

LARGE = 16 * MIB + 7
RANGES = 3


@pytest.mark.parametrize("nth", [1, 2, 3])
async def test_a_flipped_bit_in_a_range_is_fetched_again(bench: Bench, nth: int) -> None:
    content = await bench.put(LARGE)
    async with bench.run(FlipBit(method="GET", nth=nth, at_byte=5, bit=5)) as run:
        receipt = await run.transfer.copy(bench.url(), bench.target())
        assert RANGES < len(run.proxy.seen("GET")) <= 2 * RANGES
        assert run.transfer.progress.bytes_moved == LARGE
    assert bench.target().read_bytes() == content
    assert bench.landed() == ["file"]
    assert receipt.verified_by is VerifiedBy.FULL_OBJECT
    assert 1 <= receipt.retries <= RANGES


async def test_flipped_bits_in_every_range_are_fetched_again(bench: Bench) -> None:
    content = await bench.put(LARGE)
    async with bench.run(FlipBit(method="GET", times=RANGES, at_byte=6)) as run:
        receipt = await run.transfer.copy(bench.url(), bench.target())
        assert len(run.proxy.seen("GET")) == 2 * RANGES
    assert bench.target().read_bytes() == content
    assert receipt.retries == RANGES


async def test_a_large_object_that_arrives_wrong_for_ever_is_an_error(bench: Bench) -> None:
    await bench.put(LARGE)
    async with bench.run(FlipBit(method="GET", times=None, at_byte=6)) as run:
        with pytest.raises(ChecksumMismatchError) as failure:
            await run.transfer.copy(bench.url(), bench.target())
        assert len(run.proxy.seen("GET")) <= 2 * RANGES
    assert failure.value.subject == bench.url()
    assert bench.landed() == []


@pytest.mark.parametrize("size", [1, 1000, 300_000, 3 * MIB])
async def test_a_flipped_bit_in_a_small_object_is_fetched_again(bench: Bench, size: int) -> None:
    content = await bench.put(size)
    async with bench.run(FlipBit(method="GET", times=2, at_byte=size - 1, bit=7)) as run:
        receipt = await run.transfer.copy(bench.url(), bench.target())
        assert len(run.proxy.seen("GET")) == 3
        assert run.transfer.progress.bytes_moved == size
    assert bench.target().read_bytes() == content
    assert receipt.retries == 2


@pytest.mark.parametrize("size", [1000, 3 * MIB])
async def test_a_small_object_that_arrives_wrong_for_ever_is_an_error(bench: Bench, size: int) -> None:
    await bench.put(size)
    bench.target().write_bytes(b"what was there before")
    async with bench.run(FlipBit(method="GET", times=None)) as run:
        with pytest.raises(ChecksumMismatchError) as failure:
            await run.transfer.copy(bench.url(), bench.target())
        assert 1 < len(run.proxy.seen("GET")) <= 5
    assert failure.value.kind == "checksum_mismatch"
    assert bench.landed() == ["file"]
    assert bench.target().read_bytes() == b"what was there before"


async def test_the_md5_etag_tells_when_the_store_keeps_no_checksum(bench: Bench) -> None:
    source = bench.file(3 * MIB)
    async with bench.run(options=TransferOptions(checksum=ChecksumAlgorithm.MD5)) as run:
        await run.transfer.copy(source, bench.url())
    async with bench.run(FlipBit(method="GET", at_byte=77)) as run:
        receipt = await run.transfer.copy(bench.url(), bench.target())
    assert bench.target().read_bytes() == source.read_bytes()
    assert (receipt.verified_by, receipt.retries) == (VerifiedBy.MD5_ETAG, 1)


async def test_a_flipped_bit_in_a_stream_is_told_at_the_end(bench: Bench) -> None:
    await bench.put(LARGE)
    written = bytearray()
    async with bench.run(FlipBit(method="GET", nth=2, at_byte=6)) as run:
        with pytest.raises(ChecksumMismatchError):
            await run.transfer.cat(bench.url(), written.extend)
    assert len(written) <= LARGE


@pytest.mark.parametrize("algorithm", [None, ChecksumAlgorithm.MD5, ChecksumAlgorithm.SHA256, ChecksumAlgorithm.CRC32C])
@pytest.mark.parametrize("size", [1000, 3 * MIB], ids=["memory", "sendfile"])
async def test_a_flipped_bit_in_a_put_is_refused_and_sent_again(
    bench: Bench, size: int, algorithm: ChecksumAlgorithm | None
) -> None:
    source = bench.file(size)
    fault = FlipBit(method="PUT", direction=Direction.UP, at_byte=size // 2)
    async with bench.run(fault, options=TransferOptions(checksum=algorithm)) as run:
        receipt = await run.transfer.copy(source, bench.url())
        assert [seen.status for seen in run.proxy.seen("PUT")] == [400, 200]
    assert bench.stored() == source.read_bytes()
    assert receipt.retries == 1
    assert receipt.verified_by is not VerifiedBy.UNVERIFIED


@pytest.mark.parametrize("algorithm", [None, ChecksumAlgorithm.MD5, ChecksumAlgorithm.SHA256])
async def test_a_flipped_bit_in_a_part_is_refused_and_sent_again(
    bench: Bench, algorithm: ChecksumAlgorithm | None
) -> None:
    source = bench.file(LARGE)
    fault = FlipBit(method="PUT", target="partNumber=2", direction=Direction.UP, at_byte=5 * MIB, bit=3)
    async with bench.run(fault, options=TransferOptions(checksum=algorithm)) as run:
        receipt = await run.transfer.copy(source, bench.url())
        assert [seen.status for seen in run.proxy.seen("PUT", "partNumber=2")] == [400, 200]
        assert len(run.proxy.seen("PUT")) == RANGES + 1
    assert bench.stored() == source.read_bytes()
    assert receipt.retries == 1
    assert receipt.verified_by is not VerifiedBy.UNVERIFIED


async def test_an_upload_that_arrives_wrong_for_ever_is_an_error(bench: Bench) -> None:
    fault = FlipBit(method="PUT", target="partNumber=2", direction=Direction.UP, times=None)
    async with bench.run(fault, options=TransferOptions(retries=2)) as run:
        with pytest.raises(StoreError) as failure:
            await run.transfer.copy(bench.file(LARGE), bench.url())
        assert len(run.proxy.seen("PUT", "partNumber=2")) == 3
    assert failure.value.code == "BadDigest"
    assert failure.value.remedy
    assert bench.keys() == []
    assert bench.uploads() == []
