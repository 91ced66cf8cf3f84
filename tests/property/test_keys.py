import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from transfer.model.errors import UnsafeKeyError
from transfer.model.options import UnsafeKeyPolicy
from transfer.plan.keys import MAX_NAME_BYTES, relative_path_of, respelled, unescape_path

PIECES = [
    "/",
    "//",
    ".",
    "..",
    "%",
    "%2F",
    "%/",
    "\0",
    "\n",
    ":",
    "\\",
    " ",
    "con",
    "NUL.",
    "a",
    "é",
    "日",
    "\ud800",
    "x" * 254,
]
KEYS = st.one_of(
    st.text(st.characters(codec=None), max_size=400),
    st.lists(st.sampled_from(PIECES), max_size=60).map("".join),
).filter(lambda key: len(key.encode("utf-8", "surrogatepass")) <= 1024)


def is_safe(path: str, windows: bool) -> bool:
    return all(
        part not in ("", ".", "..")
        and "\0" not in part
        and len(part.encode()) <= 255
        and not (
            windows
            and (set(part) & set('\\:*?"<>|\n\0') or part[-1] in ". " or part.split(".")[0].upper() in ("CON", "NUL"))
        )
        for part in path.split("/")
    )


@given(KEYS, st.booleans())
@example("/" * 1024, False)
@example("con" + "." * 1000, True)
@example("x" * 250 + "..", True)
@example("x" * 500 + "..", False)
@example("\0" * 1024, False)
def test_escaping_is_safe_and_reversible(key: str, windows: bool) -> None:
    path = relative_path_of(key, UnsafeKeyPolicy.ESCAPE, windows=windows)
    assert unescape_path(path) == key
    assert is_safe(path, windows)


@given(KEYS, KEYS, st.booleans())
def test_two_keys_never_share_a_path(first: str, second: str, windows: bool) -> None:
    paths = [relative_path_of(key, UnsafeKeyPolicy.ESCAPE, windows=windows) for key in (first, second)]
    assert (paths[0] == paths[1]) == (first == second)


@given(KEYS, st.booleans())
def test_what_the_error_policy_accepts_is_safe_and_unchanged(key: str, windows: bool) -> None:
    try:
        path = relative_path_of(key, UnsafeKeyPolicy.ERROR, windows=windows)
    except UnsafeKeyError:
        path = None
    if path is not None:
        assert path == key
        assert is_safe(key, windows)


@given(st.lists(st.text("abc.-%é", min_size=1, max_size=20).filter(lambda part: part not in (".", "..")), min_size=1))
def test_the_error_policy_accepts_every_plain_path(parts: list[str]) -> None:
    key = "/".join(parts)
    assert relative_path_of(key, UnsafeKeyPolicy.ERROR, windows=False) == key


@given(KEYS.filter(bool), st.data())
def test_another_spelling_reads_back_as_the_same_key(key: str, data: st.DataObject) -> None:
    path = relative_path_of(key, UnsafeKeyPolicy.ESCAPE, windows=data.draw(st.booleans()))
    names = path.split("/")
    depth = data.draw(st.sampled_from([*range(len(names)), -1]))
    taken = data.draw(st.one_of(st.just(names[depth]), st.just(names[depth].swapcase()), st.text(max_size=5)))
    seen = {path}
    for _ in range(6):
        other = respelled(path, depth, taken)
        if other is None:
            break
        assert other not in seen
        assert unescape_path(other) == key
        assert all(len(name.encode()) <= MAX_NAME_BYTES for name in other.split("/"))
        seen.add(other)
        path = other


@pytest.mark.parametrize(
    ("path", "depth", "taken", "other"),
    [
        ("a.txt", 0, "A.txt", "%61.txt"),
        ("read.me", -1, "reAd.me", "re%61d.me"),
        ("dir/x", 0, "Dir", "%64ir/x"),
        ("dir/x", 0, "dir", "%64ir/x"),
        ("%61b", 0, "%61B", "%61%62"),
        ("%61%62", 0, "%61%62", None),
        ("n" * 254, 0, "N" * 254, None),
        ("caf\u00e9", 0, "cafe\u0301", "caf%C3%A9"),
    ],
)
def test_the_first_letter_that_differs_is_encoded(path: str, depth: int, taken: str, other: str | None) -> None:
    assert respelled(path, depth, taken) == other
