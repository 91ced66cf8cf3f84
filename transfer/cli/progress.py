"""The progress bar: a timer samples the engine's counters and draws. Workers never do, however many items move."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import fields
from enum import Enum
from typing import TYPE_CHECKING, NoReturn

from transfer.cli.output import Output
from transfer.model.progress import Progress
from transfer.plan.sizes import format_rate, format_seconds, format_size

if TYPE_CHECKING:
    from tqdm import tqdm

SAMPLE_SECONDS = 0.1
"""Ten looks a second appear fluent and cost less than a thousandth of a core."""
SMOOTHING = 0.05
"""Weight of the newest sample: the rate shown is that of the last two seconds or so."""
NARROW_COLUMNS = 80
"""Below this width there is no bar: the figures say more."""
SHORTEST_BAR_COLUMNS = 12
"""With its frame; a shorter bar shows nothing."""


class Activity(Enum):
    """What a run does with what it finds; one that moves may also check and remove."""

    MOVING = "moving"
    REMOVING = "removing"
    CHECKING = "checking"
    PLANNING = "planning"
    """A dry run."""
    MANY = "many"
    """Many commands at once, of which nobody knows how many will come."""


@asynccontextmanager
async def shown(
    progress: Progress, output: Output, work: Activity = Activity.MOVING, *, is_stream: bool = False
) -> AsyncIterator[None]:
    """Draw a bar while the block runs, when a person watches; else do nothing.

    Args:
        progress: Sampled, never written.
        output: Says whether a bar has a place, and writes its lines above the bar. One of many commands has no bar of
            its own: the one of all counts what it does.
        work: What is counted.
        is_stream: The length of what is moved is known at its end only.
    """
    shared = output.shared_bar
    if isinstance(shared, Bar):
        with shared.joined(progress):
            yield
        return
    if not output.wants_bar:
        yield
        return
    bar = Bar(progress, work, is_stream=is_stream)
    output.attach_bar(bar)
    timer = asyncio.create_task(bar.keep_drawing())
    try:
        yield
    finally:
        timer.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await timer
        output.attach_bar(None)
        bar.close()


class Bar:
    """One line on standard error; gone without a trace when closed."""

    def __init__(self, progress: Progress, work: Activity = Activity.MOVING, *, is_stream: bool = False) -> None:
        """Draw it at once. tqdm is imported here, so that only those who see a bar pay for it."""
        from tqdm import tqdm

        # tqdm's watchdog thread only serves bars that nobody samples.
        tqdm.monitor_interval = 0
        self._running = [progress]
        self._ended = Progress()
        self._work = work
        self._is_stream = is_stream
        self._rate = _Rate()
        self._tqdm: tqdm[NoReturn] = tqdm(
            total=1,
            file=sys.stderr,
            leave=False,
            dynamic_ncols=True,
            mininterval=0,
            miniters=0,
            bar_format="starting",
        )

    @contextmanager
    def joined(self, progress: Progress) -> Iterator[None]:
        """Count what one more run does, as long as the block runs and when it has ended."""
        self._running.append(progress)
        try:
            yield
        finally:
            self._running.remove(progress)
            self._ended = total_of((self._ended, progress))

    def draw(self) -> None:
        """Sample the counters and redraw."""
        now = total_of((self._ended, *self._running))
        now.total_is_final = not self._is_stream and self._running[0].total_is_final
        bar = self._tqdm
        bar.bar_format = bar_format(now, self._rate.sampled(now.bytes_moved), self._work, bar.format_dict["ncols"])
        bar.n, bar.total = _share(now, self._work)
        bar.refresh()

    async def keep_drawing(self) -> None:
        """Redraw until cancelled."""
        while True:
            self.draw()
            await asyncio.sleep(SAMPLE_SECONDS)

    @contextmanager
    def hidden(self) -> Iterator[None]:
        """Take the bar off the screen while a line is written in its place."""
        self._tqdm.clear()
        yield
        self._tqdm.refresh()

    def close(self) -> None:
        """Remove the bar."""
        self._tqdm.close()


class _Rate:
    """Bytes per second of late: older samples count less and less."""

    def __init__(self) -> None:
        self._bytes = 0
        self._seconds = time.monotonic()
        self._weighted_bytes = self._weighted_seconds = 0.0

    def sampled(self, moved_bytes: int) -> float:
        """The rate, now that so many bytes have moved in all."""
        now_seconds = time.monotonic()
        kept = 1 - SMOOTHING
        self._weighted_bytes = kept * self._weighted_bytes + SMOOTHING * (moved_bytes - self._bytes)
        self._weighted_seconds = kept * self._weighted_seconds + SMOOTHING * (now_seconds - self._seconds)
        self._bytes, self._seconds = moved_bytes, now_seconds
        return self._weighted_bytes / self._weighted_seconds if self._weighted_seconds > 0 else 0.0


def total_of(parts: Iterable[Progress]) -> Progress:
    """What several runs have done together; whether more will join is not theirs to say."""
    total = Progress()
    for part in parts:
        for field in fields(Progress):
            if field.name != "total_is_final":
                setattr(total, field.name, getattr(total, field.name) + getattr(part, field.name))
    return total


def bar_format(
    now: Progress, rate_bytes_per_second: float, work: Activity = Activity.MOVING, columns: int | None = None
) -> str:
    """The bar's line for tqdm, which fills in `{bar}` alone.

    A percentage, a bar and a remaining time appear only once the total is final: before that they would lie. Where
    there is little room the bar goes first, then the rate, then the remaining time.

    Args:
        now: The counters.
        rate_bytes_per_second: Of what moves.
        work: What the run does.
        columns: Of the terminal; None when it has no width.
    """
    phase = _phase(now, work)
    if phase is Activity.REMOVING:
        facts = [_removed(now)]
    elif phase in (Activity.CHECKING, Activity.PLANNING):
        facts = [_checked(now, phase)]
    else:
        facts = _moved(now, max(rate_bytes_per_second, 0.0), work)
    if now.items_failed:
        facts.append(f"{now.items_failed} failed")
    is_final = now.total_is_final and phase in (Activity.MOVING, Activity.REMOVING)
    start = f"{_percentage(now, phase):3d}% " if is_final else ""
    line = ", ".join(filter(None, facts))
    if columns is None or (columns >= NARROW_COLUMNS and len(start) + len(line) + SHORTEST_BAR_COLUMNS <= columns):
        return f"{start}|{{bar}}| {line}" if is_final else line
    for place in (1, 2):
        if len(start) + len(line) < columns or len(facts) <= place:
            break
        facts[place] = ""
        line = ", ".join(filter(None, facts))
    return start + line


def _phase(now: Progress, work: Activity) -> Activity:
    """What goes on just now."""
    if work is not Activity.MOVING or _settled(now) < now.items_planned:
        return work
    if now.items_to_remove:
        return Activity.REMOVING
    return Activity.PLANNING if (now.items_checked or now.items_equal) and not now.items_planned else work


def _share(now: Progress, work: Activity) -> tuple[float, float]:
    """How much is done of how much, in whatever unit; never more than all, and never of nothing."""
    if _phase(now, work) is Activity.REMOVING:
        return now.items_removed + now.items_failed, max(now.items_to_remove, now.items_removed + now.items_failed, 1)
    if now.bytes_planned:
        return now.bytes_done, max(now.bytes_planned, now.bytes_done)
    return _settled(now), max(now.items_planned, _settled(now), 1)


def _moved(now: Progress, rate_bytes_per_second: float, work: Activity) -> list[str]:
    """The facts of what moves: the amount, then what can be left out, then the objects."""
    left = _seconds_left(now, rate_bytes_per_second) if now.total_is_final else None
    facts = [
        _amount(now),
        format_rate(rate_bytes_per_second),
        "" if left is None else f"{format_seconds(left)} left",
        _items(now),
    ]
    if work is Activity.MANY and now.items_to_remove:
        facts.append(_removed(now))
    return facts


def _removed(now: Progress) -> str:
    return f"removed {now.items_removed} of {now.items_to_remove}{'' if now.total_is_final else '+'}"


def _checked(now: Progress, phase: Activity) -> str:
    count = max(now.items_checked, now.items_equal + now.items_planned)
    facts = [f"checked {count}"]
    if phase is Activity.PLANNING:
        facts.append(f"{now.items_planned} to copy")
    if now.bytes_read:
        facts.append(f"{format_size(now.bytes_read)} read")
    return ", ".join(facts)


def _amount(now: Progress) -> str:
    if now.total_is_final:
        return f"{format_size(now.bytes_done)} of {format_size(now.bytes_planned)}"
    if now.bytes_planned > now.bytes_done:
        return f"{format_size(now.bytes_done)} of {format_size(now.bytes_planned)} or more"
    return format_size(now.bytes_done)


def _items(now: Progress) -> str:
    more = "" if now.total_is_final else "+"
    return f"{_settled(now)} of {now.items_planned}{more} {'object' if now.items_planned == 1 else 'objects'}"


def _settled(now: Progress) -> int:
    return now.items_done + now.items_failed + now.items_skipped


def _percentage(now: Progress, phase: Activity) -> int:
    """By bytes; by items when there are no bytes. 100 is kept for the end."""
    done, total = _share(now, phase)
    percentage = int(min(100, 100 * done // total))
    return min(percentage, 99) if phase is Activity.MOVING and _settled(now) < now.items_planned else percentage


def _seconds_left(now: Progress, rate_bytes_per_second: float) -> float | None:
    left = now.bytes_planned - now.bytes_done
    if left <= 0 or rate_bytes_per_second <= 0:
        return None
    return left / rate_bytes_per_second
