"""Unfinished jobs on the command line: what is listed, gone on with, and given up."""

import asyncio
import json
import os
import shlex
import sqlite3
import sys
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.support.cli_fake import Script, ScriptedTransfer, as_stream, receipt, scripted
from transfer.__main__ import main
from transfer.engine.describing import REMEMBERED_VARIABLES
from transfer.engine.state import STATE_FOLDER_VARIABLE
from transfer.journal.journal import Journal
from transfer.model.errors import ConfigurationError, LocalFileError, StoreError
from transfer.model.events import JobKept, JobResumed
from transfer.model.options import AddressingStyle
from transfer.model.receipts import Failure, Outcome, Skip
from transfer.model.unfinished import Direction, FinishedPart, ItemIdentity, JobDescription

MIB = 1024 * 1024
ENDPOINT = "http://127.0.0.1:9000"
DENIED = StoreError("access denied", status=403, code="AccessDenied", subject="s3://b/x")


@dataclass
class JobScript(Script):
    """`is_elsewhere`: what is copied is another job; `is_kept`: the job cannot be brought to its end."""

    address: str = ENDPOINT
    is_elsewhere: bool = False
    is_kept: bool = False


class JobTransfer(ScriptedTransfer):
    """Takes the job of its command up, and ends it when it comes to its end."""

    script: JobScript

    @as_stream
    async def copy_many(
        self,
        sources: Sequence[str],
        destination: str,
        *,
        recursive: bool = False,
        raw: bool = False,
        dry_run: bool = False,
    ) -> AsyncGenerator[Outcome, None]:
        async for outcome in super().copy_many(sources, destination, recursive=recursive, raw=raw, dry_run=dry_run):
            yield outcome
        assert self.script.options is not None
        if self.script.is_elsewhere or any(isinstance(outcome, Failure) for outcome in self.script.outcomes):
            return
        journal = Journal(str(self.script.options.state_folder), no_warning)
        for job in await journal.jobs():
            if job.description.command == self.script.options.command and job.holder is None:
                started = await journal.begin(job.description)
                await journal.end(started.id, keep=self.script.is_kept)
        await journal.aclose()

    async def address_of(self, bucket: str) -> str:
        self.script.calls.append(("address", bucket))
        return self.script.address


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "state"
    monkeypatch.setenv(STATE_FOLDER_VARIABLE, str(folder))
    return folder


@pytest.fixture
def engine(state: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[JobScript]:
    assert not state.exists()
    for name in REMEMBERED_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    script = JobScript()
    with scripted(script):
        module = sys.modules["transfer.engine.transfer"]
        monkeypatch.setattr(module, "Transfer", type("Transfer", (JobTransfer,), {"script": script}))
        yield script


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "it's work"
    folder.mkdir()
    return folder


def no_warning(message: str) -> None:
    pytest.fail(message)


def described(
    command: Sequence[str],
    folder: Path | str,
    destination: str = "s3://b/big",
    environment: dict[str, str] | None = None,
) -> JobDescription:
    return JobDescription(
        endpoint=ENDPOINT,
        sources=(f"{folder}/big",),
        destination=destination,
        command=tuple(command),
        folder=str(folder),
        environment=tuple((environment or {}).items()),
    )


async def begin(journal: Journal, description: JobDescription) -> int:
    return (await journal.begin(description)).id


async def upload(journal: Journal, job_id: int, source: str, destination: str, *, upload_id: str = "up1") -> int:
    identity = ItemIdentity(Direction.UPLOAD, ENDPOINT, source, destination, "print", 40 * MIB)
    item = await journal.claim(job_id, identity)
    await journal.set_upload(item.id, upload_id)
    for number in range(1, 6):
        await journal.note_part(item.id, FinishedPart(number, (number - 1) * 5 * MIB, 5 * MIB, b"", '"e"'))
    return item.id


async def download(journal: Journal, job_id: int, destination: Path, temporary: str) -> None:
    identity = ItemIdentity(Direction.DOWNLOAD, ENDPOINT, "s3://b/big", str(destination), "print", 40 * MIB)
    item = await journal.claim(job_id, identity)
    await journal.set_temporary(item.id, temporary)


def leave(state: Path, *descriptions: JobDescription, is_uploading: bool = False) -> None:
    """Jobs as a run leaves them that was stopped: in a large item, or after a small one."""

    async def run() -> None:
        journal = Journal(str(state), no_warning)
        for description in descriptions:
            job_id = await begin(journal, description)
            if is_uploading:
                await upload(journal, job_id, description.sources[0], description.destination)
            else:
                journal.note_finished(job_id, "s3://b/small", "print", MIB)
            await journal.end(job_id, keep=True)
        await journal.aclose()

    asyncio.run(run())


@contextmanager
def held(state: Path, description: JobDescription) -> Iterator[None]:
    """A job that a living process, this one, works on."""
    with asyncio.Runner() as runner:
        journal = Journal(str(state), no_warning)
        runner.run(begin(journal, description))
        try:
            yield
        finally:
            runner.run(journal.aclose())


def json_lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def listed(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    capsys.readouterr()
    assert main(["jobs", "--json"]) == 0
    return json_lines(capsys.readouterr().out)


def test_nothing_unfinished_is_told_to_people_and_makes_no_journal(
    engine: JobScript, state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in ("jobs", "resume", "clean"):
        assert main([command]) == 0
        told = capsys.readouterr()
        assert (told.out, told.err) == ("", "transfer: nothing is unfinished\n")
        assert main([command, "--json"]) == 0
        assert main([command, "-q"]) == 0
        told = capsys.readouterr()
        assert (told.out, told.err) == ("", "")
    assert not state.exists()
    assert engine.calls == []


def test_a_job_is_listed_with_its_command_and_how_far_it_is(
    engine: JobScript, state: Path, work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    leave(state, described(["cp", "big $1", "s3://b/big"], work), is_uploading=True)
    assert main(["jobs"]) == 0
    first, second, third = capsys.readouterr().out.splitlines()
    assert first.startswith("   1  stopped, last active 2")
    assert first.endswith(", 25.0 MiB finished")
    assert shlex.split(second) == ["cd", str(work), "&&", "transfer", "cp", "big $1", "s3://b/big"]
    assert third == f"       62% of 40.0 MiB: {work}/big -> s3://b/big"
    assert engine.calls == []


def test_what_a_tree_has_finished_is_counted(
    engine: JobScript, state: Path, work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def run() -> None:
        journal = Journal(str(state), no_warning)
        job_id = await begin(journal, described(["cp", "-r", "a", "s3://b/"], work))
        for name in ("one", "two"):
            journal.note_finished(job_id, f"s3://b/{name}", "print", MIB)
        await journal.end(job_id, keep=True)
        await journal.aclose()

    asyncio.run(run())
    with held(state, described(["cp", "-r", "c", "s3://b/"], work, destination="s3://b/c")):
        assert main(["jobs"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith(", 2 items and 2.0 MiB finished")
    assert lines[2].endswith(", nothing finished yet")


def test_a_job_as_json(engine: JobScript, state: Path, work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    leave(state, described(["cp", "big", "s3://b/big"], work), is_uploading=True)
    (job,) = listed(capsys)
    (item,) = job.pop("items")
    assert {job.pop("began")[-1], job.pop("touched")[-1], item.pop("began")[-1]} == {"Z"}
    assert job == {
        "type": "job",
        "job": 1,
        "command": ["cp", "big", "s3://b/big"],
        "folder": str(work),
        "endpoint": ENDPOINT,
        "sources": [f"{work}/big"],
        "destination": "s3://b/big",
        "process_id": None,
        "finished_items": 0,
        "finished_bytes": 0,
    }
    assert item == {
        "direction": "upload",
        "source": f"{work}/big",
        "destination": "s3://b/big",
        "size": 40 * MIB,
        "finished_bytes": 25 * MIB,
        "upload_id": "up1",
    }
    assert engine.calls == []


def test_the_list_is_an_answer_and_no_chatter(state: Path, work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    leave(state, described(["cp", "big", "s3://b/big"], work))
    assert main(["jobs", "-q"]) == 0
    assert "transfer cp big s3://b/big" in capsys.readouterr().out


def test_a_running_job_names_its_process(state: Path, work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with held(state, described(["cp", "big", "s3://b/big"], work)):
        assert main(["jobs"]) == 0
        assert f"   1  running as process {os.getpid()} since 2" in capsys.readouterr().out
        assert main(["resume"]) == 0
        assert capsys.readouterr().err == f"transfer: job 1: skipped: process {os.getpid()} works on it\n"
        (job,) = listed(capsys)
        assert job["process_id"] == os.getpid()
    assert listed(capsys) == []


def test_names_of_a_job_cannot_steer_a_terminal(state: Path, work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = os.fsdecode(b"a\x1b[2J\n\xff")
    leave(state, described(["cp", name, "s3://b/"], work, destination=f"s3://b/{name}"), is_uploading=True)
    assert main(["jobs"]) == 0
    told = capsys.readouterr().out
    assert "transfer cp 'a\\x1b[2J\\n\\xff' s3://b/\n" in told
    assert "-> s3://b/a\\x1b[2J\\n\\xff\n" in told
    assert told.count("\n") == 3
    assert main(["clean", "--dry-run"]) == 0
    assert capsys.readouterr().out == "would give up job 1: transfer cp 'a\\x1b[2J\\n\\xff' s3://b/\n"
    (job,) = listed(capsys)
    assert job["command"][1] == name


def test_a_job_of_a_program_names_what_it_moves(
    engine: JobScript, state: Path, work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    leave(state, described([], work))
    assert main(["jobs"]) == 0
    assert capsys.readouterr().out.splitlines()[1] == f"      a Python program: {work}/big -> s3://b/big"
    assert main(["resume", "1"]) == 1
    told = capsys.readouterr().err
    assert told == ("transfer: job 1: it was begun by a Python program; run that program again, or: transfer clean 1\n")
    assert main(["clean"]) == 0
    assert capsys.readouterr().out == f"gave up job 1: {work}/big -> s3://b/big\n"
    assert engine.calls == []


def test_the_last_word_of_a_run_says_how_to_go_on(engine: JobScript, capsys: pytest.CaptureFixture[str]) -> None:
    engine.events = [JobResumed(7, 1), JobKept(7)]
    engine.outcomes = [Failure("x", "s3://b/x", DENIED)]
    assert main(["cp", "a", "s3://b/"]) == 1
    first, failed, summary, last = capsys.readouterr().err.splitlines()
    assert first == "transfer: going on with job 7: 1 item finished earlier"
    assert "access denied" in failed
    assert summary.endswith("1 failed")
    assert last == "transfer: unfinished; run the same command again to go on, or: transfer resume 7"
    assert main(["cp", "a", "s3://b/", "--json"]) == 1
    lines = json_lines(capsys.readouterr().out)
    assert lines[0] == {"type": "job_resumed", "job": 7, "finished_items": 1}
    assert [line for line in lines if line["type"] == "job_kept"] == [{"type": "job_kept", "job": 7}]
    assert main(["cp", "a", "s3://b/", "-q"]) == 1
    assert capsys.readouterr().err == "transfer: s3://b/x: access denied\n"


@pytest.mark.parametrize("ending", [ConfigurationError("no credentials"), ZeroDivisionError("bad")])
def test_an_error_that_ends_the_run_comes_before_how_to_go_on(
    engine: JobScript, capsys: pytest.CaptureFixture[str], ending: BaseException
) -> None:
    engine.events = [JobKept(7)]
    engine.outcomes = [ending]
    assert main(["cp", "a", "s3://b/"]) == 1
    error, last = capsys.readouterr().err.splitlines()
    assert str(ending) in error
    assert last.endswith("transfer resume 7")


@pytest.mark.parametrize("flags", [[], ["-q"]])
def test_an_interruption_says_how_to_go_on_in_one_line(
    engine: JobScript, capsys: pytest.CaptureFixture[str], flags: list[str]
) -> None:
    engine.events = [JobKept(7)]
    engine.outcomes = [KeyboardInterrupt()]
    assert main(["cp", "a", "s3://b/", *flags]) == 130
    told = capsys.readouterr().err
    assert told == "transfer: interrupted; run the same command again to go on, or: transfer resume 7\n"
    assert main(["cp", "a", "s3://b/", "--json"]) == 130
    kept, error = json_lines(capsys.readouterr().out)
    assert kept == {"type": "job_kept", "job": 7}
    assert error["remedy"] == "run the same command again to go on, or: transfer resume 7"


def test_a_state_folder_that_only_an_option_names_is_part_of_the_advice(
    engine: JobScript, state: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    engine.events = [JobKept(7)]
    main(["cp", "a", "s3://b/", "--state-dir", str(tmp_path / "my state")])
    assert capsys.readouterr().err.endswith(f"transfer resume 7 --state-dir '{tmp_path}/my state'\n")
    assert engine.options is not None
    assert engine.options.state_folder == str(tmp_path / "my state")
    main(["cp", "a", "s3://b/"])
    assert capsys.readouterr().err.endswith("transfer resume 7\n")
    assert engine.options.state_folder == str(state)


def test_cp_goes_on_by_default_and_remembers_its_command(engine: JobScript) -> None:
    assert main(["--profile", "x", "cp", "a", "s3://b/"]) == 0
    assert engine.options is not None
    assert (engine.options.resume, engine.options.command) == (True, ("--profile", "x", "cp", "a", "s3://b/"))
    assert main(["cp", "a", "s3://b/", "--no-resume"]) == 0
    assert not engine.options.resume


def test_what_was_moved_earlier_is_summed_up(engine: JobScript, capsys: pytest.CaptureFixture[str]) -> None:
    engine.outcomes = [replace(receipt("a", size=40 * MIB), resumed_bytes=30 * MIB), receipt("b", size=MIB)]
    assert main(["cp", "a", "b", "s3://b/", "-v"]) == 0
    told = capsys.readouterr().err
    assert "40.0 MiB in 0.5 s" in told
    assert ", 30.0 MiB of it moved earlier" in told
    assert ", of which 30.0 MiB moved earlier, 2 verified\n" in told
    assert main(["cp", "a", "b", "s3://b/", "--json"]) == 0
    *receipts, summary = json_lines(capsys.readouterr().out)
    assert [one["resumed_bytes"] for one in receipts] == [30 * MIB, 0]
    assert (summary["resumed_bytes"], summary["resumed"], summary["moved_bytes"]) == (30 * MIB, 0, 41 * MIB)


def test_resume_repeats_the_command_where_it_was_given(
    engine: JobScript, state: Path, work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "else" / "where"
    here.mkdir(parents=True)
    monkeypatch.chdir(here)
    monkeypatch.setenv(STATE_FOLDER_VARIABLE, "../../state")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://other")
    monkeypatch.setenv("AWS_DEFAULT_PROFILE", "mine")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "new")
    before = dict(os.environ)
    command = ("cp", "-r", "big", "s3://b/big")
    leave(state, described(command, work, environment={"AWS_ENDPOINT_URL": ENDPOINT, "AWS_REGION": "eu"}))
    assert main(["resume"]) == 0
    assert engine.calls == [("cp", ["big"], "s3://b/big", True, False)]
    assert engine.folder == str(work)
    assert engine.environment["AWS_ENDPOINT_URL"] == ENDPOINT
    assert engine.environment["AWS_REGION"] == "eu"
    assert "AWS_ENDPOINT_URL_S3" not in engine.environment
    assert "AWS_DEFAULT_PROFILE" not in engine.environment
    assert engine.environment["AWS_SECRET_ACCESS_KEY"] == "new"
    assert engine.options is not None
    assert engine.options.command == command
    assert Path(str(engine.options.state_folder)).is_absolute()
    assert Path(str(engine.options.state_folder)).samefile(state)
    assert (Path.cwd(), dict(os.environ)) == (here, before)


@pytest.mark.parametrize("command", ["resume", "clean"])
@pytest.mark.parametrize("then", [{}, {"AWS_PROFILE": "then"}, dict.fromkeys(REMEMBERED_VARIABLES, "then")])
def test_a_job_has_exactly_the_variables_it_had(
    engine: JobScript,
    state: Path,
    work: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: str,
    then: dict[str, str],
) -> None:
    for name in REMEMBERED_VARIABLES:
        monkeypatch.setenv(name, "now")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "now")
    before = dict(os.environ)
    leave(state, described(["cp", "big", "s3://b/big"], work, environment=then), is_uploading=True)
    assert main([command]) == 0
    assert {name: engine.environment[name] for name in REMEMBERED_VARIABLES if name in engine.environment} == then
    assert engine.environment["AWS_ACCESS_KEY_ID"] == "now"
    assert dict(os.environ) == before


@pytest.mark.parametrize("outcome", [receipt(), Skip("y", "a socket")])
def test_a_command_that_goes_elsewhere_now_is_a_failure(
    engine: JobScript, state: Path, work: Path, capsys: pytest.CaptureFixture[str], outcome: Outcome
) -> None:
    leave(state, *(described(["cp", name, "s3://b/"], work, destination=name) for name in ("one", "two")))
    engine.is_elsewhere, engine.outcomes = True, [outcome]
    assert main(["resume", "-q"]) == 1
    told = capsys.readouterr().err.splitlines()
    assert [line.partition(": still unfinished: ")[0] for line in told] == ["transfer: job 1", "transfer: job 2"]
    assert all(f"went elsewhere or is another job now, while this one went to {ENDPOINT}; " in line for line in told)
    assert [job["job"] for job in listed(capsys)] == [1, 2]
    assert main(["resume", "2", "--json"]) == 1
    error = json_lines(capsys.readouterr().out)[-1]
    assert (error["kind"], error["subject"]) == ("configuration", "job 2")


def test_a_job_that_fails_is_not_said_to_be_another(
    engine: JobScript, state: Path, work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    leave(state, described(["cp", "big", "s3://b/big"], work))
    engine.outcomes = [Failure("x", "s3://b/x", DENIED)]
    assert main(["resume"]) == 1
    assert "elsewhere" not in capsys.readouterr().err
    assert len(listed(capsys)) == 1


def test_a_job_that_was_taken_up_and_kept_is_not_said_to_be_another(
    engine: JobScript, state: Path, work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    leave(state, described(["cp", "big", "s3://b/big"], work))
    engine.is_kept, engine.outcomes = True, [receipt()]
    assert main(["resume"]) == 0
    assert "elsewhere" not in capsys.readouterr().err
    assert len(listed(capsys)) == 1


def test_resume_puts_everything_back_after_a_failure(
    engine: JobScript, state: Path, work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = dict(os.environ)
    leave(state, described(["cp", "big", "s3://b/big"], work, environment={"AWS_PROFILE": "then"}))
    engine.outcomes = [ZeroDivisionError("bad")]
    assert main(["resume", "1"]) == 1
    assert engine.environment["AWS_PROFILE"] == "then"
    assert (Path.cwd(), dict(os.environ)) == (tmp_path, before)


def test_resume_tells_which_command_it_repeats(
    engine: JobScript, state: Path, work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    leave(state, described(["cp", "a b", "s3://b/big"], work))
    engine.is_kept = True
    assert main(["resume", "1"]) == 0
    assert " && transfer cp 'a b' s3://b/big\n" in capsys.readouterr().err
    assert main(["resume", "1", "--json"]) == 0
    told = capsys.readouterr()
    repeated, summary = json_lines(told.out)
    assert (repeated["type"], repeated["job"], summary["type"]) == ("job_repeated", 1, "summary")
    assert told.err == ""
    assert main(["resume", "1", "-q"]) == 0
    told = capsys.readouterr()
    assert (told.out, told.err) == ("", "")
    assert engine.options is not None
    assert engine.options.command == ("cp", "a b", "s3://b/big")


def test_resume_of_an_unknown_job_is_a_usage_error(
    engine: JobScript, state: Path, work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    leave(state, described(["cp", "big", "s3://b/big"], work))
    assert main(["resume", "5"]) == 2
    assert capsys.readouterr().err == "transfer: job 5: there is no such unfinished job; see: transfer jobs\n"
    assert engine.calls == []


def test_resume_of_a_job_whose_folder_is_gone_is_one_clear_line(
    engine: JobScript, state: Path, work: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    leave(state, described(["cp", "big", "s3://b/big"], work))
    work.rmdir()
    before = Path.cwd(), dict(os.environ)
    assert main(["resume", "1"]) == 1
    told = capsys.readouterr().err
    assert told == f"transfer: job 1: {work}: no such file or directory; check the path\n"
    assert (Path.cwd(), dict(os.environ)) == before
    assert engine.calls == []


def test_resume_works_in_a_folder_that_is_gone(
    engine: JobScript, state: Path, work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave(state, described(["cp", "big", "s3://b/big"], work))
    monkeypatch.chdir(tmp_path)
    gone = tmp_path / "gone"
    gone.mkdir()
    os.chdir(gone)
    gone.rmdir()
    assert main(["resume"]) == 0
    assert engine.folder == str(work)


@pytest.mark.parametrize(
    ("second", "code"),
    [
        ([receipt()], 0),
        ([Skip("y", "a socket")], 3),
        ([Failure("x", "s3://b/x", DENIED)], 1),
        ([LocalFileError("no such file")], 1),
    ],
)
def test_the_worst_exit_code_of_all_jobs_wins(
    engine: JobScript, state: Path, work: Path, second: list[Any], code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands = [["cp", name, f"s3://b/{name}"] for name in ("one", "two", "three")]
    leave(state, *(described(command, work, destination=command[2]) for command in commands))

    class Answers(list[Any]):
        def append(self, call: Any) -> None:
            super().append(call)
            engine.outcomes = second if call[1] == ["two"] else [receipt()]

    engine.calls = Answers()
    assert main(["resume"]) == code
    assert [call[1] for call in engine.calls] == [["one"], ["two"], ["three"]]


def test_an_interruption_ends_resume_before_the_next_job(
    engine: JobScript, state: Path, work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    leave(state, *(described(["cp", name, "s3://b/"], work, destination=name) for name in ("one", "two")))
    engine.outcomes = [KeyboardInterrupt()]
    assert main(["resume"]) == 130
    assert [call[1] for call in engine.calls] == [["one"]]
    assert "interrupted" in capsys.readouterr().err


def test_resume_of_all_leaves_running_jobs_out(engine: JobScript, state: Path, work: Path) -> None:
    leave(state, described(["cp", "one", "s3://b/one"], work))
    with held(state, described(["cp", "two", "s3://b/two"], work, destination="s3://b/two")):
        assert main(["resume"]) == 0
    assert [call[1] for call in engine.calls] == [["one"]]


def test_no_credential_is_among_the_variables_that_are_remembered() -> None:
    words = ("KEY", "SECRET", "TOKEN", "PASSWORD")
    names = [name for name in REMEMBERED_VARIABLES if any(word in name for word in words)]
    assert names == []


def age(state: Path, job_id: int, seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the clock of the command be so much later than the job's last sign of life."""
    with closing(sqlite3.connect(state / "journal.sqlite3")) as database:
        (touched,) = database.execute("SELECT touched_seconds FROM jobs WHERE id = ?", (job_id,)).fetchone()
    clock = SimpleNamespace(time=lambda: touched + seconds)
    monkeypatch.setattr("transfer.cli.clean.time", clock)


@pytest.mark.parametrize(("seconds", "is_given_up"), [(7 * 86400 + 1, True), (7 * 86400 - 60, False)])
def test_clean_chooses_by_age(
    engine: JobScript,
    state: Path,
    work: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    seconds: float,
    is_given_up: bool,
) -> None:
    leave(state, described(["cp", "big", "s3://b/big"], work))
    with monkeypatch.context() as patch:
        age(state, 1, seconds, patch)
        assert main(["clean", "--older-than", "7d"]) == 0
    assert ("gave up job 1" in capsys.readouterr().out) is is_given_up
    assert bool(listed(capsys)) is not is_given_up
    assert engine.connection is None


def test_a_clock_that_went_back_keeps_nothing_from_being_given_up(
    engine: JobScript, state: Path, work: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    leave(state, described(["cp", "big", "s3://b/big"], work))
    with monkeypatch.context() as patch:
        age(state, 1, -86400, patch)
        assert main(["clean", "--older-than", "1s"]) == 0
        assert capsys.readouterr().out == ""
        assert main(["clean"]) == 0
        assert capsys.readouterr().out == "gave up job 1: transfer cp big s3://b/big\n"


def three_jobs(state: Path, work: Path) -> None:
    places = [f"s3://b/{number}" for number in (1, 2, 3)]
    leave(state, *(described(["cp", "big", place], work, destination=place) for place in places), is_uploading=True)


def test_clean_gives_up_the_jobs_that_are_named(
    engine: JobScript, state: Path, work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    three_jobs(state, work)
    assert main(["clean", "--dry-run", "3"]) == 0
    assert capsys.readouterr().out == "would give up job 3: transfer cp big s3://b/3\n"
    assert engine.calls == []

    assert main(["clean", "3", "1", "3"]) == 0
    assert capsys.readouterr().out == (
        "gave up job 1: transfer cp big s3://b/1\ngave up job 3: transfer cp big s3://b/3\n"
    )
    assert [call[1] for call in engine.calls if call[0] == "abort"] == ["s3://b/1", "s3://b/3"]
    assert [job["job"] for job in listed(capsys)] == [2]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["1", "5"], "job 5: there is no such unfinished job; see: transfer jobs"),
        (["1", "--older-than", "1s"], "--older-than: which jobs is told by numbers already; leave one out"),
    ],
)
def test_clean_of_what_makes_no_sense_gives_nothing_up(
    engine: JobScript, state: Path, work: Path, capsys: pytest.CaptureFixture[str], words: list[str], told: str
) -> None:
    three_jobs(state, work)
    assert main(["clean", *words]) == 2
    assert capsys.readouterr() == ("", f"transfer: {told}\n")
    assert len(listed(capsys)) == 3


def test_clean_of_a_number_without_any_jobs_makes_no_journal(
    engine: JobScript, state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["clean", "1"]) == 2
    assert capsys.readouterr().err == "transfer: job 1: there is no such unfinished job; see: transfer jobs\n"
    assert not state.exists()


def test_clean_leaves_a_running_job_alone_and_says_so(
    engine: JobScript, state: Path, work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    leave(state, described(["cp", "one", "s3://b/one"], work))
    with held(state, described(["cp", "two", "s3://b/two"], work, destination="s3://b/two")):
        assert main(["clean"]) == 0
        told = capsys.readouterr()
        assert told.out == "gave up job 1: transfer cp one s3://b/one\n"
        assert told.err == f"transfer: job 2: skipped: process {os.getpid()} works on it\n"
        assert main(["clean", "2"]) == 3
        assert capsys.readouterr() == ("", told.err)
        assert [job["job"] for job in listed(capsys)] == [2]


def test_a_dry_run_of_clean_changes_nothing(
    engine: JobScript, state: Path, work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    leave(state, described(["cp", "big", "s3://b/big"], work), is_uploading=True)
    before = listed(capsys)
    assert main(["clean", "--dry-run"]) == 0
    assert capsys.readouterr().out == "would give up job 1: transfer cp big s3://b/big\n"
    assert main(["clean", "--dry-run", "--json"]) == 0
    (record,) = json_lines(capsys.readouterr().out)
    assert (record["type"], record["job"]) == ("job_would_be_forgotten", 1)
    assert listed(capsys) == before
    assert (engine.calls, engine.connection) == ([], None)


def test_clean_aborts_removes_and_forgets(
    engine: JobScript, state: Path, work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    temporary = work / ".big.0123456789ab.transfer"
    temporary.write_bytes(b"half")
    (work / "big").write_bytes(b"whole")

    async def run() -> None:
        journal = Journal(str(state), no_warning)
        job_id = await begin(journal, described(["cp", "x", "y"], work))
        await upload(journal, job_id, "/x", "s3://b/x", upload_id="up1")
        await upload(journal, job_id, "/y", "s3://b/y", upload_id="up2")
        await download(journal, job_id, work / "big", temporary.name)
        await journal.end(job_id, keep=True)
        await journal.aclose()

    asyncio.run(run())
    assert main(["clean", "--json"]) == 0
    (record,) = json_lines(capsys.readouterr().out)
    assert (record["type"], record["job"], len(record["items"])) == ("job_forgotten", 1, 3)
    assert engine.calls[-2:] == [("abort", "s3://b/x", "up1"), ("abort", "s3://b/y", "up2")]
    assert {call for call in engine.calls if call[0] != "abort"} == {("address", "b")}
    assert engine.options is not None
    assert not engine.options.resume
    assert [path.name for path in work.iterdir()] == ["big"]
    assert listed(capsys) == []


def test_a_job_whose_upload_cannot_be_aborted_is_kept(
    engine: JobScript, state: Path, work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    leave(state, described(["cp", "big", "s3://b/big"], work), is_uploading=True)
    engine.outcomes = [StoreError("access denied", status=403, code="AccessDenied", subject="s3://b/big")]
    assert main(["clean"]) == 1
    told = capsys.readouterr()
    assert (told.out, told.err) == ("", "transfer: job 1: s3://b/big: access denied\n")
    assert len(listed(capsys)) == 1


@pytest.mark.parametrize("outcome", [None, StoreError("gone", status=404, code="NoSuchBucket")])
def test_clean_gives_nothing_up_at_another_store_than_the_jobs(
    engine: JobScript, state: Path, work: Path, capsys: pytest.CaptureFixture[str], outcome: StoreError | None
) -> None:
    leave(state, described(["cp", "big", "s3://b/big"], work), is_uploading=True)
    engine.address = "http://other:9000"
    engine.outcomes = [] if outcome is None else [outcome]
    before = listed(capsys)
    assert main(["clean", "--endpoint-url", "http://other:9000"]) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err == (
        f"transfer: job 1: s3://b/big: its upload is at {ENDPOINT}, but clean would ask http://other:9000; "
        "give the --endpoint-url, --profile or --region that leads there\n"
    )
    assert listed(capsys) == before
    assert engine.calls == [("address", "b")]


def test_a_bucket_that_is_gone_keeps_no_job(
    engine: JobScript, state: Path, work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    leave(state, described(["cp", "big", "s3://b/big"], work), is_uploading=True)
    engine.outcomes = [StoreError("gone", status=404, code="NoSuchBucket")]
    assert main(["clean"]) == 0
    assert listed(capsys) == []


REACHED: list[tuple[list[str], list[str], tuple[str | None, ...]]] = [
    (["--endpoint-url", "http://a", "--profile", "p", "--region", "r"], [], ("http://a", "p", "r")),
    (["--endpoint-url=http://a", "--profile=p", "--region=r"], [], ("http://a", "p", "r")),
    (["--region=a", "--region", "b=c"], [], (None, None, "b=c")),
    (["--region", "r"], ["--region", "mine", "--profile", "p"], (None, "p", "mine")),
    (["--", "--region", "r"], [], (None, None, None)),
]


@pytest.mark.parametrize(("options", "flags", "expected"), REACHED)
def test_clean_reaches_the_store_by_the_options_of_the_command(
    engine: JobScript, state: Path, work: Path, options: list[str], flags: list[str], expected: tuple[str | None, ...]
) -> None:
    for command in (["cp", "big", "s3://b/", *options], [*options, "cp", "big", "s3://b/"]):
        leave(state, described(command, work, environment={"AWS_ENDPOINT_URL": "http://e"}), is_uploading=True)
        assert main(["clean", *flags]) == 0
        connection = engine.connection
        assert connection is not None
        assert (connection.endpoint_url, connection.profile, connection.region) == expected
        assert engine.environment["AWS_ENDPOINT_URL"] == "http://e"


def test_clean_trusts_and_signs_as_the_command_did(engine: JobScript, state: Path, work: Path) -> None:
    (work / "ca.pem").touch()
    command = "cp big s3://b/ --no-sign-request --ca-bundle ca.pem --addressing-style=path --stall-timeout 5"
    leave(state, described(command.split(), work), is_uploading=True)
    assert main(["clean"]) == 0
    connection = engine.connection
    assert connection is not None
    assert (connection.sign_request, connection.verify_tls, connection.stall_seconds) == (False, True, 5.0)
    assert (connection.ca_bundle, connection.addressing_style) == (str(work / "ca.pem"), AddressingStyle.PATH)


def test_clean_has_the_variables_of_the_command_while_it_aborts(
    engine: JobScript, state: Path, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://now")
    monkeypatch.setenv("AWS_REGION", "now")
    before = dict(os.environ)
    then = {"AWS_ENDPOINT_URL_S3": "http://then", "AWS_PROFILE": "then", "AWS_DEFAULT_REGION": "then"}
    leave(state, described(["cp", "big", "s3://b/"], work, environment=then), is_uploading=True)
    work.rmdir()
    assert main(["clean"]) == 0
    assert then.items() <= engine.environment.items()
    assert not {"AWS_ENDPOINT_URL", "AWS_REGION"} & engine.environment.keys()
    assert dict(os.environ) == before
