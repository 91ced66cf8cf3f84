"""transfer moves bytes between local disks and object stores and proves what it moved.

The public names load on first use, so that importing the package costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from transfer.version import __version__

if TYPE_CHECKING:
    from transfer.engine.transfer import Transfer
    from transfer.model.errors import TransferError
    from transfer.model.options import ConnectionOptions, TransferOptions
    from transfer.model.receipts import Receipt

__all__ = ["ConnectionOptions", "Receipt", "Transfer", "TransferError", "TransferOptions", "__version__"]

_HOMES = {
    "ConnectionOptions": "transfer.model.options",
    "Receipt": "transfer.model.receipts",
    "Transfer": "transfer.engine.transfer",
    "TransferError": "transfer.model.errors",
    "TransferOptions": "transfer.model.options",
}


def __dir__() -> list[str]:
    """The public names, so that an interpreter or an editor can offer them."""
    return sorted(__all__)


def __getattr__(name: str) -> Any:  # noqa: ANN401 - a module attribute may be anything
    """Load a public name from its home module on first use (PEP 562)."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(home), name)
