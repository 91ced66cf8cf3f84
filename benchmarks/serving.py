"""The endpoints that can be chosen by name, and their start."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from benchmarks.endpoints import Endpoint, Imitation, NullEndpoint
from benchmarks.null_process import null_endpoint
from benchmarks.pattern import Pattern

IMITATIONS = {
    "null": Imitation(),
    "null-tls": Imitation(is_secure=True),
    "null-s3": Imitation(delay_milliseconds=30.0, pace_megabytes=90.0),
}
DEFAULT_SCALES = {"moto": 0.01, "seaweedfs": 0.1, **dict.fromkeys(IMITATIONS, 1.0)}
"""By endpoint. A store that runs on this machine takes most of its time, so it is given less work."""
DEFAULT_ENDPOINT = "moto"


def imitation_named(
    name: str, delay_milliseconds: float | None, pace_megabytes: float | None, in_flight_limit: int | None
) -> Imitation | None:
    """Return what a null endpoint imitates, with what was asked for besides; None for a store.

    Raises:
        ValueError: Something was asked for that a store cannot imitate.
    """
    known = IMITATIONS.get(name)
    if known is None:
        if (delay_milliseconds, pace_megabytes, in_flight_limit) != (None, None, None):
            raise ValueError(f"a delay, a pace or a limit needs one of the endpoints {', '.join(IMITATIONS)}")
        return None
    return replace(
        known,
        delay_milliseconds=known.delay_milliseconds if delay_milliseconds is None else delay_milliseconds,
        pace_megabytes=known.pace_megabytes if pace_megabytes is None else pace_megabytes,
        in_flight_limit=known.in_flight_limit if in_flight_limit is None else in_flight_limit,
    )


@contextlib.contextmanager
def serve(
    name: str, url: str | None, imitation: Imitation | None, pattern: Pattern, folder: Path
) -> Iterator[Endpoint]:
    """Start the named endpoint, or take the null endpoint at `url`, which runs already. Raises EndpointError."""
    if url:
        yield NullEndpoint(url, url)
    elif imitation:
        data = folder / "objects"
        data.write_bytes(pattern.block)
        with null_endpoint(data, imitation, name) as null:
            yield null
    else:
        from benchmarks.stores import store_endpoint

        with store_endpoint(name, pattern, folder) as store:
            yield store
