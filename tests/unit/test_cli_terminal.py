"""What a terminal sees, how the process starts, and how it is stopped."""

import http.server
import io
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.cli_fake import Script, receipt, scripted
from transfer.__main__ import main
from transfer.cli.escape import printable
from transfer.cli.progress import Activity, Bar, bar_format, total_of
from transfer.engine.standard_streams import standard_input, standard_output
from transfer.model.errors import LocalFileError
from transfer.model.objects import ListedObject
from transfer.model.progress import Progress
from transfer.model.receipts import Failure, Removal

HEAVY = {"aiobotocore", "asyncio", "botocore", "moto", "rich", "tqdm", "typer"}


@pytest.fixture
def engine() -> Iterator[Script]:
    with scripted(Script()) as script:
        yield script


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@given(st.text())
def test_escaped_text_never_steers_a_terminal_and_is_one_line(text: str) -> None:
    shown = printable(text)
    assert len(shown.splitlines()) <= 1
    assert not any(ord(character) < 32 or 127 <= ord(character) < 160 for character in shown)
    shown.encode("utf-8")
    assert printable(shown) == shown


def test_escapes_are_readable() -> None:
    assert printable("tab\t\x1b[31m\u202e\x9b") == "tab\\t\\x1b[31m\\u202e\\x9b"
    assert printable(os.fsdecode(b"caf\xe9")) == "caf\\xe9"
    assert printable("\ud800") == "\\ud800"
    assert printable("東京\u3000é 👩\u200d🚀") == "東京\u3000é 👩\u200d🚀"


def test_a_total_that_may_grow_gets_no_percentage() -> None:
    growing = Progress(bytes_moved=1 << 20, bytes_planned=1 << 30, items_planned=5, items_done=2)
    assert bar_format(growing, 1024.0) == "1.0 MiB of 1.0 GiB or more, 1.0 KiB/s, 2 of 5+ objects"
    stream = Progress(bytes_moved=1 << 20, bytes_planned=1 << 20, items_planned=1)
    assert bar_format(stream, 0.0) == "1.0 MiB, 0 B/s, 0 of 1+ object"


def test_a_stream_gets_no_percentage_however_final(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    bar = Bar(Progress(512, 512, items_planned=1, total_is_final=True), is_stream=True)
    bar.draw()
    bar.close()
    assert "512 B, " in screen.getvalue()
    assert "%" not in screen.getvalue()


def test_a_final_total_gets_percentage_and_time_left() -> None:
    half = Progress(512, 1024, items_planned=2, items_done=1, items_failed=1, total_is_final=True)
    assert bar_format(half, 51.2) == " 50% |{bar}| 512 B of 1.0 KiB, 51 B/s, 10 s left, 2 of 2 objects, 1 failed"


def test_the_end_is_announced_only_when_all_settled() -> None:
    almost = Progress(1024, 1024, items_planned=1, total_is_final=True)
    assert bar_format(almost, 1.0).startswith(" 99% ")
    empty_files = Progress(items_planned=10_000, items_done=10_000, total_is_final=True)
    assert bar_format(empty_files, 0.0).startswith("100% ")


def test_a_phase_of_comparing_tells_what_was_looked_at() -> None:
    asked = Progress(items_checked=40, items_equal=30, total_is_final=True)
    assert bar_format(asked, 0.0) == "checked 40, 0 to copy"
    listed = Progress(items_equal=5000, bytes_read=1 << 30)
    assert bar_format(listed, 0.0) == "checked 5000, 0 to copy, 1.0 GiB read"
    found = Progress(items_equal=5000, items_planned=1, bytes_planned=1 << 20, items_checked=3)
    assert bar_format(found, 0.0) == "0 B of 1.0 MiB or more, 0 B/s, 0 of 1+ object"
    planned = Progress(items_planned=3, items_done=1, items_equal=7)
    assert bar_format(planned, 0.0, Activity.PLANNING) == "checked 10, 3 to copy"


def test_a_phase_of_removing_has_its_own_total() -> None:
    copied = {"items_planned": 2, "items_done": 2, "bytes_moved": 9, "bytes_planned": 9}
    gone = Progress(**copied, items_to_remove=10_000, items_removed=4200, total_is_final=True)
    assert bar_format(gone, 0.0) == " 42% |{bar}| removed 4200 of 10000"
    found = Progress(items_to_remove=3000, items_removed=1000, items_failed=2)
    assert bar_format(found, 0.0, Activity.REMOVING) == "removed 1000 of 3000+, 2 failed"


def test_verifying_tells_what_was_compared() -> None:
    compared = Progress(items_checked=12, items_failed=1, bytes_read=2048)
    assert bar_format(compared, 0.0, Activity.CHECKING) == "checked 12, 2.0 KiB read, 1 failed"


@given(columns=st.integers(20, 200), moved=st.integers(0, 1 << 40), items=st.integers(1, 10**9))
def test_narrow_terminals_keep_the_figures(columns: int, moved: int, items: int) -> None:
    now = Progress(moved, 1 << 40, items_planned=items, items_done=items // 2, total_is_final=True)
    line = bar_format(now, 5e7, columns=columns)
    assert f"{items // 2} of {items} object" in line
    assert ("{bar}" in line) <= (columns >= 80)
    if "{bar}" in line:
        assert len(line) - len("{bar}") + 8 <= columns
    if columns >= 80:
        assert len(line) < columns or "{bar}" in line


def test_many_commands_are_counted_together() -> None:
    parts = (Progress(1, 10, items_planned=2, total_is_final=True), Progress(2, 20, items_planned=3, items_removed=4))
    total = total_of(parts)
    assert (total.bytes_moved, total.bytes_planned, total.items_planned, total.items_removed) == (3, 30, 5, 4)
    assert not total.total_is_final
    total.items_to_remove = 5
    line = bar_format(total, 0.0, Activity.MANY)
    assert line == "3 B of 30 B or more, 0 B/s, 0 of 5+ objects, removed 4 of 5+"


def test_a_command_that_ended_stays_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    bar = Bar(Progress(items_planned=1), Activity.MANY)
    with bar.joined(Progress(512, 512, items_planned=1, items_done=1)):
        bar.draw()
    bar.draw()
    bar.close()
    assert screen.getvalue().count("512 B, ") == 2
    assert "1 of 2+ objects" in screen.getvalue()


def test_the_bar_survives_bytes_that_are_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    progress = Progress(800, 1024, items_planned=1, total_is_final=True)
    bar = Bar(progress)
    bar.draw()
    progress.bytes_moved = 100
    bar.draw()
    with bar.hidden():
        screen.write("a line\n")
    bar.close()
    assert " 78% |" in screen.getvalue()
    assert "  9% |" in screen.getvalue()


def test_the_bar_goes_on_where_the_earlier_run_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    progress = Progress(0, 1000 << 20, items_planned=1, total_is_final=True)
    bar = Bar(progress)
    bar.draw()
    progress.bytes_resumed = 750 << 20
    bar.draw()
    bar.draw()
    assert " 75% |" in screen.getvalue()
    assert "750.0 MiB of 1000.0 MiB, 0 B/s, 0 of 1 object" in screen.getvalue()
    assert set(re.findall(r"[0-9.]+ \w+/s", screen.getvalue())) == {"0 B/s"}
    progress.bytes_moved = 100 << 20
    bar.draw()
    bar.close()
    assert " 85% |" in screen.getvalue()


def test_the_time_left_is_that_of_what_is_still_to_move() -> None:
    going_on = Progress(256, 1024, bytes_resumed=512, items_planned=1, total_is_final=True)
    assert bar_format(going_on, 25.6) == " 75% |{bar}| 768 B of 1.0 KiB, 26 B/s, 10 s left, 0 of 1 object"


def test_a_person_sees_bar_failures_and_summary_but_no_items(engine: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    out, err = Terminal(), Terminal()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    engine.outcomes = [receipt()]
    assert main(["cp", "a", "s3://b/"]) == 0
    assert out.getvalue() == ""
    assert err.getvalue().rpartition("\r")[2].startswith("moved 1 object, 2.0 KiB in ")


@pytest.mark.parametrize(
    ("words", "lines"), [([], 0), (["-v"], 1), (["--dry-run"], 1)], ids=["counted", "verbose", "dry run"]
)
def test_a_person_sees_removals_as_a_count(
    engine: Script, monkeypatch: pytest.MonkeyPatch, words: list[str], lines: int
) -> None:
    out, err = Terminal(), Terminal()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    engine.outcomes = [Removal("s3://b/a", is_dry_run=bool(words) and words[0] != "-v")]
    assert main(["rm", "-r", "s3://b/", *words]) == 0
    assert out.getvalue().count("rm s3://b/a\n") == lines
    assert ("starting" in err.getvalue()) == (words != ["--dry-run"])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_run_cleanly(
    engine: Script, capsys: pytest.CaptureFixture[str], number: signal.Signals
) -> None:
    started = threading.Event()

    class Notices(list[tuple[Any, ...]]):
        def append(self, call: tuple[Any, ...]) -> None:
            super().append(call)
            started.set()

    engine.calls = Notices()
    engine.wait_forever = True
    may_end = engine.cleanup_may_end = threading.Event()

    def stop() -> None:
        started.wait()
        os.kill(os.getpid(), number)
        engine.cleanup_began.wait()
        os.kill(os.getpid(), number)
        may_end.set()

    stopper = threading.Thread(target=stop)
    stopper.start()
    assert main(["cp", "a", "s3://b/"]) == 130
    stopper.join()
    assert engine.cleaned_up
    told = capsys.readouterr().err
    assert told.startswith("transfer: interrupted; ")
    assert told.count("\n") == 1


CLOSED = (
    "import os, sys; [os.close(int(number)) for number in sys.argv[1].split(',')];"
    "os.execv(sys.executable, [sys.executable, '-m', 'transfer', *sys.argv[2:]])"
)


def _run_with_closed(streams: str, *words: str) -> subprocess.CompletedProcess[bytes]:
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2]), "PYTHONWARNINGS": "error"}
    return subprocess.run(
        [sys.executable, "-c", CLOSED, streams, *words], capture_output=True, env=environment, timeout=60, check=False
    )


@pytest.mark.parametrize("streams", ["0", "1", "0,1"])
@pytest.mark.parametrize("words", [["--version"], ["--version", "ls"], ["ls", "--help"]])
def test_closed_streams_break_nothing_that_needs_none(streams: str, words: list[str]) -> None:
    ended = _run_with_closed(streams, *words)
    assert (ended.returncode, ended.stderr) == (0, b"")


@pytest.mark.parametrize("streams", ["2", "1,2", "0,1,2"])
def test_an_error_that_nobody_can_read_still_has_its_exit_code(streams: str) -> None:
    ended = _run_with_closed(streams, "ls", "no/bucket")
    assert (ended.returncode, ended.stdout, ended.stderr) == (2, b"", b"")


@pytest.mark.parametrize("name", ["stdin", "stdout"])
def test_a_closed_stream_that_is_needed_is_named(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(sys, name, None)
    with pytest.raises(LocalFileError, match=f"standard {name.removeprefix('std')}put is closed"):
        standard_input() if name == "stdin" else standard_output()


def test_what_is_written_to_closed_streams_is_lost(engine: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    engine.entries = [ListedObject("a", 1, "e", 1_700_000_000.0)]
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    assert main(["ls", "s3://b/"]) == 0
    assert main(["cat", "s3://b/a"]) == 1
    assert ("cat", "s3://b/a") not in engine.calls


def test_a_reader_that_goes_away_ends_the_command_quietly() -> None:
    script = "import sys; from transfer.__main__ import main; sys.exit(main(['cp', '--help']))"
    reading, writing = os.pipe()
    os.close(reading)
    ended = subprocess.run([sys.executable, "-c", script], stdout=writing, stderr=subprocess.PIPE, check=False)
    os.close(writing)
    assert (ended.returncode, ended.stderr) == (1, b"")


@pytest.mark.parametrize("words", [["cat", "s3://b/k"], ["cp", "s3://b/k", "-"]])
def test_a_reader_of_data_that_goes_away_is_no_failure_to_tell(
    engine: Script, words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    broken = LocalFileError("broken pipe", subject="-")
    engine.content = b"x"
    engine.outcomes = [Failure("s3://b/k", "-", broken)]
    with os.fdopen(writing, "w") as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        assert main(words) == 1
        monkeypatch.undo()
    assert capsys.readouterr().err == ""


def test_a_full_disk_under_stdout_is_a_clear_error(
    engine: Script, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full(io.StringIO):
        def write(self, _text: str) -> int:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(sys, "stdout", Full())
    assert main(["ls"]) == 1
    assert capsys.readouterr().err.startswith("transfer: standard output: no space left on device; ")


def _modules_after(words: list[str]) -> set[str]:
    script = (
        f"import sys; sys.argv[1:] = {words!r}; from transfer.__main__ import main\n"
        "try: main()\nexcept SystemExit: pass\n"
        "print('\\n' + ' '.join(sys.modules))"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(ended.stdout.splitlines()[-1].split())


def test_a_blocked_read_of_stdin_does_not_keep_the_process() -> None:
    script = (
        "import sys, threading, transfer.cli.app\n"
        "def run(words):\n"
        "    threading.Thread(target=sys.stdin.read).start()\n"
        "    print('told')\n"
        "    return 130\n"
        "transfer.cli.app.run_command_line = run\n"
        "from transfer.__main__ import main\n"
        "sys.exit(main())\n"
    )
    words = [sys.executable, "-c", script]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.wait(timeout=60) == 130
        assert process.stdout is not None
        assert process.stdout.read() == "told\n"


def test_the_version_imports_nothing_heavy() -> None:
    assert not HEAVY & _modules_after(["--version"])


def test_help_and_usage_import_no_engine() -> None:
    assert not (HEAVY - {"asyncio", "typer"}) & _modules_after(["cp", "--help"])


class OneObject(http.server.BaseHTTPRequestHandler):
    """A store that takes every object, and lists and removes a single one."""

    protocol_version = "HTTP/1.1"

    def _answer(self, body: bytes = b"") -> None:
        self.rfile.read(int(self.headers.get("content-length", "0")))
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.send_header("etag", '"e"')
        self.end_headers()
        self.wfile.write(body)

    def do_PUT(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer(b"<ListBucketResult><Contents><Key>f/a</Key><Size>1</Size></Contents></ListBucketResult>")

    def do_POST(self) -> None:
        self._answer(b"<DeleteResult/>")

    def log_message(self, *_: object) -> None: ...


@pytest.mark.parametrize(
    ("words", "unneeded"),
    [
        (["cp", __file__, "s3://b/k"], {"transfer.engine.download", "transfer.engine.relay", "transfer.engine.moving"}),
        (
            ["rm", "-r", "s3://b/f/"],
            {"awscrt", "transfer.engine.copying", "transfer.engine.upload", "transfer.journal"},
        ),
    ],
    ids=["cp", "rm"],
)
def test_a_command_loads_what_it_needs(
    words: list[str], unneeded: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    never = {"email.utils", "http.client", "sqlite3", "urllib.request", *HEAVY} - {"asyncio", "typer"}
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), OneObject) as server:
        threading.Thread(target=server.serve_forever).start()
        endpoint = f"http://127.0.0.1:{server.server_port}"
        state = ["--state-dir", str(tmp_path)] if words[0] == "cp" else []
        loaded = _modules_after([*words, *state, "--endpoint-url", endpoint, "--no-sign-request", "--region", "r"])
        server.shutdown()
    assert f"transfer.cli.{words[0]}" in loaded
    assert "transfer.engine.attempts" in loaded
    assert not (never | unneeded) & loaded


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert main(["--version", "ls"]) == 0
    assert capsys.readouterr().out == "transfer 0.1.0\n" * 2


def test_a_ctrl_c_while_loading_is_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("transfer.cli.app.run_command_line", interrupt)
    assert main(["ls"]) == 130
    assert capsys.readouterr().err.startswith("transfer: interrupted")
