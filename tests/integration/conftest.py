"""Points every test that names a server at it, the way a user does, and lends it a bucket."""

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.samples import keys_in
from tests.support.servers import S3Server, make_s3_client


@pytest.fixture(scope="session")
def oracle(server: S3Server) -> Iterator[Any]:
    """One client for all tests of a server: making one takes longer than most of them."""
    client = make_s3_client(server)
    yield client
    client.close()


@pytest.fixture(scope="session")
def shared_bucket(oracle: Any) -> str:
    name = f"shared-{uuid.uuid4().hex[:16]}"
    oracle.create_bucket(Bucket=name)
    return name


@pytest.fixture
def bucket(oracle: Any, shared_bucket: str) -> Iterator[str]:
    """An empty bucket. It is the same one each time: SeaweedFS takes a second for the first write to a new one."""
    yield shared_bucket
    keys = keys_in(oracle, shared_bucket)
    for start in range(0, len(keys), 1000):
        batch = [{"Key": key} for key in keys[start : start + 1000]]
        oracle.delete_objects(Bucket=shared_bucket, Delete={"Objects": batch, "Quiet": True})
    for upload in oracle.list_multipart_uploads(Bucket=shared_bucket).get("Uploads", ()):
        oracle.abort_multipart_upload(Bucket=shared_bucket, Key=upload["Key"], UploadId=upload["UploadId"])
    assert keys_in(oracle, shared_bucket) == []


@pytest.fixture
def new_bucket(oracle: Any) -> str:
    name = f"new-{uuid.uuid4().hex[:16]}"
    oracle.create_bucket(Bucket=name)
    return name


@pytest.fixture(autouse=True)
def _environment(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("server", "moto", "seaweed"):
        if name in request.fixturenames:
            server = request.getfixturevalue(name)
            assert isinstance(server, S3Server)
            for variable, value in server.environment().items():
                monkeypatch.setenv(variable, value)
            return
