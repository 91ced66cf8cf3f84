"""The long form of the crash drills: kills until there were enough, then one table. ``scripts/soak`` runs it.

Owns its arguments, one temporary folder and one server. Every drill can be repeated by its seed.
"""

import argparse
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.support.crash_moments import Scenario
from tests.support.crash_stage import MIB, Stage, make_stage
from tests.support.crash_verdict import Damage, Verdict
from tests.support.crashes import CrashDrill
from tests.support.servers import SeaweedServer

DEFAULT_KILLS = 100
INTERRUPTED_EXIT_CODE = 130


def main() -> int:
    """Run drills; the exit code is 0 when nothing was wrong, 1 otherwise."""
    arguments = _parser().parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    verdicts: list[Verdict] = []
    try:
        with (
            SeaweedServer() as server,
            tempfile.TemporaryDirectory(prefix="soak-") as folder,
            make_stage(server, Path(folder)) as stage,
        ):
            for verdict in _drills(arguments, stage, Path(folder)):
                verdicts.append(verdict)
                _say(f"{sum(len(done.ends) for done in verdicts)} kills; {verdict}")
    except KeyboardInterrupt:
        _say("interrupted")
        return INTERRUPTED_EXIT_CODE
    finally:
        sys.stdout.write(table(verdicts))
    return 1 if any(verdict.problems for verdict in verdicts) else 0


def table(verdicts: Sequence[Verdict]) -> str:
    """Write what the drills found as a Markdown table, one row for each scenario and one for all."""
    damages = [damage for damage in Damage if damage is not Damage.RESENT]
    headings = ["Scenario", "Drills", "Kills survived", "Sent again MiB", "Allowed MiB", "Beyond it", *damages]
    rows = [
        _row(str(scenario), [verdict for verdict in verdicts if verdict.scenario is scenario], damages)
        for scenario in Scenario
        if any(verdict.scenario is scenario for verdict in verdicts)
    ]
    rows.append(_row("all", verdicts, damages))
    lines = [headings, ["---"] + ["---:"] * (len(headings) - 1), *rows]
    failed = [f"- scripts/soak --seed {one.seed} --scenario {one.scenario} --kills 1: {one}" for one in verdicts]
    told = [line for line, verdict in zip(failed, verdicts, strict=True) if verdict.problems]
    return "\n".join([*(f"| {' | '.join(line)} |" for line in lines), "", *told]) + "\n"


def _row(name: str, verdicts: Sequence[Verdict], damages: Sequence[Damage]) -> list[str]:
    found = Counter(problem.damage for verdict in verdicts for problem in verdict.problems)
    survived = sum(len(verdict.ends) for verdict in verdicts if not verdict.problems)
    return [
        name,
        str(len(verdicts)),
        f"{survived} of {sum(len(verdict.ends) for verdict in verdicts)}",
        f"{sum(verdict.resent_bytes for verdict in verdicts) / MIB:.1f}",
        f"{sum(verdict.bound_bytes for verdict in verdicts) / MIB:.1f}",
        str(found[Damage.RESENT]),
        *(str(found[damage]) for damage in damages),
    ]


def _drills(arguments: argparse.Namespace, stage: Stage, parent: Path) -> Iterator[Verdict]:
    """Drill after drill, the scenarios in turn, each round with the next seed."""
    scenarios = arguments.scenario or list(Scenario)
    deadline = time.monotonic() + 60 * arguments.minutes if arguments.minutes else None
    kills = 0
    seed = arguments.seed
    while True:
        for scenario in scenarios:
            if time.monotonic() > deadline if deadline is not None else kills >= arguments.kills:
                return
            with tempfile.TemporaryDirectory(prefix="drill-", dir=parent) as folder:
                verdict = CrashDrill(stage, Path(folder), scenario, seed).run()
            kills += len(verdict.ends)
            yield verdict
        seed += 1


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/soak", description="Kills copies at random moments and checks that nothing is lost."
    )
    parser.add_argument("--seed", type=int, default=1, help="the first seed; the same seeds choose the same moments")
    parser.add_argument(
        "--kills", type=int, default=DEFAULT_KILLS, help=f"end after so many ({DEFAULT_KILLS} when not given)"
    )
    parser.add_argument("--scenario", type=Scenario, action="append", choices=list(Scenario), help="repeatable")
    parser.add_argument("--minutes", type=float, help="go on for so long instead, however many kills that makes")
    return parser


if __name__ == "__main__":
    sys.exit(main())
