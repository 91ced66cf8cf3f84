"""Paths as text."""

from __future__ import annotations

import os
from pathlib import Path

from transfer.model.errors import LocalFileError


def current_folder() -> str:
    """The folder that relative paths start from; "" when it has been removed."""
    try:
        return os.getcwd()  # noqa: PTH109 - as text
    except FileNotFoundError:
        return ""


def absolute_path(path: str) -> str:
    """The same path, wherever it is named from. Links on the way are names of their own: none is resolved."""
    return os.path.normpath(os.path.join(current_folder(), path))  # noqa: PTH118 - as text


def is_there(path: str) -> bool:
    """Whether something has that name; "" is the current folder.

    Raises:
        LocalFileError: That cannot be found out, as below a folder that may not be entered.
    """
    try:
        return Path(path or os.curdir).exists()
    except OSError as error:
        raise LocalFileError.from_os_error(error, path) from error
