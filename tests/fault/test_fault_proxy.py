"""The proxy must hurt exactly what it was told to hurt; otherwise every fault test is worthless."""

import asyncio
import http.client
import os
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import botocore.exceptions
import pytest

from tests.support.certificates import make_certificate
from tests.support.chance import KINDS, Chance
from tests.support.fault_proxy import REFUSED, FaultProxy, ThreadedFaultProxy
from tests.support.faults import (
    AnswerTime,
    ClockAhead,
    CloseIdle,
    Direction,
    DropAnswer,
    Fault,
    FlipBit,
    RefuseConnections,
    ReplaceBody,
    Reset,
    Respond,
    Stall,
    Trickle,
    Truncate,
    s3_error,
)
from tests.support.http_messages import RequestHead, read_request_head, request_body
from tests.support.servers import S3Server

BODY = bytes(range(256)) * 1024


class EchoServer:
    """Answers each request with its own body; targets below /chunked and /close choose the framing."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self) -> asyncio.Server:
        return await asyncio.start_server(self._accept, "127.0.0.1", 0)

    async def finish(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._answer(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda _: writer.close())

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await read_request_head(reader)
            if head is None:
                return
            if head.header("Expect"):
                writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            body = b"".join([piece.data async for piece in request_body(reader, head) if piece.is_payload])
            self.bodies.append(body)
            if head.target.startswith("/chunked"):
                writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                for start in range(0, len(body), 100_000):
                    chunk = body[start : start + 100_000]
                    writer.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
                writer.write(b"0\r\n\r\n")
            elif head.target.startswith("/close"):
                writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + body)
            else:
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body))
                writer.write(b"" if head.method == "HEAD" else body)
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            return


@pytest.fixture
async def echo() -> AsyncIterator[tuple[EchoServer, str]]:
    echo = EchoServer()
    server = await echo.serve()
    yield echo, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    server.close()
    await echo.finish()
    await server.wait_closed()


@contextmanager
def connected(url: str) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=20)
    try:
        yield connection
    finally:
        connection.close()


def exchange(
    connection: http.client.HTTPConnection, method: str = "PUT", target: str = "/x", body: bytes = BODY
) -> tuple[int, bytes]:
    connection.request(method, target, body)
    answer = connection.getresponse()
    return answer.status, answer.read()


def ask(url: str, method: str = "PUT", target: str = "/x", body: bytes = BODY) -> tuple[int, bytes]:
    with connected(url) as connection:
        return exchange(connection, method, target, body)


def differing_bytes(left: bytes, right: bytes) -> list[int]:
    assert len(left) == len(right)
    return [position for position, (a, b) in enumerate(zip(left, right, strict=True)) if a != b]


@pytest.mark.parametrize("target", ["/counted", "/chunked", "/close"])
async def test_bytes_pass_untouched_without_a_fault(echo: tuple[EchoServer, str], target: str) -> None:
    async with FaultProxy(echo[1]) as proxy:
        assert await asyncio.to_thread(ask, proxy.endpoint_url, target=target) == (200, BODY)
    assert echo[0].bodies == [BODY]
    (seen,) = proxy.requests
    assert (seen.method, seen.target, seen.status) == ("PUT", target, 200)
    assert (seen.body_bytes_up, seen.body_bytes_down) == (len(BODY), len(BODY))
    assert seen.header("host") == urlsplit(proxy.endpoint_url).netloc


async def test_chunked_upload_passes_untouched(echo: tuple[EchoServer, str]) -> None:
    def upload(url: str) -> bytes:
        with connected(url) as connection:
            connection.request("PUT", "/x", iter([BODY[:1000], BODY[1000:]]), encode_chunked=True)
            return connection.getresponse().read()

    async with FaultProxy(echo[1]) as proxy:
        assert await asyncio.to_thread(upload, proxy.endpoint_url) == BODY
    assert echo[0].bodies == [BODY]


async def test_connection_is_kept_alive_between_requests(echo: tuple[EchoServer, str]) -> None:
    def twice(url: str) -> None:
        with connected(url) as connection:
            exchange(connection)
            assert exchange(connection, "HEAD") == (200, b"")
            assert exchange(connection, target="/chunked")[1] == BODY

    async with FaultProxy(echo[1]) as proxy:
        await asyncio.to_thread(twice, proxy.endpoint_url)
    assert proxy.connections == 1
    assert [seen.connection for seen in proxy.requests] == [1, 1, 1]


@pytest.mark.parametrize("target", ["/counted", "/chunked", "/close"])
@pytest.mark.parametrize("at_byte", [0, 65_536, len(BODY) - 1])
@pytest.mark.parametrize("direction", list(Direction))
async def test_flip_bit_changes_one_bit_of_one_byte(
    echo: tuple[EchoServer, str], direction: Direction, at_byte: int, target: str
) -> None:
    async with FaultProxy(echo[1], FlipBit(direction=direction, at_byte=at_byte, bit=3)) as proxy:
        status, body = await asyncio.to_thread(ask, proxy.endpoint_url, target=target)
    assert status == 200
    assert differing_bytes(body, BODY) == [at_byte]
    assert body[at_byte] == BODY[at_byte] ^ 8
    assert (echo[0].bodies == [BODY]) is (direction is Direction.DOWN)
    assert not proxy.unspent()


@pytest.mark.parametrize("at_byte", [0, 1, 100_000])
async def test_truncate_ends_the_answer_cleanly_at_the_byte(echo: tuple[EchoServer, str], at_byte: int) -> None:
    async with FaultProxy(echo[1], Truncate(at_byte=at_byte)) as proxy:
        with pytest.raises(http.client.IncompleteRead) as caught:
            await asyncio.to_thread(ask, proxy.endpoint_url)
    assert caught.value.partial == BODY[:at_byte]
    assert proxy.requests[0].body_bytes_down == at_byte


async def test_truncate_of_an_answer_without_length_looks_complete(echo: tuple[EchoServer, str]) -> None:
    async with FaultProxy(echo[1], Truncate(at_byte=5)) as proxy:
        assert await asyncio.to_thread(ask, proxy.endpoint_url, target="/close") == (200, BODY[:5])


@pytest.mark.parametrize("at_byte", [None, 0, 70_000])
@pytest.mark.parametrize("direction", list(Direction))
async def test_reset_is_seen_as_a_reset(
    echo: tuple[EchoServer, str], direction: Direction, at_byte: int | None
) -> None:
    async with FaultProxy(echo[1], Reset(direction=direction, at_byte=at_byte)) as proxy:
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            await asyncio.to_thread(ask, proxy.endpoint_url)
    (seen,) = proxy.requests
    moved = seen.body_bytes_up if direction is Direction.UP else seen.body_bytes_down
    assert moved == (at_byte or 0)
    assert (echo[0].bodies == [BODY]) is (direction is Direction.DOWN)


@pytest.mark.parametrize("at_byte", [None, 0, 70_000])
async def test_stall_stops_the_answer_until_the_proxy_closes(echo: tuple[EchoServer, str], at_byte: int | None) -> None:
    async with FaultProxy(echo[1], Stall(at_byte=at_byte)) as proxy:
        asking = asyncio.create_task(asyncio.to_thread(ask, proxy.endpoint_url))
        await proxy.wait_until(lambda: bool(proxy.requests and proxy.requests[0].fault_applied))
        assert not asking.done()
    with pytest.raises((http.client.HTTPException, OSError)):
        await asking
    assert proxy.requests[0].body_bytes_down == (at_byte or 0)


async def test_stall_of_an_upload_never_reaches_the_server(echo: tuple[EchoServer, str]) -> None:
    async with FaultProxy(echo[1], Stall(direction=Direction.UP, at_byte=10)) as proxy:
        asking = asyncio.create_task(asyncio.to_thread(ask, proxy.endpoint_url))
        await proxy.wait_until(lambda: bool(proxy.requests and proxy.requests[0].fault_applied))
    with pytest.raises((http.client.HTTPException, OSError)):
        await asking
    assert proxy.requests[0].body_bytes_up == 10
    assert echo[0].bodies == []


async def test_respond_answers_in_the_servers_place_and_keeps_the_connection(
    echo: tuple[EchoServer, str],
) -> None:
    def twice(url: str) -> tuple[tuple[int, bytes], tuple[int, bytes]]:
        with connected(url) as connection:
            return exchange(connection), exchange(connection)

    fault = Respond(status=503, body=b"<Error/>", headers=(("Retry-After", "1"),))
    async with FaultProxy(echo[1], fault) as proxy:
        refused, served = await asyncio.to_thread(twice, proxy.endpoint_url)
    assert (refused, served) == ((503, b"<Error/>"), (200, BODY))
    assert proxy.connections == 1
    assert [seen.body_bytes_up for seen in proxy.requests] == [len(BODY), len(BODY)]
    assert echo[0].bodies == [BODY]


async def test_respond_lets_a_client_that_waits_for_100_continue_send_its_body(
    echo: tuple[EchoServer, str],
) -> None:
    async with FaultProxy(echo[1], Respond(status=403)) as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(proxy.endpoint_url).port)
        writer.write(b"PUT /x HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"abc")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 403 Forbidden\r\n")
        writer.close()
        await writer.wait_closed()
    assert proxy.requests[0].body_bytes_up == 3


@pytest.mark.parametrize("answer_time", [AnswerTime.BEFORE_BODY_THEN_CLOSE, AnswerTime.BEFORE_BODY_NEVER_READ])
async def test_early_answer_comes_before_the_body_is_sent(
    echo: tuple[EchoServer, str], answer_time: AnswerTime
) -> None:
    async with FaultProxy(echo[1], Respond(status=503, body=b"busy", answer_time=answer_time)) as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(proxy.endpoint_url).port)
        writer.write(b"PUT /x HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
        assert await reader.readexactly(4) == b"busy"
        if answer_time is AnswerTime.BEFORE_BODY_THEN_CLOSE:
            assert await reader.read() == b""
        else:
            writer.write(b"more")
            await writer.drain()
            assert not reader.at_eof()
        writer.close()
        await writer.wait_closed()
    assert echo[0].bodies == []
    assert not proxy.unspent()


async def test_replace_body_applies_the_request_and_hides_the_true_answer(
    echo: tuple[EchoServer, str],
) -> None:
    async with FaultProxy(echo[1], ReplaceBody(body=b"<Error/>")) as proxy:
        assert await asyncio.to_thread(ask, proxy.endpoint_url) == (200, b"<Error/>")
    assert echo[0].bodies == [BODY]


async def test_drop_answer_applies_the_request_and_answers_nothing(echo: tuple[EchoServer, str]) -> None:
    async with FaultProxy(echo[1], DropAnswer()) as proxy:
        with pytest.raises(http.client.RemoteDisconnected):
            await asyncio.to_thread(ask, proxy.endpoint_url)
    assert echo[0].bodies == [BODY]
    assert proxy.requests[0].status is None


async def test_drop_answer_may_end_in_a_reset(echo: tuple[EchoServer, str]) -> None:
    async with FaultProxy(echo[1], DropAnswer(reset=True)) as proxy:
        with pytest.raises(ConnectionResetError):
            await asyncio.to_thread(ask, proxy.endpoint_url)
    assert echo[0].bodies == [BODY]


@pytest.mark.parametrize("at_byte", [0, 65_530])
@pytest.mark.parametrize("direction", list(Direction))
async def test_trickle_passes_single_bytes_after_the_byte(
    echo: tuple[EchoServer, str], direction: Direction, at_byte: int
) -> None:
    async with FaultProxy(echo[1], Trickle(direction=direction, at_byte=at_byte, pause_seconds=0.001)) as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(proxy.endpoint_url).port)
        body = BODY[: at_byte + 20]
        writer.write(b"PUT /x HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        await reader.readuntil(b"\r\n\r\n")
        read = bytearray(await reader.readexactly(at_byte))
        while len(read) < len(body):
            piece = await reader.read(4096)
            assert direction is Direction.UP or len(piece) < 20
            read += piece
        assert read == body
        assert proxy.injected == {"Trickle": 1}
        writer.close()
        await writer.wait_closed()
    assert echo[0].bodies == [body]


async def test_refused_connections_are_reset_as_they_come(echo: tuple[EchoServer, str]) -> None:
    def refused_then_served(url: str, times: int) -> tuple[int, bytes]:
        for _ in range(times):
            with pytest.raises((ConnectionResetError, BrokenPipeError)):
                ask(url)
        return ask(url)

    async with FaultProxy(echo[1]) as proxy:
        proxy.refuse(2)
        assert await asyncio.to_thread(refused_then_served, proxy.endpoint_url, 2) == (200, BODY)
        assert proxy.injected == {REFUSED: 2}
        proxy.arm(RefuseConnections(connections=3))
        assert await asyncio.to_thread(refused_then_served, proxy.endpoint_url, 4) == (200, BODY)
    assert proxy.injected == {REFUSED: 5, "RefuseConnections": 1}
    assert echo[0].bodies == [BODY, BODY]


async def test_a_closed_listener_refuses_until_it_opens_at_the_same_address(echo: tuple[EchoServer, str]) -> None:
    async with FaultProxy(echo[1]) as proxy:
        url = proxy.endpoint_url
        with connected(url) as standing:
            assert await asyncio.to_thread(exchange, standing) == (200, BODY)
            await proxy.close_listener()
            with pytest.raises(ConnectionRefusedError):
                await asyncio.to_thread(ask, url)
            assert await asyncio.to_thread(exchange, standing) == (200, BODY)
        await proxy.open_listener()
        assert await asyncio.to_thread(ask, url) == (200, BODY)


async def test_only_what_reached_the_server_or_came_from_it_is_counted(echo: tuple[EchoServer, str]) -> None:
    faults = (Respond(status=500, target="/a"), DropAnswer(target="/b"), Truncate(target="/c", at_byte=10))

    def run(url: str) -> None:
        ask(url, target="/a")
        for target in ("/b", "/c"):
            with pytest.raises(http.client.HTTPException):
                ask(url, target=target)
        ask(url, target="/b")

    async with FaultProxy(echo[1], *faults) as proxy:
        await asyncio.to_thread(run, proxy.endpoint_url)
    moved = proxy.moved()
    size = len(BODY)
    assert (moved["PUT", "/a"], moved["PUT", "/b"]) == ((0, 0), (2 * size, 2 * size))
    assert moved["PUT", "/c"].up == size
    assert 10 < moved["PUT", "/c"].down <= size
    assert (proxy.bytes_up, proxy.bytes_down) == (3 * size, 2 * size + moved["PUT", "/c"].down)
    assert proxy.injected == {"Respond": 1, "DropAnswer": 1, "Truncate": 1}
    times = [(seen.began_seconds, seen.ended_seconds or 0.0) for seen in proxy.requests]
    assert times == sorted(times)
    assert all(began <= ended for began, ended in times)


async def test_a_clock_ahead_refuses_the_wrong_time_and_tells_the_right_one(echo: tuple[EchoServer, str]) -> None:
    ahead = timedelta(minutes=9)

    def run(url: str) -> list[int]:
        statuses = []
        clock = datetime.now(UTC)
        for _ in range(2):
            with connected(url) as connection:
                connection.request("GET", "/x", headers={"x-amz-date": clock.strftime("%Y%m%dT%H%M%SZ")})
                answer = connection.getresponse()
                statuses.append(answer.status)
                clock = parsedate_to_datetime(answer.headers.get("Date") or "Thu, 01 Jan 1970 00:00:00 GMT")
        return statuses

    async with FaultProxy(echo[1], ClockAhead(ahead=ahead)) as proxy:
        assert await asyncio.to_thread(run, proxy.endpoint_url) == [403, 200]


async def test_faults_and_chance_are_changed_while_the_proxy_runs(echo: tuple[EchoServer, str]) -> None:
    def run(url: str, proxy: ThreadedFaultProxy) -> list[int]:
        statuses = [ask(url)[0]]
        proxy.arm(chance=Chance(1, 1.0, ["503"]))
        statuses.append(ask(url)[0])
        proxy.arm(s3_error(403, "ExpiredToken", times=None))
        statuses.append(ask(url)[0])
        proxy.disarm()
        statuses.append(ask(url)[0])
        proxy.close_listener()
        with pytest.raises(ConnectionRefusedError):
            ask(url)
        proxy.open_listener()
        return [*statuses, ask(url)[0]]

    with ThreadedFaultProxy(echo[1]) as proxy:
        assert await asyncio.to_thread(run, proxy.endpoint_url, proxy) == [200, 503, 403, 200, 200]
    assert proxy.injected == {"503": 1, "ExpiredToken": 1}
    assert (proxy.bytes_up, proxy.bytes_down) == (3 * len(BODY), 3 * len(BODY))
    assert proxy.moved() == {("PUT", "/x"): (3 * len(BODY), 3 * len(BODY))}


def requests_of_a_run(upload_id: str) -> list[RequestHead]:
    heads = [RequestHead(b"", "GET", f"/b/key{n}", (("Range", "bytes=0-9"),)) for n in range(100)]
    target = f"/b/large?partNumber={{}}&uploadId={upload_id}"
    heads += [RequestHead(b"", "PUT", target.format(n), (("Content-Length", "500"),)) for n in range(100)]
    heads += [RequestHead(b"", "POST", f"/b/large{n}?uploadId={upload_id}", ()) for n in range(50)]
    return [*heads, *heads]


def choices(seed: int, heads: list[RequestHead]) -> list[tuple[str, Fault | None]]:
    chance = Chance(seed, 0.5, KINDS)
    return sorted(((head.target.partition("uploadId")[0], chance.choose(head)) for head in heads), key=repr)


def test_chance_depends_on_the_seed_and_never_on_the_order_of_requests() -> None:
    heads = requests_of_a_run("one")
    assert choices(1, heads) == choices(1, heads[::-1]) == choices(1, requests_of_a_run("another"))
    assert choices(1, heads) != choices(2, heads)
    chosen = [fault for _, fault in choices(1, heads) if fault is not None]
    assert {fault.kind for fault in chosen} == set(KINDS)
    assert 200 < len(chosen) < 300


def test_chance_of_zero_hurts_nothing_and_of_one_everything() -> None:
    heads = requests_of_a_run("one")
    assert [Chance(1, 0.0).choose(head) for head in heads] == [None] * len(heads)
    assert None not in [Chance(1, 1.0).choose(head) for head in heads]


async def test_close_idle_ends_the_connection_after_a_whole_answer(echo: tuple[EchoServer, str]) -> None:
    async with FaultProxy(echo[1], CloseIdle(nth=2)) as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(proxy.endpoint_url).port)
        for _ in range(2):
            assert not reader.at_eof()
            writer.write(b"PUT /x HTTP/1.1\r\nContent-Length: 2\r\n\r\nhi")
            head = await reader.readuntil(b"\r\n\r\n")
            assert b"close" not in head
            assert await reader.readexactly(2) == b"hi"
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()
    assert not proxy.unspent()


async def test_nth_and_times_choose_the_requests(echo: tuple[EchoServer, str]) -> None:
    fault = Respond(status=500, method="PUT", target=r"partNumber=2\b", nth=2, times=2)

    def run(url: str) -> list[int]:
        ask(url, target="/x?partNumber=20")
        ask(url, "POST", target="/x?partNumber=2")
        return [ask(url, target="/x?partNumber=2")[0] for _ in range(5)]

    async with FaultProxy(echo[1], fault) as proxy:
        assert await asyncio.to_thread(run, proxy.endpoint_url) == [200, 500, 500, 200, 200]
    assert [seen.fault for seen in proxy.requests].count(fault) == 2
    assert len(proxy.seen("PUT", r"partNumber=2\b")) == 5


async def test_times_none_hits_every_request(echo: tuple[EchoServer, str]) -> None:
    async with FaultProxy(echo[1]) as proxy:
        proxy.arm(Respond(status=500, times=None))
        for _ in range(3):
            assert (await asyncio.to_thread(ask, proxy.endpoint_url))[0] == 500


async def test_first_covering_fault_wins_and_the_others_stay_unspent(echo: tuple[EchoServer, str]) -> None:
    winner, beaten, elsewhere = Respond(status=500), Respond(status=501), DropAnswer(target="/y")
    async with FaultProxy(echo[1], winner, beaten, elsewhere) as proxy:
        assert (await asyncio.to_thread(ask, proxy.endpoint_url))[0] == 500
    assert proxy.unspent() == [beaten, elsewhere]


async def test_client_that_leaves_during_its_upload_ends_the_exchange(echo: tuple[EchoServer, str]) -> None:
    async with FaultProxy(echo[1]) as proxy:
        _, writer = await asyncio.open_connection("127.0.0.1", urlsplit(proxy.endpoint_url).port)
        writer.write(b"PUT /x HTTP/1.1\r\nContent-Length: 100\r\n\r\nonly this")
        await proxy.wait_until(lambda: bool(proxy.requests))
        writer.close()
        await writer.wait_closed()
    assert echo[0].bodies == []


def test_matching_looks_at_method_and_target() -> None:
    head = RequestHead(b"", "GET", "/bucket/key?versionId=1", ())
    assert Fault().matches(head)
    assert Fault(method="GET", target=r"/key\?").matches(head)
    assert not Fault(method="PUT").matches(head)
    assert not Fault(target="^/key").matches(head)


async def test_tls_clients_reach_a_plain_server(echo: tuple[EchoServer, str], tmp_path: Path) -> None:
    authority, certificate, key = make_certificate(tmp_path)
    ours = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ours.load_cert_chain(certificate, key)
    theirs = ssl.create_default_context(cafile=str(authority))
    theirs.verify_flags |= ssl.VERIFY_X509_STRICT

    def run(url: str) -> tuple[int, bytes]:
        connection = http.client.HTTPSConnection(urlsplit(url).netloc, context=theirs, timeout=20)
        try:
            return exchange(connection)
        finally:
            connection.close()

    async with FaultProxy(echo[1], FlipBit(at_byte=7), Reset(at_byte=9, nth=2), tls=ours) as proxy:
        assert proxy.endpoint_url.startswith("https://")
        assert differing_bytes((await asyncio.to_thread(run, proxy.endpoint_url))[1], BODY) == [7]
        # Python's ssl shows a reset as the end of the stream.
        with pytest.raises((http.client.IncompleteRead, OSError)):
            await asyncio.to_thread(run, proxy.endpoint_url)
        assert await asyncio.to_thread(run, proxy.endpoint_url) == (200, BODY)


def test_certificate_of_an_unknown_authority_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    _, certificate, key = make_certificate(tmp_path)
    stranger, _, _ = make_certificate(tmp_path / "other")
    ours = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ours.load_cert_chain(certificate, key)
    with ThreadedFaultProxy("http://127.0.0.1:9", tls=ours) as proxy:
        address = ("127.0.0.1", urlsplit(proxy.endpoint_url).port)
        with socket.create_connection(address, timeout=20) as plain:
            theirs = ssl.create_default_context(cafile=str(stranger))
            with pytest.raises(ssl.SSLCertVerificationError):
                theirs.wrap_socket(plain, server_hostname="localhost")


def test_signed_requests_pass_through_to_both_servers(
    server: S3Server, oracle: Any, bucket: str, s3_client: Callable[[S3Server], Any]
) -> None:
    data = os.urandom(6 * 1024 * 1024)
    with ThreadedFaultProxy(server.endpoint_url) as proxy:
        client = s3_client(server.at(proxy.endpoint_url))
        client.put_object(Bucket=bucket, Key="a key/ä+&", Body=data)
        got = client.get_object(Bucket=bucket, Key="a key/ä+&")["Body"].read()
        upload = client.create_multipart_upload(Bucket=bucket, Key="parts")["UploadId"]
        place = {"Bucket": bucket, "Key": "parts", "UploadId": upload}
        with ThreadPoolExecutor(2) as pool:
            parts = list(pool.map(lambda n: client.upload_part(PartNumber=n, Body=data, **place), (1, 2)))
        numbered = [{"ETag": part["ETag"], "PartNumber": n} for n, part in enumerate(parts, 1)]
        client.complete_multipart_upload(MultipartUpload={"Parts": numbered}, **place)
        listed = {entry["Key"] for entry in client.list_objects_v2(Bucket=bucket)["Contents"]}
    assert got == data
    assert oracle.get_object(Bucket=bucket, Key="parts")["Body"].read() == data + data
    assert listed == {"a key/ä+&", "parts"}
    assert len(proxy.seen("PUT", "partNumber=")) == 2


def test_seaweedfs_notices_a_flipped_bit_through_the_proxy(
    seaweed: S3Server, seaweed_bucket: str, s3_client: Callable[[S3Server], Any]
) -> None:
    fault = FlipBit(method="PUT", direction=Direction.UP, at_byte=500_000)
    with ThreadedFaultProxy(seaweed.endpoint_url, fault) as proxy:
        client = s3_client(seaweed.at(proxy.endpoint_url))
        with pytest.raises(botocore.exceptions.ClientError, match=r"BadDigest|XAmzContent|InvalidDigest"):
            client.put_object(Bucket=seaweed_bucket, Key="k", Body=os.urandom(1_000_000))
    assert not proxy.unspent()


def test_seaweedfs_refuses_wrong_credentials(seaweed: S3Server, s3_client: Callable[[S3Server], Any]) -> None:
    stranger = S3Server(seaweed.name, seaweed.endpoint_url, secret_key="wrong")
    with pytest.raises(botocore.exceptions.ClientError, match="SignatureDoesNotMatch"):
        s3_client(stranger).list_buckets()


def test_wait_until_of_the_thread_reports_a_stall(
    seaweed: S3Server, seaweed_bucket: str, s3_client: Callable[[S3Server], Any]
) -> None:
    with ThreadPoolExecutor(1) as pool, ThreadedFaultProxy(seaweed.endpoint_url) as proxy:
        proxy.arm(Stall(method="PUT", at_byte=None))
        client = s3_client(seaweed.at(proxy.endpoint_url))
        asking = pool.submit(client.put_object, Bucket=seaweed_bucket, Key="k", Body=b"x")
        proxy.wait_until(lambda: not proxy.unspent())
        assert not asking.done()
        assert proxy.requests[0].status is None
        assert proxy.connections == 1
    with pytest.raises(botocore.exceptions.BotoCoreError):
        asking.result()


def test_no_configuration_of_the_developer_is_visible() -> None:
    aws = {name for name in os.environ if name.startswith("AWS_")}
    assert aws == {"AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_EC2_METADATA_DISABLED"}
    assert not [name for name in os.environ if name.lower().endswith("_proxy")]
    assert not list(Path.home().iterdir())
