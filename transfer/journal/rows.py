"""Rows of the journal as values, sealed by a checksum: a row that was damaged on disk is absent, never believed.

Pure: nothing here knows of files or SQL. The columns are those of `schema`, in the same order.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Sequence
from typing import Final

from transfer.model.unfinished import Direction, FinishedPart, Holder, ItemIdentity, JobDescription, UnfinishedItem
from transfer.model.values import dataclass

Value = int | float | bytes | None
"""What a column holds."""

RUN_ID_CHARACTERS: Final = 16
"""Of the hexadecimal name of a run: 64 random bits, so that no two are ever the same."""


@dataclass(frozen=True, slots=True)
class JobRow:
    """One row of `jobs`; `run_id` is None when no run has it."""

    id: int
    description: JobDescription
    began_seconds: float
    touched_seconds: float
    finished_items: int
    finished_bytes: int
    run_id: str | None

    def seal(self) -> tuple[Value, ...]:
        """The columns, ready to be written."""
        return _seal(
            "job",
            (
                self.id,
                encode(self.description.signature),
                encode(self.description.to_json()),
                float(self.began_seconds),
                float(self.touched_seconds),
                self.finished_items,
                self.finished_bytes,
                _encode_optional(self.run_id),
            ),
        )


@dataclass(frozen=True, slots=True)
class ItemRow:
    """One row of `items`.

    Attributes:
        generation: Random and new with every start from nothing: parts of another generation are not its parts.
    """

    id: int
    job_id: int
    run_id: str | None
    generation: int
    identity: ItemIdentity
    upload_id: str | None
    temporary: str | None
    began_seconds: float

    def seal(self) -> tuple[Value, ...]:
        """The columns, ready to be written."""
        identity = self.identity
        return _seal(
            "item",
            (
                self.id,
                key_of(identity),
                self.job_id,
                _encode_optional(self.run_id),
                self.generation,
                encode(identity.direction.value),
                encode(identity.endpoint),
                encode(identity.source),
                encode(identity.destination),
                encode(identity.fingerprint),
                identity.size,
                _encode_optional(self.upload_id),
                _encode_optional(self.temporary),
                float(self.began_seconds),
            ),
        )

    def to_item(self, parts: Sequence[FinishedPart], *, is_new: bool) -> UnfinishedItem:
        """The item as callers know it."""
        return UnfinishedItem(
            id=self.id,
            identity=self.identity,
            upload_id=self.upload_id,
            temporary=self.temporary,
            began_seconds=self.began_seconds,
            parts=tuple(parts),
            is_new=is_new,
        )


def key_of(identity: ItemIdentity) -> bytes:
    """What tells items apart: which way, where from and where to, whatever the bytes are."""
    meant = (identity.direction.value, identity.endpoint, identity.source, identity.destination)
    return hashlib.sha256(json.dumps(meant).encode()).digest()


def encode(text: str) -> bytes:
    """Write text, even the lone surrogates that stand for bytes of undecodable file names."""
    return text.encode("utf-8", "surrogatepass")


def read_job(columns: Sequence[object]) -> JobRow | None:
    """Read what `JobRow.seal` made; None when it is damaged."""
    if not _is_whole("job", columns):
        return None
    try:
        return JobRow(
            id=_number(columns[0]),
            description=JobDescription.from_json(_text(columns[2])),
            began_seconds=_seconds(columns[3]),
            touched_seconds=_seconds(columns[4]),
            finished_items=_number(columns[5]),
            finished_bytes=_number(columns[6]),
            run_id=_optional_text(columns[7]),
        )
    except ValueError:
        return None


def read_item(columns: Sequence[object]) -> ItemRow | None:
    """Read what `ItemRow.seal` made; None when it is damaged."""
    if not _is_whole("item", columns):
        return None
    try:
        identity = ItemIdentity(
            direction=Direction(_text(columns[5])),
            endpoint=_text(columns[6]),
            source=_text(columns[7]),
            destination=_text(columns[8]),
            fingerprint=_text(columns[9]),
            size=_number(columns[10]),
        )
        return ItemRow(
            id=_number(columns[0]),
            job_id=_integer(columns[2]),
            run_id=_optional_text(columns[3]),
            generation=_number(columns[4]),
            identity=identity,
            upload_id=_optional_text(columns[11]),
            temporary=_optional_text(columns[12]),
            began_seconds=_seconds(columns[13]),
        )
    except ValueError:
        return None


def seal_part(item_id: int, generation: int, part: FinishedPart) -> tuple[Value, ...]:
    """The columns of one row of `parts`."""
    value, etag = bytes(part.value), encode(part.etag)
    return _seal("part", (item_id, part.number, generation, part.offset, part.length, value, etag))


def read_part(columns: Sequence[object], generation: int) -> FinishedPart | None:
    """Read what `seal_part` made; None when it is damaged or of another generation."""
    if not _is_whole("part", columns) or columns[2] != generation:
        return None
    try:
        number, value = _number(columns[1]), columns[5]
        if number < 1 or not isinstance(value, bytes):
            return None
        return FinishedPart(number, _number(columns[3]), _number(columns[4]), value, _text(columns[6]))
    except ValueError:
        return None


def seal_finished(job_id: int, name: bytes, fingerprint: str, size: int) -> tuple[Value, ...]:
    """The columns of one row of `finished`; the name as `encode` made it."""
    return _seal("finished", (job_id, name, encode(fingerprint), size))


def read_finished(columns: Sequence[object]) -> tuple[str, str, int] | None:
    """Name, fingerprint and size in bytes of what `seal_finished` made; None when it is damaged."""
    if not _is_whole("finished", columns):
        return None
    try:
        return _text(columns[1]), _text(columns[2]), _number(columns[3])
    except ValueError:
        return None


def seal_run(run_id: str, holder: Holder) -> tuple[Value, ...]:
    """The columns of one row of `runs`."""
    return _seal("run", (encode(run_id), holder.process_id, float(holder.since_seconds)))


def read_run(columns: Sequence[object]) -> Holder | None:
    """Read what `seal_run` made; None when it is damaged."""
    if not _is_whole("run", columns):
        return None
    try:
        return Holder(_number(columns[1]), _seconds(columns[2]))
    except ValueError:
        return None


def is_run_id(text: str) -> bool:
    """Whether it may name a file: what is read from disk could hold anything."""
    return len(text) == RUN_ID_CHARACTERS and all(character in "0123456789abcdef" for character in text)


def _seal(kind: str, columns: tuple[Value, ...]) -> tuple[Value, ...]:
    return (*columns, _checksum(kind, columns))


def _is_whole(kind: str, columns: Sequence[object]) -> bool:
    *values, checksum = columns
    return checksum == _checksum(kind, tuple(values))


def _checksum(kind: str, columns: tuple[object, ...]) -> int:
    """CRC-32 of what `repr` writes: it tells numbers, bytes and None apart, and one column from the next."""
    return zlib.crc32(repr((kind, columns)).encode())


def _encode_optional(text: str | None) -> bytes | None:
    return None if text is None else encode(text)


def _text(value: object) -> str:
    if not isinstance(value, bytes):
        raise ValueError("no text")  # noqa: TRY004 - damage is one kind of error here, whatever form it takes
    return value.decode("utf-8", "surrogatepass")


def _optional_text(value: object) -> str | None:
    return None if value is None else _text(value)


def _integer(value: object) -> int:
    if not isinstance(value, int):
        raise ValueError("no number")  # noqa: TRY004 - damage is one kind of error here, whatever form it takes
    return value


def _number(value: object) -> int:
    number = _integer(value)
    if number < 0:
        raise ValueError("a negative number")
    return number


def _seconds(value: object) -> float:
    if not isinstance(value, float):
        raise ValueError("no time")  # noqa: TRY004 - damage is one kind of error here, whatever form it takes
    return value
