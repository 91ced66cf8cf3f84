"""Which questions find out the parts of an object, at stores that answer all, some or none of them."""

from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import pytest

from transfer.engine import part_lengths
from transfer.engine.attempts import Tally
from transfer.engine.part_lengths import exact_lengths, probable_lengths
from transfer.model.errors import StoreError
from transfer.model.locations import S3Location
from transfer.model.objects import ObjectInfo
from transfer.stores.s3.attributes import PartLengthsPage

PLACE = S3Location("b", "k")
ETAG = '"00112233445566778899aabbccddeeff-3"'


class Store:
    """Knows the parts of one object, and tells them in some ways."""

    def __init__(self, *lengths: int, lists: bool = True, heads: bool = True, status: int = 501) -> None:
        self.lengths = lengths
        self.lists = lists
        self.heads = heads
        self.status = status
        self.asked: list[object] = []

    def refuse(self) -> StoreError:
        return StoreError("no", status=self.status, code="No")


@pytest.fixture
def context(monkeypatch: pytest.MonkeyPatch) -> Callable[[Store], Any]:
    async def head_part(store: Store, location: S3Location, number: int, etag: str) -> int:
        assert (location, etag) == (PLACE, ETAG)
        store.asked.append(number)
        if not store.heads:
            raise store.refuse()
        return store.lengths[number - 1]

    async def list_part_lengths(store: Store, location: S3Location, marker: int) -> PartLengthsPage:
        assert location == PLACE
        store.asked.append("page")
        if not store.lists:
            raise store.refuse()
        following = marker + 1
        more = following if following < len(store.lengths) else None
        return PartLengthsPage(ETAG.strip('"'), {following: store.lengths[marker]}, more)

    async def run(location: S3Location, action: Callable[[None], Awaitable[object]], tally: Tally) -> object:
        return await action(None)

    monkeypatch.setattr(part_lengths, "head_part", head_part)
    monkeypatch.setattr(part_lengths, "list_part_lengths", list_part_lengths)
    return lambda store: SimpleNamespace(
        store=store, attempts=SimpleNamespace(run=run), may_add_part_worker=lambda workers: workers < 3
    )


def info(*lengths: int, etag: str = ETAG) -> ObjectInfo:
    return ObjectInfo(sum(lengths), etag)


async def test_even_parts_cost_one_question(context: Any) -> None:
    store = Store(8, 8, 3)
    assert await probable_lengths(context(store), PLACE, info(8, 8, 3), Tally()) == (8, 8, 3)
    assert store.asked == [1]


@pytest.mark.parametrize("lists", [True, False])
async def test_uneven_parts_are_asked_for_one_by_one(context: Any, lists: bool) -> None:
    store = Store(5, 9, 3, lists=lists)
    assert await probable_lengths(context(store), PLACE, info(5, 9, 3), Tally()) == (5, 9, 3)
    assert store.asked[:2] == [1, "page"]
    assert store.asked[2:] == (["page", "page"] if lists else [1, 2, 3])


async def test_a_store_that_does_not_tell(context: Any) -> None:
    assert await probable_lengths(context(Store(8, 8, 3, heads=False)), PLACE, info(8, 8, 3), Tally()) is None
    whole = Store(19, 19, 19, lists=False)
    assert await probable_lengths(context(whole), PLACE, info(8, 8, 3), Tally()) is None
    assert await exact_lengths(context(whole), PLACE, info(8, 8, 3), Tally()) is None
    assert await exact_lengths(context(Store(8, 8, 3, heads=False, lists=False)), PLACE, info(8, 8, 3), Tally()) is None


async def test_nothing_needs_to_be_asked(context: Any) -> None:
    one, plain = ETAG.replace("-3", "-1"), ETAG.replace("-3", "")
    store = Store(7)
    assert await probable_lengths(context(store), PLACE, info(7, etag=one), Tally()) == (7,)
    assert await probable_lengths(context(store), PLACE, info(7, etag=plain), Tally()) is None
    assert store.asked == []


async def test_other_failures_come_out(context: Any) -> None:
    for store in (Store(8, 8, 3, heads=False, status=500), Store(5, 9, 3, lists=False, status=503)):
        with pytest.raises(StoreError):
            await probable_lengths(context(store), PLACE, info(*store.lengths), Tally())


async def test_a_list_of_another_version_is_not_believed(context: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async def other(store: Store, location: S3Location, marker: int) -> PartLengthsPage:
        return PartLengthsPage("another", {1: 5, 2: 5, 3: 9}, None)

    store = Store(5, 9, 5)
    made = context(store)
    monkeypatch.setattr(part_lengths, "list_part_lengths", other)
    assert await exact_lengths(made, PLACE, info(5, 9, 5), Tally()) == (5, 9, 5)
