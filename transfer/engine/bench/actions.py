"""What a worker does next: which request, about which object, and what is true when it has ended."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Final

from transfer.engine.bench.requests import Attempt, delete, get, list_some, put, stat
from transfer.engine.bench.shelf import Shelf
from transfer.engine.context import Context
from transfer.model.bench import BenchOperation, BenchOptions
from transfer.model.checksums import ChecksumAlgorithm
from transfer.model.values import dataclass
from transfer.plan.mix import Deck


@dataclass(frozen=True, slots=True)
class Action:
    """One operation.

    Attributes:
        attempt: Makes the request, once each time it is called.
        settle: Told whether it ended well.
    """

    operation: BenchOperation
    attempt: Attempt
    settle: Callable[[bool], None]


class Actions:
    """The source of a step's operations."""

    def __init__(
        self,
        context: Context,
        shelf: Shelf,
        operation: BenchOperation,
        algorithm: ChecksumAlgorithm,
        options: BenchOptions,
        random: Random,
    ) -> None:
        self._context: Final = context
        self._shelf: Final = shelf
        self._operation: Final = operation
        self._algorithm: Final = algorithm
        self._deck: Final = Deck(options.mix, random) if operation is BenchOperation.MIXED else None

    def next(self, hop: memoryview) -> Action | None:
        """The next operation; None when there are no objects left for it.

        Args:
            hop: Where a body may be received.
        """
        operation = self._deck.draw() if self._deck is not None else self._operation
        if operation is BenchOperation.PUT:
            return self._put()
        live = self._shelf.live
        number = live.take() if operation is BenchOperation.DELETE else live.lend()
        if number is None:
            # A mixture goes on without objects by writing one; what only reads or removes has come to its end.
            return self._put() if self._deck is not None else None
        if operation is BenchOperation.DELETE:
            return self._delete(number)
        return self._read(operation, number, hop)

    def _put(self) -> Action:
        number = self._shelf.new_number()

        def settle(is_done: bool) -> None:
            # A sweep of writes alone may write millions, of which nobody will ask.
            if is_done and self._deck is not None:
                self._shelf.live.add(number)

        return Action(BenchOperation.PUT, put(self._context, self._shelf, number, self._algorithm), settle)

    def _delete(self, number: int) -> Action:
        def settle(is_done: bool) -> None:
            if not is_done:
                self._shelf.live.add(number)

        return Action(BenchOperation.DELETE, delete(self._context, self._shelf, number), settle)

    def _read(self, operation: BenchOperation, number: int, hop: memoryview) -> Action:
        attempt: Attempt
        if operation is BenchOperation.GET:
            attempt = get(self._context, self._shelf, number, hop)
        elif operation is BenchOperation.LIST:
            attempt = list_some(self._context, self._shelf)
        else:
            attempt = stat(self._context, self._shelf, number)
        return Action(operation, attempt, lambda _: self._shelf.live.give_back(number))
