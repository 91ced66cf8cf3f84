"""What a crash drill found, as values: what is wrong, and how much was sent again. Nothing is judged here."""

from dataclasses import dataclass, field
from enum import StrEnum

from tests.support.crash_moments import Moment, Scenario

MOST_TOLD = 5


class Damage(StrEnum):
    """What may be wrong in the end."""

    EXIT = "a run ended badly"
    HUNG = "a run never ended"
    LOST = "items lost"
    WRONG = "wrong bytes"
    TORN = "partial under a final name"
    ORPHAN = "orphan uploads"
    LEFT_OVER = "left-over files"
    JOURNAL = "rows left in the journal"
    RESENT = "finished bytes sent again"
    COUNT = "fewer bytes passed than there are"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, and where."""

    damage: Damage
    told: str

    def __str__(self) -> str:
        return f"{self.damage}: {self.told}"


@dataclass(slots=True)
class Verdict:
    """What a drill found.

    Attributes:
        ends: At which moments processes were ended; those that were done before are not among them.
        resent_bytes: Bytes of bodies that passed, less the bytes of the data.
        bound_bytes: The most that may be sent again.
        again: Chunks that had been moved to the end and were moved again.
        bound_again: How many of those there may be.
    """

    scenario: Scenario
    seed: int
    ends: list[Moment] = field(default_factory=list)
    data_bytes: int = 0
    resent_bytes: int = 0
    bound_bytes: int = 0
    again: int = 0
    bound_again: int = 0
    problems: list[Problem] = field(default_factory=list)

    def __str__(self) -> str:
        ends = ", ".join(map(str, self.ends)) or "no moment"
        told = [*map(str, self.problems[:MOST_TOLD]), *(["..."] if len(self.problems) > MOST_TOLD else [])]
        return f"{self.scenario} seed {self.seed}, ended at {ends}: {'; '.join(told) or 'all is well'}"
