"""The null endpoint: what it answers, what it lists, what it imitates, and that it ends."""

import contextlib
import http.client
import os
import random
import re
import socket
import ssl
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.endpoints import EndpointError, Imitation, NullEndpoint
from benchmarks.measure import PROJECT
from benchmarks.null_endpoint.channel import WRITABLE, Channel, Data
from benchmarks.null_endpoint.heads import object_size_bytes, parse_head, parse_range
from benchmarks.null_endpoint.listing import list_document
from benchmarks.null_endpoint.turns import Turns
from benchmarks.null_process import null_endpoint
from benchmarks.tree import Tree

MIB = 1 << 20
DATA = bytes(range(251)) * 7


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NullEndpoint]:
    data = tmp_path_factory.mktemp("endpoint") / "data"
    data.write_bytes(DATA)
    with null_endpoint(data) as found:
        yield found


@pytest.fixture
def client(endpoint: NullEndpoint) -> Iterator[http.client.HTTPConnection]:
    parts = urlsplit(endpoint.url)
    assert parts.hostname
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=30)
    yield connection
    connection.close()


def exchange(
    client: http.client.HTTPConnection, method: str, path: str, body: bytes | None = None, **headers: str
) -> tuple[int, dict[str, str], bytes]:
    client.request(method, path, body=body, headers=headers)
    answer = client.getresponse()
    return answer.status, dict(answer.getheaders()), answer.read()


def test_a_body_repeats_the_data_up_to_the_size_in_the_key(client: http.client.HTTPConnection) -> None:
    status, headers, body = exchange(client, "GET", "/b/k@5000")
    assert (status, headers["Content-Length"]) == (200, "5000")
    assert body == (DATA * 3)[:5000]


def test_a_range_starts_where_it_says_also_beyond_the_data(client: http.client.HTTPConnection) -> None:
    status, headers, body = exchange(client, "GET", "/b/k%405000", Range="bytes=1700-3599")
    assert (status, headers["Content-Range"]) == (206, "bytes 1700-3599/5000")
    assert body == (DATA * 3)[1700:3600]


def test_a_range_beyond_the_object_is_416(client: http.client.HTTPConnection) -> None:
    status, headers, body = exchange(client, "GET", "/b/k@10", Range="bytes=10-")
    assert (status, headers["Content-Range"], body) == (416, "bytes */10", b"")


def test_head_says_the_size_and_sends_no_body_so_the_connection_lives_on(client: http.client.HTTPConnection) -> None:
    status, headers, body = exchange(client, "HEAD", "/b/k@12345")
    assert (status, headers["Content-Length"], body) == (200, "12345", b"")
    own_socket = client.sock
    assert exchange(client, "HEAD", "/b/k")[1]["Content-Length"] == str(len(DATA))
    assert client.sock is own_socket


def test_put_bodies_are_counted_and_dropped(client: http.client.HTTPConnection, endpoint: NullEndpoint) -> None:
    before = endpoint.bytes_in()
    status, headers, _ = exchange(client, "PUT", "/b/k", bytes(9 * MIB))
    assert status == 200
    assert headers["ETag"]
    assert endpoint.bytes_in() - before == 9 * MIB


def test_chunked_put_bodies_are_counted_without_their_framing(
    client: http.client.HTTPConnection, endpoint: NullEndpoint
) -> None:
    before = endpoint.bytes_in()
    client.request("PUT", "/b/k", body=iter([b"a" * 10, b"b" * 70_000]), encode_chunked=True)
    answer = client.getresponse()
    answer.read()
    assert answer.status == 200
    assert endpoint.bytes_in() - before == 70_010
    assert exchange(client, "HEAD", "/b/k@1")[0] == 200


def test_a_client_that_waits_for_continue_gets_it(endpoint: NullEndpoint) -> None:
    parts = urlsplit(endpoint.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=30) as connection:
        connection.sendall(b"PUT /b/k HTTP/1.1\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
        assert connection.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"abc")
        assert connection.recv(1000).startswith(b"HTTP/1.1 200 OK\r\n")


def connect(endpoint: NullEndpoint) -> socket.socket:
    return socket.create_connection(("127.0.0.1", urlsplit(endpoint.url).port), timeout=30)


def test_requests_are_answered_whatever_pieces_they_come_in(endpoint: NullEndpoint) -> None:
    before = endpoint.bytes_in()
    request = b"PUT /b/k HTTP/1.1\r\nContent-Length: 5\r\n\r\nabcde"
    with connect(endpoint) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for number in range(len(request)):
            connection.send(request[number : number + 1])
        assert connection.recv(1000).startswith(b"HTTP/1.1 200 OK\r\n")
    assert endpoint.bytes_in() - before == 5


def test_requests_that_come_together_are_answered_in_order(endpoint: NullEndpoint) -> None:
    sizes = [3 * MIB, 10, 2 * MIB, 0]
    chunked = b"PUT /b/k HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    with connect(endpoint) as connection, connection.makefile("rb") as answers:
        gets = [b"GET /b/k@%d HTTP/1.1\r\nRANGE:bytes=0-\r\n\r\n" % size for size in sizes[:3]]
        connection.sendall(b"".join([*gets, chunked, b"HEAD /b/k@7 HTTP/1.1\r\n\r\n"]))
        for size in sizes:
            head = b"".join(iter(answers.readline, b"\r\n"))
            assert f"Content-Length: {size}\r\n".encode() in head
            assert answers.read(size) == (DATA * (size // len(DATA) + 1))[:size]
        assert b"Content-Length: 7\r\n" in b"".join(iter(answers.readline, b"\r\n"))


def test_what_fills_the_socket_goes_on_when_there_is_room(tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(DATA)
    text = random.Random(1).randbytes(MIB)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        sending = Channel(ours, Data.open(str(tmp_path / "data")), 0).send(text, range(5, MIB))
        received = bytearray()
        with contextlib.suppress(StopIteration):
            while True:
                assert sending.send(None) == WRITABLE
                received += theirs.recv(MIB)
        ours.close()
        received += b"".join(iter(lambda: theirs.recv(MIB), b""))
    assert received == text + (DATA * (MIB // len(DATA) + 1))[5:MIB]


def test_nobody_waits_for_clients_that_do_not_go_on(endpoint: NullEndpoint, client: http.client.HTTPConnection) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(2 * (os.cpu_count() or 1)):
            stack.enter_context(connect(endpoint)).sendall(b"GET /b/k@1000000000 HTTP/1.1\r\n\r\n")
            stack.enter_context(connect(endpoint)).sendall(b"PUT /b/k HTTP/1.1\r\nContent-Length: 9\r\n\r\nabc")
        assert exchange(client, "PUT", "/b/k", bytes(MIB))[0] == 200


@pytest.mark.parametrize(
    "head",
    [
        b"nonsense",
        b"PUT /b/k HTTP/1.1\r\nContent-Length: many",
        b"GET /b?max-keys=x&prefix=tree-1-1/ HTTP/1.1",
    ],
)
def test_a_request_that_is_none_is_refused_and_ends_its_connection(endpoint: NullEndpoint, head: bytes) -> None:
    with connect(endpoint) as connection, connection.makefile("rb") as answer:
        connection.sendall(head + b"\r\n\r\n")
        assert answer.read().startswith(b"HTTP/1.1 400 ")


def test_workers_accept_in_turn() -> None:
    turns = Turns(3)
    accepted: list[int] = []
    workers = [threading.Thread(target=accept, args=(turns, worker, accepted), daemon=True) for worker in range(3)]
    for worker in reversed(workers):
        worker.start()
    for worker in workers:
        worker.join(30)
    assert accepted == [0, 1, 2, 0, 1, 2]


def accept(turns: Turns, worker: int, accepted: list[int]) -> None:
    for _ in range(2):
        turns.take(worker)
        accepted.append(worker)
        turns.pass_on(worker)


@pytest.mark.parametrize(
    ("method", "path", "status", "expected"),
    [
        ("POST", "/b/k?uploads", 200, b"<UploadId>upload</UploadId>"),
        ("POST", "/b/k%26?uploadId=upload", 200, b"<Key>k&amp;</Key>"),
        ("DELETE", "/b/k", 204, b""),
        ("GET", "/b?list-type=2&prefix=a%3C", 200, b"<Prefix>a&lt;</Prefix>"),
        ("GET", "/b?list-type=2&prefix=tree-2-7%2F", 200, b"<Key>tree-2-7/0000000/000000001@7</Key>"),
        ("GET", "/b?location", 200, b"us-east-1"),
    ],
)
def test_control_requests_are_answered(
    client: http.client.HTTPConnection, method: str, path: str, status: int, expected: bytes
) -> None:
    answered, _, body = exchange(client, method, path)
    assert answered == status
    assert expected in body


def test_a_head_is_read_by_the_names_of_its_fields() -> None:
    request = parse_head(b"GET /b/a%20b?x=1&x=2&y HTTP/1.1\r\nX-Range: no\r\nRANGE: Bytes=1-\r\nLast:  z ")
    assert (request.method, request.path, request.query) == ("GET", "/b/a b", {"x": "1", "y": ""})
    assert [request.field(name) for name in ("range", "last", "ast", "z")] == ["bytes=1-", "z", "", ""]


def test_a_head_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError):
        parse_head(b"nonsense")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", None),
        ("bytes=0-", range(100)),
        ("bytes=5-9", range(5, 10)),
        ("bytes=90-500", range(90, 100)),
        ("bytes=-10", range(90, 100)),
        ("bytes=-500", range(100)),
        ("bytes=-", None),
        ("bytes=1-2,4-5", None),
        ("lines=1-2", None),
    ],
)
def test_ranges(text: str, expected: range | None) -> None:
    assert parse_range(text, 100) == expected


def test_a_range_past_the_end_is_empty() -> None:
    assert parse_range("bytes=100-200", 100) == range(100, 100)


@pytest.mark.parametrize(("path", "expected"), [("/b/a@b@7", 7), ("/b/k", 42), ("/b/k@x", 42), ("/b/k@", 42)])
def test_object_sizes(path: str, expected: int) -> None:
    assert object_size_bytes(path, 42) == expected


def test_stats_of_something_else_are_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(EndpointError, match="_stats"):
        NullEndpoint(f"http://127.0.0.1:{port}").bytes_in()


def keys_of(document: str) -> list[str]:
    return [unquote(key) for key in re.findall("<Key>(.*?)</Key>", document)]


def pages(query: dict[str, str]) -> Iterator[str]:
    while True:
        document = list_document("b", query)
        yield document
        token = re.search("<NextContinuationToken>(.*?)</NextContinuationToken>", document)
        assert bool(token) == ("<IsTruncated>true" in document)
        if token is None:
            return
        query = {**query, "continuation-token": token[1]}


trees = st.builds(Tree, st.integers(1, 350), st.lists(st.integers(0, 9999), min_size=1, max_size=3).map(tuple))


@given(trees, st.integers(1, 1000), st.integers(0, 20), st.sampled_from(["", "url"]))
def test_pages_hold_every_key_below_a_prefix_once_and_in_order(tree: Tree, limit: int, cut: int, encoding: str) -> None:
    prefix = (tree.prefix + tree.name(tree.count - 1))[: len(tree.prefix) + cut]
    expected = [key for number in range(tree.count) if (key := tree.prefix + tree.name(number)).startswith(prefix)]
    query = {"prefix": prefix, "max-keys": str(limit)} | ({"encoding-type": encoding} if encoding else {})
    found = [keys_of(page) for page in pages(query)]
    assert [key for page in found for key in page] == expected == sorted(expected)
    assert all(len(page) <= limit for page in found)


@given(trees, st.integers(1, 5), st.data())
def test_folders_stand_for_what_is_below_them(tree: Tree, limit: int, data: st.DataObject) -> None:
    found = [
        prefix
        for page in pages({"prefix": tree.prefix, "delimiter": "/", "max-keys": str(limit)})
        for prefix in re.findall("<CommonPrefixes><Prefix>(.*?)</Prefix>", page)
    ]
    names = [tree.prefix + tree.name(number) for number in range(tree.count)]
    assert found == sorted({name[: name.rindex("/") + 1] for name in names})
    after = data.draw(st.sampled_from([*names, tree.prefix, tree.prefix + "0000001", "zzz"]))
    listed = [key for page in pages({"prefix": tree.prefix, "start-after": after}) for key in keys_of(page)]
    assert listed == [name for name in names if name > after]


@given(trees)
def test_a_tree_is_read_back_from_its_prefix(tree: Tree) -> None:
    assert Tree.of_prefix(tree.prefix + tree.name(0)) == tree
    assert tree.total_bytes == sum(tree.size_bytes(number) for number in range(tree.count))


@pytest.mark.parametrize("prefix", ["", "tree-", "tree-5-7", "tree-0-7/", "photos/"])
def test_other_prefixes_hold_nothing(prefix: str) -> None:
    assert "<KeyCount>0</KeyCount><IsTruncated>false" in list_document("b", {"prefix": prefix})


def test_above_the_limit_in_flight_it_says_slow_down(tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(DATA)
    with null_endpoint(tmp_path / "data", Imitation(in_flight_limit=1)) as limited:
        address = ("127.0.0.1", urlsplit(limited.url).port)
        with socket.create_connection(address, timeout=30) as first, socket.create_connection(address, 30) as second:
            first.sendall(b"PUT /b/k HTTP/1.1\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
            assert first.recv(1000).startswith(b"HTTP/1.1 100 ")
            second.sendall(b"HEAD /b/k HTTP/1.1\r\n\r\n")
            assert second.recv(1000).startswith(b"HTTP/1.1 503 ")
            first.sendall(b"abc")
            assert first.recv(1000).startswith(b"HTTP/1.1 200 ")
            second.sendall(b"HEAD /b/k HTTP/1.1\r\n\r\n")
            assert b"HTTP/1.1 200 " in second.recv(1000)


def test_a_client_that_leaves_inside_a_body_is_in_flight_no_more(tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(DATA)
    with null_endpoint(tmp_path / "data", Imitation(in_flight_limit=1)) as limited:
        with connect(limited) as leaving, connect(limited) as staying:
            leaving.sendall(b"PUT /b/k HTTP/1.1\r\nContent-Length: 9000000\r\n\r\nabc")
            leaving.shutdown(socket.SHUT_WR)
            assert leaving.recv(1000) == b""
            staying.sendall(b"HEAD /b/k HTTP/1.1\r\n\r\n")
            assert staying.recv(1000).startswith(b"HTTP/1.1 200 ")
        assert limited.bytes_in() == 0


def test_with_tls_pace_and_delay_the_bytes_are_the_same(tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(DATA)
    manner = Imitation(is_secure=True, delay_milliseconds=1, pace_megabytes=500)
    with null_endpoint(tmp_path / "data", manner) as secure:
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}),
            urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=secure.ca_bundle)),
        )
        with opener.open(f"{secure.url}/b/k@600000") as answer:
            assert answer.read() == (DATA * 400)[:600_000]
        opener.open(urllib.request.Request(f"{secure.url}/b/k", bytes(MIB), method="PUT")).close()
        assert secure.mark() == (MIB, 1)


def test_it_ends_with_whoever_started_it(tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(DATA)
    arguments = ["--data", str(tmp_path / "data"), "--until-input-ends"]
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.null_endpoint", *arguments],
        cwd=PROJECT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout
        assert process.stdin
        port = int(process.stdout.readline())
        process.stdin.close()
        process.wait(30)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))
