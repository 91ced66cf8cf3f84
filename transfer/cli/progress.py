"""The progress bar: a timer samples the engine's counters and draws. Workers never do, however many items move."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
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


@asynccontextmanager
async def shown(progress: Progress, output: Output, *, is_stream: bool = False) -> AsyncIterator[None]:
    """Draw a bar while the block runs, when a person watches; else do nothing.

    Args:
        progress: Sampled, never written.
        output: Says whether a bar has a place, and writes its lines above the bar.
        is_stream: The length of what is moved is known at its end only.
    """
    if not output.wants_bar:
        yield
        return
    bar = Bar(progress, is_stream=is_stream)
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

    def __init__(self, progress: Progress, *, is_stream: bool = False) -> None:
        """Draw it at once. tqdm is imported here, so that only those who see a bar pay for it."""
        from tqdm import tqdm

        # tqdm's watchdog thread only serves bars that nobody samples.
        tqdm.monitor_interval = 0
        self._progress = progress
        self._is_stream = is_stream
        self._tqdm: tqdm[NoReturn] = tqdm(
            total=1,
            file=sys.stderr,
            leave=False,
            dynamic_ncols=True,
            mininterval=0,
            miniters=0,
            smoothing=SMOOTHING,
            bar_format="starting",
        )

    def draw(self) -> None:
        """Sample the counters and redraw."""
        now = replace(self._progress)
        if self._is_stream:
            now.total_is_final = False
        bar = self._tqdm
        # The bar starts where the earlier run was stopped; that is no step of this one and has no rate.
        resumed = now.bytes_resumed - bar.initial
        bar.initial += resumed
        bar.n += resumed
        bar.last_print_n += resumed
        facts = bar.format_dict
        rate = facts["rate"] or ((bar.n - bar.initial) / facts["elapsed"] if facts["elapsed"] else 0.0)
        bar.bar_format = bar_format(now, float(rate))
        bar.total = max(now.bytes_planned, now.bytes_done, 1)
        bar.update(now.bytes_done - bar.n)

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


def bar_format(now: Progress, rate_bytes_per_second: float) -> str:
    """The bar's line for tqdm, which fills in `{bar}` alone.

    A percentage, a bar and a remaining time appear only once the total is final: before that they would lie.
    """
    facts = [_amount(now), format_rate(max(rate_bytes_per_second, 0.0))]
    if now.total_is_final:
        left = _seconds_left(now, rate_bytes_per_second)
        if left is not None:
            facts.append(f"{format_seconds(left)} left")
    facts.append(_items(now))
    line = ", ".join(facts)
    if not now.total_is_final:
        return line
    return f"{_percentage(now):3d}% |{{bar}}| {line}"


def _amount(now: Progress) -> str:
    if now.total_is_final:
        return f"{format_size(now.bytes_done)} of {format_size(now.bytes_planned)}"
    if now.bytes_planned > now.bytes_done:
        return f"{format_size(now.bytes_done)} of {format_size(now.bytes_planned)} or more"
    return format_size(now.bytes_done)


def _items(now: Progress) -> str:
    settled = now.items_done + now.items_failed + now.items_skipped
    more = "" if now.total_is_final else "+"
    text = f"{settled} of {now.items_planned}{more} {'object' if now.items_planned == 1 else 'objects'}"
    return f"{text}, {now.items_failed} failed" if now.items_failed else text


def _percentage(now: Progress) -> int:
    """By bytes; by items when there are no bytes. 100 is kept for the end."""
    settled = now.items_done + now.items_failed + now.items_skipped
    done, total = (now.bytes_done, now.bytes_planned) if now.bytes_planned else (settled, now.items_planned)
    percentage = min(100, 100 * done // total) if total else 0
    return min(percentage, 99) if settled < now.items_planned else percentage


def _seconds_left(now: Progress, rate_bytes_per_second: float) -> float | None:
    left = now.bytes_planned - now.bytes_done
    if left <= 0 or rate_bytes_per_second <= 0:
        return None
    return left / rate_bytes_per_second
