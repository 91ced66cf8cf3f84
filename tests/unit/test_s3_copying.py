"""How a copy inside a store is asked for."""

import pytest

from transfer.engine.server_copy import directive_headers
from transfer.model.checksums import ChecksumAlgorithm
from transfer.model.errors import ProtocolError
from transfer.model.locations import S3Location
from transfer.model.objects import ObjectProperties
from transfer.model.options import CopyDirective, TransferOptions
from transfer.stores.s3.copying import CopySource
from transfer.stores.s3.tagging import parse_tags

PAGE = S3Location("bucket", "page.html")


@pytest.mark.parametrize(
    ("key", "encoded"),
    [
        ("a/b.c", "a/b.c"),
        ("a b+c", "a%20b%2Bc"),
        ("\u00fc?x#y", "%C3%BC%3Fx%23y"),
        ("/a//b", "/a//b"),
        ("%41", "%2541"),
    ],
)
def test_the_source_is_encoded_like_a_path(key: str, encoded: str) -> None:
    assert CopySource(S3Location("bucket", key)).headers() == {"x-amz-copy-source": f"/bucket/{encoded}"}


def test_the_source_may_be_pinned() -> None:
    headers = CopySource(S3Location("bucket", "k"), '"e"', "v+/=").headers()
    assert headers == {"x-amz-copy-source": "/bucket/k?versionId=v%2B%2F%3D", "x-amz-copy-source-if-match": '"e"'}


@pytest.mark.parametrize(
    ("options", "headers"),
    [
        (TransferOptions(), {}),
        (TransferOptions(checksum=ChecksumAlgorithm.SHA256), {"x-amz-checksum-algorithm": "SHA256"}),
        (TransferOptions(checksum=ChecksumAlgorithm.MD5), {}),
        (
            TransferOptions(
                properties=ObjectProperties(storage_class="GLACIER_IR", encryption="AES256", acl="private")
            ),
            {
                "x-amz-storage-class": "GLACIER_IR",
                "x-amz-server-side-encryption": "AES256",
                "x-amz-acl": "private",
            },
        ),
        (
            TransferOptions(properties=ObjectProperties(metadata={"A": "b"})),
            {"content-type": "text/html", "x-amz-meta-a": "b", "x-amz-metadata-directive": "REPLACE"},
        ),
        (
            TransferOptions(properties=ObjectProperties(tags={"a b": "c"})),
            {"x-amz-tagging": "a+b=c", "x-amz-tagging-directive": "REPLACE"},
        ),
        (
            TransferOptions(tagging_directive=CopyDirective.REPLACE),
            {"x-amz-tagging-directive": "REPLACE"},
        ),
        (
            TransferOptions(metadata_directive=CopyDirective.COPY, tagging_directive=CopyDirective.COPY),
            {},
        ),
    ],
)
def test_only_what_changes_is_named(options: TransferOptions, headers: dict[str, str]) -> None:
    assert directive_headers(options, PAGE) == headers


def test_tags_are_read() -> None:
    body = (
        b'<?xml version="1.0"?><Tagging xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><TagSet>'
        b"<Tag><Key>a &amp; b</Key><Value>c</Value></Tag><Tag><Key>empty</Key><Value></Value></Tag></TagSet></Tagging>"
    )
    assert parse_tags(body) == {"a & b": "c", "empty": ""}
    assert parse_tags(b"<Tagging><TagSet/></Tagging>") == {}
    with pytest.raises(ProtocolError, match="Tagging"):
        parse_tags(b"<ListBucketResult/>")
