"""The worker processes of a run, and what they share with the first process.

There is one limit of requests in flight, one limit of bytes per second, one way to credentials, one set of counters,
one journal and one place where the user is told: here. Workers have connections of their own, and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import anyio
from anyio.abc import TaskGroup

from transfer.engine.context import Context
from transfer.engine.crew.demand import Demand
from transfer.engine.crew.member import Member
from transfer.engine.crew.orders import (
    Answer,
    Ask,
    Counted,
    CredentialsWanted,
    EndpointWanted,
    LeaveWanted,
    Question,
    Reached,
    Setup,
    Told,
)
from transfer.engine.crew.shared_governor import SharedGovernor
from transfer.model.errors import TransferError
from transfer.model.events import Warned
from transfer.model.options import ConnectionOptions
from transfer.model.values import dataclass
from transfer.plan.governor import Window
from transfer.stores.s3.access import Access
from transfer.system.forking import Forked


@dataclass(frozen=True, slots=True)
class Means:
    """What the first process has once for all."""

    governor: SharedGovernor
    access: Access
    context: Context
    tasks: TaskGroup


class Crew:
    """The workers of one run; they end with `aclose`, and with this process.

    Attributes:
        members: Those that are alive.
    """

    def __init__(self, forked: Sequence[Forked], means: Means, connection: ConnectionOptions) -> None:
        """Set workers going, to reach the store by this connection; needs a running event loop."""
        self._means: Final = means
        self._is_reach_told = False
        self.members = tuple(Member(one, self._hear) for one in forked)
        limiter = means.context.attempts.limiter
        step_bytes = None if limiter is None else limiter.step_bytes
        setup = Setup(connection, means.context.options, step_bytes, processes=1 + len(forked))
        for member in self.members:
            member.send(setup)
        means.governor.share_with(self.members)
        self._demand: Final = Demand(means.tasks, lambda: [one.pid for one in self.members], self._wake_members)

    @property
    def limit(self) -> int:
        """How many requests all processes may have in flight."""
        return self._means.governor.total

    def wants_items(self) -> bool:
        """Whether workers should be given small items.

        They should when the user has said how many processes there are, and when the store is elsewhere: then a
        processor that is not idle is not busy for it.
        """
        context = self._means.context
        if context.options.processes is not None or not context.store.pool.is_peer_here:
            return True
        return self._demand.exists()

    def note_work(self) -> None:
        """Somebody who had nothing to do may have something now."""
        self._means.governor.divide()
        if self._means.context.attempts.reached:
            self._tell_reached()

    def note_reached(self) -> None:
        """A worker has reached the store."""
        self._means.context.attempts.note_reached()
        self._tell_reached()

    async def aclose(self) -> None:
        """Have all workers stop, and wait until they have tidied up."""
        members, self.members = self.members, ()
        with anyio.CancelScope(shield=True):
            async with anyio.create_task_group() as tasks:
                for member in members:
                    tasks.start_soon(member.aclose)

    def _wake_members(self) -> None:
        for member in self.members:
            member.wake()

    def _tell_reached(self) -> None:
        if not self._is_reach_told:
            self._is_reach_told = True
            for member in self.members:
                member.send(Reached())

    def _hear(self, member: Member, message: Any) -> None:  # noqa: ANN401 - any report
        if message is None:
            self._lose(member)
        elif isinstance(message, Window):
            self._means.governor.note(member, message)
        elif isinstance(message, Counted):
            for name, count in message.by_name.items():
                setattr(self._means.context.progress, name, getattr(self._means.context.progress, name) + count)
        elif isinstance(message, Told):
            self._means.context.on_event(message.event)
        elif isinstance(message, Ask):
            self._means.tasks.start_soon(self._answer, member, message)

    def _lose(self, member: Member) -> None:
        if member not in self.members:
            return
        self.members = tuple(one for one in self.members if one is not member)
        self._means.governor.share_with(self.members)
        self._means.context.on_event(Warned("a worker process has ended unexpectedly: the others do its work"))
        self._means.tasks.start_soon(member.aclose)

    async def _answer(self, member: Member, ask: Ask) -> None:
        try:
            value = await self._found_out(ask.question)
        except TransferError as error:
            value = error
        member.send(Answer(ask.ticket, value))

    async def _found_out(self, question: Question) -> Any:  # noqa: ANN401 - as many types as questions
        means = self._means
        if isinstance(question, CredentialsWanted):
            current = await means.access.credentials()
            if question.refused is None:
                return current
            # Whoever fails under old ones while others have renewed them needs no newer ones than those.
            store = means.context.store
            return current != question.refused or await store.renew_credentials(store.credentials_generation)
        if isinstance(question, EndpointWanted):
            return await means.access.bucket_endpoint(question.bucket, question.region)
        assert isinstance(question, LeaveWanted)  # noqa: S101 - the only one left, for the type checker
        limiter = means.context.attempts.limiter
        if limiter is not None:
            await limiter.admit(question.count)
        return None
