import pytest
from hypothesis import given
from hypothesis import strategies as st

from transfer.model.errors import ProtocolError
from transfer.wire.chunks import LONGEST_LINE_BYTES, parse_chunk_size, unchunk

TOKENS = st.text("abcXYZ019-", min_size=1, max_size=9).map(str.encode)
EXTENSIONS = st.lists(TOKENS, max_size=2).map(lambda found: b"".join(b" ;" + one + b"=1" for one in found))
TRAILERS = st.lists(TOKENS, max_size=3).map(lambda found: b"".join(b"X-" + one + b": 1\r\n" for one in found))


@st.composite
def coded(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """A body, and the same in chunks as RFC 9112 allows them."""
    pieces = draw(st.lists(st.binary(min_size=1, max_size=40), max_size=6))
    lines = [
        (b"%X" if draw(st.booleans()) else b"0%x") % len(piece) + draw(EXTENSIONS) + b"\r\n" + piece for piece in pieces
    ]
    last = b"0" * draw(st.integers(1, 3)) + draw(EXTENSIONS)
    return b"".join(pieces), b"\r\n".join([*lines, last, draw(TRAILERS)]) + b"\r\n"


@given(coded(), st.binary(max_size=20))
def test_a_body_is_there_when_its_end_has_come_and_not_before(found: tuple[bytes, bytes], surplus: bytes) -> None:
    body, data = found
    assert all(unchunk(data[:end]) is None for end in range(len(data)))
    assert unchunk(data) == (body, len(data))
    assert unchunk(bytearray(data + surplus)) == (body, len(data))


@given(st.lists(st.sampled_from([b"0", b"5", b"a", b"fff", b"\r\n", b"\r", b"\n", b";x", b" ", b"-", b"hello"])))
def test_whatever_comes_is_a_body_or_none_or_a_protocol_error(pieces: list[bytes]) -> None:
    data = b"".join(pieces)
    try:
        found = unchunk(data)
    except ProtocolError:
        return
    assert found is None or found[1] <= len(data)


@pytest.mark.parametrize(
    "data",
    [
        b"5\r\nhelloXX0\r\n\r\n",
        b"5\r\nhello\n0\r\n\r\n",
        b"zz\r\n",
        b"-1\r\n",
        b"+5\r\nhello\r\n0\r\n\r\n",
        b"0x5\r\nhello\r\n0\r\n\r\n",
        b"1_0\r\n",
        b"\r\n",
        b";a=b\r\n",
        b"1" * 16 + b"\r\n",
        b"5" * (LONGEST_LINE_BYTES + 2),
        b"0\r\n" + b"x" * (LONGEST_LINE_BYTES + 2),
    ],
)
def test_what_is_malformed_is_a_protocol_error(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        unchunk(data)


def test_the_longest_line_is_taken_however_it_is_cut() -> None:
    line = b"5;" + b"x" * (LONGEST_LINE_BYTES - 2)
    data = line + b"\r\nhello\r\n0\r\n\r\n"
    assert all(unchunk(data[:end]) is None for end in range(len(line) - 2, len(line) + 3))
    assert unchunk(data) == (b"hello", len(data))
    with pytest.raises(ProtocolError):
        unchunk(b"5;" + b"x" * (LONGEST_LINE_BYTES - 1) + b"\r\nhello\r\n0\r\n\r\n")


def test_a_size_may_have_spaces_around_it_but_not_within() -> None:
    assert parse_chunk_size(b" 1F\t;a") == 31
    for line in (b"1 F", b"1\n", b"\xb2", b""):
        with pytest.raises(ProtocolError):
            parse_chunk_size(line)
