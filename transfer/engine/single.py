"""One request for one item, without the machinery of many: for callers that have very many such requests."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from transfer.engine.carrying import count
from transfer.engine.context import Context
from transfer.engine.copy_request import CopyRequest
from transfer.engine.copying import kept, move_item
from transfer.engine.describing import is_tree
from transfer.engine.jobs import open_job
from transfer.engine.planning import plan_items
from transfer.model.locations import StreamLocation
from transfer.model.receipts import Failure, Outcome, Skip

if TYPE_CHECKING:
    from transfer.journal.journal import Journal


def is_single(request: CopyRequest) -> bool:
    """Whether a request means one item for sure."""
    places = (*request.sources, request.destination)
    return not is_tree(request) and not any(isinstance(place, StreamLocation) for place in places)


async def copy_single(
    context: Context, journal: Journal | None, request: CopyRequest, command: tuple[str, ...]
) -> Outcome | None:
    """Copy the one item of a request; its failure is a value.

    Args:
        context: The run.
        journal: Where an unfinished item is remembered.
        request: One for which `is_single` holds.
        command: The command line that would repeat it.

    Raises:
        TransferError: It could not be found out what to copy.
    """
    asked = dataclasses.replace(context, options=dataclasses.replace(context.options, command=command))
    job = await open_job(asked, journal, request)
    async with kept(context, job) as ending:
        async for planned in plan_items(context, request):
            context.progress.items_planned += 1
            outcome = planned if isinstance(planned, Skip | Failure) else await move_item(context, job, planned)
            count(context, outcome)
            ending.is_clean = not isinstance(outcome, Failure)
            return outcome
    return None
