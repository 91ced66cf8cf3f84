"""How many processes share a run, and how they share its requests. Pure: told what there is, never looks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from transfer.model.options import TransferOptions

MOST_AUTOMATIC: Final = 8
"""More are begun only when asked for: each costs some ten megabytes, and eight fill any network card of today."""
MOST: Final = 64
"""More are refused: a thousand would take all the memory of a machine."""
SMALL_ITEM_BYTES: Final = 8 * 1024 * 1024
"""Up to this size an object moves in one request, up and down, by whatever process; of larger ones parts are shared."""

_IDLE_CORES: Final = 0.5
_STILL_IDLE_CORES: Final = 0.2
"""From the first on workers come back, down to the second they stay. With a store that costs little two processes leave
0.0 to 0.6 of two processors idle, one 0.9; with SeaweedFS one leaves 0.0 to 0.3."""
_FULL_PROCESSES: Final = 0.95
_STILL_FULL_PROCESSES: Final = 0.9
"""The same of how occupied the run is (medians of looks 0.1 s apart, 2 processors). With a store that costs little it
is 0.99 for one process and 1.97 for two, and as much beside two other programs that compute all the time. Sending to
SeaweedFS it is 0.87 (4 KiB) and 0.42 (256 KiB) for two, 0.59 and 0.34 for one; fetching 1.5 to 1.7 for two."""


def process_count(options: TransferOptions, cores: int) -> int:
    """How many processes a run may use, the first one included.

    What moves no faster than a limit needs no second core, and a process without a request to make is no use.

    Args:
        options: What the user wants.
        cores: What this process may use.
    """
    most = options.concurrency or max(MOST_AUTOMATIC, options.processes or 0)
    if options.processes is not None:
        return min(options.processes, most)
    if options.limit_rate_bytes_per_second is not None:
        return 1
    return min(cores, most, MOST_AUTOMATIC)


def are_workers_of_use(idle_cores: float, occupied_processes: float, *, were: bool) -> bool:
    """Whether small items should go to other processes as well.

    Where no processor is idle and one process has time for all that there is to do, handing items over only takes
    processors from what the run waits for: a store on the same machine. To SeaweedFS 5,000 objects of 4 KiB took 2.89 s
    with two processes all the time and 2.75 s so, 2,000 of 256 KiB 4.53 and 4.16 s (medians of 5 and 4 in turn, whole
    processes, 2 processors).
    Parts of large objects are another matter: 2 GiB to a store that takes half the processors took 0.90 s shared and
    0.99 s otherwise.

    Args:
        idle_cores: Processors of the machine that had nothing to do, on average over some time.
        occupied_processes: How many processes of the run had work, on average over that time. What they could not do
            because others computed counts: a busy machine is no reason to ask for less of it.
        were: Whether workers were of use until now: then they have to be clearly of none, so that noise changes little.
    """
    if were:
        return idle_cores >= _STILL_IDLE_CORES or occupied_processes >= _STILL_FULL_PROCESSES
    return idle_cores >= _IDLE_CORES or occupied_processes >= _FULL_PROCESSES


def shares(limit: int, held: Sequence[int]) -> tuple[int, ...]:
    """Divide the requests that may be in flight evenly among those who have something to do.

    Each of them gets at least one, also when that makes more than `limit`: what is in hand must come to an end.

    Args:
        limit: Requests in flight of all.
        held: How much each one has in hand; the first is whoever hands out the work, and always counts.
    """
    busy = [place for place, work in enumerate(held) if work or place == 0]
    even, rest = divmod(limit, len(busy))
    share = {place: max(1, even + (turn < rest)) for turn, place in enumerate(busy)}
    return tuple(share.get(place, 0) for place in range(len(held)))
