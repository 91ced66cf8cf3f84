"""The command line being carried out, for those who write down how to repeat it."""

from __future__ import annotations

from contextvars import ContextVar

command_line: ContextVar[tuple[str, ...]] = ContextVar("command_line", default=())
"""What follows the program's name."""
