"""Small files that have arrived whole, on their way to the disk: many in one visit to a thread.

On a file system in memory nothing waits for a device, so there a file is landed where it was received.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections import deque
from collections.abc import Sequence
from functools import partial
from typing import Final

from transfer.engine.threads import Threads
from transfer.model.errors import TransferError
from transfer.stores.local.landing import OpenFolders, WholeFile, land
from transfer.stores.local.storage import is_in_memory

VISITS: Final = 4
"""Visits to a thread at a time: while one waits for the disk others write, and a journaling file system makes what they
wait for durable together."""


Landed = str | TransferError
"""The path of a file that has landed, as the user would write it, or why it has not."""


class _Waiting:
    """Files that wait; `news` comes when all have landed or failed, or else when it is their turn to go with others."""

    __slots__ = ("files", "news", "results")

    def __init__(self, files: Sequence[WholeFile]) -> None:
        self.files: Final = files
        self.news: Final[asyncio.Future[None]] = asyncio.get_running_loop().create_future()
        self.results: Sequence[Landed] | None = None


class Landings:
    """What is being landed in one run."""

    def __init__(self, threads: Threads) -> None:
        self._threads: Final = threads
        self._folders: Final = OpenFolders()
        self._in_memory: Final[dict[str, bool]] = {}
        self._waiting: Final[deque[_Waiting]] = deque()
        self._visits = 0

    async def land(self, file: WholeFile) -> str:
        """Return when the file has its final name and time, and a loss of power cannot undo it: its path.

        Raises:
            LocalFileError: It cannot be written; NameClashError when its name is taken for good.
            UnsafeKeyError: Its name could lead elsewhere.
        """
        [result] = self.land_now([file]) or await self.land_all([file])
        if isinstance(result, TransferError):
            raise result
        return result

    def land_now(self, files: Sequence[WholeFile]) -> Sequence[Landed] | None:
        """As `land_all`, when nothing would wait for a device; else None."""
        if all(self._in_memory.get(file.root) for file in files):
            return land(files, self._folders)
        return None

    def close(self) -> None:
        """Close what is kept open between files."""
        self._folders.close()

    async def land_all(self, files: Sequence[WholeFile]) -> Sequence[Landed]:
        """Return when each file has its final name and time, or cannot have it."""
        mine = _Waiting(files)
        if self._visits < VISITS:
            self._visits += 1
        else:
            self._waiting.append(mine)
            await self._await_news(mine)
        if mine.results is not None:
            return mine.results
        batch = [mine, *(self._waiting.popleft() for _ in range(len(self._waiting) // VISITS))]
        try:
            return await self._threads.run(partial(self._visit, batch))
        finally:
            self._tell(batch)

    async def _await_news(self, mine: _Waiting) -> None:
        try:
            await mine.news
        except asyncio.CancelledError:
            if mine in self._waiting:
                self._waiting.remove(mine)
            elif mine.results is None and not mine.news.cancelled():
                # Its turn came in the moment in which it was cancelled: it is the next one's.
                self._pass_turn_on()
            raise

    def _visit(self, batch: Sequence[_Waiting]) -> Sequence[Landed]:
        """Land files; the results of the first ones. Runs in a thread, and ends also when that one is cancelled."""
        with OpenFolders() as folders:
            results = land([file for waiting in batch for file in waiting.files], folders)
        start = 0
        for waiting in batch:
            end = start + len(waiting.files)
            waiting.results = results[start:end]
            start = end
        for root in {file.root for waiting in batch for file in waiting.files}:
            self._in_memory.setdefault(root, _is_in_memory(root))
        return batch[0].results or ()

    def _tell(self, batch: Sequence[_Waiting]) -> None:
        """Wake those that went together; the turn goes on to who waits, first to one whose visit never came about."""
        for waiting in reversed(batch[1:]):
            if waiting.results is None:
                self._waiting.appendleft(waiting)
            elif not waiting.news.done():
                waiting.news.set_result(None)
        self._pass_turn_on()

    def _pass_turn_on(self) -> None:
        while self._waiting:
            first = self._waiting.popleft()
            if not first.news.done():
                first.news.set_result(None)
                return
        self._visits -= 1


def _is_in_memory(root: str) -> bool:
    with contextlib.suppress(OSError):
        return is_in_memory(os.stat(root or os.curdir).st_dev)  # noqa: PTH116 - the same call as for files
    return False
