"""Errors as values that travel between processes."""

import inspect
import pickle
from collections.abc import Iterator

import pytest

import transfer.cli.app
import transfer.engine.transfer
from transfer.model.errors import LocalFileError, TransferError

EXAMPLES: dict[str, object] = {
    "message": "what happened",
    "subject": "s3://bucket/key",
    "remedy": "what to do",
    "depth": 2,
    "taken": "NAME",
    "answered": True,
    "reused": True,
    "status": 503,
    "code": "SlowDown",
    "request_id": "request",
    "region": "eu-west-1",
    "retry_after_seconds": 1.5,
    "server_seconds": 1e9,
    "spoken": "https",
}
LOADED = (transfer.cli.app, transfer.engine.transfer)
"""So that the errors of the whole package are known."""


def kinds(base: type[TransferError] = TransferError) -> Iterator[type[TransferError]]:
    yield base
    for kind in base.__subclasses__():
        yield from kinds(kind)


def example(kind: type[TransferError]) -> TransferError:
    wanted = inspect.signature(kind).parameters
    return kind(**{name: EXAMPLES[name] for name in wanted})  # type: ignore[arg-type]  # as each asks for


def cause_of(error: BaseException) -> tuple[object, ...] | None:
    cause = error.__cause__
    return None if cause is None else (type(cause), cause.args)


@pytest.mark.parametrize("kind", list(dict.fromkeys(kinds())))
@pytest.mark.parametrize("cause", [None, FileNotFoundError(2, "No such file", "path"), TransferError("why")])
def test_an_error_travels_whole(kind: type[TransferError], cause: BaseException | None) -> None:
    error = example(kind)
    error.__cause__ = cause
    error.subject = "as it was set later"
    found = pickle.loads(pickle.dumps(error))
    assert type(found) is kind
    assert vars(found) == vars(error)
    assert (str(found), repr(found), found.args) == (str(error), repr(error), error.args)
    assert cause_of(found) == cause_of(error)


def test_the_number_of_a_system_error_travels_too() -> None:
    error = LocalFileError.from_os_error(OSError(28, "No space left on device"), "path")
    cause = pickle.loads(pickle.dumps(error)).__cause__
    assert (type(cause), cause.errno) == (OSError, 28)
