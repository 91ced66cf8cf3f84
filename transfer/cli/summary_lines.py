"""The last line of a run over many items. Values in, a line out."""

from __future__ import annotations

from transfer.cli.messages import Summary
from transfer.cli.tally import Tally
from transfer.plan.sizes import format_rate, format_seconds, format_size

_SMALLEST_RATED_BYTES = 1 << 20
_SHORTEST_RATED_SECONDS = 1.0


def summary_line(summary: Summary) -> str:
    """`moved 3 objects, 1.2 GiB in 3.4 s (360.0 MiB/s), 3 verified`; zero counts are left out."""
    tally = summary.tally
    if summary.command == "rm":
        start = _removed(tally, summary.seconds)
    elif summary.command == "mpu abort":
        start = _aborted(tally, summary.seconds)
    else:
        start = _moved(tally, summary.seconds)
    rest = {
        "already there": tally.equal,
        "would move": tally.would_move if tally.moved else 0,
        "would be removed": tally.would_remove if summary.command != "rm" else 0,
        "removed": tally.removed if summary.command != "rm" else 0,
        "verified": tally.verified,
        "unverified": tally.unverified,
        "sources kept": tally.kept,
        "without tags": tally.tags_unread,
        "failed": tally.failed,
        "skipped": tally.skipped,
        "finished earlier": tally.resumed,
        "not attempted" if tally.found_all else "or more not attempted": tally.not_attempted,
    }
    return ", ".join([start, *(f"{count} {name}" for name, count in rest.items() if count)]) + "\n"


def _removed(tally: Tally, seconds: float) -> str:
    if tally.is_dry_run:
        size = f", {format_size(tally.would_remove_bytes)}" if tally.would_remove_bytes else ""
        return f"would remove {counted(tally.would_remove, 'object', 'objects')}{size}"
    return f"removed {counted(tally.removed, 'object', 'objects')} in {format_seconds(seconds)}"


def _moved(tally: Tally, seconds: float) -> str:
    if tally.is_dry_run and not tally.moved:
        planned = f"{counted(tally.would_move, 'object', 'objects')}, {format_size(tally.would_move_bytes)}"
        return f"would move {planned}"
    start = f"moved {counted(tally.moved, 'object', 'objects')}, {format_size(tally.moved_bytes)}"
    now_bytes = tally.moved_bytes - tally.resumed_bytes
    rate = rate_of(now_bytes, seconds)
    earlier = f", of which {format_size(tally.resumed_bytes)} moved earlier" if tally.resumed_bytes else ""
    return f"{start} in {format_seconds(seconds)}{rate}{earlier}"


def rate_of(moved_bytes: int, seconds: float) -> str:
    """` (360.0 MiB/s)`, or nothing for what was too little or too short to have a rate."""
    if moved_bytes < _SMALLEST_RATED_BYTES or seconds < _SHORTEST_RATED_SECONDS:
        return ""
    return f" ({format_rate(moved_bytes / seconds)})"


def _aborted(tally: Tally, seconds: float) -> str:
    done, count = ("would abort", tally.would_abort) if tally.would_abort else ("aborted", tally.aborted)
    return f"{done} {counted(count, 'unfinished upload', 'unfinished uploads')} in {format_seconds(seconds)}"


def counted(count: int, one: str, many: str) -> str:
    """A number with its noun."""
    return f"{count} {one if count == 1 else many}"
