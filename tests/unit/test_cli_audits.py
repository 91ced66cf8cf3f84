"""How what a comparison found is told."""

import pytest

from transfer.cli.audit_lines import audit_summary_line
from transfer.cli.audit_tally import AuditTally
from transfer.cli.exit_codes import ExitCode
from transfer.cli.messages import AuditSummary
from transfer.engine.proving import judge_kept
from transfer.model.audits import Audited, Evidence, Finding
from transfer.model.checksums import Checksum, ChecksumAlgorithm
from transfer.model.objects import ObjectInfo


@pytest.mark.parametrize(("count", "told"), [(1, "1 differs"), (2, "2 differ")])
def test_the_summary_counts_in_words_that_fit(count: int, told: str) -> None:
    tally = AuditTally()
    for number in range(count):
        tally.add(Audited(str(number), "a", "b", 1, Evidence(Finding.DIFFERS)))
    line = audit_summary_line(AuditSummary(tally, 0.5, ExitCode.FAILED))
    assert line == f"0 of {count} match, 0 B in 0.5 s, {told}\n"


def test_both_checksums_are_told_and_whose_they_are() -> None:
    ours, theirs = (
        ObjectInfo(1, f'"{value}"', checksums=(Checksum(ChecksumAlgorithm.CRC32C, value),))
        for value in ("AAAAAA==", "BBBBBB==")
    )
    assert judge_kept(ours, theirs).reason == "the first one has crc32c:AAAAAA==, kept is BBBBBB=="
    told = judge_kept(ours, theirs, first="the receipt has").reason
    assert told == "the receipt has crc32c:AAAAAA==, kept is BBBBBB=="
