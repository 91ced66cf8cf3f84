"""The plain S3 client of awscrt: files by their paths, parts and connections as it chooses."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from concurrent.futures import Future
from pathlib import Path
from urllib.parse import quote, urlsplit

from awscrt.auth import AwsCredentialsProvider
from awscrt.http import HttpHeaders, HttpRequest
from awscrt.io import ClientTlsContext, TlsContextOptions
from awscrt.s3 import (
    S3ChecksumAlgorithm,
    S3ChecksumConfig,
    S3ChecksumLocation,
    S3Client,
    S3RequestTlsMode,
    S3RequestType,
    create_default_s3_signing_config,
)

from benchmarks.peers.task import REGION, Task, run

REQUESTS_AHEAD = 1000
"""So many objects are handed over at a time: the client queues them, and each takes some memory."""


def upload(task: Task) -> None:
    """Upload all files, each with a CRC64NVME behind its body, which the client computes."""
    client, host = _client(task), urlsplit(task.endpoint_url).netloc
    checksum = S3ChecksumConfig(algorithm=S3ChecksumAlgorithm.CRC64NVME, location=S3ChecksumLocation.TRAILER)

    def start(path: Path, key: str) -> Future[None]:
        fields = [("Host", host), ("Content-Length", str(path.stat().st_size))]
        request = HttpRequest("PUT", f"/{task.bucket}/{quote(key)}", HttpHeaders(fields))
        started: Future[None] = client.make_request(
            type=S3RequestType.PUT_OBJECT, request=request, send_filepath=str(path), checksum_config=checksum
        ).finished_future
        return started

    _finish(start(path, key) for path, key in task.files())


def download(task: Task) -> None:
    """Download all objects; it cannot list, so boto3 does."""
    client, host = _client(task), urlsplit(task.endpoint_url).netloc

    def start(key: str) -> Future[None]:
        request = HttpRequest("GET", f"/{task.bucket}/{quote(key)}", HttpHeaders([("Host", host)]))
        started: Future[None] = client.make_request(
            type=S3RequestType.GET_OBJECT, request=request, recv_filepath=str(task.target(key))
        ).finished_future
        return started

    _finish(start(key) for key in (_keys(task) if task.is_tree else [task.key]))


def _finish(futures: Iterable[Future[None]]) -> None:
    running: deque[Future[None]] = deque()
    for future in futures:
        running.append(future)
        if len(running) >= REQUESTS_AHEAD:
            running.popleft().result()
    for future in running:
        future.result()


def _client(task: Task) -> S3Client:
    is_secure = task.endpoint_url.startswith("https:")
    tls = None
    if is_secure and task.ca_bundle:
        options = TlsContextOptions()
        options.override_default_trust_store_from_path(ca_filepath=task.ca_bundle)
        tls = ClientTlsContext(options).new_connection_options()
    provider = AwsCredentialsProvider.new_environment()
    return S3Client(
        region=REGION,
        tls_mode=S3RequestTlsMode.ENABLED if is_secure else S3RequestTlsMode.DISABLED,
        tls_connection_options=tls,
        signing_config=create_default_s3_signing_config(region=REGION, credential_provider=provider),
        max_active_connections_override=task.concurrency,
    )


def _keys(task: Task) -> list[str]:
    import boto3

    client = boto3.client("s3", endpoint_url=task.endpoint_url)
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=task.bucket, Prefix=task.key)
    return [entry["Key"] for page in pages for entry in page.get("Contents", ())]


if __name__ == "__main__":
    run({"upload": upload, "download": download})
