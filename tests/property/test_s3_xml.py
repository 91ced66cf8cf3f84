"""Whatever bytes a store answers with: a value or a `ProtocolError`; and every key survives a listing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from urllib.parse import quote_plus
from xml.sax.saxutils import escape

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from transfer.model.errors import ProtocolError
from transfer.stores.s3 import xml
from transfer.stores.s3.xml_reader import read_tree

PARSERS = [
    xml.parse_complete,
    xml.parse_copy_result,
    xml.parse_create_upload,
    xml.parse_delete_result,
    xml.parse_list_page,
    xml.parse_list_parts,
    xml.parse_list_uploads,
]
ROOTS = [
    "CompleteMultipartUploadResult",
    "CopyObjectResult",
    "DeleteResult",
    "Error",
    "InitiateMultipartUploadResult",
    "ListBucketResult",
    "ListMultipartUploadsResult",
    "ListPartsResult",
]
FIELDS = [
    "ChecksumSHA1", "ChecksumType", "Code", "CommonPrefixes", "Contents", "ETag", "EncodingType", "Error",
    "Initiated", "IsTruncated", "Key", "LastModified", "NextContinuationToken", "NextKeyMarker",
    "NextPartNumberMarker", "Part", "PartNumber", "Prefix", "Size", "Upload", "UploadId",
    "n:Key",
]  # fmt: skip
VALUES = [
    "", " ", "true", "false", "url", "1", "-1", "9" * 5000, "²", "2024-01-01T00:00:00.000Z",
    "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "2024-W01", "%", "%FF%", "+", "&#55296;",
    "&amp;", "<![CDATA[x]]>", "<!-- -->", "é",
]  # fmt: skip

leaves = st.sampled_from(VALUES) | st.text(max_size=10).map(escape)
names = st.sampled_from(FIELDS)


def join_elements(pairs: Iterable[tuple[str, str]]) -> str:
    return "".join(f"<{name}>{inner}</{name}>" for name, inner in pairs)


inners = st.recursive(leaves, lambda deeper: st.lists(st.tuples(names, deeper)).map(join_elements), max_leaves=12)
bodies = st.tuples(st.sampled_from(ROOTS), st.lists(st.tuples(names, inners), max_size=6)).map(
    lambda drawn: join_elements([(drawn[0], join_elements(drawn[1]))]).encode("utf-8", "surrogatepass")
)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    body = bytearray(draw(bodies))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(body)))
        body[at : at + draw(st.integers(0, 4))] = draw(st.binary(max_size=4))
    return bytes(body)


def feed_all(body: bytes) -> None:
    xml.parse_error(body)
    for parse in PARSERS:
        with suppress(ProtocolError):
            parse(body)


@given(st.binary(max_size=200))
@example(b'<?xml version="1.0" encoding="koi8-r"?><Error/>')
@example(b'<?xml version="1.0" encoding="shift_jis"?><Error/>')
@example(b'<?xml version="1.0" encoding="no such"?><Error/>')
@example("<Error/>".encode("utf-16"))
def test_any_bytes_give_a_value_or_a_protocol_error(body: bytes) -> None:
    feed_all(body)


@given(bodies)
def test_any_well_formed_document_gives_a_value_or_a_protocol_error(body: bytes) -> None:
    feed_all(body)


@given(mutated())
def test_any_damaged_document_gives_a_value_or_a_protocol_error(body: bytes) -> None:
    feed_all(body)


@pytest.mark.parametrize("parse", [*PARSERS, read_tree])
def test_a_billion_laughs_are_refused(parse: Callable[[bytes], object]) -> None:
    entities = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    body = f'<!DOCTYPE r [<!ENTITY l0 "lol">{entities}]><Error><Code>&l9;</Code></Error>'.encode()
    with pytest.raises(ProtocolError):
        parse(body)
    assert xml.parse_error(body) is None


any_key = st.binary(min_size=1, max_size=40).map(lambda raw: raw.decode("utf-8", "surrogateescape")) | st.text(
    "+% /.&<>]é😀\x00\x1b\r\n\ufffe", min_size=1, max_size=40
)
carried = st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\ufffe\uffff")
plain_key = st.text(carried | st.sampled_from("+% /.&<>]é😀\r\n"), min_size=1, max_size=40).filter(
    lambda key: xml.split_deletable([key])[0]
)


def escape_text(text: str) -> str:
    return escape(text, {"\r": "&#13;"})


def build_listing(keys: list[str], prefixes: list[str], *, encoded: bool, is_reversed: bool) -> bytes:
    def write(name: str) -> str:
        return escape_text(quote_plus(name, safe="/", errors="surrogateescape") if encoded else name)

    def arrange(pairs: list[tuple[str, str]]) -> str:
        return join_elements(reversed(pairs) if is_reversed else pairs)

    entries = [
        ("Contents", arrange([("Key", write(key)), ("Size", str(size)), ("ETag", f"&quot;{size}&quot;")]))
        for size, key in enumerate(keys)
    ]
    groups = [("CommonPrefixes", join_elements([("Prefix", write(prefix))])) for prefix in prefixes]
    if is_reversed:
        entries.reverse()
        groups.reverse()
    head = [("Prefix", ""), ("EncodingType", "url" if encoded else ""), ("IsTruncated", "false")]
    return join_elements([("ListBucketResult", arrange([*head, *entries, *groups]))]).encode()


@pytest.mark.parametrize("is_reversed", [False, True])
@given(st.lists(any_key, max_size=5), st.lists(any_key, max_size=3))
def test_every_key_survives_an_encoded_listing(is_reversed: bool, keys: list[str], prefixes: list[str]) -> None:
    page = xml.parse_list_page(build_listing(keys, prefixes, encoded=True, is_reversed=is_reversed))
    assert [(entry.key, entry.size, entry.etag) for entry in page.objects] == [
        (key.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape"), size, f'"{size}"')
        for size, key in enumerate(keys)
    ]
    assert [name.encode("utf-8", "surrogateescape") for name in page.prefixes] == [
        name.encode("utf-8", "surrogateescape") for name in prefixes
    ]


@pytest.mark.parametrize("is_reversed", [False, True])
@given(st.lists(plain_key, max_size=5), st.lists(plain_key, max_size=3))
def test_every_key_that_xml_carries_survives_a_plain_listing(
    is_reversed: bool, keys: list[str], prefixes: list[str]
) -> None:
    page = xml.parse_list_page(build_listing(keys, prefixes, encoded=False, is_reversed=is_reversed))
    assert [entry.key for entry in page.objects] == keys
    assert list(page.prefixes) == prefixes


@given(st.lists(any_key, max_size=8))
def test_a_batch_delete_names_exactly_the_keys_it_can_carry(keys: list[str]) -> None:
    batch, single = xml.split_deletable(keys)
    assert sorted(batch + single) == sorted(keys)
    root = read_tree(xml.build_delete(batch))
    assert [item.find_text("Key") for item in root.every("Object")] == batch
