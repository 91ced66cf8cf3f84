"""The loop a command runs in."""

import asyncio
import sys

import pytest

from transfer.cli.exit_codes import ExitCode
from transfer.cli.output import Output
from transfer.cli.run import run


class Watching(asyncio.SelectorEventLoop):
    """Tells itself from the platform's default loop."""


async def works_in(kinds: list[type]) -> ExitCode:
    kinds.append(type(asyncio.get_running_loop()))
    return ExitCode.DONE


@pytest.mark.parametrize(("platform", "chosen"), [("win32", True), ("linux", False)])
def test_windows_gets_a_loop_that_watches_sockets(platform: str, chosen: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    kinds: list[type] = []
    with monkeypatch.context() as patch:
        patch.setattr(asyncio, "SelectorEventLoop", Watching)
        patch.setattr(sys, "platform", platform)
        code = run(Output(), lambda: works_in(kinds))
    assert code is ExitCode.DONE
    assert (kinds == [Watching]) is chosen
