import hashlib
from bisect import bisect_right
from itertools import pairwise

import pytest

from transfer.plan.key_order import is_ascending, is_sendable, order_of
from transfer.plan.key_space import KeyRuler, Sample

NUMBERED = [f"many/f{number:07}@4096" for number in range(20_000)]
HASHED = sorted(hashlib.sha256(str(number).encode()).hexdigest() for number in range(20_000))
PHOTOS = [
    f"photos/{year}/{month:02}/{day:02}/IMG_{number:04}.jpg"
    for year in range(2020, 2024)
    for month in range(1, 13)
    for day in range(1, 29)
    for number in range(100)
]


def sample_of(keys: list[str]) -> Sample:
    return Sample(keys[0], keys[-1], len(keys))


def distances(keys: list[str], prefix: str, steps: int) -> list[int]:
    """How many keys lie between the places that a ruler names one after the other behind the first page."""
    ruler = KeyRuler(prefix)
    page = keys[:1000]
    ruler.learn(page)
    places = [page[-1]]
    while len(places) <= steps:
        place = ruler.step(places[-1], None, sample_of(page), 1.0)
        assert place is not None
        places.append(place)
    ends = [bisect_right(keys, place) for place in places]
    return [after - before for before, after in pairwise(ends)]


@pytest.mark.parametrize(
    ("keys", "prefix", "fewest", "most"),
    [(NUMBERED, "many/", 999, 999), (NUMBERED, "", 999, 999), (HASHED, "", 850, 1150)],
)
def test_steps_are_a_page_long_where_keys_are_even(keys: list[str], prefix: str, fewest: int, most: int) -> None:
    found = distances(keys, prefix, 15)

    assert fewest <= min(found)
    assert max(found) <= most


def test_steps_carry_from_day_to_month() -> None:
    found = [distance for distance in distances(PHOTOS, "photos/", 20) if distance]

    assert max(found) <= 1100
    assert sum(found) > 5000


def test_a_place_is_between_its_ends() -> None:
    ruler = KeyRuler("")
    ruler.learn(NUMBERED[:1000])
    sample = sample_of(NUMBERED[:1000])

    assert ruler.step(NUMBERED[999], NUMBERED[1500], sample, 1.0) is None
    place = ruler.step(NUMBERED[999], NUMBERED[5000], sample, 1.0)
    assert place is not None
    assert NUMBERED[999] < place < NUMBERED[5000]
    assert ruler.pages_between(NUMBERED[999], NUMBERED[1499], sample) == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize(
    "keys",
    [["a"], ["a", "a\udcff"], ["\udcff", "\udcff1"], ["z", "zz"], ["\U0010fffe", "\U0010ffff"]],
)
def test_no_place_or_a_sendable_one(keys: list[str]) -> None:
    ruler = KeyRuler("")
    ruler.learn(keys)

    place = ruler.step(keys[-1], None, sample_of(keys), 1.0)

    assert place is None or (is_sendable(place) and order_of(place) > order_of(keys[-1]))


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ([], True),
        (["a"], True),
        (["a", "b"], True),
        (["a", "a"], False),
        (["b", "a"], False),
        (["\uffee", "\U0001f680"], True),
        (["\U0001f680", "\uffee"], False),
        # The bytes 80 and C3 A9.
        (["\udc80", "\u00e9"], True),
        (["\u00e9", "\udc80"], False),
    ],
)
def test_ascending_means_by_bytes(keys: list[str], expected: bool) -> None:
    assert is_ascending(keys) is expected
