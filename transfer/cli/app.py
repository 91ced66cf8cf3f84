"""The program: its commands, its own options, and what becomes of a command line that makes no sense."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from importlib import import_module
from typing import Annotated, Any, cast

import typer

from transfer.cli.command_line import command_line
from transfer.cli.exit_codes import MEANINGS, ExitCode
from transfer.cli.flags import ConnectionFlags, OutputFlags, remember, with_flags
from transfer.cli.help_page import TeachingCommand, TeachingGroup
from transfer.cli.output import Output
from transfer.cli.run import report
from transfer.model.errors import TransferError, UsageError
from transfer.version import __version__

PROGRAM = "transfer"

_CLICK_USAGE_ERROR: type[Exception] = typer.BadParameter.__mro__[1]
"""Click's UsageError. Where click lives differs between versions of Typer; the class Typer exports does not."""

_EPILOG = (
    """
Examples:
  transfer demo                                    see it work on a server of its own (needs moto)
  transfer cp -r photos s3://bucket/photos/        upload a folder
  transfer cp 's3://bucket/logs/*.gz' logs/        download what matches
  transfer sync site s3://bucket/site              only what is new or has changed
  transfer verify site s3://bucket/site            is the backup good?
  transfer ls -H s3://bucket/photos/               what is there
  transfer resume                                  go on with what was interrupted
  transfer cp --help                               more, for each command

Credentials are found as the AWS CLI finds them: environment, profile, role.
The options above are taken before and after the command.

Exit codes:
"""
    + "\n".join(f"  {code.value:<4} {meaning}" for code, meaning in MEANINGS.items())
    + "\n"
)

app = typer.Typer(
    name=PROGRAM,
    cls=TeachingGroup,
    epilog=_EPILOG,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_HELP_OPTIONS = {"help_option_names": ["-h", "--help"]}

_MODULES = {
    "cp": "cp",
    "sync": "sync",
    "mv": "mv",
    "ls": "ls",
    "du": "du",
    "cat": "cat",
    "stat": "stat",
    "rm": "rm",
    "mb": "mb",
    "rb": "rb",
    "verify": "verify",
    "bench": "bench",
    "run": "batch",
    "jobs": "jobs",
    "resume": "resume",
    "clean": "clean",
    "demo": "demo",
    "mpu": "mpu",
}
"""The commands in the order of the help, and the modules that hold them. Only that of the command asked for is loaded:
all of them take four times as long."""


class _Commands(dict[str, Any]):
    """The commands by their names, made when they are asked for."""

    def get(self, name: str, default: Any = None) -> Any:  # noqa: ANN401 - click's command
        """The command of that name."""
        return _command(name) if name in self else default

    def __getitem__(self, name: str) -> Any:  # noqa: ANN401 - click's command
        """The command of that name; KeyError when there is none."""
        return _command(name) if name in self else super().__getitem__(name)


@cache
def _command(name: str) -> Any:  # noqa: ANN401 - click's command
    module = import_module(f"transfer.cli.{_MODULES[name]}")
    group = getattr(module, "app", None)
    if group is not None:
        return typer.main.get_command(group)
    alone = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    make = alone.command(name, cls=TeachingCommand, epilog=module.EXAMPLES, context_settings=_HELP_OPTIONS)
    make(with_flags(getattr(module, name)))
    return typer.main.get_command(alone)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"{PROGRAM} {__version__}")
        raise typer.Exit


def _program(
    context: typer.Context,
    connection: ConnectionFlags,
    output: OutputFlags,
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_show_version, help="Show the version.")
    ] = False,
) -> int:
    """Move bytes between disks and S3 stores: fast, verified, without tuning."""
    del version
    remember(context, connection, output)
    return ExitCode.DONE


app.callback()(with_flags(_program))


def run_command_line(arguments: Sequence[str], *, repeats: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: What follows the program's name. Nothing at all shows the help and counts as usage.
        repeats: The command line to remember in its place, when it is an earlier one that is carried out again.

    Returns:
        The exit code. Only SystemExit is raised, by shell completion.
    """
    command_line.set(tuple(arguments if repeats is None else repeats))
    try:
        code = _program_command()(args=list(arguments) or ["--help"], prog_name=PROGRAM, standalone_mode=False)
    except typer.Abort:
        raise KeyboardInterrupt from None
    except TransferError as error:
        return report(_early_output(arguments), error)
    except _CLICK_USAGE_ERROR as error:
        return report(_early_output(arguments), _as_our_error(error))
    if not arguments:
        return ExitCode.USAGE
    return int(code or ExitCode.DONE)


@cache
def _program_command() -> Callable[..., int | None]:
    """What Typer makes of the program: made once, since lists of commands ask often."""
    program: Any = typer.main.get_command(app)
    program.commands = _Commands.fromkeys(_MODULES)
    return cast("Callable[..., int | None]", program)


def _early_output(arguments: Sequence[str]) -> Output:
    """The writer for errors that come before the options are known."""
    options = arguments[: arguments.index("--")] if "--" in arguments else arguments
    return Output(as_json="--json" in options)


def _as_our_error(error: Exception) -> UsageError:
    """Click's error as ours: one line, and where the help is."""
    message = " ".join(str(getattr(error, "format_message", error.__str__)()).split()).rstrip(".")
    message = message.replace(": Value error, ", ": ")
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else PROGRAM
    return UsageError(message[:1].lower() + message[1:], remedy=f"see: {path} --help")
