from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import anyio
import pytest

from transfer.engine.backlog import LENT_FROM, Backlog
from transfer.engine.crew.lending import lend, small_item
from transfer.engine.crew.member import Member
from transfer.engine.crew.orders import Settled, SmallItem
from transfer.engine.items import CopyItem, DownloadItem, FolderItem, UploadItem
from transfer.model.errors import TransferError
from transfer.model.locations import S3Location
from transfer.model.objects import ListedObject
from transfer.model.receipts import Skip
from transfer.plan.processes import SMALL_ITEM_BYTES

KEY = S3Location("bucket", "key")


@dataclass
class Worker:
    """Stands where a member does; the test says when something settles."""

    share: int = 4
    is_lost: bool = False
    lent: list[str] = field(default_factory=list)
    settled: list[Settled] = field(default_factory=list)
    news: anyio.Event = field(default_factory=anyio.Event)

    def move(self, items: Sequence[SmallItem]) -> range:
        first = len(self.lent)
        self.lent += [item.path for item in items]
        return range(first, len(self.lent))

    def take_settled(self) -> Sequence[Settled]:
        settled, self.settled = self.settled, []
        return settled

    def wake(self) -> None:
        self.news.set()

    async def wait(self) -> None:
        await self.news.wait()
        self.news = anyio.Event()

    def settle(self, numbers: Sequence[int], outcome: Skip | None) -> None:
        self.settled += [Settled(number, outcome, None) for number in numbers]
        self.wake()

    def lose(self) -> None:
        self.is_lost = True
        self.wake()


@dataclass
class Lending:
    """One that goes on in the background, while nobody takes anything here."""

    backlog: Backlog[UploadItem]
    worker: Worker
    told: list[Settled] = field(default_factory=list)
    has_ended: bool = False
    is_of_use: bool = True
    is_asked: bool = False
    on_told: Callable[[], None] = lambda: None

    async def run(self) -> None:
        async def settle(settled: Settled) -> None:
            self.told.append(settled)
            self.on_told()

        def may_lend() -> bool:
            self.is_asked = True
            return self.is_of_use

        await lend(cast("Member", self.worker), self.backlog, small_item, settle, lambda: None, may_lend)
        self.has_ended = True

    async def rest(self) -> list[str]:
        """What is left to be moved here, once all that was lent is settled."""
        return [item.path async for batch in self.backlog.batches(64) for item in batch]


def items(sizes: Sequence[int]) -> AsyncIterator[UploadItem]:
    async def found() -> AsyncIterator[UploadItem]:
        for number, size in enumerate(sizes):
            yield UploadItem(str(number), KEY, size, 0)

    return found()


@asynccontextmanager
async def begun(sizes: Sequence[int]) -> AsyncIterator[Lending]:
    """Items of these sizes, and what a worker is lent of them."""
    lending = Lending(Backlog(items(sizes)), Worker())
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lending.backlog.fill)
        tasks.start_soon(lending.run)
        await anyio.wait_all_tasks_blocked()
        yield lending
        tasks.cancel_scope.cancel()


def names(*ranges: range) -> list[str]:
    return sorted(str(number) for one in ranges for number in one)


async def test_a_few_items_are_not_worth_it() -> None:
    async with begun([1] * (LENT_FROM - 1)) as lending:
        assert (lending.worker.lent, lending.has_ended) == ([], True)
        assert not lending.is_asked


async def test_a_worker_has_some_batches_in_hand_and_more_as_they_settle() -> None:
    async with begun([1] * 1000) as lending:
        worker = lending.worker
        assert worker.lent == [str(number) for number in range(256)]
        worker.settle(range(64), Skip("file", "reason"))
        await anyio.wait_all_tasks_blocked()
        assert worker.lent == [str(number) for number in range(320)]
        assert [settled.number for settled in lending.told] == list(range(64))


async def test_a_worker_that_is_of_no_use_is_given_no_more_until_it_is_woken() -> None:
    async with begun([1] * 1000) as lending:
        worker = lending.worker
        lending.is_of_use = False
        worker.settle(range(len(worker.lent)), Skip("file", "reason"))
        await anyio.wait_all_tasks_blocked()
        assert (len(lending.told), worker.lent) == (256, [str(number) for number in range(256)])
        lending.is_of_use = True
        worker.wake()
        await anyio.wait_all_tasks_blocked()
        assert worker.lent == [str(number) for number in range(512)]


async def test_what_is_not_small_after_all_comes_back() -> None:
    async with begun([1] * 256) as lending:
        worker = lending.worker
        worker.settle(range(5), None)
        worker.settle(range(5, len(worker.lent)), Skip("file", "reason"))
        rest = await lending.rest()
        assert sorted(rest) == names(range(5), range(len(worker.lent), 256))
        assert lending.has_ended
        assert len(lending.told) == len(worker.lent) - 5


async def test_what_a_lost_worker_had_comes_back() -> None:
    async with begun([1] * 256) as lending:
        lending.worker.settle(range(3), Skip("file", "reason"))
        await anyio.wait_all_tasks_blocked()
        lending.worker.lose()
        assert sorted(await lending.rest()) == names(range(3, 256))
        assert lending.has_ended


async def test_what_settles_while_another_is_told_is_told_although_the_worker_is_lost_then() -> None:
    async with begun([1] * 256) as lending:
        worker = lending.worker

        def last_words() -> None:
            lending.on_told = lambda: None
            worker.settle(range(1, 3), Skip("file", "reason"))
            worker.lose()

        lending.on_told = last_words
        worker.settle([0], Skip("file", "reason"))
        await anyio.wait_all_tasks_blocked()
        assert [settled.number for settled in lending.told] == [0, 1, 2]
        assert sorted(await lending.rest()) == names(range(3, 256))


async def test_large_items_before_them_do_not_hide_the_small_ones() -> None:
    large = 10 * 64
    async with begun([SMALL_ITEM_BYTES + 1] * large + [1] * 1000) as lending:
        assert lending.worker.lent == [str(number) for number in range(large, large + 256)]


LISTED = ListedObject("key", SMALL_ITEM_BYTES, "etag", 0.0)


@pytest.mark.parametrize(
    ("item", "is_small"),
    [
        (UploadItem("file", KEY, 0), True),
        (UploadItem("file", KEY, SMALL_ITEM_BYTES), True),
        (UploadItem("file", KEY, SMALL_ITEM_BYTES + 1), False),
        (UploadItem("file", KEY), False),
        (UploadItem("file", KEY, 1, read=TransferError("unreadable")), False),
        (DownloadItem(KEY, "root", "name", LISTED), True),
        (DownloadItem(KEY, "root", "name", LISTED._replace(size=SMALL_ITEM_BYTES + 1)), False),
        (DownloadItem(KEY, "root", "name"), False),
        (FolderItem(KEY, "root", "name/"), False),
        (CopyItem(KEY, KEY, LISTED), False),
        (None, False),
    ],
)
def test_which_items_are_small(item: Any, is_small: bool) -> None:
    assert small_item(item) is (item if is_small else None)
