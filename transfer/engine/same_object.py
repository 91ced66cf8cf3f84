"""Whether two names may be one object. Asks and compares; what follows from it is `moving`'s."""

from __future__ import annotations

from typing import Final

from transfer.engine.attempts import Tally
from transfer.engine.context import Context
from transfer.engine.items import CopyItem
from transfer.model.errors import UsageError
from transfer.model.locations import S3Location
from transfer.model.objects import ObjectInfo
from transfer.stores.s3.objects import head_object

_ALIAS_ENDINGS: Final = ("-s3alias", "--ol-s3", ".mrap")
"""How the names of access points end that stand for another bucket (AWS: Access point aliases)."""


def is_other_name(bucket: str) -> bool:
    """Whether a bucket's name may stand for a bucket of another name: an access point."""
    return bucket.startswith("arn:") or bucket.endswith(_ALIAS_ENDINGS)


def may_be_one_bucket(one: str, other: str) -> bool:
    """Whether two names may stand for one bucket."""
    return one == other or is_other_name(one) or is_other_name(other)


async def is_one_store(context: Context, bucket: str) -> bool:
    """Whether sources and destination of a run are at the same address, whoever asks there.

    Raises:
        ConfigurationError: One of the two has none.
    """
    if context.second is None:
        return True
    return await context.store.address_of(bucket) == await context.second.store.address_of(bucket)


def may_be_one(context: Context, item: CopyItem) -> bool:
    """Whether source and destination of a copy may be one object under two names.

    They may when their keys are equal and either bucket is an access point, or when two endpoints, which may be two
    names of one store, are asked for the same bucket.
    """
    source, destination = item.source, item.destination
    if source.key != destination.key:
        return False
    if is_other_name(source.bucket) or is_other_name(destination.bucket):
        return True
    return context.second is not None and source.bucket == destination.bucket


async def require_two(context: Context, item: CopyItem) -> None:
    """Make sure, once the copy is there, that removing the source does not remove it.

    One object under two names answers alike. Two that answer alike are taken for one: the same content, written in
    the same second.

    Raises:
        UsageError: They may be one.
        TransferError: A store does not say.
    """
    copy = await look_at(context.destination, item.destination)
    source = await look_at(context, item.source)
    if _told(copy) == _told(source):
        raise UsageError(
            f"it may be the same object as {item.destination}: the stores tell the same of both",
            subject=str(item.source),
            remedy="if it is another one, remove it with: transfer rm",
        )


async def look_at(context: Context, location: S3Location) -> ObjectInfo:
    """What the store knows of an object; raises as `head_object`."""
    return await context.attempts.run(location, lambda _: head_object(context.store, location), Tally())


def _told(info: ObjectInfo) -> tuple[str, float, str | None]:
    return info.etag, info.modified_seconds, info.version_id
