"""Every command and program that the README shows is run here, or is itself what runs these tests."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.cli import Cli
from tests.support.servers import S3Server

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
SET_UP = ("scripts/demo", "scripts/test", "scripts/bench", "pip install .")
"""Run before these tests or by the change check itself: they make an environment of their own."""


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def commands() -> list[str]:
    lines = "".join(blocks("sh")).splitlines()
    stated = [line.partition("  #")[0].strip() for line in lines]
    return [line for line in stated if line and not line.startswith(("export ", "#"))]


@pytest.fixture
def cli(seaweed: S3Server, tmp_path: Path) -> Cli:
    footage = tmp_path / "footage"
    (footage / "day 1").mkdir(parents=True)
    (footage / "day 1" / "a.mov").write_bytes(os.urandom(200_000))
    (footage / "b.mov").write_bytes(b"b")
    (tmp_path / "movie.mov").write_bytes(os.urandom(17 * 1024 * 1024))
    return Cli(seaweed, tmp_path)


def test_the_shown_commands_work(cli: Cli) -> None:
    shown = [command for command in commands() if command not in SET_UP]
    assert len(shown) >= 13
    script = f'set -eux -o pipefail\ntransfer() {{ "{sys.executable}" -m transfer "$@"; }}\n' + "\n".join(shown)
    done = subprocess.run(
        ["/bin/bash", "-c", script],
        capture_output=True,
        cwd=cli.folder,
        env=cli.environment(),
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    original = (cli.folder / "movie.mov").read_bytes()
    assert (cli.folder / "restore" / "movie.mov").read_bytes() == original
    assert (cli.folder / "restore" / "day 1" / "a.mov").exists()
    assert b"footage/day 1/a.mov" in done.stdout


def test_the_shown_program_works(cli: Cli) -> None:
    cli.ok("mb", "s3://videos")
    try:
        (program,) = blocks("python")
        endpoint = cli.server.endpoint_url
        done = subprocess.run(
            [sys.executable, "-c", program.replace("http://127.0.0.1:9000", endpoint)],
            capture_output=True,
            cwd=cli.folder,
            env=cli.environment(),
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()
        assert b"full-object checksum" in done.stdout
    finally:
        cli.ok("rm", "-r", "s3://videos/")
        cli.ok("rb", "s3://videos")


def test_the_set_up_commands_are_there_to_be_run() -> None:
    shown = [command for command in commands() if command in SET_UP]
    assert set(SET_UP) <= set(shown)
    for script in [command for command in SET_UP if command.startswith("scripts/")]:
        assert os.access(ROOT / script, os.X_OK)


def test_every_path_that_the_documents_name_exists() -> None:
    for document in ("README.md", "ARCHITECTURE.md"):
        text = (ROOT / document).read_text()
        for named in re.findall(r"`((?:tests|transfer|scripts|benchmarks)/[\w./-]+)`", text):
            assert (ROOT / named).exists(), f"{document} names {named}"
        for named in re.findall(r"`((?:cli|engine|wire|plan|stores|integrity|model|system)/[\w/]+\.py)`", text):
            assert (ROOT / "transfer" / named).exists(), f"{document} names {named}"


def test_every_option_of_the_table_is_an_option(cli: Cli) -> None:
    offered = "".join(cli.ok(command, "--help") for command in ("cp", "mv", "rm", "sync"))
    for option in re.findall(r"^\| (`-.*?) \|", README, re.MULTILINE):
        for name in re.findall(r"`(--?[a-z-]+)", option):
            assert name in offered, name
