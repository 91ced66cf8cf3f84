"""The frame of commands that do something to many objects: tell each outcome, and sum up however it ends.

It never decides what is done.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import TYPE_CHECKING

from transfer.cli.exit_codes import ExitCode, code_of_end, code_of_tally
from transfer.cli.messages import Summary
from transfer.cli.output import Output
from transfer.cli.progress import Activity, shown
from transfer.cli.run import closing
from transfer.cli.tally import Tally
from transfer.model.filters import Filters
from transfer.model.options import ConnectionOptions, TransferOptions

if TYPE_CHECKING:
    from transfer.engine.outcomes import OutcomeStream
    from transfer.engine.transfer import Transfer
    from transfer.model.receipts import Outcome


async def settle_all(
    command: str,
    output: Output,
    connection: ConnectionOptions,
    begin: Callable[[Transfer], OutcomeStream[Outcome]],
    filters: Filters | None = None,
    *,
    tally: Tally | None = None,
    activity: Activity | None = None,
) -> ExitCode:
    """Work through what a command does.

    Args:
        command: Its name in the summary.
        output: Told every outcome, then the summary, which is left out when nothing settled before an error.
        connection: Where to.
        begin: Starts the work.
        filters: What of trees and patterns it is done to; None means all.
        tally: What counts, when there is something to say beforehand.
        activity: What the engine counts, so that a person can be shown how far it is; None when it does not.

    Raises:
        TransferError: What ended it early.
    """
    tally = tally or Tally()
    began = time.monotonic()
    try:
        await _settle(tally, output, connection, begin, filters or Filters(), activity=activity)
    except BaseException as error:
        if not tally.is_empty:
            output.show(Summary(command, tally, time.monotonic() - began, code_of_end(error)))
        raise
    code = code_of_tally(tally)
    output.show(Summary(command, tally, time.monotonic() - began, code))
    return code


async def _settle(
    tally: Tally,
    output: Output,
    connection: ConnectionOptions,
    begin: Callable[[Transfer], OutcomeStream[Outcome]],
    filters: Filters,
    *,
    activity: Activity | None,
) -> None:
    from transfer.engine.transfer import Transfer

    # Nothing is begun that a later run could go on with.
    options = TransferOptions(filters=filters, resume=False)
    async with (
        Transfer(connection=connection, options=options, on_event=output.event) as transfer,
        closing(begin(transfer)) as outcomes,
        shown(transfer.progress, output, activity) if activity is not None else nullcontext(),
    ):
        while batch := await outcomes.next_batch():
            tally.add_all(batch)
            output.show_all(batch)
