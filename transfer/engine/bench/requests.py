"""The requests that are measured: those of the store layer, each made once, proved as a transfer would prove them.

It never repeats anything: what failed is the caller's to count.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Final

from transfer.engine.attempts import Tally
from transfer.engine.bench.shelf import Shelf
from transfer.engine.context import Context
from transfer.engine.uploading import body_headers, prove
from transfer.integrity.digests import encode_value, new_digest
from transfer.model.checksums import Checksum, ChecksumAlgorithm
from transfer.model.errors import ChecksumMismatchError, ProtocolError
from transfer.model.values import dataclass
from transfer.stores.s3.listing import list_page
from transfer.stores.s3.objects import Wanted, delete_object, get_object, head_object, put_object
from transfer.stores.s3.properties import property_headers
from transfer.wire.flow import Flow

HOP_BYTES: Final = 1024 * 1024
"""A body is received in runs of this size, which stay in the processor's cache for their checksum."""
_CONTENT_TYPE: Final = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class Done:
    """What one request did.

    Attributes:
        first_byte_seconds: From its start to the first byte of the answer, where that is not also its end.
    """

    objects: int
    bytes: int = 0
    first_byte_seconds: float | None = None


Attempt = Callable[[], Awaitable[Done]]


def put(context: Context, shelf: Shelf, number: int, algorithm: ChecksumAlgorithm) -> Attempt:
    """Prepare the writing of an object: its checksum is computed now, so that only the store's time is measured."""
    body = shelf.body(number)
    value = b""
    ours = None
    if algorithm is not ChecksumAlgorithm.NONE:
        digest = new_digest(algorithm)
        digest.update(body)
        value = digest.value()
        ours = Checksum(algorithm, encode_value(value))
    location = shelf.location(number)
    headers = property_headers(context.options.properties, _CONTENT_TYPE, None) | body_headers(algorithm, value)

    async def attempt() -> Done:
        written = await put_object(context.store, location, body, headers, Flow())
        await prove(context, location, ours, written, (), Tally())
        shelf.has_versions = shelf.has_versions or written.version_id is not None
        return Done(1, len(body))

    return attempt


def get(context: Context, shelf: Shelf, number: int, hop: memoryview) -> Attempt:
    """Prepare the reading of an object: what arrives is compared with what was written, by its CRC."""
    body = shelf.body(number)
    wanted = Wanted(shelf.location(number), "", len(body))
    expected = _crc(body)

    async def attempt() -> Done:
        began_seconds = time.perf_counter()
        digest = new_digest(ChecksumAlgorithm.CRC64NVME)
        received = 0
        async with get_object(context.store, wanted) as response:
            first_byte_seconds = time.perf_counter() - began_seconds
            while got := await response.read_into(hop):
                digest.update(hop[:got])
                received += got
        if received != len(body):
            raise ProtocolError(f"the store sent {received} bytes, not {len(body)}", subject=str(wanted.location))
        if digest.value() != expected:
            raise ChecksumMismatchError("other bytes arrived than were written", subject=str(wanted.location))
        return Done(1, received, first_byte_seconds)

    return attempt


def stat(context: Context, shelf: Shelf, number: int) -> Attempt:
    """Prepare the asking for what is known of an object."""

    async def attempt() -> Done:
        await head_object(context.store, shelf.location(number))
        return Done(1)

    return attempt


def list_some(context: Context, shelf: Shelf) -> Attempt:
    """Prepare the asking for the first page of names, up to a thousand."""
    place = shelf.place

    async def attempt() -> Done:
        page = await list_page(context.store, place.bucket, place.key)
        return Done(len(page.objects))

    return attempt


def delete(context: Context, shelf: Shelf, number: int) -> Attempt:
    """Prepare the removal of an object."""

    async def attempt() -> Done:
        await delete_object(context.store, shelf.location(number))
        return Done(1)

    return attempt


def _crc(body: memoryview) -> bytes:
    digest = new_digest(ChecksumAlgorithm.CRC64NVME)
    digest.update(body)
    return digest.value()
