"""What a copy that is written anew has of its source: metadata and content headers, and tags, unless it gets its own.

An object that the store copies by itself in one piece needs none of this: it keeps them there.
"""

from __future__ import annotations

from typing import Final

from transfer.engine.attempts import Tally
from transfer.engine.context import Context
from transfer.model.errors import StoreError
from transfer.model.events import Warned
from transfer.model.locations import S3Location
from transfer.model.objects import ObjectInfo
from transfer.plan.content_types import guess_content_type
from transfer.plan.copying import replaces_metadata, replaces_tags
from transfer.stores.s3.properties import kept_headers, property_headers, tagging_header
from transfer.stores.s3.tagging import get_tags

_TELLS_NO_TAGS: Final = frozenset({400, 403, 404, 405, 501})


async def headers_of_copy(
    context: Context, source: S3Location, destination: S3Location, info: ObjectInfo, tally: Tally
) -> dict[str, str]:
    """The headers of the new object, lower-case names.

    Storage class, encryption and ACL are never those of the source (AWS: CopyObject). Tags are asked for unless `info`
    says that there are none; where they cannot be read the copy has none, which is told once.

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
    if not replaces_tags(options) and info.tag_count != 0:
        headers.update(tagging_header(await _tags(context, source, tally)))
    return headers


async def _tags(context: Context, source: S3Location, tally: Tally) -> dict[str, str]:
    try:
        return await context.attempts.run(source, lambda _: get_tags(context.store, source), tally)
    except StoreError as error:
        if error.status not in _TELLS_NO_TAGS or error.code in ("NoSuchKey", "NoSuchBucket"):
            raise
        if context.tells_tags:
            context.tells_tags = False
            context.on_event(Warned(f"{source}: its tags cannot be read ({error.code}), so copies like this have none"))
        return {}
