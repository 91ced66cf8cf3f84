"""`mv`, `--from-file` and `run` as processes: what users type, and the codes they get."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.cli import Cli, lines_of
from tests.support.servers import S3Server


@pytest.fixture
def cli(server: S3Server, tmp_path: Path) -> Cli:
    return Cli(server, tmp_path)


def _keys(oracle: Any, bucket: str) -> list[str]:
    return [found["Key"] for found in oracle.list_objects_v2(Bucket=bucket).get("Contents", ())]


def test_mv_tells_and_counts(cli: Cli, oracle: Any, bucket: str) -> None:
    (cli.folder / "a").write_bytes(b"1")

    done = cli.run("mv", "a", f"s3://{bucket}/")

    assert done.returncode == 0
    assert done.stdout.decode() == f"mv a s3://{bucket}/a\n"
    assert done.stderr.decode().startswith("moved 1 object")
    assert not (cli.folder / "a").exists()
    assert _keys(oracle, bucket) == ["a"]

    (record, _) = map(json.loads, lines_of(cli.run("mv", f"s3://{bucket}/a", "b", "--json").stdout))
    assert record["source_removed"] is True
    assert (cli.folder / "b").read_bytes() == b"1"
    assert _keys(oracle, bucket) == []


def test_mv_keeps_what_nothing_verifies(cli: Cli, oracle: Any, bucket: str) -> None:
    upload = oracle.create_multipart_upload(Bucket=bucket, Key="a")["UploadId"]
    part = {"Bucket": bucket, "Key": "a", "UploadId": upload, "PartNumber": 1}
    etag = oracle.upload_part(**part, Body=b"1")["ETag"]
    oracle.complete_multipart_upload(
        Bucket=bucket, Key="a", UploadId=upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": etag}]}
    )
    oracle.put_object(Bucket=bucket, Key="known", Body=b"2", ChecksumAlgorithm="CRC32")

    done = cli.run("mv", f"s3://{bucket}/a", "b")

    if done.returncode:
        assert done.returncode == 3
        assert "--allow-unverified" in done.stderr.decode()
        assert _keys(oracle, bucket) == ["a", "known"]
        cli.ok("mv", "--allow-unverified", f"s3://{bucket}/a", "b")
    assert _keys(oracle, bucket) == ["known"]
    assert (cli.folder / "b").read_bytes() == b"1"


def test_lists_come_from_files_and_from_standard_input(cli: Cli, oracle: Any, bucket: str) -> None:
    for name in ("x/a", "x/deep/b", "c"):
        path = cli.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    (cli.folder / "list").write_text("a\ndeep/b\n")

    cli.ok("cp", "--from-file", "list", "--root", "x", f"s3://{bucket}/p/")
    cli.ok("mv", "--from-file", "-", f"s3://{bucket}/q/", stdin=b"c\n")
    assert _keys(oracle, bucket) == ["p/a", "p/deep/b", "q/c"]
    assert not (cli.folder / "c").exists()

    cli.ok("rm", "--from-file", "-", stdin=f"s3://{bucket}/p/a\ns3://{bucket}/q/c\n".encode())
    assert _keys(oracle, bucket) == ["p/deep/b"]

    assert cli.run("cp", "--root", "x", "a", f"s3://{bucket}/").returncode == 2
    assert cli.run("cp", "--from-file", "list", "a", f"s3://{bucket}/").returncode == 2
    assert cli.run("rm").returncode == 2
    assert cli.run("cp", "--from-file", "gone", f"s3://{bucket}/").returncode == 1


def test_run_carries_out_every_line_and_tells_which_failed(cli: Cli, oracle: Any, bucket: str) -> None:
    (cli.folder / "tree").mkdir()
    for name in ("a b", "c", "tree/d", "tree/e", "f"):
        (cli.folder / name).write_bytes(name.encode())
    commands = f"""
# a comment
cp 'a b' s3://{bucket}/
transfer cp c s3://{bucket}/dir/c --content-type text/x-test
cp -r tree s3://{bucket}/tree
cp gone s3://{bucket}/gone

mv f s3://{bucket}/f
sing a song
run commands.txt
cp 'open s3://{bucket}/
cp - s3://{bucket}/stream
cp --no-such-option c s3://{bucket}/
"""
    (cli.folder / "commands.txt").write_text(commands)

    done = cli.run("run", "commands.txt")

    errors = done.stderr.decode()
    assert done.returncode == 1, errors
    assert _keys(oracle, bucket) == ["a b", "dir/c", "f", "tree/d", "tree/e"]
    assert oracle.head_object(Bucket=bucket, Key="dir/c")["ContentType"] == "text/x-test"
    assert not (cli.folder / "f").exists()
    told = [line for line in errors.splitlines() if line.startswith("transfer: commands.txt:")]
    assert sorted(int(line.split(":")[2]) for line in told) == [6, 9, 10, 11, 12, 13]
    assert errors.splitlines()[-1].startswith("moved 5 objects")
    assert "Traceback" not in errors


def test_run_takes_standard_input_and_json(cli: Cli, oracle: Any, bucket: str) -> None:
    (cli.folder / "c").write_bytes(b"1")
    commands = f"cp c s3://{bucket}/1\ncp c s3://{bucket}/2\n"

    done = cli.run("--json", "run", "--jobs", "1", "-", stdin=commands.encode())

    assert done.returncode == 0, done.stderr.decode()
    records = [json.loads(line) for line in lines_of(done.stdout)]
    assert [record["type"] for record in records] == ["receipt", "receipt", "summary"]
    assert records[-1]["command"] == "run"
    assert records[-1]["moved"] == 2


def test_run_of_removals_in_order(cli: Cli, oracle: Any, bucket: str) -> None:
    (cli.folder / "c").write_bytes(b"1")
    commands = f"cp c s3://{bucket}/1\nrm s3://{bucket}/1\ncp s3://{bucket}/1 back\n"

    done = cli.run("run", "--jobs", "1", "-", stdin=commands.encode())

    assert done.returncode == 1
    assert not (cli.folder / "back").exists()
    assert _keys(oracle, bucket) == []


def test_run_without_a_server_ends_soon(cli: Cli) -> None:
    (cli.folder / "c").write_bytes(b"1")
    commands = "".join(f"cp c s3://bucket/{number}\n" for number in range(500))

    done = cli.run("run", "-", "--endpoint-url", "http://127.0.0.1:9", stdin=commands.encode())

    assert done.returncode == 1
    assert len(done.stderr.splitlines()) < 100
