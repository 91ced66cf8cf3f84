"""AWS Signature Version 4 in header form, for the verbs that run once per object or part.

Source: AWS, "Authenticating Requests: Using the Authorization Header (AWS Signature Version 4)". What depends
on the day, the second or the set of header names only is computed once and kept: a signature stands in the
way of each small object. Nothing here reads a clock, sends, or shows a secret.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Mapping
from dataclasses import field
from functools import lru_cache
from hashlib import sha256

from transfer.model.values import dataclass
from transfer.stores.s3.credentials import Credentials

UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD"
"""The payload hash of a body that the signature does not cover; a checksum header covers it instead."""
EMPTY_PAYLOAD_HASH = sha256(b"").hexdigest()
"""The payload hash of a request without a body."""

_ALGORITHM = "AWS4-HMAC-SHA256"
_BLOCK_BYTES = 64
"""What SHA-256 takes at a time. Keys derived for signing have half of it."""
_TERMINATOR = "aws4_request"
_UNSIGNED_HEADERS = frozenset(
    {
        "authorization",
        "baggage",
        "connection",
        "expect",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "traceparent",
        "tracestate",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "user-agent",
        "x-amzn-trace-id",
    }
)
"""Headers that a proxy may change or add on the way, so no signature can cover them."""


class _Key:
    """A key that texts are signed with by HMAC-SHA256 (RFC 2104), hashed into both of its passes beforehand.

    `hmac.digest` lets other threads run each time it is called. While files are read and checked beside the event loop,
    it then waits for its turn: 91 microseconds a signature were measured so, and 3 like this.
    """

    __slots__ = ("_inner", "_outer")

    def __init__(self, key: bytes) -> None:
        block = key.ljust(_BLOCK_BYTES, b"\0")
        self._inner = sha256(bytes(byte ^ 0x36 for byte in block))
        self._outer = sha256(bytes(byte ^ 0x5C for byte in block))

    def signature_of(self, text: bytes) -> str:
        """The signature of a short text, in hex."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(text)
        outer.update(inner.digest())
        return outer.hexdigest()


@dataclass(frozen=True, slots=True)
class _Moment:
    """What signatures made within one second share."""

    second: int
    timestamp: str
    scope: str
    key: _Key = field(repr=False)


@dataclass(frozen=True, slots=True)
class _HeaderPlan:
    """How a set of header names becomes canonical text: `sources` fill the places of `template` in order."""

    sources: tuple[str, ...]
    template: str
    signed_names: str


class Signer:
    """Signs requests of one set of credentials to one region; safe to share: its cache is swapped whole."""

    __slots__ = ("_credentials", "_moment", "_region", "_service")

    def __init__(self, credentials: Credentials, region: str, service: str = "s3") -> None:
        self._credentials = credentials
        self._region = region
        self._service = service
        self._moment = self._enter(0, None)

    def __repr__(self) -> str:
        return f"Signer({self._credentials!r}, region={self._region!r}, service={self._service!r})"

    def sign(
        self,
        method: str,
        path: str,
        query: str,
        host: str,
        headers: Mapping[str, str],
        payload_hash: str,
        timestamp: float,
    ) -> dict[str, str]:
        """Compute the headers that authenticate one request.

        Args:
            method: The HTTP method in upper case.
            path: The path as sent: it starts with `/` and is encoded already (see `uri.encode_key`).
            query: The query as sent, canonical (see `uri.encode_query`), without `?`.
            host: The value of the Host header, with the port when it is sent with one.
            headers: The other headers of the request, each name once whatever its case. All are covered but
                those a proxy may change; an earlier signature among them is ignored.
            payload_hash: Lower-case hex SHA-256 of the body, `EMPTY_PAYLOAD_HASH` or `UNSIGNED_PAYLOAD`.
            timestamp: The time of signing, seconds since the epoch, on the store's clock.

        Returns:
            The headers to set, replacing any of the same name: `x-amz-date`, `x-amz-content-sha256`,
            `x-amz-security-token` when the credentials have a token, and `authorization`.
        """
        second = int(timestamp)
        moment = self._moment
        if moment.second != second:
            moment = self._moment = self._enter(second, moment)
        added = {"x-amz-content-sha256": payload_hash, "x-amz-date": moment.timestamp}
        if self._credentials.token:
            added["x-amz-security-token"] = self._credentials.token
        plan = _plan_headers(tuple(headers), tuple(added))
        values = {**headers, **added, "host": host}
        lines = plan.template % tuple([values[name] for name in plan.sources])
        if _has_spare_space(lines):
            lines = plan.template % tuple([" ".join(values[name].split()) for name in plan.sources])
        canonical = f"{method}\n{path}\n{query}\n{lines}\n{plan.signed_names}\n{payload_hash}"
        digest = sha256(canonical.encode("utf-8", "surrogateescape")).hexdigest()
        to_sign = f"{_ALGORITHM}\n{moment.timestamp}\n{moment.scope}\n{digest}"
        signature = moment.key.signature_of(to_sign.encode())
        added["authorization"] = (
            f"{_ALGORITHM} Credential={self._credentials.access_key}/{moment.scope}, "
            f"SignedHeaders={plan.signed_names}, Signature={signature}"
        )
        return added

    def _enter(self, second: int, previous: _Moment | None) -> _Moment:
        """Prepare what the signatures of `second` share; the key is derived again when the day changes."""
        timestamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(second))
        date = timestamp[:8]
        if previous is not None and previous.timestamp[:8] == date:
            return _Moment(second, timestamp, previous.scope, previous.key)
        key = f"AWS4{self._credentials.secret_key}".encode()
        for step in (date, self._region, self._service, _TERMINATOR):
            key = hmac.digest(key, step.encode(), "sha256")
        return _Moment(second, timestamp, f"{date}/{self._region}/{self._service}/{_TERMINATOR}", _Key(key))


def _has_spare_space(lines: str) -> bool:
    """Whether a value may begin or end with white space, or hold more than one space at a time; seldom falsely."""
    return "  " in lines or ": " in lines or " \n" in lines or "\t" in lines or not lines.isascii()


# A run sends a handful of header sets; user metadata may add some more.
@lru_cache(maxsize=256)
def _plan_headers(names: tuple[str, ...], added: tuple[str, ...]) -> _HeaderPlan:
    """Order the headers to cover; a name that the signature sets itself counts once, with its own value."""
    own = (*added, "host")
    covered = {name: name for name in own}
    for name in names:
        lower = name.lower()
        if lower not in covered and lower not in _UNSIGNED_HEADERS:
            covered[lower] = name
    order = sorted(covered)
    template = "".join(f"{name.replace('%', '%%')}:%s\n" for name in order)
    return _HeaderPlan(tuple(covered[name] for name in order), template, ";".join(order))
