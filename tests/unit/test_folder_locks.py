"""One folder, several processes of this program: looking at a name and renaming over it is one step."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from transfer.stores.local import folders
from transfer.stores.local.durable import DurableFile
from transfer.stores.local.folders import open_root

PROJECT = Path(folders.__file__).parents[3]

HOLDER = """
import sys
from transfer.stores.local.folders import open_root

with open_root(sys.argv[1]).locked():
    print("within", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that is within the lock until a line comes, or its input ends."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)],
        cwd=PROJECT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "within\n"
        yield process


def instead_of_pausing(monkeypatch: pytest.MonkeyPatch, do: Callable[[], object]) -> None:
    monkeypatch.setattr(folders, "time", SimpleNamespace(sleep=lambda _: do()))


def test_a_commit_waits_for_another_process(
    tmp_path: Path, holder: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    final = tmp_path / "f"
    seen: list[bool] = []

    def let_go() -> None:
        seen.append(final.exists())
        holder.communicate()

    instead_of_pausing(monkeypatch, let_go)
    landing = DurableFile.create(str(tmp_path), "f", 0, keeps_spelling=True)
    landing.commit(None)
    assert (seen, final.exists(), holder.returncode) == ([False], True, 0)


def test_another_one_may_when_it_is_let_go_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[None] = []
    instead_of_pausing(monkeypatch, lambda: pauses.append(None))
    monkeypatch.setattr(folders, "_LOCK_TRIALS", 3)
    first, second = open_root(str(tmp_path)), open_root(str(tmp_path))
    for folder in (first, second, first):
        with folder.locked():
            pass
    assert pauses == []
    first.close()
    second.close()


def test_a_lock_that_nobody_lets_go_of_ends_no_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[None] = []
    instead_of_pausing(monkeypatch, lambda: pauses.append(None))
    monkeypatch.setattr(folders, "_LOCK_TRIALS", 3)
    holder = open_root(str(tmp_path))
    with holder.locked():
        DurableFile.create(str(tmp_path), "f", 0, keeps_spelling=True).commit(None)
    holder.close()
    assert (len(pauses), (tmp_path / "f").exists()) == (3, True)
