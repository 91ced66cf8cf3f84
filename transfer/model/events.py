"""What the engine tells while it works. Events feed progress, JSON lines and logs; workers never draw."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ItemPlanned:
    """An item joined the run; `size` is None when it is not known yet (a stream)."""

    source: str
    size: int | None


@dataclass(frozen=True, slots=True)
class PlanComplete:
    """No further item will join the run: the totals are final."""


@dataclass(frozen=True, slots=True)
class BytesMoved:
    """So many body bytes moved; negative when an attempt is thrown away and its bytes will move again."""

    count: int


@dataclass(frozen=True, slots=True)
class RequestRetried:
    """One request is about to be repeated after a pause."""

    subject: str
    attempt: int
    delay_seconds: float
    reason: str


@dataclass(frozen=True, slots=True)
class Warned:
    """Something the user should know that stops nothing."""

    message: str


@dataclass(frozen=True, slots=True)
class ItemSettled:
    """An item ended: moved, failed or skipped (its outcome is delivered separately)."""

    source: str
    succeeded: bool


Event = ItemPlanned | PlanComplete | BytesMoved | RequestRetried | Warned | ItemSettled
EventSink = Callable[[Event], None]


def ignore_event(event: Event) -> None:
    """The sink of those who do not listen."""
