"""Markers of folders that only one side has, held until it is known whether the other has anything in those folders."""

from __future__ import annotations

from typing import Generic, TypeVar

T = TypeVar("T")


class HeldMarkers(Generic[T]):
    """Markers around the place that a walk through both sides has reached; names come in the order of their bytes.

    `name/` comes right before all that is below it.
    """

    def __init__(self) -> None:
        self._held: list[tuple[str, T]] = []

    def __bool__(self) -> bool:
        return bool(self._held)

    def hold(self, name: str, marker: T) -> None:
        """Hold a marker; what `reach` answers for its name has been taken care of."""
        self._held.append((name, marker))

    def reach(self, name: str, *, is_on_other_side: bool) -> list[T]:
        """Go on to the next name.

        Args:
            name: It.
            is_on_other_side: The other side has it, so the folders that it is in are there.

        Returns:
            Markers of folders in which the other side has nothing.
        """
        over: list[T] = []
        while self._held and not name.startswith(self._held[-1][0]):
            over.append(self._held.pop()[1])
        if is_on_other_side:
            self._held.clear()
        return over

    def rest(self) -> list[T]:
        """Those that are still held when there are no more names."""
        held, self._held = self._held, []
        return [marker for _, marker in held]
