import pytest

from transfer.model.errors import UsageError
from transfer.model.filters import FilterRule, Filters
from transfer.model.objects import ListedObject
from transfer.plan.filters import Wants, compile_filters


def rules(*words: str) -> Wants:
    """Rules as they are written: `+pattern` includes, `-pattern` excludes."""
    return compile_filters(Filters(rules=tuple(FilterRule(word[1:], word[0] == "+") for word in words)))


NAMES = ["a.jpg", "b.txt", "raw/a.jpg", "raw/b.txt", "deep/raw/c.jpg", "deep/x/y/z.txt", "raw.txt", "rawest/d.jpg"]


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ([], NAMES),
        (["+*.jpg"], ["a.jpg", "raw/a.jpg", "deep/raw/c.jpg", "rawest/d.jpg"]),
        (["-*", "+*.jpg"], ["a.jpg", "raw/a.jpg", "deep/raw/c.jpg", "rawest/d.jpg"]),
        (["-*.jpg"], ["b.txt", "raw/b.txt", "deep/x/y/z.txt", "raw.txt"]),
        (["+/*.jpg"], ["a.jpg"]),
        (["+raw"], ["raw/a.jpg", "raw/b.txt", "deep/raw/c.jpg"]),
        (["+raw/"], ["raw/a.jpg", "raw/b.txt", "deep/raw/c.jpg"]),
        (["+a.jpg/"], []),
        (["+/raw/"], ["raw/a.jpg", "raw/b.txt"]),
        (["+raw/*.jpg"], ["raw/a.jpg"]),
        (["+**/raw/*.jpg"], ["raw/a.jpg", "deep/raw/c.jpg"]),
        (["+deep/**/*.txt"], ["deep/x/y/z.txt"]),
        (["+deep/**"], ["deep/raw/c.jpg", "deep/x/y/z.txt"]),
        (["+deep/*/*.jpg"], ["deep/raw/c.jpg"]),
        (["+/d**.txt"], ["deep/x/y/z.txt"]),
        (["+?.jpg"], ["a.jpg", "raw/a.jpg", "deep/raw/c.jpg", "rawest/d.jpg"]),
        (["+[!ac].*"], ["b.txt", "raw/b.txt", "deep/x/y/z.txt", "rawest/d.jpg"]),
        (["+raw[/.]*"], []),
        (["+raw?"], []),
        (["+**"], NAMES),
        (["+**/"], ["raw/a.jpg", "raw/b.txt", "deep/raw/c.jpg", "deep/x/y/z.txt", "rawest/d.jpg"]),
        (["-raw/", "+raw/b.txt"], ["a.jpg", "b.txt", "raw/b.txt", "deep/x/y/z.txt", "raw.txt", "rawest/d.jpg"]),
        (["+*.jpg", "-deep/", "+deep/raw/"], ["a.jpg", "raw/a.jpg", "deep/raw/c.jpg", "rawest/d.jpg"]),
        (["+*.jpg", "-*"], []),
    ],
)
def test_the_last_rule_that_matches_decides(words: list[str], wanted: list[str]) -> None:
    wants = rules(*words)
    assert [name for name in NAMES if wants(name, 0, 0.0, "")] == wanted


def test_a_folder_marker_is_its_folder() -> None:
    assert not rules("-tmp/").wants_name("tmp/")
    assert not rules("-tmp").wants_name("tmp/")
    assert rules("-*.jpg").wants_name("tmp/")


@pytest.mark.parametrize(
    ("words", "folder", "may_hold"),
    [
        (["-node_modules/"], "node_modules", False),
        (["-node_modules/"], "app/node_modules", False),
        (["-node_modules/"], "node", True),
        (["-node_modules/", "+node_modules/keep/*"], "node_modules", True),
        (["-node_modules/", "+node_modules/keep/*"], "node_modules/keep", True),
        (["-node_modules/", "+node_modules/keep/*"], "node_modules/drop", False),
        (["-node_modules/", "+*.js"], "node_modules", True),
        (["+*.js", "-node_modules/"], "node_modules", False),
        (["-/a/**"], "a", False),
        (["-/a/*.txt"], "a", True),
        (["+/a/b/*.txt"], "a", True),
        (["+/a/b/*.txt"], "a/c", False),
        (["+/a/*b/*.txt"], "a/bxb", True),
        (["+/a/**/c"], "a/x/y", True),
        (["+/a/**/c"], "b", False),
        (["-*", "+/top/x"], "other", False),
        (["-*", "+/top/x"], "top", True),
    ],
)
def test_folders_that_can_hold_nothing_wanted_are_known(words: list[str], folder: str, may_hold: bool) -> None:
    assert rules(*words).may_hold_wanted(folder) is may_hold


def test_sizes_and_times_are_bounds() -> None:
    wants = compile_filters(
        Filters(min_size_bytes=10, max_size_bytes=20, modified_after_seconds=100.0, modified_before_seconds=200.0)
    )
    assert [size for size in (9, 10, 20, 21) if wants("x", size, 150.0, "")] == [10, 20]
    assert [when for when in (99.9, 100.0, 199.9, 200.0) if wants("x", 15, when, "")] == [100.0, 199.9]


def test_only_objects_are_asked_for_their_class() -> None:
    wants = compile_filters(Filters(storage_classes=frozenset({"STANDARD", "GLACIER"})))
    classes = ["STANDARD", "GLACIER", "STANDARD_IA", ""]
    assert [name for name in classes if wants("x", 1, 0.0, name)] == ["STANDARD", "GLACIER", ""]
    cold = compile_filters(Filters(storage_classes=frozenset({"GLACIER"})))
    assert not cold.wants_object("x", ListedObject("k/x", 1, "", 0.0, ""))
    assert cold.wants_object("x", ListedObject("k/x", 1, "", 0.0, "GLACIER"))


@pytest.mark.parametrize("pattern", ["", "/", "//"])
def test_a_pattern_that_matches_nothing_is_refused(pattern: str) -> None:
    with pytest.raises(UsageError) as caught:
        rules(f"-{pattern}")
    assert caught.value.subject == "--exclude"


def test_a_pattern_made_to_be_slow_is_not() -> None:
    # A matcher that tries combinations of places would not end: the timeout of all tests would tell.
    for pattern in ("*a" * 60 + "b", "**a" * 60 + "b", "a*/**/" * 30 + "b", "**/*a*a*a*a**/b"):
        for name in ("a" * 1024, "a/" * 512, "aaa/" * 256):
            assert not rules(f"+{pattern}").wants_name(name)
