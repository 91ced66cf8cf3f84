"""The command as users run it, against every fault by script and by seeded chance: the right bytes and exit 0."""

import hashlib
import random
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import dropwhile
from pathlib import Path
from typing import Any

import pytest

from tests.fault.conftest import MIB, Bench, content_of
from tests.fault.test_faults import error_body, write_profile
from tests.support.chance import COMPLETION_ERROR, Chance
from tests.support.cli import Cli
from tests.support.fault_exchange import SeenRequest
from tests.support.fault_proxy import ThreadedFaultProxy
from tests.support.faults import (
    ClockAhead,
    CloseIdle,
    Direction,
    DropAnswer,
    Fault,
    FlipBit,
    RefuseConnections,
    ReplaceBody,
    Reset,
    Stall,
    Trickle,
    Truncate,
    s3_error,
)
from tests.support.header_faults import RespondToHeader
from transfer.engine.context import MORE_ITEMS_THAN_LANES
from transfer.model.events import ConcurrencyChanged, Event
from transfer.model.options import TransferOptions
from transfer.model.receipts import Receipt
from transfer.plan.governor import DEFAULT_INITIAL

SIZE = 24 * MIB
PARTS = 3
MIDDLE = 4 * MIB
# A second is enough to tell a dead connection from a live one on this machine.
IMPATIENT = ("--stall-timeout", "1")
UP: dict[str, Any] = {"method": "PUT", "target": "partNumber=2", "direction": Direction.UP}
PART: dict[str, Any] = {"method": "PUT", "target": "partNumber=2"}
COMPLETE: dict[str, Any] = {"method": "POST", "target": "uploadId="}
GET: dict[str, Any] = {"method": "GET", "nth": 2}


def now_in_the_store() -> tuple[tuple[str, str], ...]:
    return ClockAhead(ahead=timedelta(minutes=1)).answer_headers()


UPLOADS: dict[str, tuple[Fault, ...]] = {
    "reset up at the first byte": (Reset(**UP, at_byte=0),),
    "reset up in the middle": (Reset(**UP, at_byte=MIDDLE),),
    "reset up before the request": (Reset(**UP, at_byte=None),),
    "reset down": (Reset(**PART, at_byte=None),),
    "stall up": (Stall(**UP, at_byte=MIDDLE),),
    "stall down": (Stall(**PART, at_byte=None),),
    "trickle up": (Trickle(**UP, at_byte=MIDDLE),),
    "truncate up": (Truncate(**UP, at_byte=MIDDLE),),
    "flip up": (FlipBit(**UP, at_byte=MIDDLE, bit=3),),
    "500": (s3_error(500, "InternalError", **PART),),
    "503": (s3_error(503, "SlowDown", **PART),),
    "400": (s3_error(400, "RequestTimeout", **PART),),
    "skew": (s3_error(403, "RequestTimeTooSkewed", **PART, headers=now_in_the_store()),),
    "500 to the completion": (s3_error(500, "InternalError", **COMPLETE),),
    "200 with an error, not completed": (s3_error(200, "InternalError", **COMPLETE),),
    "200 with an error, completed": (ReplaceBody(**COMPLETE, body=COMPLETION_ERROR),),
    "drop the answer to the completion": (DropAnswer(**COMPLETE),),
    "reset instead of the answer to the completion": (DropAnswer(**COMPLETE, reset=True),),
    "drop the answer to a part": (DropAnswer(**PART),),
    "drop the answer to the creation": (DropAnswer(method="POST", target=r"\?uploads"),),
    "close idle": (CloseIdle(times=None),),
    "refuse": (RefuseConnections(**PART, connections=4),),
}
DOWNLOADS: dict[str, tuple[Fault, ...]] = {
    "reset up before the request": (Reset(**GET, direction=Direction.UP, at_byte=None),),
    "reset down at the first byte": (Reset(**GET, at_byte=0),),
    "reset down in the middle": (Reset(**GET, at_byte=MIDDLE),),
    "reset down before the answer": (Reset(**GET, at_byte=None),),
    "stall up": (Stall(**GET, direction=Direction.UP, at_byte=None),),
    "stall down": (Stall(**GET, at_byte=MIDDLE),),
    "trickle down": (Trickle(**GET, at_byte=MIDDLE),),
    "truncate down": (Truncate(**GET, at_byte=MIDDLE),),
    "flip down": (FlipBit(**GET, at_byte=MIDDLE, bit=3),),
    "500": (s3_error(500, "InternalError", **GET),),
    "503": (s3_error(503, "SlowDown", **GET),),
    "400": (s3_error(400, "RequestTimeout", **GET),),
    "skew": (s3_error(403, "RequestTimeTooSkewed", **GET, headers=now_in_the_store()),),
    "drop the answer": (DropAnswer(**GET),),
    "reset instead of the answer": (DropAnswer(**GET, reset=True),),
    "close idle": (CloseIdle(times=None),),
    "refuse": (RefuseConnections(**GET, connections=4),),
}


@contextmanager
def behind(bench: Bench, *faults: Fault, chance: Chance | None = None) -> Iterator[tuple[Cli, ThreadedFaultProxy]]:
    """The command behind a proxy; each of the faults must have acted by the end."""
    with ThreadedFaultProxy(bench.server.endpoint_url, *faults, chance=chance) as proxy:
        yield Cli(bench.server.at(proxy.endpoint_url), bench.folder), proxy
        assert proxy.unspent() == []


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def patience_for(faults: tuple[Fault, ...]) -> tuple[str, ...]:
    return IMPATIENT if any(isinstance(fault, Stall | Trickle) for fault in faults) else ()


@pytest.mark.parametrize("kind", UPLOADS)
def test_an_upload_outlives_each_fault(bench: Bench, kind: str) -> None:
    faults = UPLOADS[kind]
    source = bench.file(SIZE)
    with behind(bench, *faults) as (cli, proxy):
        cli.ok("cp", "--part-size", "8MiB", *patience_for(faults), str(source), bench.url())
        assert sum(proxy.injected.values()) >= len(faults)
        assert proxy.bytes_up >= SIZE
    assert bench.uploads() == []
    assert hashlib.sha256(bench.stored()).hexdigest() == sha256(source)


@pytest.mark.parametrize("kind", DOWNLOADS)
def test_a_download_outlives_each_fault(bench: Bench, kind: str) -> None:
    faults = DOWNLOADS[kind]
    content = content_of(SIZE, "kept")
    bench.oracle.put_object(Bucket=bench.bucket, Key="key", Body=content, ChecksumAlgorithm="CRC32")
    with behind(bench, *faults) as (cli, proxy):
        cli.ok("cp", "--part-size", "8MiB", *patience_for(faults), bench.url(), str(bench.target()))
        assert sum(proxy.injected.values()) >= len(faults)
        assert len(proxy.seen("GET")) >= PARTS
    assert sha256(bench.target()) == hashlib.sha256(content).hexdigest()
    assert bench.landed() == ["file"]


def make_tree(folder: Path, seed: int) -> dict[str, str]:
    """Thirty files of mixed sizes, two of them in parts; their digests by name."""
    chance = random.Random(seed)
    sizes = [0, 1, 20 * MIB, 17 * MIB + 1, *(chance.randrange(2 ** chance.randrange(4, 21)) for _ in range(26))]
    for number, size in enumerate(sizes):
        path = folder / f"d{number % 4}" / f"file {number}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(chance.randbytes(size))
    return digests(folder)


def digests(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): sha256(path) for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_tree_goes_up_and_comes_back_through_faults_by_chance(bench: Bench, seed: int) -> None:
    expected = make_tree(bench.folder / "tree", seed)
    flags = ("--part-size", "5MiB", "--recursive", *IMPATIENT)
    with behind(bench, chance=Chance(seed, 0.05)) as (cli, proxy):
        cli.ok("cp", *flags, str(bench.folder / "tree"), bench.url("up/"))
        went_up = proxy.injected
        cli.ok("cp", *flags, bench.url("up/"), str(bench.folder / "back"))
        assert sum(went_up.values()) > 0
        assert sum(proxy.injected.values()) > sum(went_up.values())
    assert digests(bench.folder / "back") == expected


def in_flight(requests: list[SeenRequest], seconds: float) -> int:
    """How many exchanges went on at this moment."""
    return sum(seen.began_seconds <= seconds < (seen.ended_seconds or float("inf")) for seen in requests)


async def test_answers_to_slow_down_lower_the_concurrency_of_all_lanes(bench: Bench) -> None:
    sources = [str(bench.file(MIB // 2, f"many/{number}")) for number in range(80)]
    limits: list[tuple[float, int]] = []

    def note(event: Event) -> None:
        if isinstance(event, ConcurrencyChanged):
            limits.append((time.monotonic(), event.limit))

    # The limited rate makes the run last several windows of the governor on any machine.
    options = TransferOptions(limit_rate_bytes_per_second=20 * MIB)
    fault = s3_error(503, "SlowDown", method="PUT", times=DEFAULT_INITIAL)
    async with bench.run(fault, options=options, on_event=note) as run:
        outcomes = [outcome async for outcome in run.transfer.copy_many(sources, bench.url("many/"))]
        requests = list(run.proxy.requests)
    assert all(isinstance(outcome, Receipt) for outcome in outcomes)
    # Left alone, a run begins by doubling its lanes.
    lowered_seconds, after = limits[0]
    assert after < DEFAULT_INITIAL
    until_seconds = limits[1][0] if len(limits) > 1 else float("inf")
    begun = [seen.began_seconds for seen in requests if lowered_seconds < seen.began_seconds < until_seconds]
    levels = [in_flight(requests, seconds) for seconds in begun]
    # Those that were in flight when the limit fell end first.
    settled = list(dropwhile(lambda level: level > after, levels))
    assert settled
    assert max(settled) <= after


def test_the_pause_a_store_asks_for_is_kept_by_every_lane(bench: Bench) -> None:
    for number in range(6):
        bench.file(1000, f"many/{number}")
    busy = s3_error(503, "SlowDown", method="PUT", times=6, headers=(("Retry-After", "1"),))
    with behind(bench, busy) as (cli, proxy):
        cli.ok("cp", "--recursive", str(bench.folder / "many"), bench.url("many/"))
        attempts: dict[str, list[SeenRequest]] = {}
        for seen in proxy.seen("PUT"):
            attempts.setdefault(seen.target, []).append(seen)
    refused = [requests for requests in attempts.values() if len(requests) > 1]
    assert proxy.injected == {"SlowDown": 6}
    assert len(refused) == len(attempts) == 6
    for first, second in refused:
        assert first.ended_seconds is not None
        assert second.began_seconds - first.ended_seconds >= 1.0


def test_the_clock_of_the_store_is_learnt_once_for_all_lanes(bench: Bench) -> None:
    lanes = 8
    for number in range(60):
        bench.file(1000, f"many/{number}")
    with behind(bench, ClockAhead()) as (cli, proxy):
        cli.ok("cp", "--recursive", "--concurrency", str(lanes), str(bench.folder / "many"), bench.url("many/"))
        statuses = Counter(seen.status for seen in proxy.requests)
        refused = Counter(seen.target for seen in proxy.requests if seen.fault_applied)
    assert len(bench.keys()) == statuses[200] == 60
    assert 1 <= statuses[403] <= lanes
    assert set(refused.values()) == {1}


def test_an_expired_token_is_renewed_once_for_many_lanes(bench: Bench) -> None:
    log = write_profile(bench.folder, "expired-access", "test-access")
    for number in range(60):
        bench.file(1000, f"many/{number}")
    expired = RespondToHeader(
        status=403, body=error_body("ExpiredToken"), header="Authorization", pattern="Credential=expired"
    )
    with behind(bench, expired) as (cli, proxy):
        done = cli.run(
            *("cp", "--recursive", "--concurrency", "32", "--profile", "fresh"),
            *(str(bench.folder / "many"), bench.url("many/")),
            environment={"AWS_CONFIG_FILE": str(bench.folder / "config")},
        )
        assert done.returncode == 0, done.stderr.decode()
        # No item asks twice with what has expired; those without a lane yet may still ask once.
        assert 1 <= proxy.injected["RespondToHeader"] <= 32 + MORE_ITEMS_THAN_LANES
    assert len(bench.keys()) == 60
    assert len(log.read_text().splitlines()) == 2
