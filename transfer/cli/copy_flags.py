"""The options of those commands that move things, and what they mean for the engine. Nothing is opened or sent here."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from transfer.cli.command_line import command_line
from transfer.cli.numbers import whole_number
from transfer.cli.properties import (
    CannedAcl,
    Encryption,
    optional_header_value,
    parse_metadata,
    parse_tags,
)
from transfer.engine.state import STATE_FOLDER_VARIABLE
from transfer.model.checksums import ChecksumAlgorithm
from transfer.model.errors import UsageError
from transfer.model.objects import ObjectProperties
from transfer.model.options import CopyDirective, TransferOptions, UnsafeKeyPolicy
from transfer.model.values import dataclass
from transfer.plan.parts import check_part_size
from transfer.plan.processes import MOST
from transfer.plan.sizes import parse_size_bytes

_WHAT = "What to move"
_SPEED = "Speed"
_TRUST = "Verification"
_RESUME = "Going on after an interruption"

_OBJECTS = "Properties of new objects"


def _state_dir(panel: str | None) -> Any:  # noqa: ANN401 - what typer.Option answers
    return typer.Option(
        "--state-dir",
        metavar="FOLDER",
        envvar=STATE_FOLDER_VARIABLE,
        show_envvar=False,
        help=f"Where unfinished jobs are remembered. Also {STATE_FOLDER_VARIABLE}.",
        rich_help_panel=panel,
    )


StateDir = Annotated[Path | None, _state_dir(None)]
"""For the commands that are about jobs alone."""


@dataclass(frozen=True, slots=True)
class TransferFlags:
    """How things are moved; None means: not given."""

    no_follow_symlinks: Annotated[
        bool,
        typer.Option(
            "--no-follow-symlinks", help="Leave symbolic links out instead of following them.", rich_help_panel=_WHAT
        ),
    ] = False
    unsafe_keys: Annotated[
        UnsafeKeyPolicy | None,
        typer.Option(
            "--unsafe-keys",
            help="Keys that are no safe file name: fail (default), skip, or escape in the name.",
            rich_help_panel=_WHAT,
        ),
    ] = None
    concurrency: Annotated[
        str | None,
        typer.Option(
            "--concurrency",
            metavar="N",
            help="Requests in flight. Found by measuring when not given.",
            rich_help_panel=_SPEED,
        ),
    ] = None
    processes: Annotated[
        str | None,
        typer.Option(
            "--processes",
            metavar="N",
            help="Processes that share the work. One for each core when not given.",
            rich_help_panel=_SPEED,
        ),
    ] = None
    part_size: Annotated[
        str | None,
        typer.Option("--part-size", metavar="SIZE", help="Size of parts, such as 16MiB.", rich_help_panel=_SPEED),
    ] = None
    limit_rate: Annotated[
        str | None,
        typer.Option(
            "--limit-rate", metavar="RATE", help="Bytes per second at most, such as 50M.", rich_help_panel=_SPEED
        ),
    ] = None
    retries: Annotated[
        str | None,
        typer.Option("--retries", metavar="N", help="Further attempts of each request.", rich_help_panel=_SPEED),
    ] = None
    no_resume: Annotated[
        bool,
        typer.Option("--no-resume", help="Begin anew, and remember nothing for a later run.", rich_help_panel=_RESUME),
    ] = False
    state_dir: Annotated[Path | None, _state_dir(_RESUME)] = None
    checksum: Annotated[
        ChecksumAlgorithm | None,
        typer.Option(
            "--checksum-algorithm",
            help="What uploads are proved with. By default crc64nvme, or md5 where a store lacks it.",
            rich_help_panel=_TRUST,
        ),
    ] = None
    require_verified: Annotated[
        bool,
        typer.Option(
            "--require-verified", help="Exit with 3 when something moved without proof.", rich_help_panel=_TRUST
        ),
    ] = False
    manifest: Annotated[
        Path | None,
        typer.Option(
            "--manifest",
            metavar="FILE",
            help="Append a receipt per object to FILE (JSON lines).",
            rich_help_panel=_TRUST,
        ),
    ] = None
    content_type: Annotated[
        str | None,
        typer.Option(
            "--content-type", metavar="TYPE", help="Guessed from the name when not given.", rich_help_panel=_OBJECTS
        ),
    ] = None
    cache_control: Annotated[str | None, typer.Option("--cache-control", metavar="TEXT", rich_help_panel=_OBJECTS)] = (
        None
    )
    content_disposition: Annotated[
        str | None, typer.Option("--content-disposition", metavar="TEXT", rich_help_panel=_OBJECTS)
    ] = None
    content_encoding: Annotated[
        str | None, typer.Option("--content-encoding", metavar="TEXT", rich_help_panel=_OBJECTS)
    ] = None
    metadata: Annotated[
        list[str] | None,
        typer.Option("--metadata", metavar="KEY=VALUE", help="Repeatable.", rich_help_panel=_OBJECTS),
    ] = None
    tag: Annotated[
        list[str] | None,
        typer.Option("--tag", metavar="KEY=VALUE", help="Repeatable.", rich_help_panel=_OBJECTS),
    ] = None
    storage_class: Annotated[
        str | None,
        typer.Option("--storage-class", metavar="NAME", help="Such as STANDARD_IA.", rich_help_panel=_OBJECTS),
    ] = None
    sse: Annotated[
        Encryption | None,
        typer.Option("--sse", help="Encrypt in the store.", rich_help_panel=_OBJECTS),
    ] = None
    sse_kms_key_id: Annotated[
        str | None,
        typer.Option("--sse-kms-key-id", metavar="ID", help="With --sse aws:kms.", rich_help_panel=_OBJECTS),
    ] = None
    acl: Annotated[
        CannedAcl | None,
        typer.Option("--acl", metavar="NAME", help=f"A canned ACL: {', '.join(CannedAcl)}.", rich_help_panel=_OBJECTS),
    ] = None

    metadata_directive: Annotated[
        CopyDirective | None,
        typer.Option(
            "--metadata-directive",
            help="From bucket to bucket: copy metadata and content headers (default), or replace all of them by "
            "those given here (default when any is given).",
            rich_help_panel=_OBJECTS,
        ),
    ] = None
    tagging_directive: Annotated[
        CopyDirective | None,
        typer.Option("--tagging-directive", help="The same for tags.", rich_help_panel=_OBJECTS),
    ] = None

    def options(self) -> TransferOptions:
        """The engine's options.

        Raises:
            UsageError: A value makes no sense; its line names the option.
        """
        return TransferOptions(
            concurrency=whole_number("--concurrency", self.concurrency, smallest=1),
            processes=whole_number("--processes", self.processes, smallest=1, largest=MOST),
            part_size_bytes=None if self.part_size is None else _part_size_bytes(self.part_size),
            limit_rate_bytes_per_second=None if self.limit_rate is None else _rate(self.limit_rate),
            checksum=self.checksum,
            retries=whole_number("--retries", self.retries, smallest=0),
            unsafe_keys=self.unsafe_keys or UnsafeKeyPolicy.ERROR,
            follow_symlinks=not self.no_follow_symlinks,
            require_verified=self.require_verified,
            resume=not self.no_resume,
            state_folder=None if self.state_dir is None else str(self.state_dir),
            command=command_line.get(),
            properties=self._properties(),
            metadata_directive=self.metadata_directive,
            tagging_directive=self.tagging_directive,
        )

    def unusual_state_folder(self) -> str | None:
        """The state folder, when it is another one than commands without the option would take."""
        if self.state_dir is None or str(self.state_dir) == os.environ.get(STATE_FOLDER_VARIABLE):
            return None
        return str(self.state_dir)

    def _properties(self) -> ObjectProperties:
        if self.sse_kms_key_id is not None and self.sse is not Encryption.AWS_KMS:
            raise UsageError(
                f"{self.sse_kms_key_id!r} needs KMS encryption",
                subject="--sse-kms-key-id",
                remedy="add --sse aws:kms",
            )
        return ObjectProperties(
            content_type=optional_header_value("--content-type", self.content_type),
            cache_control=optional_header_value("--cache-control", self.cache_control),
            content_disposition=optional_header_value("--content-disposition", self.content_disposition),
            content_encoding=optional_header_value("--content-encoding", self.content_encoding),
            storage_class=optional_header_value("--storage-class", self.storage_class),
            encryption=None if self.sse is None else self.sse.value,
            encryption_key_id=optional_header_value("--sse-kms-key-id", self.sse_kms_key_id),
            acl=None if self.acl is None else self.acl.value,
            metadata=parse_metadata(self.metadata or ()),
            tags=parse_tags(self.tag or ()),
        )


@dataclass(frozen=True, slots=True)
class CopyFlags(TransferFlags):
    """What `cp` was told; None means: not given."""

    recursive: Annotated[
        bool,
        typer.Option("--recursive", "-r", help="Move folders and prefixes with all below.", rich_help_panel=_WHAT),
    ] = False
    raw: Annotated[
        bool,
        typer.Option("--raw", help="Take *, ? and [ in names as they are.", rich_help_panel=_WHAT),
    ] = False
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", "-n", help="Tell what would be done, and do nothing.", rich_help_panel=_WHAT),
    ] = False
    checksum: Annotated[
        ChecksumAlgorithm | None,
        typer.Option(
            "--checksum",
            "--checksum-algorithm",
            help="What uploads are proved with. By default crc64nvme, or md5 where a store lacks it.",
            rich_help_panel=_TRUST,
        ),
    ] = None


def _part_size_bytes(text: str) -> int:
    size = _size("--part-size", text)
    try:
        check_part_size(size)
    except UsageError as error:
        raise UsageError(f"{text!r}: {error.message}", subject="--part-size", remedy=error.remedy) from error
    return size


def _rate(text: str) -> float:
    rate = _size("--limit-rate", text.removesuffix("/s"))
    if rate <= 0:
        raise UsageError(f"{text!r} lets nothing through", subject="--limit-rate", remedy="write a rate such as 50M")
    return float(rate)


def _size(option: str, text: str) -> int:
    try:
        return parse_size_bytes(text)
    except UsageError as error:
        raise UsageError(error.message, subject=option, remedy=error.remedy) from error
