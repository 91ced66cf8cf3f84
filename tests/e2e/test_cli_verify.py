"""`transfer verify` as a process against real servers: what it says and how it ends."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.support.cli import Cli
from tests.support.servers import S3Server


@pytest.fixture
def cli(server: S3Server, tmp_path: Path) -> Cli:
    return Cli(server, tmp_path)


@pytest.fixture
def tree(cli: Cli, bucket: str) -> Path:
    root = cli.folder / "site"
    (root / "deep").mkdir(parents=True)
    (root / "index.html").write_bytes(b"hello")
    (root / "deep" / "ä \x1b.bin").write_bytes(os.urandom(400_000))
    cli.ok("cp", "-r", "site", f"s3://{bucket}/site", "--manifest", "receipts.jsonl")
    return root


def records(text: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.decode().splitlines()]


def test_a_good_backup(cli: Cli, bucket: str, tree: Path) -> None:
    done = cli.run("verify", "site", f"s3://{bucket}/site")
    assert (done.returncode, done.stdout) == (0, b"")
    assert done.stderr.decode().startswith("2 of 2 match, 390.6 KiB in ")
    told = cli.ok("verify", "-v", f"s3://{bucket}/site/", "site").splitlines()
    assert sorted(line.partition(": ")[0] for line in told) == ["match deep/ä \\x1b.bin", "match index.html"]

    *found, summary = records(cli.run("verify", "--json", "site", f"s3://{bucket}/site").stdout)
    assert {record["name"]: (record["finding"], record["size"]) for record in found} == {
        "index.html": ("match", 5),
        "deep/ä \x1b.bin": ("match", 400_000),
    }
    by_name = {record["name"]: record for record in found}
    assert by_name["deep/ä \x1b.bin"]["verified_by"] == "full-object checksum"
    assert by_name["deep/ä \x1b.bin"]["checksum"]["algorithm"] == "crc64nvme"
    assert (summary["command"], summary["match"], summary["exit_code"]) == ("verify", 2, 0)


def test_a_bad_backup(cli: Cli, oracle: Any, bucket: str, tree: Path) -> None:
    (tree / "index.html").write_bytes(b"hellO")
    (tree / "new").write_bytes(b"1")
    oracle.put_object(Bucket=bucket, Key="site/old", Body=b"1")

    done = cli.run("verify", "site", f"s3://{bucket}/site")
    assert done.returncode == 1
    lines = done.stdout.decode().splitlines()
    assert sorted(line.partition(":")[0] for line in lines) == ["differs index.html", "extra old", "missing new"]
    assert done.stderr.decode().endswith("1 differs, 1 missing, 1 extra\n")
    quiet = cli.run("verify", "-q", "site", f"s3://{bucket}/site")
    assert sorted(line.split()[0] for line in quiet.stdout.decode().splitlines()) == ["differs", "missing"]
    assert quiet.stderr == b""
    extra = cli.run("verify", "site", f"s3://{bucket}/site", "--exclude", "new", "--exclude", "index.html")
    assert (extra.returncode, extra.stdout.decode()) == (3, "extra old\n")
    (tree / "pipe").symlink_to("nowhere")
    skipped = cli.run("verify", "site", f"s3://{bucket}/site", "--include", "pipe")
    assert skipped.returncode == 3
    assert "a broken link" in skipped.stderr.decode()


def test_a_misspelt_place_is_asked_after(cli: Cli, bucket: str, tree: Path) -> None:
    question = "transfer: warning: the two places have no name in common: are both spelt as they should be?\n"
    done = cli.run("verify", "site", f"s3://{bucket}/sitte")
    assert done.returncode == 1
    assert question in done.stderr.decode()
    (tree / "index.html").unlink()
    assert question not in cli.run("verify", f"s3://{bucket}/site", "site").stderr.decode()


def test_a_manifest(cli: Cli, oracle: Any, bucket: str, tree: Path) -> None:
    with (cli.folder / "receipts.jsonl").open("a") as manifest:
        manifest.write('{"source": "half a li\n')
    done = cli.run("verify", "--manifest", "receipts.jsonl", "--json")
    *found, skip, summary = records(done.stdout)
    assert [record["finding"] for record in found] == ["match", "match"]
    assert skip["type"] == "skip"
    assert (done.returncode, summary["exit_code"]) == (3, 3)

    cli.ok("cp", "-r", "site", f"s3://{bucket}/copy", "--manifest", "clean.jsonl")
    (tree / "index.html").write_bytes(b"hellO")
    cli.ok("cp", "site/index.html", f"s3://{bucket}/copy/", "--manifest", "clean.jsonl")
    cli.ok("verify", "--manifest", "clean.jsonl")
    cli.ok("verify", "--manifest", "clean.jsonl", f"s3://{bucket}/copy/deep")
    oracle.put_object(Bucket=bucket, Key="copy/index.html", Body=b"other")
    done = cli.run("verify", "--manifest", "clean.jsonl", f"s3://{bucket}")
    assert done.returncode == 1
    assert done.stdout.decode().startswith(f"differs s3://{bucket}/copy/index.html: ")
    # What was uploaded is checked on the disk when that is asked for.
    local = cli.run("verify", "-v", "--manifest", "receipts.jsonl", "site")
    assert sorted(line.split()[0] for line in local.stdout.decode().splitlines()) == ["differs", "match"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("verify",),
        ("verify", "site"),
        ("verify", "site", "site"),
        ("verify", "-", "s3://b/k"),
        ("verify", "--manifest", "receipts.jsonl", "a", "b"),
        ("verify", "--manifest", "receipts.jsonl", "--exclude", "a"),
        ("verify", "--manifest", "receipts.jsonl", "s3://nothing-of-this-bucket"),
        ("verify", "site/index.html", "s3://b/k", "--exclude", "a"),
    ],
)
def test_what_makes_no_sense(cli: Cli, bucket: str, tree: Path, arguments: tuple[str, ...]) -> None:
    done = cli.run(*arguments)
    assert (done.returncode, done.stdout) == (2, b"")
    assert len(done.stderr.splitlines()) == 1


def test_what_is_not_there(cli: Cli, bucket: str, tree: Path) -> None:
    for arguments in [("nothing", f"s3://{bucket}/site"), (f"s3://{bucket}/nothing", "site")]:
        done = cli.run("verify", *arguments)
        assert (done.returncode, done.stdout) == (1, b"")
        assert len(done.stderr.splitlines()) == 1
    assert cli.run("verify", "--manifest", "nothing.jsonl").returncode == 1


@pytest.mark.parametrize("filters", [(), ("--include", "*.mvo")])
def test_where_nothing_is_compared_nothing_is_proved(
    cli: Cli, bucket: str, tree: Path, filters: tuple[str, ...]
) -> None:
    (cli.folder / "empty").mkdir()
    pair = ("site", f"s3://{bucket}/site") if filters else ("empty", f"s3://{bucket}/nothing")
    done = cli.run("verify", *pair, *filters)
    assert done.returncode == 3
    assert "transfer: warning: nothing was compared" in done.stderr.decode()
