"""Fixtures of every test: an isolated environment, the two S3 servers, and a client to judge with.

Owns nothing of the product. A server starts only when the first test asks for it.
"""

import os
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import settings

from tests.support.servers import NO_AWS_CONFIGURATION, MotoServer, S3Server, SeaweedServer, make_s3_client

settings.register_profile("no time limits", deadline=None)
settings.load_profile("no time limits")


@pytest.fixture(scope="session", autouse=True)
def _no_foreign_configuration() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith(("AWS_", "XDG_")) or name.lower().endswith("_proxy"):
                patch.delenv(name)
        for name, value in NO_AWS_CONFIGURATION.items():
            patch.setenv(name, value)
        yield


@pytest.fixture(autouse=True)
def _own_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        yield


@pytest.fixture(scope="session")
def seaweed() -> Iterator[S3Server]:
    with SeaweedServer() as server:
        yield server


@pytest.fixture(scope="session")
def moto() -> Iterator[S3Server]:
    with MotoServer() as server:
        yield server


@pytest.fixture(scope="session", params=["seaweedfs", "moto"])
def server(request: pytest.FixtureRequest) -> S3Server:
    fixture = {"seaweedfs": "seaweed", "moto": "moto"}[request.param]
    found = request.getfixturevalue(fixture)
    assert isinstance(found, S3Server)
    return found


@pytest.fixture
def s3_client() -> Iterator[Callable[[S3Server], Any]]:
    """Make botocore's synchronous client for a server, the judge of what the product did."""
    clients = []

    def make(server: S3Server) -> Any:
        clients.append(make_s3_client(server))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def oracle(server: S3Server, s3_client: Callable[[S3Server], Any]) -> Any:
    return s3_client(server)


@pytest.fixture
def seaweed_oracle(seaweed: S3Server, s3_client: Callable[[S3Server], Any]) -> Any:
    return s3_client(seaweed)


@pytest.fixture
def bucket(oracle: Any) -> str:
    return _fresh_bucket(oracle)


@pytest.fixture
def seaweed_bucket(seaweed_oracle: Any) -> str:
    return _fresh_bucket(seaweed_oracle)


def _fresh_bucket(client: Any) -> str:
    name = f"test-{uuid.uuid4().hex[:16]}"
    client.create_bucket(Bucket=name)
    return name


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the run in CI when anything was skipped: a test that did not run proves nothing."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or not os.environ.get("CI"):
        return
    if reporter.stats.get("skipped"):
        reporter.write_line("skipped tests are failures when CI is set", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
