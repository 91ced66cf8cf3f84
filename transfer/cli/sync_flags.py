"""The options of `sync` alone: what counts as changed, and what may be removed. Nothing is opened or sent here."""

from __future__ import annotations

from typing import Annotated

import typer

from transfer.model.errors import UsageError
from transfer.model.sync import CompareBy, Comparison, DeleteLimit, SyncOptions
from transfer.model.values import dataclass

_CHANGED = "What counts as changed (by default the size, or a newer source)"
_REMOVED = "What goes from the destination"
_MOST_DIGITS = 12


@dataclass(frozen=True, slots=True)
class SyncFlags:
    """What `sync` was told; None and False mean: not given."""

    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", "-n", help="Tell what would be done, and do nothing.", rich_help_panel=_CHANGED),
    ] = False
    size_only: Annotated[bool, typer.Option("--size-only", help="Only the size.", rich_help_panel=_CHANGED)] = False
    compare_checksum: Annotated[
        bool,
        typer.Option(
            "--checksum",
            help="The checksum that the store keeps: a request per object, and files are read.",
            rich_help_panel=_CHANGED,
        ),
    ] = False
    exact_mtime: Annotated[
        bool,
        typer.Option(
            "--exact-mtime",
            help="The file's own time, kept in the object's metadata: a request per object.",
            rich_help_panel=_CHANGED,
        ),
    ] = False
    update: Annotated[
        bool,
        typer.Option("--update", "-u", help="Leave alone what is newer at the destination.", rich_help_panel=_CHANGED),
    ] = False
    ignore_existing: Annotated[
        bool,
        typer.Option("--ignore-existing", help="Leave alone whatever is there.", rich_help_panel=_CHANGED),
    ] = False
    delete: Annotated[
        bool,
        typer.Option(
            "--delete",
            help="Remove what the source does not have; last of all, and only if all else worked.",
            rich_help_panel=_REMOVED,
        ),
    ] = False
    max_delete: Annotated[
        str | None,
        typer.Option(
            "--max-delete",
            metavar="N|P%",
            help="Remove nothing if it would be more than N, or P percent of the destination.",
            rich_help_panel=_REMOVED,
        ),
    ] = None
    backup_prefix: Annotated[
        str | None,
        typer.Option(
            "--backup-prefix",
            metavar="PLACE",
            help="Move it there instead of removing it.",
            rich_help_panel=_REMOVED,
        ),
    ] = None

    def options(self) -> SyncOptions:
        """The engine's options.

        Raises:
            UsageError: Two contradict each other, or one means nothing without another.
        """
        for option, value in (("--max-delete", self.max_delete), ("--backup-prefix", self.backup_prefix)):
            if value is not None and not self.delete:
                raise UsageError("it means nothing without --delete", subject=option, remedy="add --delete")
        return SyncOptions(
            comparison=Comparison(self._compare_by(), skip_newer=self.update, skip_existing=self.ignore_existing),
            delete=self.delete,
            delete_limit=None if self.max_delete is None else parse_delete_limit(self.max_delete),
            backup=self.backup_prefix,
            is_dry_run=self.dry_run,
        )

    def _compare_by(self) -> CompareBy:
        wanted = {
            "--size-only": (self.size_only, CompareBy.SIZE),
            "--checksum": (self.compare_checksum, CompareBy.CHECKSUM),
            "--exact-mtime": (self.exact_mtime, CompareBy.EXACT_MTIME),
        }
        given = [option for option, (is_given, _) in wanted.items() if is_given]
        if len(given) > 1:
            raise UsageError(f"contradicts {given[1]}", subject=given[0], remedy="give one of the two")
        return wanted[given[0]][1] if given else CompareBy.TIME


def parse_delete_limit(text: str) -> DeleteLimit:
    """Read `100` or `10%`.

    Raises:
        UsageError: It is neither.
    """
    digits = text.strip().removesuffix("%").strip()
    is_percent = text.strip().endswith("%")
    is_number = digits.isascii() and digits.isdigit() and len(digits) <= _MOST_DIGITS
    if not is_number or (is_percent and int(digits) > 100):
        raise UsageError(
            f"{text!r} is neither a number nor a share up to 100%",
            subject="--max-delete",
            remedy="write such as 100 or 10%",
        )
    return DeleteLimit(int(digits), is_percent=is_percent)
