"""The door of the package: one object that moves, lists and removes, for Python programs and the command line alike."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, suppress
from os import PathLike, fspath
from typing import TYPE_CHECKING, Final, Self

import anyio
from anyio.abc import TaskGroup

from transfer.engine.attempts import Attempts, Tally
from transfer.engine.context import Context
from transfer.engine.copying import RunEndedError, copy_items
from transfer.engine.jobs import open_job
from transfer.engine.lanes import Lanes
from transfer.engine.limiter import BandwidthLimiter
from transfer.engine.listing import list_location, list_pages
from transfer.engine.outcomes import Deliver, OutcomeStream
from transfer.engine.planning import CopyRequest, check_request
from transfer.engine.reading import read_object
from transfer.engine.removal import Batch, check_removal, plan_removal, remove_batch, remove_one
from transfer.engine.spread import spread
from transfer.engine.threads import Threads
from transfer.engine.unfinished_uploads import abort, abort_pending, all_parts, check_abort, list_pending
from transfer.model.errors import StoreError, UsageError
from transfer.model.events import EventSink, Warned, ignore_event
from transfer.model.locations import S3Location, parse_s3_location
from transfer.model.objects import BucketEntry, CommonPrefix, ListedObject, ObjectInfo
from transfer.model.options import ConnectionOptions, TransferOptions
from transfer.model.progress import Progress
from transfer.model.receipts import Failure, Outcome, Receipt, Skip
from transfer.plan.governor import DEFAULT_INITIAL, Governor
from transfer.plan.parts import check_part_size
from transfer.plan.remedies import remedy_of
from transfer.stores.s3.access import Access
from transfer.stores.s3.multipart import MultipartUpload
from transfer.stores.s3.objects import head_object
from transfer.stores.s3.properties import property_headers
from transfer.stores.s3.static_access import region_of, static_access
from transfer.stores.s3.store import S3Store
from transfer.wire.dial import Dialer
from transfer.wire.pool import ConnectionPool

if TYPE_CHECKING:
    from transfer.journal.journal import Journal
    from transfer.stores.s3.botocore_access import BotocoreAccess
    from transfer.stores.s3.xml import PendingUpload, UploadedPart

StrPath = str | PathLike[str]
"""A local path, or a location written as text."""


class Transfer:
    """Moves bytes between local disks and an object store. Use it as an async context manager.

    It needs an event loop that watches sockets: any on POSIX, asyncio's selector event loop on Windows.

    Example:
        async with Transfer(endpoint_url="http://127.0.0.1:9000") as transfer:
            receipt = await transfer.copy("movie.mov", "s3://videos/movie.mov")
    """

    def __init__(
        self,
        *,
        endpoint_url: str | None = None,
        profile: str | None = None,
        region: str | None = None,
        connection: ConnectionOptions | None = None,
        options: TransferOptions | None = None,
        on_event: EventSink = ignore_event,
    ) -> None:
        """Choose a store and how to move; nothing is opened before the context is entered.

        Args:
            endpoint_url: The server; None for what the environment, the profile or AWS say.
            profile: A profile of the AWS configuration files.
            region: The region to sign for.
            connection: All of the above and more at once; wins over them.
            options: How to move; the defaults need no tuning.
            on_event: Told of retries, warnings and changes of concurrency, in the event loop; must not block.

        Raises:
            UsageError: An option is out of bounds.
        """
        self._connection: Final = connection or ConnectionOptions(endpoint_url, profile, region)
        self._options: Final = options or TransferOptions()
        self._on_event: Final = on_event
        self.progress: Final = Progress()
        self._stack = AsyncExitStack()
        self._context: Context | None = None
        self._tasks: TaskGroup | None = None
        self._access: Access | None = None
        self._journal: Journal | None = None
        _check(self._options, self._connection)

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            dialer = Dialer(
                verify_tls=self._connection.verify_tls,
                ca_bundle=self._connection.ca_bundle or os.environ.get("AWS_CA_BUNDLE"),
                stall_seconds=self._connection.stall_seconds,
            )
            pool = await stack.enter_async_context(ConnectionPool(dialer))
            self._access = _access(self._connection)
            stack.push_async_callback(self._access.aclose)
            store = S3Store(self._access, pool)
            lanes = Lanes(_governor(self._options), self._on_event)
            lanes.start()
            stack.callback(lanes.stop)
            rate = self._options.limit_rate_bytes_per_second
            attempts = Attempts(
                store,
                lanes,
                self.progress,
                self._on_event,
                retries=self._options.retries,
                limiter=BandwidthLimiter(rate) if rate is not None else None,
            )
            self._journal = _journal(self._options, self._on_event)
            if self._journal is not None:
                stack.push_async_callback(_close, self._journal)
            self._context = Context(store, attempts, lanes, Threads(), self.progress, self._on_event, self._options)
            self._tasks = await stack.enter_async_context(anyio.create_task_group())
            stack.callback(self._tasks.cancel_scope.cancel)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Cancel what is still going on, clean up and close every connection."""
        self._context = None
        self._tasks = None
        await self._stack.aclose()

    async def copy(self, source: StrPath, destination: StrPath) -> Receipt:
        """Move one file or object.

        Args:
            source: A local path, `s3://bucket/key`, or `-` for standard input. Wildcards mean themselves.
            destination: The same; a folder (existing, or ending in a slash) keeps the source's name.

        Returns:
            The proof of what was moved.

        Raises:
            TransferError: It could not be moved; nothing is left under the final name.
        """
        async with aclosing(self.copy_many([fspath(source)], fspath(destination), raw=True)) as outcomes:
            found = [outcome async for outcome in outcomes]
        return _receipt_of(found[0])

    async def copy_tree(self, source: StrPath, destination: StrPath) -> AsyncIterator[Receipt]:
        """Move a folder or all objects below a prefix; receipts come as items finish.

        What is left out, such as a link that leads nowhere, is told to `on_event` as `Warned`.

        Raises:
            TransferError: The first failure, after all other items were moved.
        """
        failure: Failure | None = None
        outcomes = self.copy_many([fspath(source)], fspath(destination), recursive=True, raw=True)
        try:
            async for outcome in outcomes:
                if isinstance(outcome, Receipt):
                    yield outcome
                elif isinstance(outcome, Failure):
                    failure = failure or outcome
                elif isinstance(outcome, Skip):
                    self._on_event(Warned(f"{outcome.source}: skipped: {outcome.reason}"))
        finally:
            await outcomes.aclose()
        if failure is not None:
            raise failure.error

    def copy_many(
        self, sources: Sequence[str], destination: str, *, recursive: bool = False, raw: bool = False
    ) -> OutcomeStream[Outcome]:
        """Move what several sources mean, as the command line does.

        Args:
            sources: Local paths or patterns, `s3://` keys, prefixes or patterns, or `-`.
            destination: Where to.
            recursive: Folders and prefixes are moved with all that is below them.
            raw: Wildcard characters mean themselves. Also without it, a local path or a key with no wildcard but `[`
                that exists under that very name is taken as it is.

        Returns:
            Outcomes as items settle: receipts, failures and skips. Closing it stops the work.

        Raises:
            UsageError: The request makes no sense; raised before anything moves.
            LocalFileError: A local source does not exist.
        """
        request = check_request(sources, destination, recursive=recursive, raw=raw)
        context = self._running()
        return self._stream(lambda deliver: _copy(context, self._journal, request, deliver))

    def hurry(self) -> None:
        """The run is about to be closed before its end, and somebody waits: hold nothing up for what can be left out.

        What a later run needs is still kept, unless another process keeps the journal busy.
        """
        if self._journal is not None:
            self._journal.hurry()

    async def cat(self, url: str, write: Callable[[memoryview], object]) -> Receipt:
        """Write an object's bytes in order.

        Args:
            url: `s3://bucket/key`.
            write: Takes each run of bytes; called in a worker thread.

        Raises:
            TransferError: It could not be read, or what was written is not what the store keeps a checksum of.
        """
        location = _key_location(url)
        return await read_object(self._running(), location, write)

    async def stat(self, url: str) -> ObjectInfo:
        """What the store knows of one object.

        Raises:
            TransferError: There is none, or the store refused.
        """
        context, location = self._running(), _key_location(url)
        return await context.attempts.run(location, lambda _: head_object(context.store, location), Tally())

    def list_objects(
        self, url: str, *, recursive: bool = False, raw: bool = False
    ) -> AsyncIterator[ListedObject | CommonPrefix]:
        """The entries that start with a location's key, or match it as a pattern, in the store's order.

        Args:
            url: `s3://bucket`, a prefix or a pattern in it.
            recursive: All keys below, not folded at the next slash.
            raw: Wildcard characters mean themselves.

        Raises:
            UsageError: The location is not in a bucket.
            TransferError: The store refused; raised while iterating.
        """
        return list_location(self._running(), parse_s3_location(url), recursive=recursive, raw=raw)

    async def list_buckets(self) -> tuple[BucketEntry, ...]:
        """The buckets of the account.

        Raises:
            TransferError: The store refused.
        """
        from transfer.stores.s3 import buckets

        async with self._administration() as access:
            return await buckets.list_buckets(access)

    def remove_many(self, urls: Sequence[str], *, recursive: bool = False, raw: bool = False) -> OutcomeStream[Outcome]:
        """Remove objects.

        Args:
            urls: `s3://` keys, patterns, or with `recursive` prefixes.
            recursive: All objects below each are removed.
            raw: Wildcard characters mean themselves. Also without it, a key with no wildcard but `[` that exists is
                taken as it is.

        Returns:
            Removals and failures as they happen. Closing it stops the work.

        Raises:
            UsageError: A location makes no sense; raised before anything is removed.
        """
        locations = check_removal(urls, recursive=recursive, raw=raw)
        context = self._running()
        return self._stream(lambda deliver: _remove(context, locations, recursive, raw, deliver))

    def list_uploads(self, url: str) -> AsyncIterator[PendingUpload]:
        """The unfinished multipart uploads to keys that start with a location's.

        Raises:
            UsageError: The location is not in a bucket.
            TransferError: The store refused; raised while iterating.
        """
        return list_pending(self._running(), parse_s3_location(url))

    async def list_parts(self, url: str, upload_id: str) -> tuple[UploadedPart, ...]:
        """The parts that the store holds for an unfinished upload.

        Raises:
            TransferError: The store refused; NoSuchUpload when it has ended.
        """
        return await all_parts(self._running(), MultipartUpload(parse_s3_location(url), upload_id), Tally())

    async def abort_upload(self, url: str, upload_id: str) -> bool:
        """Abort one unfinished upload; whether it was there.

        Raises:
            TransferError: The store refused.
        """
        return await abort(self._running(), MultipartUpload(parse_s3_location(url), upload_id), Tally())

    def abort_uploads(
        self, urls: Sequence[str], *, older_than_seconds: float | None = None, dry_run: bool = False
    ) -> OutcomeStream[Outcome]:
        """Abort unfinished multipart uploads and free their parts.

        Args:
            urls: Buckets, or prefixes of keys.
            older_than_seconds: Only those begun so long ago; None for all, also those still being sent.
            dry_run: Only tell which.

        Raises:
            UsageError: A location makes no sense; raised before anything is aborted.
        """
        locations = check_abort(urls)
        context = self._running()
        return self._stream(lambda deliver: abort_pending(context, locations, older_than_seconds, dry_run, deliver))

    async def address_of(self, bucket: str) -> str:
        """Where a bucket is, as a URL.

        Raises:
            ConfigurationError: No such place can be named.
        """
        return await self._running().store.address_of(bucket)

    async def make_bucket(self, bucket: str) -> None:
        """Make a bucket in the region of the run.

        Raises:
            TransferError: The name is taken or not allowed.
        """
        from transfer.stores.s3 import buckets

        async with self._administration() as access:
            await buckets.make_bucket(access, bucket)

    async def remove_bucket(self, bucket: str) -> None:
        """Remove an empty bucket.

        Raises:
            TransferError: It is not empty, or does not exist.
        """
        from transfer.stores.s3 import buckets

        context = self._running()
        # Some stores remove a bucket with all that is in it: the promise is ours to keep.
        async for page in list_pages(context, bucket, "", page_keys=1):
            if page.objects:
                raise _bucket_not_empty(bucket)
            break
        async with self._administration() as access:
            await buckets.remove_bucket(access, bucket)

    def _running(self) -> Context:
        if self._context is None:
            raise RuntimeError("enter the context first: async with Transfer() as transfer")
        return self._context

    def _stream(self, work: Callable[[Deliver[Outcome]], Awaitable[None]]) -> OutcomeStream[Outcome]:
        if self._tasks is None:
            raise RuntimeError("enter the context first: async with Transfer() as transfer")
        return OutcomeStream(self._tasks, work)

    @asynccontextmanager
    async def _administration(self) -> AsyncIterator[BotocoreAccess]:
        """The access of aiobotocore, also when the hot requests do without it."""
        self._running()
        from transfer.stores.s3.botocore_access import BotocoreAccess

        if isinstance(self._access, BotocoreAccess):
            yield self._access
            return
        access = BotocoreAccess(self._connection, region_of(self._connection, os.environ))
        try:
            yield access
        finally:
            await access.aclose()


def _access(connection: ConnectionOptions) -> Access:
    """The short way when the environment says it all, else aiobotocore, whose import costs half a second."""
    found = static_access(connection, os.environ)
    if found is not None:
        return found
    from transfer.stores.s3.botocore_access import BotocoreAccess

    return BotocoreAccess(connection, region_of(connection, os.environ))


def _journal(options: TransferOptions, on_event: EventSink) -> Journal | None:
    """The journal, which opens nothing before there is something to remember."""
    if not options.resume:
        return None
    from transfer.engine.state import state_folder
    from transfer.journal.journal import Journal

    return Journal(state_folder(options.state_folder), lambda message: on_event(Warned(message)))


async def _close(journal: Journal) -> None:
    with anyio.CancelScope(shield=True):
        await journal.aclose()


def _governor(options: TransferOptions) -> Governor:
    return Governor(DEFAULT_INITIAL) if options.concurrency is None else Governor.fixed(options.concurrency)


def _bucket_not_empty(bucket: str) -> StoreError:
    error = StoreError("the bucket is not empty", status=409, code="BucketNotEmpty", subject=str(S3Location(bucket)))
    error.remedy = remedy_of(error)
    return error


def _check(options: TransferOptions, connection: ConnectionOptions) -> None:
    """Refuse what no run could work with, before one begins.

    Raises:
        UsageError: It names the option.
    """
    if options.concurrency is not None and options.concurrency < 1:
        raise UsageError("at least one request must be in flight", subject="--concurrency", remedy="write 1 or more")
    if options.retries is not None and options.retries < 0:
        raise UsageError("it cannot be negative", subject="--retries", remedy="write 0 or more")
    if options.limit_rate_bytes_per_second is not None and options.limit_rate_bytes_per_second <= 0:
        raise UsageError("the rate must be above zero", subject="--limit-rate", remedy="write a rate such as 50M")
    if connection.stall_seconds <= 0:
        raise UsageError("it must be above zero", subject="--stall-timeout", remedy="write seconds, such as 30")
    if options.part_size_bytes is not None:
        check_part_size(options.part_size_bytes)
    property_headers(options.properties, None, None)


async def _copy(context: Context, journal: Journal | None, request: CopyRequest, deliver: Deliver[Outcome]) -> None:
    """Copy; a failure that ends the run has been delivered as its item's outcome, so it ends quietly."""
    with suppress(RunEndedError):
        await copy_items(context, await open_job(context, journal, request), request, deliver)


async def _remove(
    context: Context, locations: Sequence[S3Location], recursive: bool, raw: bool, deliver: Deliver[Outcome]
) -> None:
    async def remove(found: Batch | S3Location) -> None:
        if isinstance(found, S3Location):
            await deliver(await remove_one(context, found))
            return
        for outcome in await remove_batch(context, found):
            await deliver(outcome)

    planned = plan_removal(context, locations, recursive=recursive, raw=raw)
    await spread(planned, remove, lambda workers: workers < context.lanes.limit)


def _key_location(url: str) -> S3Location:
    location = parse_s3_location(url)
    if location.is_folder_like:
        raise UsageError(
            "it is a folder, not an object", subject=url, remedy="name a key, or list it with: transfer ls"
        )
    return location


def _receipt_of(outcome: Outcome) -> Receipt:
    if isinstance(outcome, Failure):
        raise outcome.error
    if isinstance(outcome, Receipt):
        return outcome
    raise UsageError("it was left out", subject=outcome.source)
