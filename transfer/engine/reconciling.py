"""Which parts of an unfinished upload count: the journal's word against the store's. Pure.

The store is the truth: a part it does not list is not there. The journal knows what was in the part.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from transfer.integrity.proof import SentPart
from transfer.model.ranges import ByteRange
from transfer.model.unfinished import FinishedPart
from transfer.model.values import dataclass
from transfer.stores.s3.xml import UploadedPart


@dataclass(frozen=True, slots=True)
class Doubtful:
    """A part the store holds of which the journal says nothing, or something else: its bytes must be compared."""

    wanted: ByteRange
    listed: UploadedPart


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What is there already.

    Attributes:
        trusted: Parts that both know alike.
        doubtful: Parts that may be there: equal to the source only if their bytes are.
    """

    trusted: tuple[SentPart, ...]
    doubtful: tuple[Doubtful, ...]


def reconcile(
    ranges: Iterable[ByteRange], recorded: Sequence[FinishedPart], listed: Sequence[UploadedPart]
) -> Reconciled:
    """Compare what was recorded with what the store lists.

    Args:
        ranges: The parts of the upload as it is planned.
        recorded: What the journal knows.
        listed: What the store holds; some list a part that was sent twice twice.
    """
    known = {part.number: part for part in recorded}
    held: dict[int, list[UploadedPart]] = {}
    for part in listed:
        held.setdefault(part.number, []).append(part)
    trusted: list[SentPart] = []
    doubtful: list[Doubtful] = []
    for wanted in ranges:
        noted = known.get(wanted.number)
        there = [part for part in held.get(wanted.number, ()) if part.size == wanted.length]
        agreed = [part for part in there if noted is not None and _agree(noted, wanted, part)]
        if noted is not None and agreed:
            trusted.append(SentPart(wanted.number, wanted.length, noted.value, agreed[0].etag, echoed=False))
        elif there:
            doubtful.append(Doubtful(wanted, there[-1]))
    return Reconciled(tuple(trusted), tuple(doubtful))


def covers(ranges: Iterable[ByteRange], recorded: Sequence[FinishedPart]) -> bool:
    """Whether every planned part was recorded, so that the upload may have been completed."""
    known = {(part.number, part.offset, part.length) for part in recorded}
    return all((wanted.number, wanted.offset, wanted.length) in known for wanted in ranges)


def _agree(noted: FinishedPart, wanted: ByteRange, there: UploadedPart) -> bool:
    return (
        noted.offset == wanted.offset
        and noted.length == wanted.length
        and noted.etag.strip('"') == there.etag.strip('"')
        and noted.etag != ""
    )
