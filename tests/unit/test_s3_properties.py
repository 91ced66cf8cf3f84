"""What may be said of a new object in headers."""

import pytest

from transfer import Transfer, TransferOptions
from transfer.model.errors import UsageError
from transfer.model.objects import ObjectProperties
from transfer.stores.s3.properties import property_headers


@pytest.mark.parametrize(
    ("properties", "name"),
    [
        (ObjectProperties(metadata={"owner": "J\u00f6rg"}), "x-amz-meta-owner"),
        (ObjectProperties(metadata={"owner": "a\r\nx-amz-acl: public-read"}), "x-amz-meta-owner"),
        (ObjectProperties(metadata={"a b": "c"}), "'a b'"),
        (ObjectProperties(metadata={"": "c"}), "''"),
        (ObjectProperties(content_disposition='attachment; filename="\u00e9"'), "content-disposition"),
        (ObjectProperties(cache_control="\x7f"), "cache-control"),
    ],
)
def test_what_no_header_can_carry_is_refused_by_name(properties: ObjectProperties, name: str) -> None:
    with pytest.raises(UsageError) as caught:
        property_headers(properties, None, None)
    assert name in str(caught.value.subject)
    assert str(caught.value).isascii()
    assert caught.value.remedy
    with pytest.raises(UsageError):
        Transfer(options=TransferOptions(properties=properties))


def test_tags_and_printable_values_pass() -> None:
    properties = ObjectProperties(metadata={"Two-Words": "a  b~"}, tags={"\u00e9": "\U0001f680 &"})
    assert property_headers(properties, "text/plain", None) == {
        "content-type": "text/plain",
        "x-amz-tagging": "%C3%A9=%F0%9F%9A%80+%26",
        "x-amz-meta-two-words": "a  b~",
    }
