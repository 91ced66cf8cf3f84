"""Warnings of several processes: what each of them finds out by itself is told once."""

from __future__ import annotations

from typing import Final

from transfer.model.events import Event, EventSink, Warned


class OnceTold:
    """Passes events on, but for warnings that were told already."""

    def __init__(self, on_event: EventSink) -> None:
        self._on_event: Final = on_event
        self._told: Final[set[int]] = set()

    def __call__(self, event: Event) -> None:
        """Take an event of any process."""
        if isinstance(event, Warned):
            # A hash is enough: to keep millions of messages would be too much.
            told = hash(event.message)
            if told in self._told:
                return
            self._told.add(told)
        self._on_event(event)
