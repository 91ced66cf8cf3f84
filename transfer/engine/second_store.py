"""A second store, to which the objects of a copy between buckets go: when there is one, and what it is for.

It shares the lanes, the threads, the counters and the memory of the run; what is learnt of a store (its region, clock
and checksums, and how often it fails) is its own. Each way has the whole of a limited rate.
"""

from __future__ import annotations

import dataclasses
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from transfer.engine.context import Context
from transfer.engine.stores import attempts_at, open_store
from transfer.model.errors import ConfigurationError, UsageError
from transfer.model.locations import Location, S3Location
from transfer.model.options import ConnectionOptions

if TYPE_CHECKING:
    from collections.abc import Iterable

    from transfer.stores.s3.store import S3Store


_THE_DESTINATION = "the destination"


def is_second(first: ConnectionOptions, destination: ConnectionOptions | None) -> bool:
    """Whether a destination may be another store, or the same one as another user.

    Its region alone makes it neither: where a bucket is, the store tells.
    """
    if destination is None:
        return False
    return dataclasses.replace(destination, region=first.region) != first


def check_second(
    sources: Iterable[Location], destination: Location, first: ConnectionOptions, second: ConnectionOptions | None
) -> None:
    """Refuse a second store where nothing goes from one store to another.

    Raises:
        UsageError: It names the option.
    """
    if second is None:
        return
    local = next((place for place in (*sources, destination) if not isinstance(place, S3Location)), None)
    if local is None:
        return
    option = _option(first, second)
    raise UsageError(
        f"it is for copies from bucket to bucket, and {local} is in none",
        subject=option,
        remedy=f"write {option.replace('--dest-', '--')}",
    )


async def open_second(stack: AsyncExitStack, first: Context, connection: ConnectionOptions) -> Context:
    """The context of a second store, open as long as `stack` is; raises as `open_store`."""
    store, _ = await open_store(stack, connection)
    return second_at(first, store)


def second_at(first: Context, store: S3Store) -> Context:
    """The context of a second store that somebody else keeps open."""
    attempts = attempts_at(store, first.lanes, first.progress, first.on_event, first.options)
    return dataclasses.replace(first, store=store, attempts=attempts, second=None)


async def join_if_same(context: Context, destination: Location) -> None:
    """Forget a second store that turns out to be the first, asked as the same user: it copies by itself.

    Raises:
        ConfigurationError: One of the two has no credentials or no endpoint.
    """
    second = context.second
    if second is None or not isinstance(destination, S3Location):
        return
    try:
        await second.store.address_of(destination.bucket)
    except ConfigurationError as error:
        error.subject = error.subject or _THE_DESTINATION
        raise
    if await context.store.is_same_as(second.store, destination.bucket):
        context.second = None


def _option(first: ConnectionOptions, second: ConnectionOptions) -> str:
    """What the user has most likely written to name the second store."""
    named = {
        "--dest-endpoint-url": second.endpoint_url is not None and second.endpoint_url != first.endpoint_url,
        "--dest-profile": second.profile is not None and second.profile != first.profile,
        "--dest-region": second.region is not None and second.region != first.region,
        "--dest-addressing-style": second.addressing_style is not first.addressing_style,
        "--dest-ca-bundle": second.ca_bundle is not None and second.ca_bundle != first.ca_bundle,
        "--dest-no-verify-tls": not second.verify_tls,
    }
    return next((option for option, is_named in named.items() if is_named), "--dest-endpoint-url")
