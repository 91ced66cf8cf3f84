"""`transfer mpu` as a process against real servers."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.cli import Cli, lines_of
from tests.support.servers import S3Server


@pytest.fixture
def cli(server: S3Server, tmp_path: Path) -> Cli:
    return Cli(server, tmp_path)


def test_unfinished_uploads_are_listed_and_aborted(cli: Cli, oracle: Any, bucket: str) -> None:
    ids = {key: oracle.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"] for key in ("a b", "dir/c", "d")}
    for number in (1, 2):
        oracle.upload_part(Bucket=bucket, Key="a b", UploadId=ids["a b"], PartNumber=number, Body=b"12345")

    listed = cli.ok("mpu", "ls", f"s3://{bucket}").splitlines()
    assert sorted(line[20:] for line in listed) == sorted(f"s3://{bucket}/{key} {ids[key]}" for key in ids)
    (record,) = map(json.loads, cli.ok("mpu", "ls", "--parts", "--json", f"s3://{bucket}/a").splitlines())
    assert (record["key"], record["upload_id"], record["parts"], record["size"]) == ("a b", ids["a b"], 2, 10)

    would = cli.ok("mpu", "abort", "--dry-run", f"s3://{bucket}/dir/")
    assert would == f"would abort s3://{bucket}/dir/c {ids['dir/c']}\n"
    done = cli.run("mpu", "abort", f"s3://{bucket}/dir/")
    assert done.stdout.decode() == f"abort s3://{bucket}/dir/c {ids['dir/c']}\n"
    assert lines_of(done.stderr)[0].startswith("aborted 1 unfinished upload in ")
    assert len(cli.ok("mpu", "abort", f"s3://{bucket}").splitlines()) == 2
    assert cli.ok("mpu", "ls", f"s3://{bucket}") == ""
    assert "Uploads" not in oracle.list_multipart_uploads(Bucket=bucket)
