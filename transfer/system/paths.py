"""Paths as text."""

from __future__ import annotations

import os


def current_folder() -> str:
    """The folder that relative paths start from; "" when it has been removed."""
    try:
        return os.getcwd()  # noqa: PTH109 - as text
    except FileNotFoundError:
        return ""


def absolute_path(path: str) -> str:
    """The same path, wherever it is named from. Links on the way are names of their own: none is resolved."""
    return os.path.normpath(os.path.join(current_folder(), path))  # noqa: PTH118 - as text
