import pytest

from transfer.plan.wildcards import compile_pattern, literal_prefix, relative_base


@pytest.mark.parametrize(
    ("pattern", "text", "fits"),
    [
        ("*.mov", "a.mov", True),
        ("*.mov", "deep/down/a.mov", True),
        ("*.mov", "a.movx", False),
        ("a?c", "abc", True),
        ("a?c", "a/c", True),
        ("a?c", "ac", False),
        ("a*", "a\nb", True),
        ("[abc]1", "b1", True),
        ("[!abc]1", "b1", False),
        ("[!abc]1", "d1", True),
        ("[a-c]", "b", True),
        ("[]]", "]", True),
        ("[!]]", "]", False),
        ("[*]", "*", True),
        ("[*]", "x", False),
        ("[open", "[open", True),
        ("[c-a]", "b", False),
        ("[^a]", "^", True),
        ("a*b*a", "aba", True),
        ("a*ba", "aba", True),
        ("ab*ba", "aba", False),
        ("A*", "abc", False),
        ("a.b", "axb", False),
        ("", "", True),
        ("*", "", True),
        ("**", "x", True),
    ],
)
def test_patterns(pattern: str, text: str, fits: bool) -> None:
    assert bool(compile_pattern(pattern).match(text)) is fits


@pytest.mark.parametrize(
    ("pattern", "prefix", "base"),
    [
        ("logs/2024/*.gz", "logs/2024/", "logs/2024/"),
        ("logs/20*/a.gz", "logs/20", "logs/"),
        ("*", "", ""),
        ("lo?s/a", "lo", ""),
        ("a/b[12]/c", "a/b", "a/"),
        ("a/b[12/c", "a/b[12/c", "a/b[12/"),
        ("/root/*", "/root/", "/root/"),
    ],
)
def test_the_listing_starts_before_the_first_wildcard(pattern: str, prefix: str, base: str) -> None:
    assert literal_prefix(pattern) == prefix
    assert relative_base(pattern) == base


@pytest.mark.parametrize("pattern", ["*a" * 200 + "b", "*" * 500 + "b", "*a?" * 150 + "b", "*[ab]" * 200 + "c"])
def test_hostile_patterns_end(pattern: str) -> None:
    assert compile_pattern(pattern).match("a" * 1024) is None
