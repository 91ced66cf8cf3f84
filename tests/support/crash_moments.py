"""The moments at which a crash drill ends a process, chosen by how far its work has come and never by a clock.

Owns their description, their choice from a seed, and the gates that hold a request still so that a moment cannot pass
by. It ends nothing itself.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum, StrEnum, auto

from tests.support.faults import Direction, Stall


class Scenario(StrEnum):
    """What is moved, and which way."""

    UPLOAD = "upload"
    DOWNLOAD = "download"
    UPLOAD_TREE = "upload-tree"
    DOWNLOAD_TREE = "download-tree"

    @property
    def is_upload(self) -> bool:
        """Whether files become objects."""
        return self in (Scenario.UPLOAD, Scenario.UPLOAD_TREE)

    @property
    def is_tree(self) -> bool:
        """Whether many files move."""
        return self in (Scenario.UPLOAD_TREE, Scenario.DOWNLOAD_TREE)


class When(Enum):
    """Kinds of moments."""

    AT_ONCE = auto()
    """Right after the process was started."""
    FIRST_REQUEST = auto()
    """When it has sent its first request; the store does not get it."""
    CREATE_LOST = auto()
    """The store has begun a multipart upload; its answer does not arrive."""
    CREATE_ANSWERED = auto()
    """The answer to the beginning of a multipart upload has passed."""
    BYTES = auto()
    """When a share of the bytes that were missing has passed."""
    REQUESTS = auto()
    """When it has made so many requests."""
    LAST_BYTE = auto()
    """When each byte has passed at least once."""
    COMPLETE_UNSENT = auto()
    """The end of a multipart upload is asked for; the store does not get it."""
    COMPLETE_LOST = auto()
    """The store has ended a multipart upload; its answer does not arrive."""
    COMPLETE_ANSWERED = auto()
    """The answer to the end of a multipart upload has passed."""
    FORGOTTEN = auto()
    """When the record of a large item that is done has gone."""
    OPENED = auto()
    """When a temporary file is there."""
    RECORDED = auto()
    """When so many items of a tree are recorded as finished."""
    LANDED = auto()
    """When a file has its final name."""


class Switch:
    """Whether a gate holds what comes now."""

    def __init__(self) -> None:
        self._is_due: Callable[[], bool] = _never

    @property
    def is_on(self) -> bool:
        """Whether the gate is closed now."""
        return self._is_due()

    def turn_on(self, is_due: Callable[[], bool]) -> None:
        """Close the gate as soon as a condition holds.

        Args:
            is_due: The condition, asked in the proxy's thread before each request that the gate could hold: no request
                slips through between the moment when it holds and the next look at it.
        """
        self._is_due = is_due

    def turn_off(self) -> None:
        """Open the gate for what comes from now on."""
        self._is_due = _never


def _never() -> bool:
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate(Stall):
    """Holds every matching request for good, while its switch is on."""

    switch: Switch
    times: int | None = None

    def covers(self, occurrence: int) -> bool:
        """Tell whether the gate is closed now; how many came before does not matter."""
        return self.switch.is_on


def make_gates(scenario: Scenario) -> dict[When, Gate]:
    """A gate for each moment that needs one, all of them open. The last one matches every request.

    Args:
        scenario: Tells which requests carry data.
    """
    create, complete, in_bucket = r"[?&]uploads(=|&|$)", r"[?&]uploadId=", r"^/[^/?]+/[^?]"
    data = "PUT" if scenario.is_upload else "GET"
    return {
        When.CREATE_LOST: Gate(method="POST", target=create, direction=Direction.DOWN, at_byte=None, switch=Switch()),
        When.COMPLETE_UNSENT: Gate(
            method="POST", target=complete, direction=Direction.UP, at_byte=None, switch=Switch()
        ),
        When.COMPLETE_LOST: Gate(
            method="POST", target=complete, direction=Direction.DOWN, at_byte=None, switch=Switch()
        ),
        When.RECORDED: Gate(method=data, target=in_bucket, direction=Direction.UP, at_byte=None, switch=Switch()),
        When.FIRST_REQUEST: Gate(direction=Direction.UP, at_byte=None, switch=Switch()),
    }


COUNTED = (When.REQUESTS, When.RECORDED, When.LANDED)


@dataclass(frozen=True, slots=True)
class Moment:
    """A moment in the life of a process.

    Attributes:
        when: Its kind.
        amount: The share of the missing bytes (BYTES), or how many (REQUESTS, RECORDED, LANDED, CREATE_ANSWERED and
            COMPLETE_ANSWERED).
    """

    when: When
    amount: float = 1

    def __str__(self) -> str:
        name = self.when.name.lower().replace("_", "-")
        if self.when is When.BYTES:
            return f"{self.amount:.0%}"
        return f"{name}({self.amount:.0f})" if self.when in COUNTED else name


_ANYWHERE = (When.AT_ONCE, When.FIRST_REQUEST, When.LAST_BYTE, When.FORGOTTEN)
_OF_UPLOADS = (
    When.CREATE_LOST,
    When.CREATE_ANSWERED,
    When.COMPLETE_UNSENT,
    When.COMPLETE_LOST,
    When.COMPLETE_ANSWERED,
)
MOST_KILLS = 4


def choose_moments(scenario: Scenario, seed: int, *, again: float = 0.5) -> Sequence[Moment]:
    """Choose when to end the processes of a drill: at least once, and each further time with a probability.

    Args:
        scenario: Not every moment exists in each.
        seed: The same one makes the same choice.
        again: The probability.
    """
    chance = random.Random(f"{scenario} {seed}")
    moments = [_choose(scenario, chance)]
    while len(moments) < MOST_KILLS and chance.random() < again:
        moments.append(_choose(scenario, chance))
    return moments


def _choose(scenario: Scenario, chance: random.Random) -> Moment:
    kind = chance.random()
    if kind < 0.55:
        return Moment(When.BYTES, chance.uniform(0, 1.1))
    if kind < 0.7:
        return Moment(When.REQUESTS, chance.randint(1, 70 if scenario.is_tree else 18))
    special = _ANYWHERE + (_OF_UPLOADS if scenario.is_upload else (When.OPENED, When.LANDED))
    when = chance.choice((*special, When.RECORDED) if scenario.is_tree else special)
    many = scenario.is_tree and when in COUNTED
    return Moment(when, chance.randint(1, 60) if many else 1)
