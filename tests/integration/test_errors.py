"""What goes wrong is told: which kind, which object, what to do; and one cause ends a run once."""

import asyncio
import errno
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.integration.samples import keys_in, objects_in, put_objects, read_tree, sample, settled, write_tree
from tests.support import kernel_tls
from tests.support.http_server import HttpServer, Peer
from tests.support.servers import S3Server, free_ports
from transfer import Transfer, TransferError, TransferOptions
from transfer.model.errors import ConfigurationError, LocalFileError, StoreError, UsageError, WireError
from transfer.model.receipts import Failure
from transfer.wire.dial import Dialer
from transfer.wire.origin import parse_origin


async def _error_of(source: str | Path, destination: str | Path, **chosen: Any) -> TransferError:
    async with Transfer(**chosen) as transfer:
        with pytest.raises(TransferError) as caught:
            await transfer.copy(source, destination)
    return caught.value


async def test_missing_key(bucket: str, tmp_path: Path) -> None:
    (tmp_path / "old").write_bytes(b"old")

    error = await _error_of(f"s3://{bucket}/missing", tmp_path / "old")

    assert isinstance(error, StoreError)
    assert (error.kind, error.code, error.status) == ("store", "NoSuchKey", 404)
    assert error.subject == f"s3://{bucket}/missing"
    assert error.remedy == "check the key with: transfer ls"
    assert read_tree(tmp_path) == {"old": b"old"}


@pytest.mark.parametrize("direction", ["up", "down", "stat"])
async def test_missing_bucket(server: S3Server, tmp_path: Path, direction: str) -> None:
    (tmp_path / "file").write_bytes(b"x")
    url = "s3://there-is-no-such-bucket/key"

    async with Transfer() as transfer:
        with pytest.raises(StoreError) as caught:
            if direction == "stat":
                await transfer.stat(url)
            elif direction == "up":
                await transfer.copy(tmp_path / "file", url)
            else:
                await transfer.copy(url, tmp_path / "out")

    assert caught.value.code == "NoSuchBucket"
    assert caught.value.subject == url
    assert "transfer mb" in str(caught.value.remedy)


async def test_wrong_secret(
    seaweed: S3Server, seaweed_bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    (tmp_path / "file").write_bytes(b"x")

    for source, target in (
        (tmp_path / "file", f"s3://{seaweed_bucket}/file"),
        (f"s3://{seaweed_bucket}/file", tmp_path / "out"),
    ):
        error = await _error_of(source, target)

        assert isinstance(error, StoreError)
        assert (error.code, error.status) == ("SignatureDoesNotMatch", 403)
        assert error.subject == f"s3://{seaweed_bucket}/file"
        assert "AWS_SECRET_ACCESS_KEY" in str(error.remedy)


async def test_wrong_access_key(
    seaweed: S3Server, seaweed_bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")
    (tmp_path / "file").write_bytes(b"x")

    error = await _error_of(tmp_path / "file", f"s3://{seaweed_bucket}/file")

    assert isinstance(error, StoreError)
    assert (error.code, error.status) == ("InvalidAccessKeyId", 403)
    assert "AWS_ACCESS_KEY_ID" in str(error.remedy)


async def test_no_credentials(server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    (tmp_path / "file").write_bytes(b"x")

    error = await _error_of(tmp_path / "file", "s3://some-bucket/file")

    assert isinstance(error, ConfigurationError)
    assert error.kind == "configuration"
    assert "--no-sign-request" in str(error.remedy)


async def test_unknown_profile(server: S3Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")

    error = await _error_of(tmp_path / "file", "s3://some-bucket/file", profile="nobody")

    assert isinstance(error, ConfigurationError)
    assert "nobody" in error.message
    assert "--profile" in str(error.remedy)


async def test_refused_connection(server: S3Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    (port,) = free_ports(1)

    error = await _error_of(tmp_path / "file", "s3://bucket/file", endpoint_url=f"http://127.0.0.1:{port}")

    assert isinstance(error, WireError)
    assert error.kind == "connect"
    assert str(port) in str(error)
    assert error.remedy
    assert "after 3 attempts" in error.message


@asynccontextmanager
async def _talker(answer: bytes) -> AsyncIterator[str]:
    """Something that listens and is no S3 server."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\nContent-Type: text/html\r\n\r\n<html/>\r\n", "store"),
        (b"HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n", "store"),
        (b"220 mail.example.com ESMTP\r\n\r\n", "protocol"),
    ],
)
async def test_endpoint_that_is_no_s3(server: S3Server, tmp_path: Path, answer: bytes, kind: str) -> None:
    async with _talker(answer) as url:
        error = await _error_of(
            "s3://bucket/file", tmp_path / "file", endpoint_url=url, options=TransferOptions(retries=1)
        )

    assert error.kind == kind
    # Below HTTP semantics it is the server that is named.
    assert error.subject == (url if kind == "protocol" else "s3://bucket/file")
    assert read_tree(tmp_path) == {}


TLS_ALERT = b"\x15\x03\x01\x00\x02\x02\x28"
GO_WANTS_TLS = b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"


@pytest.mark.parametrize("answer", [TLS_ALERT, GO_WANTS_TLS])
@pytest.mark.parametrize("way", ["up", "down", "tree"])
async def test_https_spoken_to_in_http_is_told_at_once_and_once(
    server: S3Server, tmp_path: Path, answer: bytes, way: str
) -> None:
    write_tree(tmp_path / "tree", {"a": b"a", "b": b"b"})
    ends = {
        "up": (tmp_path / "tree" / "a", "s3://bucket/file"),
        "down": ("s3://bucket/file", tmp_path / "file"),
        "tree": (tmp_path / "tree", "s3://bucket/"),
    }
    source, destination = map(str, ends[way])
    async with _talker(answer) as url, Transfer(endpoint_url=url) as transfer:
        [failure] = await settled(transfer.copy_many([source], destination, recursive=way == "tree"))
        assert transfer.progress.retries == 0

    assert isinstance(failure, Failure)
    error = failure.error
    assert (error.kind, error.subject) == ("scheme", url)
    assert str(error.remedy).startswith("use https:// in --endpoint-url")


@pytest.mark.parametrize("for_files", [True, False])
@pytest.mark.parametrize(
    "answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"<!DOCTYPE HTML>", b"<html>", b"220 mail\r\n"]
)
async def test_http_spoken_to_in_tls_is_told(
    monkeypatch: pytest.MonkeyPatch, answer: bytes, *, for_files: bool
) -> None:
    kernel_tls.offer(monkeypatch, None)

    async def handle(peer: Peer) -> None:
        await peer.reader.readexactly(5)
        await peer.send(answer)
        await peer.wait_for_end()

    dialer = Dialer(verify_tls=True, ca_bundle=None, stall_seconds=30.0)
    async with HttpServer(handle) as server:
        with pytest.raises(WireError) as caught:
            await dialer.dial(parse_origin(f"https://127.0.0.1:{server.port}")[0], for_files=for_files)

    is_http = not answer.startswith(b"220")
    assert caught.value.kind == ("scheme" if is_http else "connect")
    assert str(caught.value.remedy).startswith("use http://" if is_http else "check that the endpoint speaks https")


async def test_unreadable_file(oracle: Any, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_tree(tmp_path, {"bad": b"1", "good": b"2"})
    real_open = os.open

    # Nothing is unreadable to root, whom tests may run as.
    def refusing_open(path: Any, *args: Any, **kwargs: Any) -> int:
        if str(path).endswith("/bad"):
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return real_open(path, *args, **kwargs)

    monkeypatch.setattr("transfer.stores.local.source.os.open", refusing_open)
    async with Transfer() as transfer:
        outcomes = await settled(transfer.copy_many([str(tmp_path)], f"s3://{bucket}/", recursive=True))

    (failure,) = [outcome for outcome in outcomes if isinstance(outcome, Failure)]
    assert failure.source == str(tmp_path / "bad")
    assert failure.error.kind == "local_file"
    assert failure.error.subject == str(tmp_path / "bad")
    assert failure.error.remedy == "check the permissions"
    assert keys_in(oracle, bucket) == ["good"]


async def test_missing_path_is_refused_before_anything_moves(oracle: Any, bucket: str, tmp_path: Path) -> None:
    (tmp_path / "there").write_bytes(b"x")

    async with Transfer() as transfer:
        with pytest.raises(LocalFileError) as caught:
            transfer.copy_many([str(tmp_path / "there"), str(tmp_path / "not")], f"s3://{bucket}/")

    assert caught.value.subject == str(tmp_path / "not")
    assert caught.value.remedy == "check the path: nothing has been copied"
    assert keys_in(oracle, bucket) == []


async def test_pattern_without_match_is_an_error(oracle: Any, bucket: str, tmp_path: Path) -> None:
    put_objects(oracle, bucket, {"a": b"1"})

    async with Transfer() as transfer:
        with pytest.raises(LocalFileError):
            await settled(transfer.copy_many([f"{tmp_path}/*.none"], f"s3://{bucket}/"))
        for source in (f"s3://{bucket}/none*", f"s3://{bucket}/none/"):
            with pytest.raises(StoreError) as caught:
                await settled(transfer.copy_many([source], str(tmp_path), recursive=True))
            assert (caught.value.code, caught.value.subject) == ("NoSuchKey", source)


@pytest.mark.parametrize(
    ("sources", "destination", "recursive"),
    [
        (["{folder}"], "s3://bucket/", False),
        (["s3://bucket/folder/"], "{folder}", False),
        (["s3://bucket"], "{folder}", False),
        (["{folder}/file"], "{folder}/other", False),
        (["{folder}/file", "{folder}/file"], "s3://bucket/key", False),
        (["s3://bucket/a", "s3://bucket/b"], "{folder}/file", False),
        (["s3://bucket/a*"], "{folder}/file", False),
        (["{folder}/file"], "s3://bucket/wild*", False),
        (["{folder}/file"], "ftp://host/key", False),
        (["{folder}/file"], "s3:///key", False),
        (["{folder}/file"], "s3://bad bucket/key", False),
        (["{folder}/file"], "s3://bucket/" + "k" * 1025, False),
        ([""], "s3://bucket/key", False),
        ([], "s3://bucket/key", False),
    ],
)
async def test_request_without_sense_is_a_usage_error(
    tmp_path: Path, sources: list[str], destination: str, recursive: bool
) -> None:
    (tmp_path / "file").write_bytes(b"x")
    named = [source.format(folder=tmp_path) for source in sources]

    async with Transfer(endpoint_url="http://127.0.0.1:9") as transfer:
        with pytest.raises(UsageError) as caught:
            transfer.copy_many(named, destination.format(folder=tmp_path), recursive=recursive)

    assert caught.value.remedy
    assert read_tree(tmp_path) == {"file": b"x"}


async def test_failure_that_concerns_every_item_ends_the_run_once(server: S3Server, tmp_path: Path) -> None:
    write_tree(tmp_path, {f"file{number}": sample(10, number) for number in range(50)})

    async with Transfer() as transfer:
        outcomes = await settled(transfer.copy_many([str(tmp_path)], "s3://there-is-no-such-bucket/", recursive=True))
        progress = transfer.progress

    (failure,) = outcomes
    assert isinstance(failure, Failure)
    assert isinstance(failure.error, StoreError)
    assert failure.error.code == "NoSuchBucket"
    assert progress.items_failed == 1


async def test_using_it_outside_its_context_is_a_mistake_that_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")

    with pytest.raises(RuntimeError, match="async with"):
        await Transfer(endpoint_url="http://127.0.0.1:9").copy(tmp_path / "file", "s3://bucket/key")


async def test_a_prefix_that_is_named_as_an_object_is_called_one(oracle: Any, bucket: str, tmp_path: Path) -> None:
    put_objects(oracle, bucket, {"site/a": b"1", "other": b"2"})
    prefix, missing = f"s3://{bucket}/site", f"s3://{bucket}/sit"
    target = f"s3://{bucket}/to/"
    async with Transfer() as transfer:
        for place, text in ((prefix, "it is a prefix, not an object; use -r"), (missing, "there is no such object")):
            for outcomes in (
                transfer.copy_many([place], str(tmp_path / "down")),
                transfer.copy_many([place], target),
                transfer.copy_many([place], target, dry_run=True),
                transfer.move_many([place], str(tmp_path / "down")),
                transfer.move_many([place], target),
                transfer.remove_many([place]),
                transfer.remove_many([place], dry_run=True),
            ):
                (failure,) = await settled(outcomes)
                assert isinstance(failure, Failure)
                assert str(failure.error).startswith(f"{place}: {text}")
                assert isinstance(failure.error, StoreError)
                assert failure.error.code == "NoSuchKey"
    assert objects_in(oracle, bucket) == {"site/a": b"1", "other": b"2"}
