"""What `bench` was told, and what it means for the engine. Nothing is opened or sent here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from transfer.cli.numbers import seconds_above_zero, whole_number
from transfer.model.checksums import ChecksumAlgorithm
from transfer.model.errors import UsageError
from transfer.model.options import TransferOptions
from transfer.model.values import dataclass
from transfer.plan.sizes import parse_size_bytes

if TYPE_CHECKING:
    from transfer.model.bench import BenchOperation, BenchOptions

_WHAT = "What to measure"
_LONG = "How long"
_RESULT = "What becomes of it"
_NAMES = "put, get, stat, list, delete, mixed"
_MIX = "get=45,put=15,stat=30,delete=10"


@dataclass(frozen=True, slots=True)
class BenchFlags:
    """None means: not given."""

    op: Annotated[
        str | None,
        typer.Option(
            "--op", metavar="NAMES", help=f"Of {_NAMES}, with commas. put,get when not given.", rich_help_panel=_WHAT
        ),
    ] = None
    size: Annotated[
        str | None,
        typer.Option(
            "--size", metavar="SIZES", help="Of objects, such as 4KiB,1MiB. 1MiB when not given.", rich_help_panel=_WHAT
        ),
    ] = None
    objects: Annotated[
        str | None,
        typer.Option(
            "--objects",
            metavar="N",
            help="Objects to read, list and delete. 256 MiB of them when not given, 1000 at most.",
            rich_help_panel=_WHAT,
        ),
    ] = None
    concurrency: Annotated[
        str | None,
        typer.Option(
            "--concurrency",
            metavar="NUMBERS",
            help="Requests at once, such as 1,8,64: a step for each. Doubles from 1 while it gains when not given.",
            rich_help_panel=_WHAT,
        ),
    ] = None
    mix: Annotated[
        str | None,
        typer.Option("--mix", metavar="SHARES", help=f"For mixed. {_MIX} when not given.", rich_help_panel=_WHAT),
    ] = None
    checksum: Annotated[
        ChecksumAlgorithm | None,
        typer.Option(
            "--checksum",
            "--checksum-algorithm",
            help="What uploads carry. crc64nvme when not given, or md5 where a store lacks it.",
            rich_help_panel=_WHAT,
        ),
    ] = None
    retries: Annotated[
        str | None,
        typer.Option(
            "--retries",
            metavar="N",
            help="Further attempts of a request, each measured for itself. 3 when not given.",
            rich_help_panel=_WHAT,
        ),
    ] = None
    duration: Annotated[
        str | None,
        typer.Option("--duration", metavar="SECONDS", help="Of each step. 10 when not given.", rich_help_panel=_LONG),
    ] = None
    requests: Annotated[
        str | None,
        typer.Option("--requests", metavar="N", help="End each step after so many instead.", rich_help_panel=_LONG),
    ] = None
    max_bytes: Annotated[
        str | None,
        typer.Option(
            "--max-bytes",
            metavar="SIZE",
            help="A step moves no more than this. 8GiB when not given.",
            rich_help_panel=_LONG,
        ),
    ] = None
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", "-n", help="Only tell what would be written and asked for.", rich_help_panel=_RESULT),
    ] = False
    keep: Annotated[bool, typer.Option("--keep", help="Leave what was written.", rich_help_panel=_RESULT)] = False
    result: Annotated[
        Path | None,
        typer.Option("--output", metavar="FILE", help="Write all figures as JSON.", rich_help_panel=_RESULT),
    ] = None
    plot: Annotated[
        Path | None,
        typer.Option(
            "--plot", metavar="FILE", help="Draw rates and latencies: .png, .svg or .pdf.", rich_help_panel=_RESULT
        ),
    ] = None

    def options(self) -> BenchOptions:
        """The engine's options.

        Raises:
            UsageError: A value makes no sense; its line names the option.
        """
        from transfer.model.bench import BenchOptions

        defaults = BenchOptions()
        max_bytes = defaults.max_step_bytes if self.max_bytes is None else _size("--max-bytes", self.max_bytes)
        retries = whole_number("--retries", self.retries, smallest=0)
        options = BenchOptions(
            objects=whole_number("--objects", self.objects, smallest=1),
            seconds=seconds_above_zero("--duration", self.duration) or defaults.seconds,
            requests=whole_number("--requests", self.requests, smallest=1),
            retries=defaults.retries if retries is None else retries,
            max_step_bytes=max_bytes,
            keep=self.keep,
        )
        if self.duration is not None and self.requests is not None:
            raise UsageError("contradicts --requests", subject="--duration", remedy="give one of the two")
        if self.op is not None:
            options = replace(options, operations=tuple(_operation("--op", word) for word in _words("--op", self.op)))
        if self.size is not None:
            options = replace(options, sizes_bytes=tuple(_size("--size", word) for word in _words("--size", self.size)))
        if self.concurrency is not None:
            words = _words("--concurrency", self.concurrency)
            levels = [whole_number("--concurrency", word, smallest=1) or 1 for word in words]
            options = replace(options, concurrency=tuple(levels))
        return options if self.mix is None else replace(options, mix=_mix(self.mix))

    def transfer_options(self) -> TransferOptions:
        """How the requests are made."""
        return TransferOptions(checksum=self.checksum, resume=False)


def _words(option: str, text: str) -> list[str]:
    words = [word.strip() for word in text.split(",")]
    if not all(words):
        raise UsageError(f"{text!r} is no list", subject=option, remedy="put commas between values")
    if len(set(words)) != len(words):
        raise UsageError(f"{text!r} names something twice", subject=option, remedy="name it once")
    return words


def _operation(option: str, word: str) -> BenchOperation:
    from transfer.model.bench import BenchOperation

    try:
        return BenchOperation(word)
    except ValueError:
        raise UsageError(f"{word!r} cannot be measured", subject=option, remedy=f"choose of {_NAMES}") from None


def _mix(text: str) -> Mapping[BenchOperation, int]:
    shares: dict[BenchOperation, int] = {}
    for word in _words("--mix", text):
        name, separator, share = word.partition("=")
        operation = _operation("--mix", name.strip())
        if not separator or operation in shares:
            raise UsageError(f"{text!r} is no mixture", subject="--mix", remedy="write such as get=70,put=30")
        shares[operation] = whole_number("--mix", share, smallest=0) or 0
    return shares


def _size(option: str, text: str) -> int:
    try:
        return parse_size_bytes(text)
    except UsageError as error:
        raise UsageError(error.message, subject=option, remedy=error.remedy) from error
