"""The judge of heads is h11, an independent HTTP/1.1 parser: where both accept, both must read the same."""

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transfer.model.errors import ProtocolError, UsageError
from transfer.wire.heads import BodyFraming, ResponseHead, body_framing, build_request_head, parse_response_head

# Readable as chunks, as any number of counted bytes up to its length, and as everything until the close.
PAYLOAD = b"3\r\nabc\r\n0\r\n\r\n"
FRAMING_NAMES = ("content-length", "transfer-encoding")

TOKENS = st.text("abcXYZ019-_.!", min_size=1, max_size=8)
VALUES = st.text([chr(code) for code in (*range(0x20, 0x7F), 0x80, 0xE4, 0xFF)], max_size=12)
FIELDS = st.one_of(
    st.tuples(TOKENS.filter(lambda name: name.lower() not in FRAMING_NAMES), VALUES),
    st.tuples(st.just("Connection"), st.sampled_from(["close", "keep-alive", "Close, te", "te"])),
)
FRAMINGS = st.sampled_from(
    [
        (),
        (("Content-Length", "0"),),
        (("Content-Length", "5"),),
        (("content-length", "5"), ("Content-Length", "5")),
        (("Content-Length", "13"),),
        (("Transfer-Encoding", "chunked"),),
        (("transfer-encoding", "Chunked"),),
    ]
)
AMBIGUOUS = st.sampled_from(
    [
        (("Content-Length", "5"), ("Content-Length", "6")),
        (("Content-Length", "5"), ("Transfer-Encoding", "chunked")),
        (("Transfer-Encoding", "gzip"),),
        (("Content-Length", "+5"),),
    ]
)
METHODS = st.sampled_from(["GET", "PUT", "POST", "HEAD", "DELETE"])
STATUSES = st.sampled_from([200, 204, 206, 301, 304, 307, 400, 403, 404, 412, 500, 503, 599])
VERSIONS = st.sampled_from(["1.0", "1.1"])


@st.composite
def heads(draw: st.DrawFn, framings: st.SearchStrategy[tuple[tuple[str, str], ...]]) -> bytes:
    fields = draw(st.permutations([*draw(st.lists(FIELDS, max_size=5)), *draw(framings)]))
    lines = [f"HTTP/{draw(VERSIONS)} {draw(STATUSES)} {draw(VALUES.map(str.strip))}"]
    lines += [f"{name}: {value}" for name, value in fields]
    return "\r\n".join(lines).encode("latin-1")


@st.composite
def mutated_heads(draw: st.DrawFn) -> bytes:
    block = bytearray(draw(heads(st.one_of(FRAMINGS, AMBIGUOUS))))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(block)))
        cut = draw(st.integers(0, 3))
        added = draw(
            st.one_of(
                st.sampled_from([b"\r\n", b"\n", b"\r", b"\0", b" ", b"\r\n ", b":", b","]), st.binary(max_size=2)
            )
        )
        block[at : at + cut] = added
    return bytes(block)


def parse(method: str, block: bytes) -> tuple[ResponseHead, BodyFraming]:
    head = parse_response_head(block)
    return head, body_framing(method, head)


def judge(method: str, block: bytes) -> tuple[h11.Response, bytes, bool]:
    """What h11 makes of the head and the payload behind it, and whether it would use the connection again."""
    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method=method, target="/", headers=[("Host", "h"), ("Content-Length", "0")]))
    client.send(h11.EndOfMessage())
    client.receive_data(block + b"\r\n\r\n" + PAYLOAD)
    response = client.next_event()
    if not isinstance(response, h11.Response):
        raise h11.RemoteProtocolError("no final head")
    body = bytearray()
    ended = False
    while True:
        event = client.next_event()
        if isinstance(event, h11.Data):
            body += event.data
        elif event is h11.NEED_DATA and not ended:
            ended = True
            client.receive_data(b"")
        else:
            return response, bytes(body), client.their_state is h11.DONE


def body_by(framing: BodyFraming) -> bytes:
    if framing.chunked:
        return b"abc"
    return PAYLOAD if framing.length is None else PAYLOAD[: framing.length]


def assert_same(method: str, block: bytes) -> None:
    head, framing = parse(method, block)
    response, body, keeps_alive = judge(method, block)
    theirs: dict[str, str] = {}
    for raw_name, raw_value in response.headers:
        name, value = raw_name.decode(), raw_value.decode("latin-1")
        theirs[name] = f"{theirs[name]}, {value}" if name in theirs else value
    ours = {name: value for name, value in head.headers.items() if name not in FRAMING_NAMES}
    assert head.status == response.status_code
    assert ours == {name: value for name, value in theirs.items() if name not in FRAMING_NAMES}
    assert body_by(framing) == body
    assert head.keep_alive or not keeps_alive


@given(METHODS, heads(FRAMINGS))
def test_well_formed_heads_are_accepted_and_read_as_h11_reads_them(method: str, block: bytes) -> None:
    assert_same(method, block)


@given(METHODS, mutated_heads())
def test_what_both_accept_means_the_same(method: str, block: bytes) -> None:
    try:
        _, framing = parse(method, block)
        judge(method, block)
    except (ProtocolError, h11.RemoteProtocolError):
        return
    if framing.length is None or framing.length <= len(PAYLOAD):
        assert_same(method, block)


@given(heads(AMBIGUOUS))
def test_an_ambiguous_framing_is_always_refused(block: bytes) -> None:
    head = parse_response_head(block)
    if head.status in (204, 304):
        return
    with pytest.raises(ProtocolError):
        body_framing("GET", head)


@given(METHODS, st.one_of(st.binary(max_size=200), mutated_heads()))
def test_nothing_but_a_protocol_error_comes_out(method: str, block: bytes) -> None:
    try:
        parse(method, block)
    except ProtocolError:
        return


@given(heads(FRAMINGS), st.sampled_from([b"\n", b"\r", b"\0", b"\r\n ", b"\r\n\t"]), st.data())
def test_a_control_character_anywhere_spoils_the_head(block: bytes, spoiler: bytes, data: st.DataObject) -> None:
    breaks = {at + offset for at in range(len(block)) if block[at : at + 2] == b"\r\n" for offset in (0, 1, 2)}
    at = data.draw(st.integers(0, len(block)).filter(lambda at: at not in breaks))
    spoiled = block[:at] + spoiler + block[at:]
    with pytest.raises(ProtocolError):
        parse_response_head(spoiled)


@given(st.lists(st.tuples(TOKENS, VALUES.map(str.strip)), max_size=5))
def test_a_request_head_reads_back_as_it_was_written(fields: list[tuple[str, str]]) -> None:
    wanted = [("Host", "h"), *((f"x-{name}", value) for name, value in fields)]
    server = h11.Connection(h11.SERVER)
    server.receive_data(build_request_head("PUT", "/b/k?x=1", wanted))
    request = server.next_event()
    assert isinstance(request, h11.Request)
    assert (request.method, request.target) == (b"PUT", b"/b/k?x=1")
    read = [(name.decode(), value.decode("latin-1")) for name, value in request.headers]
    assert read == [(name.lower(), value) for name, value in wanted]


@given(VALUES, st.sampled_from(["\r", "\n", "\r\n", "\0", "\r\n\r\n"]), VALUES)
def test_no_line_break_gets_into_a_request_head(before: str, spoiler: str, after: str) -> None:
    with pytest.raises(UsageError):
        build_request_head("PUT", "/k", [("a", "b"), ("x-amz-meta-a", before + spoiler + after), ("c", "d")])
