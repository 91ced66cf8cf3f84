"""Uploads that nobody has finished: finding them, looking into them, and giving them up.

Nothing is aborted that was not listed below a named location, and nothing is called aborted that the store still lists.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Final, TypeAlias

from transfer.engine.attempts import Tally
from transfer.engine.context import Context
from transfer.engine.outcomes import Deliver
from transfer.engine.spread import spread
from transfer.model.errors import ProtocolError, StoreError, TransferError, UsageError
from transfer.model.events import Warned
from transfer.model.locations import S3Location, has_wildcard, parse_s3_location
from transfer.model.receipts import Failure, Outcome, Skip, UploadAbort
from transfer.model.values import dataclass
from transfer.stores.s3.multipart import MultipartUpload, abort_upload
from transfer.stores.s3.uploads import list_parts, list_uploads
from transfer.stores.s3.xml import PartsPage, PendingUpload, UploadedPart, UploadsPage
from transfer.wire.flow import Flow

_Markers: TypeAlias = tuple[str | None, str | None]

_GONE: Final = "NoSuchUpload"
_REPLACED: Final = "\N{REPLACEMENT CHARACTER}"
"""What stores written in Go put in the place of a character that XML does not carry."""


@dataclass(frozen=True, slots=True)
class _Found:
    """An upload as it was listed."""

    upload: MultipartUpload
    initiated_seconds: float

    def aborted(self, *, is_dry_run: bool = False) -> UploadAbort:
        return UploadAbort(str(self.upload.location), self.upload.upload_id, self.initiated_seconds, is_dry_run)


async def all_parts(context: Context, upload: MultipartUpload, tally: Tally) -> tuple[UploadedPart, ...]:
    """Every part that the store holds for an upload, in the store's order.

    SeaweedFS keeps a part that was sent again beside the one that replaced it, so a number may be there twice: which of
    them counts is told by the ETag.

    Raises:
        ProtocolError: The store's list of parts does not advance.
        StoreError: The store refused; NoSuchUpload when the upload was completed or aborted.
        WireError: The conversation failed.
    """
    marker = 0
    found: list[UploadedPart] = []
    while True:
        page = await _fetch_parts(context, upload, marker, tally)
        found += page.parts
        if page.next_marker is None:
            return tuple(found)
        if page.next_marker <= marker:
            raise ProtocolError("the list of parts does not advance", subject=str(upload.location))
        marker = page.next_marker


async def list_pending(context: Context, location: S3Location) -> AsyncIterator[PendingUpload]:
    """Every unfinished upload to a key that starts with the location's, in the store's order.

    Raises:
        ProtocolError: The store's list does not advance.
        StoreError: The store refused.
        WireError: The conversation failed.
    """
    async for page in _pages_below(context, location):
        for upload in page.uploads:
            yield upload


async def list_uploads_of(context: Context, location: S3Location) -> AsyncIterator[UploadsPage]:
    """Pages of the unfinished uploads to a key, with the store's clock; those to longer keys may be among them.

    Raises:
        ProtocolError: The store's list does not advance.
        StoreError: The store refused.
        WireError: The conversation failed.
    """
    async for page in _pages(context, location.bucket, location.key):
        yield page


async def abort(context: Context, upload: MultipartUpload, tally: Tally) -> bool:
    """Give one upload up and free its parts.

    Returns:
        Whether the store knew it. If not, it was completed or aborted before; an abort whose answer was lost, too.

    Raises:
        StoreError: The store refused otherwise.
        WireError: The conversation failed.
    """
    try:
        await context.attempts.run(upload.location, lambda _: abort_upload(context.store, upload), tally)
    except StoreError as error:
        if error.code != _GONE:
            raise
        return False
    return True


def check_abort(urls: Sequence[str]) -> tuple[S3Location, ...]:
    """Read below which locations uploads are to be aborted; those that lie below another one are left out.

    Raises:
        UsageError: There is none, or one is not in a bucket.
    """
    if not urls:
        raise UsageError("nothing is named to be aborted", remedy="write s3://bucket or s3://bucket/prefix")
    locations = tuple(dict.fromkeys(parse_s3_location(url) for url in urls))
    return tuple(
        inner
        for inner in locations
        if not any(
            outer != inner and outer.bucket == inner.bucket and inner.key.startswith(outer.key) for outer in locations
        )
    )


async def abort_pending(
    context: Context,
    locations: Sequence[S3Location],
    older_than_seconds: float | None,
    dry_run: bool,
    deliver: Deliver[Outcome],
) -> None:
    """Give up the unfinished uploads below some locations.

    Args:
        context: The run.
        locations: Uploads to keys that start with theirs are meant.
        older_than_seconds: Only those that were begun so long ago by the store's clock; None for all, also those that
            other programs are still sending.
        dry_run: Only tell which.
        deliver: Takes what became of each one that is old enough: an abort, a failure, or a skip when nobody knows its
            age.

    Raises:
        TransferError: A list could not be fetched, or every other abort would fail as one did.
    """
    sweep = _Sweep(context, older_than_seconds, dry_run, deliver)
    await spread(sweep.find(locations), sweep.give_up, lambda workers: workers < context.lanes.limit)
    await sweep.settle(locations)


class _Sweep:
    """One run over what is pending.

    A store that answers NoSuchUpload may mean that the upload is gone, or that it knows it by another key than it
    listed. Such answers are put aside, and the list is asked once more at the end.
    """

    def __init__(
        self, context: Context, older_than_seconds: float | None, dry_run: bool, deliver: Deliver[Outcome]
    ) -> None:
        self._context: Final = context
        self._older_than_seconds: Final = older_than_seconds
        self._dry_run: Final = dry_run
        self._deliver: Final = deliver
        self._unknown: Final[dict[MultipartUpload, _Found]] = {}

    async def find(self, locations: Sequence[S3Location]) -> AsyncIterator[_Found]:
        """The uploads that are old enough."""
        for location in locations:
            async for page in _pages_below(self._context, location):
                now_seconds = time.time() if page.answered_seconds is None else page.answered_seconds
                for pending in page.uploads:
                    upload = MultipartUpload(location.with_key(pending.key), pending.upload_id)
                    if await self._is_meant(upload, pending.initiated_seconds, now_seconds):
                        yield _Found(upload, pending.initiated_seconds)

    async def give_up(self, found: _Found) -> None:
        """Abort one, or tell that it would be."""
        if self._dry_run:
            await self._deliver(found.aborted(is_dry_run=True))
            return
        try:
            was_known = await abort(self._context, found.upload, Tally())
        except TransferError as error:
            if self._context.attempts.ends_run(error):
                raise
            await self._deliver(Failure(str(found.upload.location), "", error))
            return
        if was_known:
            await self._deliver(found.aborted())
        else:
            self._unknown[found.upload] = found

    async def settle(self, locations: Sequence[S3Location]) -> None:
        """Tell which of the uploads that the store did not know are gone and which are still listed."""
        if not self._unknown:
            return
        for location in locations:
            async for pending in list_pending(self._context, location):
                upload = MultipartUpload(location.with_key(pending.key), pending.upload_id)
                if self._unknown.pop(upload, None) is not None:
                    await self._deliver(Failure(str(upload.location), "", _still_listed(upload)))
        for found in self._unknown.values():
            await self._deliver(found.aborted())

    async def _is_meant(self, upload: MultipartUpload, initiated_seconds: float, now_seconds: float) -> bool:
        if self._older_than_seconds is None:
            return True
        if not initiated_seconds:
            reason = f"the store does not say when the upload {upload.upload_id} was begun"
            await self._deliver(Skip(str(upload.location), reason))
            return False
        return now_seconds - initiated_seconds >= self._older_than_seconds


async def _pages_below(context: Context, location: S3Location) -> AsyncIterator[UploadsPage]:
    """The pages of uploads whose keys start with the location's, whatever the store makes of a prefix."""
    prefix = location.key
    is_empty, is_taken_for_a_prefix = True, not prefix
    async for page in _pages(context, location.bucket, prefix):
        below = tuple(upload for upload in page.uploads if upload.key.startswith(prefix))
        is_empty = is_empty and not below
        is_taken_for_a_prefix = is_taken_for_a_prefix or any(upload.key != prefix for upload in below)
        yield replace(page, uploads=below)
    if not is_taken_for_a_prefix:
        async for page in _longer_keys(context, location):
            is_empty = is_empty and not page.uploads
            yield page
    if is_empty and has_wildcard(prefix):
        context.on_event(Warned(f"{location}: no unfinished upload starts with this; *, ? and [ mean themselves here"))


async def _longer_keys(context: Context, location: S3Location) -> AsyncIterator[UploadsPage]:
    """The same without the key itself, out of all uploads of the bucket: MinIO takes the prefix for a whole key.

    Who may see that prefix only gets no more than the store told about it.
    """
    try:
        async for page in _pages(context, location.bucket, ""):
            longer = [
                upload for upload in page.uploads if upload.key != location.key and upload.key.startswith(location.key)
            ]
            yield replace(page, uploads=tuple(longer))
    except StoreError as error:
        if error.status != 403:
            raise


async def _pages(context: Context, bucket: str, prefix: str) -> AsyncIterator[UploadsPage]:
    """All pages under a prefix.

    Each is handed out when the next one has arrived, which is asked for by the last upload of this one: some stores
    look that upload up, and the caller may be about to abort it.
    """
    asked: _Markers = (None, None)
    held: UploadsPage | None = None
    while True:
        page = await _fetch_page(context, S3Location(bucket, prefix), asked)
        if held is not None:
            yield held
        following = (page.next_key_marker, page.next_upload_id_marker)
        if following == (None, None):
            yield page
            return
        if following == asked:
            raise ProtocolError("the list of uploads does not advance", subject=str(S3Location(bucket, prefix)))
        asked, held = following, page


async def _fetch_page(context: Context, location: S3Location, markers: _Markers) -> UploadsPage:
    """Fetch a page with keys as they are, and once more encoded when they cannot be read so."""

    async def fetch(_: Flow) -> UploadsPage:
        try:
            page = await list_uploads(context.store, location.bucket, location.key, *markers, encoded=False)
        except ProtocolError:
            pass
        else:
            if not any(_REPLACED in upload.key for upload in page.uploads):
                return page
        return await list_uploads(context.store, location.bucket, location.key, *markers, encoded=True)

    return await context.attempts.run(location, fetch, Tally())


async def _fetch_parts(context: Context, upload: MultipartUpload, marker: int, tally: Tally) -> PartsPage:
    return await context.attempts.run(upload.location, lambda _: list_parts(context.store, upload, marker), tally)


def _still_listed(upload: MultipartUpload) -> StoreError:
    return StoreError(
        f"the store lists the upload {upload.upload_id} and does not find it",
        status=404,
        code=_GONE,
        subject=str(upload.location),
        remedy="the key may have characters that the store cannot list: abort it with the store's own tools",
    )
