"""Removing what only the destination has, once both sides are known. Whether that may be is decided in `syncing`."""

from __future__ import annotations

from collections.abc import Sequence

from transfer.engine.context import Context
from transfer.engine.extras import Extra, Extras
from transfer.engine.items import CopyItem
from transfer.engine.job import Job
from transfer.engine.outcomes import Deliver
from transfer.engine.server_copy import copy_object
from transfer.engine.source_removal import ObjectRemover
from transfer.engine.spread import each, spread
from transfer.engine.sync_request import Place, SyncRequest
from transfer.model.checksums import VerifiedBy
from transfer.model.errors import SourceStaysError, TransferError
from transfer.model.locations import LocalLocation, S3Location
from transfer.model.objects import ListedObject
from transfer.model.receipts import Failure, Outcome, Removal
from transfer.plan.naming import tree_key
from transfer.stores.local.clearing import FileBelow, move_below, remove_below
from transfer.stores.s3.listing import DELETE_BATCH_KEYS


async def remove_extras(
    context: Context, job: Job, request: SyncRequest, extras: Extras, deliver: Deliver[Outcome]
) -> None:
    """Remove each from the destination, or move it to the backup place, and tell so.

    What is not as it was seen any more stays, which is told as a failure; of objects this is up to the store, which
    may know no condition.

    Args:
        context: The run at the store of the destination.
        job: The run's, for large objects that are moved.
        request: What was asked; in a dry run it is only told.
        extras: What goes.
        deliver: Takes the outcomes.
    """
    clearing = _Clearing(context, job, request)

    async def remove(batch: list[Extra]) -> None:
        await deliver(*await clearing.clear(batch))

    await spread(each(extras.batches(DELETE_BATCH_KEYS)), remove, lambda workers: workers < context.lanes.limit)


class _Clearing:
    """One run's removals."""

    def __init__(self, context: Context, job: Job, request: SyncRequest) -> None:
        self._context = context
        self._job = job
        self._request = request
        self._remover = ObjectRemover(context)

    async def clear(self, batch: Sequence[Extra]) -> Sequence[Outcome]:
        """Remove or move what is in a batch; an outcome for each."""
        request = self._request
        if request.options.is_dry_run:
            return [
                Removal(named(request.destination, one.name), self._backup_of(one), is_dry_run=True, size=one.size)
                for one in batch
            ]
        if isinstance(request.destination, LocalLocation):
            root, backup = request.destination, request.backup
            return await self._context.threads.run(lambda: [_cleared_file(root, one, backup) for one in batch])
        extras = {tree_key(request.destination, one.name): one for one in batch}
        failed: list[Outcome] = []
        if isinstance(request.backup, S3Location):
            failed = await self._backed_up(request.destination, request.backup, extras)
        return failed + await self._removed(request.destination, extras)

    async def _backed_up(self, destination: S3Location, backup: S3Location, extras: dict[str, Extra]) -> list[Outcome]:
        """Copy objects to the backup place; those of which no proven copy is there are taken out of `extras`."""
        failed: dict[str, Outcome] = {}

        async def copy(key: str) -> None:
            one = extras[key]
            source, target = destination.with_key(key), backup.with_key(tree_key(backup, one.name))
            listed = ListedObject(key, one.size, one.version, 0.0)
            try:
                receipt = await copy_object(self._context, self._job, CopyItem(source, target, listed))
                if receipt.verified_by is VerifiedBy.UNVERIFIED:
                    raise SourceStaysError(
                        "copied, but nothing could verify it, so it stays", remedy="compare both, then: transfer rm"
                    )
            except TransferError as error:
                error.subject = error.subject or str(source)
                failed[key] = Failure(str(source), str(target), error)

        await spread(each(tuple(extras)), copy, lambda workers: workers < self._context.lanes.limit)
        for key in failed:
            del extras[key]
        return list(failed.values())

    async def _removed(self, destination: S3Location, extras: dict[str, Extra]) -> list[Outcome]:
        if not extras:
            return []
        etags = {key: one.version for key, one in extras.items()}
        stays = await self._remover.remove_listed(destination.bucket, etags)
        outcomes: list[Outcome] = []
        for key, one in extras.items():
            source = str(destination.with_key(key))
            error = stays.get(key)
            outcomes.append(Removal(source, self._backup_of(one)) if error is None else Failure(source, "", error))
        return outcomes

    def _backup_of(self, one: Extra) -> str | None:
        return None if self._request.backup is None else named(self._request.backup, one.name)


def named(place: Place, name: str) -> str:
    """How the user would write a name below a place."""
    if isinstance(place, LocalLocation):
        return f"{place.path.rstrip('/')}/{name}" if place.path else name
    return str(place.with_key(tree_key(place, name)))


def _cleared_file(root: LocalLocation, one: Extra, backup: Place | None) -> Outcome:
    path, seen = named(root, one.name), FileBelow(one.name, one.size, int(one.version))
    try:
        if isinstance(backup, LocalLocation):
            move_below(root.path, seen, backup.path)
            return Removal(path, named(backup, one.name))
        remove_below(root.path, seen)
    except TransferError as error:
        return Failure(path, "", error)
    return Removal(path)
