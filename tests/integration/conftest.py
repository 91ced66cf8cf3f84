"""Points every test that names a server at it, the way a user does: through the environment."""

import pytest

from tests.support.servers import S3Server


@pytest.fixture(autouse=True)
def _environment(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("server", "moto", "seaweed"):
        if name in request.fixturenames:
            server = request.getfixturevalue(name)
            assert isinstance(server, S3Server)
            for variable, value in server.environment().items():
                monkeypatch.setenv(variable, value)
            return
