"""The frame of a multipart upload: created or taken up again, filled part by part, completed.

Both files and streams are sent through it; only where the bytes of a part come from differs. An upload that a later run
can go on with is kept when this one cannot finish it; any other is aborted, whatever happened.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

import anyio

from transfer.engine.attempts import Tally
from transfer.engine.context import Context
from transfer.engine.job import Claim, can_continue
from transfer.engine.spread import plain_task_group
from transfer.engine.stray_uploads import abort_strays
from transfer.engine.uploading import Proof, completion_headers, creation_headers, prove
from transfer.integrity.digests import encode_value, multipart_etag
from transfer.integrity.proof import SentPart, checksum_of_whole, same_value
from transfer.model.checksums import Checksum, ChecksumAlgorithm
from transfer.model.errors import StoreError, TransferError, WireError
from transfer.model.events import Warned
from transfer.model.locations import S3Location
from transfer.model.values import dataclass
from transfer.plan.retry import may_have_arrived
from transfer.stores.s3 import multipart
from transfer.stores.s3.multipart import MultipartUpload
from transfer.stores.s3.objects import Written, head_object
from transfer.stores.s3.xml import CompletedPart
from transfer.wire.flow import Flow

ABORT_SECONDS: Final = 1.0
"""How long an interrupted upload may take to be aborted."""
ANSWER_SECONDS: Final = 0.8
"""How long an interrupted run waits for the name of an upload it is just beginning; with the abort that follows, that
stays below the two seconds in which Ctrl-C must end."""


@dataclass(frozen=True, slots=True)
class ObjectToBe:
    """What a multipart upload makes.

    Attributes:
        algorithm: The checksum of its parts.
        headers: Its properties.
    """

    location: S3Location
    algorithm: ChecksumAlgorithm
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Resumed:
    """An upload that an earlier run has begun, and the parts of it that count."""

    upload: MultipartUpload
    parts: tuple[SentPart, ...]


SendParts = Callable[[MultipartUpload, Sequence[SentPart]], Awaitable[Sequence[SentPart]]]
"""Sends the parts that are not among those given; answers all of them by number; raises to give the upload up."""


async def multipart_upload(
    context: Context,
    target: ObjectToBe,
    claim: Claim,
    resumed: Resumed | None,
    send_parts: SendParts,
    tally: Tally,
) -> Proof:
    """Upload an object in parts.

    Args:
        context: The run.
        target: The object to be.
        claim: Remembers how far it is; it is the caller's to say that the item is done.
        resumed: What to go on with; None begins.
        send_parts: Sends what is missing.
        tally: Counts repeated requests.

    Raises:
        TransferError: What `send_parts` or the store said. Unless a later run can go on, the upload has been aborted.
    """
    upload = resumed.upload if resumed else await _begin(context, target, claim, tally)
    try:
        parts = await send_parts(upload, resumed.parts if resumed else ())
        whole = checksum_of_whole(target.algorithm, parts)
        written = await _complete(context, upload, target.algorithm, parts, whole, tally)
    except TransferError as error:
        await _give_up(context, upload, claim, error, tally)
        raise
    except BaseException:
        await _interrupt(context, upload, claim)
        raise
    claim.note_completion()
    return await prove(context, target.location, whole, written, parts, tally)


async def settle_completed(
    context: Context, upload: MultipartUpload, algorithm: ChecksumAlgorithm, parts: Sequence[SentPart], tally: Tally
) -> Proof | None:
    """Find out whether an upload that is gone has become the object: its completion's answer may have been lost.

    Args:
        context: The run.
        upload: It is no longer there.
        algorithm: The checksum of its parts.
        parts: All of them, by number.
        tally: Counts repeated requests.

    Returns:
        None when the object there is not made of these parts.
    """
    whole = checksum_of_whole(algorithm, parts)
    written = await context.attempts.run(
        upload.location, lambda _: _written_object(context, upload.location, parts, whole), tally
    )
    return None if written is None else await prove(context, upload.location, whole, written, parts, tally)


async def _begin(context: Context, target: ObjectToBe, claim: Claim, tally: Tally) -> MultipartUpload:
    """Create the upload and record its name.

    An answer to the creation that was lost leaves an upload whose name nobody knows: the creation was repeated then,
    and the stray one is looked for.
    """
    began_seconds = time.time()
    headers = {**target.headers, **creation_headers(target.algorithm)}
    upload, is_doubtful = await _create(context, target.location, headers, claim, tally)
    if is_doubtful:
        try:
            await abort_strays(context, target.location, began_seconds, upload.upload_id, tally)
        except BaseException:
            await _interrupt(context, upload, claim)
            raise
    return upload


async def _give_up(context: Context, upload: MultipartUpload, claim: Claim, error: TransferError, tally: Tally) -> None:
    if claim.remembers and can_continue(error):
        await claim.release()
        return
    if await _abort_with_patience(context, upload, tally):
        await claim.finish()
    else:
        # What is still there costs money: it stays known, for `clean`.
        await claim.release()


async def _interrupt(context: Context, upload: MultipartUpload, claim: Claim) -> None:
    if claim.remembers:
        await claim.release()
    else:
        await abort_now(context, upload)


async def _create(
    context: Context, location: S3Location, headers: Mapping[str, str], claim: Claim, tally: Tally
) -> tuple[MultipartUpload, bool]:
    """Begin the upload; it, and whether there may be others: an earlier request that failed may have begun one.

    Cancelled while the request is in flight, it waits a moment for the answer: an upload whose name nobody knows could
    not be aborted.
    """
    created: list[MultipartUpload] = []
    request = anyio.CancelScope(shield=True)
    settled = anyio.Event()

    async def ask(_: Flow) -> MultipartUpload:
        try:
            return await multipart.create_upload(context.store, location, headers)
        except BaseException as error:
            claim.may_have_upload = claim.may_have_upload or may_have_arrived(error)
            raise

    async def create() -> None:
        with request:
            upload = await context.attempts.run(location, ask, tally, before_parts=True)
            created.append(upload)
            await claim.set_upload(upload.upload_id)
        settled.set()

    try:
        async with plain_task_group() as tasks:
            tasks.start_soon(create)
            try:
                await settled.wait()
            except BaseException:
                request.deadline = anyio.current_time() + ANSWER_SECONDS
                raise
    except BaseException:
        for upload in created:
            await _interrupt(context, upload, claim)
        raise
    return created[0], claim.may_have_upload


async def _complete(
    context: Context,
    upload: MultipartUpload,
    algorithm: ChecksumAlgorithm,
    parts: Sequence[SentPart],
    whole: Checksum | None,
    tally: Tally,
) -> Written:
    headers = completion_headers(whole, sum(part.length for part in parts))
    completed = [
        CompletedPart(
            part.number,
            part.etag,
            Checksum(algorithm, encode_value(part.value)) if algorithm.is_stored and part.value else None,
        )
        for part in parts
    ]
    may_be_done = False

    async def complete(flow: Flow) -> Written:  # noqa: ARG001 - the list of parts is no body to count
        nonlocal may_be_done
        try:
            return await multipart.complete_upload(context.store, upload, completed, headers)
        except StoreError as error:
            if may_be_done and error.code == "NoSuchUpload":
                return await _settle(context, upload.location, parts, whole, error)
            may_be_done = True
            raise
        except WireError:
            may_be_done = True
            raise

    return await context.attempts.run(upload.location, complete, tally)


async def _settle(
    context: Context,
    location: S3Location,
    parts: Sequence[SentPart],
    whole: Checksum | None,
    error: StoreError,
) -> Written:
    """Find out whether an earlier completion, whose answer was lost, has succeeded.

    Raises:
        StoreError: `error`, when the object there is not the one that was sent.
    """
    written = await _written_object(context, location, parts, whole)
    if written is None:
        raise error
    return written


async def _written_object(
    context: Context, location: S3Location, parts: Sequence[SentPart], whole: Checksum | None
) -> Written | None:
    """The object at a location, if it is the one that was sent: its size, and its checksum or the ETag of its parts."""
    try:
        info = await head_object(context.store, location)
    except StoreError as missing:
        if missing.status == 404:
            return None
        raise
    stored = [found for found in info.checksums if whole is not None and found.algorithm is whole.algorithm]
    if whole is not None and stored:
        is_ours = any(same_value(found, whole) for found in stored)
    else:
        is_ours = info.etag == _etag_of_parts(parts)
    if not is_ours or info.size != sum(part.length for part in parts):
        return None
    return Written(info.etag, info.version_id, info.checksums)


def _etag_of_parts(parts: Sequence[SentPart]) -> str | None:
    """The ETag S3 gives an object of these parts; None when theirs are no MD5."""
    try:
        return multipart_etag([bytes.fromhex(part.etag.strip('"')) for part in parts])
    except ValueError:
        return None


async def _abort_with_patience(context: Context, upload: MultipartUpload, tally: Tally) -> bool:
    """Free the parts after a failure, which the store's trouble may have caused: its next answers may be no better.

    Returns:
        Whether the upload is gone.
    """
    try:
        await context.attempts.run(upload.location, lambda _: multipart.abort_upload(context.store, upload), tally)
    except TransferError as error:
        if isinstance(error, StoreError) and error.code == "NoSuchUpload":
            return True
        _warn_of_orphan(context, upload, error.message)
        return False
    except BaseException:
        await abort_now(context, upload)
        raise
    return True


async def abort_now(context: Context, upload: MultipartUpload) -> None:
    """Free the parts, also when the run is being cancelled. What remains after that costs money, so it is told."""
    failure: TransferError | None = None
    with anyio.move_on_after(ABORT_SECONDS, shield=True):
        try:
            await multipart.abort_upload(context.store, upload)
        except StoreError as error:
            if error.code == "NoSuchUpload":
                return
            failure = error
        except TransferError as error:
            failure = error
        else:
            return
    _warn_of_orphan(context, upload, failure.message if failure else "the store does not answer")


def _warn_of_orphan(context: Context, upload: MultipartUpload, reason: str) -> None:
    context.on_event(
        Warned(f"{upload.location}: the unfinished upload {upload.upload_id} could not be aborted: {reason}")
    )
