"""What a library peer is asked to do, and the frame of its program.

Imported by every library peer, so it must stay as light as it can be.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

REGION = "us-east-1"


@dataclass(frozen=True, slots=True)
class Task:
    """One run.

    Attributes:
        action: "upload", "download" or "list".
        key: Of the one object; a prefix that ends in `/` where `is_tree`.
        path: The file, or the folder where `is_tree`; empty for "list".
        concurrency: Requests in flight; None leaves it to the library.
        ca_bundle: A PEM file to trust; empty for none.
    """

    action: str
    endpoint_url: str
    bucket: str
    key: str
    path: str = ""
    is_tree: bool = False
    concurrency: int | None = None
    ca_bundle: str = ""

    def to_json(self) -> str:
        """Return it as the one argument that a peer's program takes."""
        return json.dumps(asdict(self))

    def files(self) -> Iterator[tuple[Path, str]]:
        """Yield each file of an upload with its key."""
        root = Path(self.path)
        if not self.is_tree:
            yield root, self.key
            return
        for folder, _, names in os.walk(root):
            for name in names:
                path = Path(folder, name)
                yield path, self.key + path.relative_to(root).as_posix()

    def target(self, key: str) -> Path:
        """Return where an object goes; its folder is made."""
        if not self.is_tree:
            return Path(self.path)
        path = Path(self.path, key.removeprefix(self.key))
        path.parent.mkdir(parents=True, exist_ok=True)
        return path


def run(actions: dict[str, Callable[[Task], None]]) -> None:
    """Carry out the task that the command line holds."""
    task = Task(**json.loads(sys.argv[1]))
    actions[task.action](task)


def print_keys(keys: Iterable[str]) -> None:
    """Print one key a line."""
    sys.stdout.writelines(f"{key}\n" for key in keys)
