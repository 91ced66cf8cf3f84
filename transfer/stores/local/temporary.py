"""The temporary files that downloads go to: what they are called, and whose they are.

They lie beside the final name and end in `TEMPORARY_SUFFIX`. Those of large files have a name of their own each, which
the caller records before the file is made. Those of small files have the same name in every run, so that a run takes
what a killed one has left; a lock that dies with its process tells that from a file that is being written.

Who has locked the file that the name means, and has looked that it still means it, alone may change, rename or remove
it. So the lock must outlast the name: to close the descriptor any earlier gives the file away. Every call blocks: for
worker threads.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import secrets
import stat
import sys
from pathlib import Path

from transfer.model.errors import LocalFileError
from transfer.stores.local.folders import Folder

if sys.platform != "win32":
    import fcntl

TEMPORARY_SUFFIX = ".transfer"
"""How unfinished files end."""

_KEPT_NAME_BYTES = 100
"""Of the final name in the temporary one: enough to recognise it, short enough for every file system."""
_TOKEN_BYTES = 6
_is_token = re.compile(rf"[0-9a-f]{{{2 * _TOKEN_BYTES}}}").fullmatch

_has_their_shape = re.compile(
    rf"\..+\.[0-9a-f]{{{2 * _TOKEN_BYTES}}}{re.escape(TEMPORARY_SUFFIX)}", re.DOTALL
).fullmatch

_NOT_OURS = frozenset({errno.ENOENT, errno.ELOOP, errno.ENXIO, errno.EISDIR, errno.EACCES, errno.EPERM})
"""What opening a temporary file says when it is gone, or when something else has taken its name."""


def new_temporary_name(name: str) -> str:
    """A name that no other file has, for the temporary file of `name`."""
    return _named(name, secrets.token_hex(_TOKEN_BYTES))


def is_temporary_of(name: str, temporary: str) -> bool:
    """Whether `temporary` is a name that temporary files of `name` have."""
    token = temporary.removesuffix(TEMPORARY_SUFFIX)[-2 * _TOKEN_BYTES :]
    return temporary == _named(name, token) and _is_token(token) is not None


def is_temporary(name: str) -> bool:
    """Whether a file of this name is an unfinished download, of whatever file."""
    return name.endswith(TEMPORARY_SUFFIX) and _has_their_shape(name) is not None


def create_temporary(folder: Folder, name: str) -> tuple[str, int]:
    """Make a temporary file for `name`, in place of one that a killed run has left.

    Returns:
        Its name and its descriptor; the file is empty. The descriptor may hold the lock that owns the name.

    Raises:
        OSError: As the system says.
    """
    home = _named(name, hashlib.blake2b(os.fsencode(name), digest_size=_TOKEN_BYTES).hexdigest())
    fd = _take(folder, home)
    if fd is not None:
        return home, fd
    while True:
        other = new_temporary_name(name)
        with contextlib.suppress(FileExistsError):
            return other, folder.create_file(other)


def open_temporary(folder: Folder, temporary: str, size: int) -> int | None:
    """Open what an earlier run has kept; None when no regular file of that size is there.

    Raises:
        OSError: As the system says.
    """
    fd = _open_existing(folder, temporary)
    if fd is None or os.fstat(fd).st_size == size:
        return fd
    os.close(fd)
    return None


def remove_temporary(path: str, temporary: str) -> None:
    """Remove what an unfinished download left; harmless when it is gone.

    Args:
        path: The final path it was meant for.
        temporary: The name of the temporary file; any other name is left alone.

    Raises:
        LocalFileError: The system refuses.
    """
    target = Path(path)
    if not is_temporary_of(target.name, temporary):
        return
    try:
        target.with_name(temporary).unlink(missing_ok=True)
    except NotADirectoryError:
        return
    except OSError as error:
        raise LocalFileError.from_os_error(error, str(target.with_name(temporary))) from error


def still_means(folder: Folder, temporary: str, fd: int) -> bool:
    """Whether the name means the open file, and not nothing or another one.

    Raises:
        OSError: As the system says.
    """
    named, held = folder.status(temporary, follow_symlinks=False), os.fstat(fd)
    return named is not None and (named.st_dev, named.st_ino) == (held.st_dev, held.st_ino)


def remove_open(folder: Folder, temporary: str, fd: int) -> None:
    """Remove the open file, whose descriptor stays open; a file of another that has come by its name is left alone.

    Raises:
        OSError: As the system says.
    """
    if still_means(folder, temporary, fd):
        folder.remove_file(temporary)


def _named(name: str, token: str) -> str:
    kept = name.encode("utf-8", "ignore")[:_KEPT_NAME_BYTES].decode("utf-8", "ignore")
    return f".{kept}.{token}{TEMPORARY_SUFFIX}"


def _take(folder: Folder, temporary: str) -> int | None:
    """Make the file and lock it, or take one over that nobody has locked; None when somebody has, or nothing locks."""
    if sys.platform == "win32":
        return None
    made = True
    try:
        fd: int | None = folder.create_file(temporary)
    except FileExistsError:
        made, fd = False, _open_existing(folder, temporary)
    if fd is None:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # A former owner may have renamed or removed it between the opening and the lock.
        if still_means(folder, temporary, fd):
            os.fchmod(fd, 0o600)
            os.ftruncate(fd, 0)
            return fd
    except BlockingIOError:
        # It belongs to whoever has locked it, even to one that was faster than its maker.
        pass
    except OSError:
        if made:
            with contextlib.suppress(OSError):
                remove_open(folder, temporary, fd)
    os.close(fd)
    return None


def _is_ours(status: os.stat_result) -> bool:
    """Whether nobody else can have laid the file there to read or change what is written into it.

    Its permissions tell nothing: a run that was killed just before the renaming has given it those of the final file.
    """
    if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1:
        return False
    return sys.platform == "win32" or status.st_uid == os.geteuid()


def _open_existing(folder: Folder, temporary: str) -> int | None:
    try:
        fd = folder.open_file(temporary)
    except OSError as error:
        if error.errno in _NOT_OURS:
            return None
        raise
    if _is_ours(os.fstat(fd)):
        return fd
    os.close(fd)
    return None
