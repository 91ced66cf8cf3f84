"""An object to another key of the same store, which copies it by itself: no byte comes here.

What it costs. Up to 5 GiB one CopyObject, when a listing has told size and ETag and both ETags are the MD5 of the
content; else a HEAD of the source before it or after it, and a HEAD of the copy when the answer does not prove it.
Larger objects: a HEAD, a request for the tags, and an upload of which the store copies each part (`part_copy`).

What is proved is that the store keeps the same checksum, or the same MD5 in the ETag, for both. A copy that turns out
to be wrong is reported and left where it is: what it may have replaced is gone either way, and it is evidence.

Archived objects that are not restored, and objects that change while they are copied, fail with a line that says so.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from transfer.engine.attempts import Tally
from transfer.engine.context import Context
from transfer.engine.copied_properties import headers_of_copy
from transfer.engine.fingerprints import finished_object
from transfer.engine.items import CopyItem
from transfer.engine.job import Job
from transfer.engine.part_copy import PartCopy
from transfer.engine.uploading import Proof
from transfer.integrity.copy_proof import (
    NOTHING_KNOWN,
    Agreement,
    agree,
    agree_by_checksum,
    agree_by_etag,
    is_comparable,
)
from transfer.model.checksums import ChecksumType, VerifiedBy
from transfer.model.errors import ChecksumMismatchError, StoreError
from transfer.model.locations import S3Location
from transfer.model.objects import ObjectInfo
from transfer.model.options import TransferOptions
from transfer.model.receipts import Mover, Receipt
from transfer.plan.content_types import guess_content_type
from transfer.plan.copying import check_not_onto_itself, replaces_metadata, replaces_tags
from transfer.plan.keys import is_folder_marker
from transfer.plan.parts import MAX_SINGLE_PUT_BYTES
from transfer.plan.remedies import remedy_of
from transfer.stores.s3 import copying
from transfer.stores.s3.copying import CopySource
from transfer.stores.s3.objects import Written, head_object, put_object
from transfer.stores.s3.properties import property_headers
from transfer.wire.flow import Flow

SINGLE_COPY_BYTES: Final = MAX_SINGLE_PUT_BYTES
"""Up to this size an object is copied by one request: it is the one way in which the store keeps all that belongs to
the object, and it copies whole stripes at once."""

_ABOUT_SOURCE: Final = frozenset(
    {"InvalidObjectState", "NoSuchKey", "NoSuchVersion", "ObjectNotInActiveTierError", "PreconditionFailed"}
)
"""Refusals of a copy that speak of its source, though the request names the destination."""
_DIRECTORY_BUCKET: Final = "--x-s3"
"""How the names of directory buckets end; their ETags look like an MD5 and are none (AWS: S3 Express One Zone)."""


async def copy_object(context: Context, job: Job, item: CopyItem) -> Receipt:
    """Copy one object inside the store; a copy in parts goes on from where an earlier run was stopped.

    Raises:
        HeldError: Another process copies it.
        UsageError: It would be copied onto itself, or no part size fits it.
        ChecksumMismatchError: The copy is not what its source is; it stays where it is.
        TransferError: What the store or the connection said; PreconditionFailed when the source changed meanwhile.
    """
    started_seconds = time.monotonic()
    tally = Tally()
    copy = _Copy(context, job, item, tally)
    proof = await copy.run()
    return Receipt(
        source=str(item.source),
        destination=str(item.destination),
        size=copy.size,
        etag=proof.etag,
        version_id=proof.version_id,
        checksum=proof.checksum,
        verified_by=proof.verified_by,
        seconds=time.monotonic() - started_seconds,
        retries=tally.retries,
        mover=Mover.SERVER,
        resumed_bytes=copy.resumed_bytes,
        tags_unread=copy.tags_unread,
    )


def directive_headers(options: TransferOptions, destination: S3Location) -> dict[str, str]:
    """What a CopyObject is told of the new object, lower-case names.

    Storage class, encryption and ACL are never those of the source: S3 takes what is given, or its defaults. A content
    type that replaces is guessed from the new name when none is given, as for uploads.
    """
    has_new_metadata = replaces_metadata(options)
    given = property_headers(
        options.properties, guess_content_type(destination.key) if has_new_metadata else None, None
    )
    headers = given if has_new_metadata else {name: value for name, value in given.items() if name.startswith("x-amz-")}
    if has_new_metadata:
        headers["x-amz-metadata-directive"] = "REPLACE"
    if replaces_tags(options):
        headers["x-amz-tagging-directive"] = "REPLACE"
    if options.checksum is not None and options.checksum.is_stored:
        headers["x-amz-checksum-algorithm"] = options.checksum.value.upper()
    return headers


class _Copy:
    """One object's copy: what is known of it, and the way it takes."""

    def __init__(self, context: Context, job: Job, item: CopyItem, tally: Tally) -> None:
        self._context = context
        self._job = job
        self._source = item.source
        self._destination = item.destination
        self._listed = item.listed
        self._info: ObjectInfo | None = None
        self._tally = tally
        self.size = item.listed.size if item.listed else 0
        self.resumed_bytes = 0
        self.tags_unread = False

    async def run(self) -> Proof:
        """Copy the object and find out what proves it."""
        check_not_onto_itself(self._context.options, self._source, self._destination)
        with self._naming_source():
            if self._must_look_first():
                await self._look_at_source()
            if self._info is not None and await self._goes_in_parts(self._info):
                return await self._in_parts(self._info)
            proof = await self._whole()
        if self._context.counts_as_finished(proof.verified_by) and not self.tags_unread:
            self._job.note_finished(str(self._destination), finished_object(self.size, self._etag), self.size)
        return proof

    @property
    def _etag(self) -> str:
        """That of the version that is copied."""
        if self._listed is not None:
            return self._listed.etag
        return self._info.etag if self._info else ""

    async def _look_at_source(self) -> ObjectInfo:
        """Ask what is known of the source; it must be what the listing told."""
        if self._info is None:
            self._info = await self._context.attempts.run(
                self._source, lambda _: head_object(self._context.store, self._source), self._tally
            )
            if self._listed is not None and self._info.etag != self._listed.etag:
                raise _changed(self._source)
            if self._listed is None:
                self.size = self._info.size
                self._context.progress.bytes_planned += self.size
        return self._info

    def _must_look_first(self) -> bool:
        """Whether the listing tells too little; what is copied onto itself cannot be looked at afterwards."""
        if self._listed is None or self._source == self._destination:
            return True
        return self._listed.size > SINGLE_COPY_BYTES or self._may_need_parts(self._listed.etag)

    def _may_need_parts(self, etag: str) -> bool:
        """Whether a copy in one piece may leave nothing to compare, while a proof is asked for."""
        return self._context.options.require_verified and "-" in etag

    async def _goes_in_parts(self, info: ObjectInfo) -> bool:
        if info.size > SINGLE_COPY_BYTES:
            return True
        if not self._may_need_parts(info.etag) or is_comparable(info):
            return False
        return await self._part_copy(info).keeps_parts()

    def _part_copy(self, info: ObjectInfo) -> PartCopy:
        return PartCopy(self._context, self._job, self._source, self._destination, info, self._tally)

    async def _in_parts(self, info: ObjectInfo) -> Proof:
        parts = self._part_copy(info)
        try:
            return await parts.run(self._prove)
        finally:
            self.resumed_bytes, self.tags_unread = parts.resumed_bytes, parts.tags_unread

    async def _whole(self) -> Proof:
        source = CopySource(self._source, self._etag)
        headers = directive_headers(self._context.options, self._destination)
        requests = 0

        async def copy(flow: Flow) -> Written:
            nonlocal requests
            requests += 1
            written = await copying.copy_object(self._context.store, source, self._destination, headers)
            flow.moved(self.size)
            return written

        try:
            written = await self._context.attempts.run(self._destination, copy, self._tally)
        except StoreError as error:
            if error.status == 404 and is_folder_marker(self._source.key, self.size):
                written = await self._write_marker()
            elif error.status == 412 and requests > 1 and self._source == self._destination:
                written = await self._written_unheard(error)
            else:
                raise
        return await self._prove(Proof(None, VerifiedBy.UNVERIFIED, written.etag, written.version_id), written)

    async def _written_unheard(self, refused: StoreError) -> Written:
        """An object copied onto itself by a request whose answer was lost: the next one finds another ETag.

        Raises:
            StoreError: As refused, when the object is not provably the one that was copied.
        """
        found = await self._context.attempts.run(
            self._destination, lambda _: head_object(self._context.store, self._destination), self._tally
        )
        before = await self._look_at_source()
        try:
            proof = agree(before, found, etags_are_md5=not self._is_directory_bucket()).verified_by
        except ChecksumMismatchError:
            raise refused from None
        if proof is VerifiedBy.UNVERIFIED:
            raise refused
        return Written(found.etag, found.version_id, found.checksums)

    async def _write_marker(self) -> Written:
        """Write the empty object that stands for a folder: SeaweedFS lists such objects and does not find them."""
        info = await self._look_at_source()
        headers = await headers_of_copy(self._context, self._source, self._destination, info, self._tally)
        self.tags_unread = headers.tags_unread
        return await self._context.attempts.run(
            self._destination,
            lambda flow: put_object(self._context.store, self._destination, b"", headers.values, flow),
            self._tally,
        )

    async def _prove(self, proof: Proof, written: Written | None) -> Proof:
        """Say what proves the copy.

        Args:
            proof: What is known of it; its checksum is what the store computed of the parts, if anything.
            written: The answer to a copy in one piece.
        """
        try:
            found = await self._compare(proof, written)
        except ChecksumMismatchError as error:
            error.subject = str(self._destination)
            raise
        return Proof(found.checksum, found.verified_by, proof.etag, proof.version_id)

    async def _compare(self, proof: Proof, written: Written | None) -> Agreement:
        if written is not None:
            found = agree_by_etag(self._etag, written.etag)
            if found.verified_by is not VerifiedBy.UNVERIFIED:
                return found
        info = await self._look_at_source()
        told = written.checksums if written is not None else (proof.checksum,) if proof.checksum else ()
        if written is not None or proof.verified_by is VerifiedBy.FULL_OBJECT:
            found = agree_by_checksum(info, tuple(one for one in told if one.type is ChecksumType.FULL_OBJECT))
            if found.verified_by is not VerifiedBy.UNVERIFIED:
                return found
        copied = await self._look_at_copy(proof.etag)
        if copied is None:
            return NOTHING_KNOWN
        return agree(info, copied, etags_are_md5=not self._is_directory_bucket())

    async def _look_at_copy(self, etag: str) -> ObjectInfo | None:
        """The copy as the store tells it; None when somebody has put another object in its place."""
        try:
            info = await self._context.attempts.run(
                self._destination, lambda _: head_object(self._context.store, self._destination, etag), self._tally
            )
        except StoreError as error:
            if error.status == 412:
                return None
            raise
        return info if info.etag == etag else None

    def _is_directory_bucket(self) -> bool:
        return any(place.bucket.endswith(_DIRECTORY_BUCKET) for place in (self._source, self._destination))

    @contextmanager
    def _naming_source(self) -> Iterator[None]:
        """Name the source in refusals that speak of it."""
        try:
            yield
        except StoreError as error:
            if error.code in _ABOUT_SOURCE:
                error.subject = str(self._source)
            raise


def _changed(source: S3Location) -> StoreError:
    error = StoreError(
        "the object changed while it was copied", status=412, code="PreconditionFailed", subject=str(source)
    )
    error.remedy = remedy_of(error)
    return error
