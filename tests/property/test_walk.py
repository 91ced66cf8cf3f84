import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from transfer.plan.wildcards import compile_pattern
from transfer.stores.local.walk import WalkedFile, expand_wildcard, walk_files

NAMES = st.one_of(
    st.sampled_from(["a", "a.b", "a-b", "a0", "a b", "A", "é", "\uffff", "\U0001f3a5", "a!", ".a"]),
    st.text("ab.-0é\U0001f3a5", min_size=1, max_size=3).filter(lambda name: name not in (".", "..")),
)
TREES = st.lists(st.lists(NAMES, min_size=1, max_size=4), max_size=12)


def plant(root: Path, tree: list[list[str]]) -> list[str]:
    """Make what can be made of the paths; of two that need one name as file and folder, the first wins."""
    for parts in tree:
        path = root.joinpath(*parts)
        if not any(parent.is_file() for parent in path.parents) and not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    return [path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()]


@settings(deadline=None)
@given(TREES)
def test_files_come_in_the_order_of_their_keys(tree: list[list[str]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        keys = plant(Path(folder), tree)
        found = [item.relative for item in walk_files(folder, follow_symlinks=True) if isinstance(item, WalkedFile)]
    assert found == sorted(keys, key=str.encode)


@settings(deadline=None)
@given(TREES, st.text("ab.-", max_size=1), st.text("ab.*?/-", max_size=6))
def test_a_wildcard_finds_what_a_whole_walk_would_match(tree: list[list[str]], start: str, rest: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "root")
        root.mkdir()
        keys = plant(root, tree)
        pattern = f"{start}*{rest}"
        whole = f"{root}/{pattern}"
        found = [item.path for item in expand_wildcard(whole, follow_symlinks=True) if isinstance(item, WalkedFile)]
    expected = [f"{root}/{key}" for key in sorted(keys, key=str.encode) if compile_pattern(pattern).match(key)]
    assert found == expected
