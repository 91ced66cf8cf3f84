"""What the commands ask of the engine, say, and exit with."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.cli_fake import Script, receipt, scripted
from transfer.__main__ import main
from transfer.cli.exit_codes import ExitCode, code_of_end
from transfer.cli.messages import Summary
from transfer.cli.summary_lines import rate_of, summary_line
from transfer.cli.tally import Tally
from transfer.model.checksums import Checksum, ChecksumAlgorithm, VerifiedBy
from transfer.model.errors import ConfigurationError, ConnectError, LocalFileError, StalledError, StoreError, UsageError
from transfer.model.events import ConcurrencyChanged, RequestRetried, Warned
from transfer.model.objects import CommonPrefix, ListedObject, ObjectInfo
from transfer.model.options import AddressingStyle, UnsafeKeyPolicy
from transfer.model.receipts import Failure, Intent, Removal, Skip
from transfer.model.sync import Change

DENIED = StoreError("access denied", status=403, code="AccessDenied", subject="s3://b/x", remedy="ask for access")


@pytest.fixture
def engine() -> Iterator[Script]:
    with scripted(Script()) as script:
        yield script


def json_lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_cp_says_each_item_on_stdout_and_sums_up_on_stderr(engine: Script, capsys: pytest.CaptureFixture[str]) -> None:
    engine.outcomes = [receipt("a"), receipt("b")]
    assert main(["cp", "-r", "a", "b", "s3://b/"]) == 0
    told = capsys.readouterr()
    assert told.out == "cp a s3://b/a\ncp b s3://b/b\n"
    assert told.err.startswith("moved 2 objects, 4.0 KiB in ")
    assert told.err.endswith(", 2 verified\n")
    assert engine.calls == [("cp", ["a", "b"], "s3://b/", True, False)]


@pytest.mark.parametrize(
    ("outcomes", "flags", "code"),
    [
        ([receipt()], [], 0),
        ([], [], 0),
        ([receipt(), Failure("x", "s3://b/x", DENIED)], [], 1),
        ([Failure("x", "s3://b/x", DENIED), Skip("y", "a socket")], [], 1),
        ([receipt(), Skip("y", "a socket")], [], 3),
        ([receipt(verified_by=VerifiedBy.UNVERIFIED)], [], 0),
        ([receipt(verified_by=VerifiedBy.UNVERIFIED)], ["--require-verified"], 3),
        ([receipt()], ["--require-verified"], 0),
        ([receipt(verified_by=VerifiedBy.NOTHING_TO_VERIFY)], ["--require-verified"], 0),
        ([UsageError("no file matches")], [], 2),
        ([ConfigurationError("no credentials")], [], 1),
        ([ExceptionGroup("", [ExceptionGroup("", [DENIED])])], [], 1),
        ([ZeroDivisionError("bad")], [], 1),
    ],
)
def test_the_exit_code_follows_from_the_outcomes(
    engine: Script, outcomes: list[Any], flags: list[str], code: int
) -> None:
    engine.outcomes = outcomes
    assert main(["cp", "a", "s3://b/", *flags]) == code
    assert engine.cleaned_up


def test_a_failure_is_one_line_with_its_remedy(engine: Script, capsys: pytest.CaptureFixture[str]) -> None:
    engine.outcomes = [Failure("x", "s3://b/x", DENIED), Failure("y", "s3://b/y", LocalFileError("no\nspace"))]
    main(["cp", "a", "s3://b/"])
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "transfer: s3://b/x: access denied; ask for access"
    assert lines[1] == "transfer: y: no\\nspace"
    assert lines[2].endswith(", 2 failed")


def test_a_failure_of_the_line_names_the_item_as_well(engine: Script, capsys: pytest.CaptureFixture[str]) -> None:
    lost = ConnectError("cannot connect: refused", subject="http://127.0.0.1:1")
    engine.outcomes = [
        Failure("x", "s3://b/x", lost),
        Failure("s3://b/y", "y", StalledError("slow", subject="s3://b/y")),
    ]
    assert main(["cp", "-r", "x", "s3://b/"]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[:2] == ["transfer: x: http://127.0.0.1:1: cannot connect: refused", "transfer: s3://b/y: slow"]


@pytest.mark.parametrize("ending", [Failure("-", "s3://b/x", DENIED), KeyboardInterrupt()])
def test_what_came_from_standard_input_is_said_to_be_lost(
    engine: Script, capsys: pytest.CaptureFixture[str], ending: Any
) -> None:
    engine.outcomes = [ending]
    assert main(["cp", "-", "s3://b/x"]) != 0
    assert "standard input cannot be read twice: give all of it again" in capsys.readouterr().err
    engine.outcomes = [ending]
    assert main(["cp", "a", "s3://b/x"]) != 0
    assert "standard input" not in capsys.readouterr().err


def test_a_folder_is_moved_but_neither_verified_nor_unverified(
    engine: Script, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    engine.outcomes = [receipt("dir", size=0, verified_by=VerifiedBy.NOTHING_TO_VERIFY)]
    manifest = tmp_path / "manifest"
    assert main(["cp", "a", "s3://b/", "-v", "--require-verified", "--manifest", str(manifest)]) == 0
    item, summary = capsys.readouterr().err.splitlines()
    assert "nothing to verify" in item
    assert "verified by" not in item
    assert "verified" not in summary
    assert json.loads(manifest.read_text())["verified_by"] == "nothing to verify"


@pytest.mark.parametrize("words", [["cp", "a", "s3://b/"], ["rm", "s3://b/a"]])
@pytest.mark.parametrize(
    ("ending", "code"),
    [
        (KeyboardInterrupt(), 130),
        (BaseExceptionGroup("", [KeyboardInterrupt(), ZeroDivisionError("bad")]), 130),
        (ConfigurationError("no credentials"), 1),
        (UsageError("no sense"), 2),
    ],
)
def test_the_summary_of_a_run_cut_short_has_the_exit_code_of_the_process(
    engine: Script, capsys: pytest.CaptureFixture[str], words: list[str], ending: BaseException, code: int
) -> None:
    engine.outcomes = [receipt("a") if words[0] == "cp" else Removal("s3://b/a"), ending]
    assert main([*words, "--json"]) == code
    (summary,) = [line for line in json_lines(capsys.readouterr().out) if line["type"] == "summary"]
    assert summary["exit_code"] == code


def test_tags_that_could_not_be_read_are_a_warning(engine: Script, capsys: pytest.CaptureFixture[str]) -> None:
    engine.outcomes = [replace(receipt(), tags_unread=True)]
    assert main(["cp", "a", "s3://b/"]) == 3
    assert "1 without tags" in capsys.readouterr().err


def test_a_cancelled_run_was_interrupted() -> None:
    assert code_of_end(asyncio.CancelledError()) is ExitCode.INTERRUPTED


def test_an_error_that_ends_the_run_comes_after_what_was_done(
    engine: Script, capsys: pytest.CaptureFixture[str]
) -> None:
    engine.outcomes = [receipt(), ConfigurationError("no credentials", remedy="log in")]
    assert main(["cp", "a", "s3://b/"]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("moved 1 object, ")
    assert lines[1] == "transfer: no credentials; log in"


def test_an_unforeseen_error_shows_its_trace_only_with_verbose(
    engine: Script, capsys: pytest.CaptureFixture[str]
) -> None:
    engine.outcomes = [ZeroDivisionError("bad\x1b[2J")]
    main(["cp", "a", "s3://b/"])
    told = capsys.readouterr().err
    line = "transfer: internal error: ZeroDivisionError: bad\\x1b[2J; please report it, --verbose shows the trace\n"
    assert told == line
    main(["cp", "-v", "a", "s3://b/"])
    assert "Traceback" in capsys.readouterr().err


def test_json_writes_every_message_as_an_object(engine: Script, capsys: pytest.CaptureFixture[str]) -> None:
    engine.outcomes = [receipt("ä\x1b"), Failure("x", "s3://b/x", DENIED), Skip("y", "a socket")]
    engine.events = [Warned("slow"), ConcurrencyChanged(8)]
    main(["cp", "--json", "a", "s3://b/"])
    told = capsys.readouterr()
    assert told.err == ""
    assert told.out.isascii()
    warning, moved, failed, skipped, summary = json_lines(told.out)
    assert warning == {"type": "warning", "message": "slow", "subject": None}
    assert moved == {
        "type": "receipt",
        "source": "ä\x1b",
        "destination": "s3://b/ä\x1b",
        "size": 2048,
        "etag": '"e"',
        "version_id": None,
        "checksum": {"algorithm": "crc64nvme", "value": "AAAAAAAAAAA=", "type": "FULL_OBJECT"},
        "verified_by": "full-object checksum",
        "seconds": 0.5,
        "retries": 1,
        "mover": "sendfile",
        "mover_reason": None,
        "resumed_bytes": 0,
        "source_removed": False,
        "tags_unread": False,
    }
    assert failed["type"] == "error"
    assert failed["kind"] == "store"
    assert (failed["message"], failed["subject"], failed["remedy"]) == ("access denied", "s3://b/x", "ask for access")
    assert (failed["status"], failed["code"]) == (403, "AccessDenied")
    assert skipped == {"type": "skip", "source": "y", "reason": "a socket"}
    assert (summary["type"], summary["moved"], summary["failed"], summary["exit_code"]) == ("summary", 1, 1, 1)


def test_an_error_that_ends_the_run_is_json_too(engine: Script, capsys: pytest.CaptureFixture[str]) -> None:
    engine.outcomes = [ConfigurationError("no credentials", remedy="log in")]
    main(["--json", "cp", "a", "s3://b/"])
    (told,) = json_lines(capsys.readouterr().out)
    expected = {"type": "error", "kind": "configuration", "message": "no credentials"}
    assert told == expected | {"subject": None, "remedy": "log in"}


def test_quiet_says_errors_only(engine: Script, capsys: pytest.CaptureFixture[str]) -> None:
    engine.outcomes = [receipt(), Skip("y", "a socket"), Failure("x", "s3://b/x", DENIED)]
    engine.events = [Warned("slow")]
    main(["cp", "-q", "a", "s3://b/"])
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err == "transfer: s3://b/x: access denied; ask for access\n"


def test_verbose_tells_how_it_went(engine: Script, capsys: pytest.CaptureFixture[str]) -> None:
    engine.outcomes = [receipt()]
    engine.events = [RequestRetried("s3://b/a", 2, 0.2, "503 SlowDown"), ConcurrencyChanged(16)]
    main(["cp", "-v", "a", "s3://b/"])
    told = capsys.readouterr().err
    assert "transfer: s3://b/a: attempt 3 follows in 0.2 s: 503 SlowDown\n" in told
    assert "16 requests in flight" in told
    assert "verified by full-object checksum, crc64nvme:AAAAAAAAAAA=, mover sendfile, 1 retry" in told


def test_stdout_belongs_to_the_data_when_it_is_the_destination(
    engine: Script, capsys: pytest.CaptureFixture[str]
) -> None:
    engine.outcomes = [receipt()]
    main(["cp", "s3://b/a", "-"])
    main(["cp", "s3://b/a", "-", "--json"])
    told = capsys.readouterr()
    assert told.out == ""
    assert '"type": "receipt"' in told.err


def test_the_manifest_gets_a_line_per_receipt_and_is_appended_to(engine: Script, tmp_path: Path) -> None:
    manifest = tmp_path / "receipts.jsonl"
    manifest.write_text('{"torn": ')
    engine.outcomes = [receipt("a"), Failure("x", "s3://b/x", DENIED), receipt("b")]
    main(["cp", "a", "s3://b/", "--manifest", str(manifest)])
    torn, *lines = manifest.read_text().splitlines()
    assert torn == '{"torn": '
    assert [json.loads(line)["source"] for line in lines] == ["a", "b"]
    assert set(json.loads(lines[0])) == {
        *("source", "destination", "size", "etag", "version_id", "checksum", "verified_by"),
        *("seconds", "retries", "mover", "mover_reason", "resumed_bytes", "source_removed", "tags_unread"),
    }


def test_an_unwritable_manifest_ends_the_run_before_anything_moves(
    engine: Script, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "missing" / "receipts.jsonl"
    assert main(["cp", "a", "s3://b/", "--manifest", str(path)]) == 2
    assert capsys.readouterr().err.startswith(f"transfer: --manifest: {path}: no such file or directory; ")
    assert engine.calls == []


def test_every_option_of_cp_reaches_the_engine(engine: Script) -> None:
    words = "--part-size 16MiB --limit-rate 50M/s --checksum sha256 --retries 0 --unsafe-keys escape --concurrency 7"
    words += " --no-follow-symlinks --require-verified --raw --content-type text/plain --cache-control no-cache"
    words += " --content-disposition inline --content-encoding gzip --metadata Owner=me --metadata x=a=b"
    words += " --storage-class GLACIER --sse aws:kms --sse-kms-key-id key --acl public-read --tag k=v"
    main(["cp", *words.split(), "a", "s3://b/"])
    options = engine.options
    assert options is not None
    assert (options.part_size_bytes, options.limit_rate_bytes_per_second) == (16 << 20, 50 << 20)
    assert (options.checksum, options.retries, options.concurrency) == (ChecksumAlgorithm.SHA256, 0, 7)
    assert options.unsafe_keys is UnsafeKeyPolicy.ESCAPE
    assert (options.follow_symlinks, options.require_verified) == (False, True)
    properties = options.properties
    assert (properties.content_type, properties.cache_control) == ("text/plain", "no-cache")
    assert (properties.content_disposition, properties.content_encoding) == ("inline", "gzip")
    assert properties.metadata == {"owner": "me", "x": "a=b"}
    assert (properties.storage_class, properties.acl, properties.tags) == ("GLACIER", "public-read", {"k": "v"})
    assert (properties.encryption, properties.encryption_key_id) == ("aws:kms", "key")
    assert engine.calls[0][-1] is True


def test_what_stands_before_the_command_counts_until_something_after_it_does(engine: Script, tmp_path: Path) -> None:
    bundle = tmp_path / "ca.pem"
    bundle.touch()
    before = ["--endpoint-url", "http://one", "--region", "eu", "--no-sign-request", "--ca-bundle", str(bundle)]
    main([*before, "ls", "--endpoint-url", "http://two", "--addressing-style", "path", "--stall-timeout", "2.5"])
    connection = engine.connection
    assert connection is not None
    assert (connection.endpoint_url, connection.region, connection.sign_request) == ("http://two", "eu", False)
    assert (connection.ca_bundle, connection.stall_seconds) == (str(bundle), 2.5)
    assert (connection.addressing_style, connection.verify_tls) == (AddressingStyle.PATH, True)


def test_ls_names_are_below_the_folder_and_harmless(engine: Script, capsys: pytest.CaptureFixture[str]) -> None:
    engine.entries = [CommonPrefix("p/q/"), ListedObject("p/a\x1b[2J", 1536, "e", 1_700_000_000.0)]
    assert main(["ls", "s3://b/p/"]) == 0
    folder, entry = capsys.readouterr().out.splitlines()
    assert folder == "                           PRE q/"
    assert entry.endswith("       1536 a\\x1b[2J")
    main(["ls", "-rH", "s3://b/p/"])
    assert capsys.readouterr().out.splitlines()[1].endswith("    1.5 KiB p/a\\x1b[2J")
    assert engine.calls == [("ls", "s3://b/p/", False, False), ("ls", "s3://b/p/", True, False)]


def test_ls_raw_takes_a_pattern_for_a_prefix(engine: Script, capsys: pytest.CaptureFixture[str]) -> None:
    engine.entries = [ListedObject("p/a*b", 1, "e", 1_700_000_000.0)]
    assert main(["ls", "--raw", "s3://b/p/a*"]) == 0
    assert capsys.readouterr().out.endswith(" a*b\n")
    assert main(["ls", "s3://b/p/a*"]) == 0
    assert capsys.readouterr().out.endswith(" p/a*b\n")
    assert engine.calls == [("ls", "s3://b/p/a*", False, True), ("ls", "s3://b/p/a*", False, False)]


def test_ls_json_gives_whole_keys(engine: Script, capsys: pytest.CaptureFixture[str]) -> None:
    engine.entries = [CommonPrefix("p/q/"), ListedObject("p/a", 1536, '"e"', 1_700_000_000.0, "GLACIER")]
    main(["ls", "--json", "s3://b/p/"])
    assert json_lines(capsys.readouterr().out) == [
        {"type": "prefix", "bucket": "b", "prefix": "p/q/"},
        {
            "type": "object",
            "bucket": "b",
            "key": "p/a",
            "size": 1536,
            "etag": '"e"',
            "modified": "2023-11-14T22:13:20Z",
            "storage_class": "GLACIER",
        },
    ]


def test_ls_without_a_url_lists_buckets(engine: Script, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["ls"], ["ls", "s3://"]):
        assert main(words) == 0
        assert capsys.readouterr().out.endswith(" photos\n")
    main(["ls", "--json"])
    created = "2023-11-14T22:13:20Z"
    assert json_lines(capsys.readouterr().out) == [{"type": "bucket", "name": "photos", "created": created}]


def test_ls_of_nothing_fails_unless_it_is_a_whole_bucket(engine: Script, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ls", "s3://b"]) == 0
    assert main(["ls", "s3://b/nothing"]) == 1
    assert capsys.readouterr().err.startswith("transfer: s3://b/nothing: no such key or prefix; ")


def test_stat_shows_all_facts_and_goes_on_after_a_failure(engine: Script, capsys: pytest.CaptureFixture[str]) -> None:
    stored = (Checksum(ChecksumAlgorithm.CRC32C, "AAAAAA=="),)
    info = ObjectInfo(5000, '"e"', 1_700_000_000.0, checksums=stored, metadata={"owner": "me\x07"})
    engine.infos = {"s3://b/x": DENIED, "s3://b/k": info}
    assert main(["stat", "s3://b/x", "s3://b/k"]) == 1
    told = capsys.readouterr()
    facts = dict(line.split("  ", 1) for line in told.out.splitlines())
    assert {name: fact.strip() for name, fact in facts.items()} == {
        "url": "s3://b/k",
        "size": "5000 (4.9 KiB)",
        "etag": '"e"',
        "modified": "2023-11-14 22:13:20 UTC",
        "checksum crc32c": "AAAAAA== (FULL_OBJECT)",
        "metadata owner": "me\\x07",
    }
    assert told.err == "transfer: s3://b/x: access denied; ask for access\n"


def test_rm_says_what_is_gone(engine: Script, capsys: pytest.CaptureFixture[str]) -> None:
    engine.outcomes = [Removal("s3://b/a"), Failure("s3://b/x", "", DENIED)]
    assert main(["rm", "-r", "s3://b/p/"]) == 1
    told = capsys.readouterr()
    assert told.out == "rm s3://b/a\n"
    assert told.err.splitlines()[1].startswith("removed 1 object in ")
    assert engine.calls == [("rm", ["s3://b/p/"], True, False)]


@pytest.mark.parametrize("command", ["cp", "mv", "rm"])
def test_a_dry_run_reaches_the_engine(engine: Script, command: str) -> None:
    words = ["s3://b/a"] if command == "rm" else ["s3://b/a", "s3://b/c"]
    for option in ("-n", "--dry-run"):
        engine.is_dry_run = False
        assert main([command, option, *words]) == 0
        assert engine.is_dry_run
    main([command, *words])
    assert not engine.is_dry_run


def test_a_dry_run_tells_sizes_and_reasons(engine: Script, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    engine.outcomes = [
        Intent("a", "s3://b/a", 3, Change.NEW),
        Intent("b", "s3://b/b", 2048, Change.SIZE),
        Intent("c", "s3://b/c", 7, moves=True),
        Intent("-", "s3://b/d", None),
        Removal("s3://b/e", is_dry_run=True, size=5),
    ]
    manifest = tmp_path / "receipts"
    assert main(["cp", "-n", "x", "s3://b/", "--manifest", str(manifest)]) == 0
    told = capsys.readouterr()
    assert told.out.splitlines() == [
        "would cp a s3://b/a (new, 3 B)",
        "would cp b s3://b/b (overwrites: size differs, 2.0 KiB)",
        "would mv c s3://b/c (7 B)",
        "would cp - s3://b/d",
        "would rm s3://b/e (5 B)",
    ]
    assert told.err == "would move 4 objects, 2.0 KiB, 1 would be removed\n"
    assert not manifest.exists()
    main(["cp", "-n", "x", "s3://b/", "--json"])
    *plan, summary = json_lines(capsys.readouterr().out)
    assert [line["type"] for line in plan] == ["would_copy", "would_copy", "would_move", "would_copy", "would_remove"]
    assert [line["size"] for line in plan] == [3, 2048, 7, None, 5]
    assert [line.get("change") for line in plan] == ["new", "size", None, None, None]
    assert (summary["moved_bytes"], summary["would_move_bytes"], summary["would_remove_bytes"]) == (0, 2058, 5)


def test_a_dry_run_of_rm_sums_up(engine: Script, capsys: pytest.CaptureFixture[str]) -> None:
    engine.outcomes = [Removal("s3://b/a", is_dry_run=True, size=2048), Removal("s3://b/b", is_dry_run=True)]
    assert main(["rm", "-rn", "s3://b/"]) == 0
    assert capsys.readouterr().err == "would remove 2 objects, 2.0 KiB\n"
    engine.outcomes = []
    main(["rm", "-rn", "s3://b/"])
    assert capsys.readouterr().err == "would remove 0 objects\n"


@pytest.mark.parametrize(
    ("moved_bytes", "seconds", "told"),
    [(1 << 20, 1.0, " (1.0 MiB/s)"), ((1 << 20) - 1, 9.0, ""), (1 << 30, 0.9, ""), (0, 0.0, "")],
)
def test_what_was_little_or_short_has_no_rate(moved_bytes: int, seconds: float, told: str) -> None:
    assert rate_of(moved_bytes, seconds) == told


@pytest.mark.parametrize(("found_all", "told"), [(True, "3 not attempted"), (False, "3 or more not attempted")])
def test_what_was_not_found_may_be_more(found_all: bool, told: str) -> None:
    tally = Tally(moved=1, not_attempted=3, found_all=found_all)
    assert summary_line(Summary("cp", tally, 1.0, ExitCode.FAILED)).endswith(f", {told}\n")


def test_flags_of_several_runs_are_no_counts() -> None:
    total = Tally()
    for one in (Tally(moved=1), Tally(moved=2, found_all=False), Tally(is_dry_run=True)):
        total.add_tally(one)
    assert total == Tally(moved=3, found_all=False, is_dry_run=True)


def test_buckets_are_made_and_removed(engine: Script, capsys: pytest.CaptureFixture[str]) -> None:
    assert [main(["mb", "s3://new/"]), main(["rb", "s3://new"])] == [0, 0]
    assert capsys.readouterr().out == "mb s3://new\nrb s3://new\n"
    assert engine.calls == [("mb", "new"), ("rb", "new")]


def test_cat_writes_the_bytes_and_nothing_else(engine: Script, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    engine.content = bytes(range(256))
    assert main(["cat", "s3://b/k"]) == 0
    told = capfdbinary.readouterr()
    assert (told.out, told.err) == (bytes(range(256)), b"")
