"""What is said around names that could not be looked at, and around markers of folders, against plain sets."""

from hypothesis import given
from hypothesis import strategies as st

from transfer.plan.key_order import order_of
from transfer.plan.markers import HeldMarkers
from transfer.plan.shelter import Shelter

NAMES = st.sets(st.text(st.sampled_from("ab/-0.\u00e9"), min_size=1, max_size=5), max_size=25)


@given(NAMES, NAMES)
def test_a_name_covers_itself_and_all_below_it(names: set[str], unseen: set[str]) -> None:
    """Asked in order, while what could not be looked at is met in its own place, a folder's with its slash."""
    shelter = Shelter()
    met = {name.rstrip("/") + "/" * (index % 2) for index, name in enumerate(sorted(unseen)) if name.strip("/")}
    for name in sorted(names | met, key=order_of):
        if name in met:
            shelter.add(name)
        elif name in names:
            above = {one.removesuffix("/") for one in met if order_of(one) < order_of(name)}
            assert shelter.covers(name) == any(name == one or name.startswith(f"{one}/") for one in above), name


@given(NAMES, NAMES)
def test_a_marker_goes_only_if_the_other_side_has_nothing_in_its_folder(here: set[str], there: set[str]) -> None:
    markers = {name for name in here if name.endswith("/") and name not in there}
    held = HeldMarkers[str]()
    gone: list[str] = []
    for name in sorted(here | there, key=order_of):
        gone += held.reach(name, is_on_other_side=name in there)
        if name in markers:
            held.hold(name, name)
    gone += held.rest()
    assert sorted(gone) == sorted(marker for marker in markers if not any(name.startswith(marker) for name in there))
    assert not held
