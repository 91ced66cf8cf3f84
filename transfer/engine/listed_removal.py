"""Removing the objects that a file names, one on each line: a thousand in a request, never held as a list.

Unlike with names on a command line it is not asked first whether each exists: that would cost a request for each.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

import anyio

from transfer.engine.context import Context
from transfer.engine.gathering import Gathering, Removable
from transfer.engine.outcomes import Deliver
from transfer.engine.removal import check_removal, counted, plan_removal, settle
from transfer.engine.spread import plain_task_group, spread
from transfer.model.errors import TransferError
from transfer.model.locations import has_wildcard
from transfer.model.receipts import Failure, Outcome
from transfer.stores.local.lines import Lines


async def remove_listed(
    context: Context, file: str, *, recursive: bool, raw: bool, is_dry_run: bool, deliver: Deliver[Outcome]
) -> None:
    """Remove what the lines of a file name, and deliver an outcome for each object.

    Args:
        context: The run.
        file: Its path, or `-` for standard input. Each line is a location as on a command line.
        recursive: Lines may name prefixes: all objects below are removed.
        raw: Wildcard characters mean themselves.
        is_dry_run: Only tell what would be removed.
        deliver: Takes the outcomes.

    Raises:
        LocalFileError: The file cannot be read.
        TransferError: A request was refused as a whole.
    """

    async def remove(found: Removable) -> None:
        await deliver(*await settle(context, found, is_dry_run=is_dry_run))

    sender, receiver = anyio.create_memory_object_stream[Removable](0)
    gathering = Gathering(sender)

    async def read() -> None:
        with sender:
            async with aclosing(_named(context, file, recursive=recursive, raw=raw)) as named:
                async for found in named:
                    await gathering.take(found)
            await gathering.send_all()

    with sender, receiver:
        async with plain_task_group() as tasks:
            tasks.start_soon(gathering.keep_sending)
            tasks.start_soon(read)
            await spread(counted(context, receiver), remove, lambda workers: workers < context.lanes.limit)
            tasks.cancel_scope.cancel()


async def _named(context: Context, file: str, *, recursive: bool, raw: bool) -> AsyncGenerator[Removable, None]:
    with Lines(file) as source:
        async with aclosing(source.batches()) as batches:
            async for batch in batches:
                for line in batch:
                    if not line.text:
                        continue
                    async with aclosing(_of_line(context, line.text, recursive=recursive, raw=raw)) as named:
                        async for found in named:
                            yield found


async def _of_line(context: Context, text: str, *, recursive: bool, raw: bool) -> AsyncGenerator[Removable, None]:
    try:
        (location,) = check_removal([text], recursive=recursive, raw=raw, filters=context.options.filters)
        if not recursive and (raw or not has_wildcard(location.key)):
            yield location
            return
        async with aclosing(plan_removal(context, (location,), recursive=recursive, raw=raw)) as planned:
            async for found in planned:
                yield found
    except TransferError as error:
        error.subject = error.subject or text
        yield Failure(text, "", error)
