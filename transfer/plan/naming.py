"""What a source is called at its destination, by the conventions of `aws s3 cp` and s5cmd.

One object or file goes to the very name the user wrote, unless that name is a folder (it is empty or ends in
a slash): then it keeps its own last component. A tree goes below the name the user wrote, which is always
taken as a folder: `s3://bucket/photos` with `--recursive` means the keys that start with `photos/`, never
`photos2/a.jpg`.

Whether the resulting name is safe on a disk is decided in `transfer.plan.keys`.
"""

from __future__ import annotations

from pathlib import PurePath

from transfer.model.errors import UsageError
from transfer.model.locations import S3Location


def folder_prefix(key: str) -> str:
    """The listing prefix for everything below `key`: `photos` and `photos/` give `photos/`, "" stays ""."""
    return key if not key or key.endswith("/") else f"{key}/"


def local_name(path: str) -> str:
    """The last component of a local path, by the rules of this system; "" for a root folder."""
    return PurePath(path).name


def download_name(key: str) -> str:
    """The last component of a key: the file name it gets inside a folder; "" when the key ends in a slash."""
    return key.rpartition("/")[2]


def upload_key(destination: S3Location, source_name: str) -> str:
    """The key that one source gets.

    Args:
        destination: Where the user wants it: a whole key, or a folder to keep the source's own name in.
        source_name: The source's key, its name, or its path with `/` between components; only the last
            component counts.

    Raises:
        UsageError: The destination is a folder and the source has no name of its own.
    """
    if not destination.is_folder_like:
        return destination.key
    name = download_name(source_name)
    if not name:
        raise UsageError(
            "the source has no name of its own to keep",
            subject=source_name or str(destination),
            remedy="write the whole destination key",
        )
    return destination.key + name


def tree_key(destination: S3Location, relative: str) -> str:
    """The key of a member of a tree; `relative` is its name below the root, with `/` between components."""
    return folder_prefix(destination.key) + relative


def tree_relative(key: str, prefix: str) -> str:
    """The name of a key below the tree at `prefix`; "" for the tree's own folder marker.

    Raises:
        ValueError: The key is not below the prefix, so it was never part of the tree.
    """
    folder = folder_prefix(prefix)
    if not key.startswith(folder):
        raise ValueError(f"{key!r} is not below {folder!r}")
    return key[len(folder) :]
