"""What passed between a command and a store, by a proxy's record: which bytes, how often, and what was under way.

Owns the arithmetic of bytes that moved twice. It only reads the record; it never moves or stops a byte.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

from tests.support.fault_exchange import SeenRequest

# An answer is given so long before its range is asked for a second time.
LATE_SECONDS = 1.0

_RANGE = re.compile(r"bytes=(\d+)-(\d+)")


class Chunk(NamedTuple):
    """A run of bytes that is sent with one request: a part, a range, or all of a small object."""

    method: str
    key: str
    place: str

    @property
    def is_whole(self) -> bool:
        """Whether it is all of an object."""
        return not self.place


@dataclass(frozen=True, slots=True)
class DataRequest:
    """A request that carries bytes of an object, in its own body or in that of its answer."""

    seen: SeenRequest
    chunk: Chunk
    length: int

    @property
    def passed(self) -> int:
        """Bytes of the body that passed, up to now."""
        return self.seen.body_bytes_up if self.chunk.method == "PUT" else self.seen.body_bytes_down

    @property
    def is_finished(self) -> bool:
        """Whether the store has acknowledged the part, or all of the range has passed."""
        if self.chunk.method == "PUT":
            return self.seen.status == 200
        return self.seen.status in (200, 206) and self.passed == self.length


@dataclass(frozen=True, slots=True)
class Loss:
    """What one end of a process may cost: what has to be sent again.

    Attributes:
        unfinished: Requests under way at that moment.
        unrecorded: Lengths of the chunks that may have been finished and not yet recorded.
    """

    unfinished: tuple[DataRequest, ...]
    unrecorded: tuple[int, ...]

    @property
    def bytes_again(self) -> int:
        """The most that may be sent again. What a dead process left in the sockets' buffers may still pass."""
        return sum(request.passed for request in self.unfinished) + sum(self.unrecorded)

    @property
    def chunks_again(self) -> int:
        """The most chunks that may be moved to the end again."""
        return len(self.unfinished) + len(self.unrecorded)


def data_requests(requests: Iterable[SeenRequest], sizes: Mapping[str, int]) -> list[DataRequest]:
    """The requests that carry bytes of objects.

    Args:
        requests: A proxy's record.
        sizes: Bytes of each key: the answer to a GET without a range has that many.
    """
    found = []
    for seen in requests:
        chunk = _chunk_of(seen)
        if chunk is not None:
            found.append(DataRequest(seen, chunk, _length_of(seen, chunk, sizes)))
    return found


def loss_at_end(requests: Sequence[DataRequest], workers: int, is_recorded: Callable[[Chunk], bool]) -> Loss:
    """The most that a process's end may cost.

    A worker of a large object has one chunk: it is under way, or it is finished and about to be recorded. So whatever
    is beyond the workers has been recorded and must never pass again. Objects that move whole are recorded a moment
    later, together.

    Args:
        requests: Those of this process alone, at the moment of its end.
        workers: How many it had at most.
        is_recorded: Tells of a finished chunk whether it is sure to have been recorded.
    """
    unfinished = tuple(request for request in requests if not request.is_finished)
    lost = [request for request in requests if request.is_finished and not is_recorded(request.chunk)]
    parts = sorted((request.length for request in lost if not request.chunk.is_whole), reverse=True)
    whole = [request.length for request in lost if request.chunk.is_whole]
    room = max(0, workers - len(unfinished))
    return Loss(unfinished, (*parts[:room], *whole))


def late_bytes(requests: Sequence[DataRequest]) -> list[int]:
    """What a process asked for twice on purpose, because the first answer was late: the bytes of each such request.

    Args:
        requests: Those of this process alone.
    """
    firsts: dict[Chunk, float] = {}
    for request in requests:
        firsts.setdefault(request.chunk, request.seen.began_seconds)
    return [
        max(other.passed for other in requests if other.chunk == request.chunk)
        for request in requests
        if request.seen.began_seconds >= firsts[request.chunk] + LATE_SECONDS
    ]


def delivered_bytes(requests: Iterable[DataRequest]) -> int:
    """Bytes of all chunks that have been moved to the end, each counted once."""
    return sum({request.chunk: request.length for request in requests if request.is_finished}.values())


def delivered_keys(requests: Iterable[DataRequest]) -> frozenset[str]:
    """The objects that have moved to the end with one request."""
    return frozenset(request.chunk.key for request in requests if request.chunk.is_whole and request.is_finished)


def repeated_chunks(requests: Iterable[DataRequest]) -> list[Chunk]:
    """Chunks that were moved to the end more than once; as often as they were in vain."""
    times = Counter(request.chunk for request in requests if request.is_finished)
    return [chunk for chunk, count in times.items() for _ in range(count - 1)]


def _chunk_of(seen: SeenRequest) -> Chunk | None:
    address = urlsplit(seen.target)
    query = parse_qs(address.query, keep_blank_values=True)
    _, _, key = unquote(address.path).lstrip("/").partition("/")
    allowed = {"PUT": {"partNumber", "uploadId"}, "GET": {"versionId"}}.get(seen.method)
    if not key or allowed is None or not query.keys() <= allowed:
        return None
    place = query["partNumber"][0] if "partNumber" in query else seen.header("Range") or ""
    return Chunk(seen.method, key, place)


def _length_of(seen: SeenRequest, chunk: Chunk, sizes: Mapping[str, int]) -> int:
    if chunk.method == "PUT":
        return int(seen.header("x-amz-decoded-content-length") or seen.header("Content-Length") or 0)
    wanted = _RANGE.fullmatch(chunk.place)
    return int(wanted[2]) - int(wanted[1]) + 1 if wanted else sizes[chunk.key]
