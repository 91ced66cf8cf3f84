"""Where what a run remembers is kept."""

from __future__ import annotations

import os

STATE_FOLDER_VARIABLE = "TRANSFER_STATE_DIR"
"""Names the folder when no option does."""


def state_folder(chosen: str | None) -> str:
    """The folder of the journal.

    Args:
        chosen: What the user named; None leaves it to the environment, then to the platform's rules.
    """
    named = chosen or os.environ.get(STATE_FOLDER_VARIABLE)
    if named:
        return named
    import platformdirs

    return platformdirs.user_state_dir("transfer", appauthor=False)
