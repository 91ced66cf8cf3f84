"""The checksum of an object whose bytes come in order, in the form that it is compared in. It fetches nothing."""

from __future__ import annotations

from transfer.engine.verifying import DownloadPlan, RangeDigest, checksum_of_ranges
from transfer.integrity.digests import Digest, encode_value, new_digest
from transfer.integrity.verification import VerificationKind
from transfer.model.checksums import Checksum


class OrderedDigest:
    """A checksum in the making: over all bytes, or over those of the parts that the object was once sent in."""

    def __init__(self, plan: DownloadPlan) -> None:
        self._plan = plan
        self._parts = iter(plan.ranges() if plan.verification.kind is VerificationKind.COMPOSITE else ())
        self._part = next(self._parts, None)
        self._left = self._part.length if self._part else 0
        self._digest: Digest = new_digest(plan.verification.algorithm)
        self._digests: list[RangeDigest] = []

    def update(self, view: memoryview) -> None:
        """Take the next bytes."""
        while self._part is not None and len(view) >= self._left:
            self._digest.update(view[: self._left])
            self._digests.append(RangeDigest(self._part, self._digest.value()))
            view = view[self._left :]
            self._part = next(self._parts, None)
            self._left = self._part.length if self._part else 0
            self._digest = new_digest(self._plan.verification.algorithm)
        self._digest.update(view)
        self._left -= len(view)

    def checksum(self) -> Checksum:
        """That of all bytes taken."""
        if self._plan.verification.kind is VerificationKind.COMPOSITE:
            return checksum_of_ranges(self._plan, self._digests, None)
        return Checksum(self._plan.verification.algorithm, encode_value(self._digest.value()))
