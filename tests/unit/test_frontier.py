from collections import deque

import pytest

from tests.support.listed_store import ListedStore, by_folders
from transfer.model.errors import UnorderedListingError
from transfer.plan.frontier import Frontier
from transfer.plan.key_space import KeyRuler
from transfer.plan.segments import PageRequest


def listing_of(store: ListedStore, frontier: Frontier, ahead_pages: int) -> list[str]:
    """Answer requests in the order in which they were made."""
    waiting: deque[PageRequest] = deque()
    taken: list[str] = []
    while not frontier.is_finished:
        while (request := frontier.next_request(ahead_pages)) is not None:
            waiting.append(request)
        if waiting:
            request = waiting.popleft()
            frontier.accept(request, store.page("", request.start_after, request.token, request.page_keys))
        while (batch := frontier.take()) is not None:
            taken += [found.key for found in batch]
    return taken


def test_neighbours_share_one_key_and_no_page_is_asked_for_twice() -> None:
    store = ListedStore([f"k{number:04}" for number in range(1000)], page_keys=11)

    assert listing_of(store, Frontier("b", ""), 4) == store.listing()

    assert len(store.asked) <= 105


def test_one_page_ahead_follows_tokens_alone() -> None:
    store = ListedStore([f"k{number:04}" for number in range(100)], page_keys=10)

    assert listing_of(store, Frontier("b", ""), 1) == store.listing()

    assert store.asked == [""] * 10


def test_segments_that_do_not_meet_lose_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    # In this store's order a/x comes before a-b. The page that ends with it reaches beyond "a-5", and the page after
    # "a-5" begins behind it; neither breaks the order of bytes in itself.
    store = ListedStore(["Z1", "Z2", "Z3", "a/x", "a-b", "b"], by_folders, page_keys=2)
    monkeypatch.setattr(KeyRuler, "step", lambda _ruler, base, *_: "a-5" if base < "a-5" else None)

    assert listing_of(store, Frontier("b", "", needs_order=False), 3) == store.listing()
    assert "a-5" in store.asked
    with pytest.raises(UnorderedListingError):
        listing_of(store, Frontier("b", ""), 3)


def test_keys_behind_what_seemed_the_end_are_not_mixed_in() -> None:
    few = ListedStore([f"k{number:04}" for number in range(25)], page_keys=10)
    more = ListedStore([f"k{number:04}" for number in range(60)], page_keys=10)
    frontier = Frontier("b", "")
    first = frontier.next_request(1)
    assert first is not None
    frontier.accept(first, few.page("", "", None, 10))
    assert frontier.take() is not None
    requests = [request for _ in range(4) if (request := frontier.next_request(4)) is not None]
    late = requests[-1]
    for request in requests[:-1]:
        frontier.accept(request, few.page("", request.start_after, request.token, 10))
    frontier.accept(late, more.page("", late.start_after, late.token, 10))

    keys = [found.key for _ in range(9) for found in frontier.take() or ()]

    assert keys == few.listing()[10:]
    assert frontier.is_finished
