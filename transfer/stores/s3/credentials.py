"""What proves to a store who is asking. Secrets never show in a repr, a log line or an error."""

from __future__ import annotations

from dataclasses import field

from transfer.model.values import dataclass


@dataclass(frozen=True, slots=True)
class Credentials:
    """One set of keys; `token` is that of a temporary session, or None."""

    access_key: str
    secret_key: str = field(repr=False)
    token: str | None = field(repr=False, default=None)
