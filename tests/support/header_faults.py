"""Faults that look at a request's headers, for stores that refuse a region, a key or a header until it is right."""

import re
from dataclasses import dataclass

from tests.support.faults import Respond
from tests.support.http_messages import RequestHead


@dataclass(frozen=True, slots=True, kw_only=True)
class RespondToHeader(Respond):
    """Answer requests by one of their headers.

    Attributes:
        header: Its name; a request without it counts as having an empty one.
        pattern: A regular expression searched for in its value.
        unless: Answer those in which the pattern is not found.
    """

    header: str
    pattern: str = "."
    unless: bool = False
    times: int | None = None

    def matches(self, request: RequestHead) -> bool:
        """Tell whether the request's method, target and header are the ones this fault is for."""
        found = re.search(self.pattern, request.header(self.header) or "") is not None
        return Respond.matches(self, request) and found is not self.unless
