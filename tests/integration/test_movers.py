"""The same bytes move whatever carries them: the kernel, the portable mover, or TLS."""

import errno
import hashlib
import os
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import kernel_tls
from tests.support.certificates import make_certificate
from tests.support.fault_proxy import FaultProxy
from tests.support.http_server import Handler, HttpServer, Peer, server_context
from tests.support.servers import S3Server
from transfer.engine.reasons import PORTABLE
from transfer.engine.transfer import Transfer
from transfer.model.checksums import VerifiedBy
from transfer.model.errors import LocalFileError, ProtocolError, TlsError
from transfer.model.events import Event
from transfer.model.options import ConnectionOptions, TransferOptions
from transfer.model.receipts import Mover
from transfer.wire import dial
from transfer.wire.ktls import Obstacle
from transfer.wire.plain import PlainStream

MIB = 1024 * 1024
SIZES = [3 * MIB, 17 * MIB + 3]


@pytest.fixture
def keys(seaweed: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in seaweed.environment().items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def certificates(tmp_path: Path) -> tuple[Path, Path, Path]:
    return make_certificate(tmp_path)


@pytest.fixture
async def encrypted(seaweed: S3Server, certificates: tuple[Path, Path, Path]) -> AsyncIterator[FaultProxy]:
    _, certificate, key = certificates
    async with FaultProxy(seaweed.endpoint_url, tls=server_context((str(certificate), str(key)))) as proxy:
        yield proxy


async def round_trip(transfer: Transfer, bucket: str, folder: Path, size: int) -> tuple[Mover, Mover]:
    source, target = folder / "source", folder / "target"
    source.write_bytes(random.Random(size).randbytes(size))
    sent = await transfer.copy(source, f"s3://{bucket}/key")
    received = await transfer.copy(f"s3://{bucket}/key", target)
    assert target.read_bytes() == source.read_bytes()
    assert sent.verified_by is received.verified_by is VerifiedBy.FULL_OBJECT
    assert sent.retries == received.retries == 0
    return sent.mover, received.mover


@pytest.mark.usefixtures("keys")
@pytest.mark.parametrize("size", SIZES)
async def test_uploads_stay_in_the_kernel(seaweed: S3Server, seaweed_bucket: str, tmp_path: Path, size: int) -> None:
    async with Transfer(endpoint_url=seaweed.endpoint_url) as transfer:
        assert await round_trip(transfer, seaweed_bucket, tmp_path, size) == (Mover.SENDFILE, Mover.RECV)


@pytest.mark.usefixtures("keys")
@pytest.mark.parametrize("size", SIZES)
async def test_the_portable_mover_moves_the_same_bytes(
    seaweed: S3Server, seaweed_bucket: str, tmp_path: Path, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dial, "SendfileStream", PlainStream)
    async with Transfer(endpoint_url=seaweed.endpoint_url) as transfer:
        assert await round_trip(transfer, seaweed_bucket, tmp_path, size) == (Mover.BUFFER, Mover.RECV)


@pytest.mark.usefixtures("keys")
@pytest.mark.parametrize("size", SIZES)
async def test_bodies_pass_through_tls(
    encrypted: FaultProxy,
    certificates: tuple[Path, Path, Path],
    seaweed_bucket: str,
    tmp_path: Path,
    size: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kernel_tls.offer(monkeypatch, Obstacle.KERNEL)
    options = ConnectionOptions(endpoint_url=encrypted.endpoint_url, ca_bundle=str(certificates[0]))
    async with Transfer(connection=options) as transfer:
        assert await round_trip(transfer, seaweed_bucket, tmp_path, size) == (Mover.TLS, Mover.TLS)


@pytest.mark.usefixtures("keys")
async def test_an_untrusted_certificate_ends_the_run_at_once(
    encrypted: FaultProxy, seaweed_bucket: str, tmp_path: Path
) -> None:
    events: list[Event] = []
    source = tmp_path / "source"
    source.write_bytes(b"secret")
    async with Transfer(endpoint_url=encrypted.endpoint_url, on_event=events.append) as transfer:
        with pytest.raises(TlsError) as failure:
            await transfer.copy(source, f"s3://{seaweed_bucket}/key")
    assert "--ca-bundle" in (failure.value.remedy or "")
    assert (encrypted.connections, encrypted.requests, events) == (0, [], [])


@pytest.mark.usefixtures("keys")
async def test_any_certificate_will_do_when_the_user_says_so(
    encrypted: FaultProxy, seaweed_bucket: str, seaweed_oracle: Any, tmp_path: Path
) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"not so secret")
    options = ConnectionOptions(endpoint_url=encrypted.endpoint_url, verify_tls=False)
    async with Transfer(connection=options) as transfer:
        await transfer.copy(source, f"s3://{seaweed_bucket}/key")
    assert seaweed_oracle.get_object(Bucket=seaweed_bucket, Key="key")["Body"].read() == b"not so secret"


def refuse_sendfile(patch: pytest.MonkeyPatch, number: int) -> None:
    def sendfile(*_: int) -> int:
        raise OSError(number, os.strerror(number))

    patch.setattr(os, "sendfile", sendfile)


@pytest.mark.usefixtures("keys")
@pytest.mark.parametrize("size", SIZES)
async def test_a_file_the_kernel_cannot_send_is_told_in_its_receipt(
    seaweed: S3Server, seaweed_bucket: str, tmp_path: Path, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_sendfile(monkeypatch, errno.EINVAL)
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(random.Random(size).randbytes(size))
    async with Transfer(endpoint_url=seaweed.endpoint_url) as transfer:
        sent = await transfer.copy(source, f"s3://{seaweed_bucket}/key")
        await transfer.copy(f"s3://{seaweed_bucket}/key", target)
    assert target.read_bytes() == source.read_bytes()
    assert (sent.mover, sent.mover_reason, sent.retries) == (Mover.BUFFER, PORTABLE, 0)


@pytest.mark.usefixtures("keys")
async def test_a_file_the_disk_cannot_read_is_named(
    seaweed: S3Server, seaweed_bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_sendfile(monkeypatch, errno.EIO)
    source = tmp_path / "source"
    source.write_bytes(bytes(3 * MIB))
    async with Transfer(endpoint_url=seaweed.endpoint_url) as transfer:
        with pytest.raises(LocalFileError) as failure:
            await transfer.copy(source, f"s3://{seaweed_bucket}/key")
    assert failure.value.subject == str(source)


def chunking(content: bytes, surplus: int = 0) -> Handler:
    """A store with one object, whose bodies it sends in chunks: `surplus` bytes more than it was asked for."""
    etag = f'ETag: "{hashlib.md5(content).hexdigest()}"'.encode()

    async def handle(peer: Peer) -> None:
        while True:
            asked = (await peer.request()).head
            if asked.method == "HEAD":
                await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n%b\r\n\r\n" % (len(content), etag))
                continue
            lines = [b"HTTP/1.1 200 OK", etag, b"Transfer-Encoding: chunked"]
            wanted = asked.header("Range")
            first, last = (int(end) for end in (wanted or f"bytes=0-{len(content) - 1}")[6:].split("-"))
            if wanted:
                lines[0] = b"HTTP/1.1 206 Partial Content"
                lines.append(b"Content-Range: bytes %d-%d/%d" % (first, last, len(content)))
            body = (content[first : last + 1] + bytes(max(0, surplus)))[: last + 1 - first + surplus]
            pieces = [body[start : start + 50_000] for start in range(0, len(body), 50_000)]
            chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
            await peer.send(b"\r\n".join(lines) + b"\r\n\r\n" + chunks + b"0\r\n\r\n")

    return handle


@pytest.mark.usefixtures("keys")
@pytest.mark.parametrize("size", [1, *SIZES])
async def test_a_body_in_chunks_is_as_good_as_any(tmp_path: Path, size: int) -> None:
    content = random.Random(size).randbytes(size)
    read = bytearray()
    async with HttpServer(chunking(content)) as server, Transfer(endpoint_url=server.url) as transfer:
        received = await transfer.copy("s3://bucket/key", tmp_path / "target")
        await transfer.cat("s3://bucket/key", read.extend)
    assert (tmp_path / "target").read_bytes() == content == bytes(read)
    assert (received.mover, received.retries, received.verified_by) == (Mover.RECV, 0, VerifiedBy.MD5_ETAG)


@pytest.mark.usefixtures("keys")
@pytest.mark.parametrize("surplus", [-1, 1])
@pytest.mark.parametrize("size", SIZES)
async def test_chunks_of_another_length_than_asked_for_are_refused(tmp_path: Path, size: int, surplus: int) -> None:
    once = TransferOptions(retries=0, resume=False)
    async with (
        HttpServer(chunking(bytes(size), surplus)) as server,
        Transfer(endpoint_url=server.url, options=once) as transfer,
    ):
        with pytest.raises(ProtocolError):
            await transfer.copy("s3://bucket/key", tmp_path / "target")
        with pytest.raises(ProtocolError):
            await transfer.cat("s3://bucket/key", bytearray().extend)
    assert list(tmp_path.iterdir()) == []
