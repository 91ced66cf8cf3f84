"""Keys and queries on the wire: encoded as S3 signs them, never normalised."""

from __future__ import annotations

from urllib.parse import quote, unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transfer.model.errors import UsageError
from transfer.stores.s3.uri import encode_key, encode_query

any_bytes = st.binary(max_size=80).map(lambda raw: raw.decode("utf-8", "surrogateescape"))


@pytest.mark.parametrize(
    ("key", "encoded"),
    [
        ("", ""),
        ("plain/Key-1_2.3~4", "plain/Key-1_2.3~4"),
        ("a b+c", "a%20b%2Bc"),
        ("//a/../b/./", "//a/../b/./"),
        ("100%", "100%25"),
        ("already%20encoded", "already%2520encoded"),
        ("é", "%C3%A9"),
        ("e\u0301", "e%CC%81"),
        ("😀", "%F0%9F%98%80"),
        ("odd\udcff", "odd%FF"),
        ("new\nline\n", "new%0Aline%0A"),
        ("?#&=:@!$'()*,;[]", "%3F%23%26%3D%3A%40%21%24%27%28%29%2A%2C%3B%5B%5D"),
    ],
)
def test_a_key_is_encoded_byte_for_byte(key: str, encoded: str) -> None:
    assert encode_key(key) == encoded


@given(any_bytes | st.text(st.characters(exclude_categories=["Cs"])))
def test_an_encoded_key_holds_the_bytes_of_the_key(key: str) -> None:
    encoded = encode_key(key)
    assert unquote_to_bytes(encoded) == key.encode("utf-8", "surrogateescape")
    assert encoded == quote(key, safe="/~", errors="surrogateescape")


def test_a_surrogate_that_stands_for_no_byte_is_refused() -> None:
    with pytest.raises(UsageError):
        encode_key("\ud800")
    with pytest.raises(UsageError):
        encode_query([("prefix", "\ud800")])


def test_a_query_is_ordered_by_encoded_name_then_value() -> None:
    pairs = [("prefix", "a/b c"), ("list-type", "2"), ("é", ""), ("a", "2"), ("a", "10"), ("Z", "+")]
    assert encode_query(pairs) == "%C3%A9=&Z=%2B&a=10&a=2&list-type=2&prefix=a%2Fb%20c"


def test_a_sub_resource_keeps_its_equals_sign_and_no_pairs_make_no_query() -> None:
    assert encode_query([("uploads", "")]) == "uploads="
    assert encode_query([]) == ""
