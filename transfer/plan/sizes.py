"""Sizes, rates and durations as people write and read them. Text in, numbers out, and back; nothing else.

K, KB and KiB all mean 1024 bytes, and so on: the AWS CLI and rclone read them so, and part sizes are binary
anyway.
"""

from __future__ import annotations

import re

from transfer.model.errors import UsageError

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
_SIZE = re.compile(r"\s*([0-9]{1,20}(?:\.[0-9]{1,20})?)\s*(?:B|([KMGTP])(?:i?B)?)?\s*", re.IGNORECASE)


def parse_size_bytes(text: str) -> int:
    """Read a size.

    Args:
        text: A number with an optional unit in any case: `1048576`, `8M`, `8MB`, `8MiB`, `1.5 GiB`. All
            units are powers of 1024.

    Returns:
        Bytes; a fraction of a byte is dropped.

    Raises:
        UsageError: The text is no size.
    """
    found = _SIZE.fullmatch(text)
    if found is None:
        raise UsageError(f"{text!r} is no size", remedy="write a number and a unit, such as 8MiB, 1.5G or 1048576")
    number, prefix = found.groups()
    factor: int = 1024 ** ("KMGTP".index(prefix.upper()) + 1) if prefix else 1
    whole, _, fraction = number.partition(".")
    divisor: int = 10 ** len(fraction)
    return int(whole + fraction) * factor // divisor


def format_size(size_bytes: float) -> str:
    """Write a size with the unit that leaves one to four digits before the point: `512 B`, `1.2 GiB`."""
    if size_bytes < 0:
        return f"-{format_size(-size_bytes)}"
    if round(size_bytes) < 1024:
        return f"{round(size_bytes)} B"
    exponent = 1
    # 1023.96 would be written as 1024.0.
    while round(size_bytes / 1024**exponent, 1) >= 1024 and exponent < len(_UNITS) - 1:
        exponent += 1
    return f"{size_bytes / 1024**exponent:.1f} {_UNITS[exponent]}"


def format_rate(bytes_per_second: float) -> str:
    """Write a rate: `1.2 GiB/s`."""
    return f"{format_size(bytes_per_second)}/s"


def format_seconds(seconds: float) -> str:
    """Write a duration in its two largest units: `0.4 s`, `12 s`, `3 min 04 s`, `2 h 05 min`, `3 d 04 h`."""
    if round(seconds, 1) < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    minutes = round(seconds / 60)
    if minutes < 24 * 60:
        return f"{minutes // 60} h {minutes % 60:02} min"
    hours = round(seconds / 3600)
    return f"{hours // 24} d {hours % 24:02} h"
