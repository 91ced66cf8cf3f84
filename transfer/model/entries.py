"""One file or object of a tree, in the form in which two trees are compared."""

from __future__ import annotations

from typing import Generic, NamedTuple, TypeVar

Found_co = TypeVar("Found_co", covariant=True)


class Entry(NamedTuple, Generic[Found_co]):
    """A member of a tree. A tuple, since a frozen dataclass takes four times as long to make and there are millions.

    Attributes:
        name: Below the root of the tree, with `/` between components.
        size: In bytes.
        modified_seconds: A file's mtime or a store's LastModified, in seconds since the epoch.
        found: What the walk or the listing told.
    """

    name: str
    size: int
    modified_seconds: float
    found: Found_co
