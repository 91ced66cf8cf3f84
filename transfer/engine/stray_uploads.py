"""Uploads of ours whose names were lost: the store began them, and the answer that named them never arrived.

Only an upload that nobody has sent a part to, of the very key, begun when ours was, is taken for one.
"""

from __future__ import annotations

import time
from typing import Final

from transfer.engine.attempts import Tally
from transfer.engine.context import Context
from transfer.engine.unfinished_uploads import abort, all_parts, list_uploads_of
from transfer.model.errors import StoreError
from transfer.model.locations import S3Location
from transfer.stores.s3.multipart import MultipartUpload

TOLERANCE_SECONDS: Final = 2.0
"""Stores tell the beginning of an upload in whole seconds, and their clock is read from a header of whole seconds."""


async def abort_strays(
    context: Context, location: S3Location, since_seconds: float, named: str | None, tally: Tally
) -> None:
    """Abort the strays of one key.

    Args:
        context: The run.
        location: The key.
        since_seconds: When ours was asked for, by this machine's clock.
        named: The upload whose name is known, which is none.
        tally: Counts repeated requests.

    Raises:
        StoreError: The store refused; to list uploads may need a permission of its own, whose lack is no failure.
        WireError: The conversation failed.
    """
    try:
        async for page in list_uploads_of(context, location):
            offset_seconds = 0.0 if page.answered_seconds is None else page.answered_seconds - time.time()
            earliest_seconds = since_seconds + offset_seconds - TOLERANCE_SECONDS
            for pending in page.uploads:
                upload = MultipartUpload(location, pending.upload_id)
                is_named = pending.key != location.key or pending.upload_id == named
                if is_named or pending.initiated_seconds < earliest_seconds:
                    continue
                if not await all_parts(context, upload, tally):
                    await abort(context, upload, tally)
    except StoreError as error:
        if error.status not in (403, 404, 405, 501):
            raise
