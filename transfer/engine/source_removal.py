"""Removing the source of a finished move: only what was copied, and only while it still is that.

It never decides whether a copy is good enough: that is `moving`'s.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Final

from transfer.engine.attempts import Tally
from transfer.engine.context import Context
from transfer.engine.listing import entries_of_keys
from transfer.model.errors import LocalFileError, SourceChangedError, StoreError, TransferError
from transfer.model.locations import S3Location
from transfer.model.values import dataclass
from transfer.plan.remedies import remedy_of
from transfer.stores.s3.listing import delete_objects
from transfer.stores.s3.objects import delete_object, head_object
from transfer.stores.s3.xml import split_deletable

_KNOWS_NO_CONDITION: Final = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_IMPLEMENTED})
"""Answers of stores that take no condition with a removal: then they are asked without it."""
_CHANGED_CODE: Final = "PreconditionFailed"


@dataclass(frozen=True, slots=True)
class FileSeen:
    """A source file as it was before it was copied; a link counts as what it leads to.

    Attributes:
        changed_ns: When its content or its properties changed, which no program can set; 0 where the system tells
            something else (Windows: when it was made).
        names: How many names it has. If several, removing one of the others sets `changed_ns` too.
    """

    device: int
    inode: int
    size: int
    mtime_ns: int
    changed_ns: int
    names: int

    @classmethod
    def of(cls, path: str) -> FileSeen:
        """Look at a file. Blocks.

        Raises:
            LocalFileError: It is not there or may not be looked at.
        """
        try:
            status = Path(path).stat()
        except OSError as error:
            raise LocalFileError.from_os_error(error, path) from error
        changed_ns = 0 if sys.platform == "win32" else status.st_ctime_ns
        return cls(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, changed_ns, status.st_nlink)

    def is_still(self, now: FileSeen) -> bool:
        """Whether a file looked at again is what it was, as far as its times tell."""
        was, is_now = ((one.device, one.inode, one.size, one.mtime_ns) for one in (self, now))
        return was == is_now and (self.changed_ns == now.changed_ns or self.names > 1)


def remove_file(path: str, seen: FileSeen) -> None:
    """Remove a file that was copied; of a link, the link. Blocks.

    Raises:
        SourceChangedError: It is not what was copied any more, so it stays.
        LocalFileError: The system refused.
    """
    if not seen.is_still(FileSeen.of(path)):
        raise _changed(path)
    try:
        os.unlink(path)  # noqa: PTH108 - as text: the name may be one that pathlib would write differently
    except OSError as error:
        raise LocalFileError.from_os_error(error, path) from error


class ObjectRemover:
    """Removes objects that were copied, each pinned to the ETag of what was copied.

    AWS and others compare the ETag in the moment of the removal (AWS: How to perform conditional deletes). Stores that
    do not look at it delete whatever is there: therefore the ETag is also compared right before.
    """

    def __init__(self, context: Context) -> None:
        self._context: Final = context
        self._sends_etags = True

    async def remove(self, bucket: str, etags: Mapping[str, str]) -> dict[str, TransferError]:
        """Remove up to 1000 objects of a bucket.

        Args:
            bucket: Its name.
            etags: By key, the ETag of what was copied.

        Returns:
            Those that stay, each with the reason. One that has gone in the meantime is none of them.
        """
        kept: dict[str, TransferError] = {}
        try:
            there = await self._etags_now(bucket, tuple(etags))
            for key, etag in there.items():
                if bare(etag) != bare(etags[key]):
                    kept[key] = _changed(str(S3Location(bucket, key)))
            kept |= await self._remove_all(bucket, [key for key in there if key not in kept], etags)
        except TransferError as error:
            # Nothing is known of those that were asked for: that they stay is what a second run can repair.
            return dict.fromkeys(etags, error) | kept
        return kept

    async def remove_listed(self, bucket: str, etags: Mapping[str, str]) -> dict[str, TransferError]:
        """As `remove`, for objects whose ETags a listing has told: they are not looked at again right before."""
        try:
            return await self._remove_all(bucket, list(etags), etags)
        except TransferError as error:
            return dict.fromkeys(etags, error)

    async def _remove_all(self, bucket: str, keys: Sequence[str], etags: Mapping[str, str]) -> dict[str, TransferError]:
        kept: dict[str, TransferError] = {}
        carried, single = split_deletable(keys) if len(keys) > 1 else ([], keys)
        if carried:
            kept |= await self._remove_batch(bucket, carried, etags)
        for key in single:
            reason = await self._remove_one(S3Location(bucket, key), etags[key])
            kept |= {key: reason} if reason else {}
        return kept

    async def _etags_now(self, bucket: str, keys: Sequence[str]) -> dict[str, str]:
        if len(keys) > 1:
            found = await entries_of_keys(self._context, bucket, keys)
            return {key: etag for key, (_, etag) in found.items()}
        location = S3Location(bucket, keys[0])
        try:
            info = await self._context.attempts.run(
                location, lambda _: head_object(self._context.store, location), Tally()
            )
        except StoreError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return {}
            raise
        return {keys[0]: info.etag}

    async def _remove_batch(
        self, bucket: str, keys: Sequence[str], etags: Mapping[str, str]
    ) -> dict[str, TransferError]:
        place = S3Location(bucket)
        store = self._context.store
        try:
            conditions = etags if self._sends_etags else {}
            failures = await self._context.attempts.run(
                place, lambda _: delete_objects(store, bucket, keys, conditions), Tally()
            )
        except StoreError as error:
            if not self._sends_etags or error.status not in _KNOWS_NO_CONDITION:
                raise
            self._sends_etags = False
            return await self._remove_batch(bucket, keys, etags)
        kept: dict[str, TransferError] = {}
        for failure in failures:
            location = place.with_key(failure.key)
            if failure.code == _CHANGED_CODE:
                kept[failure.key] = _changed(str(location))
            elif failure.code != "NoSuchKey":
                refusal = StoreError(
                    failure.message or failure.code, status=200, code=failure.code, subject=str(location)
                )
                refusal.remedy = remedy_of(refusal)
                kept[failure.key] = refusal
        return kept

    async def _remove_one(self, location: S3Location, etag: str) -> TransferError | None:
        condition = etag if self._sends_etags else ""
        try:
            await self._context.attempts.run(
                location, lambda _: delete_object(self._context.store, location, condition), Tally()
            )
        except StoreError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return None
            if error.status == HTTPStatus.PRECONDITION_FAILED:
                return _changed(str(location))
            if not condition or error.status not in _KNOWS_NO_CONDITION:
                return error
            self._sends_etags = False
            return await self._remove_one(location, etag)
        except TransferError as error:
            return error
        return None


def bare(etag: str) -> str:
    """An ETag to compare: some stores leave the quotes out in listings."""
    return etag.strip('"')


def _changed(subject: str) -> SourceChangedError:
    return SourceChangedError(
        "it changed after it was copied, so it stays where it is", subject=subject, remedy="move it again"
    )
