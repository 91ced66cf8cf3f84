"""Faults by seeded chance: which requests are hurt, and how.

Owns the choice only; the proxy carries it out. The same seed hurts the same requests in the same way, whatever the
order in which lanes send them: each choice depends on the request and on how often it came, never on its neighbours.
"""

import random
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from datetime import timedelta
from urllib.parse import parse_qsl, urlsplit

from tests.support.faults import (
    ClockAhead,
    CloseIdle,
    Direction,
    DropAnswer,
    Fault,
    FlipBit,
    RefuseConnections,
    ReplaceBody,
    Reset,
    Stall,
    Trickle,
    Truncate,
    s3_error,
)
from tests.support.http_messages import RequestHead

# Answers are rarely shorter than what a range asks for; where nothing is asked, small objects are hit too.
UNKNOWN_ANSWER_BYTES = 1000
COMPLETION_ERROR = b"<Error><Code>InternalError</Code><Message>begun well, ended badly</Message></Error>"


class Asked:
    """What the choice of a fault has to know of a request."""

    def __init__(self, head: RequestHead) -> None:
        parts = urlsplit(head.target)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        # An upload has another name in every run.
        self.identity = (head.method, parts.path, *sorted((k, v) for k, v in query.items() if k != "uploadId"))
        self.upload_bytes = int(head.header("Content-Length") or 0) if head.method == "PUT" else 0
        self.is_copy = head.header("x-amz-copy-source") is not None
        self.completes = head.method == "POST" and "uploadId" in query
        self.fetches_object = head.method == "GET" and parts.path.count("/") > 1 and not query
        self.answer_bytes = _range_bytes(head.header("Range")) or UNKNOWN_ANSWER_BYTES

    @property
    def may_take_minutes(self) -> bool:
        """Whether clients have to be patient: silence proves nothing."""
        return self.completes or self.is_copy


Kind = Callable[[Asked, random.Random], Fault | None]
"""Makes a fault for a request, or None where the fault makes no sense."""


def _up(asked: Asked, chance: random.Random) -> int | None:
    return chance.randrange(asked.upload_bytes) if asked.upload_bytes else None


def _down(asked: Asked, chance: random.Random) -> int | None:
    return chance.randrange(asked.answer_bytes) if asked.fetches_object else None


def _reset_up(asked: Asked, chance: random.Random) -> Fault:
    return Reset(direction=Direction.UP, at_byte=_up(asked, chance))


def _reset_down(asked: Asked, chance: random.Random) -> Fault:
    return Reset(at_byte=_down(asked, chance))


def _truncate(asked: Asked, chance: random.Random) -> Fault:
    return Truncate(at_byte=_down(asked, chance))


def _stall_up(asked: Asked, chance: random.Random) -> Fault | None:
    return None if asked.may_take_minutes else Stall(direction=Direction.UP, at_byte=_up(asked, chance))


def _stall_down(asked: Asked, chance: random.Random) -> Fault | None:
    return None if asked.may_take_minutes else Stall(at_byte=_down(asked, chance))


def _trickle_up(asked: Asked, chance: random.Random) -> Fault | None:
    at_byte = _up(asked, chance)
    return None if at_byte is None else Trickle(direction=Direction.UP, at_byte=at_byte)


def _trickle_down(asked: Asked, chance: random.Random) -> Fault | None:
    at_byte = _down(asked, chance)
    return None if at_byte is None else Trickle(at_byte=at_byte)


# Bits flip in the bytes of objects only: nothing but TLS protects a listing.
def _flip_up(asked: Asked, chance: random.Random) -> Fault | None:
    at_byte = _up(asked, chance)
    return None if at_byte is None else FlipBit(direction=Direction.UP, at_byte=at_byte, bit=chance.randrange(8))


def _flip_down(asked: Asked, chance: random.Random) -> Fault | None:
    at_byte = _down(asked, chance)
    return None if at_byte is None else FlipBit(at_byte=at_byte, bit=chance.randrange(8))


def _completion_error(asked: Asked, chance: random.Random) -> Fault | None:
    if not asked.completes:
        return None
    is_applied = chance.random() < 0.5
    return ReplaceBody(body=COMPLETION_ERROR) if is_applied else s3_error(200, "InternalError")


def _refuse(_: Asked, chance: random.Random) -> Fault:
    return RefuseConnections(connections=chance.randrange(1, 4))


KINDS: Mapping[str, Kind] = {
    "reset up": _reset_up,
    "reset down": _reset_down,
    "truncate": _truncate,
    "stall up": _stall_up,
    "stall down": _stall_down,
    "trickle up": _trickle_up,
    "trickle down": _trickle_down,
    "flip up": _flip_up,
    "flip down": _flip_down,
    "500": lambda *_: s3_error(500, "InternalError"),
    "503": lambda *_: s3_error(503, "SlowDown"),
    "400": lambda *_: s3_error(400, "RequestTimeout"),
    "skew": lambda *_: ClockAhead(ahead=timedelta()),
    "200 error": _completion_error,
    "drop answer": lambda *_: DropAnswer(),
    "drop answer reset": lambda *_: DropAnswer(reset=True),
    "close idle": lambda *_: CloseIdle(),
    "refuse": _refuse,
    "expired": lambda *_: s3_error(403, "ExpiredToken"),
}
"""Every fault the proxy knows, by the name it is counted as."""

ENDURED = tuple(kind for kind in KINDS if kind != "expired")
"""Those that a run outlives whose credentials cannot be renewed. Stalls and trickles need a short deadline."""


class Chance:
    """Decides for each request whether it is hurt and how; usable for one run after the other.

    Args:
        seed: Equal seeds choose equally for the same requests.
        probability_per_request: Between 0 and 1.
        kinds: Names out of `KINDS`; each that makes sense for a request is as likely as any other.
    """

    def __init__(self, seed: int, probability_per_request: float, kinds: Collection[str] = ENDURED) -> None:
        self._seed = seed
        self._probability = probability_per_request
        self._kinds = tuple(kinds)
        self._came: Counter[tuple[object, ...]] = Counter()
        assert set(kinds) <= set(KINDS), "an unknown kind of fault"

    def choose(self, head: RequestHead) -> Fault | None:
        """Decide about the request with this head; each call counts as one more time that it came."""
        asked = Asked(head)
        self._came[asked.identity] += 1
        chance = random.Random(repr((self._seed, asked.identity, self._came[asked.identity])))
        if chance.random() >= self._probability:
            return None
        for kind in chance.sample(self._kinds, len(self._kinds)):
            fault = KINDS[kind](asked, chance)
            if fault is not None:
                return replace(fault, name=kind)
        return None


def _range_bytes(header: str | None) -> int | None:
    """The length of a range ``bytes=first-last``."""
    first, dash, last = (header or "").removeprefix("bytes=").partition("-")
    return int(last) - int(first) + 1 if dash and first.isdecimal() and last.isdecimal() else None
