"""`transfer run`: the commands of a list, many at once in one process, over one pool of connections.

Each line means what it means on a command line. A plain `cp SOURCE DESTINATION`, of which there may be millions, is
not taken through the reading of options; what it does is the same.
"""

from __future__ import annotations

import asyncio
import posixpath
import shlex
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from transfer.cli.command_line import command_line
from transfer.cli.exit_codes import ExitCode, code_of_end
from transfer.cli.flags import ConnectionFlags, OutputFlags
from transfer.cli.messages import KeptJob, LineFailed, Summary
from transfer.cli.numbers import whole_number
from transfer.cli.output import Output
from transfer.cli.progress import Activity, shown
from transfer.cli.run import Work, deferred, leaves, report
from transfer.cli.run import run as run_loop
from transfer.cli.tally import Tally
from transfer.model.errors import TransferError, UsageError
from transfer.model.events import Event, JobKept, Warned
from transfer.model.receipts import Failure, Receipt

if TYPE_CHECKING:
    from anyio import CancelScope

    from transfer.engine.transfer import Transfer
    from transfer.stores.local.lines import Line

EXAMPLES = """
Examples:
  transfer run commands.txt
  generate-commands | transfer run -

commands.txt:
  # one command per line; quotes as in a shell
  cp a.txt s3://bucket/a.txt
  cp -r 'my photos' s3://bucket/photos/
  rm s3://bucket/old.txt

Commands that may stand in it: cp, mv, rm, ls, du, stat, sync, verify, mb, rb.
Many run at once, in no order; --jobs 1 runs them one after the other. Options of
the connection and of the output that are given to run hold for every line.
A line that fails is told with its number, and the others go on; then the exit
code is 1. Only what no line can do without ends the list: credentials that are
taken, and a server that can be reached.
"""

COMMANDS: Final = frozenset({"cp", "mv", "rm", "ls", "du", "stat", "sync", "verify", "mb", "rb"})
LARGE_AT_ONCE: Final = 16
"""Commands that may each mean millions of objects: more of them at once are only more memory."""
_PLAIN_WORDS: Final = 3
"""`cp`, a source and a destination."""
_STANDARD_INPUT: Final = frozenset({"/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"})
"""The names that systems have for what is written `-`."""


def run(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A file of commands, or - for standard input.")],
    connection: ConnectionFlags,
    output: OutputFlags,
    jobs: Annotated[
        str | None,
        typer.Option("--jobs", "-j", metavar="N", help="Commands at once. As many as are useful by default."),
    ] = None,
) -> int:
    """Run the commands of a file, many at once."""
    writer = output.output()
    if deferred.get() is not None:
        raise UsageError("run cannot run itself", subject=file)
    limit = whole_number("--jobs", jobs, smallest=1)
    batch = _Batch(file, writer, connection, (*connection.words(), *output.words()), limit)
    return run_loop(writer, batch.work)


class _Batch:
    """One run of `run`."""

    def __init__(
        self, file: str, output: Output, connection: ConnectionFlags, shared_words: tuple[str, ...], jobs: int | None
    ) -> None:
        self._file = file
        self._output = output
        self._connection = connection.options()
        self._shared_words = shared_words
        self._jobs = jobs
        self._tally = Tally()
        self._worst = ExitCode.DONE
        self._large = asyncio.Semaphore(min(jobs or LARGE_AT_ONCE, LARGE_AT_ONCE))
        self._is_standard_input = file == "-" or posixpath.normpath(file) in _STANDARD_INPUT
        self._is_over = False
        self._last_line = 0
        self._reading: CancelScope | None = None
        output.explain_cut_off()

    async def work(self) -> ExitCode:
        from transfer.engine.sharing import SharedStores, shared_stores
        from transfer.engine.spread import plain_task_group, spread
        from transfer.engine.transfer import Transfer
        from transfer.model.options import TransferOptions

        began = time.monotonic()
        try:
            async with plain_task_group() as tasks:
                shared_stores.set(SharedStores(tasks, TransferOptions()))
                async with (
                    Transfer(connection=self._connection, on_event=self._hear) as transfer,
                    aclosing(self._lines()) as lines,
                    shown(transfer.progress, self._output, Activity.MANY),
                ):
                    try:
                        await spread(lines, lambda line: self._do(transfer, line), self._may_begin(transfer))
                    except asyncio.CancelledError:
                        transfer.hurry()
                        raise
                tasks.cancel_scope.cancel()
        except BaseException as error:
            if not self._tally.is_empty:
                self._output.show(Summary("run", self._tally, time.monotonic() - began, code_of_end(error)))
            raise
        self._output.show(Summary("run", self._tally, time.monotonic() - began, self._worst))
        return self._worst

    def _may_begin(self, transfer: Transfer) -> Callable[[int], bool]:
        jobs = self._jobs
        return transfer.may_begin if jobs is None else lambda workers: workers < jobs

    async def _lines(self) -> AsyncGenerator[Line, None]:
        from transfer.stores.local.lines import Lines

        with Lines(self._file) as source:
            async with aclosing(source.batches()) as batches:
                while (batch := await self._next(batches)) is not None:
                    for line in batch:
                        if line.text.strip() and not line.text.lstrip().startswith("#"):
                            yield line

    async def _next(self, batches: AsyncIterator[list[Line]]) -> list[Line] | None:
        """Lines that have come; None at the end, or when the list is over and no line is worth waiting for."""
        from anyio import CancelScope

        if self._is_over and not self._has_an_end():
            return None
        with CancelScope() as self._reading:
            try:
                batch = await anext(batches)
            except StopAsyncIteration:
                return None
            self._last_line = batch[-1].number
            return batch
        return None

    def _has_an_end(self) -> bool:
        """Whether the list is a file, whose lines can be counted without waiting for anybody."""
        return not self._is_standard_input and Path(self._file).is_file()

    async def _do(self, transfer: Transfer, line: Line) -> None:
        if self._is_over:
            self._tally.not_attempted += 1
            return
        try:
            words = _words_of(line.text)
            if self._is_standard_input:
                _check_streams(words)
            code = await self._copy_plainly(transfer, words) if _is_plain_copy(words) else None
            if code is None:
                async with self._large:
                    code = await self._command(words)
        except (TransferError, BrokenPipeError) as error:
            if self._output.is_cut_off(error):
                # It is told when all lines have said what they leave.
                raise
            code = report(self._output, error)
            if isinstance(error, TransferError) and transfer.ends_all(error):
                self._end()
        self._note(line, code)

    async def _copy_plainly(self, transfer: Transfer, words: list[str]) -> ExitCode | None:
        """Copy one file or object; None when it may be more, which the command itself does."""
        outcome = await transfer.copy_single(words[1], words[2], (*self._shared_words, *words))
        if outcome is None:
            return None
        self._tally.add(outcome)
        self._output.show(outcome)
        if isinstance(outcome, Receipt) and outcome.tags_unread:
            return ExitCode.WARNINGS
        if not isinstance(outcome, Failure):
            return ExitCode.DONE
        if transfer.ends_all(outcome.error):
            self._end()
        return ExitCode.FAILED

    def _end(self) -> None:
        """Begin no further line: none can succeed. Those that are begun come to their own ends."""
        if self._is_over:
            return
        self._is_over = True
        if not self._has_an_end():
            self._tally.found_all = False
            self._output.event(Warned(f"{self._file}: what follows line {self._last_line} is not read"))
            if self._reading is not None:
                self._reading.cancel()

    async def _command(self, words: list[str]) -> ExitCode:
        """Read a command as its own command line would be, and do its work here."""
        from transfer.cli.app import run_command_line

        taken: list[tuple[Output, Work]] = []
        before = command_line.get()
        token = deferred.set(lambda output, work: taken.append((output, work)))
        try:
            code = ExitCode(run_command_line([*self._shared_words, *words]))
        finally:
            deferred.reset(token)
            command_line.set(before)
        for output, work in taken:
            output.become_part(self._add, self._output)
            try:
                code = await work()
                output.show_kept()
            except Exception as error:
                # As for a command of its own: every error is a line and a code.
                if any(map(output.is_cut_off, leaves(error))):
                    output.leave_kept_to(self._output)
                    raise BrokenPipeError from error
                code = report(output, error)
            except BaseException:
                output.leave_kept_to(self._output)
                raise
        return code

    def _add(self, summary: Summary) -> None:
        self._tally.add_tally(summary.tally)

    def _note(self, line: Line, code: ExitCode) -> None:
        if code in (ExitCode.FAILED, ExitCode.USAGE):
            self._worst = ExitCode.FAILED
            self._output.show(LineFailed(self._file, line.number, line.text.strip(), code))
        elif code is ExitCode.WARNINGS and self._worst is ExitCode.DONE:
            self._worst = ExitCode.WARNINGS

    def _hear(self, event: Event) -> None:
        if isinstance(event, JobKept):
            self._output.keep(KeptJob(event.job_id))
        else:
            self._output.event(event)


def _words_of(text: str) -> list[str]:
    """The words of a line, without the program's name.

    Raises:
        UsageError: It is no command that may stand in a list.
    """
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise UsageError(str(error).lower(), subject=text.strip(), remedy="close the quotes") from error
    if words[:1] == ["transfer"]:
        words = words[1:]
    if not words or words[0] not in COMMANDS:
        raise UsageError(
            "no command that run can run",
            subject=text.strip(),
            remedy=f"begin with one of {', '.join(sorted(COMMANDS))}",
        )
    if "-" in words:
        raise UsageError("standard streams are not for one line of many", subject=text.strip(), remedy="name a file")
    return words


def _check_streams(words: list[str]) -> None:
    """Refuse another name of standard input where that is the list itself: the line would take the lines after it.

    Raises:
        UsageError: It names the word.
    """
    for word in words:
        named = word.partition("=")[2] if word.startswith("--") else word
        if named.startswith("/") and posixpath.normpath(named) in _STANDARD_INPUT:
            raise UsageError("it is the list of commands itself", subject=word, remedy="name a file")


def _is_plain_copy(words: list[str]) -> bool:
    return len(words) == _PLAIN_WORDS and words[0] == "cp" and not any(word.startswith("-") for word in words)
