"""Stores that only know version 1 of the listing, in all the ways in which they say so."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.support.listing_store import ListingStore
from transfer import Transfer
from transfer.model.errors import ProtocolError, StoreError
from transfer.model.objects import ListedObject
from transfer.model.options import AddressingStyle, ConnectionOptions
from transfer.stores.s3.listing import list_page

KEYS = sorted(["a", "a b", "b%41", "c/1", "c/2", "d/1", "e+f", "g&h", "é", "z"])
HABITS: dict[str, dict[str, Any]] = {
    "not implemented": {"refuses_version_2": (b"501 Not Implemented", "NotImplemented")},
    "an invalid argument": {"refuses_version_2": (b"400 Bad Request", "InvalidArgument")},
    "ignored": {"ignores_version_2": True},
    "ignored without a marker": {"ignores_version_2": True, "tells_marker": False},
    "ignored, encoded markers": {"ignores_version_2": True, "tells_next_marker": "encoded"},
    "ignored, plain markers": {"ignores_version_2": True, "tells_next_marker": "plain"},
}


@pytest.fixture(params=HABITS.values(), ids=list(HABITS))
def store(request: pytest.FixtureRequest) -> ListingStore:
    return ListingStore(KEYS, page_entries=2, **request.param)


@asynccontextmanager
async def opened(store: ListingStore, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Transfer]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "k")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    async with store.server() as server:
        connection = ConnectionOptions(
            endpoint_url=server.url, region="us-east-1", addressing_style=AddressingStyle.PATH
        )
        async with Transfer(connection=connection) as transfer:
            yield transfer


async def names(transfer: Transfer, url: str, *, recursive: bool = False) -> list[str]:
    return [
        entry.key if isinstance(entry, ListedObject) else entry.prefix
        async for entry in transfer.list_objects(url, recursive=recursive)
    ]


async def test_all_keys_are_listed_and_version_2_is_asked_for_once(
    store: ListingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(store, monkeypatch) as transfer:
        assert await names(transfer, "s3://b", recursive=True) == KEYS
        assert await names(transfer, "s3://b/c/", recursive=True) == ["c/1", "c/2"]
    assert sum("list-type" in query for query in store.asked) == 1
    assert not any("continuation-token" in query for query in store.asked)


async def test_folders_are_listed_once_each(store: ListingStore, monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened(store, monkeypatch) as transfer:
        expected = ["a", "a b", "b%41", "c/", "d/", "e+f", "g&h", "z", "é"]
        assert await names(transfer, "s3://b") == expected


async def test_a_listing_begins_after_a_key(store: ListingStore, monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened(store, monkeypatch) as transfer:
        page = await list_page(transfer._running().store, "b", "", start_after="d/1")
    assert [entry.key for entry in page.objects] == ["e+f", "g&h"]


async def test_a_store_of_version_2_stays_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    store = ListingStore(KEYS, page_entries=3)
    async with opened(store, monkeypatch) as transfer:
        assert await names(transfer, "s3://b", recursive=True) == KEYS
    assert all("list-type" in query for query in store.asked)


async def test_version_2_that_loses_its_way_is_refused_and_not_begun_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    store = ListingStore(KEYS, page_entries=3, forgets_tokens=1)
    async with opened(store, monkeypatch) as transfer:
        known = transfer._running().store
        page = await list_page(known, "b", "")
        with pytest.raises(ProtocolError, match="does not say where"):
            await list_page(known, "b", "", token=page.next_token)
    assert all("list-type" in query for query in store.asked)


async def test_a_refusal_of_both_versions_is_told_as_that_of_the_newer(monkeypatch: pytest.MonkeyPatch) -> None:
    refused = (b"501 Not Implemented", "NotImplemented")
    store = ListingStore(KEYS, refuses_version_2=refused, refuses_version_1=True)
    async with opened(store, monkeypatch) as transfer:
        with pytest.raises(StoreError) as caught:
            await names(transfer, "s3://b", recursive=True)
    assert caught.value.code == "NotImplemented"
