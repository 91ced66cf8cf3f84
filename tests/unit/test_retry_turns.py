import asyncio

import pytest

from tests.support.virtual_time import run_in_virtual_time
from transfer.engine.retry_turns import RetryTurns
from transfer.model.errors import ChecksumMismatchError, StoreError, TransferError, WireError
from transfer.plan.retry import BACKOFF_CAP_SECONDS, RetryBudget, Verdict, verdict_of


def closed_while_idle() -> WireError:
    error = WireError("closed")
    error.reused = True
    assert verdict_of(error) is Verdict.RETRY_FREE
    return error


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


@pytest.mark.parametrize("order", [(1, 2), (2, 1)])
async def test_a_turn_goes_past_those_who_were_cancelled_together(order: tuple[int, int]) -> None:
    turns = RetryTurns(RetryBudget(capacity=1))
    retriers = await begin(turns, 3)
    gone = [retriers[number].task for number in order]
    for task in gone:
        task.cancel()
    await asyncio.wait(gone)
    assert all(task.cancelled() for task in gone)
    [late] = await begin(turns, 1)
    assert late.has_turn
    await end_all([retriers[0], late])


async def test_a_success_is_no_trouble_to_who_was_cancelled_before_it() -> None:
    turns = RetryTurns(RetryBudget(capacity=1, refill_per_success=1.0))
    retriers = await begin(turns, 4)
    retriers[2].task.cancel()
    turns.count_success()
    turns.count_success()
    await settle()
    assert (retriers[2].task.cancelled(), retriers[3].has_turn) == (True, True)
    await end_all([retriers[0], retriers[1], retriers[3]])


async def _failing(turns: RetryTurns, error: TransferError | None = None) -> None:
    with pytest.raises(TransferError), await turns.next():
        raise error or WireError("broke")


def test_after_one_in_vain_the_others_wait_as_long_as_a_pause_can_be() -> None:
    async def seconds_waited() -> float:
        turns = RetryTurns(RetryBudget(capacity=0))
        await _failing(turns)
        began_seconds = asyncio.get_running_loop().time()
        await asyncio.gather(*[_failing(turns) for _ in range(5)])
        return asyncio.get_running_loop().time() - began_seconds

    assert run_in_virtual_time(seconds_waited()) == pytest.approx(BACKOFF_CAP_SECONDS)


@pytest.mark.parametrize(
    ("error", "waited_seconds"),
    [
        (StoreError("slower", status=503, code="SlowDown"), 0.0),
        (StoreError("no such key", status=404, code="NoSuchKey"), 0.0),
        (StoreError("again", status=409, code="OperationAborted"), 0.0),
        (ChecksumMismatchError("other bytes"), 0.0),
        (closed_while_idle(), 0.0),
        (WireError("cut"), BACKOFF_CAP_SECONDS),
        (StoreError("broken", status=500, code="InternalError"), BACKOFF_CAP_SECONDS),
        (StoreError("broken meanwhile", status=200, code="InternalError"), BACKOFF_CAP_SECONDS),
    ],
)
def test_what_is_no_outage_makes_nobody_wait(error: TransferError, waited_seconds: float) -> None:
    async def seconds_waited() -> float:
        turns = RetryTurns(RetryBudget(capacity=0))
        await asyncio.gather(*[_failing(turns, error) for _ in range(5)])
        return asyncio.get_running_loop().time()

    assert run_in_virtual_time(seconds_waited()) == pytest.approx(waited_seconds)


def test_a_success_ends_the_trouble() -> None:
    async def seconds_waited() -> float:
        turns = RetryTurns(RetryBudget(capacity=0))
        await _failing(turns)
        turns.count_success()
        began_seconds = asyncio.get_running_loop().time()
        for _ in range(5):
            with await turns.next():
                turns.count_success()
        return asyncio.get_running_loop().time() - began_seconds

    assert run_in_virtual_time(seconds_waited()) == 0.0


def test_who_waited_in_trouble_goes_on_once_it_is_over() -> None:
    async def seconds_waited() -> float:
        turns = RetryTurns(RetryBudget(capacity=0))
        await _failing(turns)
        began_seconds = asyncio.get_running_loop().time()
        retriers = await begin(turns, 3)
        assert having_turns(retriers) == [False, False, False]
        turns.count_success()
        await settle()
        assert having_turns(retriers) == [True, False, False]
        await end_all(retriers)
        return asyncio.get_running_loop().time() - began_seconds

    assert run_in_virtual_time(seconds_waited()) == 0.0
