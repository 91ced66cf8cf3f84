"""What comparing two places with each other ends in, one value for each file or object."""

from __future__ import annotations

from enum import StrEnum

from transfer.model.checksums import Checksum, VerifiedBy
from transfer.model.locations import LocalLocation, S3Location
from transfer.model.receipts import Failure, Skip
from transfer.model.values import dataclass


class Finding(StrEnum):
    """What is known of one name in two places; the first of them is the one that counts."""

    MATCH = "match"
    """Both hold the same bytes, and that is proved."""
    DIFFERS = "differs"
    """They hold other bytes."""
    MISSING = "missing"
    """Only the first place has it."""
    EXTRA = "extra"
    """Only the second place has it."""
    UNVERIFIABLE = "unverifiable"
    """The sizes agree, and nothing is kept that could tell more."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a comparison found.

    Attributes:
        verified_by: What decided; UNVERIFIED when the sizes alone did, or nothing could.
        checksum: What both sides agree on.
        reason: Why they differ, or why nothing can be told; "" for a match.
    """

    finding: Finding
    verified_by: VerifiedBy = VerifiedBy.UNVERIFIED
    checksum: Checksum | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Audited:
    """One name in two places.

    Attributes:
        name: Below the two places; for single objects the name of the second one.
        source: Where it is, or would be, in the first place.
        destination: The same in the second place.
        size: In bytes, where it counts: in the first place, or in the second when only that has it; None when nothing
            is known of it.
    """

    name: str
    source: str
    destination: str
    size: int | None
    evidence: Evidence

    @property
    def finding(self) -> Finding:
        """What is known of it."""
        return self.evidence.finding


@dataclass(frozen=True, slots=True)
class Recorded:
    """What an earlier run noted of a place: what was there when it had put it there.

    Attributes:
        origin: What it was made from, as text for people.
        etag: As the store wrote it; of the source for a file.
    """

    origin: str
    place: S3Location | LocalLocation
    size: int
    etag: str
    checksum: Checksum | None


Audit = Audited | Failure | Skip
"""An item that could not be read is a failure; one that cannot be compared at all is skipped."""
