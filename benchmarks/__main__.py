"""The benchmarks as a program: keeps one temporary folder, prints the report, writes what else was asked for.

Owns that folder and removes it whatever ends the run, Ctrl-C and SIGTERM included.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import sys
import tempfile
from pathlib import Path

from benchmarks.arguments import make_parser
from benchmarks.campaign import SPARE_BYTES, Campaign, needed_bytes
from benchmarks.endpoints import EndpointError
from benchmarks.entrants import make_entrants
from benchmarks.interrupts import raise_interrupts, raise_lost
from benchmarks.measure import measure_floor
from benchmarks.pattern import Pattern
from benchmarks.peers.finding import DEFAULT_PEER_NAMES, SUBJECT, find_peers
from benchmarks.report import Machine, Report
from benchmarks.revisions import revision_peer
from benchmarks.room import default_folder
from benchmarks.serving import DEFAULT_ENDPOINT, DEFAULT_SCALES, imitation_named, serve
from benchmarks.workloads import choose

INTERRUPTED_EXIT_CODE = 130


def main() -> int:
    """Run the benchmarks; the exit code is 0 when every peer that is here did all its work, 1 otherwise."""
    parser = make_parser()
    arguments = parser.parse_args()
    raise_interrupts()
    try:
        report = _run(arguments)
        raise_lost()
        return _tell(report, arguments)
    except ValueError as error:
        parser.error(str(error))
    except EndpointError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED_EXIT_CODE


def _tell(report: Report, arguments: argparse.Namespace) -> int:
    """Print, write and draw what was measured; the exit code."""
    print(report.markdown())
    if arguments.json:
        arguments.json.write_text(json.dumps(report.as_json(), indent=2) + "\n")
    if arguments.plots:
        from benchmarks.plots.draw import draw_plots

        for path in draw_plots(report, arguments.plots):
            _say(f"drew {path}")
    return 1 if report.has_failures() else 0


def _run(arguments: argparse.Namespace) -> Report:
    if arguments.plots and importlib.util.find_spec("matplotlib") is None:
        raise ValueError("--plots needs matplotlib: pip install '.[bench]'")
    endpoint_name = arguments.endpoint or ("null" if arguments.endpoint_url else DEFAULT_ENDPOINT)
    asked = (arguments.delay_ms, arguments.pace_megabytes, arguments.in_flight_limit)
    imitation = imitation_named(endpoint_name, *asked)
    scale = DEFAULT_SCALES[endpoint_name] if arguments.scale is None else arguments.scale
    workloads = choose(arguments.workload, with_memory=arguments.memory, scale=scale)
    peers, missing = find_peers(arguments.peer or ((SUBJECT,) if arguments.compare else DEFAULT_PEER_NAMES))
    for absent in missing:
        _say(f"skipped peer {absent.name}: {absent.reason}")
    most_bytes = max(needed_bytes(workload, keeps=imitation is None) for workload in workloads) + SPARE_BYTES
    parent = arguments.folder or default_folder(most_bytes)
    with tempfile.TemporaryDirectory(prefix="benchmarks-", dir=parent) as name:
        folder = Path(name)
        peers += [revision_peer(revision, folder) for revision in arguments.compare]
        if not peers:
            raise ValueError("none of these peers is here")
        entrants = make_entrants(peers, arguments.concurrency, arguments.processes)
        pattern = Pattern.make()
        with serve(endpoint_name, arguments.endpoint_url, imitation, pattern, folder) as endpoint:
            _say(f"endpoint {endpoint.url}, files in {folder}")
            floor = measure_floor(os.environ, folder)
            campaign = Campaign(endpoint, pattern, folder, arguments.runs, arguments.timeout, _say)
            outcomes = campaign.run(workloads, entrants)
    manner = f" ({imitation})" if imitation and not arguments.endpoint_url else ""
    return Report(
        machine=Machine.here(),
        outcomes=outcomes,
        missing=missing,
        floor_bytes=floor.peak_memory_bytes,
        runs=arguments.runs,
        scale=scale,
        endpoint=f"{arguments.endpoint_url or endpoint_name}{manner}",
        releases={peer.name: peer.release for peer in peers},
    )


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
