import copy
import dataclasses
import pickle
from dataclasses import field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transfer.model.values import dataclass


@dataclass(frozen=True, slots=True)
class Ours:
    name: str
    size: int = 7
    tags: list[int] = field(default_factory=list, repr=False)
    kind: str = field(init=False, default="plain")


@dataclasses.dataclass(frozen=True, slots=True)
class Standard:
    name: str
    size: int = 7
    tags: list[int] = field(default_factory=list, repr=False)
    kind: str = field(init=False, default="plain")


@dataclass(frozen=True, slots=True)
class Single:
    """Text of its own."""

    name: str

    def __str__(self) -> str:
        return self.name.upper()


@dataclass(frozen=True, slots=True)
class Longer(Single):
    size: int = 0


@dataclass(frozen=True, slots=True)
class Nothing:
    pass


@dataclass(slots=True)
class Changeable:
    count: int = 0


names = st.text(max_size=3)
arguments: st.SearchStrategy[tuple[Any, ...]] = (
    st.tuples(names) | st.tuples(names, st.integers(0, 2)) | st.tuples(names, st.integers(0, 2), st.just([]))
)


@given(arguments, arguments)
def test_values_compare_and_read_as_the_standard_ones(one: tuple[Any, ...], other: tuple[Any, ...]) -> None:
    ours, theirs = Ours(*one), Standard(*one)
    assert repr(ours) == repr(theirs).replace("Standard", "Ours")
    assert dataclasses.astuple(ours) == dataclasses.astuple(theirs)
    assert (ours == Ours(*other)) == (theirs == Standard(*other))
    assert dataclasses.replace(ours, size=9) == Ours(one[0], 9, ours.tags)
    assert copy.deepcopy(ours) == pickle.loads(pickle.dumps(ours)) == ours


def test_equal_values_hash_alike_and_others_are_none() -> None:
    assert hash(Single("a")) == hash(Single("a")) == hash(("a",))
    assert len({Longer("a"), Longer("a", 0), Longer("a", 1), Single("a"), Nothing(), Nothing()}) == 4
    assert Single("a") != Longer("a")


def test_nothing_can_be_changed() -> None:
    value = Single("a")
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign to field 'name'"):
        value.name = "b"  # type: ignore[misc]  # what is to fail
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot delete field 'name'"):
        del value.name
    assert not hasattr(value, "__dict__")


def test_methods_and_texts_of_a_class_stay() -> None:
    assert str(Longer("a", 2)) == "A"
    assert Single.__doc__ == "Text of its own."
    assert Longer.__match_args__ == ("name", "size")


@pytest.mark.parametrize("wrong", [(), ("a", 1, [], "more"), ("a", 1, [], "more", "and more")])
def test_wrong_arguments_are_told_with_the_class(wrong: tuple[Any, ...]) -> None:
    with pytest.raises(TypeError, match=r"Ours.__init__\(\)"):
        Ours(*wrong)


def test_each_value_has_a_default_of_its_own() -> None:
    assert Ours("a").tags is not Ours("a").tags


def test_what_is_not_frozen_is_made_by_the_standard_library() -> None:
    value = Changeable()
    value.count += 1
    assert value == Changeable(1)
