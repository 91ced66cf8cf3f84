"""What a copy that is written anew has of its source: metadata and content headers, and tags, unless it gets its own.

An object that the store copies by itself in one piece needs none of this: it keeps them there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from transfer.engine.attempts import Tally
from transfer.engine.context import Context
from transfer.model.errors import StoreError
from transfer.model.events import Warned
from transfer.model.locations import S3Location
from transfer.model.objects import ObjectInfo
from transfer.model.values import dataclass
from transfer.plan.content_types import guess_content_type
from transfer.plan.copying import replaces_metadata, replaces_tags
from transfer.stores.s3.properties import kept_headers, property_headers, tagging_header
from transfer.stores.s3.tagging import get_tags

_TELLS_NO_TAGS: Final = frozenset({400, 403, 404})
"""Refusals that say nothing of whether there are tags."""
_KNOWS_NO_TAGS: Final = frozenset({405, 501})
"""Refusals of stores whose objects have none."""


@dataclass(frozen=True, slots=True)
class CopyHeaders:
    """What a new object is given.

    Attributes:
        values: The headers, lower-case names.
        tags_unread: Whether its source may have tags that could not be read, so that it gets none.
    """

    values: Mapping[str, str]
    tags_unread: bool


async def headers_of_copy(
    context: Context,
    source: S3Location,
    destination: S3Location,
    info: ObjectInfo,
    tally: Tally,
    *,
    counts_tags: bool = False,
) -> CopyHeaders:
    """The headers of the new object.

    Storage class, encryption and ACL are never those of the source (AWS: CopyObject). Where tags cannot be read the
    copy has none, which is told for each object. An answer that counts none means so only to whoever may read tags
    (AWS: GetObject, `x-amz-tagging-count`): they are asked for until tags of the bucket have once been read.

    Args:
        context: The run.
        source: What is copied.
        destination: The object to be.
        info: What is known of the source.
        tally: Counts retries.
        counts_tags: Whether `info` comes from an answer that counts tags if there are any: that of a GET.

    Raises:
        UsageError: A property that the user named cannot be sent.
        StoreError: The source is gone.
        WireError: As for any request.
    """
    options = context.options
    has_new_metadata = replaces_metadata(options)
    guessed = guess_content_type(destination.key) if has_new_metadata else None
    headers = property_headers(options.properties, guessed, None)
    if not has_new_metadata:
        own = {name: value for name, value in headers.items() if name.startswith("x-amz-")}
        headers = {**kept_headers(info), **own}
    has_none = info.tag_count == 0 or (counts_tags and info.tag_count is None and source.bucket in context.tags_told)
    if replaces_tags(options) or has_none or context.knows_no_tags:
        return CopyHeaders(headers, tags_unread=False)
    tags = await _tags(context, source, tally)
    return CopyHeaders({**headers, **tagging_header(tags or {})}, tags_unread=tags is None)


async def _tags(context: Context, source: S3Location, tally: Tally) -> dict[str, str] | None:
    """The tags of an object; None when nobody tells whether it has any."""
    try:
        tags = await context.attempts.run(source, lambda _: get_tags(context.store, source), tally)
    except StoreError as error:
        if error.status in _KNOWS_NO_TAGS:
            context.knows_no_tags = True
            return {}
        if error.status not in _TELLS_NO_TAGS or error.code in ("NoSuchKey", "NoSuchBucket"):
            raise
        context.on_event(Warned(f"{source}: its tags cannot be read ({error.code}), so its copy has none"))
        return None
    context.tags_told.add(source.bucket)
    return tags
