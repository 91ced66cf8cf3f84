"""Whatever the keys, the order of the answers and the habits of the store: the listing is that of one page after
the other."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.listed_store import (
    REFUSED,
    ChangingStore,
    ListedStore,
    SlowPages,
    SparseStore,
    by_bytes,
    by_folders,
    by_utf16,
    listed,
)
from transfer.engine import listing, ordered_listing
from transfer.engine.attempts import Attempts
from transfer.engine.context import Context
from transfer.engine.external_sort import sorted_on_disk
from transfer.engine.lanes import Lanes
from transfer.engine.listing import list_pages
from transfer.engine.ordered_listing import AHEAD_PAGES, list_keys
from transfer.engine.threads import Threads
from transfer.model.errors import ProtocolError, StoreError, TransferError, UnorderedListingError
from transfer.model.objects import ListedObject, ListPage
from transfer.model.options import TransferOptions
from transfer.model.progress import Progress
from transfer.plan.advancing import BARREN_PAGES
from transfer.plan.frontier import Frontier
from transfer.plan.governor import Governor

MANY = settings(deadline=None, max_examples=150)

WORDS = ["a", "b", "photos", "x-1", "x", "x.y", "2024", "\u00e9", "\uffee", "\U0001f680", "\udc80", "\udcff", "~", " "]


def folder_path(chance: random.Random) -> str:
    return "/".join(chance.choices(WORDS, k=chance.randrange(1, 4)))


FAMILIES: list[Callable[[random.Random], str]] = [
    folder_path,
    lambda chance: f"n{chance.randrange(2000):04}",
    lambda chance: f"n{chance.randrange(2000)}",
    lambda chance: f"{chance.choice(WORDS)}/{chance.randrange(100):03}",
    lambda chance: f"{chance.choice(WORDS)}{chance.choice('/-.')}{int(chance.paretovariate(0.3)) % 10**9}",
    lambda chance: "long" * 200 + f"{chance.randrange(500)}",
    lambda chance: f"{chance.getrandbits(128):032x}",
    lambda chance: "".join(chr(chance.choice([47, 97, 255, 0xD7FF, 0xE000, 0x10FFFF])) for _ in range(5)),
]


def make_keys(families: Sequence[Callable[[random.Random], str]], count: int, chance: random.Random) -> set[str]:
    return {chance.choice(families)(chance) for _ in range(count)}


seeds = st.integers(0, 2**64)
"""Everything of a case comes from one number: what hypothesis finds simple is simple for a listing as well."""


def make_store(chance: random.Random, *, may_break_order: bool) -> ListedStore:
    orders = [by_bytes, by_folders, by_utf16] if may_break_order else [by_bytes]
    return ListedStore(
        make_keys(chance.sample(FAMILIES, chance.randint(1, 3)), chance.choice([0, 1, 5, 40, 200, 500]), chance),
        chance.choice(orders),
        chance.randint(1, 9),
        ignores_start_after=may_break_order and chance.random() < 0.1,
    )


def drive(
    store: ListedStore | ChangingStore | SparseStore,
    frontier: Frontier,
    prefix: str,
    chance: random.Random,
    taken: list[str] | None = None,
) -> list[str]:
    """Ask for what the frontier wants, answer in any order, and take what comes out.

    It never waits for nothing: a page is under way, or there is one to ask for, or keys come out.
    """
    in_flight = []
    taken = [] if taken is None else taken
    while not frontier.is_finished:
        while (request := frontier.next_request(chance.choice([1, 2, 5, 20, 60]))) is not None:
            in_flight.append(request)
            if chance.random() < 0.2:
                break
        if in_flight:
            request = in_flight.pop(chance.randrange(len(in_flight)))
            try:
                page = store.page(prefix, request.start_after, request.token, request.page_keys)
            except TransferError as error:
                frontier.fail(request, error)
            else:
                frontier.accept(request, page)
        else:
            batch = frontier.take()
            assert batch is not None or frontier.is_finished
            taken += [found.key for found in batch or ()]
        while chance.random() < 0.7 and (batch := frontier.take()) is not None:
            taken += [found.key for found in batch]
    return taken


@MANY
@given(seeds)
def test_any_keys_in_any_pages_are_one_listing(seed: int) -> None:
    chance = random.Random(seed)
    store = make_store(chance, may_break_order=False)
    prefix = chance.choice(["", "", "n", "x", "long"])

    assert drive(store, Frontier("b", prefix), prefix, chance) == store.listing(prefix)


@MANY
@given(seeds)
def test_order_that_is_not_needed_costs_no_key(seed: int) -> None:
    chance = random.Random(seed)
    store = make_store(chance, may_break_order=True)

    assert drive(store, Frontier("b", "", needs_order=False), "", chance) == store.listing()


@MANY
@given(seeds)
def test_order_that_is_needed_is_kept_or_refused(seed: int) -> None:
    chance = random.Random(seed)
    store = make_store(chance, may_break_order=True)
    in_order = sorted(store.keys, key=str_order)

    try:
        found = drive(store, Frontier("b", ""), "", chance)
    except UnorderedListingError:
        # Keys that happen to be in order say nothing of the texts between them that are asked for.
        assert store.ignores_start_after or store.order is not by_bytes
    else:
        assert found == store.listing() == in_order


@MANY
@given(seeds)
def test_keys_that_come_and_go_move_no_other(seed: int) -> None:
    chance = random.Random(seed)
    store = make_store(chance, may_break_order=False)
    before = store.listing()
    doomed = {key for key in before if chance.random() < 0.2}
    later = make_keys(FAMILIES, len(before) // 5, chance) - set(before)
    after = ListedStore((set(before) - doomed) | later, page_keys=store.page_keys)
    changing = ChangingStore([store, after], chance)

    found = drive(changing, Frontier("b", ""), "", chance)

    assert found == sorted(set(found), key=str_order)
    assert set(before) - doomed <= set(found) <= set(before) | later


@MANY
@given(seeds)
def test_a_failed_page_comes_out_where_it_is(seed: int) -> None:
    chance = random.Random(seed)
    store = make_store(chance, may_break_order=False)
    keys = store.listing()
    # Pages that begin with any key of a run fail, so that no cut of the pages avoids a run as long as a page.
    first = chance.randrange(len(keys) + 1)
    doomed = keys[first : first + store.page_keys + 1]
    store.failures = dict.fromkeys(doomed, REFUSED)
    taken: list[str] = []
    failure: StoreError | None = None

    try:
        drive(store, Frontier("b", ""), "", chance, taken)
    except StoreError as error:
        failure = error

    assert taken == keys[: len(taken)]
    assert (failure is None) == (len(taken) == len(keys))
    assert failure is None or len(taken) < first + len(doomed)
    assert failure is REFUSED or len(doomed) <= store.page_keys


@settings(deadline=None, max_examples=400)
@given(seeds)
def test_empty_and_short_pages_hold_nothing_up(seed: int) -> None:
    chance = random.Random(seed)
    store = make_store(chance, may_break_order=chance.random() < 0.2)
    store.page_keys = chance.choice([3, 10, 50])
    sparse = SparseStore(
        store, chance, empty_share=chance.choice([0.0, 0.1, 0.5, 0.9]), failing_share=chance.choice([0.0, 0.0, 0.02])
    )
    taken: list[str] = []

    try:
        drive(sparse, Frontier("b", "", needs_order=False), "", chance, taken)
    except TransferError:
        assert taken == store.listing()[: len(taken)]
    else:
        assert taken == store.listing()


def test_an_empty_page_may_come_first_wherever_a_listing_is_split() -> None:
    for seed in range(100):
        chance = random.Random(seed)
        store = make_store(chance, may_break_order=False)

        class EmptyFirst(ListedStore):
            def page(self, prefix: str, start_after: str, token: str | None, page_keys: int) -> ListPage:
                return super().page(prefix, start_after, token, 0 if start_after and token is None else page_keys)

        assert drive(EmptyFirst(store.keys, page_keys=5), Frontier("b", ""), "", chance) == store.listing()


def str_order(key: str) -> bytes:
    return key.encode("utf-8", "surrogateescape")


@asynccontextmanager
async def run_of(store: ListedStore, pages: SlowPages, *, in_background: bool = True) -> AsyncIterator[Context]:
    """A run whose listings go to a store in memory, and which is as eager as if that store were far away."""
    lanes = Lanes(Governor.fixed(32), lambda _: None)
    progress = Progress()
    # The store stands where an `S3Store` does: only `list_page`, replaced here, ever asks it for more.
    attempts = Attempts(store, lanes, progress, lambda _: None, retries=0)  # type: ignore[arg-type]  # a store that only lists
    options = TransferOptions()
    context = Context(store, attempts, lanes, Threads(), progress, lambda _: None, options)  # type: ignore[arg-type]  # as above
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ordered_listing, "list_page", pages)
        patch.setattr(ordered_listing, "LOOK_SECONDS", 0.0)
        patch.setattr(ordered_listing, "IDLE_SHARE", float("inf"))
        patch.setattr(ordered_listing, "BUSY_SHARE", float("inf"))
        async with anyio.create_task_group() as tasks:
            context.tasks = tasks if in_background else None
            yield context
            assert pages.in_flight == 0
            tasks.cancel_scope.cancel()


async def keys_of(batches: AsyncIterator[tuple[ListedObject, ...]]) -> list[str]:
    found = []
    async for batch in batches:
        assert batch
        assert list(batch) == [listed(entry.key) for entry in batch]
        found += [entry.key for entry in batch]
    return found


@settings(deadline=None, max_examples=50)
@given(seeds)
def test_listings_of_any_store(seed: int) -> None:
    chance = random.Random(seed)
    store = make_store(chance, may_break_order=True)
    sparse = SparseStore(store, chance, empty_share=chance.choice([0.0, 0.3, 0.8]), failing_share=0.0)
    pages = SlowPages(sparse if chance.random() < 0.5 else store, seed)
    is_sorted_on_disk, in_background = chance.random() < 0.5, chance.random() < 0.8

    async def work() -> list[str]:
        async with run_of(store, pages, in_background=in_background) as context:
            return await keys_of(list_keys(context, "b", "", needs_order=False, is_sorted_on_disk=is_sorted_on_disk))

    assert asyncio.run(work()) == (sorted(store.keys, key=str_order) if is_sorted_on_disk else store.listing())


def numbered(count: int) -> list[str]:
    return [f"dir/{number:06}" for number in range(count)]


async def test_pages_are_fetched_side_by_side_and_each_once() -> None:
    store = ListedStore(numbered(10_000), page_keys=10)
    pages = SlowPages(store)

    async with run_of(store, pages) as context:
        assert await keys_of(list_keys(context, "b", "dir/")) == store.listing()

    assert 16 <= pages.most_in_flight <= 32
    # Neighbours share a key, and the end is not known before it is passed.
    assert len(store.asked) < 1000 * 10 / 9 + 64


@pytest.mark.parametrize("count", [0, 1, 999, 1000])
async def test_a_listing_of_one_page_is_one_request(count: int) -> None:
    store = ListedStore(numbered(count))

    async with run_of(store, SlowPages(store)) as context:
        assert await keys_of(list_keys(context, "b", "dir/")) == store.listing()

    assert store.asked == [""]


async def test_pages_wait_for_whoever_takes_them() -> None:
    store = ListedStore(numbered(20_000), page_keys=50)
    pages = SlowPages(store)

    async with run_of(store, pages) as context, aclosing(list_keys(context, "b", "dir/")) as batches:
        taken = 0
        async for _ in batches:
            taken += 1
            for _ in range(50):
                await asyncio.sleep(0)
            assert len(store.asked) <= taken + AHEAD_PAGES + 1


async def test_closing_early_ends_what_is_in_flight() -> None:
    store = ListedStore(numbered(5_000), page_keys=50)
    pages = SlowPages(store, slowest_turns=50)

    async with run_of(store, pages) as context:
        async with aclosing(list_keys(context, "b", "dir/")) as batches:
            async for batch in batches:
                if batch[0].key > "dir/001000":
                    break
        assert pages.most_in_flight > 1
        asked = len(store.asked)
        for _ in range(100):
            await asyncio.sleep(0)
        assert (pages.in_flight, len(store.asked)) == (0, asked)


async def test_a_text_that_the_store_refuses_fails_no_listing() -> None:
    store = ListedStore(numbered(1_000), page_keys=50, refused_texts=lambda _: REFUSED)

    async with run_of(store, SlowPages(store)) as context:
        assert await keys_of(list_keys(context, "b", "dir/")) == store.listing()

    assert any(store.asked)


@pytest.mark.parametrize("in_background", [False, True])
async def test_a_failure_comes_after_the_keys_before_it(in_background: bool) -> None:
    store = ListedStore(numbered(1_000), page_keys=50)
    store.failures = dict.fromkeys(store.listing()[500:600], StoreError("no", status=501, code="NotImplemented"))
    taken: list[str] = []

    async with run_of(store, SlowPages(store), in_background=in_background) as context:
        with pytest.raises(StoreError):
            async for batch in list_keys(context, "b", "dir/"):
                taken += [entry.key for entry in batch]

    assert taken == store.listing()[: len(taken)]
    assert 450 <= len(taken) <= 600


class Endless(ListedStore):
    """A store whose listing of 20 pages never ends."""

    way: str = ""

    def page(self, prefix: str, start_after: str, token: str | None, page_keys: int) -> ListPage:
        count = len(self.asked)
        if token is not None:
            token = token.split(".")[0]
        page = super().page(prefix, start_after, token, page_keys)
        match self.way:
            case "one token":
                return replace(page, next_token="50")
            case "two tokens" if page.next_token == "150":
                return replace(page, next_token="50")
            case "from the beginning" if page.next_token is None:
                return replace(page, next_token=f"0.{count}")
            case "one page":
                return replace(page, next_token=f"0.{count}")
            case "empty pages" if token == "300":
                return ListPage((), (), f"300.{count}")
        return page


WAYS = ["one token", "two tokens", "from the beginning", "one page", "empty pages"]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("in_background", [False, True])
@pytest.mark.parametrize("habit", [{}, {"needs_order": False}, {"is_sorted_on_disk": True}])
async def test_a_listing_that_never_ends_is_an_error(way: str, in_background: bool, habit: dict[str, bool]) -> None:
    store = Endless(numbered(1000), page_keys=50)
    store.way = way

    async with run_of(store, SlowPages(store), in_background=in_background) as context:
        error: TransferError | None = None
        found: list[str] = []
        try:
            found = await keys_of(list_keys(context, "b", "dir/", **habit))
        except (ProtocolError, UnorderedListingError) as refusal:
            error = refusal

    # Where a listing is split, the token that leads back may never be shown.
    may_escape = in_background and "is_sorted_on_disk" not in habit
    assert error is not None or (may_escape and found == store.listing())
    assert error is None or not habit or "does not advance" in str(error)
    assert len(store.asked) < 2 * BARREN_PAGES


@pytest.mark.parametrize("way", WAYS)
async def test_pages_that_never_end_are_an_error(way: str) -> None:
    store = Endless(numbered(1000), page_keys=50)
    store.way = way
    pages = SlowPages(store)

    async with run_of(store, pages) as context:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(listing, "list_page", pages)
            with pytest.raises(ProtocolError, match="does not advance"):
                async for _ in list_pages(context, "b", "dir/"):
                    pass

    assert len(store.asked) < 2 * BARREN_PAGES


async def test_broken_order_is_refused_and_then_made_on_disk() -> None:
    keys = [f"{name}{number:03}" for name in ("a/", "a-", "b/", "b.") for number in range(200)]
    store = ListedStore(keys, by_folders, page_keys=50)

    async with run_of(store, SlowPages(store)) as context:
        with pytest.raises(UnorderedListingError):
            await keys_of(list_keys(context, "b", ""))
        assert await keys_of(list_keys(context, "b", "", needs_order=False)) == store.listing()
        assert await keys_of(list_keys(context, "b", "", is_sorted_on_disk=True)) == sorted(keys)


async def test_sorting_keeps_each_key_once() -> None:
    async def twice(batches: Sequence[Sequence[str]]) -> AsyncIterator[tuple[ListedObject, ...]]:
        for batch in batches:
            yield tuple(map(listed, batch))

    keys = [f"k{number:05}" for number in range(2_500)]
    shuffled = random.Random(1).sample(keys, len(keys))
    found = await keys_of(sorted_on_disk(Threads(), twice([shuffled[:900], shuffled, shuffled[2000:]])))

    assert found == keys
