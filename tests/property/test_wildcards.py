import fnmatch
import re

from hypothesis import given
from hypothesis import strategies as st

from transfer.plan.wildcards import compile_pattern, literal_prefix, relative_base

PATTERNS = st.one_of(
    st.text("ab/*?[]!-", max_size=14), st.text("abc*", max_size=14), st.text(r"a[]!-^\&~|.+", max_size=10)
)
TEXTS = st.one_of(st.text("ab/", max_size=14), st.text(r"abc[]!-^\&~|.*?+", max_size=10))


@given(PATTERNS, TEXTS)
def test_patterns_mean_what_fnmatch_means(pattern: str, text: str) -> None:
    expected = re.compile(fnmatch.translate(pattern)).match(text) is not None
    assert (compile_pattern(pattern).match(text) is not None) == expected


@given(st.lists(st.one_of(st.just("*"), st.text("ab/", max_size=3)), max_size=8), st.data())
def test_a_text_made_from_a_pattern_fits_it(parts: list[str], data: st.DataObject) -> None:
    text = "".join(data.draw(st.text("ab/", max_size=5)) if part == "*" else part for part in parts)
    pattern = "".join(parts)
    assert compile_pattern(pattern).match(text)
    assert text.startswith(literal_prefix(pattern))
    assert literal_prefix(pattern).startswith(relative_base(pattern))
