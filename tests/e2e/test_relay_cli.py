"""Copies from one store to another, as a user gives them: one command, two endpoints, two sets of credentials."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.cli import Cli, lines_of
from tests.support.servers import S3Server

MIB = 1024 * 1024
SIZE_BYTES = 20 * MIB
HOW = ("--part-size", "5M", "--concurrency", "2")
SLOWLY = ("--limit-rate", "8M")
SECRET = "the-secret-of-the-other-store"


@dataclass(frozen=True, slots=True)
class Relay:
    """SeaweedFS named by the environment, moto by a profile, and a bucket of the same name in both."""

    cli: Cli
    here: Any
    there: Any
    bucket: str
    destination: tuple[str, ...]

    def copy(self, key: str) -> tuple[str, ...]:
        return ("cp", f"s3://{self.bucket}/{key}", f"s3://{self.bucket}/{key}", *self.destination)

    def put(self, key: str, content: bytes) -> None:
        self.here.put_object(Bucket=self.bucket, Key=key, Body=content, ChecksumAlgorithm="CRC64NVME")

    def get(self, key: str) -> bytes:
        content: bytes = self.there.get_object(Bucket=self.bucket, Key=key)["Body"].read()
        return content

    def uploads(self) -> list[Any]:
        found: list[Any] = self.there.list_multipart_uploads(Bucket=self.bucket).get("Uploads", [])
        return found

    def finished_bytes(self) -> int:
        jobs = [json.loads(line) for line in self.cli.ok("jobs", "--json").splitlines()]
        return sum(item["finished_bytes"] for job in jobs for item in job["items"])

    @contextmanager
    def killed_midway(self, key: str) -> Iterator[None]:
        with self.cli.start(*self.copy(key), *HOW, *SLOWLY) as process:
            while not self.finished_bytes():
                assert process.poll() is None, process.communicate()
            process.kill()
            process.communicate()
        assert len(self.uploads()) == 1
        yield


@pytest.fixture
def relay(
    seaweed: S3Server, moto: S3Server, seaweed_oracle: Any, seaweed_bucket: str, s3_client: Any, tmp_path: Path
) -> Relay:
    folder = tmp_path / "work"
    (folder / ".aws").mkdir(parents=True)
    (folder / ".aws" / "config").write_text(
        f"[profile there]\naws_access_key_id = somebody\naws_secret_access_key = {SECRET}\nregion = us-east-1\n"
    )

    class Configured(Cli):
        def environment(self) -> dict[str, str]:
            return super().environment() | {"AWS_CONFIG_FILE": str(self.folder / ".aws" / "config")}

    there = s3_client(moto)
    there.create_bucket(Bucket=seaweed_bucket)
    destination = ("--dest-endpoint-url", moto.endpoint_url, "--dest-profile", "there")
    return Relay(Configured(seaweed, folder), seaweed_oracle, there, seaweed_bucket, destination)


def test_a_tree_goes_to_another_store(relay: Relay) -> None:
    contents = {f"tree/{name}": name.encode() * 1000 for name in ("a", "deep/b c", "h\u00e4llo")}
    for key, content in contents.items():
        relay.put(key, content)
    place = f"s3://{relay.bucket}/tree/"
    done = relay.cli.run("cp", "-r", place, place, *relay.destination, "--require-verified", "-v")
    assert done.returncode == 0, done.stderr.decode()
    assert {key: relay.get(key) for key in contents} == contents
    assert done.stderr.count(b"verified by full-object checksum") == 3
    assert b"from one store to another" in done.stderr


def test_the_same_command_goes_on_and_so_does_resume(relay: Relay) -> None:
    content = os.urandom(SIZE_BYTES)
    for key in ("one", "two"):
        relay.put(key, content)
    with relay.killed_midway("one"):
        done = relay.cli.run(*relay.copy("one"), *HOW, "-v")
    assert done.returncode == 0, done.stderr.decode()
    assert b"moved earlier" in done.stderr
    with relay.killed_midway("two"):
        assert relay.cli.run("resume").returncode == 0
    assert relay.get("one") == relay.get("two") == content
    assert relay.uploads() == []


def test_clean_aborts_what_was_left_at_the_other_store_and_nothing_secret_was_written(relay: Relay) -> None:
    relay.put("large", os.urandom(SIZE_BYTES))
    with relay.killed_midway("large"):
        kept = relay.cli.folder.glob(".local/state/transfer/*")
        written = b"".join(path.read_bytes() for path in kept if path.is_file())
        assert SECRET.encode() not in written
        assert b"--dest-profile" in written
        elsewhere = relay.cli.run("clean", "--endpoint-url", relay.cli.server.endpoint_url)
        assert elsewhere.returncode == 1
        assert b"its upload is at " + relay.destination[1].encode() in elsewhere.stderr
        assert len(relay.uploads()) == 1
        cleaned = relay.cli.run("clean")
    assert cleaned.returncode == 0, cleaned.stderr.decode()
    assert relay.uploads() == []
    assert relay.cli.ok("jobs", "--json") == ""


def test_a_second_store_beside_a_local_path_is_refused(relay: Relay) -> None:
    (relay.cli.folder / "file").write_bytes(b"content")
    done = relay.cli.run("cp", "file", f"s3://{relay.bucket}/file", *relay.destination)
    assert done.returncode == 2
    (line,) = lines_of(done.stderr)
    assert "--dest-endpoint-url" in line
    assert "file is in none" in line
