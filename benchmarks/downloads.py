"""What a download left on the disk: whether it is all there."""

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
