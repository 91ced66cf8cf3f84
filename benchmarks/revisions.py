"""Other revisions of this project as peers: their files in a temporary folder, run in this environment.

Owns that folder's content; its caller removes it.
"""

from __future__ import annotations

import compileall
import io
import tarfile
from pathlib import Path

from benchmarks.git import ask_git
from benchmarks.peers.finding import SUBJECT, subject_peer
from benchmarks.peers.peer import Peer


def revision_peer(revision: str, folder: Path) -> Peer:
    """Write the revision's package below `folder` and return it as the peer `transfer@REVISION`.

    `git archive` writes the files alone: no worktree is registered that an interrupted run would leave behind.

    Raises:
        ValueError: git does not know the revision, or it has no package `transfer`.
    """
    commit = ask_git("rev-parse", "--verify", "--quiet", "--short", "--end-of-options", f"{revision}^{{commit}}")
    if commit is None:
        raise ValueError(f"git knows no revision {revision!r} here")
    packed = ask_git("archive", "--format=tar", commit.decode().strip(), "transfer")
    if packed is None:
        raise ValueError(f"revision {revision!r} has no package transfer")
    name = commit.decode().strip()
    tree = folder / f"revision-{name}"
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(tree, filter="data")
    # Otherwise its runs compile it where bytecode is not written, and this tree's do not.
    compileall.compile_dir(tree, quiet=1)
    return subject_peer(f"{SUBJECT}@{revision}", tree, name)
