"""The fast way of reading a page and the full one: the same values, or neither has one."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from transfer.model.errors import ProtocolError
from transfer.model.objects import ListPage
from transfer.stores.s3 import xml_listing
from transfer.stores.s3.xml_entries import Columns, read_plain_entries

KEY_TEXTS = [
    "a", "many/f0000001@4096", "a%2Fb+c", "%", "%FF", "a&amp;b", "&#x27;&#39;&apos;", "&lt;x&gt;", "&#38;amp;",
    "&amp;quot;", "&#0;", "&#x1;", "&#55296;", "&#x110000;", "&#x1F680;", "&#xD;", "&#10;", "&", "&amp", "&foo;",
    "]]>", "]]", "\r", "\n", "\x01", "\ufffe", "\u200b", "é", "", " ", "a>b", "Contents",
    "<![CDATA[x]]>", "<!-- -->", "<?pi?>", "<b/>", "--", "</Key><Key>z",
]  # fmt: skip
TIMES = [
    "2024-01-01T00:00:00.000Z", "2024-01-01T00:00:01Z", "", "soon", "0001-01-01T00:00:00+23:59",
    "2024-01-01\x0100:00", "2024-01-01&#x54;00:00:00Z",
]  # fmt: skip
ETAGS = ["&quot;d41d8cd98f00b204e9800998ecf8427e-9&quot;", '"abc"', "&#34;abc&#34;", "&#x22;a&#x22;", "", "&bad;"]
SIZES = ["0", "4096", "-1", "", " 7 ", "٣", "9" * 19, "9" * 20, "&#49;"]
CLASSES = ["STANDARD", "GLACIER", "", "A&amp;B"]
EXTRAS = [
    "", "", "", "<ChecksumAlgorithm>CRC32</ChecksumAlgorithm>", "<ChecksumType>FULL_OBJECT</ChecksumType>",
    "<ChecksumAlgorithm>CRC32</ChecksumAlgorithm><ChecksumAlgorithm>SHA1</ChecksumAlgorithm>",
    "<Owner><ID>me</ID><DisplayName>a&amp;b</DisplayName></Owner>", "<Owner><ID>me</ID></Owner>",
    "<Owner><Key>no</Key></Owner>", "<Unknown>1</Unknown>", "<Empty/>", "\n  ", "<!-- x -->", "text",
    "<Key>twice</Key>", "<Size>9</Size>", "<ChecksumType>&nope;</ChecksumType>", "<x:Key>y</x:Key>",
]  # fmt: skip
OUTSIDE = [
    "", "", "", "<Name>b</Name>", "<KeyCount>2</KeyCount>", "<EncodingType>url</EncodingType>",
    "<IsTruncated>true</IsTruncated><NextContinuationToken>t&amp;</NextContinuationToken>",
    "<CommonPrefixes><Prefix>p%2F</Prefix></CommonPrefixes>", "<Contents ><Key>k</Key><Size>1</Size></Contents >",
    "<Contents/>", "<Contents><EntriesReadElsewhere/></Contents>", "<!--", "-->", "<![CDATA[", "]]>", "<?x", "?>",
    "<Deep>", "</Deep>", "<Contents >", "</Contents >", "<Contents >\n<Key><!--", "\r\n", "<Marker/>",
]  # fmt: skip
ROOTS = [
    ("<ListBucketResult>", "</ListBucketResult>"),
    ('<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="http://s3/">', "</ListBucketResult>"),
    ("<!DOCTYPE a><ListBucketResult>", "</ListBucketResult>"),
    ('<s:ListBucketResult xmlns:s="x">', "</s:ListBucketResult>"),
    ("<ListBucketResult>", ""),
    ("<Other>", "</Other>"),
]
VALUES = {"Key": KEY_TEXTS, "Size": SIZES, "ETag": ETAGS, "LastModified": TIMES, "StorageClass": CLASSES}
ORDERS = [
    ("Key", "LastModified", "ETag", "Size", "StorageClass"),
    ("Key", "ETag", "Size", "StorageClass", "LastModified"),
    ("Key", "Size"),
    ("StorageClass", "Key", "Size", "ETag"),
    ("Key",),
]


def write_entry(order: tuple[str, ...], values: dict[str, str], extras: dict[str, str]) -> str:
    fields = "".join(f"{extras.get(name, '')}<{name}>{values[name]}</{name}>" for name in order)
    return f"<Contents>{fields}{extras.get('', '')}</Contents>"


@st.composite
def entries(draw: st.DrawFn, *, hostile: bool) -> str:
    order = draw(st.sampled_from(ORDERS if hostile else ORDERS[:4]))
    written = []
    for _ in range(draw(st.integers(1, 4))):
        values = {name: draw(st.sampled_from(texts if hostile else texts[:2])) for name, texts in VALUES.items()}
        places = draw(st.lists(st.sampled_from([*order, ""]), max_size=2))
        extras = {place: draw(st.sampled_from(EXTRAS if hostile else EXTRAS[:6])) for place in places}
        kept = draw(st.sampled_from([order, order, order, order[::-1], order[:-1]])) if hostile else order
        written.append(write_entry(kept, values, extras))
    return (draw(st.sampled_from(["", "", "", "\n", "<x/>"])) if hostile else "").join(written)


@st.composite
def pages(draw: st.DrawFn) -> bytes:
    hostile = draw(st.booleans())
    root, end = draw(st.sampled_from(ROOTS if hostile else ROOTS[:2]))
    around = st.lists(st.sampled_from(OUTSIDE if hostile else OUTSIDE[:8]), max_size=3).map("".join)
    body = (root + draw(around) + draw(entries(hostile=hostile)) + draw(around) + end).encode()
    if hostile and draw(st.booleans()):
        at = draw(st.integers(0, len(body)))
        body = body[:at] + draw(st.binary(max_size=3)) + body[at + draw(st.integers(0, 4)) :]
    return body if draw(st.integers(0, 9)) else body[: draw(st.integers(0, len(body)))]


def read(body: bytes) -> ListPage | None:
    try:
        return xml_listing.parse_list_page(body)
    except ProtocolError:
        return None


def read_in_full(body: bytes) -> ListPage | None:
    def never(_entries: bytes) -> Columns | None:
        return None

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(xml_listing, "read_plain_entries", never)
        return read(body)


PLAIN = "<Contents><Key>a</Key><Size>1</Size></Contents>"


@settings(max_examples=400)
@given(pages())
@example(f"<ListBucketResult><!-- {PLAIN} --></ListBucketResult>".encode())
@example(f"<ListBucketResult><Name><![CDATA[{PLAIN}]]></Name></ListBucketResult>".encode())
@example(f"<ListBucketResult><Deep>{PLAIN}</Deep></ListBucketResult>".encode())
@example(f"<ListBucketResult><?x {PLAIN}?></ListBucketResult>".encode())
@example(
    b"<ListBucketResult><Contents ><Key><!-- <Contents><Key>--></Key><Size>1</Size></Contents ></ListBucketResult>"
)
@example(f"<ListBucketResult><Contents><EntriesReadElsewhere/></Contents ><!--{PLAIN}--></ListBucketResult>".encode())
@example(f"<ListBucketResult>{PLAIN}<Contents ><Key>b</Key><Size>2</Size></Contents ></ListBucketResult>".encode())
@example(f"<ListBucketResult>{PLAIN}{PLAIN.replace('a', '&#13;')}</ListBucketResult>".encode())
@example(f"<ListBucketResult>{PLAIN}</ListBucketResult>".encode().replace(b"a<", b"\xff<"))
@example(f"<ListBucketResult>{PLAIN.replace('>a<', '>]]><')}</ListBucketResult>".encode())
@example(
    f"<ListBucketResult>{PLAIN}</ListBucketResult>".replace(
        "<Size>", "<ChecksumType>&no;</ChecksumType><Size>"
    ).encode()
)
@example(f"<ListBucketResult>{PLAIN.replace('>a<', '>&no;<')}</ListBucketResult>".encode())
@example(f"<ListBucketResult>{PLAIN.replace('>a<', '>a&#0;<')}</ListBucketResult>".encode())
@example(f"<ListBucketResult>{PLAIN.replace('>a<', '>a' + chr(1) + '<')}</ListBucketResult>".encode())
def test_both_ways_agree(body: bytes) -> None:
    assert read(body) == read_in_full(body)


OWNED = (
    "<Contents><Key>a&amp;&#x27;%2B</Key><LastModified>2024-01-01T00:00:00.000Z</LastModified>"
    "<ETag>&quot;e&quot;</ETag><ChecksumAlgorithm>CRC32</ChecksumAlgorithm><ChecksumType>FULL_OBJECT</ChecksumType>"
    "<Size>7</Size><Owner><ID>i</ID><DisplayName>n</DisplayName></Owner><StorageClass>GLACIER</StorageClass></Contents>"
)
MOTO = (
    '<Contents><Key>dir/b</Key><LastModified>2026-11-21T07:57:05.000Z</LastModified><ETag>"c4ca"</ETag>'
    "<ChecksumAlgorithm>CRC32</ChecksumAlgorithm><Size>1</Size><StorageClass>STANDARD</StorageClass></Contents>"
)
SEAWEED = (
    "<Contents><Key>dir/b</Key><ETag>&#34;c4ca&#34;</ETag><Size>1</Size><Owner><ID>t</ID></Owner>"
    "<StorageClass>STANDARD</StorageClass><LastModified>2026-11-21T07:57:10Z</LastModified></Contents>"
)
OLDER = "<Contents><Key>a</Key><LastModified/><ETag>e</ETag><Size>7</Size><StorageClass/></Contents>"


@pytest.mark.parametrize("entry", [OWNED, MOTO, SEAWEED])
def test_what_stores_write_is_read_the_fast_way(entry: str) -> None:
    columns = read_plain_entries((entry * 3).encode())
    assert columns is not None
    assert len(columns.keys) == 3
    plain = entry.replace("<ChecksumAlgorithm>CRC32</ChecksumAlgorithm>", "").replace("<Owner><ID>t</ID></Owner>", "")
    assert read_plain_entries((plain + entry + plain).encode()) is not None


def test_references_of_the_fast_way_mean_what_they_mean() -> None:
    assert read_plain_entries(OWNED.encode()) == (("a&'%2B",), (7,), ('"e"',), (1704067200.0,), ("GLACIER",))


@pytest.mark.parametrize("entry", [OLDER, "<Contents></Contents>", "<Contents>x</Contents>"])
def test_other_shapes_are_left_to_the_full_parser(entry: str) -> None:
    assert read_plain_entries(entry.encode()) is None
