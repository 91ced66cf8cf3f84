"""Copies from bucket to bucket, as the command line asks for them."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.cli import Cli, lines_of
from tests.support.servers import S3Server


@pytest.fixture
def cli(server: S3Server, tmp_path: Path) -> Cli:
    return Cli(server, tmp_path)


def keys_in(oracle: Any, bucket: str) -> list[str]:
    return [found["Key"] for found in oracle.list_objects_v2(Bucket=bucket).get("Contents", ())]


def test_a_copy_tells_that_the_store_made_it(cli: Cli, oracle: Any, bucket: str) -> None:
    oracle.put_object(Bucket=bucket, Key="a b", Body=b"content", Metadata={"owner": "me"})

    done = cli.ok("cp", f"s3://{bucket}/a b", f"s3://{bucket}/c/", "--json", "--storage-class", "STANDARD_IA")

    receipt, summary = (json.loads(line) for line in done.splitlines())
    assert receipt["destination"] == f"s3://{bucket}/c/a b"
    assert (receipt["mover"], receipt["verified_by"], receipt["size"]) == ("server", "MD5 ETag", 7)
    assert summary["verified"] == 1
    head = oracle.head_object(Bucket=bucket, Key="c/a b")
    assert (head["StorageClass"], head["Metadata"]) == ("STANDARD_IA", {"owner": "me"})


def test_trees_patterns_and_filters_choose_keys(cli: Cli, oracle: Any, bucket: str) -> None:
    for key in ("x/a.mov", "x/b.txt", "x/y/c.mov"):
        oracle.put_object(Bucket=bucket, Key=key, Body=key.encode())

    cli.ok("cp", "-r", f"s3://{bucket}/x", f"s3://{bucket}/tree")
    cli.ok("cp", f"s3://{bucket}/x/*.mov", f"s3://{bucket}/movies/")
    cli.ok("cp", "-r", f"s3://{bucket}/x/", f"s3://{bucket}/x/copies/", "--exclude", "copies/", "--exclude", "*.txt")

    assert [key for key in keys_in(oracle, bucket) if not key.startswith("x/")] == [
        "movies/a.mov",
        "movies/y/c.mov",
        "tree/a.mov",
        "tree/b.txt",
        "tree/y/c.mov",
    ]
    assert [key for key in keys_in(oracle, bucket) if "copies" in key] == ["x/copies/a.mov", "x/copies/y/c.mov"]


def test_metadata_is_replaced_when_some_is_given(cli: Cli, oracle: Any, bucket: str) -> None:
    oracle.put_object(Bucket=bucket, Key="a", Body=b"x", Metadata={"old": "1"}, Tagging="old=1")

    cli.ok("cp", f"s3://{bucket}/a", f"s3://{bucket}/b", "--metadata", "new=2", "--tagging-directive", "replace")

    assert oracle.head_object(Bucket=bucket, Key="b")["Metadata"] == {"new": "2"}
    assert oracle.get_object_tagging(Bucket=bucket, Key="b")["TagSet"] == []


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("s3://{}/a", "s3://{}/a"), "copied onto itself"),
        (("-r", "s3://{}", "s3://{}/copy/"), "without end"),
        (("s3://{}/a", "s3://{}/b", "--metadata-directive", "copy", "--metadata", "k=v"), "--metadata-directive"),
    ],
)
def test_what_makes_no_sense_is_one_line(
    cli: Cli, oracle: Any, bucket: str, arguments: tuple[str, ...], named: str
) -> None:
    oracle.put_object(Bucket=bucket, Key="a", Body=b"x")

    done = cli.run("cp", *(argument.format(bucket) for argument in arguments))

    assert done.returncode == 2
    (line,) = lines_of(done.stderr)
    assert named in line
    assert keys_in(oracle, bucket) == ["a"]
