"""Removing what only the destination has, once both sides are known. Whether that may be is decided in `syncing`."""

from __future__ import annotations

from collections.abc import Sequence

from transfer.engine.context import Context
from transfer.engine.extras import Extras
from transfer.engine.items import CopyItem
from transfer.engine.job import Job
from transfer.engine.outcomes import Deliver
from transfer.engine.removal import Batch, remove_batch
from transfer.engine.server_copy import copy_object
from transfer.engine.spread import each, spread
from transfer.engine.sync_request import Place, SyncRequest
from transfer.model.errors import TransferError
from transfer.model.locations import LocalLocation, S3Location
from transfer.model.receipts import Failure, Outcome, Removal
from transfer.plan.naming import tree_key
from transfer.stores.local.clearing import move_below, remove_below
from transfer.stores.s3.listing import DELETE_BATCH_KEYS


async def remove_extras(
    context: Context, job: Job, request: SyncRequest, extras: Extras, deliver: Deliver[Outcome]
) -> None:
    """Remove each name from the destination, or move it to the backup place, and tell so.

    Args:
        context: The run at the store of the destination.
        job: The run's, for large objects that are moved.
        request: What was asked; in a dry run it is only told.
        extras: The names.
        deliver: Takes the outcomes.

    Raises:
        TransferError: A whole request was refused.
    """

    async def remove(names: list[str]) -> None:
        for outcome in await _removed(context, job, request, names):
            await deliver(outcome)

    await spread(each(extras.batches(DELETE_BATCH_KEYS)), remove, lambda workers: workers < context.lanes.limit)


async def _removed(context: Context, job: Job, request: SyncRequest, names: list[str]) -> Sequence[Outcome]:
    if request.options.is_dry_run:
        backup = request.backup
        return [
            Removal(
                _named(request.destination, name), None if backup is None else _named(backup, name), is_dry_run=True
            )
            for name in names
        ]
    if isinstance(request.destination, LocalLocation):
        root, place = request.destination.path, request.backup
        return await context.threads.run(lambda: [_removed_file(root, name, place) for name in names])
    keys = {tree_key(request.destination, name): name for name in names}
    if not isinstance(request.backup, S3Location):
        return await remove_batch(context, Batch(request.destination.bucket, tuple(keys)))
    return await _moved(context, job, request.destination, request.backup, keys)


async def _moved(
    context: Context, job: Job, destination: S3Location, backup: S3Location, keys: dict[str, str]
) -> Sequence[Outcome]:
    """Copy objects to the backup place, and remove those of which the copy is there."""
    copied: dict[str, str] = {}
    failed: list[Outcome] = []

    async def copy(key: str) -> None:
        target = backup.with_key(tree_key(backup, keys[key]))
        try:
            await copy_object(context, job, CopyItem(destination.with_key(key), target))
        except TransferError as error:
            failed.append(Failure(str(destination.with_key(key)), str(target), error))
            return
        copied[key] = str(target)

    await spread(each(keys), copy, lambda workers: workers < context.lanes.limit)
    if not copied:
        return failed
    targets = {str(destination.with_key(key)): target for key, target in copied.items()}
    removed = await remove_batch(context, Batch(destination.bucket, tuple(copied)))
    return failed + [
        Removal(outcome.source, targets[outcome.source]) if isinstance(outcome, Removal) else outcome
        for outcome in removed
    ]


def _removed_file(root: str, name: str, backup: Place | None) -> Outcome:
    path = _named(LocalLocation(root), name)
    try:
        if isinstance(backup, LocalLocation):
            move_below(root, name, backup.path)
            return Removal(path, _named(backup, name))
        remove_below(root, name)
    except TransferError as error:
        return Failure(path, "", error)
    return Removal(path)


def _named(place: Place, name: str) -> str:
    if isinstance(place, LocalLocation):
        return f"{place.path.rstrip('/')}/{name}" if place.path else name
    return str(place.with_key(tree_key(place, name)))
