"""What the engine tells while it works, for logs and JSON lines. Bytes are no events: `Progress` counts them."""

from __future__ import annotations

from collections.abc import Callable

from transfer.model.values import dataclass


@dataclass(frozen=True, slots=True)
class RequestRetried:
    """One request is about to be repeated after a pause.

    Attributes:
        attempt: The one that failed, from 1.
        delay_seconds: The pause; beyond the budget of retries it may become longer.
    """

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


@dataclass(frozen=True, slots=True)
class JobKept:
    """The run ends before its job is done; what it has finished is remembered under this number."""

    job_id: int


@dataclass(frozen=True, slots=True)
class JobResumed:
    """The run goes on with a job: so many items were finished earlier and are left out."""

    job_id: int
    finished_items: int


Event = RequestRetried | Warned | ConcurrencyChanged | JobKept | JobResumed
EventSink = Callable[[Event], None]


def ignore_event(event: Event) -> None:
    """The sink of those who do not listen."""
