import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.support.crew_worker import PlayedWorker, deaf, played
from transfer.engine.crew import member as member_module
from transfer.engine.crew.member import LostError, Member
from transfer.engine.crew.orders import Cancel, DoPart, Move, OpenFile, PartDone, Settled, Share
from transfer.engine.items import UploadItem
from transfer.engine.range_fetching import RangeToFetch
from transfer.engine.verifying import RangeDigest
from transfer.model.checksums import ChecksumAlgorithm
from transfer.model.locations import S3Location
from transfer.model.ranges import ByteRange
from transfer.model.receipts import Mover, Skip

RANGE = ByteRange(1, 0, 5)
PART = RangeToFetch(S3Location("bucket", "key"), "etag", 5, RANGE, ChecksumAlgorithm.CRC32)
ITEM = UploadItem("file", S3Location("bucket", "key"), 3, 4)


def done(ticket: int, *, cancelled: bool = False) -> PartDone:
    return PartDone(ticket, None if cancelled else RangeDigest(RANGE, b"1234"), Mover.RECV, 2)


Pair = tuple[Member, PlayedWorker, list[Any]]


@pytest.fixture
async def pair() -> AsyncIterator[Pair]:
    heard: list[Any] = []
    with played() as (forked, worker):
        member = Member(forked, lambda _, message: heard.append(message))
        yield member, worker, heard
    await member.aclose()


async def test_items_are_numbered_and_held_until_they_settle(pair: Pair) -> None:
    member, worker, _ = pair
    assert (member.move([ITEM, ITEM]), member.move([ITEM])) == (range(2), range(2, 3))
    order = await worker.heard(Move)
    assert (order.first, order.items, member.held) == (2, (ITEM,), 3)
    settled = Settled(1, Skip("file", "why not"), None)
    worker.channel.send(settled)
    await member.wait()
    assert (list(member.take_settled()), list(member.take_settled()), member.held) == ([settled], [], 2)


async def test_a_share_is_told_when_it_changes(pair: Pair) -> None:
    member, worker, _ = pair
    for requests, cuts in ((3, 0), (3, 0), (5, 0), (5, 0), (5, 1)):
        member.may_make(requests, cuts)
    member.send("last")
    await worker.heard(str)
    assert worker.told == [Share(3, 0), Share(5, 0), Share(5, 1), "last"]


async def test_a_part_of_an_open_file_is_done_elsewhere(pair: Pair, tmp_path: Path) -> None:
    member, worker, _ = pair
    path = tmp_path / "file"
    path.write_bytes(b"here")
    busy: list[int] = []
    worker.answer = lambda order: worker.channel.send(done(order.ticket)) if isinstance(order, DoPart) else None
    with path.open("rb") as file:
        number = member.open_file(file.fileno(), str(path), None)
        found = await member.do(PART, number, lambda: busy.append(member.held))
    order = await worker.heard(DoPart)
    opened = await worker.heard(OpenFile)
    assert (order.file, order.part, opened.number, opened.path) == (number, PART, number, str(path))
    assert os.pread(worker.files[0], 9, 0) == b"here"
    assert (found, busy, member.held) == (done(order.ticket), [1], 0)


async def test_a_cancelled_part_is_over_when_its_worker_says_so(pair: Pair) -> None:
    member, worker, _ = pair
    task = asyncio.create_task(member.do(PART, 1, lambda: None))
    order = await worker.heard(DoPart)
    task.cancel()
    assert await worker.heard(Cancel) == Cancel(order.ticket)
    assert not task.done()
    worker.channel.send(done(order.ticket, cancelled=True))
    with pytest.raises(asyncio.CancelledError):
        await task
    assert member.held == 0


async def test_whoever_waits_learns_that_the_worker_is_lost(pair: Pair) -> None:
    member, worker, heard = pair
    member.move([ITEM])
    cancelled, waiting = (asyncio.create_task(member.do(PART, 1, lambda: None)) for _ in range(2))
    await worker.heard(DoPart)
    cancelled.cancel()
    await worker.heard(Cancel)
    worker.channel.close()
    await member.wait()
    with pytest.raises(LostError):
        await waiting
    with pytest.raises(asyncio.CancelledError):
        await cancelled
    with pytest.raises(LostError):
        await member.do(PART, 1, lambda: None)
    assert (member.is_lost, member.held, heard) == (True, 0, [None])


async def test_a_worker_may_be_lost_right_after_its_last_words(pair: Pair) -> None:
    member, worker, heard = pair

    def answer(order: Any) -> None:
        if isinstance(order, DoPart):
            worker.channel.send(done(order.ticket))
            asyncio.get_running_loop().call_soon(worker.channel.close)

    worker.answer = answer
    with anyio.fail_after(5):
        found = await member.do(PART, 1, lambda: None)
        await member.wait()
    assert (found.result, member.is_lost, heard) == (RangeDigest(RANGE, b"1234"), True, [None])


@pytest.fixture
async def deaf_member(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Member]:
    monkeypatch.setattr(member_module, "ENDING_SECONDS", 0.02)
    with deaf() as forked:
        member = Member(forked, lambda *_: None)
        yield member
        await member.aclose()


def lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_a_worker_that_does_not_stop_a_cancelled_part_is_ended(deaf_member: Member) -> None:
    cancelled, waiting = (asyncio.create_task(deaf_member.do(PART, 1, lambda: None)) for _ in range(2))
    with anyio.fail_after(5):
        await anyio.wait_all_tasks_blocked()
        cancelled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cancelled
        assert not lives(deaf_member.pid)
        with pytest.raises(LostError):
            await waiting
    assert (deaf_member.is_lost, deaf_member.held) == (True, 0)


async def test_whoever_waits_for_a_worker_that_is_closed_learns_of_it(deaf_member: Member) -> None:
    waiting = asyncio.create_task(deaf_member.do(PART, 1, lambda: None))
    with anyio.fail_after(5):
        await anyio.wait_all_tasks_blocked()
        await deaf_member.aclose()
        assert not lives(deaf_member.pid)
        with pytest.raises(LostError):
            await waiting
