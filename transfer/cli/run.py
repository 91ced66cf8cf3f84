"""The single place that starts the event loop, and the single place where errors and signals become an exit code.

The loop is one that watches sockets: on Windows that is not the default one.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import TypeVar

from transfer.cli.exit_codes import ExitCode, code_of_error
from transfer.cli.messages import Broken, Interrupted
from transfer.cli.output import Output
from transfer.model.errors import TransferError, UsageError

SAME_SIGNAL_SECONDS = 1.0
"""`timeout` and some shells deliver one Ctrl-C or SIGTERM twice within milliseconds: that is one wish, not two."""

Stream = TypeVar("Stream", bound=AsyncIterator[object])


class _Signals:
    """Turns SIGINT and SIGTERM into one cancellation of the run; a second wish ends the process at once."""

    def __init__(self) -> None:
        self.arrived = False
        self._first_seconds = 0.0

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        numbers = (signal.SIGINT, signal.SIGTERM)
        watched = []
        for number in numbers:
            try:
                loop.add_signal_handler(number, self._on_signal, number, loop, task)
            except NotImplementedError:
                # Windows: the interpreter's own handler cancels on Ctrl-C.
                continue
            watched.append(number)
        try:
            yield
        finally:
            for number in watched:
                loop.remove_signal_handler(number)

    def _on_signal(
        self, number: signal.Signals, loop: asyncio.AbstractEventLoop, task: asyncio.Task[object] | None
    ) -> None:
        if not self.arrived:
            self.arrived = True
            self._first_seconds = loop.time()
            if task is not None:
                task.cancel()
        elif loop.time() - self._first_seconds > SAME_SIGNAL_SECONDS:
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)


Work = Callable[[], Awaitable[ExitCode]]
deferred: ContextVar[Callable[[Output, Work], None] | None] = ContextVar("deferred", default=None)
"""Takes the work of commands that are only read now, and done together later."""


def check_list(path: str | None) -> None:
    """Refuse standard input as the list of a command that itself stands in a list: it is not its own.

    Args:
        path: Where the command is to read; None for nowhere.

    Raises:
        UsageError: It is `-`, and the command is one of many.
    """
    if path == "-" and deferred.get() is not None:
        raise UsageError("standard input is not for one line of many", subject="--from-file", remedy="name a file")


def run(output: Output, work: Work) -> ExitCode:
    """Do a command's work in an event loop and tell how it ended; or leave it to who has set `deferred`.

    Args:
        output: Hears of whatever ended the work early.
        work: The command; returns its own code when it went to its end.

    Returns:
        The code for the process. Nothing is raised but SystemExit.
    """
    take = deferred.get()
    if take is not None:
        take(output, work)
        return ExitCode.DONE
    signals = _Signals()

    async def watched() -> ExitCode:
        async with signals.watched():
            return await work()

    try:
        with _runner() as runner:
            code = runner.run(watched())
        output.show_kept()
        if code is not ExitCode.FAILED:
            output.flush()
    except SystemExit:
        raise
    except BaseException as error:  # noqa: BLE001 - the process ends here: every error becomes a line and a code
        return report(output, error, interrupted=signals.arrived)
    if code is ExitCode.FAILED:
        _flush_after_failure(output)
    return code


def _runner() -> asyncio.Runner:
    """Choose the loop: the data plane waits for sockets with `add_reader`, which the proactor loop does not have."""
    if sys.platform == "win32":
        return asyncio.Runner(loop_factory=asyncio.SelectorEventLoop)
    return asyncio.Runner()


def report(output: Output, error: BaseException, *, interrupted: bool = False) -> ExitCode:
    """Tell an error in one line and choose the code.

    Args:
        output: Where to tell it.
        error: Anything; groups are unwrapped.
        interrupted: A signal had arrived, so whatever was raised follows from it.
    """
    found = list(leaves(error))
    is_cut_off = any(map(output.is_cut_off, found))
    if is_cut_off:
        output.silence()
    try:
        if is_cut_off and not interrupted:
            output.tell_cut_off()
            return ExitCode.FAILED
        return _told(output, found, interrupted=interrupted)
    except (BrokenPipeError, TransferError):
        # The stream that should carry the bad news is what broke.
        output.silence()
        return ExitCode.FAILED


@asynccontextmanager
async def closing(stream: Stream) -> AsyncIterator[Stream]:
    """Close the engine's iterator on every way out, so that its work stops with the loop still running."""
    try:
        yield stream
    finally:
        close = getattr(stream, "aclose", None)
        if close is not None:
            await close()


def _flush_after_failure(output: Output) -> None:
    """The failure was told: that the same stream refuses once more is no news."""
    try:
        output.flush()
    except (BrokenPipeError, TransferError):
        output.silence()


def _told(output: Output, found: list[BaseException], *, interrupted: bool) -> ExitCode:
    if interrupted or any(isinstance(leaf, KeyboardInterrupt) for leaf in found):
        if len(output.kept) > 1:
            output.show_kept()
        output.show(Interrupted(output.kept[0] if len(output.kept) == 1 else None, output.ending))
        return ExitCode.INTERRUPTED
    # A cancellation beside a real error is only its echo.
    real = [leaf for leaf in found if not isinstance(leaf, asyncio.CancelledError)] or found
    unforeseen = [leaf for leaf in real if not isinstance(leaf, TransferError)]
    if unforeseen:
        output.show(_broken(unforeseen[0]))
        output.show_kept()
        return ExitCode.FAILED
    errors = {str(leaf): leaf for leaf in real if isinstance(leaf, TransferError)}
    for told in errors.values():
        output.show(told)
    output.show_kept()
    return max(map(code_of_error, errors.values()), key=lambda code: code is ExitCode.FAILED)


def _broken(error: BaseException) -> Broken:
    return Broken(type(error).__name__, str(error), "".join(traceback.format_exception(error)))


def leaves(error: BaseException) -> Iterator[BaseException]:
    """The errors in a group and in the groups within it; an error that is no group is its own."""
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from leaves(inner)
    else:
        yield error
