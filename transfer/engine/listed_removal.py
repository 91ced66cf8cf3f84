"""Removing the objects that a file names, one on each line: a thousand in a request, never held as a list.

Unlike with names on a command line it is not asked first whether each exists: that would cost a request for each.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

from transfer.engine.context import Context
from transfer.engine.outcomes import Deliver
from transfer.engine.removal import Batch, check_removal, plan_removal, remove_batch, remove_one
from transfer.engine.spread import spread
from transfer.model.errors import TransferError
from transfer.model.locations import S3Location, has_wildcard
from transfer.model.receipts import Failure, Outcome
from transfer.stores.local.lines import Lines
from transfer.stores.s3.listing import DELETE_BATCH_KEYS

_Found = Batch | S3Location | Failure


async def remove_listed(context: Context, file: str, *, recursive: bool, raw: bool, deliver: Deliver[Outcome]) -> None:
    """Remove what the lines of a file name, and deliver an outcome for each object.

    Args:
        context: The run.
        file: Its path, or `-` for standard input. Each line is a location as on a command line.
        recursive: Lines may name prefixes: all objects below are removed.
        raw: Wildcard characters mean themselves.
        deliver: Takes the outcomes.

    Raises:
        LocalFileError: The file cannot be read.
        TransferError: A request was refused as a whole.
    """

    async def remove(found: _Found) -> None:
        if isinstance(found, Failure):
            await deliver(found)
        elif isinstance(found, S3Location):
            await deliver(await remove_one(context, found))
        else:
            for outcome in await remove_batch(context, found):
                await deliver(outcome)

    async with aclosing(_planned(context, file, recursive=recursive, raw=raw)) as planned:
        await spread(planned, remove, lambda workers: workers < context.lanes.limit)


async def _planned(context: Context, file: str, *, recursive: bool, raw: bool) -> AsyncGenerator[_Found, None]:
    waiting: dict[str, list[str]] = {}
    with Lines(file) as source:
        async with aclosing(source.batches()) as batches:
            async for batch in batches:
                for line in batch:
                    if not line.text:
                        continue
                    async for found in _of_line(context, line.text, recursive=recursive, raw=raw):
                        if not isinstance(found, S3Location):
                            yield found
                            continue
                        keys = waiting.setdefault(found.bucket, [])
                        keys.append(found.key)
                        if len(keys) == DELETE_BATCH_KEYS:
                            yield Batch(found.bucket, tuple(waiting.pop(found.bucket)))
    for bucket, keys in waiting.items():
        yield Batch(bucket, tuple(keys))


async def _of_line(context: Context, text: str, *, recursive: bool, raw: bool) -> AsyncIterator[_Found]:
    try:
        (location,) = check_removal([text], recursive=recursive, raw=raw, filters=context.options.filters)
        if not recursive and (raw or not has_wildcard(location.key)):
            yield location
            return
        async for found in plan_removal(context, (location,), recursive=recursive, raw=raw):
            yield found
    except TransferError as error:
        error.subject = error.subject or text
        yield Failure(text, "", error)
