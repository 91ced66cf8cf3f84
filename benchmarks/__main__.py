"""The command line of the benchmarks: reads arguments, keeps one temporary folder, prints the report.

Owns that folder and removes it whatever ends the run, Ctrl-C and SIGTERM included.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.campaign import SPARE_BYTES, Campaign, fill
from benchmarks.endpoints import Endpoint, EndpointError, null_endpoint
from benchmarks.measure import measure_floor
from benchmarks.peers import DEFAULT_PEER_NAMES, PEER_NAMES, find_peers
from benchmarks.report import Machine, Report
from benchmarks.workloads import Workload, choose

DATA_BYTES = 64 << 20
INTERRUPTED_EXIT_CODE = 130
MEMORY_FOLDER = Path("/dev/shm")


def main() -> int:
    """Run the benchmarks; the exit code is 0 when every peer that is here did all its work, 1 otherwise."""
    parser = _parser()
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        report = _run(arguments)
    except ValueError as error:
        parser.error(str(error))
    except EndpointError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED_EXIT_CODE
    print(report.markdown())
    if arguments.json:
        arguments.json.write_text(json.dumps(report.as_json(), indent=2) + "\n")
    return 1 if any(outcome.problem for outcome in report.outcomes) else 0


def _run(arguments: argparse.Namespace) -> Report:
    workloads = choose(arguments.workload, with_memory=arguments.memory, scale=arguments.scale)
    peers, missing = find_peers(arguments.peer or DEFAULT_PEER_NAMES)
    for absent in missing:
        _say(f"skipped peer {absent.name}: {absent.reason}")
    if not peers:
        raise ValueError("none of these peers is here")
    parent = arguments.folder or _default_folder(workloads)
    with tempfile.TemporaryDirectory(prefix="benchmarks-", dir=parent) as name:
        folder = Path(name)
        with _endpoint(arguments.endpoint_url, folder) as endpoint:
            _say(f"endpoint {endpoint.url}, files in {folder}")
            floor = measure_floor(os.environ, folder)
            campaign = Campaign(endpoint, folder, arguments.runs, arguments.timeout, _say)
            outcomes = campaign.run(workloads, peers)
    return Report(
        machine=Machine.here(),
        outcomes=outcomes,
        missing=missing,
        floor_bytes=floor.peak_memory_bytes,
        runs=arguments.runs,
        scale=arguments.scale,
        endpoint=arguments.endpoint_url or "benchmarks.null_endpoint",
    )


@contextlib.contextmanager
def _endpoint(url: str | None, folder: Path) -> Iterator[Endpoint]:
    if url:
        yield Endpoint(url)
        return
    data = folder / "objects"
    fill(data, DATA_BYTES)
    with null_endpoint(data) as endpoint:
        yield endpoint


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Compares transfer with other S3 tools: whole processes, interleaved, medians.",
    )
    add = parser.add_argument
    add("--runs", type=_positive, default=5, help="counted runs per peer and workload (5)")
    add("--scale", type=float, default=1.0, help="multiplies the file sizes (1.0)")
    add("--folder", type=Path, help="where data is kept meanwhile (memory if it has room)")
    add("--endpoint-url", help="an endpoint of the same kind that runs already")
    add("--workload", action="append", default=[], help="only those whose name contains this; repeatable")
    add("--peer", action="append", default=[], choices=PEER_NAMES, help="only this one; repeatable")
    add("--memory", action="store_true", help="add the 16 GiB workloads")
    add("--timeout", type=float, default=600.0, help="seconds after which a run is killed (600)")
    add("--json", type=Path, help="write everything measured to this file")
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be 1 or more, not {number}")
    return number


def _default_folder(workloads: Sequence[Workload]) -> Path:
    """Choose memory where it has room, so that no disk is measured, and the temporary folder elsewhere."""
    needed_bytes = max(workload.size_bytes for workload in workloads) + DATA_BYTES + SPARE_BYTES
    if os.access(MEMORY_FOLDER, os.W_OK) and shutil.disk_usage(MEMORY_FOLDER).free > needed_bytes:
        return MEMORY_FOLDER
    return Path(tempfile.gettempdir())


if __name__ == "__main__":
    sys.exit(main())
