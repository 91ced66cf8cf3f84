"""Where peers are sent, and what can be told there of what they did.

Owns the questions that a run's check asks; the processes are started in `null_process` and `stores`.
"""

from __future__ import annotations

import json
import ssl
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.request import HTTPSHandler, ProxyHandler, build_opener

from benchmarks.null_endpoint.exchange import STATS_PATH
from benchmarks.pattern import Pattern
from benchmarks.workloads import Workload

BUCKET = "benchmark"
STATS_TIMEOUT_SECONDS = 10.0


class EndpointError(RuntimeError):
    """The endpoint did not start or does not answer as one of this kind does."""


class Endpoint(ABC):
    """One endpoint with the bucket BUCKET."""

    name: str
    url: str
    ca_bundle: str = ""
    keeps: bool
    """Whether it stores what it is sent."""

    @abstractmethod
    def prepare(self, workload: Workload, folder: Path) -> str:
        """Make what `workload` downloads or lists, in `folder` if need be; return its key or prefix."""

    @abstractmethod
    def upload_key(self, workload: Workload, label: str) -> str:
        """Return a key or prefix for one run's upload."""

    @abstractmethod
    def mark(self) -> tuple[int, int]:
        """Return what has arrived so far, to be compared after an upload: bytes and PUT requests."""

    @abstractmethod
    def upload_problem(self, workload: Workload, key: str, mark: tuple[int, int]) -> str:
        """Tell what is wrong with an upload that has ended since `mark`; empty when nothing is."""

    @abstractmethod
    def forget(self, key: str) -> None:
        """Remove an object, or all below a prefix that ends in `/`."""


@dataclass(frozen=True, slots=True)
class NullEndpoint(Endpoint):
    """One that keeps nothing: a key says the size of its object, a prefix what is below it."""

    url: str
    name: str = "null"
    ca_bundle: str = ""
    keeps = False

    def prepare(self, workload: Workload, folder: Path) -> str:  # noqa: ARG002  # part of the interface
        """Return a key that says the size, or a tree's own prefix."""
        tree = workload.tree
        return tree.prefix if workload.is_tree else f"object@{tree.total_bytes}"

    def upload_key(self, workload: Workload, label: str) -> str:
        """Return a key that says the size, for clients that look at what they have sent."""
        return f"{label}/" if workload.is_tree else f"{label}@{workload.total_bytes}"

    def mark(self) -> tuple[int, int]:
        """Return the counters. Raises EndpointError."""
        stats = self._stats()
        return stats["bytes_in"], stats["put"]

    def bytes_in(self) -> int:
        """Return the body bytes received so far, as the endpoint counts them. Raises EndpointError."""
        return self.mark()[0]

    def upload_problem(self, workload: Workload, key: str, mark: tuple[int, int]) -> str:  # noqa: ARG002  # interface
        """Compare the counters: more is allowed, since framing and parts sent again count too."""
        bytes_in, puts = self.mark()
        if bytes_in - mark[0] < workload.total_bytes:
            return f"the endpoint received {bytes_in - mark[0]} of {workload.total_bytes} bytes"
        if puts - mark[1] < workload.files:
            return f"the endpoint received {puts - mark[1]} PUT requests for {workload.files} files"
        return ""

    def forget(self, key: str) -> None:
        """Do nothing: nothing was kept."""

    def _stats(self) -> dict[str, int]:
        url = self.url.rstrip("/") + STATS_PATH
        context = ssl.create_default_context(cafile=self.ca_bundle or None)
        opener = build_opener(ProxyHandler({}), HTTPSHandler(context=context))
        try:
            with opener.open(url, timeout=STATS_TIMEOUT_SECONDS) as answer:
                found = json.load(answer)
                return {name: int(found[name]) for name in ("bytes_in", "put")}
        except (URLError, OSError, ValueError, KeyError, TypeError) as error:
            raise EndpointError(f"{url} must answer JSON with the numbers bytes_in and put: {error}") from error


@dataclass(frozen=True, slots=True)
class Imitation:
    """What a null endpoint imitates.

    Attributes:
        delay_milliseconds: To the first byte of an answer.
        pace_megabytes: Million bytes a second and connection; 0 is no limit.
        in_flight_limit: SlowDown above so many requests at a time; 0 is never.
    """

    is_secure: bool = False
    delay_milliseconds: float = 0.0
    pace_megabytes: float = 0.0
    in_flight_limit: int = 0

    def __str__(self) -> str:
        told = [
            "TLS" if self.is_secure else "",
            f"{self.delay_milliseconds:g} ms to the first byte" if self.delay_milliseconds else "",
            f"{self.pace_megabytes:g} MB/s per connection" if self.pace_megabytes else "",
            f"SlowDown above {self.in_flight_limit} in flight" if self.in_flight_limit else "",
        ]
        return ", ".join(filter(None, told)) or "plain, no delay"


def sampled_problem(pattern: Pattern, path: Path, size_bytes: int) -> str:
    """Tell where a file differs from what it should be; empty when it was not seen to."""
    place = pattern.file_differs_at(path, size_bytes)
    return "" if place is None else f"{path.name} has other bytes in the piece from {place}"
