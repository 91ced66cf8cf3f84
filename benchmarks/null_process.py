"""Starts the null endpoint as a process of its own, and ends it by its id."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.endpoints import EndpointError, Imitation, NullEndpoint
from benchmarks.interrupts import deferred_interrupts
from benchmarks.measure import PROJECT

END_TIMEOUT_SECONDS = 5.0


@contextlib.contextmanager
def null_endpoint(data: Path, imitation: Imitation | None = None, name: str = "null") -> Iterator[NullEndpoint]:
    """Run the null endpoint while the context lasts, with the bytes of `data`. Raises EndpointError."""
    manner = imitation or Imitation()
    trusted, flags = _tls(data.parent, manner)
    flags += ["--delay-ms", str(manner.delay_milliseconds), "--pace-megabytes", str(manner.pace_megabytes)]
    flags += ["--in-flight-limit", str(manner.in_flight_limit), "--until-input-ends", "--data", str(data)]
    process: subprocess.Popen[str] | None = None
    try:
        with deferred_interrupts():
            # A group of its own, so that a Ctrl-C does not take it away from a client that is still ending. Its
            # input is a pipe that nobody writes to: it ends when the harness does, however that ends.
            process = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.null_endpoint", *flags],
                cwd=PROJECT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                process_group=0,
            )
        with process:
            try:
                line = process.stdout.readline() if process.stdout else ""
                if not line.strip().isdigit():
                    raise EndpointError(f"the null endpoint did not start: {line!r}")
                scheme = "https" if manner.is_secure else "http"
                yield NullEndpoint(f"{scheme}://127.0.0.1:{line.strip()}", name, trusted)
            finally:
                process.terminate()
    finally:
        if process is not None and process.poll() is None:
            process.kill()
            process.wait(END_TIMEOUT_SECONDS)


def _tls(folder: Path, manner: Imitation) -> tuple[str, list[str]]:
    if not manner.is_secure:
        return "", []
    from benchmarks.certificate import make_certificate

    trusted, served = make_certificate(folder)
    return str(trusted), ["--certificate", str(served)]
