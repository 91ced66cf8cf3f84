"""Which server, which region, whose keys: from the environment, from files, from a program, or nobody's."""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from botocore.exceptions import ConnectionClosedError, EndpointConnectionError, SSLError
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.integration.samples import get_object, put_objects
from tests.support.servers import NO_AWS_CONFIGURATION, S3Server
from transfer import ConnectionOptions, Transfer, TransferOptions
from transfer.engine.limiter import BandwidthLimiter
from transfer.model.errors import ConfigurationError, ConnectError, StoreError
from transfer.model.options import AddressingStyle
from transfer.plan.rate import TokenBucket
from transfer.stores.s3.botocore_access import BotocoreAccess, botocore_errors
from transfer.stores.s3.credentials import Credentials
from transfer.stores.s3.static_access import region_of, static_access

ENDPOINTS = st.sampled_from(
    [
        "http://127.0.0.1:9000",
        "http://localhost:8333/",
        "https://storage.example.com",
        "https://storage.example.com:8443/with/path",
        "https://storage.example.com/slash/",
        "http://[::1]:9000",
        "https://s3.eu-central-1.amazonaws.com",
    ]
)
REGIONS = st.sampled_from([None, "us-east-1", "eu-west-1", "auto"])
BUCKETS = st.sampled_from(["bucket", "with.dots.in.it", "with-hyphens-1", "UPPER_and_under"])


@st.composite
def environments(draw: st.DrawFn) -> dict[str, str]:
    possible = {
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_SESSION_TOKEN": draw(st.sampled_from([None, "token"])),
        "AWS_ENDPOINT_URL": draw(st.none() | ENDPOINTS),
        "AWS_ENDPOINT_URL_S3": draw(st.none() | ENDPOINTS),
        "AWS_REGION": draw(REGIONS),
        "AWS_DEFAULT_REGION": draw(REGIONS),
        "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": draw(st.sampled_from([None, None, "true", "false"])),
    }
    return {**NO_AWS_CONFIGURATION, **{name: value for name, value in possible.items() if value is not None}}


@settings(max_examples=40, deadline=None)
@given(
    environment=environments(),
    endpoint_url=st.none() | ENDPOINTS,
    region=REGIONS,
    style=st.sampled_from([AddressingStyle.AUTO, AddressingStyle.PATH]),
    sign_request=st.booleans(),
    bucket=BUCKETS,
    learnt_region=st.sampled_from([None, "eu-north-1"]),
)
async def test_short_way_answers_as_botocore(
    environment: dict[str, str],
    endpoint_url: str | None,
    region: str | None,
    style: AddressingStyle,
    sign_request: bool,
    bucket: str,
    learnt_region: str | None,
) -> None:
    options = ConnectionOptions(
        endpoint_url=endpoint_url, region=region, addressing_style=style, sign_request=sign_request
    )
    short = static_access(options, environment)
    if short is None:
        assert not endpoint_url
        return
    with mock.patch.dict(os.environ, environment):
        oracle = BotocoreAccess(options, region_of(options, environment))
        try:
            expected = (await oracle.credentials(), await oracle.bucket_endpoint(bucket, learnt_region))
        finally:
            await oracle.aclose()

    assert (await short.credentials(), await short.bucket_endpoint(bucket, learnt_region)) == expected


KEYS_AND_ENDPOINT = {
    "AWS_ACCESS_KEY_ID": "key",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_ENDPOINT_URL": "http://127.0.0.1:9000",
    **NO_AWS_CONFIGURATION,
}


@pytest.mark.parametrize(
    ("change", "options"),
    [
        ({"AWS_PROFILE": "work"}, ConnectionOptions()),
        ({"AWS_DEFAULT_PROFILE": "work"}, ConnectionOptions()),
        ({}, ConnectionOptions(profile="work")),
        ({}, ConnectionOptions(addressing_style=AddressingStyle.VIRTUAL)),
        ({"AWS_ENDPOINT_URL": ""}, ConnectionOptions()),
        ({"AWS_ACCESS_KEY_ID": ""}, ConnectionOptions()),
        ({"AWS_SECRET_ACCESS_KEY": ""}, ConnectionOptions()),
    ],
)
def test_short_way_is_silent_when_others_have_a_say(change: dict[str, str], options: ConnectionOptions) -> None:
    assert static_access(ConnectionOptions(), KEYS_AND_ENDPOINT) is not None
    assert static_access(options, {**KEYS_AND_ENDPOINT, **change}) is None


@pytest.mark.parametrize(
    "line", ["endpoint_url = http://elsewhere", "s3 =\n  addressing_style = virtual", "use_fips_endpoint = true"]
)
def test_short_way_is_silent_when_a_file_says_more(tmp_path: Path, line: str) -> None:
    config = tmp_path / "config"
    config.write_text(f"[default]\n{line}\n")

    assert static_access(ConnectionOptions(), {**KEYS_AND_ENDPOINT, "AWS_CONFIG_FILE": str(config)}) is None


@pytest.fixture
def files(server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An environment that says nothing, and AWS files of one's own."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    return tmp_path


async def _copies(bucket: str, oracle: Any, folder: Path, **chosen: Any) -> None:
    """Move a file with the given choices, which must be enough to reach the server."""
    source = folder / "file.bin"
    source.write_bytes(b"content")
    async with Transfer(**chosen) as transfer:
        await transfer.copy(source, f"s3://{bucket}/file.bin")
        await transfer.copy(f"s3://{bucket}/file.bin", folder / "back.bin")
    assert get_object(oracle, bucket, "file.bin") == b"content"
    assert (folder / "back.bin").read_bytes() == b"content"


def _keys(server: S3Server) -> str:
    return f"aws_access_key_id = {server.access_key}\naws_secret_access_key = {server.secret_key}\n"


@pytest.mark.parametrize("by_environment", [True, False])
async def test_profile_names_keys_server_and_region(
    server: S3Server,
    oracle: Any,
    bucket: str,
    files: Path,
    monkeypatch: pytest.MonkeyPatch,
    by_environment: bool,
) -> None:
    (files / "credentials").write_text(f"[work]\n{_keys(server)}")
    (files / "config").write_text(f"[profile work]\nregion = eu-west-1\nendpoint_url = {server.endpoint_url}\n")
    if by_environment:
        monkeypatch.setenv("AWS_PROFILE", "work")

    await _copies(bucket, oracle, files, profile=None if by_environment else "work")


async def test_default_profile_with_the_server_as_an_option(
    server: S3Server, oracle: Any, bucket: str, files: Path
) -> None:
    (files / "credentials").write_text(f"[default]\n{_keys(server)}")

    await _copies(bucket, oracle, files, endpoint_url=server.endpoint_url)


async def test_server_of_a_services_section(server: S3Server, oracle: Any, bucket: str, files: Path) -> None:
    (files / "config").write_text(
        f"[profile work]\nservices = mine\n{_keys(server)}"
        f"[services mine]\ns3 =\n  endpoint_url = {server.endpoint_url}\n"
    )

    await _copies(bucket, oracle, files, profile="work")


async def test_option_wins_over_the_environment(
    server: S3Server, oracle: Any, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")

    await _copies(bucket, oracle, tmp_path, endpoint_url=server.endpoint_url)


async def test_credential_process_is_asked_again_when_its_keys_expire(
    server: S3Server, oracle: Any, bucket: str, files: Path
) -> None:
    calls = files / "calls"
    program = files / "issue.py"
    answer = {
        "Version": 1,
        "AccessKeyId": server.access_key,
        "SecretAccessKey": server.secret_key,
        "SessionToken": "",
        "Expiration": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 60)),
    }
    program.write_text(
        f"import pathlib\nwith pathlib.Path({str(calls)!r}).open('a') as log:\n    log.write('x')\n"
        f"print({json.dumps(answer)!r})\n"
    )
    (files / "config").write_text(
        f"[profile issued]\nendpoint_url = {server.endpoint_url}\ncredential_process = {sys.executable} {program}\n"
    )

    await _copies(bucket, oracle, files, profile="issued")
    asked_by_a_run = len(calls.read_text())

    assert asked_by_a_run >= 1
    access = BotocoreAccess(ConnectionOptions(profile="issued"), None)
    assert await access.credentials() == Credentials(server.access_key, server.secret_key, None)
    # The same keys are no newer ones, so a refusal is not answered by asking for ever.
    assert await access.renew_credentials() is False
    assert len(calls.read_text()) > asked_by_a_run
    await access.aclose()


async def test_anonymous_request_carries_no_signature(server: S3Server, oracle: Any, bucket: str, files: Path) -> None:
    put_objects(oracle, bucket, {"file": b"content"})
    if server.name == "moto":
        oracle.put_object_acl(Bucket=bucket, Key="file", ACL="public-read")
    connection = ConnectionOptions(endpoint_url=server.endpoint_url, sign_request=False)

    async with Transfer(connection=connection) as transfer:
        if server.name == "moto":
            await transfer.copy(f"s3://{bucket}/file", files / "file")
            assert (files / "file").read_bytes() == b"content"
        else:
            with pytest.raises(StoreError) as caught:
                await transfer.copy(f"s3://{bucket}/file", files / "file")
            assert (caught.value.status, caught.value.code) == (403, "AccessDenied")


async def test_no_keys_anywhere_is_told_before_any_request(server: S3Server, files: Path) -> None:
    async with Transfer(endpoint_url=server.endpoint_url) as transfer:
        with pytest.raises(ConfigurationError):
            await transfer.stat("s3://bucket/key")


async def test_rate_limit_lets_all_bytes_through_the_bucket(
    oracle: Any, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reserved: list[int] = []
    real = TokenBucket.reserve

    def reserve(self: TokenBucket, now_seconds: float, count: int) -> float:
        reserved.append(count)
        real(self, now_seconds, count)
        # What the bucket says is tested elsewhere; here nobody waits.
        return 0.0

    monkeypatch.setattr(TokenBucket, "reserve", reserve)
    (tmp_path / "file").write_bytes(b"x" * 3_000_000)
    options = TransferOptions(limit_rate_bytes_per_second=1_000_000)

    async with Transfer(options=options) as transfer:
        await transfer.copy(tmp_path / "file", f"s3://{bucket}/file")
        sent = sum(reserved)
        await transfer.copy(f"s3://{bucket}/file", tmp_path / "back")

    assert sent == 3_000_000
    # What arrived together with the head of the answer was not waited for.
    assert 3_000_000 - 64 * 1024 <= sum(reserved) - sent <= 3_000_000
    assert max(reserved) <= BandwidthLimiter(1_000_000).step_bytes


async def test_limiter_waits_as_long_as_the_bucket_says(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr("transfer.engine.limiter.asyncio.sleep", sleep)
    limiter = BandwidthLimiter(1000.0)

    await limiter.admit(limiter.step_bytes)
    await limiter.admit(2000)

    assert waited == [pytest.approx(2.0, abs=0.5)]


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        (SSLError(endpoint_url="https://host", error="wrong version number"), "http or https?"),
        (ConnectionClosedError(endpoint_url="http://host"), "http or https?"),
        (EndpointConnectionError(endpoint_url="http://host"), "the server is up"),
    ],
)
def test_buckets_that_cannot_be_asked_for_are_told_with_a_remedy(error: Exception, remedy: str) -> None:
    with pytest.raises(ConnectError) as caught, botocore_errors():
        raise error
    assert remedy in (caught.value.remedy or "")
