"""Stores that show what is not below the prefix they were asked for."""

from __future__ import annotations

import pytest

from tests.integration.samples import settled
from tests.integration.test_old_listings import opened
from tests.support.listing_store import ListingStore
from transfer.model.errors import OutsidePrefixError
from transfer.stores.s3.listing import list_page

KEYS = [f"mine/{number:02}" for number in range(40)]


@pytest.mark.parametrize("stray", ["/", "mine", "min/1", "mine.", "other/1", "\u00e9"])
@pytest.mark.parametrize("is_old", [False, True])
async def test_nothing_outside_of_the_prefix_is_removed(
    stray: str, is_old: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    # "mine/00" breaks the order, which a removal does not need, some pages before.
    store = ListingStore(KEYS, page_entries=4, ignores_version_2=is_old, strays={3: ["mine/00"], 5: [stray]})
    async with opened(store, monkeypatch) as transfer:
        with pytest.raises(OutsidePrefixError) as caught:
            await settled(transfer.remove_many(["s3://b/mine/"], recursive=True))
    assert repr(stray) in str(caught.value)
    assert not any(f"<Key>{stray}</Key>".encode() in body for body in store.removals)
    assert caught.value.subject == "s3://b/mine/"


async def test_folders_outside_of_the_prefix_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    store = ListingStore(["mine/a/1", "mine/b/1"], strays={1: ["theirs/c/1"]})
    async with opened(store, monkeypatch) as transfer:
        known = transfer._running().store
        with pytest.raises(OutsidePrefixError, match="theirs"):
            await list_page(known, "b", "mine/", delimiter="/")


async def test_without_a_prefix_everything_is_inside(monkeypatch: pytest.MonkeyPatch) -> None:
    store = ListingStore(["mine/a/1", "mine/b/1"])
    async with opened(store, monkeypatch) as transfer:
        page = await list_page(transfer._running().store, "b", "", delimiter="/")
    assert page.prefixes == ("mine/",)
