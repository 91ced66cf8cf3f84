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
"""Workers come back from the first on, and stay down to the second. With a store that costs little two processes leave
0.0 to 0.6 of two processors idle, one 0.9; with SeaweedFS one leaves 0.0 to 0.3."""
_ALL_OF_ONE_CORE: Final = 0.95
_MORE_THAN_ONE_CORE: Final = 1.1
"""The same of what the run uses. Two processes use 1.3 to 1.6 with a store that costs little, 0.4 to 0.9 with SeaweedFS
(all of these over some 50 ms)."""


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


def are_workers_of_use(idle_cores: float, used_cores: float, *, were: bool) -> bool:
    """Whether small items should go to other processes as well.

    Where no processor is idle and one would do for all that the run computes, handing items over only takes time from
    what the run waits for: a store on the same machine. 2,000 objects of 256 KiB from SeaweedFS took 1.23 s with two
    processes all the time and 1.18 s so, to it 2.92 and 2.74 s, 5,000 of 4 KiB to it 1.84 and 1.67 s (medians of 11, 6
    and 9 in turn, whole processes on 2 cores). With a store that costs little, near or 30 ms away, nothing changed.
    Parts of large objects are another matter: 2 GiB to a store that takes half the processors took 0.90 s shared and
    0.99 s otherwise.

    Args:
        idle_cores: Processors of the machine that had nothing to do, on average over some time.
        used_cores: Processors that the run's own processes used.
        were: Whether workers were of use until now: then they have to be clearly of none, so that noise changes little.
    """
    if were:
        return idle_cores >= _STILL_IDLE_CORES or used_cores >= _MORE_THAN_ONE_CORE
    return idle_cores >= _IDLE_CORES or used_cores >= _ALL_OF_ONE_CORE


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
