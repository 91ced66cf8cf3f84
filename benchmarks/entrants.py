"""Who takes part: a peer with the settings it is given, the defaults in the first place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.peers.finding import FORGETFUL, with_processes
from benchmarks.peers.peer import Peer


@dataclass(frozen=True, slots=True)
class Entrant:
    """A peer with its settings; None leaves one to the peer."""

    peer: Peer
    concurrency: int | None = None
    processes: int | None = None

    @property
    def label(self) -> str:
        """Its name in the report."""
        return label_of(self.peer.name, self.concurrency, self.processes)


def label_of(peer_name: str, concurrency: int | None, processes: int | None) -> str:
    """Return the name of a peer with settings."""
    settings = [f"{value} {unit}" for value, unit in ((concurrency, "in flight"), (processes, "processes")) if value]
    return f"{peer_name} ({', '.join(settings)})" if settings else peer_name


def make_entrants(peers: Sequence[Peer], concurrencies: Sequence[int], processes: Sequence[int]) -> list[Entrant]:
    """Combine each peer with each concurrency, and `transfer` with each number of processes besides."""
    settings: list[int | None] = [*concurrencies] or [None]
    entrants = [Entrant(peer, concurrency) for peer in peers for concurrency in settings]
    for number in processes:
        several = (with_processes(peer, number) for peer in peers if peer.name != FORGETFUL)
        entrants += [Entrant(peer, None, number) for peer in several if peer]
    return entrants
