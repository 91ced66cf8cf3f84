"""Writing the objects that must be there before something can be read, listed or deleted. Not measured: it repeats."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from transfer.engine.attempts import Tally
from transfer.engine.bench.requests import put
from transfer.engine.bench.shelf import Shelf
from transfer.engine.context import Context
from transfer.engine.spread import each, spread
from transfer.engine.uploading import Proof, upload_with_fallback
from transfer.model.bench import BenchTick
from transfer.model.checksums import ChecksumAlgorithm, VerifiedBy
from transfer.plan.sizes import format_size

TELL_SECONDS: Final = 0.2


def algorithm_of(context: Context) -> ChecksumAlgorithm:
    """What uploads carry: what the user chose, else the newest that the store has been seen to take."""
    automatic = ChecksumAlgorithm.CRC64NVME if context.takes_checksums else ChecksumAlgorithm.MD5
    return context.options.checksum or automatic


async def fill(
    context: Context,
    shelf: Shelf,
    wanted: int,
    tell: Callable[[BenchTick], Awaitable[None]],
    seconds: Callable[[], float],
) -> None:
    """Write until so many objects exist.

    Args:
        context: The run.
        shelf: Where.
        wanted: How many there should be.
        tell: Hears several times a second.
        seconds: How long the preparation has taken so far.

    Raises:
        TransferError: One could not be written, whatever was tried.
    """
    missing = wanted - len(shelf.live)
    size = shelf.size_bytes
    title = f"preparing {wanted} objects of {format_size(size)}"

    told_seconds = 0.0

    async def write(number: int) -> None:
        nonlocal told_seconds
        await write_one(context, shelf, number)
        shelf.live.add(number)
        now_seconds = seconds()
        if now_seconds - told_seconds > TELL_SECONDS:
            told_seconds = now_seconds
            await tell(BenchTick(title, now_seconds, len(shelf.live), len(shelf.live) * size))

    numbers = (shelf.new_number() for _ in range(missing))
    await spread(each(numbers), write, context.may_add_item_worker)


async def write_one(context: Context, shelf: Shelf, number: int) -> None:
    """Write an object; the first one finds out which checksums the store takes."""

    async def upload(algorithm: ChecksumAlgorithm) -> Proof:
        attempt = put(context, shelf, number, algorithm)
        await context.attempts.run(shelf.location(number), lambda _: attempt(), Tally())
        return Proof(None, VerifiedBy.UNVERIFIED, "", None)

    await upload_with_fallback(context, upload, lambda: True)
