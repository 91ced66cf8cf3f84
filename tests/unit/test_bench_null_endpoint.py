"""The null endpoint: what it answers, what it lists, what it imitates, and that it ends."""

import http.client
import re
import socket
import ssl
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.endpoints import EndpointError, Imitation, NullEndpoint
from benchmarks.measure import PROJECT
from benchmarks.null_endpoint.heads import object_size_bytes, parse_head, parse_range
from benchmarks.null_endpoint.listing import list_document
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


def test_a_head_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError):
        parse_head(b"nonsense")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, None),
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
def test_ranges(text: str | None, expected: range | None) -> None:
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
