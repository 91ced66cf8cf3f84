"""What `transfer mpu` asks of the engine, says, and exits with."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.cli_fake import Script, scripted
from transfer.__main__ import main
from transfer.model.errors import ConfigurationError, StoreError
from transfer.model.receipts import Failure, Outcome, Skip, UploadAbort
from transfer.stores.s3.xml import PendingUpload, UploadedPart

BEGUN_SECONDS = 1_700_000_000.0
DENIED = StoreError("access denied", status=403, code="AccessDenied", subject="s3://b/x", remedy="ask for access")
GONE = StoreError("gone", status=404, code="NoSuchUpload")
LISTED = (PendingUpload("p/a\x1b b", "id1", BEGUN_SECONDS), PendingUpload("p/c", "id2", 0.0))
PARTS = (UploadedPart(1, "old", 10), UploadedPart(1, "new", 5), UploadedPart(2, "e", 7))


@pytest.fixture
def engine() -> Iterator[Script]:
    with scripted(Script()) as script:
        yield script


def json_lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_uploads_are_listed_with_time_object_and_name(engine: Script, capsys: pytest.CaptureFixture[str]) -> None:
    engine.uploads = LISTED
    assert main(["mpu", "ls", "s3://b/p"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("2023-11-1")
    assert first[19:] == " s3://b/p/a\\x1b b id1"
    assert second == f"{'-':<19} s3://b/p/c id2"
    assert engine.calls == [("mpu ls", "s3://b/p")]


def test_only_old_uploads_are_listed_when_asked_for(engine: Script, capsys: pytest.CaptureFixture[str]) -> None:
    engine.uploads = (*LISTED, PendingUpload("p/young", "id3", time.time() - 60))
    assert main(["mpu", "ls", "--older-than", "1h", "s3://b/p"]) == 0
    old = capsys.readouterr().out
    assert "id1" in old
    assert "id3" not in old
    assert main(["mpu", "ls", "--older-than", "30s", "s3://b/p"]) == 0
    assert "id3" in capsys.readouterr().out


def test_parts_are_counted_when_asked_for(engine: Script, capsys: pytest.CaptureFixture[str]) -> None:
    engine.uploads = LISTED
    engine.parts = {"id1": PARTS, "id2": GONE}
    assert main(["mpu", "ls", "--parts", "s3://b"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first[19:] == "     2             22 s3://b/p/a\\x1b b id1"
    assert second[19:] == "     -              - s3://b/p/c id2"
    assert engine.calls[1:] == [("parts", "s3://b/p/a\x1b b", "id1"), ("parts", "s3://b/p/c", "id2")]


def test_parts_that_may_not_be_seen_are_an_error(engine: Script, capsys: pytest.CaptureFixture[str]) -> None:
    engine.uploads = LISTED
    engine.parts = {"id1": DENIED}
    assert main(["mpu", "ls", "--parts", "s3://b"]) == 1
    assert capsys.readouterr().err == "transfer: s3://b/x: access denied; ask for access\n"


def test_the_list_as_json(engine: Script, capsys: pytest.CaptureFixture[str]) -> None:
    engine.uploads = LISTED
    engine.parts = {"id1": PARTS, "id2": GONE}
    main(["mpu", "ls", "s3://b", "--json"])
    main(["--json", "mpu", "ls", "s3://b", "--parts"])
    begun = "2023-11-14T22:13:20Z"
    first = {"type": "upload", "bucket": "b", "key": "p/a\x1b b", "upload_id": "id1", "initiated": begun}
    second = {"type": "upload", "bucket": "b", "key": "p/c", "upload_id": "id2", "initiated": None}
    assert json_lines(capsys.readouterr().out) == [
        first,
        second,
        first | {"parts": 2, "size": 22},
        second | {"parts": None, "size": None},
    ]


def test_a_list_is_no_chatter_and_nothing_pending_no_error(engine: Script, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["mpu", "ls", "s3://b/p"]) == 0
    assert capsys.readouterr().out == ""
    engine.uploads = LISTED
    main(["mpu", "ls", "-q", "s3://b/p"])
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_aborts_are_told_and_summed_up(engine: Script, capsys: pytest.CaptureFixture[str]) -> None:
    engine.outcomes = [UploadAbort("s3://b/a", "id1", BEGUN_SECONDS), Failure("s3://b/x", "", DENIED)]
    assert main(["mpu", "abort", "--older-than", "7d", "s3://b/p/", "s3://c"]) == 1
    told = capsys.readouterr()
    assert told.out == "abort s3://b/a id1\n"
    refused, summary = told.err.splitlines()
    assert refused == "transfer: s3://b/x: access denied; ask for access"
    assert summary.startswith("aborted 1 unfinished upload in ")
    assert summary.endswith(", 1 failed")
    assert engine.calls == [("mpu abort", ["s3://b/p/", "s3://c"], 604_800.0, False)]


def test_a_dry_run_says_would(engine: Script, capsys: pytest.CaptureFixture[str]) -> None:
    engine.outcomes = [UploadAbort(f"s3://b/{name}", name, BEGUN_SECONDS, True) for name in "ab"]
    assert main(["mpu", "abort", "--dry-run", "s3://b"]) == 0
    told = capsys.readouterr()
    assert told.out == "would abort s3://b/a a\nwould abort s3://b/b b\n"
    assert told.err.startswith("would abort 2 unfinished uploads in ")
    assert engine.calls == [("mpu abort", ["s3://b"], None, True)]


def test_aborts_as_json(engine: Script, capsys: pytest.CaptureFixture[str]) -> None:
    engine.outcomes = [UploadAbort("s3://b/a", "id1", BEGUN_SECONDS), UploadAbort("s3://b/b", "id2", 0.0, True)]
    main(["mpu", "abort", "--json", "s3://b"])
    first, second, summary = json_lines(capsys.readouterr().out)
    assert first == {
        "type": "upload_abort",
        "source": "s3://b/a",
        "upload_id": "id1",
        "initiated": "2023-11-14T22:13:20Z",
        "dry_run": False,
    }
    assert (second["initiated"], second["dry_run"]) == (None, True)
    assert (summary["command"], summary["aborted"], summary["would_abort"]) == ("mpu abort", 1, 1)


@pytest.mark.parametrize(
    ("outcomes", "code"),
    [
        ([], 0),
        ([UploadAbort("s3://b/a", "id", 1.0)], 0),
        ([UploadAbort("s3://b/a", "id", 1.0), Skip("s3://b/b", "nobody knows its age")], 3),
        ([UploadAbort("s3://b/a", "id", 1.0), ConfigurationError("no credentials")], 1),
        ([UploadAbort("s3://b/a", "id", 1.0), KeyboardInterrupt()], 130),
    ],
)
def test_the_exit_code_follows_from_the_outcomes(
    engine: Script, capsys: pytest.CaptureFixture[str], outcomes: list[Outcome | BaseException], code: int
) -> None:
    engine.outcomes = outcomes
    assert main(["mpu", "abort", "s3://b", "--json"]) == code
    (summary,) = [line for line in json_lines(capsys.readouterr().out) if line["type"] == "summary"]
    assert summary["exit_code"] == code


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["mpu"], ["transfer mpu --help"]),
        (["mpu", "rm"], ["rm", "transfer mpu --help"]),
        (["mpu", "ls"], ["URL", "transfer mpu ls --help"]),
        (["mpu", "ls", "s3://"], ["s3://"]),
        (["mpu", "ls", "./file"], ["./file"]),
        (["mpu", "abort", "s3://b", "-"], ["-", "s3://bucket/key"]),
        (["mpu", "abort", "s3://b", "--older-than", "7"], ["--older-than", "'7'", "7d"]),
        (["mpu", "abort", "s3://b", "--older-than", "-7d"], ["--older-than", "'-7d'"]),
        (["mpu", "abort", "--older-than", "s3://b"], ["URL"]),
        (["mpu", "abort", "s3://b", "--yes"], ["--yes", "transfer mpu abort --help"]),
        (["mpu", "ls", "-q", "-v", "s3://b"], ["--quiet", "--verbose"]),
    ],
    ids=lambda value: " ".join(value)[:60],
)
def test_one_line_names_what_is_wrong(
    engine: Script, capsys: pytest.CaptureFixture[str], words: list[str], named: list[str]
) -> None:
    assert main(words) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("transfer: ")
    assert told.err.count("\n") == 1
    assert [text for text in named if text not in told.err] == []
    assert (engine.calls, engine.connection) == ([], None)


@pytest.mark.parametrize(
    "words",
    [
        ["--region", "eu", "--endpoint-url", "http://one", "mpu", "ls", "s3://b"],
        ["mpu", "--region", "eu", "--endpoint-url", "http://one", "ls", "s3://b"],
        ["mpu", "ls", "--region", "eu", "--endpoint-url", "http://one", "s3://b"],
        ["--region", "us", "mpu", "--region", "eu", "ls", "--endpoint-url", "http://one", "s3://b"],
        [
            "--region",
            "us",
            "--endpoint-url",
            "http://two",
            "mpu",
            "--endpoint-url=http://one",
            "ls",
            "--region=eu",
            "s3://b",
        ],
    ],
    ids=" ".join,
)
def test_options_are_taken_before_and_after_the_commands(engine: Script, words: list[str]) -> None:
    assert main(words) == 0
    assert engine.connection is not None
    assert (engine.connection.region, engine.connection.endpoint_url) == ("eu", "http://one")


@pytest.mark.parametrize(
    ("words", "usage"),
    [
        (["mpu"], "transfer mpu [OPTIONS] COMMAND"),
        (["mpu", "ls"], "transfer mpu ls [OPTIONS] URL"),
        (["mpu", "abort"], "transfer mpu abort [OPTIONS] URL..."),
    ],
    ids=["mpu", "ls", "abort"],
)
def test_the_help_has_examples_as_they_are_typed(
    words: list[str], usage: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert main([*words, "--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"Usage: {usage}")
    examples = lines[lines.index("Examples:") + 1 :]
    assert any(line.strip().startswith(f"transfer {' '.join(words)} ") for line in examples)
    assert all(len(line) <= 80 for line in lines)


def test_the_help_warns_of_uploads_that_are_under_way(capsys: pytest.CaptureFixture[str]) -> None:
    main(["mpu", "abort", "--help"])
    told = " ".join(capsys.readouterr().out.split())
    assert "ALL unfinished uploads below the URL are aborted" in told
    assert "other programs are still sending" in told
    main(["--help"])
    assert "\n  mpu " in capsys.readouterr().out
