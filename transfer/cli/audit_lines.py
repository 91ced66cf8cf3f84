"""What comparisons found, for people and for machines. Values in, lines and dictionaries out."""

from __future__ import annotations

from typing import Any

from transfer.cli.escape import printable
from transfer.cli.messages import AuditSummary
from transfer.cli.records import checksum_record
from transfer.cli.summary_lines import rate_of
from transfer.model.audits import Audited, Finding
from transfer.model.checksums import VerifiedBy
from transfer.plan.sizes import format_seconds, format_size

ALARMING = frozenset({Finding.DIFFERS, Finding.MISSING})
"""What is told also to those who want to hear of errors alone."""


def audited_line(audited: Audited) -> str:
    """`differs docs/a.txt: why`; for a match what proves it."""
    facts = [f"{audited.finding.value} {audited.name}"]
    evidence = audited.evidence
    if evidence.reason:
        facts.append(evidence.reason)
    elif evidence.verified_by is not VerifiedBy.UNVERIFIED:
        proof = evidence.verified_by.value
        facts.append(proof if evidence.checksum is None else f"{proof}, {evidence.checksum}")
    return printable(": ".join(facts)) + "\n"


def audit_summary_line(summary: AuditSummary) -> str:
    """`3 of 5 match, 1.2 GiB in 0.4 s (3.0 GiB/s), 1 differs, 1 missing`; zero counts are left out."""
    tally = summary.tally
    rate = rate_of(tally.proved_bytes, summary.seconds)
    matching = f"{tally.findings[Finding.MATCH]} of {tally.settled} match"
    start = f"{matching}, {format_size(tally.proved_bytes)} in {format_seconds(summary.seconds)}{rate}"
    rest = {_told(finding, count): count for finding, count in tally.findings.items() if finding is not Finding.MATCH}
    rest |= {"failed": tally.failed, "skipped": tally.skipped}
    return ", ".join([start, *(f"{count} {name}" for name, count in rest.items() if count)]) + "\n"


def _told(finding: Finding, count: int) -> str:
    """The finding as it follows a number; all but one are adjectives."""
    return "differ" if finding is Finding.DIFFERS and count != 1 else finding.value


def audit_record(message: Audited | AuditSummary) -> dict[str, Any]:
    """The dictionary of a finding, or of the last word of a run."""
    if isinstance(message, AuditSummary):
        return _summary_record(message)
    evidence = message.evidence
    return {
        "type": "verification",
        "finding": evidence.finding.value,
        "name": message.name,
        "source": message.source,
        "destination": message.destination,
        "size": message.size,
        "verified_by": evidence.verified_by.value,
        "checksum": None if evidence.checksum is None else checksum_record(evidence.checksum),
        "reason": evidence.reason or None,
    }


def _summary_record(summary: AuditSummary) -> dict[str, Any]:
    tally = summary.tally
    return {
        "type": "summary",
        "command": "verify",
        **{finding.value: count for finding, count in tally.findings.items()},
        "failed": tally.failed,
        "skipped": tally.skipped,
        "proved_bytes": tally.proved_bytes,
        "seconds": round(summary.seconds, 6),
        "exit_code": int(summary.code),
    }
