"""The endpoint that peers are measured against: our null endpoint as a process, or one that runs elsewhere.

Owns the process it starts, ended by its id; of an endpoint it was only told of it reads the stats, no more.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

from benchmarks.interrupts import deferred_interrupts
from benchmarks.measure import PROJECT
from benchmarks.null_endpoint import STATS_PATH

END_TIMEOUT_SECONDS = 5.0
STATS_TIMEOUT_SECONDS = 10.0


class EndpointError(RuntimeError):
    """The endpoint did not start or does not answer as one of this kind does."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where clients are sent."""

    url: str

    def bytes_in(self) -> int:
        """Return the body bytes received so far, as the endpoint counts them. Raises EndpointError."""
        url = self.url.rstrip("/") + STATS_PATH
        try:
            with build_opener(ProxyHandler({})).open(url, timeout=STATS_TIMEOUT_SECONDS) as answer:
                return int(json.load(answer)["bytes_in"])
        except (URLError, OSError, ValueError, KeyError, TypeError) as error:
            raise EndpointError(f"{url} must answer JSON with the number bytes_in: {error}") from error


@contextlib.contextmanager
def null_endpoint(data: Path) -> Iterator[Endpoint]:
    """Run the null endpoint while the context lasts, with the bytes of `data`. Raises EndpointError."""
    process: subprocess.Popen[str] | None = None
    try:
        with deferred_interrupts():
            # A group of its own, so that a Ctrl-C does not take it away from a client that is still ending.
            process = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.null_endpoint", "--port", "0", "--data", str(data)],
                cwd=PROJECT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                text=True,
                process_group=0,
            )
        with process:
            try:
                line = process.stdout.readline() if process.stdout else ""
                if not line.strip().isdigit():
                    raise EndpointError(f"the null endpoint did not start: {line!r}")
                yield Endpoint(f"http://127.0.0.1:{line.strip()}")
            finally:
                process.terminate()
    finally:
        if process is not None and process.poll() is None:
            process.kill()
            process.wait(END_TIMEOUT_SECONDS)
