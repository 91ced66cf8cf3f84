import pytest

from transfer.model.errors import ProtocolError, SchemeError, UsageError
from transfer.wire.chunks import parse_chunk_size
from transfer.wire.heads import (
    BodyFraming,
    body_framing,
    build_request_head,
    parse_response_head,
    refuse_tls_alert,
    refuse_wish_for_tls,
)


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


WISHES_FOR_TLS = [
    b"Client sent an HTTP request to an HTTPS server.\n",
    b"<html>\r\n<head><title>400 The plain HTTP request was sent to HTTPS port</title></head>\r\n",
    b"<br />\nReason: You're speaking plain HTTP to an SSL-enabled server port.<br />\n",
    b"Bad Request\r\nThis combination of host and port requires TLS.\r\n",
]


@pytest.mark.parametrize("body", WISHES_FOR_TLS)
def test_a_server_that_wants_tls_is_understood(body: bytes) -> None:
    refused = parse_response_head(b"HTTP/1.0 400 Bad Request")
    with pytest.raises(SchemeError) as caught:
        refuse_wish_for_tls(refused, body)
    assert caught.value.remedy == "use https:// in --endpoint-url or AWS_ENDPOINT_URL"
    refuse_wish_for_tls(parse_response_head(b"HTTP/1.0 200 OK"), body)
    refuse_wish_for_tls(refused, b"<Error><Code>InvalidArgument</Code></Error>")


@pytest.mark.parametrize("begin", [b"\x15\x03\x01", b"\x15\x03\x03\x00\x02\x02\x28"])
def test_an_alert_of_tls_is_no_slow_head(begin: bytes) -> None:
    with pytest.raises(SchemeError):
        refuse_tls_alert(begin)


@pytest.mark.parametrize("begin", [b"", b"\x15", b"H", b"HTTP/1.1 200 OK\r\n", b"\x16\x03\x03"])
def test_any_other_beginning_may_become_a_head(begin: bytes) -> None:
    refuse_tls_alert(begin)


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
