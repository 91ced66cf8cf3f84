"""The `transfer` command. Answers `--version` and a Ctrl-C during start-up itself, before anything heavy loads."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from transfer.version import __version__


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: What follows the program's name; None takes them from the process.

    Returns:
        The exit code, by the table in `transfer.cli.exit_codes`.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words == ["--version"]:
        sys.stdout.write(f"transfer {__version__}\n")
        return 0
    try:
        from transfer.cli.app import run_command_line

        return run_command_line(words)
    except KeyboardInterrupt:
        sys.stderr.write("transfer: interrupted; nothing had begun\n")
        return 130


if __name__ == "__main__":
    sys.exit(main())
