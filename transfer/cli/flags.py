"""Options that all commands share, each defined once, and the decorator that gives them to a command.

A command takes a whole group as one parameter, such as `connection: ConnectionFlags`; Typer sees the group's
fields. Groups marked as shared are also options of the program itself: `transfer --profile x ls` and
`transfer ls --profile x` mean the same, and what stands after the command wins.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_type_hints

import typer

from transfer.cli.help_page import occurrences_in
from transfer.cli.numbers import seconds_above_zero
from transfer.cli.output import Output
from transfer.model.errors import UsageError
from transfer.model.options import AddressingStyle, ConnectionOptions
from transfer.model.values import dataclass

_CONNECTION = "Connection"
_OUTPUT = "Output"
_GIVEN_BEFORE = "transfer.flags"

OCCURRENCES: Mapping[str, str] = {"filled from": "occurrences"}
"""Marks the field of a group that is no option: it takes the names of all options in the order of the command line."""

Group = TypeVar("Group")


@dataclass(frozen=True, slots=True)
class ConnectionFlags:
    """How to reach the store; None and False mean: not given."""

    endpoint_url: Annotated[
        str | None,
        typer.Option(
            "--endpoint-url",
            metavar="URL",
            help="The server of a store other than AWS. Also AWS_ENDPOINT_URL or the profile.",
            rich_help_panel=_CONNECTION,
        ),
    ] = None
    profile: Annotated[
        str | None,
        typer.Option(
            "--profile", metavar="NAME", help="A profile of ~/.aws. Also AWS_PROFILE.", rich_help_panel=_CONNECTION
        ),
    ] = None
    region: Annotated[
        str | None,
        typer.Option("--region", metavar="NAME", help="The bucket's region.", rich_help_panel=_CONNECTION),
    ] = None
    addressing_style: Annotated[
        AddressingStyle | None,
        typer.Option(
            "--addressing-style",
            help="Where the bucket's name goes: into the host (virtual) or the path.",
            rich_help_panel=_CONNECTION,
        ),
    ] = None
    no_sign_request: Annotated[
        bool,
        typer.Option("--no-sign-request", help="Ask anonymously, for public buckets.", rich_help_panel=_CONNECTION),
    ] = False
    ca_bundle: Annotated[
        Path | None,
        typer.Option(
            "--ca-bundle",
            metavar="FILE",
            exists=True,
            dir_okay=False,
            readable=True,
            help="Trust the authorities in this PEM file instead of the system's.",
            rich_help_panel=_CONNECTION,
        ),
    ] = None
    no_verify_tls: Annotated[
        bool,
        typer.Option(
            "--no-verify-tls",
            help="Accept any certificate: anyone on the way can read and change the bytes.",
            rich_help_panel=_CONNECTION,
        ),
    ] = False
    stall_timeout: Annotated[
        str | None,
        typer.Option(
            "--stall-timeout",
            metavar="SECONDS",
            help="Drop a connection on which (next to) nothing moves for so long.",
            rich_help_panel=_CONNECTION,
        ),
    ] = None

    def words(self) -> tuple[str, ...]:
        """The same as options, for another command line."""
        found: list[str] = []
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if value is not None and value is not False:
                option = f"--{field.name.replace('_', '-')}"
                found += [option] if value is True else [option, str(value)]
        return tuple(found)

    def options(self) -> ConnectionOptions:
        """The engine's options.

        Raises:
            UsageError: Two options contradict each other.
        """
        if self.ca_bundle is not None and self.no_verify_tls:
            raise UsageError("contradicts --no-verify-tls", subject="--ca-bundle", remedy="give one of the two")
        defaults = ConnectionOptions()
        return ConnectionOptions(
            endpoint_url=self.endpoint_url,
            profile=self.profile,
            region=self.region,
            addressing_style=self.addressing_style or defaults.addressing_style,
            sign_request=not self.no_sign_request,
            verify_tls=not self.no_verify_tls,
            ca_bundle=None if self.ca_bundle is None else str(self.ca_bundle),
            stall_seconds=seconds_above_zero("--stall-timeout", self.stall_timeout) or defaults.stall_seconds,
        )


@dataclass(frozen=True, slots=True)
class OutputFlags:
    """What is said on the terminal."""

    as_json: Annotated[
        bool,
        typer.Option("--json", help="One JSON object per line, errors too.", rich_help_panel=_OUTPUT),
    ] = False
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.", rich_help_panel=_OUTPUT)] = (
        False
    )
    verbose: Annotated[
        bool,
        typer.Option(
            "--verbose",
            "-v",
            help="Also tell of retries, concurrency, checksums, and how bytes moved.",
            rich_help_panel=_OUTPUT,
        ),
    ] = False

    def words(self) -> tuple[str, ...]:
        """The same as options, for another command line."""
        wanted = {"--json": self.as_json, "--quiet": self.quiet, "--verbose": self.verbose}
        return tuple(word for word, is_wanted in wanted.items() if is_wanted)

    def output(self) -> Output:
        """The writer that follows them.

        Raises:
            UsageError: Both more and less is wanted.
        """
        if self.quiet and self.verbose:
            raise UsageError("contradicts --verbose", subject="--quiet", remedy="give one of the two")
        return Output(as_json=self.as_json, quiet=self.quiet, verbose=self.verbose)


def with_flags(command: Callable[..., int]) -> Callable[..., int]:
    """Replace each parameter that is a group of flags by the group's fields, for Typer to read.

    Shared groups are filled up with what stood before the command.
    """
    hints = get_type_hints(command, include_extras=True)
    signature = inspect.signature(command)
    groups = {name: hints[name] for name in signature.parameters if dataclasses.is_dataclass(hints[name])}
    wants_context = "context" in signature.parameters
    parameters = [inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)]
    for name, parameter in signature.parameters.items():
        if name == "context":
            continue
        if name in groups:
            parameters += _fields_as_parameters(groups[name])
        else:
            parameters.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=hints[name]))

    def spread(context: typer.Context, **values: Any) -> int:  # noqa: ANN401 - Typer passes what it parsed
        before: Mapping[type, Any] = context.meta.get(_GIVEN_BEFORE, {})
        for name, group in groups.items():
            given = group(**{name: values.pop(name) for name in _option_names(group)}, **_filled(context, group))
            values[name] = filled_up(given, before[group]) if group in before else given
        return command(**values, **({"context": context} if wants_context else {}))

    spread.__name__ = command.__name__
    spread.__doc__ = command.__doc__
    spread.__module__ = command.__module__
    spread.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters} | {"return": int}
    spread.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # PEP 362 allows it
    return spread


def remember(context: typer.Context, *groups: object) -> None:
    """Keep groups of flags that stood before the command, for the command to find."""
    context.meta[_GIVEN_BEFORE] = {type(group): group for group in groups}


def filled_up(given: Group, before: Group) -> Group:
    """What was given, and for the rest what another group of the same kind says."""
    untouched = type(given)()
    names = [field.name for field in dataclasses.fields(given)]  # type: ignore[arg-type]  # groups are dataclasses
    changes = {name: getattr(before, name) for name in names if getattr(given, name) == getattr(untouched, name)}
    return dataclasses.replace(given, **changes)  # type: ignore[type-var]  # groups are dataclasses


def _fields_as_parameters(group: type) -> list[inspect.Parameter]:
    hints = get_type_hints(group, include_extras=True)
    return [
        inspect.Parameter(
            field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=hints[field.name]
        )
        for field in dataclasses.fields(group)
        if field.metadata != OCCURRENCES
    ]


def _option_names(group: type) -> list[str]:
    return [field.name for field in dataclasses.fields(group) if field.metadata != OCCURRENCES]


def _filled(context: typer.Context, group: type) -> dict[str, tuple[str, ...]]:
    """The fields of a group that are no options."""
    names = [field.name for field in dataclasses.fields(group) if field.metadata == OCCURRENCES]
    return dict.fromkeys(names, occurrences_in(context))
