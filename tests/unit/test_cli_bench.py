"""How `bench` reads its options, what its lines say, and the picture it draws."""

import errno
import importlib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from transfer.__main__ import main
from transfer.cli.bench_flags import BenchFlags
from transfer.cli.bench_lines import ending, format_latency, row_lines, summary_lines, tick_line
from transfer.cli.bench_plot import check_plot, draw, series_of
from transfer.cli.exit_codes import ExitCode
from transfer.model.bench import (
    MIB,
    BenchBegun,
    BenchCleaned,
    BenchOperation,
    BenchOptions,
    BenchTick,
    Latencies,
    OperationResult,
    StepResult,
)
from transfer.model.errors import ConfigurationError, TransferError, UsageError
from transfer.plan.bench_estimate import estimate

PUT, GET, STAT, LIST, DELETE, MIXED = BenchOperation
FAST = Latencies(0.002, 0.001, 0.002, 0.003, 0.004, 0.005, 0.006)


def step(operation: BenchOperation, level: int, count: int, **changes: Any) -> StepResult:
    moved = count * MIB if operation.depends_on_size else 0
    values = {"latency": FAST if count else None} | changes
    total = OperationResult(operation, count, count, moved, **values)
    return StepResult(operation, MIB, level, 2.0, 0.5, total)


def test_options_are_read() -> None:
    flags = BenchFlags(
        op="mixed, get", size="4KiB,1M", objects="7", concurrency="1,8", mix="get=3,put=1", requests="9",
        retries="0", max_bytes="2G", keep=True,
    )  # fmt: skip
    assert flags.options() == BenchOptions(
        operations=(MIXED, GET), sizes_bytes=(4096, MIB), objects=7, concurrency=(1, 8), mix={GET: 3, PUT: 1},
        requests=9, retries=0, max_step_bytes=2048 * MIB, keep=True,
    )  # fmt: skip
    assert BenchFlags().options() == BenchOptions()
    assert BenchFlags(duration="0.5").options().seconds == 0.5
    assert not BenchFlags().transfer_options().resume


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--op", "put,fly"),
        ("--op", "put,put"),
        ("--op", "put,,get"),
        ("--size", "big"),
        ("--size", "1G"),
        ("--objects", "0"),
        ("--concurrency", "1,x"),
        ("--concurrency", "0"),
        ("--mix", "get"),
        ("--mix", "get=x"),
        ("--mix", "get=1,get=2"),
        ("--duration", "0"),
        ("--requests", "none"),
        ("--retries", "-1"),
        ("--max-bytes", "1K"),
        ("--plot", "picture.bmp"),
        ("--plot", "nowhere/at/all.png"),
        ("--output", "nowhere/at/all.json"),
    ],
)
def test_what_makes_no_sense_is_one_line_and_nothing_is_opened(
    capsys: pytest.CaptureFixture[str], option: str, value: str
) -> None:
    assert main(["bench", "s3://bucket/x", option, value]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith(f"transfer: {option}")
    assert len(told.err.splitlines()) == 1


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A mark for each measurement that begins; none is made."""
    begun: list[str] = []

    def begin(*_: object) -> ExitCode:
        begun.append("begun")
        return ExitCode.DONE

    monkeypatch.setattr("transfer.cli.bench.run", begin)
    return begun


@pytest.mark.parametrize(("option", "name"), [("--output", "figures.json"), ("--plot", "figures.png")])
def test_a_file_that_cannot_be_is_refused_before_anything_is_measured(
    measured: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path, option: str, name: str
) -> None:
    folder, long = tmp_path / name, tmp_path / f"{'x' * 300}{name}"
    folder.mkdir()
    assert main(["bench", "s3://bucket/x", option, str(folder)]) == 2
    assert capsys.readouterr().err == f"transfer: {option} {folder}: it is a folder; name a file in it\n"
    assert main(["bench", "s3://bucket/x", option, str(long)]) == 2
    remedy = "name a file in a folder you may write to"
    assert capsys.readouterr().err == f"transfer: {option} {long}: file name too long; {remedy}\n"
    assert measured == []


@pytest.mark.parametrize(
    ("option", "name", "is_there"),
    [("--output", "figures.json", False), ("--plot", "figures.png", False), ("--plot", "figures.png", True)],
)
def test_a_file_that_may_not_be_written_is_refused_before_anything_is_measured(
    measured: list[str],
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    option: str,
    name: str,
    is_there: bool,
) -> None:
    file = tmp_path / name
    if is_there:
        file.write_bytes(b"of yesterday")

    def refuse(path: Path, *_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    # Whoever runs the tests may be allowed everything.
    monkeypatch.setattr(Path, "open" if is_there else "touch", refuse)
    assert main(["bench", "s3://bucket/x", option, str(file)]) == 2
    remedy = "name a file in a folder you may write to"
    assert capsys.readouterr().err == f"transfer: {option} {file}: permission denied; {remedy}\n"
    assert measured == []


def test_finding_out_whether_files_can_be_written_changes_nothing(measured: list[str], tmp_path: Path) -> None:
    files = [tmp_path / "figures.json", tmp_path / "figures.png"]
    words = ("bench", "s3://bucket/x", "--output", str(files[0]), "--plot", str(files[1]))
    assert main(words) == 0
    assert list(tmp_path.iterdir()) == []
    for file in files:
        file.write_bytes(b"of yesterday")
    assert main(words) == 0
    assert sorted(tmp_path.iterdir()) == files
    assert [file.read_bytes() for file in files] == [b"of yesterday"] * 2
    assert measured == ["begun"] * 2


def test_two_ways_to_end_a_step_contradict(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "s3://bucket/x", "--duration", "1", "--requests", "1"]) == 2
    assert "--requests" in capsys.readouterr().err
    assert main(["bench", "somewhere"]) == 2
    assert main(["bench"]) == 2


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0004512, "0.45 ms"), (0.0123, "12.3 ms"), (0.5, "500 ms"), (0.9996, "1.00 s"), (1.2, "1.20 s"), (60, "60.0 s"),
     (0.009996, "10.0 ms"), (0.09996, "100 ms")],
)  # fmt: skip
def test_latencies_have_three_digits(seconds: float, text: str) -> None:
    assert format_latency(seconds) == text


def test_rows_stand_below_their_heads() -> None:
    lines = row_lines(step(GET, 8, 100, errors={"SlowDown": 2}, retries=1, first_byte=FAST), is_first=True)
    heads, row = lines.splitlines()
    for head, cell in {"objects/s": "50.0", "MiB/s": "50.0", "p99": "4.00 ms", "errors": "2", "retries": "1"}.items():
        end = heads.index(head) + len(head)
        assert row[:end].endswith(cell)
    assert row_lines(step(LIST, 1, 0), is_first=False).split() == ["list", "1", "0.0"]


def test_the_summary_names_what_is_enough_and_what_is_wrong() -> None:
    steps = [step(GET, 1, 50), step(GET, 2, 98), step(GET, 4, 100, errors={"SlowDown": 3}), step(LIST, 1, 0)]
    lines = summary_lines(steps, BenchCleaned("s3://b/x/", left=3, reason="no", has_versions=True)).splitlines()
    assert lines == [
        "transfer: bench: get 1.0 MiB: 49.0 objects/s, 49.0 MiB/s, p99 4.00 ms with 2 at once (within 5 % of the best)",
        "transfer: bench: errors: 3 SlowDown",
        "transfer: bench: 3 objects could not be removed (no); remove them with: transfer rm -r s3://b/x/",
        "transfer: bench: the bucket keeps versions: what was removed goes on costing until its rules let it go",
    ]
    busy = StepResult(GET, MIB, 1, 1.0, 0.95, steps[0].total)
    assert "in 1 of 1 steps this program kept a core busy" in summary_lines([busy], None)


def test_what_became_of_the_objects_of_a_run_that_was_stopped() -> None:
    begun = BenchBegun("s3://b/x/", estimate(BenchOptions()))
    remedy = "remove it with: transfer rm -r s3://b/x/"
    assert ending(None, None) == "nothing was written"
    assert ending(begun, None) == f"what was written below s3://b/x/ may be there still; {remedy}"
    assert ending(begun, BenchCleaned("s3://b/x/")) == "what was written below s3://b/x/ has been removed"
    assert ending(begun, BenchCleaned("s3://b/x/", is_kept=True)) == f"kept what is below s3://b/x/; {remedy}"
    left = BenchCleaned("s3://b/x/", left=3, reason="no")
    assert ending(begun, left) == "3 objects could not be removed (no); remove them with: transfer rm -r s3://b/x/"


def test_the_line_that_is_redrawn() -> None:
    assert tick_line(BenchTick("get 1.0 MiB, 8 at once", 2.0, 10, 10 * MIB, 0.01)) == (
        "get 1.0 MiB, 8 at once, 2 s, 5 objects/s, 5.0 MiB/s, p99 10.0 ms"
    )
    assert tick_line(BenchTick("list, 1 at once", 0.0, 0, 0)) == "list, 1 at once, 0 s"


def test_curves_leave_out_what_did_not_succeed() -> None:
    [get, stat] = series_of([step(GET, 4, 100), step(GET, 1, 50), step(GET, 2, 0), step(STAT, 1, 10), step(LIST, 1, 0)])
    assert (get.name, get.levels, get.mib_per_second) == ("get 1.0 MiB", (1, 4), (25.0, 50.0))
    assert (get.p50_seconds, get.p99_seconds) == ((0.002, 0.002), (0.004, 0.004))
    assert (stat.name, stat.objects_per_second, stat.mib_per_second) == ("stat", (5.0,), (0.0,))


@pytest.mark.parametrize(("name", "start"), [("a.png", b"\x89PNG"), ("a.svg", b"<?xml"), ("a.PDF", b"%PDF")])
def test_a_picture_is_drawn(tmp_path: Path, name: str, start: bytes) -> None:
    file = tmp_path / name
    steps = [step(GET, 1, 50), step(GET, 4, 100), step(PUT, 1, 2), step(LIST, 1, 9), step(DELETE, 1, 0)]
    check_plot(file)
    draw(steps, "title", file)
    assert file.read_bytes().startswith(start)
    draw([step(LIST, 1, 9)], "title", file)
    draw([], "nothing", file)
    with pytest.raises(TransferError):
        draw(steps, "title", tmp_path / "nowhere" / name)


def test_without_matplotlib_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def missing(name: str) -> ModuleType:
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(ConfigurationError, match=r"pip install 'transfer\[plot\]'"):
        check_plot(tmp_path / "a.png")
    with pytest.raises(UsageError):
        check_plot(tmp_path / "a.txt")
