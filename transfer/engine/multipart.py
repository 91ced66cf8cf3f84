"""The frame of a multipart upload: created, filled part by part, completed; or aborted, whatever happened.

Both files and streams are sent through it; only where the bytes of a part come from differs.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

import anyio

from transfer.engine.attempts import Tally
from transfer.engine.context import Context
from transfer.engine.spread import plain_task_group
from transfer.engine.uploading import Proof, completion_headers, creation_headers, prove
from transfer.integrity.digests import encode_value, multipart_etag
from transfer.integrity.proof import SentPart, checksum_of_whole, same_value
from transfer.model.checksums import Checksum, ChecksumAlgorithm
from transfer.model.errors import StoreError, TransferError, WireError
from transfer.model.events import Warned
from transfer.model.locations import S3Location
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


async def multipart_upload(
    context: Context,
    location: S3Location,
    algorithm: ChecksumAlgorithm,
    headers: Mapping[str, str],
    send_parts: Callable[[MultipartUpload], Awaitable[Sequence[SentPart]]],
    tally: Tally,
) -> Proof:
    """Upload an object in parts.

    Args:
        context: The run.
        location: The object to be.
        algorithm: The checksum of its parts.
        headers: Its properties.
        send_parts: Sends them all and answers them by number; raises to give the upload up.
        tally: Counts repeated requests.

    Raises:
        TransferError: What `send_parts` or the store said. The upload has been aborted then.
    """
    begin = {**headers, **creation_headers(algorithm)}
    upload = await _create(context, location, begin, tally)
    try:
        parts = await send_parts(upload)
        whole = checksum_of_whole(algorithm, parts)
        written = await _complete(context, upload, algorithm, parts, whole, tally)
    except TransferError:
        await _abort_with_patience(context, upload, tally)
        raise
    except BaseException:
        await _abort(context, upload)
        raise
    return await prove(context, location, whole, written, parts, tally)


async def _create(context: Context, location: S3Location, headers: Mapping[str, str], tally: Tally) -> MultipartUpload:
    """Begin the upload.

    Cancelled while the request is in flight, it waits a moment for the answer: an upload whose name nobody knows could
    not be aborted.
    """
    created: list[MultipartUpload] = []
    request = anyio.CancelScope(shield=True)
    settled = anyio.Event()

    async def create() -> None:
        with request:
            created.append(
                await context.attempts.run(
                    location, lambda _: multipart.create_upload(context.store, location, headers), tally
                )
            )
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
            await _abort(context, upload)
        raise
    return created[0]


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
            Checksum(algorithm, encode_value(part.value)) if algorithm.is_stored else None,
        )
        for part in parts
    ]
    size = sum(part.length for part in parts)
    may_be_done = False

    async def complete(flow: Flow) -> Written:  # noqa: ARG001 - the list of parts is no body to count
        nonlocal may_be_done
        try:
            return await multipart.complete_upload(context.store, upload, completed, headers)
        except StoreError as error:
            if may_be_done and error.code == "NoSuchUpload":
                return await _settle(context, upload, parts, whole, size, error)
            may_be_done = True
            raise
        except WireError:
            may_be_done = True
            raise

    return await context.attempts.run(upload.location, complete, tally)


async def _settle(
    context: Context,
    upload: MultipartUpload,
    parts: Sequence[SentPart],
    whole: Checksum | None,
    size: int,
    error: StoreError,
) -> Written:
    """Find out whether an earlier completion, whose answer was lost, has succeeded.

    Raises:
        StoreError: `error`, when the object there is not the one that was sent.
    """
    try:
        info = await head_object(context.store, upload.location)
    except StoreError as missing:
        if missing.status == 404:
            raise error from missing
        raise
    stored = [found for found in info.checksums if whole is not None and found.algorithm is whole.algorithm]
    if whole is not None and stored:
        is_ours = any(same_value(found, whole) for found in stored)
    else:
        is_ours = info.etag == _etag_of_parts(parts)
    if not is_ours or info.size != size:
        raise error
    return Written(info.etag, info.version_id, info.checksums)


def _etag_of_parts(parts: Sequence[SentPart]) -> str | None:
    """The ETag S3 gives an object of these parts; None when theirs are no MD5."""
    try:
        return multipart_etag([bytes.fromhex(part.etag.strip('"')) for part in parts])
    except ValueError:
        return None


async def _abort_with_patience(context: Context, upload: MultipartUpload, tally: Tally) -> None:
    """Free the parts after a failure, which the store's trouble may have caused: its next answers may be no better."""
    try:
        await context.attempts.run(upload.location, lambda _: multipart.abort_upload(context.store, upload), tally)
    except TransferError as error:
        if not (isinstance(error, StoreError) and error.code == "NoSuchUpload"):
            _warn_of_orphan(context, upload, error.message)
    except BaseException:
        await _abort(context, upload)
        raise


async def _abort(context: Context, upload: MultipartUpload) -> None:
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
