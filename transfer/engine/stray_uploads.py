"""Uploads of ours whose names were lost: the store began them, and the answer that named them never arrived.

Only an upload that nobody has sent a part to, of the very key, begun when ours was asked for, is taken for one. To look
for them fails no item that could be begun.
"""

from __future__ import annotations

import time
from typing import Final

from transfer.engine.attempts import Tally
from transfer.engine.context import Context
from transfer.engine.unfinished_uploads import abort, all_parts, list_uploads_of
from transfer.model.errors import StoreError, TransferError
from transfer.model.events import Warned
from transfer.model.locations import S3Location
from transfer.plan.retry import may_have_arrived
from transfer.stores.s3.multipart import MultipartUpload

TOLERANCE_SECONDS: Final = 2.0
"""Stores tell the beginning of an upload in whole seconds, and their clock is read from a header of whole seconds."""

HORIZON_SECONDS: Final = 120.0
"""A request to begin an upload is not repeated for longer; what was begun later is somebody else's."""
_CANNOT_LIST: Final = frozenset({400, 403, 404, 405, 501})


async def abort_strays(
    context: Context, location: S3Location, asked_seconds: float, named: str | None, tally: Tally
) -> None:
    """Abort the strays of one key.

    Args:
        context: The run.
        location: The key.
        asked_seconds: When ours was asked for, by this machine's clock.
        named: The upload whose name is known, which is none.
        tally: Counts repeated requests.

    Raises:
        TransferError: The store is not reached, and none is named that could be gone on with: nothing can be begun
            now either, so that the record is kept as it is for a run that can look.
    """
    try:
        async for page in list_uploads_of(context, location):
            offset_seconds = 0.0 if page.answered_seconds is None else page.answered_seconds - time.time()
            earliest_seconds = asked_seconds + offset_seconds - TOLERANCE_SECONDS
            latest_seconds = asked_seconds + offset_seconds + HORIZON_SECONDS
            for pending in page.uploads:
                upload = MultipartUpload(location, pending.upload_id)
                is_named = pending.key != location.key or pending.upload_id == named
                if is_named or not earliest_seconds <= pending.initiated_seconds <= latest_seconds:
                    continue
                if not await all_parts(context, upload, tally):
                    await abort(context, upload, tally)
    except StoreError as error:
        # To list uploads may need a permission of its own, and not every store can.
        if error.status not in _CANNOT_LIST:
            _warn(context, location, error)
    except TransferError as error:
        if named is None and not may_have_arrived(error):
            raise
        _warn(context, location, error)


def _warn(context: Context, location: S3Location, error: TransferError) -> None:
    context.on_event(
        Warned(f"{location}: an upload whose name was lost may be left there: {error.message}; see: transfer mpu ls")
    )
