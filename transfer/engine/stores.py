"""Opening the way to a store: connections, credentials, and the attempts that are made at it."""

from __future__ import annotations

import os
from contextlib import AsyncExitStack

from transfer.engine.attempts import Attempts
from transfer.engine.lanes import Lanes
from transfer.engine.limiter import BandwidthLimiter
from transfer.model.events import EventSink
from transfer.model.options import ConnectionOptions, TransferOptions
from transfer.model.progress import Progress
from transfer.stores.s3.access import Access
from transfer.stores.s3.static_access import region_of, static_access
from transfer.stores.s3.store import S3Store
from transfer.wire.dial import Dialer
from transfer.wire.pool import ConnectionPool


async def open_store(
    stack: AsyncExitStack, connection: ConnectionOptions, access: Access | None = None
) -> tuple[S3Store, Access]:
    """Open the way to a store, as long as `stack` is open; no connection is made yet.

    Args:
        stack: Closes it.
        connection: Which one.
        access: Whoever knows where it is and as whom; None for what the environment and the configuration say.

    Raises:
        UsageError: The endpoint is no URL.
        ConfigurationError: The certificates cannot be read.
    """
    dialer = Dialer(
        verify_tls=connection.verify_tls,
        ca_bundle=connection.ca_bundle or os.environ.get("AWS_CA_BUNDLE"),
        stall_seconds=connection.stall_seconds,
    )
    pool = await stack.enter_async_context(ConnectionPool(dialer))
    access = access or _access(connection)
    stack.push_async_callback(access.aclose)
    return S3Store(access, pool), access


def attempts_at(
    store: S3Store,
    lanes: Lanes,
    progress: Progress,
    on_event: EventSink,
    options: TransferOptions,
    processes: int = 1,
) -> Attempts:
    """The attempts that one run makes at a store, with its own limit of bytes per second."""
    rate = options.limit_rate_bytes_per_second
    limiter = BandwidthLimiter(rate) if rate is not None else None
    return Attempts(store, lanes, progress, on_event, retries=options.retries, limiter=limiter, processes=processes)


def _access(connection: ConnectionOptions) -> Access:
    """The short way when the environment says it all, else aiobotocore, whose import costs half a second."""
    found = static_access(connection, os.environ)
    if found is not None:
        return found
    from transfer.stores.s3.botocore_access import BotocoreAccess

    return BotocoreAccess(connection, region_of(connection, os.environ))
