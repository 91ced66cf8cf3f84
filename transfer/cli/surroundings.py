"""What the command of an unfinished job was given with: its folder, its variables, its options of the connection.

Variables and the folder are those of the process while a block runs, and are put back at its end. No credential is
among them: who they are is looked for anew.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from transfer.cli.destination_flags import DestinationFlags
from transfer.cli.flags import ConnectionFlags
from transfer.engine.state import STATE_FOLDER_VARIABLE
from transfer.model.errors import LocalFileError
from transfer.model.options import AddressingStyle
from transfer.model.unfinished import JobDescription


@contextmanager
def variables_of(description: JobDescription) -> Iterator[None]:
    """Have those variables that say where a command goes as the command had them.

    One that is set only now is taken away: it could send the command to another store.
    """
    from transfer.engine.describing import REMEMBERED_VARIABLES

    kept = dict(os.environ)
    for name in REMEMBERED_VARIABLES:
        os.environ.pop(name, None)
    os.environ.update(description.environment)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(kept)


@contextmanager
def folder_of(description: JobDescription, state_folder: str) -> Iterator[None]:
    """Be in the folder that the command was given in, with the same state folder as before.

    Raises:
        LocalFileError: The folder cannot be entered.
    """
    before = _folder_now()
    named = os.environ.get(STATE_FOLDER_VARIABLE)
    try:
        os.chdir(description.folder)
    except OSError as error:
        raise LocalFileError.from_os_error(error, description.folder) from error
    os.environ[STATE_FOLDER_VARIABLE] = os.path.join(before, state_folder)  # noqa: PTH118 - as text
    try:
        yield
    finally:
        if named is None:
            os.environ.pop(STATE_FOLDER_VARIABLE, None)
        else:
            os.environ[STATE_FOLDER_VARIABLE] = named
        if before:
            os.chdir(before)


def connection_of(description: JobDescription) -> ConnectionFlags:
    """The options of a command that say how to reach the store."""
    return ConnectionFlags(**_options_of(description, ConnectionFlags))


def destination_of(description: JobDescription) -> DestinationFlags:
    """The options of a command that name a second store, to which its objects go."""
    return DestinationFlags(**_options_of(description, DestinationFlags))


def _options_of(description: JobDescription, group: type) -> dict[str, Any]:
    """Those of a group of flags, in either way of writing them; the last one wins."""
    options = {f"--{field.name.replace('_', '-')}": field for field in dataclasses.fields(group)}
    found: dict[str, Any] = {}
    words = iter(description.command)
    for word in words:
        if word == "--":
            break
        name, equals, value = word.partition("=")
        field = options.get(name)
        if field is None:
            continue
        found[field.name] = True if isinstance(field.default, bool) else value if equals else next(words, None)
    for name, value in found.items():
        if name.endswith("addressing_style"):
            found[name] = AddressingStyle(value)
        elif name.endswith("ca_bundle"):
            found[name] = Path(description.folder, value)
    return found


def _folder_now() -> str:
    """Where the process is; empty when that folder was removed."""
    try:
        return os.getcwd()  # noqa: PTH109 - as text
    except OSError:
        return ""
