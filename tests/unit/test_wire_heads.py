import pytest

from transfer.model.errors import ProtocolError, UsageError
from transfer.wire.chunks import parse_chunk_size
from transfer.wire.heads import BodyFraming, body_framing, build_request_head, parse_response_head


def framing_of(*lines: bytes, method: str = "GET", status: int = 200) -> BodyFraming:
    head = parse_response_head(b"\r\n".join([b"HTTP/1.1 %d Whatever" % status, *lines]))
    return body_framing(method, head)


def test_a_head_is_read_into_status_reason_and_lower_case_headers() -> None:
    head = parse_response_head(b'HTTP/1.1 206 Partial Content\r\nETag:\t"abc" \r\nX-Empty:\r\nServer: a:b')
    assert (head.status, head.reason, head.keep_alive) == (206, "Partial Content", True)
    assert head.headers == {"etag": '"abc"', "x-empty": "", "server": "a:b"}


@pytest.mark.parametrize("line", [b"HTTP/1.1 200 OK", b"HTTP/1.1 200 ", b"HTTP/1.1 200"])
def test_the_reason_may_be_missing(line: bytes) -> None:
    assert parse_response_head(line).status == 200


def test_repeated_headers_are_joined() -> None:
    assert parse_response_head(b"HTTP/1.1 200 OK\r\nVary: a\r\nvary: b").headers == {"vary": "a, b"}


@pytest.mark.parametrize(
    ("head", "keeps_alive"),
    [
        (b"HTTP/1.1 200 OK", True),
        (b"HTTP/1.1 200 OK\r\nConnection: Close", False),
        (b"HTTP/1.1 200 OK\r\nConnection: te, close", False),
        (b"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nConnection: close", False),
        (b"HTTP/1.0 200 OK", False),
        (b"HTTP/1.0 200 OK\r\nConnection: Keep-Alive", True),
    ],
)
def test_whether_the_connection_lives_on(head: bytes, keeps_alive: bool) -> None:
    assert parse_response_head(head).keep_alive is keeps_alive


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"HTTP/2 200 OK",
        b"HTTP/1.2 200 OK",
        b"http/1.1 200 OK",
        b"HTTP/1.1 099 Low",
        b"HTTP/1.1 600 High",
        b"HTTP/1.1 2000 OK",
        b"HTTP/1.1  200 OK",
        b" HTTP/1.1 200 OK",
        b"SSH-2.0-OpenSSH_9.6",
        b"HTTP/1.1 200 O\x00K",
        b"HTTP/1.1 200 OK\nServer: bare line feed",
        b"HTTP/1.1 200 OK\rServer: bare carriage return",
    ],
)
def test_a_strange_first_line_is_refused(head: bytes) -> None:
    with pytest.raises(ProtocolError):
        parse_response_head(head)


@pytest.mark.parametrize(
    "line",
    [
        b"no colon",
        b"Name : space before the colon",
        b" Folded: obs-fold",
        b"\tFolded: obs-fold",
        b": no name",
        b"Na me: space inside",
        b"Name: nul \x00",
        b"Name: bare \n Content-Length: 5",
        b"Name: bare \r Content-Length: 5",
        b"Name: delete \x7f",
        b"N\xe4me: not ascii",
        b"",
    ],
)
def test_a_malformed_header_line_is_refused(line: bytes) -> None:
    with pytest.raises(ProtocolError):
        parse_response_head(b"HTTP/1.1 200 OK\r\nServer: x\r\n" + line)


def test_how_bodies_end() -> None:
    assert framing_of(b"Content-Length: 12") == BodyFraming(12)
    assert framing_of(b"Content-Length: 12", b"content-length: 12") == BodyFraming(12)
    assert framing_of(b"Transfer-Encoding: Chunked") == BodyFraming(None, chunked=True)
    assert framing_of(b"Server: x") == BodyFraming(None)


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304), ("PUT", 100)])
def test_answers_without_a_body_end_with_their_head(method: str, status: int) -> None:
    assert framing_of(b"Content-Length: 12", method=method, status=status) == BodyFraming(0)


@pytest.mark.parametrize(
    "lines",
    [
        [b"Content-Length: 5", b"Content-Length: 6"],
        [b"Content-Length: 5, 6"],
        [b"Content-Length: 5", b"Transfer-Encoding: chunked"],
        [b"Transfer-Encoding: gzip, chunked"],
        [b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"],
        [b"Transfer-Encoding: identity"],
        [b"Content-Length: -5"],
        [b"Content-Length: +5"],
        [b"Content-Length: 0x5"],
        [b"Content-Length: 5 5"],
        [b"Content-Length: 1_0"],
        [b"Content-Length: \xb2"],
        [b"Content-Length:"],
        [b"Content-Length: 5,"],
        [b"Content-Length: " + b"9" * 40],
    ],
)
def test_an_ambiguous_framing_is_refused(lines: list[bytes]) -> None:
    with pytest.raises(ProtocolError):
        framing_of(*lines)


@pytest.mark.parametrize(("line", "size"), [(b"0", 0), (b"1A", 26), (b"ff;ext=1", 255), (b"5 ;x", 5)])
def test_chunk_sizes(line: bytes, size: int) -> None:
    assert parse_chunk_size(line) == size


@pytest.mark.parametrize("line", [b"", b";x", b"-1", b"+1", b"0x1", b"1_0", b"1 2", b"f" * 16, b"\xff"])
def test_malformed_chunk_sizes_are_refused(line: bytes) -> None:
    with pytest.raises(ProtocolError):
        parse_chunk_size(line)


def test_a_request_head_is_written_as_told() -> None:
    head = build_request_head("PUT", "/b/k?x=1", [("Host", "h:1"), ("x-amz-meta-n", "caf\xe9")])
    assert head == b"PUT /b/k?x=1 HTTP/1.1\r\nHost: h:1\r\nx-amz-meta-n: caf\xe9\r\n\r\n"


@pytest.mark.parametrize(
    "value",
    ["a\r\nX-Forged: 1", "a\nX-Forged: 1", "a\rb", "a\r", "\n", "a\x00b", "a\x7f", "\u20ac", "a\r\n\r\nGET / HTTP/1.1"],
)
def test_a_value_that_could_forge_a_header_is_refused(value: str) -> None:
    with pytest.raises(UsageError):
        build_request_head("PUT", "/k", [("x-amz-meta-a", value), ("x-amz-meta-b", "fine")])
    with pytest.raises(UsageError):
        build_request_head("PUT", "/k", [(value, "fine")])
    with pytest.raises(UsageError):
        build_request_head("PUT", f"/{value}", [])
