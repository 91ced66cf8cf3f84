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
