"""What many outcomes at once look like: exactly as one after the other."""

import io
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.cli_fake import receipt
from transfer.cli.exit_codes import ExitCode
from transfer.cli.manifest import Manifest
from transfer.cli.messages import Message, Summary, Unproven
from transfer.cli.output import Output
from transfer.cli.tally import Tally
from transfer.model.errors import StoreError
from transfer.model.events import RequestRetried
from transfer.model.receipts import Failure, Intent, Outcome, Removal, Skip, UploadAbort

REFUSED = StoreError("access denied", status=403, code="AccessDenied", subject="s3://b/x")

removals = st.builds(
    Removal,
    source=st.sampled_from(["s3://b/a", "s3://b/line\nfeed", "s3://b/\udcff", "s3://b/東"]),
    moved_to=st.sampled_from([None, None, "s3://b/old"]),
    is_dry_run=st.booleans(),
    size=st.none() | st.integers(0, 4000),
)
others: st.SearchStrategy[Outcome] = st.sampled_from(
    [
        receipt(),
        Failure("x", "s3://b/x", REFUSED),
        Skip("y", "a socket"),
        Intent("a", "s3://b/a", 3),
        UploadAbort("s3://b/u", "7", 0.0),
    ]
)
outcomes = st.lists(removals | removals | others, max_size=12)


class Stream(io.StringIO):
    """Keeps what comes in one list with others; breaks when there is more in it than it may hold."""

    def __init__(
        self, name: str, log: list[tuple[str, str]], *, is_terminal: bool = False, holds: int = 1 << 20
    ) -> None:
        super().__init__()
        self.name, self._log, self._is_terminal, self._holds = name, log, is_terminal, holds

    def isatty(self) -> bool:
        return self._is_terminal

    def write(self, text: str) -> int:
        if sum(len(before) for _, before in self._log) + len(text) > self._holds:
            raise BrokenPipeError
        self._log.append((self.name, text))
        return len(text)


class Bar:
    def hidden(self) -> AbstractContextManager[object]:
        return nullcontext()


def told(
    batches: Sequence[Sequence[Message]], *, bar: bool = False, data: bool = False, **how: bool
) -> list[tuple[str, str]]:
    log: list[tuple[str, str]] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", Stream("out", log, is_terminal=bar))
        patch.setattr(sys, "stderr", Stream("err", log))
        output = Output(**how)
    if bar:
        output.attach_bar(Bar())
    if data:
        output.leave_stdout_to_data()
    for batch in batches:
        output.show_all(batch)
    # Characters one by one, with their streams: how they were cut into pieces is no matter.
    return [(name, character) for name, text in log for character in text]


@given(outcomes, st.sampled_from(["as_json", "quiet", "verbose", "bar", "data", "nothing"]), st.booleans())
def test_a_batch_reads_as_its_outcomes_one_by_one(found: list[Message], way: str, has_bar: bool) -> None:
    how: dict[str, Any] = {} if way == "nothing" else {way: True}
    retried = RequestRetried("s3://b/a", 1, 9.0, "slow down")
    summary = Summary("rm", Tally(), 1.0, ExitCode.DONE)
    messages = [*found, retried, Unproven("a"), *found, summary]
    how |= {"bar": True} if has_bar else {}
    at_once = told([messages], **how)
    assert at_once == told([[message] for message in messages], **how)
    if way in {"quiet", "data"}:
        assert {name for name, _ in at_once} <= {"err"}


def test_lines_that_follow_each_other_on_a_stream_are_one_write() -> None:
    log: list[tuple[str, str]] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", Stream("out", log))
        patch.setattr(sys, "stderr", Stream("err", log))
        output = Output()
    output.show_all([Removal("a"), Removal("b\n"), Failure("x", "", REFUSED), Removal("c")])
    assert log == [("out", "rm a\nrm b\\n\n"), ("err", f"transfer: {REFUSED}\n"), ("out", "rm c\n")]


def test_a_reader_that_goes_away_midway_has_read_what_came_before() -> None:
    log: list[tuple[str, str]] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", Stream("out", log, holds=40))
        patch.setattr(sys, "stderr", Stream("err", log))
        output = Output()
    with pytest.raises(BrokenPipeError):
        output.show_all([Removal("a"), Skip("y", "a socket"), Removal("b" * 40), Skip("z", "a socket")])
    assert log == [("out", "rm a\n"), ("err", "transfer: y: skipped: a socket\n")]


@given(outcomes)
def test_a_batch_counts_as_its_outcomes_one_by_one(found: list[Outcome]) -> None:
    at_once, one_by_one = Tally(), Tally()
    at_once.add_all(found)
    for outcome in found:
        one_by_one.add(outcome)
    assert at_once == one_by_one
    assert at_once.settled == len(found)


def test_receipts_of_a_batch_are_lines_of_the_manifest(tmp_path: Path) -> None:
    with Manifest(tmp_path / "receipts") as manifest:
        manifest.add_all([])
        manifest.add_all(receipt(name) for name in "abc")
        assert (tmp_path / "receipts").read_bytes().count(b"\n") == 3
