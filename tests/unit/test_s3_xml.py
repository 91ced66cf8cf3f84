"""The documents of S3 and of its lookalikes: what each answer means, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

import pytest

from transfer.model.checksums import Checksum, ChecksumAlgorithm, ChecksumType
from transfer.model.errors import ProtocolError, UsageError
from transfer.model.objects import ListedObject
from transfer.stores.s3 import xml
from transfer.stores.s3.xml_reader import MAX_DEPTH, MAX_DOCUMENT_BYTES, MAX_ELEMENTS, parse_time, read_tree

NAMESPACE = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
ENTRY = (
    "<Contents><Key>{key}</Key><LastModified>2013-05-24T00:00:01.500Z</LastModified>"
    "<ETag>&quot;abc-2&quot;</ETag><Size>7</Size><StorageClass>STANDARD</StorageClass>"
    "<Owner><ID>me</ID><Key>no</Key></Owner></Contents>"
)


def listing(inner: str, root: str = "ListBucketResult") -> bytes:
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<{root} {NAMESPACE}>{inner}</{root}>'.encode()


def test_a_page_of_version_2() -> None:
    body = listing(
        "<Name>b</Name><Prefix>p</Prefix><KeyCount>2</KeyCount><IsTruncated>true</IsTruncated>"
        + ENTRY.format(key="p/a&amp;b")
        + "<NextContinuationToken>t+%20==</NextContinuationToken><EncodingType/>"
        + "<CommonPrefixes><Prefix>p/x/</Prefix></CommonPrefixes>"
    )
    page = xml.parse_list_page(body)
    assert page.objects == (ListedObject("p/a&b", 7, '"abc-2"', 1369353601.5, "STANDARD"),)
    assert page.prefixes == ("p/x/",)
    assert page.next_token == "t+%20=="


def test_keys_and_prefixes_but_no_tokens_are_decoded_wherever_the_encoding_is_named() -> None:
    body = listing(
        ENTRY.format(key="a+b%2Bc%01%FF")
        + "<CommonPrefixes><Prefix>x%2Fy+</Prefix></CommonPrefixes><IsTruncated>true</IsTruncated>"
        + "<NextContinuationToken>n+%C3%A9</NextContinuationToken><EncodingType>url</EncodingType>"
    )
    page = xml.parse_list_page(body)
    assert page.objects[0].key == "a b+c\x01\udcff"
    assert page.prefixes == ("x/y ",)
    assert page.next_token == "n+%C3%A9"


@pytest.mark.parametrize("shape", ["plain", "pretty"])
def test_an_etag_without_quotes_is_the_one_that_answers_have(shape: str) -> None:
    entry = "<Contents><Key>{}</Key><Size>7</Size><ETag>{}</ETag></Contents>"
    inner = "".join(entry.format(number, etag) for number, etag in enumerate(["ab-2", "cd", ""]))
    body = listing(inner if shape == "plain" else inner.replace("</Key>", "</Key>\n"))
    assert [found.etag for found in xml.parse_list_page(body).objects] == ['"ab-2"', '"cd"', ""]


def test_keys_are_taken_as_written_without_an_encoding() -> None:
    assert xml.parse_list_page(listing(ENTRY.format(key=" a+b%20 "))).objects[0].key == " a+b%20 "


def test_prefixed_names_and_pretty_printing_change_nothing() -> None:
    body = (
        b'<s:ListBucketResult xmlns:s="x">\n  <s:IsTruncated> false </s:IsTruncated>\n  <s:Contents>\n'
        b"    <s:Size>3</s:Size>\n    <s:Key>k</s:Key>\n  </s:Contents>\n</s:ListBucketResult>"
    )
    assert xml.parse_list_page(body).objects == (ListedObject("k", 3, "", 0.0, ""),)


@pytest.mark.parametrize(
    "inner",
    [
        "<IsTruncated>true</IsTruncated>" + ENTRY.format(key="a"),
        "<IsTruncated>true</IsTruncated><Marker/><NextMarker>a</NextMarker>" + ENTRY.format(key="a"),
        "<IsTruncated>perhaps</IsTruncated>",
        "<EncodingType>base64</EncodingType>",
        "<Contents><Size>1</Size></Contents>",
        "<Contents><Key/><Size>1</Size></Contents>",
        "<Contents><Key>a</Key></Contents>",
        "<Contents><Key>a<b/>c</Key><Size>1</Size></Contents>",
        "<Contents><Key>a</Key><Size>-1</Size></Contents>",
        "<Contents><Key>a</Key><Size>1_0</Size></Contents>",
        "<Contents><Key>a</Key><Size>\u0661</Size></Contents>",
        "<Contents><Key>a</Key><Size>" + "9" * 5000 + "</Size></Contents>",
        "<Contents><Key>a</Key><Size>1</Size><LastModified>soon</LastModified></Contents>",
        "<CommonPrefixes/>",
    ],
)
def test_a_listing_that_cannot_be_trusted_is_refused(inner: str) -> None:
    with pytest.raises(ProtocolError):
        xml.parse_list_page(listing(inner))


@pytest.mark.parametrize("body", [b"", b"<html/>", b"<Error><Code>X</Code></Error>", b"<ListBucketResult>"])
def test_what_is_no_listing_is_never_an_empty_one(body: bytes) -> None:
    with pytest.raises(ProtocolError):
        xml.parse_list_page(body)


def test_an_answer_that_ends_the_listing_has_no_token() -> None:
    body = listing("<IsTruncated>false</IsTruncated><NextContinuationToken>t</NextContinuationToken>")
    assert xml.parse_list_page(body).next_token is None


def test_times_with_and_without_fraction_and_zone() -> None:
    assert parse_time("1970-01-01T00:00:01Z") == 1
    assert parse_time("1970-01-01T01:00:00+01:00") == 0
    assert parse_time("1970-01-01T00:00:00.250") == 0.25
    assert parse_time(None) == 0


@pytest.mark.parametrize("parse", [read_tree, xml.parse_list_page])
@pytest.mark.parametrize(
    "body",
    [
        b'<!DOCTYPE a [<!ENTITY b "c">]><ListBucketResult>&b;</ListBucketResult>',
        b'<!DOCTYPE a SYSTEM "http://127.0.0.1/x"><ListBucketResult/>',
        b"<ListBucketResult>&undefined;</ListBucketResult>",
        b"<a>" * (MAX_DEPTH + 1) + b"</a>" * (MAX_DEPTH + 1),
        b"<ListBucketResult>" + b" " * MAX_DOCUMENT_BYTES + b"</ListBucketResult>",
        '<?xml version="1.0" encoding="UTF-16"?><ListBucketResult/>'.encode("utf-16"),
    ],
)
def test_hostile_documents_are_refused(parse: Callable[[bytes], object], body: bytes) -> None:
    with pytest.raises(ProtocolError):
        parse(body)


def test_a_tree_has_a_bounded_number_of_elements() -> None:
    with pytest.raises(ProtocolError):
        read_tree(b"<r>" + b"<a/>" * MAX_ELEMENTS + b"</r>")


def test_an_error_names_code_region_and_bucket() -> None:
    body = (
        b"  \n<?xml version='1.0'?><Error><Code>AuthorizationHeaderMalformed</Code><Message>wrong &lt;region>"
        b"</Message><Region>eu-west-3</Region><RequestId>r1</RequestId><BucketName>b</BucketName></Error>"
    )
    assert xml.parse_error(body) == xml.ErrorBody(
        "AuthorizationHeaderMalformed", "wrong <region>", "r1", "eu-west-3", None, "b"
    )


@pytest.mark.parametrize("body", [b"", b"Service Unavailable", b"<html><Code>x</Code></html>", b"<Error>", b"\xff"])
def test_what_is_no_error_document_is_none(body: bytes) -> None:
    assert xml.parse_error(body) is None


def test_another_document_is_told_from_an_error_by_its_first_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    def read_all(_: bytes) -> NoReturn:
        raise AssertionError("it was read to the end")

    monkeypatch.setattr(xml, "read_tree", read_all)
    assert xml.parse_error(b"\n" * 10_000 + listing(ENTRY.format(key="a") * 1000)) is None


def test_an_error_is_found_behind_what_kept_the_connection_alive() -> None:
    body = b" \n" * 10_000 + b"<?xml version='1.0'?><e:Error xmlns:e='x'><e:Code>SlowDown</e:Code></e:Error>"
    error = xml.parse_error(body)
    assert error is not None
    assert error.code == "SlowDown"


def test_the_upload_id() -> None:
    body = listing("<Bucket>b</Bucket><UploadId>id&amp;1</UploadId>", "InitiateMultipartUploadResult")
    assert xml.parse_create_upload(body) == "id&1"
    body = listing("<UploadId>as rclone's server</UploadId>", "InitiateMultipartUpload")
    assert xml.parse_create_upload(body) == "as rclone's server"
    with pytest.raises(ProtocolError):
        xml.parse_create_upload(listing("<UploadId/>", "InitiateMultipartUploadResult"))


def test_a_completed_upload_gives_etag_and_checksums() -> None:
    inner = '<ETag>"e-2"</ETag><ChecksumCRC64NVME>AAAA=</ChecksumCRC64NVME>'
    full = xml.parse_complete(
        listing(f"{inner}<ChecksumType>FULL_OBJECT</ChecksumType>", "CompleteMultipartUploadResult")
    )
    checksum = Checksum(ChecksumAlgorithm.CRC64NVME, "AAAA=")
    assert full == xml.CompleteResult('"e-2"', (checksum,), ChecksumType.FULL_OBJECT)
    untyped = xml.parse_complete(
        listing("<ETag>e</ETag><ChecksumSHA256>AA==-3</ChecksumSHA256>", "CompleteMultipartUploadResult")
    )
    assert untyped.checksums == (Checksum(ChecksumAlgorithm.SHA256, "AA==-3", ChecksumType.COMPOSITE),)
    assert untyped.checksum_type is None


@pytest.mark.parametrize("parse", [xml.parse_complete, xml.parse_copy_result, xml.parse_delete_result])
def test_an_error_in_a_success_is_no_success(parse: Callable[[bytes], object]) -> None:
    body = b"<Error><Code>InternalError</Code><ETag>e</ETag></Error>"
    error = xml.parse_error(body)
    assert error is not None
    assert error.code == "InternalError"
    with pytest.raises(ProtocolError):
        parse(body)


@pytest.mark.parametrize("root", ["CopyObjectResult", "CopyPartResult"])
def test_a_copy(root: str) -> None:
    inner = "<LastModified>1970-01-01T00:00:02Z</LastModified><ETag>e</ETag><ChecksumCRC32>A=</ChecksumCRC32>"
    expected = xml.CopyResult("e", 2.0, (Checksum(ChecksumAlgorithm.CRC32, "A="),))
    assert xml.parse_copy_result(listing(inner, root)) == expected


def test_a_delete_result_gives_the_failures_only() -> None:
    body = listing(
        "<Deleted><Key>a</Key></Deleted><Error><Message>no</Message><Key> b </Key><Code>AccessDenied</Code>"
        "</Error><Error><Key>c</Key></Error>",
        "DeleteResult",
    )
    assert xml.parse_delete_result(body) == (
        xml.DeleteFailure(" b ", "AccessDenied", "no"),
        xml.DeleteFailure("c", "", ""),
    )
    assert xml.parse_delete_result(listing("", "DeleteResult")) == ()


def test_a_page_of_parts() -> None:
    parts = "<Part><PartNumber>3</PartNumber><ETag>e</ETag><Size>5</Size></Part>"
    last = listing(f"<NextPartNumberMarker>3</NextPartNumberMarker>{parts}", "ListPartsResult")
    assert xml.parse_list_parts(last) == xml.PartsPage((xml.UploadedPart(3, "e", 5),), None)
    more = "<IsTruncated>true</IsTruncated><NextPartNumberMarker>3</NextPartNumberMarker>"
    assert xml.parse_list_parts(listing(more + parts, "ListPartsResult")).next_marker == 3
    with pytest.raises(ProtocolError):
        xml.parse_list_parts(listing("<IsTruncated>true</IsTruncated>", "ListPartsResult"))


def test_a_page_of_uploads() -> None:
    body = listing(
        "<Upload><Key>a+b</Key><UploadId>u</UploadId><Initiated>1970-01-01T00:00:02Z</Initiated></Upload>"
        "<IsTruncated>true</IsTruncated><NextKeyMarker>a+b</NextKeyMarker><EncodingType>url</EncodingType>"
        "<NextUploadIdMarker>u</NextUploadIdMarker>",
        "ListMultipartUploadsResult",
    )
    expected = xml.UploadsPage((xml.PendingUpload("a b", "u", 2.0),), "a b", "u")
    assert xml.parse_list_uploads(body) == expected


@pytest.mark.parametrize(
    ("keys", "read"),
    [
        (["a+b", "%C3%A4"], ["a b", "ä"]),
        (["a+b", "c d"], ["a+b", "c d"]),
        (["a%41", "ä"], ["a%41", "ä"]),
        (["5%"], ["5%"]),
    ],
)
def test_keys_that_cannot_be_encoded_are_taken_as_they_are(keys: list[str], read: list[str]) -> None:
    uploads = "".join(f"<Upload><Key>{key}</Key><UploadId>u</UploadId></Upload>" for key in keys)
    body = listing(f"<EncodingType>url</EncodingType>{uploads}", "ListMultipartUploadsResult")
    assert [upload.key for upload in xml.parse_list_uploads(body).uploads] == read


def test_a_page_of_uploads_may_name_the_upload_alone_to_go_on() -> None:
    more = "<IsTruncated>true</IsTruncated>"
    body = listing(f"{more}<NextUploadIdMarker>u</NextUploadIdMarker>", "ListMultipartUploadsResult")
    assert xml.parse_list_uploads(body) == xml.UploadsPage((), None, "u")
    with pytest.raises(ProtocolError):
        xml.parse_list_uploads(listing(more, "ListMultipartUploadsResult"))


def test_the_body_that_completes_an_upload() -> None:
    checksum = Checksum(ChecksumAlgorithm.CRC32C, "AA+/==")
    root = read_tree(xml.build_complete([xml.CompletedPart(1, '"a&b"', checksum), xml.CompletedPart(2, "<c>")]))
    assert root.name == "CompleteMultipartUpload"
    assert [{field.name: field.text for field in part.children} for part in root.children] == [
        {"ChecksumCRC32C": "AA+/==", "ETag": '"a&b"', "PartNumber": "1"},
        {"ETag": "<c>", "PartNumber": "2"},
    ]


def test_keys_that_xml_cannot_carry_are_told_apart() -> None:
    carried = ["a", "<&>\"'", " \t\n", "é😀", "\x7f\x85"]
    odd = ["\x00", "a\x1fb", "\udcff", "\ufffe", "a\rb"]
    assert xml.split_deletable([*carried, *odd]) == (carried, odd)
    root = read_tree(xml.build_delete(carried))
    assert root.find_text("Quiet") == "true"
    assert [item.find_text("Key") for item in root.every("Object")] == carried
    assert read_tree(xml.build_delete(["a"], quiet=False)).find_text("Quiet") is None


@pytest.mark.parametrize("key", ["", "\x01", "\udc80"])
def test_a_delete_never_names_a_key_it_cannot_carry(key: str) -> None:
    with pytest.raises(UsageError):
        xml.build_delete(["a", key])
