"""Going on with a multipart upload that an earlier run has begun, or settling what became of it.

The store is asked what it holds; nothing is sent here. What cannot be gone on with is aborted, so that it costs nobody
money.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager

from transfer.engine.attempts import Tally
from transfer.engine.context import Context
from transfer.engine.fingerprints import is_same_file
from transfer.engine.job import Claim
from transfer.engine.multipart import ObjectToBe, Resumed, settle_completed
from transfer.engine.reconciling import Doubtful, covers, reconcile
from transfer.engine.spread import each, spread
from transfer.engine.stray_uploads import abort_strays
from transfer.engine.unfinished_uploads import abort, all_parts
from transfer.engine.uploading import Proof
from transfer.integrity.digests import encode_value
from transfer.integrity.proof import SentPart
from transfer.model.checksums import ChecksumAlgorithm
from transfer.model.errors import StoreError
from transfer.model.events import Warned
from transfer.model.ranges import ByteRange
from transfer.model.unfinished import FinishedPart, ItemIdentity
from transfer.stores.s3.multipart import MultipartUpload
from transfer.stores.s3.xml import UploadedPart

DigestRange = Callable[[ByteRange, ChecksumAlgorithm], Awaitable[bytes]]
"""The raw checksum of a range of the source as it is now."""

_LISTS_NO_PARTS = frozenset({400, 405, 501})
"""Answers of stores that know no ListParts."""
_CHECKERS = 2
"""Parts compared with the source at a time: reading and digesting keep about two cores busy."""


async def resume_upload(
    context: Context,
    target: ObjectToBe,
    claim: Claim,
    identity: ItemIdentity,
    ranges: Sequence[ByteRange],
    digest: DigestRange,
    tally: Tally,
) -> Resumed | Proof | None:
    """Find out how far an item is.

    Args:
        context: The run.
        target: The object to be.
        claim: What is known of the item.
        identity: What the item is now.
        ranges: Its parts.
        digest: Reads the source, for parts the journal does not know.
        tally: Counts repeated requests.

    Returns:
        What to go on with; the proof, when the upload had been completed; None to begin anew.

    Raises:
        TransferError: What the store, the connection or the disk said.
    """
    known = claim.item
    if known.is_new:
        return None
    if known.upload_id is None:
        await abort_strays(context, target.location, known.began_seconds, None, tally)
        await claim.restart(identity)
        return None
    upload = MultipartUpload(target.location, known.upload_id)
    if known.identity.fingerprint != identity.fingerprint:
        context.on_event(Warned(_why_anew(known.identity.fingerprint, identity)))
        with _naming_the_way_out():
            await abort(context, upload, tally)
        await claim.restart(identity)
        return None
    try:
        with _naming_the_way_out():
            listed = await all_parts(context, upload, tally)
    except StoreError as error:
        if error.status in _LISTS_NO_PARTS and error.code != "NoSuchUpload":
            await _begin_anew(context, claim, identity, upload, error.message, tally)
            return None
        if error.code != "NoSuchUpload":
            raise
        return await _without_upload(context, target, claim, identity, upload, ranges, tally)
    return Resumed(upload, await _parts_that_count(target, claim, ranges, listed, digest))


@contextmanager
def _naming_the_way_out() -> Iterator[None]:
    """Say how to go on where parts may be sent, but not listed or aborted: the next run would be refused as well."""
    try:
        yield
    except StoreError as error:
        if error.status == 403 and error.code == "AccessDenied":
            error.message = f"the unfinished upload of an earlier run is out of reach: {error.message}"
            error.remedy = "ask for access to unfinished uploads, or begin anew with --no-resume"
        raise


async def _begin_anew(
    context: Context, claim: Claim, identity: ItemIdentity, upload: MultipartUpload, reason: str, tally: Tally
) -> None:
    """The store does not tell which parts it holds: nothing can be gone on with."""
    context.on_event(Warned(f"{identity.source}: the store does not list the parts it holds ({reason}): anew"))
    with _naming_the_way_out():
        await abort(context, upload, tally)
    await claim.restart(identity)


async def _without_upload(
    context: Context,
    target: ObjectToBe,
    claim: Claim,
    identity: ItemIdentity,
    upload: MultipartUpload,
    ranges: Sequence[ByteRange],
    tally: Tally,
) -> Proof | None:
    """The upload is gone: completed, when all parts were there, or aborted by somebody."""
    recorded = claim.item.parts
    if covers(ranges, recorded):
        parts = [
            SentPart(part.number, part.length, part.value, part.etag, echoed=False)
            for part in sorted(recorded, key=lambda part: part.number)
        ]
        proof = await settle_completed(context, upload, target.algorithm, parts, tally)
        if proof is not None:
            return proof
    context.on_event(Warned(f"{identity.source}: its unfinished upload is gone from the store: anew"))
    await claim.restart(identity)
    return None


def _why_anew(recorded: str, identity: ItemIdentity) -> str:
    if is_same_file(recorded, identity.fingerprint):
        return f"{identity.source}: its parts or properties are to be others than before the interruption: anew"
    return f"{identity.source}: the file changed since its upload was interrupted: anew"


async def _parts_that_count(
    target: ObjectToBe,
    claim: Claim,
    ranges: Sequence[ByteRange],
    listed: Sequence[UploadedPart],
    digest: DigestRange,
) -> tuple[SentPart, ...]:
    found = reconcile(ranges, claim.item.parts, listed)
    counted = list(found.trusted)

    async def compare(doubtful: Doubtful) -> None:
        part = await _compared(target.algorithm, doubtful, digest)
        if part is not None:
            counted.append(part)
            wanted = doubtful.wanted
            await claim.note_part(
                FinishedPart(wanted.number, wanted.offset, wanted.length, part.value, doubtful.listed.etag)
            )

    await spread(each(found.doubtful), compare, lambda workers: workers < _CHECKERS)
    return tuple(counted)


async def _compared(algorithm: ChecksumAlgorithm, doubtful: Doubtful, digest: DigestRange) -> SentPart | None:
    """The part, when the store holds the bytes of the source: by the checksum it lists, else by an MD5 in its ETag."""
    wanted, listed = doubtful.wanted, doubtful.listed
    etag = listed.etag.strip('"').lower()
    stored = next((found.value for found in listed.checksums if found.algorithm is algorithm), None)
    if stored is None and (await digest(wanted, ChecksumAlgorithm.MD5)).hex() != etag:
        return None
    value = await digest(wanted, algorithm) if algorithm is not ChecksumAlgorithm.NONE else b""
    if stored is not None and stored != encode_value(value):
        return None
    return SentPart(wanted.number, wanted.length, value, listed.etag, echoed=True)
