"""A contiguous run of bytes in a file or object."""

from __future__ import annotations

from transfer.model.values import dataclass


@dataclass(frozen=True, slots=True)
class ByteRange:
    """`length` bytes starting at `offset`; `number` counts ranges of one object from 1, as S3 counts parts."""

    number: int
    offset: int
    length: int

    @property
    def end(self) -> int:
        """The offset just past the last byte."""
        return self.offset + self.length

    def http_range(self) -> str:
        """The value of a Range header (RFC 9110, section 14.1.2: both ends are inclusive)."""
        return f"bytes={self.offset}-{self.end - 1}"
