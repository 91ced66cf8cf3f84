"""Asks git about this project. Reads alone: nothing is checked out or registered."""

from __future__ import annotations

import subprocess
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent


def ask_git(*arguments: str) -> bytes | None:
    """Return what git prints; None when it fails or is not installed."""
    try:
        done = subprocess.run(["git", "-C", str(PROJECT), *arguments], capture_output=True, check=False)
    except FileNotFoundError:
        return None
    return done.stdout if done.returncode == 0 else None


def describe_tree() -> str:
    """Return the commit of this tree, with "+" when files differ from it; "of no commit" outside of git."""
    found = ask_git("describe", "--always", "--dirty=+", "--exclude=*")
    return found.decode().strip() if found else "of no commit"
