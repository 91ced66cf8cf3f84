import asyncio

import pytest

from transfer.engine.retry_turns import RetryTurns
from transfer.plan.retry import RetryBudget


class Retrier:
    """A task that waits for its turn, takes it, and keeps it until told to end."""

    def __init__(self, turns: RetryTurns) -> None:
        self._turns = turns
        self.may_end = asyncio.Event()
        self.has_turn = False
        self.task = asyncio.create_task(self._repeat())

    async def _repeat(self) -> None:
        with await self._turns.next():
            self.has_turn = True
            await self.may_end.wait()

    async def end(self) -> None:
        self.may_end.set()
        await self.task


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def begin(turns: RetryTurns, count: int) -> list[Retrier]:
    retriers = [Retrier(turns) for _ in range(count)]
    await settle()
    return retriers


def having_turns(retriers: list[Retrier]) -> list[bool]:
    return [one.has_turn for one in retriers]


async def end_all(retriers: list[Retrier]) -> None:
    for one in retriers:
        await one.end()


async def test_what_the_budget_pays_for_goes_at_once_and_beyond_it_one_at_a_time() -> None:
    retriers = await begin(RetryTurns(RetryBudget(capacity=2)), 5)
    assert having_turns(retriers) == [True, True, True, False, False]
    await retriers[0].end()
    await settle()
    assert having_turns(retriers) == [True, True, True, False, False]
    await retriers[2].end()
    await settle()
    assert having_turns(retriers) == [True, True, True, True, False]
    await end_all(retriers)
    assert all(having_turns(retriers))


async def test_successes_pay_for_those_who_wait_in_the_order_in_which_they_came() -> None:
    turns = RetryTurns(RetryBudget(capacity=1, refill_per_success=0.5))
    retriers = await begin(turns, 4)
    turns.count_success()
    await settle()
    assert having_turns(retriers) == [True, True, False, False]
    turns.count_success()
    await settle()
    assert having_turns(retriers) == [True, True, True, False]
    await end_all(retriers)


async def test_who_comes_later_does_not_take_what_others_wait_for() -> None:
    turns = RetryTurns(RetryBudget(capacity=1, refill_per_success=1.0))
    retriers = await begin(turns, 3)
    turns.count_success()
    retriers.append(Retrier(turns))
    await settle()
    assert having_turns(retriers) == [True, True, True, False]
    await end_all(retriers)


@pytest.mark.parametrize("cancelled", [1, 2])
async def test_a_turn_is_not_lost_with_who_had_it_or_waited_for_it(cancelled: int) -> None:
    retriers = await begin(RetryTurns(RetryBudget(capacity=1)), 4)
    retriers[cancelled].task.cancel()
    await asyncio.wait([retriers[cancelled].task])
    if cancelled != 1:
        await retriers[1].end()
    await settle()
    assert retriers[3 if cancelled == 2 else 2].has_turn
    await end_all([one for one in retriers if one is not retriers[cancelled]])


async def test_a_turn_that_comes_in_the_moment_of_cancellation_goes_to_the_next() -> None:
    retriers = await begin(RetryTurns(RetryBudget(capacity=1)), 4)
    retriers[1].may_end.set()
    await asyncio.sleep(0)
    retriers[2].task.cancel()
    await settle()
    assert having_turns(retriers) == [True, True, False, True]
    await end_all([retriers[0], retriers[3]])
