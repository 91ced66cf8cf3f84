"""Worker processes for a run, begun before its event loop. They cost little until there is something for them to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from transfer.engine.crew.worker import serve
from transfer.integrity.digests import load_crcs
from transfer.model.options import TransferOptions
from transfer.plan.processes import process_count
from transfer.system.forking import Forked, can_fork, end, fork_all
from transfer.system.processor import usable_cores


@contextmanager
def hired(options: TransferOptions) -> Iterator[tuple[Forked, ...]]:
    """Have as many workers as a run may use wait for it, while the block lasts; none where processes cannot fork.

    It must be entered while the process has a single thread, and before its event loop begins.
    """
    count = process_count(options, usable_cores()) - 1
    workers: tuple[Forked, ...] = ()
    if count > 0 and can_fork():
        # What each process would load for itself, in 30 ms, is loaded once for all of them.
        if options.checksum is None or options.checksum.is_crc:
            load_crcs()
        workers = fork_all(count, serve)
    try:
        yield workers
    finally:
        for worker in workers:
            worker.socket.close()
            end(worker.pid)
