"""The final names of downloads: what may be replaced there, and what never is. Blocking: for worker threads."""

from __future__ import annotations

import stat

from transfer.model.errors import LocalFileError, NameClashError
from transfer.model.values import dataclass
from transfer.stores.local.folders import Folder, clash_error
from transfer.stores.local.spelling import folds_names, spelling_on_disk
from transfer.stores.local.walk import kind_of

_SYSTEM_LINKS = ("/proc/", "/dev/")
"""Where links such as /dev/stdout lead; behind one may well be a regular file, when output is redirected."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a file goes: `relative` below `root`, the last component of which is `name`."""

    root: str
    relative: str
    name: str
    keeps_spelling: bool


def require_replaceable(folder: Folder, place: Place) -> None:
    """Refuse to rename over anything but a regular file or an ordinary link, or over the file of another key.

    Links are followed to decide: to rename over /dev/null, or over the link /dev/stdout, breaks the system.

    Raises:
        NameClashError: The name is a folder's, or that of a file which the disk spells differently.
        LocalFileError: It is no regular file.
        OSError: As the system says.
    """
    name = place.name
    path = folder.path_of(name)
    target = folder.link_target(name)
    status = folder.status(name, follow_symlinks=True)
    if status is not None and stat.S_ISDIR(status.st_mode):
        raise clash_error(path, name)
    if target is not None and target.startswith(_SYSTEM_LINKS):
        raise _not_replaced(path, "a link of the system")
    if status is not None and not stat.S_ISREG(status.st_mode):
        raise _not_replaced(path, kind_of(status.st_mode))
    if status is not None and place.keeps_spelling and folds_names(place.root):
        _require_spelling(place, path)


def _require_spelling(place: Place, path: str) -> None:
    spelled = spelling_on_disk(place.root, place.relative)
    if spelled == place.relative:
        return
    pairs = zip(spelled.split("/"), place.relative.split("/"), strict=True)
    depth, taken = next((depth, one) for depth, (one, other) in enumerate(pairs) if one != other)
    raise NameClashError(
        f"this folder takes its name and {spelled} for one, which is there already",
        taken=taken,
        depth=depth,
        subject=path,
    )


def _not_replaced(path: str, kind: str) -> LocalFileError:
    return LocalFileError(
        f"{kind}, not a regular file: it is not replaced",
        subject=path,
        remedy="write - as the destination for standard output",
    )
