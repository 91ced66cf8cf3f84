"""The faults a proxy can inject, as values: which request each one hits and what it does to it.

Owns the description and the choice only; it never touches a socket.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from enum import Enum, auto

from tests.support.http_messages import Headers, RequestHead


class Direction(Enum):
    """Which body a fault works on: the request's (UP) or the answer's (DOWN)."""

    UP = auto()
    DOWN = auto()


class AnswerTime(Enum):
    """When an answer invented by the proxy is sent, relative to the request's body."""

    AFTER_BODY = auto()
    """The body is read and dropped, then the answer is sent; the connection lives on."""
    BEFORE_BODY_THEN_CLOSE = auto()
    """The answer is sent at once and the connection closed; a body still unread then makes it a reset."""
    BEFORE_BODY_NEVER_READ = auto()
    """The answer is sent at once; the body is never read, yet the connection stays open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What every fault has: the requests it hits.

    Attributes:
        method: Hit only this method; None hits all.
        target: A regular expression searched for in the request's target (path and query, as sent).
        nth: The first matching request to hit, counted from 1.
        times: How many matching requests in a row are hit; None means all from ``nth`` on.
        name: What it is counted as; by default the name of its class.
    """

    method: str | None = None
    target: str = ""
    nth: int = 1
    times: int | None = 1
    name: str = ""

    @property
    def kind(self) -> str:
        """What it is counted as."""
        return self.name or type(self).__name__

    def matches(self, request: RequestHead) -> bool:
        """Tell whether the request's method and target are the ones this fault is for."""
        return self.method in (None, request.method) and re.search(self.target, request.target) is not None

    def covers(self, occurrence: int) -> bool:
        """Tell whether the matching request of this number, counted from 1, is to be hit."""
        return occurrence >= self.nth and (self.times is None or occurrence < self.nth + self.times)


@dataclass(frozen=True, slots=True, kw_only=True)
class FlipBit(Fault):
    """Flip one bit of the body's byte ``at_byte``, counted from 0 without transfer-coding."""

    direction: Direction = Direction.DOWN
    at_byte: int = 0
    bit: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut(Fault):
    """What the faults that end a body early share: ``at_byte`` body bytes pass, the next does not.

    Nothing happens when the body has no more than ``at_byte`` bytes. None is earlier still: in place of
    the answer's head (DOWN) or of forwarding the request (UP).
    """

    direction: Direction = Direction.DOWN
    at_byte: int | None = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Truncate(Cut):
    """Close the client's connection in good order (FIN) in the middle of the body."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reset(Cut):
    """Reset the client's connection (RST). The reset may overtake bytes which were let through."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stall(Cut):
    """Stop moving bytes until the proxy closes; the connection stays open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trickle(Fault):
    """Let ``at_byte`` body bytes pass, then one byte after the other with a pause before each."""

    direction: Direction = Direction.DOWN
    at_byte: int = 0
    pause_seconds: float = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class RefuseConnections(Fault):
    """Reset the client's connection instead of forwarding the request, then the next ``connections`` as they come."""

    connections: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Respond(Fault):
    """Answer in the server's place; the request is not forwarded."""

    status: int
    body: bytes = b""
    headers: Headers = ()
    answer_time: AnswerTime = AnswerTime.AFTER_BODY

    def answer_headers(self) -> Headers:
        """The headers of an answer given now."""
        return self.headers


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockAhead(Respond):
    """Refuse requests signed by a clock that is not ``ahead`` of the true one, and tell the time; to a minute."""

    status: int = 403
    body: bytes = b"<Error><Code>RequestTimeTooSkewed</Code><Message>too large a difference</Message></Error>"
    times: int | None = None
    ahead: timedelta = timedelta(minutes=9)

    def matches(self, request: RequestHead) -> bool:
        """Tell whether the request's method and target are those of this fault and its clock is wrong."""
        stamp = request.header("x-amz-date")
        if stamp is None or not Respond.matches(self, request):
            return False
        signed = datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        return abs(self._now() - signed) > timedelta(minutes=1)

    def answer_headers(self) -> Headers:
        """The headers with the time by this clock."""
        return (*self.headers, ("Date", format_datetime(self._now(), usegmt=True)))

    def _now(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplaceBody(Fault):
    """Forward the request, throw the true answer away and send this one."""

    status: int = 200
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = (("Content-Type", "application/xml"),)


@dataclass(frozen=True, slots=True, kw_only=True)
class DropAnswer(Fault):
    """Forward the request, wait for the whole answer, and close, or reset, without passing any of it on."""

    reset: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseIdle(Fault):
    """Pass the answer on untouched and close the kept-alive connection at once, unannounced."""


def s3_error(status: int, code: str, **fields: object) -> Respond:
    """Make the fault that answers with an S3 error document; ``fields`` are those of :class:`Respond`.

    It is counted by its code.
    """
    body = f"<Error><Code>{code}</Code><Message>as the test wishes</Message></Error>".encode()
    return Respond(**{"status": status, "body": body, "name": code} | fields)  # type: ignore[arg-type]  # as they are
