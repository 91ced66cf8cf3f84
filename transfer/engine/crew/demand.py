"""Whether worker processes are of use for small items now: looked at again and again, once there are some to be lent.

It only watches the processors of the machine and what the processes of the run have to do; what follows from that is
decided in `transfer.plan.processes`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import anyio
from anyio.abc import TaskGroup

from transfer.model.values import dataclass
from transfer.plan.processes import are_workers_of_use
from transfer.system import occupancy, processor

FIRST_LOOK_SECONDS: Final = 0.1
"""After so long what a store does for a run shows, and a run of a second or two has no time to lose. The system counts
what is idle in hundredths of a second."""
LOOK_SECONDS: Final = 0.2
"""Every later look."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What there was to do since some moment, in seconds.

    Attributes:
        clock_seconds: The time it was.
        idle_seconds: In which processors had nothing to do, all together.
        occupied_seconds: In which the event loop of each process of this run had work, by the id of its thread:
            what it has computed, and what it would have computed had nobody else had its processor.
    """

    clock_seconds: float
    idle_seconds: float
    occupied_seconds: Mapping[int, float]


Read = Callable[[Sequence[int]], Reading | None]
"""Reads how occupied this process and those of these ids are."""


def read(pids: Sequence[int]) -> Reading | None:
    """Read how occupied this thread and the workers are; None where the system does not tell, or not what is idle."""
    idle_seconds = processor.idle_seconds()
    here = threading.get_native_id()
    read_seconds = {thread: occupancy.occupied_seconds(thread) for thread in (here, *pids)}
    occupied_seconds = {thread: seconds for thread, seconds in read_seconds.items() if seconds is not None}
    if idle_seconds is None or here not in occupied_seconds:
        return None
    return Reading(time.monotonic(), idle_seconds, occupied_seconds)


class Demand:
    """Says whether workers are of use: they are until a look tells otherwise.

    Nothing is looked at before `exists` is asked for the first time, that is before there are items to be lent.
    """

    def __init__(
        self, tasks: TaskGroup, pids: Callable[[], Sequence[int]], on_rise: Callable[[], None], read: Read = read
    ) -> None:
        """Prepare.

        Args:
            tasks: Where it watches.
            pids: The workers that are alive; without any it watches no more.
            on_rise: Told when workers have come to be of use again.
            read: How processors are read.
        """
        self._tasks: Final = tasks
        self._pids: Final = pids
        self._on_rise: Final = on_rise
        self._read: Final = read
        self._is_watching = False
        self._exists = True

    def exists(self) -> bool:
        """Whether workers are of use now; for who has items to lend to them."""
        if not self._is_watching:
            self._is_watching = True
            self._tasks.start_soon(self._watch)
        return self._exists

    async def _watch(self) -> None:
        pause_seconds = FIRST_LOOK_SECONDS
        before = self._read(self._pids())
        while before is not None and self._pids():
            await anyio.sleep(pause_seconds)
            pause_seconds = LOOK_SECONDS
            now = self._read(self._pids())
            if now is not None:
                self._judge(before, now)
            elif not self._exists:
                # Nobody knows any more.
                self._exists = True
                self._on_rise()
            before = now

    def _judge(self, before: Reading, now: Reading) -> None:
        seconds = now.clock_seconds - before.clock_seconds
        # One that has ended meanwhile says nothing any more.
        both = before.occupied_seconds.keys() & now.occupied_seconds.keys()
        existed = self._exists
        self._exists = are_workers_of_use(
            idle_cores=(now.idle_seconds - before.idle_seconds) / seconds,
            occupied_processes=sum(now.occupied_seconds[one] - before.occupied_seconds[one] for one in both) / seconds,
            were=existed,
        )
        if self._exists and not existed:
            self._on_rise()
