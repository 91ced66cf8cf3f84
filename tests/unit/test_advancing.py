from collections.abc import Iterable
from itertools import chain, count, cycle, islice, repeat

import pytest

from tests.support.listed_store import listed
from transfer.model.objects import ListPage
from transfer.plan.advancing import BARREN_PAGES, PageTrail


def page(token: object, keys: str = "", prefixes: tuple[str, ...] = ()) -> ListPage:
    return ListPage(tuple(map(listed, keys)), prefixes, None if token is None else str(token))


def pages_until_stuck(pages: Iterable[ListPage]) -> int:
    trail = PageTrail()
    return next(number for number, found in enumerate(pages, 1) if trail.is_stuck(found))


@pytest.mark.parametrize("before", [0, 1, 10, 100])
@pytest.mark.parametrize("length", [1, 2, 3, 7, 50])
def test_every_circle_of_tokens_is_noticed_soon(before: int, length: int) -> None:
    tokens = chain(range(before), cycle(range(1000, 1000 + length)))
    circle = (page(token, chr(0x100 + number)) for number, token in enumerate(tokens))

    assert pages_until_stuck(circle) <= 3 * (before + length) + 2


@pytest.mark.parametrize("before", [0, 1, 10, 100])
@pytest.mark.parametrize("length", [1, 2, 3, 7, 50])
def test_every_circle_of_pages_is_noticed_soon(before: int, length: int) -> None:
    places = chain(range(before), cycle(range(1000, 1000 + length)))
    circle = (page(token, chr(0x100 + place)) for token, place in enumerate(places))

    assert pages_until_stuck(circle) <= 3 * (before + length) + 2


def test_objects_that_come_again_at_once_are_noticed_at_once() -> None:
    again = [page(1, "abc"), page(2), page(3, "def"), page(4), page(5, "def")]

    assert pages_until_stuck(again) == 5


def test_pages_without_anything_new_are_borne_for_long_but_not_for_ever() -> None:
    assert pages_until_stuck(map(page, count())) == BARREN_PAGES
    assert pages_until_stuck(page(token, "", ("a/",)) for token in count()) == BARREN_PAGES + 1


def test_folders_that_take_turns_are_a_circle() -> None:
    assert pages_until_stuck(page(token, "", (f"{name}/",)) for token, name in enumerate(cycle("abc"))) < 10


def test_what_advances_is_never_stuck() -> None:
    trail = PageTrail()
    empty = repeat("", BARREN_PAGES - 1)
    contents = chain.from_iterable(chain([chr(0x100 + number)], empty) for number in range(5))

    assert not any(trail.is_stuck(page(token, keys)) for token, keys in enumerate(contents))
    assert not trail.is_stuck(page(None))


def test_a_long_listing_is_never_stuck() -> None:
    trail = PageTrail()

    assert not any(
        trail.is_stuck(page(number, chr(0x1000 + number), (f"{number}/",))) for number in islice(count(), 20_000)
    )
