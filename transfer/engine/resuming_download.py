"""Going on with a ranged download: what an earlier run has written counts only after it was read back from the disk.

Nothing is fetched here. A file that belongs to another version of the object is removed.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from typing import Final

from transfer.engine.context import Context
from transfer.engine.items import DownloadItem
from transfer.engine.job import Claim
from transfer.engine.reconciling import covers
from transfer.engine.spread import each, spread
from transfer.engine.verifying import DownloadPlan, RangeDigest
from transfer.integrity.files import digest_file_range
from transfer.integrity.verification import VerificationKind
from transfer.model.errors import LocalFileError, SourceChangedError
from transfer.model.events import Warned
from transfer.model.ranges import ByteRange
from transfer.model.unfinished import FinishedPart, ItemIdentity, UnfinishedItem
from transfer.model.values import dataclass
from transfer.stores.local.durable import DurableFile
from transfer.stores.local.source import SourceFile
from transfer.stores.local.temporary import remove_temporary

_CHECKERS: Final = 4
"""Ranges read back at a time: enough to keep a disk busy while two cores digest."""


@dataclass(frozen=True, slots=True)
class ResumedDownload:
    """What is there of an object.

    Attributes:
        landing: The temporary file to go on with; None to begin a new one.
        digests: The ranges in it that are as they were recorded.
        path: The final path, when the file has its name already: only the word of it was lost.
        whole_value: The raw checksum of that file, when it is compared as a whole.
    """

    landing: DurableFile | None = None
    digests: tuple[RangeDigest, ...] = ()
    path: str = ""
    whole_value: bytes | None = None

    @property
    def is_landed(self) -> bool:
        """Whether nothing is left to do."""
        return bool(self.path)


async def resume_download(
    context: Context, claim: Claim, item: DownloadItem, plan: DownloadPlan, identity: ItemIdentity
) -> ResumedDownload:
    """Find out how far an item is.

    Args:
        context: The run.
        claim: What is known of the item.
        item: Where it goes.
        plan: Which version is meant, and its ranges.
        identity: What the item is now.

    Raises:
        LocalFileError: The folder or the file is not what it should be.
    """
    known = claim.item
    if known.is_new:
        return ResumedDownload()
    is_same = known.identity.fingerprint == identity.fingerprint
    landing = await _reopen(context, item, known)
    if landing is None:
        await _remove(context, known)
    if not is_same:
        if landing is not None:
            landing.discard()
        context.on_event(Warned(f"{identity.source}: changed since its download was interrupted: anew"))
        await claim.restart(identity)
        return ResumedDownload()
    if landing is None:
        landed = await _landed(context, plan, identity, known.parts)
        if not landed.is_landed:
            if known.parts:
                context.on_event(Warned(f"{identity.destination}: the file that was begun is gone: anew"))
            await claim.restart(identity)
        return landed
    try:
        digests = await _intact(context, landing.fd, plan, known.parts)
    except BaseException:
        landing.keep()
        raise
    return ResumedDownload(landing, digests)


async def _reopen(context: Context, item: DownloadItem, known: UnfinishedItem) -> DurableFile | None:
    temporary = known.temporary
    if not temporary:
        return None
    root, relative, size = item.root, item.relative, known.identity.size
    return await context.threads.run(
        lambda: DurableFile.reopen(root, relative, temporary, size, keeps_spelling=item.is_one_of_many)
    )


async def _remove(context: Context, known: UnfinishedItem) -> None:
    """Remove a temporary file that cannot be gone on with, such as one that was cut: its name is about to be lost."""
    temporary = known.temporary
    if temporary:
        with contextlib.suppress(LocalFileError):
            await context.threads.run(lambda: remove_temporary(known.identity.destination, temporary))


async def _landed(
    context: Context, plan: DownloadPlan, identity: ItemIdentity, recorded: Sequence[FinishedPart]
) -> ResumedDownload:
    """Whether the file under the final name is the whole download: the run was stopped just after the renaming."""
    if not covers(plan.ranges(), recorded):
        return ResumedDownload()
    with contextlib.suppress(LocalFileError, SourceChangedError, OSError):
        source = await context.threads.run(lambda: SourceFile(identity.destination))
        with source:
            if source.size != plan.info.size:
                return ResumedDownload()
            digests = await _intact(context, source.fd, plan, recorded)
            if len(digests) < len(plan.ranges()):
                return ResumedDownload()
            whole_value = await _whole_value(context, source.fd, plan)
            return ResumedDownload(None, digests, os.fspath(identity.destination), whole_value)
    return ResumedDownload()


async def _whole_value(context: Context, fd: int, plan: DownloadPlan) -> bytes | None:
    if plan.verification.kind is not VerificationKind.WHOLE_FILE:
        return None
    size, algorithm = plan.info.size, plan.verification.algorithm
    return await context.threads.run(lambda: digest_file_range(fd, 0, size, algorithm))


async def _intact(
    context: Context, fd: int, plan: DownloadPlan, recorded: Sequence[FinishedPart]
) -> tuple[RangeDigest, ...]:
    """The recorded ranges whose bytes on the disk still have their checksum."""
    known = {(part.number, part.offset, part.length): part.value for part in recorded}
    intact: list[RangeDigest] = []

    async def check(wanted: ByteRange) -> None:
        value = await context.threads.run(
            lambda: digest_file_range(fd, wanted.offset, wanted.length, plan.part_algorithm)
        )
        if value == known[wanted.number, wanted.offset, wanted.length]:
            intact.append(RangeDigest(wanted, value))

    claimed = (wanted for wanted in plan.ranges() if (wanted.number, wanted.offset, wanted.length) in known)
    await spread(each(claimed), check, lambda workers: workers < _CHECKERS)
    return tuple(intact)
