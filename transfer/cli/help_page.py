"""How `--help` looks: summary, examples as they are typed, options in groups. Plain text, so nothing heavy loads.

A command also remembers in which order its options came, which click tells while it parses and then forgets.
"""

from __future__ import annotations

import textwrap
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol, TypeAlias

from typer.core import TyperCommand, TyperGroup

ClickContext: TypeAlias = Any
ClickFormatter: TypeAlias = Any
"""Click's own classes; Typer before 0.20 imports click and later ones carry it, so their home has no fixed name."""

_ARGUMENTS = "Arguments"
_OPTIONS = "Options"
_FIRST_COLUMN = 32
_OCCURRENCES = "transfer.occurrences"


class _HasParameters(Protocol):
    def get_params(self, ctx: ClickContext) -> Sequence[Any]: ...


class TeachingCommand(TyperCommand):
    """A command whose epilog holds examples, kept line by line, and whose options show in their help panels."""

    def parse_args(self, ctx: ClickContext, args: list[str]) -> list[str]:
        """Parse, and remember the order of the options: values of different ones may depend on it."""
        with _named(ctx):
            _, _, order = self.make_parser(ctx).parse_args(args=list(args))
            ctx.meta[_OCCURRENCES] = tuple(parameter.name for parameter in order)
            return super().parse_args(ctx, args)

    def format_options(self, ctx: ClickContext, formatter: ClickFormatter) -> None:
        """Write arguments and options, a section per panel: the command's own first, then in the order they have."""
        _write_sections(self, ctx, formatter, own_first=True)

    def collect_usage_pieces(self, ctx: ClickContext) -> list[str]:
        """Name the arguments as they are written: `SOURCE... DESTINATION`."""
        arguments = [parameter.metavar for parameter in self.get_params(ctx) if _is_argument(parameter)]
        return ["[OPTIONS]", *filter(None, arguments)]

    def format_epilog(self, ctx: ClickContext, formatter: ClickFormatter) -> None:  # noqa: ARG002 - click's signature
        """Write the examples as they are."""
        _write_verbatim(self.epilog, formatter)


class TeachingGroup(TyperGroup):
    """The same for the program itself, with its commands between options and epilog."""

    def parse_args(self, ctx: ClickContext, args: list[str]) -> list[str]:
        """Parse."""
        with _named(ctx):
            return super().parse_args(ctx, args)

    def format_options(self, ctx: ClickContext, formatter: ClickFormatter) -> None:
        """Write the commands, which readers look for first, then the options."""
        self.format_commands(ctx, formatter)
        _write_sections(self, ctx, formatter, own_first=False)

    def format_epilog(self, ctx: ClickContext, formatter: ClickFormatter) -> None:  # noqa: ARG002 - click's signature
        """Write the examples and the table of exit codes as they are."""
        _write_verbatim(self.epilog, formatter)

    def list_commands(self, ctx: ClickContext) -> list[str]:  # noqa: ARG002 - click's signature
        """In the order in which they were registered, the most used first."""
        return list(self.commands)


@contextmanager
def _named(ctx: ClickContext) -> Iterator[None]:
    """Have every error of a command line know its command; click leaves that out of some."""
    try:
        yield
    except Exception as error:
        if getattr(error, "ctx", ctx) is None:
            error.ctx = ctx  # type: ignore[attr-defined]  # click's, whose home has no fixed name
        raise


def occurrences_in(ctx: ClickContext) -> tuple[str, ...]:
    """The names of a command's options and arguments, one for each time one was given, in the order of the line."""
    found: tuple[str, ...] = ctx.meta.get(_OCCURRENCES, ())
    return found


def _write_sections(command: _HasParameters, ctx: ClickContext, formatter: ClickFormatter, *, own_first: bool) -> None:
    sections: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for parameter in command.get_params(ctx):
        if _is_argument(parameter):
            sections[_ARGUMENTS].append((parameter.metavar or parameter.name, parameter.help or ""))
            continue
        record = parameter.get_help_record(ctx)
        if record is not None:
            sections[getattr(parameter, "rich_help_panel", None) or _OPTIONS].append(record)
    # --help alone is no option of its own.
    first = _OPTIONS if own_first and len(sections[_OPTIONS]) > 1 else _ARGUMENTS
    for name in sorted(sections, key=lambda name: (name != _ARGUMENTS, name != first, name == _OPTIONS)):
        with formatter.section(name):
            formatter.write_dl(sections[name], col_max=_FIRST_COLUMN)


def _is_argument(parameter: Any) -> bool:  # noqa: ANN401 - click's parameter, whose home differs as well
    return bool(parameter.param_type_name == "argument")


def _write_verbatim(epilog: str | None, formatter: ClickFormatter) -> None:
    if epilog:
        formatter.write_paragraph()
        formatter.write(textwrap.dedent(epilog).strip("\n") + "\n")
