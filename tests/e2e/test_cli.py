import fcntl
import filecmp
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.cli import Cli, lines_of
from tests.support.servers import S3Server

MIB = 1024 * 1024


@pytest.fixture
def cli(server: S3Server, tmp_path: Path) -> Cli:
    return Cli(server, tmp_path)


@pytest.fixture
def seaweed_cli(seaweed: S3Server, tmp_path: Path) -> Cli:
    return Cli(seaweed, tmp_path)


def make_tree(folder: Path) -> Path:
    root = folder / "tree"
    (root / "deep" / "er").mkdir(parents=True)
    (root / "empty").write_bytes(b"")
    (root / "hällo wörld.txt").write_bytes(b"hello")
    (root / "deep" / "a+b%41#.bin").write_bytes(os.urandom(300_000))
    (root / "deep" / "er" / "large.mov").write_bytes(os.urandom(17 * MIB))
    return root


def assert_same_tree(left: Path, right: Path) -> None:
    names = sorted(str(path.relative_to(left)) for path in left.rglob("*"))
    assert names == sorted(str(path.relative_to(right)) for path in right.rglob("*"))
    files = [name for name in names if (left / name).is_file()]
    assert filecmp.cmpfiles(left, right, files, shallow=False) == (files, [], [])


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    """Wait until the command has come so far; its end before that is a failure."""
    turn = threading.Event()
    for _ in range(3000):
        if condition():
            return
        assert process.poll() is None, process.communicate()
        turn.wait(0.02)
    pytest.fail("the command never came so far")


def test_a_tree_goes_up_and_comes_back(cli: Cli, bucket: str) -> None:
    root = make_tree(cli.folder)
    cli.ok("cp", "-r", "tree", f"s3://{bucket}/tree/")
    cli.ok("cp", "-r", f"s3://{bucket}/tree/", "back")
    assert_same_tree(root, cli.folder / "back")
    assert not list((cli.folder / "back").rglob(".*"))
    times = (root / "empty").stat().st_mtime_ns, (cli.folder / "back" / "empty").stat().st_mtime_ns
    assert times[0] == times[1]


def test_wildcards_choose_among_keys_and_files(cli: Cli, bucket: str) -> None:
    for name in ("a.mov", "b.mov", "c.txt"):
        (cli.folder / name).write_bytes(name.encode())
    cli.ok("cp", "*.mov", f"s3://{bucket}/videos/")
    cli.ok("cp", "c.txt", f"s3://{bucket}/videos/")
    cli.ok("cp", f"s3://{bucket}/videos/*.mov", "restore/")
    assert sorted(path.name for path in (cli.folder / "restore").iterdir()) == ["a.mov", "b.mov"]


def test_standard_input_and_output_carry_bytes(cli: Cli, bucket: str) -> None:
    content = os.urandom(17 * MIB)
    cli.ok("cp", "-", f"s3://{bucket}/stream", stdin=content)
    assert cli.run("cat", f"s3://{bucket}/stream").stdout == content
    assert cli.run("cp", f"s3://{bucket}/stream", "-").stdout == content


def test_standard_input_that_was_not_read_is_not_lost(cli: Cli, bucket: str) -> None:
    refused = cli.run("cp", "-", f"s3://{bucket}/", stdin=b"hi")
    assert refused.returncode == 2
    [line] = lines_of(refused.stderr)
    assert line.startswith(f"transfer: s3://{bucket}/: standard input has no name to keep; ")
    failed = cli.run("cp", "-", f"s3://{bucket}-missing/key", stdin=b"hi")
    assert "transfer: warning: standard input cannot be read twice: give all of it again" in lines_of(failed.stderr)


def test_cat_takes_keys_with_wildcards_but_no_patterns(cli: Cli, bucket: str) -> None:
    cli.ok("cp", "-", f"s3://{bucket}/tree/a*[1]?", "--raw", stdin=b"starred")
    assert cli.ok("cat", f"s3://{bucket}/tree/a*[1]?") == "starred"
    refused = cli.run("cat", f"s3://{bucket}/tree/*")
    assert (refused.returncode, refused.stdout) == (1, b"")
    [line] = lines_of(refused.stderr)
    told, _, remedy = line.partition("; ")
    assert told == f"transfer: s3://{bucket}/tree/*: there is no such object, and cat takes one key, no pattern"
    assert remedy == f"see what matches with: transfer ls 's3://{bucket}/tree/*'"
    assert "tree/a*[1]?" in cli.ok("ls", f"s3://{bucket}/tree/*")
    missing = cli.run("cat", f"s3://{bucket}/tree/b")
    assert lines_of(missing.stderr) == [
        f"transfer: s3://{bucket}/tree/b: there is no such object; check the key with: transfer ls"
    ]


def test_buckets_are_made_listed_and_removed(cli: Cli, bucket: str) -> None:
    name = f"{bucket}-two"
    cli.ok("mb", f"s3://{name}")
    assert name in cli.ok("ls")
    cli.ok("rb", f"s3://{name}")
    assert name not in cli.ok("ls")


def test_listing_stat_and_removal(cli: Cli, bucket: str) -> None:
    (cli.folder / "one").write_bytes(b"123456789")
    cli.ok("cp", "one", f"s3://{bucket}/folder/one", "--metadata", "colour=blue")
    cli.ok("cp", "one", f"s3://{bucket}/two")
    assert "PRE folder/" in cli.ok("ls", f"s3://{bucket}/")
    listed = [json.loads(line) for line in cli.ok("ls", "-r", "--json", f"s3://{bucket}/").splitlines()]
    assert [entry["key"] for entry in listed if "key" in entry] == ["folder/one", "two"]
    stat = cli.ok("stat", f"s3://{bucket}/folder/one")
    assert "blue" in stat
    assert "rosUhgp5mIg=" in stat
    cli.ok("rm", f"s3://{bucket}/two")
    cli.ok("rm", "-r", f"s3://{bucket}/folder/")
    assert lines_of(cli.run("ls", "-r", f"s3://{bucket}/").stdout) == []


def test_a_manifest_holds_a_receipt_per_object(cli: Cli, bucket: str) -> None:
    make_tree(cli.folder)
    cli.ok("cp", "-r", "tree", f"s3://{bucket}/", "--manifest", "receipts.jsonl")
    receipts = [json.loads(line) for line in (cli.folder / "receipts.jsonl").read_text().splitlines()]
    assert len(receipts) == 4
    for receipt in receipts:
        expected = {"source", "destination", "size", "etag", "checksum", "verified_by", "seconds", "retries", "mover"}
        assert expected <= receipt.keys()
        assert receipt["verified_by"] == "full-object checksum"
    assert {receipt["mover"] for receipt in receipts if receipt["size"] > MIB} == {"sendfile"}


def test_json_tells_receipts_and_errors_one_per_line(cli: Cli, bucket: str) -> None:
    (cli.folder / "one").write_bytes(b"1")
    done = cli.run("cp", "--json", "one", f"s3://{bucket}/one")
    assert all(isinstance(json.loads(line), dict) for line in lines_of(done.stdout))
    failed = cli.run("cp", "--json", f"s3://{bucket}/missing", "here")
    errors = [json.loads(line) for line in lines_of(failed.stdout)]
    assert failed.returncode == 1
    assert any(error.get("type") == "error" and "missing" in error["subject"] for error in errors)
    assert failed.stderr == b""


BAD_INPUT: list[tuple[list[str], int, str]] = [
    (["cp", "missing.txt", "s3://BUCKET/k"], 1, r"missing\.txt"),
    (["cp", "s3://BUCKET/no-such-key", "here"], 1, r"no-such-key.*transfer ls"),
    (["cp", "s3://no-such-bucket-here/key", "here"], 1, r"no-such-bucket-here.*transfer mb"),
    (["cp", "one", "s3://no-such-bucket-here/key"], 1, r"no-such-bucket-here.*transfer mb"),
    (["cp", "folder", "s3://BUCKET/"], 2, r"folder.*-r"),
    (["cp", "s3://BUCKET/folder/", "here"], 2, r"folder.*-r"),
    (["cp", "one", "s3://"], 2, r"s3://bucket/key"),
    (["cp", "one", "s3:///key"], 2, r"s3://bucket/key"),
    (["cp", "one", "two"], 2, r"s3://bucket/key"),
    (["cp", "one", "s3://BUCKET/k", "--checksum", "crc99"], 2, r"crc99"),
    (["cp", "one", "s3://BUCKET/k", "--part-size", "1M"], 2, r"--part-size"),
    (["cp", "one", "s3://BUCKET/k", "--part-size", "lots"], 2, r"lots"),
    (["cp", "one", "s3://BUCKET/k", "--limit-rate", "0"], 2, r"--limit-rate"),
    (["cp", "one", "s3://BUCKET/k", "--metadata", "novalue"], 2, r"novalue"),
    (["cp", "one", "s3://BUCKET/k", "--no-such-option"], 2, r"no-such-option"),
    (["cp", "one"], 2, r"(?i)destination|argument"),
    (["cp", "one", "gs://bucket/k"], 2, r"gs://"),
    (["ls", "s3://no-such-bucket-here/"], 1, r"no-such-bucket-here"),
    (["ls", "s3://BUCKET/", "--endpoint-url", "localhost:99999"], 2, r"localhost:99999"),
    (["ls", "s3://BUCKET/", "--endpoint-url", "http://127.0.0.1:1"], 1, r"127\.0\.0\.1:1.*endpoint"),
    (["ls", "s3://BUCKET/", "--profile", "nobody"], 1, r"nobody"),
    (["ls", "s3://BUCKET/", "--ca-bundle", "no-such.pem"], 2, r"no-such\.pem"),
    (["rm", "s3://BUCKET/no-such-key"], 1, r"no-such-key"),
    (["rb", "s3://no-such-bucket-here"], 1, r"no-such-bucket-here"),
    (["stat", "s3://BUCKET/"], 2, r"folder"),
    (["frobnicate"], 2, r"frobnicate"),
]


@pytest.mark.parametrize(("arguments", "code", "told"), BAD_INPUT, ids=[" ".join(case[0]) for case in BAD_INPUT])
def test_bad_input_gets_one_clear_line(
    seaweed_cli: Cli, seaweed_bucket: str, arguments: list[str], code: int, told: str
) -> None:
    (seaweed_cli.folder / "one").write_bytes(b"1")
    (seaweed_cli.folder / "folder").mkdir()
    if "--ca-bundle" in arguments:
        arguments = [*arguments, "--endpoint-url", "https://127.0.0.1:1"]
    done = seaweed_cli.run(*[argument.replace("BUCKET", seaweed_bucket) for argument in arguments])
    said = done.stderr.decode()
    assert done.returncode == code, said
    assert re.search(told, said), said
    assert "Traceback" not in said
    assert len([line for line in lines_of(done.stderr) if line.startswith("transfer: ")]) == 1, said
    assert sorted(path.name for path in seaweed_cli.folder.iterdir()) == ["folder", "one"]


@pytest.mark.parametrize("command", [("ls",), ("mb", "s3://new-bucket"), ("ls", "s3://bucket/")])
def test_a_store_that_is_not_there_is_told_alike_by_every_command(seaweed_cli: Cli, command: tuple[str, ...]) -> None:
    done = seaweed_cli.run(*command, "--endpoint-url", "http://127.0.0.1:1")
    (line,) = lines_of(done.stderr)
    assert done.returncode == 1
    assert line.startswith("transfer: http://127.0.0.1:1: cannot connect: connection refused")
    assert line.endswith("; check that the endpoint URL is right and the server is up")


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({"AWS_SECRET_ACCESS_KEY": "wrong"}, "credentials"),
        ({"AWS_ACCESS_KEY_ID": "nobody"}, "credentials"),
        ({"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}, "no credentials"),
    ],
)
@pytest.mark.parametrize("direction", ["up", "down"])
def test_wrong_credentials_are_named_once_for_a_tree(
    seaweed_cli: Cli, seaweed_bucket: str, variables: dict[str, str], told: str, direction: str
) -> None:
    make_tree(seaweed_cli.folder)
    pair = ("tree", f"s3://{seaweed_bucket}/") if direction == "up" else (f"s3://{seaweed_bucket}/x/", "here")
    done = seaweed_cli.run("cp", "-r", *pair, environment=variables)
    assert done.returncode == 1
    assert told in done.stderr.decode()
    assert "wrong" not in done.stderr.decode()
    assert len([line for line in lines_of(done.stderr) if told in line]) == 1


def test_what_is_left_out_is_told_and_costs_the_exit_code(cli: Cli, bucket: str) -> None:
    root = make_tree(cli.folder)
    os.mkfifo(root / "pipe")
    done = cli.run("cp", "-r", "tree", f"s3://{bucket}/")
    assert done.returncode == 3
    assert "pipe" in done.stderr.decode()


def test_a_folder_that_cannot_be_read_is_a_failure(seaweed_cli: Cli, seaweed_bucket: str) -> None:
    make_tree(seaweed_cli.folder)
    program = (
        "import os, sys; real = os.scandir\n"
        "def refuse(path):\n"
        "    if str(path).endswith('deep'): raise PermissionError(13, 'Permission denied', path)\n"
        "    return real(path)\n"
        "os.scandir = refuse\n"
        "from transfer.__main__ import main; sys.exit(main())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "cp", "-r", "tree", f"s3://{seaweed_bucket}/"],
        capture_output=True,
        cwd=seaweed_cli.folder,
        env=seaweed_cli.environment(),
        timeout=60,
        check=False,
    )
    assert done.returncode == 1, done.stderr.decode()
    assert "deep: it cannot be read: permission denied" in done.stderr.decode()
    assert "moved 2 objects" in done.stderr.decode()


def test_a_bucket_that_holds_something_is_not_removed(cli: Cli, bucket: str, oracle: Any) -> None:
    oracle.put_object(Bucket=bucket, Key="kept", Body=b"x")
    done = cli.run("rb", f"s3://{bucket}")
    assert done.returncode == 1
    assert "not empty" in done.stderr.decode()
    assert oracle.get_object(Bucket=bucket, Key="kept")["Body"].read() == b"x"


def test_what_was_not_attempted_is_told(seaweed_cli: Cli, seaweed_bucket: str) -> None:
    make_tree(seaweed_cli.folder)
    done = seaweed_cli.run(
        "cp",
        "-r",
        "tree",
        f"s3://{seaweed_bucket}/",
        "--concurrency",
        "1",
        environment={"AWS_SECRET_ACCESS_KEY": "bad"},
    )
    assert done.returncode == 1
    assert re.search(r"1 failed, 3 not attempted", done.stderr.decode()), done.stderr.decode()


def test_a_target_folder_that_cannot_be_made_is_told_once(cli: Cli, bucket: str) -> None:
    make_tree(cli.folder)
    cli.ok("cp", "-r", "tree", f"s3://{bucket}/")
    (cli.folder / "file").write_bytes(b"x")
    done = cli.run("cp", "-r", f"s3://{bucket}/", "file/new")
    told, summary, *_ = done.stderr.decode().splitlines()
    assert done.returncode == 1
    assert told == "transfer: file/new: not a directory"
    assert re.search(r"1 failed, 3 not attempted$", summary), summary


@pytest.mark.parametrize("is_batch", [False, True])
@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_run_whose_lines_nobody_reads_any_more_says_why_it_stops(
    cli: Cli, bucket: str, options: list[str], is_batch: bool
) -> None:
    (cli.folder / "many").mkdir()
    for number in range(3000):
        (cli.folder / "many" / str(number)).write_bytes(b"x")
    command = ["cp", "-r", "many", f"s3://{bucket}/"]
    if is_batch:
        (cli.folder / "commands.txt").write_text(f"{' '.join(command)}\n" * 3)
        command = ["run", "--jobs", "1", "commands.txt"]
    with cli.start(*command, *options) as process:
        assert process.stdout
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr
        told = process.stderr.read().decode()
        assert process.wait() == 1
    assert told.count("stopped, for nobody reads standard output any more") == 1
    assert ("run the same command again" in told) is not bool(options)


def test_unsafe_keys_are_refused_skipped_or_escaped(
    moto: S3Server, tmp_path: Path, s3_client: Callable[[S3Server], Any]
) -> None:
    cli, oracle, bucket = Cli(moto, tmp_path), s3_client(moto), "unsafe-keys"
    oracle.create_bucket(Bucket=bucket)
    for key in ("data/../../evil", "data/fine"):
        oracle.put_object(Bucket=bucket, Key=key, Body=b"x")
    refused = cli.run("cp", "-r", f"s3://{bucket}/", "out/in")
    assert refused.returncode == 1
    assert "evil" in refused.stderr.decode()
    assert cli.run("cp", "-r", f"s3://{bucket}/", "skip/in", "--unsafe-keys", "skip").returncode == 3
    assert cli.run("cp", "-r", f"s3://{bucket}/", "escape/in", "--unsafe-keys", "escape").returncode == 0
    for folder in ("out", "skip", "escape"):
        assert [path.name for path in (cli.folder / folder).iterdir()] == ["in"]
        assert (cli.folder / folder / "in" / "data" / "fine").read_bytes() == b"x"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_upload_leaves_nothing_in_the_store_if_nothing_is_kept(
    seaweed_cli: Cli, seaweed_bucket: str, seaweed_oracle: Any, number: signal.Signals
) -> None:
    (seaweed_cli.folder / "large").write_bytes(os.urandom(40 * MIB))

    def uploads() -> list[Any]:
        found: list[Any] = seaweed_oracle.list_multipart_uploads(Bucket=seaweed_bucket).get("Uploads", [])
        return found

    arguments = ("cp", "--no-resume", "large", f"s3://{seaweed_bucket}/large", "--limit-rate", "2M")
    with seaweed_cli.start(*arguments) as process:
        wait_for(lambda: bool(uploads()), process)
        process.send_signal(number)
        _, said = process.communicate(timeout=20)
    assert process.returncode == 130
    assert b"Traceback" not in said
    assert b"interrupted" in said
    assert uploads() == []
    assert "Contents" not in seaweed_oracle.list_objects_v2(Bucket=seaweed_bucket)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_download_leaves_no_file_if_nothing_is_kept(
    seaweed_cli: Cli, seaweed_bucket: str, number: signal.Signals
) -> None:
    (seaweed_cli.folder / "large").write_bytes(os.urandom(20 * MIB))
    seaweed_cli.ok("cp", "large", f"s3://{seaweed_bucket}/large")
    out = seaweed_cli.folder / "out"
    out.mkdir()
    arguments = ("cp", "--no-resume", f"s3://{seaweed_bucket}/large", "out/", "--limit-rate", "2M")
    with seaweed_cli.start(*arguments) as process:
        wait_for(lambda: any(out.iterdir()), process)
        process.send_signal(number)
        _, said = process.communicate(timeout=20)
    assert process.returncode == 130
    assert b"Traceback" not in said
    assert list(out.iterdir()) == []


def test_the_bar_is_drawn_on_a_terminal_and_ends_with_a_summary(seaweed_cli: Cli, seaweed_bucket: str) -> None:
    (seaweed_cli.folder / "large").write_bytes(os.urandom(24 * MIB))
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
    drawn = bytearray()

    def collect() -> None:
        while True:
            try:
                piece = os.read(ours, 4096)
            except OSError:
                return
            if not piece:
                return
            drawn.extend(piece)

    reader = threading.Thread(target=collect)
    reader.start()
    arguments = ("cp", "large", f"s3://{seaweed_bucket}/large", "--limit-rate", "20M")
    with seaweed_cli.start(*arguments, stderr=theirs) as process:
        os.close(theirs)
        process.communicate(timeout=60)
    reader.join()
    os.close(ours)
    text = drawn.decode()
    assert process.returncode == 0, text
    assert "%" in text
    assert "24.0 MiB" in text
    assert "moved 1 object" in text


def test_no_bar_without_a_terminal(seaweed_cli: Cli, seaweed_bucket: str) -> None:
    (seaweed_cli.folder / "one").write_bytes(b"1")
    done = seaweed_cli.run("cp", "one", f"s3://{seaweed_bucket}/one")
    assert b"\r" not in done.stdout + done.stderr
    assert b"%" not in done.stderr


def test_quiet_says_nothing_but_errors(seaweed_cli: Cli, seaweed_bucket: str) -> None:
    (seaweed_cli.folder / "one").write_bytes(b"1")
    done = seaweed_cli.run("cp", "-q", "one", f"s3://{seaweed_bucket}/one")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    failed = seaweed_cli.run("cp", "-q", "missing", f"s3://{seaweed_bucket}/one")
    assert failed.returncode == 1
    assert b"missing" in failed.stderr


def test_the_version_is_told_without_the_engine(seaweed_cli: Cli) -> None:
    done = seaweed_cli.run("--version", environment={"PYTHONPROFILEIMPORTTIME": "1"})
    assert re.fullmatch(r"transfer \d+\.\d+\.\d+\n", done.stdout.decode())
    imported = done.stderr.decode()
    assert not re.search(r"\| +(aiobotocore|botocore|typer|asyncio)\b", imported)


def test_the_demo_moves_a_tree_both_ways(seaweed_cli: Cli) -> None:
    said = seaweed_cli.ok("demo")
    assert "full-object checksum" in said
    assert "sendfile" in said
