"""The same bytes move whatever carries them: the kernel, the portable mover, or TLS."""

import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.certificates import make_certificate
from tests.support.fault_proxy import FaultProxy
from tests.support.http_server import server_context
from tests.support.servers import S3Server
from transfer.engine.transfer import Transfer
from transfer.model.checksums import VerifiedBy
from transfer.model.errors import TlsError
from transfer.model.events import Event
from transfer.model.options import ConnectionOptions
from transfer.model.receipts import Mover
from transfer.wire import dial
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
    encrypted: FaultProxy, certificates: tuple[Path, Path, Path], seaweed_bucket: str, tmp_path: Path, size: int
) -> None:
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
