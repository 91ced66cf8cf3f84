"""Names that could not be looked at on one side, so that nothing may be said of them on the other."""

from __future__ import annotations

from transfer.plan.key_order import order_of


class Shelter:
    """The names that are covered around the place that a walk through both sides has reached.

    Names come in the order of their bytes. A name that could not be looked at may be a folder, whose contents come
    later, after names such as `name-1`; it is kept until they are over.
    """

    def __init__(self) -> None:
        self._names: list[str] = []

    def add(self, name: str) -> None:
        """Cover a name and all that may be below it."""
        self._names.append(name.removesuffix("/"))

    def covers(self, name: str) -> bool:
        """Whether a name is covered; names must be asked for in order."""
        if not self._names:
            return False
        place = order_of(name)
        # "0" follows "/" at once: whatever is not before it is past the contents of the folder.
        self._names = [kept for kept in self._names if place < order_of(f"{kept}0")]
        return any(name == kept or name.startswith(f"{kept}/") for kept in self._names)
