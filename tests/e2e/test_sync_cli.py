"""`transfer sync` as a process: what it says, how it ends, and that a killed run goes on."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.integration.samples import keys_in, objects_in, put_objects, read_tree, write_tree
from tests.support.cli import Cli, lines_of
from tests.support.servers import S3Server

TREE = {"a": b"one", "b/c": b"two"}
OLD = 1_000_000_000


@pytest.fixture
def cli(seaweed: S3Server, tmp_path: Path) -> Cli:
    folder = tmp_path / "work"
    folder.mkdir()
    return Cli(seaweed, folder)


@pytest.fixture
def site(cli: Cli) -> Path:
    root = cli.folder / "site"
    write_tree(root, TREE)
    for path in root.rglob("*"):
        os.utime(path, (OLD, OLD))
    return root


def below(objects: Mapping[str, bytes], prefix: str) -> dict[str, bytes]:
    return {key.removeprefix(prefix): body for key, body in objects.items() if key.startswith(prefix)}


def test_up_and_again(cli: Cli, seaweed_bucket: str, seaweed_oracle: Any, site: Path) -> None:
    url = f"s3://{seaweed_bucket}/site"
    first = cli.run("sync", "site", url)
    assert first.returncode == 0, first.stderr.decode()
    assert sorted(first.stdout.decode().splitlines()) == [f"cp site/{name} {url}/{name}" for name in sorted(TREE)]
    assert lines_of(first.stderr)[-1].startswith("moved 2 objects, 6 B in ")
    again = cli.run("sync", "site/", f"{url}/")
    assert (again.returncode, again.stdout) == (0, b"")
    assert lines_of(again.stderr)[-1].endswith(", 2 already there")
    assert below(objects_in(seaweed_oracle, seaweed_bucket), "site/") == TREE


def test_the_plan_and_then_for_real(cli: Cli, seaweed_bucket: str, seaweed_oracle: Any, site: Path) -> None:
    url = f"s3://{seaweed_bucket}/site"
    put_objects(seaweed_oracle, seaweed_bucket, {"site/a": b"longer", "site/gone": b"x", "site/keep.log": b"y"})
    arguments = ("sync", "site", url, "--delete", "--exclude", "*.log")
    planned = cli.run(*arguments, "--dry-run")
    assert planned.returncode == 0, planned.stderr.decode()
    assert planned.stdout.decode().splitlines() == [
        f"would cp site/a {url}/a (overwrites: size differs, 3 B)",
        f"would cp site/b/c {url}/b/c (new, 3 B)",
        f"would rm {url}/gone (1 B)",
    ]
    assert lines_of(planned.stderr) == ["would move 2 objects, 6 B, 1 would be removed"]
    assert keys_in(seaweed_oracle, seaweed_bucket) == ["site/a", "site/gone", "site/keep.log"]
    told = [json.loads(line) for line in cli.ok(*arguments, "--dry-run", "--json").splitlines()]
    assert [record["type"] for record in told] == ["would_copy", "would_copy", "would_remove", "summary"]
    assert told[0]["change"] == "size"
    done = cli.run(*arguments)
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout.decode().splitlines()[-1] == f"rm {url}/gone"
    assert below(objects_in(seaweed_oracle, seaweed_bucket), "site/") == {**TREE, "keep.log": b"y"}
    assert not any((cli.folder / ".local").rglob("*.sqlite3")) or cli.ok("jobs") == ""


def test_too_much_to_delete_is_refused(cli: Cli, seaweed_bucket: str, seaweed_oracle: Any, site: Path) -> None:
    url = f"s3://{seaweed_bucket}/site"
    put_objects(seaweed_oracle, seaweed_bucket, {"site/x": b"x", "site/y": b"y"})
    for limit, dry, counts in (("1", (), "2 of 2"), ("40%", (), "2 of 4"), ("1", ("--dry-run",), "2 of 4")):
        refused = cli.run("sync", "site", url, "--delete", "--max-delete", limit, *dry)
        assert refused.returncode == 1
        said = f"{url}: {counts} at the destination are not in the source, and --max-delete allows {limit}"
        assert said in refused.stderr.decode()
    (cli.folder / "void").mkdir()
    empty = cli.run("sync", "void", url, "--delete")
    assert empty.returncode == 1
    assert "nothing in the source is wanted" in empty.stderr.decode()
    assert {"site/x", "site/y"} <= set(keys_in(seaweed_oracle, seaweed_bucket))
    cli.ok("sync", "site", url, "--delete", "--max-delete", "50%")
    assert below(objects_in(seaweed_oracle, seaweed_bucket), "site/") == TREE


def test_down_with_what_is_left_out(cli: Cli, seaweed_bucket: str, seaweed_oracle: Any) -> None:
    put_objects(seaweed_oracle, seaweed_bucket, {f"site/{name}": body for name, body in TREE.items()})
    write_tree(cli.folder / "down", {"extra": b"x"})
    done = cli.run("sync", f"s3://{seaweed_bucket}/site", "down", "--delete", "--backup-prefix", "gone")
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout.decode().splitlines()[-1] == "mv down/extra gone/extra"
    assert (read_tree(cli.folder / "down"), read_tree(cli.folder / "gone")) == (TREE, {"extra": b"x"})


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("site",), "one source and one destination are needed"),
        (("site", "s3://b/x", "--max-delete", "3"), "--max-delete: it means nothing without --delete"),
        (("site", "s3://b/x", "--delete", "--max-delete", "many"), "'many' is neither a number nor a share"),
        (("site", "s3://b/x", "--delete", "--max-delete", "101%"), "'101%' is neither a number nor a share"),
        (("site", "s3://b/x", "--checksum", "--size-only"), "--size-only: contradicts --checksum"),
        (("s3://b/x", "s3://b/x/y"), "without end"),
        (("site", "-"), "no trees"),
    ],
)
def test_what_makes_no_sense(cli: Cli, seaweed_bucket: str, site: Path, arguments: tuple[str, ...], said: str) -> None:
    refused = cli.run("sync", *arguments)
    assert refused.returncode == 2
    assert said in refused.stderr.decode()
    assert len(lines_of(refused.stderr)) == 1


def test_a_source_that_is_not_there(cli: Cli, seaweed_bucket: str) -> None:
    refused = cli.run("sync", "nowhere", f"s3://{seaweed_bucket}/x")
    assert (refused.returncode, lines_of(refused.stderr)) == (
        1,
        ["transfer: nowhere: no such folder; check the path"],
    )


@pytest.mark.parametrize("command", [("sync",), ("cp", "-r"), ("mv", "-r")])
def test_a_source_that_leaves_nothing_to_do_is_told_of(
    cli: Cli, seaweed_bucket: str, site: Path, command: tuple[str, ...]
) -> None:
    (cli.folder / "empty").mkdir()
    done = cli.run(*command, "empty", f"s3://{seaweed_bucket}/")
    assert done.returncode == 0
    assert "transfer: warning: empty: there is nothing in it\n" in done.stderr.decode()
    done = cli.run(*command, site.name, f"s3://{seaweed_bucket}/", "--include", "*.mvo")
    assert done.returncode == 0
    assert f"transfer: warning: {site.name}: the filters leave nothing of it\n" in done.stderr.decode()


@pytest.mark.parametrize("command", [("sync",), ("cp", "-r"), ("mv", "-r")])
def test_a_source_with_what_cannot_be_sent_is_not_empty(
    cli: Cli, seaweed_bucket: str, command: tuple[str, ...]
) -> None:
    folder = cli.folder / "links"
    folder.mkdir()
    (folder / "broken").symlink_to("nowhere")
    done = cli.run(*command, folder.name, f"s3://{seaweed_bucket}/")
    assert done.returncode == 3
    assert "broken" in done.stderr.decode()
    assert "nothing in it" not in done.stderr.decode()
