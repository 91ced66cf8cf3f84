"""What every upload shares: which checksum it carries, in which headers, and what proves it at the end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from transfer.engine.attempts import EarlierAttempt, Tally
from transfer.engine.context import Context
from transfer.integrity.digests import encode_value
from transfer.integrity.proof import SentPart, prove_upload
from transfer.model.checksums import Checksum, ChecksumAlgorithm, ChecksumType, VerifiedBy
from transfer.model.errors import ChecksumMismatchError, StoreError
from transfer.model.events import Warned
from transfer.model.locations import S3Location
from transfer.model.values import dataclass
from transfer.stores.s3.objects import Written, head_object

MULTIPART_THRESHOLD_BYTES: Final = 16 * 1024 * 1024
"""From this size on an object goes in parts: below it the three requests more cost what the parallel parts gain."""

_REFUSAL_CODES: Final = frozenset(
    {"InvalidArgument", "InvalidRequest", "NotImplemented", "XNotImplemented", "UnsupportedArgument", "InvalidHeader"}
)


@dataclass(frozen=True, slots=True)
class Proof:
    """What an upload ended with."""

    checksum: Checksum | None
    verified_by: VerifiedBy
    etag: str
    version_id: str | None


def body_headers(algorithm: ChecksumAlgorithm, value: bytes) -> dict[str, str]:
    """The headers that make the store check a body.

    The algorithm is named as well: stores that do not look at the value itself keep it only then.
    """
    if algorithm is ChecksumAlgorithm.NONE:
        return {}
    headers = {algorithm.header: encode_value(value)}
    if algorithm.is_stored:
        headers["x-amz-sdk-checksum-algorithm"] = algorithm.upper()
    return headers


def creation_headers(algorithm: ChecksumAlgorithm) -> dict[str, str]:
    """The headers that announce a multipart upload's checksum: not declared, the store would not check the whole."""
    if not algorithm.is_stored:
        return {}
    type_ = ChecksumType.FULL_OBJECT if algorithm.is_crc else ChecksumType.COMPOSITE
    return {"x-amz-checksum-algorithm": algorithm.value.upper(), "x-amz-checksum-type": type_.value}


def completion_headers(whole: Checksum | None, size: int) -> dict[str, str]:
    """The headers that make the store check the joined object."""
    headers = {"x-amz-mp-object-size": str(size)}
    if whole is not None and whole.algorithm.is_stored and whole.type is ChecksumType.FULL_OBJECT:
        headers[whole.algorithm.header] = whole.value
        headers["x-amz-checksum-type"] = whole.type.value
    return headers


def algorithm_of(context: Context) -> ChecksumAlgorithm:
    """What uploads carry now."""
    automatic = ChecksumAlgorithm.CRC64NVME if context.takes_checksums else ChecksumAlgorithm.MD5
    return context.options.checksum or automatic


def still_counting(context: Context, earlier: EarlierAttempt | None) -> EarlierAttempt | None:
    """An earlier attempt; None when it was refused for checksum headers that, as others have learnt, are not sent."""
    error = None if earlier is None else earlier.error
    if context.takes_checksums or not isinstance(error, StoreError):
        return earlier
    return None if _is_checksum_refusal(context, ChecksumAlgorithm.CRC64NVME, error) else earlier


async def upload_with_fallback(
    context: Context, upload: Callable[[ChecksumAlgorithm], Awaitable[Proof]], can_repeat: Callable[[], bool]
) -> Proof:
    """Upload with the checksum the user chose, else with CRC64NVME, else with MD5.

    A store that refuses the newer checksum headers is asked once more with Content-MD5, which all know; that is
    remembered for the run and told once.

    Args:
        context: The run.
        upload: Uploads the object with an algorithm.
        can_repeat: Whether its bytes are still there to be sent again.

    Raises:
        TransferError: What `upload` raises.
    """
    algorithm = algorithm_of(context)
    try:
        return await upload(algorithm)
    except StoreError as error:
        if not can_repeat() or not _is_checksum_refusal(context, algorithm, error):
            raise
        proof = await upload(ChecksumAlgorithm.MD5)
        if context.takes_checksums:
            context.takes_checksums = False
            context.on_event(Warned(f"the store refuses checksum headers ({error.code}): MD5 is used instead"))
        return proof


async def prove(
    context: Context,
    location: S3Location,
    ours: Checksum | None,
    written: Written,
    parts: Sequence[SentPart],
    tally: Tally,
) -> Proof:
    """Find out what the store holds now.

    Its answer to the upload is asked first; one that tells no checksum costs a HEAD, for objects sent in parts only:
    for small ones that would double the requests.

    Raises:
        ChecksumMismatchError: Other bytes than were sent.
        StoreError: The object cannot be asked for.
        WireError: As for any request.
    """
    verified_by = compare(context, location, ours, written.etag, written.checksums)
    if verified_by is VerifiedBy.UNVERIFIED and ours is not None and ours.algorithm.is_stored and parts:
        verified_by = await _ask(context, location, ours, written.etag, tally)
    if verified_by is VerifiedBy.UNVERIFIED and parts and all(part.echoed for part in parts):
        verified_by = VerifiedBy.PARTS
    return Proof(ours, verified_by, written.etag, written.version_id)


async def _ask(context: Context, location: S3Location, ours: Checksum | None, etag: str, tally: Tally) -> VerifiedBy:
    """Compare with what a HEAD tells of the very object that was written; another writer's proves nothing of ours."""
    try:
        info = await context.attempts.run(location, lambda _: head_object(context.store, location, etag), tally)
    except StoreError as error:
        if error.status == 412:
            return VerifiedBy.UNVERIFIED
        raise
    if info.etag != etag:
        return VerifiedBy.UNVERIFIED
    return compare(context, location, ours, info.etag, info.checksums)


def compare(
    context: Context, location: S3Location, ours: Checksum | None, etag: str, theirs: Sequence[Checksum]
) -> VerifiedBy:
    """Compare with what the store says of an object that was written.

    Raises:
        ChecksumMismatchError: It holds other bytes than were sent.
    """
    kms = (context.options.properties.encryption or "").startswith("aws:kms")
    try:
        return prove_upload(ours, etag, theirs, encrypted_etag=kms)
    except ChecksumMismatchError as error:
        error.subject = str(location)
        raise


def sent_part(algorithm: ChecksumAlgorithm, number: int, length: int, value: bytes, written: Written) -> SentPart:
    """Note what the store said of a part.

    Raises:
        ChecksumMismatchError: It repeats another checksum than was sent: it holds other bytes.
    """
    expected = encode_value(value) if algorithm is not ChecksumAlgorithm.NONE else ""
    repeated = [found.value for found in written.checksums if found.algorithm is algorithm]
    if any(found != expected for found in repeated):
        raise ChecksumMismatchError(
            f"the store took part {number} as {algorithm.value}:{repeated[0]}, but {expected} was sent",
            remedy="check the network and the store",
        )
    echoed = bool(repeated)
    if algorithm is ChecksumAlgorithm.MD5:
        echoed = written.etag.strip('"').lower() == value.hex()
    return SentPart(number, length, value, written.etag, echoed)


def _is_checksum_refusal(context: Context, algorithm: ChecksumAlgorithm, error: StoreError) -> bool:
    """Whether the store may have refused the upload only for its checksum headers, so MD5 is worth a try."""
    return (
        algorithm.is_stored
        and context.options.checksum is None
        and error.status in (400, 501)
        and error.code in _REFUSAL_CODES
    )
