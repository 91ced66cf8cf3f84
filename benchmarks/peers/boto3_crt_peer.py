"""boto3's transfer manager over awscrt (`boto3[crt]`), with s3transfer's own defaults.

The manager is made from s3transfer's parts, as the AWS CLI makes it: boto3's short way to it always speaks TLS.
"""

from __future__ import annotations

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.session import Session
from s3transfer.crt import (
    BotocoreCRTCredentialsWrapper,
    BotocoreCRTRequestSerializer,
    CRTTransferManager,
    create_s3_crt_client,
)

from benchmarks.peers.task import REGION, Task, run


def upload(task: Task) -> None:
    """Upload all files."""
    with _manager(task) as manager:
        futures = [manager.upload(str(path), task.bucket, key) for path, key in task.files()]
        for future in futures:
            future.result()


def download(task: Task) -> None:
    """Download all objects; boto3 lists them."""
    keys = [task.key]
    if task.is_tree:
        client = boto3.client("s3", endpoint_url=task.endpoint_url)
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=task.bucket, Prefix=task.key)
        keys = [entry["Key"] for page in pages for entry in page.get("Contents", ())]
    with _manager(task) as manager:
        futures = [manager.download(task.bucket, key, str(task.target(key))) for key in keys]
        for future in futures:
            future.result()


def _manager(task: Task) -> CRTTransferManager:
    session = Session()
    credentials = BotocoreCRTCredentialsWrapper(session.get_credentials()).to_crt_credentials_provider()
    client = create_s3_crt_client(
        region=REGION,
        crt_credentials_provider=credentials,
        use_ssl=task.endpoint_url.startswith("https:"),
        verify=task.ca_bundle or None,
    )
    serializer = BotocoreCRTRequestSerializer(session, {"region_name": REGION, "endpoint_url": task.endpoint_url})
    if task.concurrency is None:
        return CRTTransferManager(client, serializer)
    config = TransferConfig(preferred_transfer_client="crt", max_concurrency=task.concurrency)
    return CRTTransferManager(client, serializer, config=config)


if __name__ == "__main__":
    run({"upload": upload, "download": download})
