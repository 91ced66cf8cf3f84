"""What a pattern matches: `*` any run of characters, `?` one character, `[abc]` and `[!a-z]` one of a class.

Wildcards cross slashes, as they do in `aws s3` filters and in s5cmd: a key has no folders. Matching is
case-sensitive and covers the whole text. A `[` that is never closed is an ordinary character; `[*]` is how to
write a literal star. Local paths and keys follow the same rules. Nothing here lists or looks at a disk.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

STAR = "*"
ONE = "?"


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """An expression whose `match` answers whether a whole text fits the pattern.

    Matching costs at most the length of the text times the length of the pattern, whatever both hold: every
    run between two stars takes its first fitting place inside an atomic group and never looks back. The first
    place is always right, because a run has a fixed length and the star after it takes whatever is left.
    """
    runs: list[str] = [""]
    for token in tokens(pattern):
        if token == STAR:
            runs.append("")
        else:
            runs[-1] += expression_of(token)
    first, *rest = runs
    if not rest:
        return re.compile(rf"(?s:{first})\Z")
    *middle, last = (run for index, run in enumerate(rest) if run or index == len(rest) - 1)
    skips = "".join(f"(?>.*?{run})" for run in middle)
    return re.compile(rf"(?s:{first}{skips}.*{last})\Z")


def literal_prefix(pattern: str) -> str:
    """What every matching text starts with: the pattern up to its first wildcard. It narrows the listing."""
    length = 0
    for token in tokens(pattern):
        if token in (STAR, ONE) or len(token) > 1:
            break
        length += 1
    return pattern[:length]


def relative_base(pattern: str) -> str:
    """What is cut from a matching text to get its relative name: up to the last `/` before a wildcard."""
    prefix = literal_prefix(pattern)
    return prefix[: prefix.rfind("/") + 1]


def tokens(pattern: str) -> Iterator[str]:
    """The pattern as single characters and whole classes, brackets included."""
    position = 0
    while position < len(pattern):
        end = _class_end(pattern, position) if pattern[position] == "[" else position + 1
        yield pattern[position:end]
        position = end


def _class_end(pattern: str, start: int) -> int:
    """The offset past the class that opens at `start`, or past the bracket alone when it is never closed.

    A `]` that comes first in a class is one of its characters.
    """
    first = start + 2 if pattern.startswith("!", start + 1) else start + 1
    closing = pattern.find("]", first + 1)
    return closing + 1 if closing > 0 else start + 1


def expression_of(token: str) -> str:
    """The regular expression of one token that is no star; it matches a single character or nothing at all."""
    if token == ONE:
        return "."
    if len(token) == 1:
        return re.escape(token)
    negated = token[1] == "!"
    members = _class_members(token[2:-1] if negated else token[1:-1])
    if not members:
        return "." if negated else "(?!)"
    return f"[{'^' if negated else ''}{members}]"


def _class_members(text: str) -> str:
    """The inside of a class as a regular expression; a range from a higher to a lower character is empty."""
    members = ""
    position = 0
    while position < len(text):
        low = text[position]
        if text.startswith("-", position + 1) and position + 2 < len(text):
            high = text[position + 2]
            members += f"{_class_escape(low)}-{_class_escape(high)}" if low <= high else ""
            position += 3
        else:
            members += _class_escape(low)
            position += 1
    return members


def _class_escape(character: str) -> str:
    return f"\\{character}" if character in r"\]^-[&~|" else character
