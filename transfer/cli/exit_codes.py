"""The exit codes, and the one mapping from errors and outcomes to them. Nothing else chooses a number."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from enum import IntEnum

from transfer.cli.tally import Tally
from transfer.model.errors import TransferError, UsageError


class ExitCode(IntEnum):
    """How the process ends."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    WARNINGS = 3
    INTERRUPTED = 130


MEANINGS: Mapping[ExitCode, str] = {
    ExitCode.DONE: "all done",
    ExitCode.FAILED: "something failed; each failure was told on a line of its own",
    ExitCode.USAGE: "the command line makes no sense; nothing was attempted",
    ExitCode.WARNINGS: "done, but something was skipped, or not verified with --require-verified or mv",
    ExitCode.INTERRUPTED: "interrupted (Ctrl-C or SIGTERM)",
}


def code_of_error(error: TransferError) -> ExitCode:
    """The code of a run that an error ended."""
    return ExitCode.USAGE if isinstance(error, UsageError) else ExitCode.FAILED


def code_of_end(error: BaseException) -> ExitCode:
    """The code of a run that went not to its end, by what came out of it.

    A cancellation is a signal's: nothing else cancels a run.
    """
    if isinstance(error, BaseExceptionGroup):
        codes = {code_of_end(inner) for inner in error.exceptions}
        return min(codes, key=(ExitCode.INTERRUPTED, ExitCode.FAILED, ExitCode.USAGE).index)
    if isinstance(error, KeyboardInterrupt | asyncio.CancelledError):
        return ExitCode.INTERRUPTED
    return code_of_error(error) if isinstance(error, TransferError) else ExitCode.FAILED


def code_of_tally(tally: Tally, *, require_verified: bool = False) -> ExitCode:
    """The code of a run that went to its end, by what became of its items."""
    if tally.failed:
        return ExitCode.FAILED
    if tally.skipped or tally.kept or tally.tags_unread or (require_verified and tally.unverified):
        return ExitCode.WARNINGS
    return ExitCode.DONE
