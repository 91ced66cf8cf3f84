"""From what the user wrote to the items of a copy inside a store or between two; names follow the rules of uploads.

Keys are keys on both sides, so each is taken as it is: nothing is unsafe, and `name/` objects that stand for folders
are objects like others.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing

from transfer.engine.context import Context
from transfer.engine.copy_request import one_is_not_filtered
from transfer.engine.items import CopyItem
from transfer.engine.ordered_listing import list_keys
from transfer.engine.same_object import is_one_store
from transfer.engine.wildcard_keys import is_pattern
from transfer.model.errors import StoreError, UsageError
from transfer.model.events import Warned
from transfer.model.filters import Filters
from transfer.model.locations import Location, S3Location, has_wildcard
from transfer.model.objects import ListedObject
from transfer.model.receipts import Skip
from transfer.plan.copying import check_not_onto_itself
from transfer.plan.filters import compile_filters
from transfer.plan.naming import folder_prefix, tree_key, upload_key
from transfer.plan.wildcards import compile_pattern, literal_prefix, relative_base


async def check_copies(
    context: Context, sources: Sequence[Location], destination: S3Location, *, recursive: bool, raw: bool
) -> None:
    """Refuse what would go round in circles, before anything is copied; a store at another address is another place.

    Raises:
        UsageError: A source would be copied onto itself to no effect, or into itself without end.
        ConfigurationError: A store has no address.
    """
    if not await is_one_store(context, destination.bucket):
        return
    for source in sources:
        if not isinstance(source, S3Location):
            continue
        if has_wildcard(source.key) and not raw:
            # A `[` may be part of a name; then the item itself is checked once more.
            _check_tree(context, source, source.key, relative_base(source.key), destination)
        elif recursive:
            prefix = folder_prefix(source.key)
            _check_tree(context, source, None, prefix, destination)
        else:
            target = destination.with_key(upload_key(destination, source.key))
            check_not_onto_itself(context.options, source, target)


async def plan_copies(
    context: Context, source: S3Location, destination: S3Location, *, recursive: bool, raw: bool
) -> AsyncIterator[CopyItem | Skip]:
    """The copies that one source means, as they are found.

    Raises:
        StoreError: A listing failed, or nothing is at the source.
    """
    by_pattern = await is_pattern(context, source, recursive=recursive, raw=raw)
    if not by_pattern and not recursive:
        if not context.options.filters.is_open:
            raise one_is_not_filtered(str(source))
        yield CopyItem(source, destination.with_key(upload_key(destination, source.key)))
        return
    prefix = literal_prefix(source.key) if by_pattern else folder_prefix(source.key)
    base_length = len(relative_base(source.key)) if by_pattern else len(prefix)
    pattern = compile_pattern(source.key) if by_pattern else None
    wants = compile_filters(context.options.filters)
    found_any = False
    async with aclosing(list_keys(context, source.bucket, prefix, needs_order=False)) as batches:
        async for batch in batches:
            for found in batch:
                if pattern is not None and not pattern.match(found.key):
                    continue
                found_any = True
                relative = found.key[base_length:]
                if wants.wants_object(relative, found):
                    yield _planned(source.with_key(found.key), tree_key(destination, relative), destination, found)
    if not found_any and source.key:
        raise nothing_found(source, by_pattern=by_pattern)


def _planned(source: S3Location, key: str, destination: S3Location, found: ListedObject) -> CopyItem | Skip:
    if key:
        return CopyItem(source, destination.with_key(key), found)
    return Skip(str(source), "it stands for the folder itself, which a bucket has no key for")


def nothing_found(source: S3Location, *, by_pattern: bool) -> StoreError:
    """The error of a source below which there is nothing."""
    return StoreError(
        "nothing matches" if by_pattern else "there are no objects below it",
        status=404,
        code="NoSuchKey",
        subject=str(source),
        remedy=f"check the name with: transfer ls s3://{source.bucket}/",
    )


def _check_tree(context: Context, source: S3Location, pattern: str | None, base: str, destination: S3Location) -> None:
    """Refuse a tree or pattern whose copies would be found by the listing that is still going on."""
    if source.bucket != destination.bucket:
        return
    below = folder_prefix(destination.key)
    if below == base:
        check_not_onto_itself(context.options, source, source)
        return
    if not below.startswith(base) or (pattern is not None and not _may_match_below(pattern, below)):
        return
    if compile_filters(context.options.filters).may_hold_wanted(below[len(base) : -1]):
        raise UsageError(
            f"what is copied to {destination} would be copied again, without end",
            subject=str(source),
            remedy="name a destination that is not below the source, or leave it out with --exclude",
        )


def _may_match_below(pattern: str, below: str) -> bool:
    """Whether keys below a folder may match: up to one of its stars the pattern fits the folder, the star the rest.

    Without a star it matches keys of one length, and each copy is longer than what it was made from.
    """
    stars = (place for place, character in enumerate(pattern) if character == "*")
    return any(compile_pattern(pattern[: place + 1]).match(below) for place in stars)


def nothing_there(source: str, filters: Filters) -> Warned:
    """What is told of a source that leaves nothing to do, and is no error: a folder may be empty."""
    return Warned(f"{source}: {'there is nothing in it' if filters.is_open else 'the filters leave nothing of it'}")
