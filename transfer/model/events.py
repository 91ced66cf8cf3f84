"""What the engine tells while it works, for logs and JSON lines. Bytes are no events: `Progress` counts them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


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
class ConcurrencyChanged:
    """The governor chose another number of requests in flight."""

    limit: int


Event = RequestRetried | Warned | ConcurrencyChanged
EventSink = Callable[[Event], None]


def ignore_event(event: Event) -> None:
    """The sink of those who do not listen."""
