"""Several runs in one process: what there is once, and what each has for itself."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import anyio
import pytest

from transfer import Transfer, TransferOptions
from transfer.engine.hedging import HedgeBudget
from transfer.engine.lanes import Lanes
from transfer.engine.memory import MemoryBudget
from transfer.engine.sharing import SharedStores, shared_stores
from transfer.engine.threads import Threads
from transfer.model.options import ConnectionOptions
from transfer.wire.pool import ConnectionPool

HERE, THERE = (ConnectionOptions(endpoint_url=f"http://127.0.0.1:{port}") for port in (9, 19))
ONCE = (MemoryBudget, HedgeBudget, Threads)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How many there are of what costs memory, connections or threads."""
    counted: Counter[str] = Counter()

    def counting(kind: type, begin: Callable[..., None]) -> Callable[..., None]:
        def noted(made: object, *arguments: Any, **named: Any) -> None:
            counted[kind.__name__] += 1
            begin(made, *arguments, **named)

        return noted

    for kind in (*ONCE, Lanes, ConnectionPool):
        monkeypatch.setattr(kind, "__init__", counting(kind, kind.__init__))
    return counted


async def open_all(*chosen: dict[str, Any]) -> None:
    """Have runs open at the same time."""

    async def keep_open(choices: dict[str, Any], *, task_status: anyio.abc.TaskStatus[None]) -> None:
        async with Transfer(**choices):
            task_status.started()
            await anyio.sleep_forever()

    async with anyio.create_task_group() as tasks:
        token = shared_stores.set(SharedStores(tasks, TransferOptions()))
        try:
            for choices in chosen:
                await tasks.start(keep_open, choices)
        finally:
            shared_stores.reset(token)
        tasks.cancel_scope.cancel()


async def test_memory_and_threads_are_those_of_one_run(made: Counter[str]) -> None:
    await open_all(
        {"connection": HERE},
        {"connection": THERE},
        {"connection": HERE, "destination": THERE},
        {"connection": HERE, "options": TransferOptions(concurrency=2)},
    )
    assert {kind.__name__: made[kind.__name__] for kind in ONCE} == {kind.__name__: 1 for kind in ONCE}


async def test_a_run_from_store_to_store_has_no_connections_and_lanes_of_its_own(made: Counter[str]) -> None:
    between = {"connection": HERE, "destination": THERE}
    await open_all({"connection": HERE}, between, between, {"connection": THERE})
    assert (made["ConnectionPool"], made["Lanes"]) == (2, 2)


async def test_a_number_of_requests_that_was_asked_for_is_the_run_s_own(made: Counter[str]) -> None:
    await open_all({"connection": HERE}, {"connection": HERE, "options": TransferOptions(concurrency=2)})
    assert (made["ConnectionPool"], made["Lanes"]) == (1, 2)
