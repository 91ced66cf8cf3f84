"""`transfer demo`: a round trip through a store of its own, with nothing to set up. Leaves nothing behind."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import random
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from transfer.cli.exit_codes import ExitCode
from transfer.cli.flags import OutputFlags
from transfer.cli.messages import Proof, Step
from transfer.cli.output import Output
from transfer.cli.run import closing, run
from transfer.cli.tally import Tally
from transfer.model.errors import ConfigurationError
from transfer.model.options import AddressingStyle, ConnectionOptions
from transfer.model.receipts import Receipt
from transfer.plan.sizes import format_size

if TYPE_CHECKING:
    from transfer.engine.transfer import Transfer

EXAMPLES = """
Examples:
  transfer demo
  transfer demo --json

Starts a small S3 server inside this process, uploads a folder, downloads it
again and compares every byte. Needs moto: pip install 'moto[server]'
"""

BUCKET = "transfer-demo"
LARGE_FILE_BYTES = 24 * 1024 * 1024
"""Enough for several parts, little enough for a second."""
_TEXT = b"Every byte of this folder goes to a store and comes back.\n"
_ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "demo",
    "AWS_SECRET_ACCESS_KEY": "demo",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
    "NO_PROXY": "127.0.0.1",
    "no_proxy": "127.0.0.1",
}


def demo(output: OutputFlags) -> int:
    """Try it: a verified round trip through a built-in store."""
    writer = output.output()

    async def work() -> ExitCode:
        with (
            tempfile.TemporaryDirectory(prefix="transfer-demo-") as folder,
            _environment(),
            _store() as endpoint_url,
        ):
            return await _round_trip(writer, Path(folder), endpoint_url)

    return run(writer, work)


async def _round_trip(output: Output, folder: Path, endpoint_url: str) -> ExitCode:
    from transfer.engine.transfer import Transfer

    sent, received = folder / "sent", folder / "received"
    make_tree(sent)
    output.show(Step(f"1. A store answers at {endpoint_url}, and {_described(sent)} were made."))
    connection = ConnectionOptions(endpoint_url=endpoint_url, region="us-east-1", addressing_style=AddressingStyle.PATH)
    async with Transfer(connection=connection, on_event=output.event) as transfer:
        await transfer.make_bucket(BUCKET)
        output.show(Step(f"2. Upload: transfer cp -r sent s3://{BUCKET}/tree/"))
        uploads = await _move(output, transfer, str(sent), f"s3://{BUCKET}/tree/")
        output.show(Step(f"3. Download: transfer cp -r s3://{BUCKET}/tree/ received"))
        downloads = await _move(output, transfer, f"s3://{BUCKET}/tree/", str(received))
    same = await asyncio.to_thread(tree_digests, sent) == await asyncio.to_thread(tree_digests, received)
    if not same or uploads.failed or downloads.failed:
        output.show(Step("4. The folders differ: this is a fault, please report it."))
        return ExitCode.FAILED
    output.show(Step("4. Both folders hold the same bytes (SHA-256 of every file). Nothing of them is kept."))
    return ExitCode.DONE


async def _move(output: Output, transfer: Transfer, source: str, destination: str) -> Tally:
    tally = Tally()
    async with closing(transfer.copy_many([source], destination, recursive=True)) as outcomes:
        async for outcome in outcomes:
            tally.add(outcome)
            output.show(Proof(outcome) if isinstance(outcome, Receipt) else outcome)
    output.show(Step(f"   {tally.moved} objects moved, {tally.verified} verified, {tally.failed} failed."))
    return tally


def make_tree(root: Path) -> None:
    """Make a folder with what goes wrong most easily: an empty file, a nested folder, foreign letters, parts."""
    (root / "nested" / "deeper").mkdir(parents=True)
    (root / "readme.txt").write_bytes(_TEXT)
    (root / "empty").touch()
    (root / "nested" / "notes.md").write_bytes(_TEXT * 20)
    (root / "nested" / "deeper" / "café 東京.txt").write_bytes(_TEXT * 3)
    # Any bytes would do; seeded ones make a failure repeatable.
    content = random.Random(1).randbytes(LARGE_FILE_BYTES)  # noqa: S311 - nothing here is secret
    (root / "large.bin").write_bytes(content)


def tree_digests(root: Path) -> dict[str, str]:
    """The SHA-256 of every file below a folder, by its relative path."""
    digests = {}
    for path in sorted(root.rglob("*")):
        if path.is_file():
            with path.open("rb") as file:
                digests[path.relative_to(root).as_posix()] = hashlib.file_digest(file, "sha256").hexdigest()
    return digests


def _described(root: Path) -> str:
    sizes = [path.stat().st_size for path in root.rglob("*") if path.is_file()]
    return f"{len(sizes)} files ({format_size(sum(sizes))})"


@contextmanager
def _store() -> Iterator[str]:
    """Run moto's server in a thread of this process; gives its URL."""
    try:
        from moto.server import ThreadedMotoServer
    except ImportError as error:
        raise ConfigurationError("the demo needs moto", remedy="pip install 'moto[server]'") from error
    requests = logging.getLogger("werkzeug")
    before = requests.level
    requests.setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
    finally:
        server.stop()
        requests.setLevel(before)


@contextmanager
def _environment() -> Iterator[None]:
    """Credentials that only the built-in store takes; the user's own are neither used nor changed."""
    before = dict(os.environ)
    for name in before:
        if name.startswith("AWS_"):
            del os.environ[name]
    os.environ.update(_ENVIRONMENT)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
