"""Which names a command cares for: the meaning of `--include`, `--exclude` and the bounds of size, time and class.

Names are relative to the root of the command, with `/` between components. A pattern is read as in a `.gitignore`:

- `*` is any run of characters but `/`, `?` is one, `[a-z]` and `[!a]` are one of a class; `**` crosses slashes.
- Without a slash, but for one at its end, a pattern matches a file or folder at any depth; with one it starts at the
  root. `**/` is any number of folders, none included.
- A pattern that ends in `/` means folders alone. One that matches a folder matches everything below it.

The last rule that matches decides. What none matches is wanted, unless the first rule is an include. Nothing here lists
or looks at a disk.
"""

from __future__ import annotations

import re
from itertools import takewhile
from typing import Final

from transfer.model.errors import UsageError
from transfer.model.filters import FilterRule, Filters
from transfer.model.objects import ListedObject
from transfer.model.values import dataclass
from transfer.plan.wildcards import ONE, STAR, expression_of, tokens

DEFAULT_STORAGE_CLASS = "STANDARD"
"""What an object is kept in when the store names no class (S3 API, ListObjectsV2 and HeadObject)."""

_FOLDERS = "**"


class Wants:
    """What filters mean, fast enough to be asked for each of millions of names."""

    __slots__ = ("_filters", "_is_open", "_others_are_wanted", "_rules")

    def __init__(self, filters: Filters) -> None:
        self._filters: Final = filters
        self._is_open: Final = filters.is_open
        self._rules: Final = tuple(_Rule(rule) for rule in reversed(filters.rules))
        self._others_are_wanted: Final = not filters.rules or not filters.rules[0].includes

    def __call__(self, name: str, size_bytes: int, modified_seconds: float, storage_class: str) -> bool:
        """Whether a file or an object is wanted.

        Args:
            name: Relative to the root, with `/` between components.
            size_bytes: Of its content.
            modified_seconds: When it was modified, in seconds since the epoch.
            storage_class: "" for files, which are not asked for one.
        """
        if self._is_open:
            return True
        filters = self._filters
        return not (
            (filters.min_size_bytes is not None and size_bytes < filters.min_size_bytes)
            or (filters.max_size_bytes is not None and size_bytes > filters.max_size_bytes)
            or (filters.modified_after_seconds is not None and modified_seconds < filters.modified_after_seconds)
            or (filters.modified_before_seconds is not None and modified_seconds >= filters.modified_before_seconds)
            or (filters.storage_classes and storage_class and storage_class not in filters.storage_classes)
            or not self.wants_name(name)
        )

    def wants_object(self, name: str, listed: ListedObject) -> bool:
        """Whether an object of a listing is wanted, under its name relative to the root."""
        return self(name, listed.size, listed.modified_seconds, listed.storage_class or DEFAULT_STORAGE_CLASS)

    def wants_name(self, name: str) -> bool:
        """Whether the rules alone want a name."""
        if not self._rules:
            return True
        framed = f"/{name}/"
        for rule in self._rules:
            if rule.matches(framed):
                return rule.includes
        return self._others_are_wanted

    def may_hold_wanted(self, folder: str) -> bool:
        """Whether a name below a folder may be wanted; False only when none can be.

        Args:
            folder: Its name relative to the root, without a slash at the end.
        """
        framed = f"/{folder}/"
        for rule in self._rules:
            if rule.includes and rule.may_match_below(folder):
                return True
            if not rule.includes and rule.matches_all_below(framed):
                return False
        return self._others_are_wanted


def compile_filters(filters: Filters) -> Wants:
    """Make ready to decide.

    Raises:
        UsageError: A pattern is empty; it names the option.
    """
    return Wants(filters)


@dataclass(frozen=True, slots=True)
class _Shape:
    """A pattern in its parts.

    Attributes:
        components: What stands between slashes; `**` alone is any number of folders.
        is_floating: It begins at any depth.
        is_folder: It means folders, so that only names below match.
    """

    components: tuple[str, ...]
    is_floating: bool
    is_folder: bool


class _Rule:
    """One compiled rule. Names come framed: with a `/` before and after."""

    __slots__ = ("_is_folder", "_leading", "_match", "includes")

    def __init__(self, rule: FilterRule) -> None:
        shape = _shape_of(rule)
        self.includes: Final = rule.includes
        self._is_folder: Final = shape.is_folder
        self._match: Final = re.compile(_expression(shape), re.DOTALL).match
        self._leading: Final = _leading(shape)

    def matches(self, framed: str) -> bool:
        # Without the slash behind it, the last component is no folder.
        return self._match(framed, 0, len(framed) - self._is_folder) is not None

    def matches_all_below(self, framed_folder: str) -> bool:
        return self._match(framed_folder) is not None

    def may_match_below(self, folder: str) -> bool:
        return all(one.match(f"{name}/") for one, name in zip(self._leading, folder.split("/"), strict=False))


def _shape_of(rule: FilterRule) -> _Shape:
    body = rule.pattern.removesuffix("/")
    components = body.removeprefix("/").split("/")
    if components == [""]:
        option = "--include" if rule.includes else "--exclude"
        raise UsageError(f"{rule.pattern!r} matches nothing", subject=option, remedy="write a pattern such as '*.jpg'")
    is_floating = "/" not in body or _is_folders(components[0])
    named = list(components)
    while named and _is_folders(named[-1]):
        named.pop()
    is_folder = body != rule.pattern
    if is_folder and len(named) < len(components):
        # `a/**/` means the folders below a, and all below those.
        named.append(STAR)
    # `a/**` means what is below a, `**` everything.
    is_folder = is_folder or 0 < len(named) < len(components)
    while named and _is_folders(named[0]):
        named.pop(0)
    return _Shape(tuple(named), is_floating, is_folder)


def _is_folders(component: str) -> bool:
    return len(component) > 1 and set(component) == {STAR}


def _expression(shape: _Shape) -> str:
    """An expression that matches the beginning of a framed name, up to the slash behind what the pattern means.

    Where slashes may be crossed the pattern is cut into parts, in which all slashes have fixed places. Such a part
    takes its first fitting place inside an atomic group and is never moved again: a later place never ends earlier, and
    what crosses slashes takes all that is left. So matching never tries combinations of places.
    """
    first, *rest = (_part_expression(part) for part in _parts(shape))
    beginning = f"(?>.*?{first})" if shape.is_floating else first
    return beginning + "".join(f"(?>.*?{part})" for part in rest)


def _parts(shape: _Shape) -> list[list[str]]:
    """The tokens of a pattern, cut where slashes may be crossed; `(?=/)` is a slash that the next part takes."""
    parts: list[list[str]] = [[]]
    for component in shape.components:
        if _is_folders(component):
            parts[-1].append("(?=/)")
            parts.append([])
            continue
        parts[-1].append("/")
        for token in _component_tokens(component):
            if token == _FOLDERS:
                parts.append([])
            else:
                parts[-1].append(token)
    parts[-1].append("/")
    return parts


def _component_tokens(component: str) -> list[str]:
    """The expressions of single characters, `*` for a run without slashes and `**` for one that crosses them."""
    found: list[str] = []
    for token in tokens(component):
        is_star = token == STAR
        if is_star and found and found[-1] in (STAR, _FOLDERS):
            found[-1] = _FOLDERS
        elif is_star:
            found.append(STAR)
        else:
            may_be_slash = token == ONE or len(token) > 1
            found.append(f"{'(?!/)' if may_be_slash else ''}{expression_of(token)}")
    return found


def _part_expression(part: list[str]) -> str:
    """Runs of single characters, each at its first fitting place behind the star before it."""
    runs = [""]
    for token in part:
        if token == STAR:
            runs.append("")
        else:
            runs[-1] += token
    return runs[0] + "".join(f"(?>[^/]*?{run})" for run in runs[1:])


def _leading(shape: _Shape) -> tuple[re.Pattern[str], ...]:
    """What the first folders of a matching name look like, as far as each component means one."""
    if shape.is_floating:
        return ()
    plain = takewhile(lambda component: _FOLDERS not in component, shape.components)
    return tuple(re.compile(_part_expression([*_component_tokens(component), "/"]), re.DOTALL) for component in plain)
