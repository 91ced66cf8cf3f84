"""Counts of what comparisons found, and the exit code that follows. Sees values only."""

from __future__ import annotations

from dataclasses import dataclass, field

from transfer.cli.exit_codes import ExitCode
from transfer.model.audits import Audit, Audited, Finding
from transfer.model.receipts import Failure


@dataclass(slots=True)
class AuditTally:
    """How many names ended how; `proved_bytes` is the size of those that match."""

    findings: dict[Finding, int] = field(default_factory=lambda: dict.fromkeys(Finding, 0))
    failed: int = 0
    skipped: int = 0
    proved_bytes: int = 0

    @property
    def settled(self) -> int:
        """Names that ended, one way or another."""
        return sum(self.findings.values()) + self.failed + self.skipped

    @property
    def is_disjoint(self) -> bool:
        """Whether the two places have not one of several names in common: one of them may be misspelt."""
        apart = self.findings[Finding.MISSING] + self.findings[Finding.EXTRA]
        return apart > 1 and apart == sum(self.findings.values()) and not self.failed

    def add(self, found: Audit) -> None:
        """Count one."""
        if isinstance(found, Failure):
            self.failed += 1
        elif isinstance(found, Audited):
            self.findings[found.finding] += 1
            if found.finding is Finding.MATCH:
                self.proved_bytes += found.size or 0
        else:
            self.skipped += 1

    @property
    def code(self) -> ExitCode:
        """How a run ends that went to its end: something is wrong, something is not known, or all is proved.

        Where nothing was compared, nothing is known.
        """
        if self.failed or self.findings[Finding.DIFFERS] or self.findings[Finding.MISSING]:
            return ExitCode.FAILED
        if not self.settled or self.skipped or self.findings[Finding.EXTRA] or self.findings[Finding.UNVERIFIABLE]:
            return ExitCode.WARNINGS
        return ExitCode.DONE
