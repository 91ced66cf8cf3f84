import pytest

from transfer.model.errors import UnsafeKeyError
from transfer.model.options import UnsafeKeyPolicy
from transfer.plan.keys import is_folder_marker, relative_path_of, unescape_path

SAFE = [
    "a",
    "a/b.mov",
    "...",
    "a..b",
    "..a",
    "100%",
    "a b",
    "é/日本",
    "2024-01-01T10:00:00.mov",
    "back\\slash",
    "x" * 255,
]
UNSAFE = [
    "",
    "/",
    "/etc/passwd",
    "..",
    "../x",
    "a/../b",
    "a/.",
    "./a",
    "a//b",
    "a/",
    "a\0b",
    "x" * 256,
    "é" * 128,
    "\ud800",
]
UNSAFE_ON_WINDOWS = [
    "a:b",
    "a\\..\\b",
    "C:\\x",
    "what?",
    "a\nb",
    "dot.",
    "a/space ",
    "con",
    "x/NUL.txt",
    "COM1 .log",
    "lpt²",
]


@pytest.mark.parametrize("policy", [UnsafeKeyPolicy.ERROR, UnsafeKeyPolicy.SKIP])
@pytest.mark.parametrize("key", SAFE)
def test_a_safe_key_is_its_own_path(key: str, policy: UnsafeKeyPolicy) -> None:
    assert relative_path_of(key, policy, windows=False) == key


@pytest.mark.parametrize("policy", [UnsafeKeyPolicy.ERROR, UnsafeKeyPolicy.SKIP])
@pytest.mark.parametrize("windows", [False, True])
@pytest.mark.parametrize("key", UNSAFE)
def test_an_unsafe_key_is_refused_with_a_remedy(key: str, windows: bool, policy: UnsafeKeyPolicy) -> None:
    with pytest.raises(UnsafeKeyError) as caught:
        relative_path_of(key, policy, windows=windows)
    assert caught.value.subject == key
    assert caught.value.remedy == "use --unsafe-keys skip or escape"


@pytest.mark.parametrize("key", UNSAFE_ON_WINDOWS)
def test_windows_refuses_what_other_systems_take(key: str) -> None:
    assert relative_path_of(key, UnsafeKeyPolicy.ERROR, windows=False) == key
    with pytest.raises(UnsafeKeyError):
        relative_path_of(key, UnsafeKeyPolicy.ERROR, windows=True)


@pytest.mark.parametrize("key", ["console", "com10", "a.con", "nul_"])
def test_names_that_only_resemble_devices_are_safe(key: str) -> None:
    assert relative_path_of(key, UnsafeKeyPolicy.ERROR, windows=True) == key


@pytest.mark.parametrize(
    ("key", "path"),
    [
        ("a/b.mov", "a/b.mov"),
        ("../../etc/passwd", "%2E%2E/%2E%2E/etc/passwd"),
        ("./a", "%2E/a"),
        ("/etc/passwd", "%2Fetc/passwd"),
        ("a//b", "a/%2Fb"),
        ("a/", "a%2F"),
        ("//", "%2F%2F"),
        ("a\0b", "a%00b"),
        ("100%", "100%25"),
        ("a%2Fb", "a%252Fb"),
        ("", "%"),
        ("x" * 300, "x" * 250 + "%/" + "x" * 50),
        ("y" * 250 + ".." + "/z" * 2, "y" * 250 + "../z/z"),
        ("y" * 254 + "..", "y" * 250 + "%/yyyy.."),
        ("a:b", "a:b"),
    ],
)
def test_only_what_is_dangerous_is_escaped(key: str, path: str) -> None:
    assert relative_path_of(key, UnsafeKeyPolicy.ESCAPE, windows=False) == path
    assert unescape_path(path) == key


@pytest.mark.parametrize(
    ("key", "path"),
    [
        ("a:b", "a%3Ab"),
        ("a\\..\\b", "a%5C..%5Cb"),
        ("CON", "%43ON"),
        ("nul.txt", "%6Eul.txt"),
        ("end.", "end%2E"),
        ("end ", "end%20"),
        ("con. ", "%63on.%20"),
    ],
)
def test_windows_names_are_escaped_for_windows(key: str, path: str) -> None:
    assert relative_path_of(key, UnsafeKeyPolicy.ESCAPE, windows=True) == path
    assert unescape_path(path) == key


def test_a_chunk_of_a_long_component_is_no_parent_folder() -> None:
    key = "x" * 250 + "y" * 250 + ".."
    path = relative_path_of(key, UnsafeKeyPolicy.ESCAPE, windows=False)
    assert path.split("/")[-1] == "%2E%2E"
    assert unescape_path(path) == key


def test_bytes_that_are_no_text_cannot_be_unescaped() -> None:
    with pytest.raises(ValueError, match="decode"):
        unescape_path("a%FFb")


def test_a_folder_marker_is_empty_and_ends_in_a_slash() -> None:
    assert is_folder_marker("photos/", 0)
    assert not is_folder_marker("photos/", 5)
    assert not is_folder_marker("photos", 0)
