"""What a download left on the disk: whether it is all there, and room for the next one."""

from __future__ import annotations

import random
from pathlib import Path

from benchmarks.endpoints import sampled_problem
from benchmarks.pattern import Pattern
from benchmarks.workloads import Workload

COMPARED_FILES = 200


def download_problem(workload: Workload, target: Path, pattern: Pattern) -> str:
    """Compare the sizes of all files and the bytes of some with what they should be; empty when they agree."""
    tree = workload.tree
    numbers = range(tree.count)
    paths = {number: target / tree.name(number) if workload.is_tree else target for number in numbers}
    for number, path in paths.items():
        found_bytes = path.stat().st_size if path.exists() else None
        if found_bytes is None:
            return f"there is no file {path.name}, the object has {tree.size_bytes(number)} bytes"
        if found_bytes != tree.size_bytes(number):
            return f"the file {path.name} has {found_bytes} bytes, the object {tree.size_bytes(number)} bytes"
    chosen = random.sample(numbers, min(COMPARED_FILES, tree.count))
    problems = (sampled_problem(pattern, paths[number], tree.size_bytes(number)) for number in chosen)
    return next(filter(None, problems), "")


def warm_memory(path: Path, size_bytes: int, pattern: Pattern) -> None:
    """Write a file of `size_bytes` and remove it, so that every run finds as much memory that is at hand.

    A virtual machine hands memory that lies free for some seconds back to its host, and the first to touch it again
    waits for its return: 1 GiB into a memory file system took 0.37 s in such memory that was at hand and 3.0 s
    otherwise. Without this the figure tells who ran after a pause.

    Raises:
        OSError: There is no room.
    """
    try:
        pattern.write(path, size_bytes)
    finally:
        path.unlink(missing_ok=True)
