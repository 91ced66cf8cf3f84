"""The command as a process that is to be ended: started in a group of its own, watched, and sent a signal.

It ends only what it has started.
"""

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.cli import COMMAND, Cli

RUN_TIMEOUT_SECONDS = 90.0
LOOK_SECONDS = 0.001
INTERRUPTED_EXIT_CODE = 130


@dataclass(slots=True)
class Run:
    """One process of the command.

    Attributes:
        began_at: How many requests the proxy had seen before it.
        most_items: The most large items that its journal has held.
    """

    process: subprocess.Popen[bytes]
    said: Path
    began_at: int
    most_items: int = 0

    def end(self, number: signal.Signals = signal.SIGKILL) -> bool:
        """Send a signal to its group and wait; False when it had ended by itself."""
        if self.process.poll() is not None:
            return False
        os.killpg(self.process.pid, number)
        self.process.wait(RUN_TIMEOUT_SECONDS)
        return self.process.returncode == (-number if number is signal.SIGKILL else INTERRUPTED_EXIT_CODE)

    def told(self) -> str:
        """What it said, and how it ended."""
        return f"exit {self.process.returncode}: {self.said.read_text(errors='replace').strip()[-2000:]}"


@contextmanager
def start_in_group(cli: Cli, said: Path, *arguments: str, state: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run the command in a process group of its own; killed at the end of the block if it is still there.

    Args:
        cli: Where to and in which folder.
        said: Gets its standard output and error.
        arguments: The command line after the program's name.
        state: Its state folder.
    """
    with said.open("wb") as output:
        process = subprocess.Popen(
            [*COMMAND, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=cli.folder,
            env=cli.environment() | {"TRANSFER_STATE_DIR": str(state)},
            start_new_session=True,
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_in(process: subprocess.Popen[bytes], condition: Callable[[], bool]) -> bool:
    """Wait until a condition holds in the life of a process; False when the process has ended before.

    Raises:
        TimeoutError: Neither comes.
    """
    turn = threading.Event()
    for _ in range(round(RUN_TIMEOUT_SECONDS / LOOK_SECONDS)):
        if condition():
            return True
        if process.poll() is not None:
            return False
        turn.wait(LOOK_SECONDS)
    raise TimeoutError("the command neither came so far nor ended")
