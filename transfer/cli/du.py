"""`transfer du`: how many objects and bytes are stored somewhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from enum import Enum
from typing import TYPE_CHECKING, Annotated

import typer

from transfer.cli.exit_codes import ExitCode
from transfer.cli.filter_flags import FilterFlags
from transfer.cli.flags import ConnectionFlags, OutputFlags
from transfer.cli.messages import Usage
from transfer.cli.run import closing, run
from transfer.model.errors import TransferError
from transfer.model.locations import parse_s3_location
from transfer.model.objects import ListedObject
from transfer.model.options import TransferOptions
from transfer.model.receipts import Failure
from transfer.plan.filters import DEFAULT_STORAGE_CLASS

if TYPE_CHECKING:
    from transfer.engine.transfer import Transfer

EXAMPLES = """
Examples:
  transfer du s3://bucket
  transfer du -H s3://bucket/photos/ s3://bucket/films/
  transfer du --group storage-class s3://bucket
  transfer du --older-than 365d 's3://bucket/logs/*.gz'

All keys that start with the URL count, as transfer ls -r shows them; a slash at
its end means one folder. Versions that are not current are not counted, nor are
the parts of unfinished uploads: transfer mpu ls --parts shows those.
"""


class Group(Enum):
    """By what objects can be counted apart."""

    STORAGE_CLASS = "storage-class"


def du(
    urls: Annotated[
        list[str], typer.Argument(metavar="URL...", help="s3://bucket, a prefix or a pattern in it; each counts alone.")
    ],
    chosen: FilterFlags,
    connection: ConnectionFlags,
    output: OutputFlags,
    group: Annotated[Group | None, typer.Option("--group", help="Count each storage class for itself.")] = None,
    raw: Annotated[bool, typer.Option("--raw", help="Take *, ? and [ in keys as they are.")] = False,
    human_readable: Annotated[bool, typer.Option("--human-readable", "-H", help="Sizes with units.")] = False,
    _recursive: Annotated[bool, typer.Option("--recursive", "-r", help="Always so; taken for habit's sake.")] = False,
) -> int:
    """Count objects and bytes."""
    writer = output.output()
    connected = connection.options()
    options = TransferOptions(filters=chosen.filters())
    for url in urls:
        parse_s3_location(url)

    async def work() -> ExitCode:
        from transfer.engine.transfer import Transfer

        code = ExitCode.DONE
        async with Transfer(connection=connected, options=options, on_event=writer.event) as transfer:
            for url in urls:
                try:
                    counted = await _count(transfer, url, raw=raw)
                except TransferError as error:
                    writer.show(Failure(url, "", error))
                    code = ExitCode.FAILED
                    continue
                for usage in counted.usages(url, group, human_sizes=human_readable):
                    writer.show(usage)
        return code

    return run(writer, work)


class _Counted:
    """Objects and bytes by storage class."""

    def __init__(self) -> None:
        self.objects: Counter[str] = Counter()
        self.bytes: Counter[str] = Counter()

    def usages(self, url: str, group: Group | None, *, human_sizes: bool) -> Iterator[Usage]:
        if group is None:
            yield Usage(url, self.objects.total(), self.bytes.total(), None, human_sizes)
            return
        for name in sorted(self.objects):
            yield Usage(url, self.objects[name], self.bytes[name], name, human_sizes)

    def add(self, objects: list[ListedObject]) -> None:
        for storage_class in {listed.storage_class for listed in objects}:
            sizes = [listed.size for listed in objects if listed.storage_class == storage_class]
            name = storage_class or DEFAULT_STORAGE_CLASS
            self.objects[name] += len(sizes)
            self.bytes[name] += sum(sizes)


async def _count(transfer: Transfer, url: str, *, raw: bool) -> _Counted:
    counted = _Counted()
    async with closing(transfer.list_batches(url, recursive=True, raw=raw)) as batches:
        async for batch in batches:
            counted.add([entry for entry in batch if isinstance(entry, ListedObject)])
    return counted
