"""The door of the package: one object that moves, lists and removes, for Python programs and the command line alike."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, aclosing, suppress
from dataclasses import replace
from os import PathLike, fspath
from typing import TYPE_CHECKING, Final, Self, TypeVar

from transfer.engine.attempts import Tally
from transfer.engine.context import Context
from transfer.engine.copy_request import CopyRequest, check_request
from transfer.engine.listing import list_pages
from transfer.engine.outcomes import Deliver, OutcomeStream
from transfer.engine.removal import check_removal, remove_all
from transfer.engine.second_store import check_second, is_second, join_if_same
from transfer.engine.session import Session, Wishes, administration, open_beside, open_session
from transfer.engine.sharing import shared_stores
from transfer.model.audits import Audit, Recorded
from transfer.model.errors import StoreError, TransferError, UsageError
from transfer.model.events import EventSink, Warned, ignore_event
from transfer.model.locations import S3Location, parse_s3_location
from transfer.model.objects import BucketEntry, CommonPrefix, ListedObject, ObjectInfo
from transfer.model.options import ConnectionOptions, TransferOptions
from transfer.model.progress import Progress
from transfer.model.receipts import Failure, Outcome, Receipt, Skip
from transfer.model.sync import SyncOptions
from transfer.plan.copying import check_directives
from transfer.plan.parts import check_part_size
from transfer.plan.remedies import remedy_of
from transfer.stores.s3.objects import head_object
from transfer.stores.s3.properties import property_headers
from transfer.system.forking import Forked

if TYPE_CHECKING:
    from transfer.engine.showing import EntryBatch
    from transfer.engine.sync_request import SyncRequest
    from transfer.model.bench import BenchNews, BenchOptions
    from transfer.stores.s3.xml import PendingUpload, UploadedPart

Settled = TypeVar("Settled")
StrPath = str | PathLike[str]
"""A local path, or a location written as text."""


class Transfer:
    """Moves bytes between local disks and an object store. Use it as an async context manager.

    It needs an event loop that watches sockets: any on POSIX, asyncio's selector event loop on Windows.

    Example:
        async with Transfer(endpoint_url="http://127.0.0.1:9000") as transfer:
            receipt = await transfer.copy("movie.mov", "s3://videos/movie.mov")
    """

    def __init__(  # noqa: PLR0913 - each is a choice of its own, given by name
        self,
        *,
        endpoint_url: str | None = None,
        profile: str | None = None,
        region: str | None = None,
        connection: ConnectionOptions | None = None,
        options: TransferOptions | None = None,
        on_event: EventSink = ignore_event,
        destination: ConnectionOptions | None = None,
        workers: Sequence[Forked] = (),
    ) -> None:
        """Choose a store and how to move; nothing is opened before the context is entered.

        Args:
            endpoint_url: The server; None for what the environment, the profile or AWS say.
            profile: A profile of the AWS configuration files.
            region: The region to sign for.
            connection: All of the above and more at once; wins over them.
            options: How to move; the defaults need no tuning.
            on_event: Told of retries, warnings and changes of concurrency, in the event loop; must not block.
            destination: Another store, to which copies from bucket to bucket go through this process; all else is
                done at the first one.
            workers: Processes of `transfer.engine.crew.hiring`, which the command line begins. They take part in one
                copy, move or sync, and end with the context.

        Raises:
            UsageError: An option is out of bounds.
        """
        self._connection: Final = connection or ConnectionOptions(endpoint_url, profile, region)
        self._options: Final = options or TransferOptions()
        self._on_event: Final = on_event
        self._workers: Final = workers
        self.progress: Final = Progress()
        self._stack = AsyncExitStack()
        self._session: Session | None = None
        self._destination: Final = destination if is_second(self._connection, destination) else None
        _check(self._options, self._connection)
        if self._destination is not None:
            _check(self._options, self._destination)

    async def __aenter__(self) -> Self:
        shared = shared_stores.get()
        wishes = Wishes(
            self._connection, self._destination, self._options, self.progress, self._on_event, self._workers
        )
        async with AsyncExitStack() as stack:
            if shared is None:
                self._session = await open_session(stack, wishes)
            else:
                first = await shared.opened(self._connection)
                second = None if self._destination is None else await shared.opened(self._destination)
                self._session = await open_beside(stack, first, wishes, second)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Cancel what is still going on, clean up and close every connection."""
        self._session = None
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
        self,
        sources: Sequence[str],
        destination: str,
        *,
        recursive: bool = False,
        raw: bool = False,
        dry_run: bool = False,
    ) -> OutcomeStream[Outcome]:
        """Move what several sources mean, as the command line does.

        Args:
            sources: Local paths or patterns, `s3://` keys, prefixes or patterns, or `-`.
            destination: Where to.
            recursive: Folders and prefixes are moved with all that is below them.
            raw: Wildcard characters mean themselves. Also without it, a local path or a key with no wildcard but `[`
                that exists under that very name is taken as it is.
            dry_run: Only tell what would be moved, as intents.

        Returns:
            Outcomes as items settle: receipts, failures and skips. Closing it stops the work.

        Raises:
            UsageError: The request makes no sense; raised before anything moves.
            LocalFileError: A local source does not exist.
        """
        request = check_request(sources, destination, recursive=recursive, raw=raw, filters=self._options.filters)
        check_second(request.sources, request.destination, self._connection, self._destination)
        request = replace(request, is_dry_run=dry_run)
        return self._stream(lambda session, deliver: _copy(session, request, deliver))

    def copy_listed(  # noqa: PLR0913 - what copies and moves are asked, by name
        self,
        file: str,
        destination: str,
        *,
        root: str | None = None,
        recursive: bool = False,
        raw: bool = False,
        moves: bool = False,
        removes_unverified: bool = False,
        dry_run: bool = False,
    ) -> OutcomeStream[Outcome]:
        """Copy or move what the lines of a file name, which is read as the work goes on.

        Args:
            file: Its path, or `-` for standard input.
            destination: A folder or a prefix, in which each keeps its name.
            root: The lines are names below this folder or prefix, and are kept whole.
            recursive: Lines may name folders and prefixes.
            raw: Wildcard characters mean themselves.
            moves: Remove each source when its copy is safe, as `move_many` does.
            removes_unverified: Also remove sources whose copies nothing could verify.
            dry_run: Only tell what would be done, as intents.

        Raises:
            UsageError: The combination makes no sense.
            LocalFileError: The file cannot be read.
        """
        from transfer.engine.listed_sources import check_listed

        request = check_listed(
            file,
            destination,
            root=root,
            recursive=recursive,
            raw=raw,
            filters=self._options.filters,
            moves=moves,
        )
        request = replace(request, removes_unverified=removes_unverified, is_dry_run=dry_run)
        check_second(request.sources[1:], request.destination, self._connection, self._destination)
        carry_out = _move if moves else _copy
        return self._stream(lambda session, deliver: carry_out(session, request, deliver))

    def remove_listed(
        self, file: str, *, recursive: bool = False, raw: bool = False, dry_run: bool = False
    ) -> OutcomeStream[Outcome]:
        """Remove the objects that the lines of a file name; one that does not exist is no failure.

        Args:
            file: Its path, or `-` for standard input.
            recursive: Lines may name prefixes.
            raw: Wildcard characters mean themselves.
            dry_run: Only tell which.
        """
        from transfer.engine.listed_removal import remove_listed

        return self._stream(
            lambda session, deliver: remove_listed(
                session.context, file, recursive=recursive, raw=raw, is_dry_run=dry_run, deliver=deliver
            )
        )

    async def copy_single(self, source: str, destination: str, command: tuple[str, ...]) -> Outcome | None:
        """Copy one file or object as `copy_many` does, with less ado; its failure is a value.

        Args:
            source: A local path or `s3://bucket/key`.
            destination: The same; a folder keeps the source's name.
            command: The command line that would repeat it, for the journal.

        Returns:
            What became of it; None when it may be many items or a stream, and nothing was done.

        Raises:
            TransferError: The request makes no sense, or its source does not exist.
        """
        from transfer.engine.single import copy_single, is_single

        request = check_request([source], destination, recursive=False, raw=False)
        session = self._opened()
        return await copy_single(session.context, session.journal, request, command) if is_single(request) else None

    def ends_all(self, error: TransferError) -> bool:
        """Whether every other request would fail in the same way, whatever the bucket."""
        return self._running().attempts.ends_all(error)

    def may_begin(self, items: int) -> bool:
        """Whether it is useful to begin one more item while so many are going on."""
        return self._running().may_add_item_worker(items)

    def move_many(
        self,
        sources: Sequence[str],
        destination: str,
        *,
        recursive: bool = False,
        raw: bool = False,
        removes_unverified: bool = False,
        dry_run: bool = False,
    ) -> OutcomeStream[Outcome]:
        """Move what several sources mean as `copy_many`, and remove each source when its copy is safe.

        A source is removed only while it is what was copied. One whose copy nothing could verify is kept: the receipts
        tell which sources are gone.

        Args:
            sources: Local paths or patterns, `s3://` keys, prefixes or patterns.
            destination: Where to.
            recursive: Folders and prefixes are moved with all that is below them; emptied folders stay.
            raw: Wildcard characters mean themselves.
            removes_unverified: Also remove sources whose copies nothing could verify.
            dry_run: Only tell what would be done, as intents.

        Raises:
            UsageError: The request makes no sense; raised before anything moves.
            LocalFileError: The one local source does not exist.
        """
        from transfer.engine.move_sources import check_move

        request = check_request(
            sources, destination, recursive=recursive, raw=raw, filters=self._options.filters, moves=True
        )
        check_move(request)
        check_second(request.sources, request.destination, self._connection, self._destination)
        request = replace(request, removes_unverified=removes_unverified, is_dry_run=dry_run)
        return self._stream(lambda session, deliver: _move(session, request, deliver))

    def sync(self, source: StrPath, destination: StrPath, options: SyncOptions | None = None) -> OutcomeStream[Outcome]:
        """Make one tree like another: copy what differs, and with `options.delete` remove what the source lacks.

        Args:
            source: A folder or `s3://bucket/prefix`, taken as a folder.
            destination: The same; a folder is made when it is missing.
            options: What counts as changed, what may be removed.

        Returns:
            Outcomes as items settle; items that are equal have none. Closing it stops the work.

        Raises:
            UsageError: The request makes no sense; raised before anything moves.
            LocalFileError: The source folder does not exist.
        """
        from transfer.engine.sync_request import check_sync

        request = check_sync(fspath(source), fspath(destination), options or SyncOptions())
        check_second((request.source,), request.destination, self._connection, self._destination)
        return self._stream(lambda session, deliver: _sync(session, request, deliver))

    def hurry(self) -> None:
        """The run is about to be closed before its end, and somebody waits: hold nothing up for what can be left out.

        What a later run needs is still kept, unless another process keeps the journal busy.
        """
        journal = self._opened().journal
        if journal is not None:
            journal.hurry()

    async def cat(self, url: str, write: Callable[[memoryview], object]) -> Receipt:
        """Write an object's bytes in order.

        Args:
            url: `s3://bucket/key`; wildcards mean themselves.
            write: Takes each run of bytes; called in a worker thread.

        Raises:
            TransferError: It could not be read, or what was written is not what the store keeps a checksum of.
        """
        from transfer.engine.reading import read_object

        location = _key_location(url)
        try:
            return await read_object(self._running(), location, write)
        except StoreError as error:
            from transfer.engine.missing_source import explain_pattern

            raise explain_pattern(location, error) from error.__cause__

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
            UsageError: The location is not in a bucket, or folders are to be filtered.
            TransferError: The store refused; raised while iterating.
        """
        from transfer.engine.showing import each_entry

        return each_entry(self.list_batches(url, recursive=recursive, raw=raw))

    def list_batches(self, url: str, *, recursive: bool = False, raw: bool = False) -> AsyncGenerator[EntryBatch, None]:
        """As `list_objects`, but up to a page of entries at once, which is faster."""
        from transfer.engine.showing import list_batches

        return list_batches(self._running(), parse_s3_location(url), recursive=recursive, raw=raw)

    async def list_buckets(self) -> tuple[BucketEntry, ...]:
        """The buckets of the account.

        Raises:
            TransferError: The store refused.
        """
        from transfer.stores.s3 import buckets

        async with administration(self._opened(), self._connection) as access:
            return await buckets.list_buckets(access)

    def remove_many(
        self, urls: Sequence[str], *, recursive: bool = False, raw: bool = False, dry_run: bool = False
    ) -> OutcomeStream[Outcome]:
        """Remove objects.

        Args:
            urls: `s3://` keys, patterns, or with `recursive` prefixes.
            recursive: All objects below each are removed.
            raw: Wildcard characters mean themselves. Also without it, a key with no wildcard but `[` that exists is
                taken as it is.
            dry_run: Only tell which.

        Returns:
            Removals and failures as they happen. Closing it stops the work.

        Raises:
            UsageError: A location makes no sense; raised before anything is removed.
        """
        locations = check_removal(urls, recursive=recursive, raw=raw, filters=self._options.filters)
        return self._stream(
            lambda session, deliver: remove_all(
                session.context, locations, recursive=recursive, raw=raw, is_dry_run=dry_run, deliver=deliver
            )
        )

    def verify(self, first: StrPath, second: StrPath) -> OutcomeStream[Audit]:
        """Compare what is in two places by the checksums that stores keep; no object is downloaded.

        Args:
            first: A file, a folder, `s3://bucket/key` or a prefix: what should be in the second place.
            second: The same; at least one of the two is in a bucket. A folder means a tree on both sides.

        Returns:
            A result for each name, as they are found out; what one side lacks comes last. Closing it stops the work.

        Raises:
            UsageError: The combination makes no sense; raised before anything is read.
            LocalFileError: A local path does not exist.
        """
        from transfer.engine.auditing import audit, check_audit

        filtered = not self._options.filters.is_open
        request = check_audit(fspath(first), fspath(second), is_filtered=filtered)
        check_second((request.first,), request.second, self._connection, self._destination)
        return self._stream(lambda session, deliver: audit(session.context, request, deliver))

    def verify_records(self, records: Iterable[Recorded]) -> OutcomeStream[Audit]:
        """Compare what is in places now with what was noted of them.

        Args:
            records: Iterated in worker threads; may block and raise.

        Returns:
            A result for each record, as they are found out. Closing it stops the work.
        """
        from transfer.engine.auditing import audit_records

        return self._stream(lambda session, deliver: audit_records(session.context, iter(records), deliver))

    def bench(
        self, url: str, options: BenchOptions | None = None, *, dry_run: bool = False
    ) -> OutcomeStream[BenchNews]:
        """Measure the store: requests of the kinds asked for, each made once and timed.

        Everything is written below a fresh prefix under `url` and removed at the end, also when the stream is closed.

        Args:
            url: A bucket, or a prefix in it.
            options: What to measure.
            dry_run: Only tell what it would write and ask for.

        Returns:
            What is about to be done, then a result for each step with news of how it goes in between, then what became
            of the objects. Closing it stops the work.

        Raises:
            UsageError: The options make no sense; raised before anything is asked.
            TransferError: The bucket cannot be used; raised while iterating.
        """
        from transfer.engine.bench.asking import check_bench
        from transfer.engine.bench.course import measure
        from transfer.model.bench import BenchOptions

        request = check_bench(url, options or BenchOptions())
        return self._stream(lambda session, deliver: measure(session.context, request, deliver, dry_run=dry_run))

    def list_uploads(self, url: str) -> AsyncIterator[PendingUpload]:
        """The unfinished multipart uploads to keys that start with a location's.

        Raises:
            UsageError: The location is not in a bucket.
            TransferError: The store refused; raised while iterating.
        """
        from transfer.engine.unfinished_uploads import list_pending

        return list_pending(self._running(), parse_s3_location(url))

    async def list_parts(self, url: str, upload_id: str) -> tuple[UploadedPart, ...]:
        """The parts that the store holds for an unfinished upload.

        Raises:
            TransferError: The store refused; NoSuchUpload when it has ended.
        """
        from transfer.engine.unfinished_uploads import all_parts
        from transfer.stores.s3.multipart import MultipartUpload

        return await all_parts(self._running(), MultipartUpload(parse_s3_location(url), upload_id), Tally())

    async def abort_upload(self, url: str, upload_id: str) -> bool:
        """Abort one unfinished upload; whether it was there.

        Raises:
            TransferError: The store refused.
        """
        from transfer.engine.unfinished_uploads import abort
        from transfer.stores.s3.multipart import MultipartUpload

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
        from transfer.engine.unfinished_uploads import abort_pending, check_abort

        locations = check_abort(urls)
        return self._stream(
            lambda session, deliver: abort_pending(session.context, locations, older_than_seconds, dry_run, deliver)
        )

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

        async with administration(self._opened(), self._connection) as access:
            await buckets.make_bucket(access, bucket)

    async def remove_bucket(self, bucket: str) -> None:
        """Remove an empty bucket.

        Raises:
            TransferError: It is not empty, or does not exist.
        """
        from transfer.stores.s3 import buckets

        # Some stores remove a bucket with all that is in it: the promise is ours to keep.
        async for page in list_pages(self._running(), bucket, "", page_keys=1):
            if page.objects:
                raise _bucket_not_empty(bucket)
        async with administration(self._opened(), self._connection) as access:
            await buckets.remove_bucket(access, bucket)

    def _running(self) -> Context:
        return self._opened().context

    def _opened(self) -> Session:
        if self._session is None:
            raise RuntimeError("enter the context first: async with Transfer() as transfer")
        return self._session

    def _stream(self, work: Callable[[Session, Deliver[Settled]], Awaitable[None]]) -> OutcomeStream[Settled]:
        session = self._opened()
        return OutcomeStream(session.tasks, lambda deliver: work(session, deliver))


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
    check_directives(options)


async def _copy(session: Session, request: CopyRequest, deliver: Deliver[Outcome]) -> None:
    """Copy; a failure that ends the run has been delivered as its item's outcome, so it ends quietly."""
    from transfer.engine.carrying import RunEndedError
    from transfer.engine.copying import copy_items
    from transfer.engine.jobs import open_job

    context = session.context
    with suppress(RunEndedError):
        await join_if_same(context, request.destination)
        if request.is_dry_run:
            await _tell(context, request, deliver)
            return
        await copy_items(context, await open_job(context, session.journal, request), request, deliver)


async def _move(session: Session, request: CopyRequest, deliver: Deliver[Outcome]) -> None:
    """As `_copy`."""
    from transfer.engine.carrying import RunEndedError
    from transfer.engine.jobs import open_job
    from transfer.engine.moving import move_items

    context = session.context
    with suppress(RunEndedError):
        await join_if_same(context, request.destination)
        if request.is_dry_run:
            await _tell(context, request, deliver)
            return
        await move_items(context, await open_job(context, session.journal, request), request, deliver)


async def _tell(context: Context, request: CopyRequest, deliver: Deliver[Outcome]) -> None:
    """Only tell, raises as `_copy`."""
    from transfer.engine.dry_run import tell_items

    await tell_items(context, request, deliver)


async def _sync(session: Session, request: SyncRequest, deliver: Deliver[Outcome]) -> None:
    """As `_copy`."""
    from transfer.engine.carrying import RunEndedError
    from transfer.engine.jobs import open_job
    from transfer.engine.sync_request import check_apart
    from transfer.engine.syncing import sync_trees

    context = session.context
    await join_if_same(context, request.destination)
    check_apart(request, is_one_store=context.destination is context)
    with suppress(RunEndedError):
        await sync_trees(context, await open_job(context, session.journal, request.copy), request, deliver)


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
