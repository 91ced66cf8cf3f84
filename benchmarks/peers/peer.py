"""What a peer is to the harness: a name, and a command for each task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from benchmarks.peers.task import REGION, Task

ACCESS_KEY = "test-access"
SECRET_KEY = "test-secret"
"""Those of the stores that the tests start; a null endpoint looks at neither."""


class Commands(Protocol):
    """The commands of one tool; None where it has no such command."""

    def command(self, task: Task) -> list[str] | None:
        """Return the command that does all of `task`."""

    def version(self) -> list[str] | None:
        """Return the command that prints the version."""


@dataclass(frozen=True, slots=True)
class Peer:
    """One tool that is here.

    Attributes:
        release: Its version, for the reader of a report.
        extra_environment: What it needs besides what all peers are given.
    """

    name: str
    commands: Commands
    release: str = ""
    extra_environment: Mapping[str, str] = field(default_factory=dict)

    def environment(self, inherited: Mapping[str, str], task: Task, home: Path) -> dict[str, str]:
        """Return its whole environment: `inherited` without AWS settings and proxies, then the endpoint's own.

        The same for all, so that none is told more than another: tools read different variables. Settings of Python
        go too: where bytecode is not written, what was edited is compiled in every run.
        """
        kept = {
            name: value
            for name, value in inherited.items()
            if not name.startswith(("AWS_", "S3_", "XDG_", "RCLONE_", "TRANSFER_", "SSL_CERT_", "PYTHON"))
            and not name.lower().endswith("_proxy")
        }
        trusted = {"AWS_CA_BUNDLE": task.ca_bundle, "SSL_CERT_FILE": task.ca_bundle} if task.ca_bundle else {}
        return {
            **kept,
            "HOME": str(home),
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": str(home / "no-config"),
            "AWS_SHARED_CREDENTIALS_FILE": str(home / "no-credentials"),
            "AWS_ENDPOINT_URL": task.endpoint_url,
            "S3_ENDPOINT_URL": task.endpoint_url,
            "RCLONE_CONFIG": str(home / "no-rclone.conf"),
            **trusted,
            **self.extra_environment,
        }


@dataclass(frozen=True, slots=True)
class MissingPeer:
    """A tool that is not installed here, and how to get it."""

    name: str
    reason: str
