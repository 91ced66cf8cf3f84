"""The command as users run it: a process of its own.

Owns starting and ending it. It never imports the command, so what it shows is what a user sees.
"""

import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tests.support.servers import S3Server

TIMEOUT_SECONDS = 60.0
COMMAND = (sys.executable, "-m", "transfer")


@dataclass(frozen=True, slots=True)
class Cli:
    """The command, pointed at a server and a working folder."""

    server: S3Server
    folder: Path

    def environment(self) -> dict[str, str]:
        """What the command finds in its environment: nothing of the developer's own."""
        return {
            "PATH": "/usr/bin:/bin",
            "HOME": str(self.folder),
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "PYTHONWARNINGS": "error",
            "LC_ALL": "C.UTF-8",
            **self.server.environment(),
        }

    def run(
        self, *arguments: str, stdin: bytes = b"", environment: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        """Run to the end."""
        return subprocess.run(
            [*COMMAND, *arguments],
            input=stdin,
            capture_output=True,
            cwd=self.folder,
            env=self.environment() | dict(environment or {}),
            timeout=TIMEOUT_SECONDS,
            check=False,
        )

    def ok(self, *arguments: str, stdin: bytes = b"") -> str:
        """Run to the end; it must succeed. Answers its standard output."""
        done = self.run(*arguments, stdin=stdin)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode()

    @contextmanager
    def start(self, *arguments: str, stderr: int | IO[bytes] = subprocess.PIPE) -> Iterator[subprocess.Popen[bytes]]:
        """Run in the background; killed at the end of the block if it is still there."""
        process = subprocess.Popen(
            [*COMMAND, *arguments],
            stdout=subprocess.PIPE,
            stderr=stderr,
            cwd=self.folder,
            env=self.environment(),
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()
            process.communicate()


def lines_of(text: bytes) -> Sequence[str]:
    """Lines that say something."""
    return [line for line in text.decode().splitlines() if line.strip()]
