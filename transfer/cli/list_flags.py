"""The options of commands whose sources may stand in a file. Nothing is opened here."""

from __future__ import annotations

from typing import Annotated

import typer

from transfer.cli.run import check_list
from transfer.model.errors import UsageError
from transfer.model.values import dataclass

_WHAT = "What to move"


@dataclass(frozen=True, slots=True)
class ListFlags:
    """Where sources are named; None means: on the command line."""

    from_file: Annotated[
        str | None,
        typer.Option(
            "--from-file",
            metavar="FILE",
            help="Take the sources from the lines of FILE; - is standard input.",
            rich_help_panel=_WHAT,
        ),
    ] = None
    root: Annotated[
        str | None,
        typer.Option(
            "--root",
            metavar="PLACE",
            help="With --from-file: lines are names below PLACE, and are kept.",
            rich_help_panel=_WHAT,
        ),
    ] = None

    def places(self, command: str, locations: list[str]) -> tuple[list[str], str]:
        """The sources and the destination of a command.

        Raises:
            UsageError: There are too few or too many, or they are to come from a stream that is not this command's.
        """
        check_list(self.from_file)
        *sources, destination = locations
        if self.from_file is None:
            if self.root is not None:
                raise UsageError("it is for names in a file", subject="--root", remedy="give --from-file too")
            if not sources:
                raise UsageError(
                    "no destination", subject=destination, remedy=f"write: transfer {command} SOURCE... DESTINATION"
                )
        elif sources:
            raise UsageError(
                "sources are named in a file and on the command line",
                subject=sources[0],
                remedy="name the destination alone",
            )
        return sources, destination
