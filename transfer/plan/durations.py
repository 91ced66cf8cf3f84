"""Durations as people write them in options. Text in, seconds out; nothing else."""

from __future__ import annotations

import re

from transfer.model.errors import UsageError

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"\s*([0-9]{1,12}(?:\.[0-9]{1,12})?)\s*([smhd])\s*", re.IGNORECASE)


def parse_duration_seconds(text: str) -> float:
    """Read a duration.

    Args:
        text: A number and one unit in any case: `90s`, `30m`, `12h`, `7d`, `1.5h`. A day has 24 hours. The unit is
            never left out: a bare 7 could mean days or seconds.

    Raises:
        UsageError: The text is no duration, or none above zero.
    """
    found = _DURATION.fullmatch(text)
    if found is None or float(found[1]) <= 0:
        raise UsageError(f"{text!r} is no duration", remedy="write a number and a unit, such as 7d, 12h, 30m or 90s")
    whole, _, fraction = found[1].partition(".")
    # Whole numbers to the end: their quotient is the nearest there is.
    divisor: int = 10 ** len(fraction)
    return int(whole + fraction) * _SECONDS[found[2].lower()] / divisor
