"""Command lines that make no sense: one line that names the option and the value, exit 2, nothing attempted."""

import json
from collections.abc import Iterator

import pytest

from tests.support.cli_fake import Script, scripted
from transfer.__main__ import main

COMMANDS = ("cp", "ls", "cat", "stat", "rm", "mb", "rb", "jobs", "resume", "clean", "demo")


@pytest.fixture
def engine() -> Iterator[Script]:
    with scripted(Script()) as script:
        yield script


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["ls", "--nope"], ["--nope", "transfer ls --help"]),
        (["lss"], ["lss", "transfer --help"]),
        (["cp"], ["SOURCE... DESTINATION", "transfer cp --help"]),
        (["cp", "a"], ["a", "DESTINATION"]),
        (["--profile"], ["--profile"]),
        (["cp", "a", "s3://b", "--checksum", "crc16"], ["--checksum", "crc16", "crc64nvme"]),
        (["cp", "a", "s3://b", "--acl", "mine"], ["--acl", "mine", "public-read"]),
        (["cp", "a", "s3://b", "--unsafe-keys", "maybe"], ["--unsafe-keys", "maybe"]),
        (["cp", "a", "s3://b", "--sse", "aes"], ["--sse", "aes"]),
        (["ls", "--addressing-style", "host"], ["--addressing-style", "host"]),
        (["cp", "a", "s3://b", "--concurrency", "0"], ["--concurrency", "'0'"]),
        (["cp", "a", "s3://b", "--processes", "0"], ["--processes", "'0'"]),
        (["cp", "a", "s3://b", "--processes", "65"], ["--processes", "'65'", "64"]),
        (["cp", "a", "s3://b", "--retries", "few"], ["--retries", "'few'"]),
        (["ls", "--stall-timeout", "nan"], ["--stall-timeout", "'nan'"]),
        (["cp", "a", "s3://b", "--part-size", "1MiB"], ["--part-size", "'1MiB'", "5 MiB"]),
        (["cp", "a", "s3://b", "--part-size", "big"], ["--part-size", "'big'"]),
        (["cp", "a", "s3://b", "--limit-rate", "0"], ["--limit-rate", "'0'"]),
        (["cp", "a", "s3://b", "--metadata", "owner"], ["--metadata", "'owner'", "key=value"]),
        (["cp", "a", "s3://b", "--metadata", "=x"], ["--metadata", "'=x'"]),
        (["cp", "a", "s3://b", "--metadata", "a b=x"], ["--metadata", "'a b'"]),
        (["cp", "a", "s3://b", "--metadata", "a=é"], ["--metadata", "'é'", "ASCII"]),
        (["cp", "a", "s3://b", "--metadata", "a=1", "--metadata", "A=2"], ["--metadata", "'a'", "twice"]),
        (["cp", "a", "s3://b", "--cache-control", "x\r\ny: z"], ["--cache-control", r"'x\r\ny: z'"]),
        (["cp", "a", "s3://b", "--tag", "k"], ["--tag", "'k'"]),
        (["cp", "a", "s3://b", *(word for n in range(11) for word in ("--tag", f"{n}=x"))], ["--tag", "11", "10"]),
        (["cp", "a", "s3://b", "--sse-kms-key-id", "key"], ["--sse-kms-key-id", "'key'", "--sse aws:kms"]),
        (["cp", "a", "s3://b", "--sse", "AES256", "--sse-kms-key-id", "key"], ["--sse-kms-key-id"]),
        (["ls", "--ca-bundle", "/nowhere/ca.pem"], ["--ca-bundle", "/nowhere/ca.pem"]),
        (["ls", "-q", "-v"], ["--quiet", "--verbose"]),
        (["-q", "ls", "-v"], ["--quiet", "--verbose"]),
        (["mb", "s3://b/key"], ["s3://b/key", "s3://b"]),
        (["rb", "b"], ["b", "s3://bucket"]),
        (["stat", "s3://"], ["s3://"]),
        (["rm", "./file"], ["./file"]),
        (["cat", "file"], ["file"]),
        (["clean", "--older-than", "7"], ["--older-than", "'7'", "7d"]),
        (["clean", "--ca-bundle", __file__, "--no-verify-tls"], ["--ca-bundle", "--no-verify-tls"]),
        (["resume", "first"], ["'first'", "transfer resume --help"]),
        (["resume", "1", "2"], ["2", "transfer resume --help"]),
        (["jobs", "1"], ["1", "transfer jobs --help"]),
        (["sync", "a"], ["one source and one destination", "transfer sync SOURCE DESTINATION"]),
        (["sync", "a", "s3://b/c", "d"], ["transfer: d: ", "too many", "transfer sync SOURCE DESTINATION"]),
        (["sync", "a", "s3://b/c", "crc32"], ["transfer: crc32: ", "too many", "transfer sync SOURCE DESTINATION"]),
        (["sync", "a", "s3://b/c", "d", "--checksum"], ["transfer: d: ", "too many"]),
        (["sync", "a", "s3://b/c", "--checksum", "crc32"], ["transfer: crc32: ", "--checksum-algorithm crc32"]),
        (["sync", "--checksum", "sha256", "a", "s3://b/c"], ["transfer: sha256: ", "--checksum-algorithm sha256"]),
        (["ls", "--profile"], ["--profile", "see: transfer ls --help"]),
        (["mpu", "ls", "--profile"], ["--profile", "see: transfer mpu ls --help"]),
        (["--profile"], ["--profile", "see: transfer --help"]),
        (["ls", "s3:/videos/x"], ["s3:/videos/x", "did you mean s3://videos/x?"]),
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


def test_usage_errors_are_json_when_that_is_wanted(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ls", "--json", "--nope"]) == 2
    told = capsys.readouterr()
    record = json.loads(told.out)
    assert (record["type"], record["kind"], record["remedy"]) == ("error", "usage", "see: transfer ls --help")
    assert told.err == ""


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_each_command_has_examples_as_they_are_typed(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert main([command, "--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"Usage: transfer {command} [OPTIONS]")
    examples = lines[lines.index("Examples:") + 1 :]
    assert any(line.strip().startswith(f"transfer {command}") for line in examples)
    assert all(len(line) <= 80 for line in lines)


def test_the_help_of_cp_groups_its_options(capsys: pytest.CaptureFixture[str]) -> None:
    main(["cp", "--help"])
    headings = [line for line in capsys.readouterr().out.splitlines() if line.endswith(":") and line[0] != " "]
    groups = ["What to move:", "Speed:", "Going on after an interruption:", "Verification:"]
    groups += ["Properties of new objects:", "Filters:", "Connection:", "Destination in another store:", "Output:"]
    assert headings == ["Arguments:", *groups, "Options:", "Examples:"]


@pytest.mark.parametrize("command", ["rm", "ls", "du", "verify", "run"])
def test_the_own_options_of_a_command_come_first(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    main([command, "--help"])
    headings = [line for line in capsys.readouterr().out.splitlines() if line.endswith(":") and line[0] != " "]
    assert headings[:2] == ["Arguments:", "Options:"]


def test_the_main_help_cuts_no_sentence_off(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    main(["--help"])
    assert "..." not in capsys.readouterr().out.partition("Connection:")[0].partition("Commands:")[2]


def test_the_main_help_names_commands_and_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    told = capsys.readouterr().out
    assert [name for name in COMMANDS if f"\n  {name} " not in told] == []
    assert "\n  130  interrupted" in told
    assert "--install-completion" in told
    assert main([]) == 2
    assert capsys.readouterr().out == told
