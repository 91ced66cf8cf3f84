"""`mv`, `--from-file` and `run` as processes: what users type, and the codes they get."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.cli import COMMAND, TIMEOUT_SECONDS, Cli, lines_of
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


def test_run_goes_on_after_a_bucket_that_is_not_there(cli: Cli, oracle: Any, bucket: str) -> None:
    (cli.folder / "c").write_bytes(b"1")
    lines = ["cp c s3://no-such-bucket-here/0", *(f"cp c s3://{bucket}/{number:02}" for number in range(40))]
    (cli.folder / "commands.txt").write_text("\n".join(lines))

    done = cli.run("run", "--jobs", "1", "commands.txt")

    assert done.returncode == 1
    assert len(_keys(oracle, bucket)) == 40
    told = [line for line in done.stderr.decode().splitlines() if line.startswith("transfer: commands.txt:")]
    assert [line.split(":")[2] for line in told] == ["1"]


def test_run_tells_how_many_lines_were_not_begun(cli: Cli) -> None:
    (cli.folder / "c").write_bytes(b"1")
    commands = "".join(f"cp c s3://bucket/{number}\n" for number in range(500))
    (cli.folder / "commands.txt").write_text(commands)

    done = cli.run("run", "commands.txt", "--endpoint-url", "http://127.0.0.1:9")

    *told, summary = done.stderr.decode().splitlines()
    failed = [line for line in told if line.startswith("transfer: commands.txt:")]
    assert done.returncode == 1
    assert 0 < len(failed) < 50
    assert f"{len(failed)} failed" in summary
    assert f"{500 - len(failed)} not attempted" in summary


def test_run_does_not_wait_for_more_lines_when_none_can_succeed(cli: Cli) -> None:
    (cli.folder / "c").write_bytes(b"1")
    reader, writer = os.pipe()
    try:
        os.write(writer, b"cp c s3://bucket/1\n")
        with subprocess.Popen(
            [*COMMAND, "run", "-", "--endpoint-url", "http://127.0.0.1:9"],
            stdin=reader,
            stderr=subprocess.PIPE,
            cwd=cli.folder,
            env=cli.environment(),
        ) as process:
            _, errors = process.communicate(timeout=TIMEOUT_SECONDS)
    finally:
        os.close(writer)
        os.close(reader)
    assert process.returncode == 1
    assert "what follows line 1 is not read" in errors.decode()


@pytest.mark.parametrize(
    "line",
    [
        "rm --from-file=-",
        "rm --from-file /dev/stdin",
        "rm --from-file=/dev//fd/0",
        "cp --from-file=- s3://{bucket}/",
        "mv --from-file=- s3://{bucket}/",
        "cp /dev/stdin s3://{bucket}/eaten",
        "cp -- - s3://{bucket}/eaten",
    ],
)
def test_no_line_takes_the_lines_after_it(cli: Cli, oracle: Any, bucket: str, line: str) -> None:
    (cli.folder / "c").write_bytes(b"1")
    # More lines than are read at once, so that there is something left to take.
    rest = "".join(f"# {'a line that says nothing ' * 40}\n" for _ in range(100)) + f"cp c s3://{bucket}/last\n"

    done = cli.run("run", "--jobs", "1", "-", stdin=f"{line.format(bucket=bucket)}\n{rest}".encode())

    errors = done.stderr.decode()
    assert done.returncode == 1, errors
    assert _keys(oracle, bucket) == ["last"]
    assert [found.split(":")[2] for found in errors.splitlines() if found.startswith("transfer: -:")] == ["1"]
