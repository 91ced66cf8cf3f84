"""What this run holds, in memory: it outlives the file, whatever happens to that. And the errors of what is held."""

from __future__ import annotations

import time
from typing import Final

from transfer.journal.rows import ItemRow, JobRow, key_of
from transfer.model.errors import HeldError
from transfer.model.unfinished import Holder, ItemIdentity, JobDescription


class Claims:
    """The jobs and items of this run, as they were last written.

    Attributes:
        jobs: By id.
        items: By id.
    """

    def __init__(self) -> None:
        self.jobs: dict[int, JobRow] = {}
        self.items: dict[int, ItemRow] = {}
        self._keys: dict[bytes, int] = {}

    def __bool__(self) -> bool:
        """Whether it holds anything."""
        return bool(self.jobs or self.items)

    def copy(self) -> Claims:
        """What is held now, for the case that it has to be so again."""
        same = Claims()
        same.jobs, same.items, same._keys = self.jobs.copy(), self.items.copy(), self._keys.copy()
        return same

    def require_free_job(self, description: JobDescription) -> None:
        """Raise HeldError when this run does the same job already."""
        if any(job.description.signature == description.signature for job in self.jobs.values()):
            raise HeldError("this run is already doing the same", subject=description.destination)

    def require_free_item(self, identity: ItemIdentity) -> None:
        """Raise HeldError when this run moves the same item already."""
        if key_of(identity) in self._keys:
            raise HeldError("this run is already moving it", subject=identity.destination)

    def hold_item(self, item: ItemRow) -> None:
        """Take it, or take note of its new contents."""
        self.items[item.id] = item
        self._keys[key_of(item.identity)] = item.id

    def drop_item(self, item_id: int) -> ItemRow | None:
        """Let it go; answers what it was, None when it was not held."""
        item = self.items.pop(item_id, None)
        if item is not None:
            del self._keys[key_of(item.identity)]
        return item

    def drop_job(self, job_id: int) -> JobRow | None:
        """Let it go; answers what it was, None when it was not held."""
        return self.jobs.pop(job_id, None)

    def drop_items_of(self, job_id: int) -> None:
        """Let the items of a job go."""
        for item in [item for item in self.items.values() if item.job_id == job_id]:
            self.drop_item(item.id)


_REMEDY: Final = "wait until it has finished, or end it"


def job_held(description: JobDescription, holder: Holder | None) -> HeldError:
    """The error of a job that a living run works on; the holder is None when its row cannot be read."""
    return HeldError(f"{_who(holder)} the same{_since(holder)}", subject=description.destination, remedy=_REMEDY)


def item_held(identity: ItemIdentity, holder: Holder | None) -> HeldError:
    """The error of an item that a living run moves."""
    return HeldError(f"{_who(holder)} it{_since(holder)}", subject=identity.destination, remedy=_REMEDY)


def _who(holder: Holder | None) -> str:
    return "another process is moving" if holder is None else f"process {holder.process_id} is moving"


def _since(holder: Holder | None) -> str:
    """When it began, in local time: the hour when that was today, else the day."""
    if holder is None:
        return ""
    began = time.localtime(holder.since_seconds)
    is_today = began[:3] == time.localtime()[:3]
    return f", since {time.strftime('%H:%M' if is_today else '%Y-%m-%d', began)}"
