"""Names told apart, in memory and beyond."""

from hypothesis import given
from hypothesis import strategies as st

from transfer.engine.seen_names import SeenNames


@given(st.lists(st.text(max_size=3), max_size=60), st.integers(0, 10))
def test_it_is_a_set(names: list[str], in_memory: int) -> None:
    seen = SeenNames(in_memory)
    known: set[str] = set()
    try:
        for name in names:
            try:
                name.encode("utf-8", "surrogateescape")
            except UnicodeEncodeError:
                continue
            assert seen.holds(name) is (name in known)
            assert seen.add(name) is (name not in known)
            assert seen.holds(name)
            known.add(name)
    finally:
        seen.close()
