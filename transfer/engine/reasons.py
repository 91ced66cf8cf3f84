"""Why bytes travelled as they did, when it was not the platform's fastest way. Text for receipts, nothing else."""

from __future__ import annotations

from typing import Final

from transfer.model.receipts import Mover

SMALL_UPLOAD: Final = "small bodies are read once and sent from memory"
STREAM: Final = "a stream is no file the kernel could move bytes to or from"
RELAY: Final = "the bytes pass from one store to another through this process"
TLS: Final = "encryption takes place in this process"
PORTABLE: Final = "this system offers no way to move bytes inside the kernel"


def mover_reason(mover: Mover, why_buffered: str | None, why_encrypted_here: str | None = None) -> str | None:
    """Say why a mover was used; None for those that need no excuse.

    Args:
        mover: What was seen.
        why_buffered: What made this body pass through memory, or None when nothing but the system did.
        why_encrypted_here: What kept the kernel from encrypting, where it could have been asked.
    """
    if mover is Mover.TLS:
        return f"{TLS}: {why_encrypted_here}" if why_encrypted_here else TLS
    if mover is Mover.BUFFER:
        return why_buffered or PORTABLE
    return None
