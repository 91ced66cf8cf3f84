"""Reads numbers from options, with errors that name the option and the value. Pure."""

from __future__ import annotations

import math

from transfer.model.errors import UsageError
from transfer.plan.durations import parse_duration_seconds


def whole_number(option: str, text: str | None, *, smallest: int, largest: int | None = None) -> int | None:
    """Read a count; None stays None.

    Raises:
        UsageError: The text is no whole number, or one below `smallest` or above `largest`.
    """
    if text is None:
        return None
    digits = text.strip()
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 9 or int(digits) < smallest:
        raise UsageError(f"{text!r} is no whole number from {smallest} up", subject=option, remedy="write such as 8")
    if largest is not None and int(digits) > largest:
        raise UsageError(f"{text!r} is more than {largest}", subject=option, remedy="write such as 8")
    return int(digits)


def seconds_above_zero(option: str, text: str | None) -> float | None:
    """Read a duration in seconds; None stays None.

    Raises:
        UsageError: The text is no finite number above zero.
    """
    if text is None:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not math.isfinite(seconds) or seconds <= 0:
        raise UsageError(f"{text!r} is no number of seconds above zero", subject=option, remedy="write such as 30")
    return seconds


def age_seconds(option: str, text: str | None) -> float | None:
    """Read an age such as `7d`; None when the option was not given.

    Raises:
        UsageError: It names the option.
    """
    if text is None:
        return None
    try:
        return parse_duration_seconds(text)
    except UsageError as error:
        raise UsageError(error.message, subject=option, remedy=error.remedy) from None
