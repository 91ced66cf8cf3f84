"""What a copy inside a store keeps of its source, and in which parts it is made."""

import pytest

from transfer.model.errors import UsageError
from transfer.model.locations import S3Location
from transfer.model.objects import ObjectProperties
from transfer.model.options import CopyDirective, TransferOptions
from transfer.plan.copying import (
    can_keep_parts,
    check_directives,
    check_not_onto_itself,
    copy_part_size_bytes,
    replaces_metadata,
    replaces_tags,
)
from transfer.plan.parts import GIB, MAX_OBJECT_SIZE_BYTES, MAX_PART_SIZE_BYTES, MAX_PARTS, MIB, part_count

HERE = S3Location("bucket", "key")


@pytest.mark.parametrize(
    "properties",
    [
        ObjectProperties(content_type="text/plain"),
        ObjectProperties(cache_control="no-store"),
        ObjectProperties(content_disposition="inline"),
        ObjectProperties(content_encoding="gzip"),
        ObjectProperties(metadata={"a": "b"}),
    ],
)
def test_naming_metadata_replaces_it(properties: ObjectProperties) -> None:
    assert replaces_metadata(TransferOptions(properties=properties))
    assert not replaces_tags(TransferOptions(properties=properties))
    check_not_onto_itself(TransferOptions(properties=properties), HERE, HERE)
    with pytest.raises(UsageError, match="kept as they are"):
        check_directives(TransferOptions(properties=properties, metadata_directive=CopyDirective.COPY))


@pytest.mark.parametrize(
    "properties",
    [
        ObjectProperties(),
        ObjectProperties(storage_class="STANDARD_IA", encryption="AES256", acl="private"),
        ObjectProperties(tags={"a": "b"}),
    ],
)
def test_what_is_no_metadata_leaves_it(properties: ObjectProperties) -> None:
    assert not replaces_metadata(TransferOptions(properties=properties))
    check_directives(TransferOptions(properties=properties, metadata_directive=CopyDirective.COPY))


def test_naming_tags_replaces_them() -> None:
    named = ObjectProperties(tags={"a": "b"})
    assert replaces_tags(TransferOptions(properties=named))
    with pytest.raises(UsageError, match="tags are kept"):
        check_directives(TransferOptions(properties=named, tagging_directive=CopyDirective.COPY))


def test_directives_are_obeyed() -> None:
    replacing = TransferOptions(metadata_directive=CopyDirective.REPLACE, tagging_directive=CopyDirective.REPLACE)
    assert replaces_metadata(replacing)
    assert replaces_tags(replacing)
    check_directives(replacing)


@pytest.mark.parametrize(
    "properties", [ObjectProperties(), ObjectProperties(tags={"a": "b"}), ObjectProperties(acl="private")]
)
def test_an_object_is_not_copied_onto_itself_to_no_effect(properties: ObjectProperties) -> None:
    options = TransferOptions(properties=properties)
    with pytest.raises(UsageError, match="onto itself") as caught:
        check_not_onto_itself(options, HERE, HERE)
    assert caught.value.subject == "s3://bucket/key"
    check_not_onto_itself(options, HERE, S3Location("bucket", "/key"))
    check_not_onto_itself(options, HERE, S3Location("other", "key"))


@pytest.mark.parametrize(
    "options",
    [
        TransferOptions(properties=ObjectProperties(storage_class="STANDARD_IA")),
        TransferOptions(properties=ObjectProperties(encryption="aws:kms")),
        TransferOptions(metadata_directive=CopyDirective.REPLACE),
    ],
)
def test_an_object_may_be_changed_in_its_place(options: TransferOptions) -> None:
    check_not_onto_itself(options, HERE, HERE)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (5 * GIB + 1, 64 * MIB),
        (30 * GIB, 64 * MIB),
        (500 * GIB, 1024 * MIB),
        (MAX_OBJECT_SIZE_BYTES, MAX_PART_SIZE_BYTES),
    ],
)
def test_parts_are_some_hundreds(size: int, expected: int) -> None:
    found = copy_part_size_bytes(size, None)
    assert found == expected
    assert part_count(size, found) <= MAX_PARTS


def test_a_part_size_that_is_asked_for_is_taken() -> None:
    assert copy_part_size_bytes(6 * GIB, 5 * MIB) == 5 * MIB
    with pytest.raises(UsageError, match="more than 10000 parts"):
        copy_part_size_bytes(500 * GIB, 5 * MIB)
    with pytest.raises(UsageError, match="largest object"):
        copy_part_size_bytes(MAX_OBJECT_SIZE_BYTES + 1, None)


def test_parts_that_s3_takes_can_be_kept() -> None:
    assert can_keep_parts(2, 5 * MIB)
    assert can_keep_parts(1, 100)
    assert not can_keep_parts(2, 5 * MIB - 1)
    assert not can_keep_parts(MAX_PARTS + 1, 5 * MIB)
    assert not can_keep_parts(0, 5 * MIB)
    assert not can_keep_parts(2, MAX_PART_SIZE_BYTES + 1)
