"""What a copy inside a store keeps of its source and in which parts it is made. Pure.

The limits and the meaning of the directives are those of AWS (CopyObject, API reference).
"""

from __future__ import annotations

from transfer.model.errors import UsageError
from transfer.model.locations import S3Location
from transfer.model.objects import ObjectProperties
from transfer.model.options import CopyDirective, TransferOptions
from transfer.plan.parts import MAX_PART_SIZE_BYTES, MAX_PARTS, MIB, MIN_PART_SIZE_BYTES, choose_part_size_bytes

SMALLEST_PART_BYTES = 64 * MIB
"""No byte passes through here, so a part costs a request and nothing else, and the store needs a moment for each: one
of 64 MiB takes it about a second."""
PARTS_AIMED_AT = 500
"""More than any run has requests in flight, so that all of them have work to the end; more only cost requests."""


def replaces_metadata(options: TransferOptions) -> bool:
    """Whether the copy gets metadata and content headers of its own: asked for, or implied by naming one of them."""
    if options.metadata_directive is not None:
        return options.metadata_directive is CopyDirective.REPLACE
    return _names_metadata(options.properties)


def replaces_tags(options: TransferOptions) -> bool:
    """Whether the copy gets tags of its own: asked for, or implied by naming one."""
    if options.tagging_directive is not None:
        return options.tagging_directive is CopyDirective.REPLACE
    return bool(options.properties.tags)


def check_directives(options: TransferOptions) -> None:
    """Refuse properties that would be named in vain.

    Raises:
        UsageError: Metadata or tags are named, and those of the source are to be kept.
    """
    if options.metadata_directive is CopyDirective.COPY and _names_metadata(options.properties):
        raise UsageError(
            "metadata and content headers are kept as they are, so none can be given",
            subject="--metadata-directive copy",
            remedy="leave it out, or write --metadata-directive replace",
        )
    if options.tagging_directive is CopyDirective.COPY and options.properties.tags:
        raise UsageError(
            "tags are kept as they are, so none can be given",
            subject="--tagging-directive copy",
            remedy="leave it out, or write --tagging-directive replace",
        )


def check_properties_of_moved(options: TransferOptions) -> None:
    """Refuse that an object loses in a move what nobody has said it shall lose: its source goes.

    Raises:
        UsageError: One property is named, which implies that all of its kind are replaced.
    """
    if options.metadata_directive is None and _names_metadata(options.properties):
        raise UsageError(
            "all metadata and content headers of what moves would be lost but for those that are given",
            subject="mv",
            remedy="write --metadata-directive replace if that is meant",
        )
    if options.tagging_directive is None and options.properties.tags:
        raise UsageError(
            "all tags of what moves would be lost but for those that are given",
            subject="mv",
            remedy="write --tagging-directive replace if that is meant",
        )


def check_not_onto_itself(options: TransferOptions, source: S3Location, destination: S3Location) -> None:
    """Refuse to copy an object, or a tree, onto itself, unless that changes what S3 lets change in this way.

    Raises:
        UsageError: Both are the same place, and nothing that S3 takes for a change is asked for.
    """
    if source != destination:
        return
    properties = options.properties
    if replaces_metadata(options) or properties.storage_class or properties.encryption:
        return
    raise UsageError(
        "it would be copied onto itself",
        subject=str(source),
        remedy="name another destination, or a new --storage-class, --sse or metadata",
    )


def copy_part_size_bytes(size_bytes: int, requested: int | None) -> int:
    """Choose the size of the parts in which the store copies an object.

    Args:
        size_bytes: Of the object.
        requested: What the user wants, in bytes, or None.

    Raises:
        UsageError: The object is larger than S3 allows, or no such part size fits it.
    """
    if requested is not None:
        return choose_part_size_bytes(size_bytes, requested)
    needed = choose_part_size_bytes(size_bytes, None)
    wanted = -(-size_bytes // (PARTS_AIMED_AT * MIB)) * MIB
    return min(MAX_PART_SIZE_BYTES, max(SMALLEST_PART_BYTES, wanted, needed))


def can_keep_parts(part_count: int, part_size_bytes: int) -> bool:
    """Whether an object can be copied in the parts that it was uploaded in."""
    is_large_enough = part_size_bytes >= MIN_PART_SIZE_BYTES or part_count == 1
    return 0 < part_count <= MAX_PARTS and is_large_enough and part_size_bytes <= MAX_PART_SIZE_BYTES


def _names_metadata(properties: ObjectProperties) -> bool:
    named = (
        properties.content_type,
        properties.cache_control,
        properties.content_disposition,
        properties.content_encoding,
    )
    return bool(properties.metadata) or any(value is not None for value in named)
