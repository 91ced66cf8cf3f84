"""The one writer that owns the terminal: decides who hears what, in text or JSON, on which stream.

Nothing else in the command line writes to a stream, except `cat` its data and the bar its own line, which this
writer takes away while it writes.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from itertools import groupby
from operator import itemgetter
from typing import Any, Final, Protocol, TextIO, cast

from transfer.cli import text
from transfer.cli.audit_lines import ALARMING, audit_record, audit_summary_line, audited_line
from transfer.cli.escape import printable
from transfer.cli.listed_pages import page_json_lines, page_lines
from transfer.cli.messages import (
    AuditSummary,
    Broken,
    BucketChanged,
    Described,
    Interrupted,
    JobForgotten,
    KeptJob,
    ListedBucket,
    ListedJob,
    ListedPage,
    ListedUpload,
    Measured,
    Message,
    NoJobs,
    Proof,
    Step,
    Summary,
    Usage,
)
from transfer.cli.records import json_line, record_of
from transfer.cli.streams import has_no_reader, tolerant
from transfer.model.audits import Audited, Finding
from transfer.model.errors import LocalFileError, TransferError
from transfer.model.events import ConcurrencyChanged, Event, RequestRetried, Warned
from transfer.model.receipts import Failure, Intent, Receipt, Removal, UploadAbort


class _Bar(Protocol):
    def hidden(self) -> AbstractContextManager[object]: ...


_Told = tuple[TextIO, bool, str]
"""Where a message goes, whether it may wait there for those that follow, and how it reads."""
LONG_PAUSE_SECONDS = 5.0
"""A retry that waits longer is told without --verbose too: silence would look like a hang."""


class Output:
    """Writes every message of a run."""

    def __init__(self, *, as_json: bool = False, quiet: bool = False, verbose: bool = False) -> None:
        """Write to the process's standard streams as they are now; what goes to a closed one is lost.

        Args:
            as_json: One JSON object per line instead of text.
            quiet: Errors only.
            verbose: Also retries, concurrency, receipts in full, and traces.
        """
        self._stdout = tolerant(sys.stdout)
        self._stderr = tolerant(sys.stderr)
        self._as_json = as_json
        self._quiet = quiet
        self._verbose = verbose
        self._bar: _Bar | None = None
        self._stdout_is_data = False
        self._kept: list[KeptJob] = []
        self._ending = ""
        self._is_cut_off_explained = True
        self._take_summary: Callable[[Summary], None] | None = None
        self._whole: Output | None = None

    def become_part(self, take_summary: Callable[[Summary], None], whole: Output) -> None:
        """Write for one command among many: the bar is that of the whole, and so is the summary.

        Args:
            take_summary: Sums up all of them.
            whole: Writes for all of them.
        """
        self._take_summary = take_summary
        self._whole = whole

    @property
    def shared_bar(self) -> _Bar | None:
        """The bar of all commands that this is one of, if a person watches it."""
        return None if self._whole is None else self._whole.bar

    @property
    def wants_bar(self) -> bool:
        """Whether a progress bar has a place: a person watches standard error and asked for no silence."""
        return not self._as_json and not self._quiet and self._take_summary is None and self._stderr.isatty()

    def leave_stdout_to_data(self) -> None:
        """Keep standard output free for an object's bytes; JSON goes to standard error then."""
        self._stdout_is_data = True

    def is_cut_off(self, error: BaseException) -> bool:
        """Whether an error only says that the reader of our data went away: then there is nobody to tell.

        The pipe itself is asked, because an error that crossed the engine may have lost its cause.
        """
        if isinstance(error, BrokenPipeError):
            return True
        if not isinstance(error, LocalFileError):
            return False
        return isinstance(error.__cause__, BrokenPipeError) or (self._stdout_is_data and has_no_reader(self._stdout))

    def explain_cut_off(self) -> None:
        """Have a run say why it stops when nobody reads its lines any more: they were not what it was for."""
        self._is_cut_off_explained = False

    def tell_cut_off(self) -> None:
        """Say why the run stops and how to go on, once, if there is more to it than its lines; raises as `show`."""
        if self._is_cut_off_explained:
            return
        self._is_cut_off_explained = True
        why = "stopped, for nobody reads standard output any more: send it to a file, or use -q"
        self._write(self._stderr, text.notice_line(Warned(why)), may_wait=False)
        self.show_kept()

    @property
    def bar(self) -> _Bar | None:
        """The bar on the screen, whoever draws it."""
        return self._bar if self._whole is None else self._whole.bar

    def attach_bar(self, bar: _Bar | None) -> None:
        """Take the bar away while a line is written; None forgets it."""
        self._bar = bar

    @property
    def kept(self) -> tuple[KeptJob, ...]:
        """What the run leaves for a later one."""
        return tuple(self._kept)

    def keep(self, kept: KeptJob) -> None:
        """Take note of what the run leaves; people are told by `show_kept`, when all else is said."""
        self._kept.append(kept)
        if self._as_json:
            self.show(kept)

    @property
    def ending(self) -> str:
        """What became of the work, for the last line of a run that is interrupted."""
        return self._ending

    def note_ending(self, ending: str) -> None:
        """Take note of what became of the work, if that is not what copies leave: whole objects or none."""
        self._ending = ending

    def leave_kept_to(self, whole: Output) -> None:
        """Have another writer tell what is left: that of the run which this command was one line of."""
        whole._kept += self._kept
        self._kept = []

    def show_kept(self) -> None:
        """Tell people how to go on, if something is left; raises as `show`."""
        if not self._as_json:
            for kept in self._kept:
                self.show(kept)

    def event(self, event: Event) -> None:
        """The sink for the engine's events."""
        self.show(event)

    def show(self, message: Message) -> None:
        """Write a message where it belongs, or nowhere when nobody asked for it.

        Raises:
            BrokenPipeError: The reader of the stream is gone.
            LocalFileError: The stream refused otherwise, as a full disk does.
        """
        self.show_all((message,))

    def show_all(self, messages: Iterable[Message]) -> None:
        """Write messages in their order, those that follow each other on one stream at once; raises as `show`."""
        for (stream, may_wait), told in groupby(self._told(messages), key=itemgetter(0, 1)):
            self._write(stream, "".join([lines for *_, lines in told]), may_wait=may_wait)

    def flush(self) -> None:
        """Hand everything to the system; raises as `show`."""
        for stream in (self._stdout, self._stderr):
            self._guarded(stream, "")

    def silence(self) -> None:
        """Stop writing to standard output for good, so that the interpreter's last flush cannot complain."""
        try:
            descriptor = self._stdout.fileno()
        except (OSError, ValueError):
            return
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, descriptor)
        os.close(null)

    def _told(self, messages: Iterable[Message]) -> Iterator[_Told]:
        for kind, alike in groupby(messages, type):
            if kind is Removal and not self._as_json:
                yield from self._told_removals(cast("list[Removal]", list(alike)))
                continue
            for message in alike:
                if isinstance(message, Summary) and self._take_summary is not None:
                    self._take_summary(message)
                elif not self._is_wanted(message):
                    continue
                elif self._as_json:
                    stream = self._stderr if self._stdout_is_data else self._stdout
                    yield stream, isinstance(message, _LISTED), _json_lines(message)
                else:
                    yield from self._told_as_text(message)

    def _is_wanted(self, message: Message) -> bool:
        is_alarm = isinstance(message, Audited) and message.finding in ALARMING
        is_figure = isinstance(message, Measured) and message.is_answer
        if self._quiet and not (text.is_error(message) or is_alarm or is_figure or isinstance(message, _NO_CHATTER)):
            return False
        if self._as_json and isinstance(message, NoJobs):
            return False
        if self._verbose:
            return True
        is_blink = isinstance(message, RequestRetried) and message.delay_seconds < LONG_PAUSE_SECONDS
        return not (is_blink or isinstance(message, ConcurrencyChanged))

    def _told_as_text(self, message: Message) -> Iterator[_Told]:
        if isinstance(message, Receipt | UploadAbort | Intent):
            yield from self._told_item(message)
        elif isinstance(message, Audited | AuditSummary):
            yield from self._told_audit(message)
        elif isinstance(message, Measured):
            yield self._stdout if message.is_answer else self._stderr, False, message.lines
        elif (answer := _ANSWERS.get(type(message))) is not None:
            yield self._stdout, isinstance(message, _LISTED), answer(message)
        elif isinstance(message, TransferError | Failure | Broken):
            trace = message.trace if self._verbose and isinstance(message, Broken) else ""
            yield self._stderr, False, text.error_line(message) + trace
        else:
            # Whatever is no item, answer or error is a notice.
            yield self._stderr, False, text.notice_line(cast("text.Notice", message))

    def _told_audit(self, message: Audited | AuditSummary) -> Iterator[_Told]:
        if isinstance(message, AuditSummary):
            yield self._stderr, False, audit_summary_line(message)
        elif self._verbose or message.finding is not Finding.MATCH:
            yield self._stdout, False, audited_line(message)

    def _told_item(self, message: Receipt | UploadAbort | Intent) -> Iterator[_Told]:
        if isinstance(message, Receipt) and self._verbose:
            yield self._stderr, False, text.receipt_line(message)
        if not (isinstance(message, Receipt) and self._bar_tells) and not self._stdout_is_data:
            yield self._stdout, False, text.item_line(message)

    def _told_removals(self, removals: list[Removal]) -> Iterator[_Told]:
        """Many at once: there are thousands to a request, and little else is done for each."""
        if self._bar_tells and not self._verbose:
            # What is only planned, or gone although nobody named it, is told also beside a bar.
            removals = [removal for removal in removals if removal.is_dry_run]
        if removals and not self._quiet and not self._stdout_is_data:
            yield self._stdout, False, text.removal_lines(removals)

    @property
    def _bar_tells(self) -> bool:
        """Whether a bar, on the screen that standard output goes to, counts what was done."""
        return self.bar is not None and self._stdout.isatty()

    def _write(self, stream: TextIO, lines: str, *, may_wait: bool) -> None:
        with self.bar.hidden() if self.bar else nullcontext():
            self._guarded(stream, lines, keep=may_wait)

    def _guarded(self, stream: TextIO, line: str, *, keep: bool = False) -> None:
        try:
            stream.write(line)
            if not keep:
                stream.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            name = "standard error" if stream is self._stderr else "standard output"
            raise LocalFileError.from_os_error(error, name) from error


_LISTED: Final = (ListedBucket, ListedPage, ListedUpload)
"""There may be millions of them, and nobody waits for each."""
_NO_CHATTER: Final = (Interrupted, ListedBucket, ListedPage, ListedUpload, ListedJob, Usage, Described)
"""What was asked for is told also by those who want little said."""
_ANSWERS: Final[Mapping[type, Callable[[Any], str]]] = {
    BucketChanged: lambda message: text.bucket_line(message.command, message.url),
    Described: text.described_lines,
    JobForgotten: text.job_line,
    ListedBucket: text.listed_bucket_line,
    ListedJob: text.listed_job_lines,
    ListedPage: page_lines,
    ListedUpload: text.listed_upload_line,
    Proof: lambda message: text.proof_line(message.receipt),
    Step: lambda message: f"{printable(message.text)}\n",
    Usage: text.usage_line,
}
"""How people read what was asked for: it goes to standard output."""


def _json_lines(message: Message) -> str:
    if isinstance(message, ListedPage):
        return page_json_lines(message)
    if isinstance(message, Audited | AuditSummary):
        return json_line(audit_record(message))
    if isinstance(message, Measured):
        return json_line(message.record)
    return json_line(record_of(message))
