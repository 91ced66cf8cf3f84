from hypothesis import example, given
from hypothesis import strategies as st

from transfer.model.errors import UnsafeKeyError
from transfer.model.options import UnsafeKeyPolicy
from transfer.plan.keys import relative_path_of, unescape_path

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
