"""Whether and when a failed request is repeated: verdicts as tables, back-off, and the retry budget of a run.

Verdicts come from types and fields of errors, never from message text. Nothing here sleeps or reads a clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from transfer.model.errors import (
    ChecksumMismatchError,
    ConfigurationError,
    ConnectError,
    HeldError,
    LocalFileError,
    OutsidePrefixError,
    SchemeError,
    SourceChangedError,
    StoreError,
    TargetFolderError,
    TlsError,
    TransferError,
    UnsafeKeyError,
    UsageError,
    WireError,
)

DEFAULT_RETRIES = 10
"""Attempts per request after the first: with the back-off below about half a minute of outage on average, a
minute at most, which outlasts the fail-over of a store or a load balancer."""

BACKOFF_BASE_SECONDS = 0.1
"""The first pause is 50 ms on average: about one round trip, so a single lost request costs next to
nothing."""
BACKOFF_CAP_SECONDS = 20.0
"""No pause is longer, so a store that comes back is noticed soon."""
RETRY_AFTER_CAP_SECONDS = 60.0
"""A store may ask for patience, but no answer can put a run to sleep for hours."""

BUDGET_CAPACITY = 256.0
"""One failure of every lane of a wide run at the same moment is no storm yet."""
BUDGET_REFILL_PER_SUCCESS = 0.5
"""Lets up to a third of all requests fail for ever on a bad line; beyond that retries are the load."""


class Verdict(Enum):
    """What is done about a failed request."""

    RETRY = "retry"
    """Repeat after a pause; uses up one retry."""
    RETRY_FREE = "retry_free"
    """An idle connection had been closed: repeat at once on a fresh one; costs nothing."""
    REFRESH = "refresh"
    """Fetch new credentials and repeat. When there are none newer, it is a FAIL_RUN."""
    REDIRECT = "redirect"
    """Learn the bucket's region, sign for it and repeat. When it teaches nothing new, it is a FAIL_ITEM."""
    CLOCK_SKEW = "clock_skew"
    """Learn the store's clock from the Date of its answer, sign with it and repeat; uses up one retry."""
    SLOW_DOWN = "slow_down"
    """Tell the governor, then as RETRY."""
    FAIL_ITEM = "fail_item"
    """This item failed; the others may go on."""
    FAIL_RUN = "fail_run"
    """Every other item would fail in the same way: stop."""


_BY_TYPE: Mapping[type[TransferError], Verdict] = {
    TransferError: Verdict.FAIL_ITEM,
    UsageError: Verdict.FAIL_ITEM,
    LocalFileError: Verdict.FAIL_ITEM,
    TargetFolderError: Verdict.FAIL_RUN,
    SourceChangedError: Verdict.FAIL_ITEM,
    UnsafeKeyError: Verdict.FAIL_ITEM,
    HeldError: Verdict.FAIL_ITEM,
    OutsidePrefixError: Verdict.FAIL_ITEM,
    ChecksumMismatchError: Verdict.RETRY,
    ConfigurationError: Verdict.FAIL_RUN,
    WireError: Verdict.RETRY,
    TlsError: Verdict.FAIL_RUN,
    SchemeError: Verdict.FAIL_RUN,
}
"""The nearest base class counts: ConnectError, StalledError and ProtocolError are judged as WireError."""

_CODES: Mapping[Verdict, tuple[str, ...]] = {
    Verdict.SLOW_DOWN: (
        "BandwidthLimitExceeded",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "ServiceUnavailable",
        "SlowDown",
        "SlowDownRead",
        "SlowDownWrite",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequests",
        "TooManyRequestsException",
    ),
    # BadDigest and its kin: the store got other bytes than were sent, so they changed on the way.
    # OperationAborted and ConditionalRequestConflict: another request was faster; AWS says to try again.
    Verdict.RETRY: (
        "BadDigest",
        "ConditionalRequestConflict",
        "IncompleteBody",
        "InternalError",
        "OperationAborted",
        "RequestTimeout",
        "XAmzContentChecksumMismatch",
        "XAmzContentSHA256Mismatch",
    ),
    Verdict.CLOCK_SKEW: ("RequestTimeTooSkewed", "RequestInTheFuture"),
    Verdict.REFRESH: ("ExpiredToken", "ExpiredTokenException", "InvalidToken", "TokenRefreshRequired"),
    Verdict.REDIRECT: (
        "AuthorizationHeaderMalformed",
        "IllegalLocationConstraintException",
        "PermanentRedirect",
        "Redirect",
        "TemporaryRedirect",
    ),
    Verdict.FAIL_RUN: (
        "AccountProblem",
        "AllAccessDisabled",
        "InvalidAccessKeyId",
        "InvalidBucketName",
        "InvalidSecurity",
        "NoSuchBucket",
        "NotSignedUp",
        "QuotaExceeded",
        "SignatureDoesNotMatch",
        "XMinioStorageFull",
    ),
    # Known answers that come with a status of which something else would be concluded.
    Verdict.FAIL_ITEM: (
        "AccessDenied",
        "BucketAlreadyExists",
        "BucketAlreadyOwnedByYou",
        "BucketNotEmpty",
        "EntityTooLarge",
        "EntityTooSmall",
        "InvalidObjectState",
        "InvalidPart",
        "InvalidPartOrder",
        "InvalidRange",
        "NoSuchKey",
        "NoSuchUpload",
        "NoSuchVersion",
        "NotImplemented",
        "PreconditionFailed",
    ),
}
_BY_CODE: Mapping[str, Verdict] = {code: verdict for verdict, codes in _CODES.items() for code in codes}

_BY_STATUS: Mapping[int, Verdict] = {
    # An error in the body of a success (CompleteMultipartUpload, CopyObject): AWS says to repeat it.
    200: Verdict.RETRY,
    301: Verdict.REDIRECT,
    302: Verdict.REDIRECT,
    307: Verdict.REDIRECT,
    308: Verdict.REDIRECT,
    403: Verdict.FAIL_ITEM,
    404: Verdict.FAIL_ITEM,
    408: Verdict.RETRY,
    412: Verdict.FAIL_ITEM,
    429: Verdict.SLOW_DOWN,
    500: Verdict.RETRY,
    501: Verdict.FAIL_ITEM,
    502: Verdict.RETRY,
    503: Verdict.SLOW_DOWN,
    504: Verdict.RETRY,
    505: Verdict.FAIL_ITEM,
    507: Verdict.FAIL_RUN,
}
_BY_STATUS_CLASS: Mapping[int, Verdict] = {5: Verdict.RETRY}


def verdict_of(error: TransferError) -> Verdict:
    """Decide what is done about a failed request.

    Args:
        error: What the request ended with.

    Returns:
        For a `StoreError` what its code says, else what its status says; for others what their type says.
        What is not known fails the item: repeating a request that nobody understands helps nobody.
    """
    if isinstance(error, StoreError):
        return _verdict_of_answer(error)
    # Exactly this type: a stall or a broken answer is no idle connection that went away.
    if type(error) is WireError and error.reused and not error.answered:
        return Verdict.RETRY_FREE
    return next(_BY_TYPE[base] for base in type(error).__mro__ if base in _BY_TYPE)


def may_have_arrived(error: BaseException) -> bool:
    """Whether the store may have got the request that failed so, and done what it asks for.

    It has not when there was no connection that it trusts, one in another protocol, or nothing to sign with. Not so
    sure is anything else: an answer that was lost, even one that is a refusal, since a server in between may have
    given it.
    """
    return not isinstance(error, ConnectError | TlsError | SchemeError | ConfigurationError)


def backoff_seconds(attempt: int, random: float, *, retry_after_seconds: float | None) -> float:
    """Choose the pause before a request is repeated.

    Exponential with full jitter (AWS Architecture Blog, "Exponential Backoff And Jitter", 2015), so that
    lanes that failed together do not come back together. What the store asked for is waited first, the
    jitter on top.

    Args:
        attempt: Which retry this is, counted from 1.
        random: A fresh random number in [0, 1).
        retry_after_seconds: The store's wish or None.

    Returns:
        Seconds.
    """
    doublings = min(max(attempt - 1, 0), 16)
    jitter = random * min(BACKOFF_CAP_SECONDS, BACKOFF_BASE_SECONDS * float(1 << doublings))
    floor = min(max(retry_after_seconds or 0.0, 0.0), RETRY_AFTER_CAP_SECONDS)
    return floor + jitter


class RetryBudget:
    """A bucket of retries shared by all requests of a run, so that an outage does not become a storm.

    Each retry takes a token, each success gives a part of one back. An empty bucket is no failure: who
    asks waits then.
    """

    def __init__(
        self, capacity: float = BUDGET_CAPACITY, refill_per_success: float = BUDGET_REFILL_PER_SUCCESS
    ) -> None:
        self._capacity = capacity
        self._refill_per_success = refill_per_success
        self._tokens = capacity

    @property
    def tokens(self) -> float:
        """What is left, between 0 and the capacity."""
        return self._tokens

    def take(self) -> bool:
        """Ask for one retry; False when the budget is used up, and nothing is taken then."""
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True

    def give_back(self) -> None:
        """Say that a request succeeded, whether at first or after retries."""
        self._tokens = min(self._capacity, self._tokens + self._refill_per_success)


def _verdict_of_answer(error: StoreError) -> Verdict:
    if error.code in _BY_CODE:
        return _BY_CODE[error.code]
    # The answer to a HEAD has no body and so no code: a 400 that names the bucket's region means the wrong
    # one.
    if error.status == 400 and error.region is not None:
        return Verdict.REDIRECT
    by_class = _BY_STATUS_CLASS.get(error.status // 100, Verdict.FAIL_ITEM)
    return _BY_STATUS.get(error.status, by_class)
