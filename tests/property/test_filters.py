"""The compiled filters mean what a slow and plain reading of their rules means."""

from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from transfer.model.filters import FilterRule, Filters
from transfer.plan.filters import compile_filters

PATTERNS = st.one_of(
    st.lists(st.sampled_from(["a", "b", "/", "*", "**", "**/", "?", "[a]", "[!a]"]), min_size=1, max_size=8).map(
        "".join
    ),
    st.text("ab/*", min_size=1, max_size=10),
).filter(lambda pattern: pattern.strip("/"))
NAMES = st.one_of(
    st.text("ab/", min_size=1, max_size=10),
    st.lists(st.text("abc", min_size=1, max_size=3), min_size=1, max_size=5).map("/".join),
)
RULES = st.lists(st.builds(FilterRule, PATTERNS, st.booleans()), max_size=4)


def fits(pattern: str, text: str, *, at_start: bool = True) -> bool:
    """Whether a whole text fits an anchored pattern; `at_start` tells that a component begins here."""
    if not pattern:
        return not text
    stars = len(pattern) - len(pattern.lstrip("*"))
    rest = pattern[stars:]
    if stars > 1 and at_start and rest.startswith("/"):
        return fits(rest[1:], text) or any(fits(pattern, text[i + 1 :]) for i in range(len(text)) if text[i] == "/")
    if stars:
        ends = [end for end in range(len(text) + 1) if stars > 1 or "/" not in text[:end]]
        return any(fits(rest, text[end:], at_start=False) for end in ends)
    if not text:
        return False
    for token, meant in (("?", "abc"), ("[a]", "a"), ("[!a]", "bc")):
        if pattern.startswith(token):
            return text[0] in meant and fits(pattern[len(token) :], text[1:], at_start=False)
    return pattern[0] == text[0] and fits(pattern[1:], text[1:], at_start=pattern[0] == "/")


def beginnings(name: str) -> Iterator[tuple[str, bool]]:
    """Every folder of a name, and the name itself; whether it is a folder."""
    for end, character in enumerate(name):
        if character == "/":
            yield name[:end], True
    yield name, False


def matches(pattern: str, name: str) -> bool:
    body = pattern.removesuffix("/")
    anywhere = "/" not in body
    for text, is_folder in beginnings(name):
        if body != pattern and not is_folder:
            continue
        starts = [0, *(i + 1 for i in range(len(text)) if text[i] == "/")] if anywhere else [0]
        if any(fits(body.removeprefix("/"), text[start:]) for start in starts):
            return True
    return False


def wanted(rules: list[FilterRule], name: str) -> bool:
    verdict = not rules or not rules[0].includes
    for rule in rules:
        if matches(rule.pattern, name):
            verdict = rule.includes
    return verdict


@given(RULES, st.lists(NAMES, min_size=1, max_size=6))
def test_filters_mean_what_their_rules_say(rules: list[FilterRule], names: list[str]) -> None:
    wants = compile_filters(Filters(rules=tuple(rules)))
    assert [wants.wants_name(name) for name in names] == [wanted(rules, name) for name in names]


@given(RULES, st.lists(st.text("abc", min_size=1, max_size=3), min_size=2, max_size=5))
def test_a_folder_above_something_wanted_is_entered(rules: list[FilterRule], components: list[str]) -> None:
    wants = compile_filters(Filters(rules=tuple(rules)))
    if wants.wants_name("/".join(components)):
        for depth in range(1, len(components)):
            assert wants.may_hold_wanted("/".join(components[:depth]))
