import pytest

from transfer.model.errors import (
    ChecksumMismatchError,
    ConfigurationError,
    ConnectError,
    LocalFileError,
    OutsidePrefixError,
    ProtocolError,
    SchemeError,
    SourceChangedError,
    StalledError,
    StoreError,
    TargetFolderError,
    TlsError,
    TransferError,
    UnsafeKeyError,
    UsageError,
    WireError,
)
from transfer.plan import remedies, retry
from transfer.plan.remedies import remedy_of
from transfer.plan.retry import RetryBudget, Verdict, backoff_seconds, may_have_arrived, verdict_of


def answer(status: int, code: str, *, region: str | None = None) -> StoreError:
    return StoreError("refused", status=status, code=code, region=region)


@pytest.mark.parametrize(
    ("status", "code", "verdict"),
    [
        (503, "SlowDown", Verdict.SLOW_DOWN),
        (200, "SlowDown", Verdict.SLOW_DOWN),
        (503, "SlowDownRead", Verdict.SLOW_DOWN),
        (503, "SlowDownWrite", Verdict.SLOW_DOWN),
        (400, "ThrottlingException", Verdict.SLOW_DOWN),
        (400, "Throttling", Verdict.SLOW_DOWN),
        (429, "TooManyRequests", Verdict.SLOW_DOWN),
        (400, "RequestLimitExceeded", Verdict.SLOW_DOWN),
        (503, "ServiceUnavailable", Verdict.SLOW_DOWN),
        (503, "Whatever", Verdict.SLOW_DOWN),
        (429, "Whatever", Verdict.SLOW_DOWN),
        (500, "InternalError", Verdict.RETRY),
        (200, "InternalError", Verdict.RETRY),
        (200, "Whatever", Verdict.RETRY),
        (500, "Whatever", Verdict.RETRY),
        (502, "Bad Gateway", Verdict.RETRY),
        (504, "Gateway Timeout", Verdict.RETRY),
        (599, "Whatever", Verdict.RETRY),
        (408, "Request Timeout", Verdict.RETRY),
        (400, "RequestTimeout", Verdict.RETRY),
        (409, "OperationAborted", Verdict.RETRY),
        (400, "BadDigest", Verdict.RETRY),
        (400, "XAmzContentChecksumMismatch", Verdict.RETRY),
        (400, "IncompleteBody", Verdict.RETRY),
        (403, "RequestTimeTooSkewed", Verdict.CLOCK_SKEW),
        (400, "ExpiredToken", Verdict.REFRESH),
        (400, "ExpiredTokenException", Verdict.REFRESH),
        (400, "TokenRefreshRequired", Verdict.REFRESH),
        (301, "PermanentRedirect", Verdict.REDIRECT),
        (307, "TemporaryRedirect", Verdict.REDIRECT),
        (400, "AuthorizationHeaderMalformed", Verdict.REDIRECT),
        (301, "Moved Permanently", Verdict.REDIRECT),
        (307, "Whatever", Verdict.REDIRECT),
        (404, "NoSuchBucket", Verdict.FAIL_RUN),
        (403, "InvalidAccessKeyId", Verdict.FAIL_RUN),
        (403, "SignatureDoesNotMatch", Verdict.FAIL_RUN),
        (403, "AllAccessDisabled", Verdict.FAIL_RUN),
        (404, "NoSuchKey", Verdict.FAIL_ITEM),
        (403, "AccessDenied", Verdict.FAIL_ITEM),
        (404, "Not Found", Verdict.FAIL_ITEM),
        (403, "Forbidden", Verdict.FAIL_ITEM),
        (412, "PreconditionFailed", Verdict.FAIL_ITEM),
        (412, "Whatever", Verdict.FAIL_ITEM),
        (403, "InvalidObjectState", Verdict.FAIL_ITEM),
        (400, "EntityTooLarge", Verdict.FAIL_ITEM),
        (501, "NotImplemented", Verdict.FAIL_ITEM),
        (400, "Bad Request", Verdict.FAIL_ITEM),
        (418, "Whatever", Verdict.FAIL_ITEM),
    ],
)
def test_what_is_done_about_an_answer(status: int, code: str, verdict: Verdict) -> None:
    assert verdict_of(answer(status, code)) is verdict


def test_a_bodiless_400_that_names_the_region_means_the_wrong_region() -> None:
    assert verdict_of(answer(400, "Bad Request", region="eu-west-1")) is Verdict.REDIRECT


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (WireError("gone"), Verdict.RETRY),
        (WireError("gone", reused=True), Verdict.RETRY_FREE),
        (WireError("gone", reused=True, answered=True), Verdict.RETRY),
        (ConnectError("refused"), Verdict.RETRY),
        (StalledError("stalled"), Verdict.RETRY),
        (StalledError("stalled", reused=True), Verdict.RETRY),
        (ProtocolError("no HTTP", reused=True), Verdict.RETRY),
        (OutsidePrefixError("not asked for"), Verdict.FAIL_ITEM),
        (TlsError("not trusted"), Verdict.FAIL_RUN),
        (ConfigurationError("no credentials"), Verdict.FAIL_RUN),
        (ChecksumMismatchError("differs"), Verdict.RETRY),
        (LocalFileError("missing"), Verdict.FAIL_ITEM),
        (TargetFolderError("permission denied"), Verdict.FAIL_RUN),
        (SourceChangedError("changed"), Verdict.FAIL_ITEM),
        (UnsafeKeyError("../x"), Verdict.FAIL_ITEM),
        (UsageError("too large"), Verdict.FAIL_ITEM),
        (TransferError("unknown"), Verdict.FAIL_ITEM),
    ],
)
def test_what_is_done_about_other_errors(error: TransferError, verdict: Verdict) -> None:
    assert verdict_of(error) is verdict


def test_no_code_has_two_verdicts() -> None:
    codes = [code for group in retry._CODES.values() for code in group]
    assert len(codes) == len(set(codes))


def test_pauses_double_up_to_the_cap() -> None:
    pauses = [backoff_seconds(attempt, 0.5, retry_after_seconds=None) for attempt in range(1, 11)]
    assert pauses[:4] == pytest.approx([0.05, 0.1, 0.2, 0.4])
    assert pauses[-1] == pytest.approx(10.0)
    assert backoff_seconds(10**9, 0.999, retry_after_seconds=None) <= 20.0


def test_jitter_is_full() -> None:
    assert backoff_seconds(5, 0.0, retry_after_seconds=None) == 0.0


@pytest.mark.parametrize(("wish", "pause"), [(3.0, 3.0), (3600.0, 60.0), (-5.0, 0.0), (0.0, 0.0)])
def test_the_wish_of_the_store_is_a_floor_within_reason(wish: float, pause: float) -> None:
    assert backoff_seconds(1, 0.0, retry_after_seconds=wish) == pause
    assert backoff_seconds(1, 0.5, retry_after_seconds=wish) > pause


def test_default_retries_outlast_half_a_minute_on_average() -> None:
    pauses = (
        backoff_seconds(attempt, 0.5, retry_after_seconds=None) for attempt in range(1, retry.DEFAULT_RETRIES + 1)
    )
    assert 30 < sum(pauses) < 60


def test_an_outage_uses_the_budget_up_and_successes_fill_it() -> None:
    budget = RetryBudget(capacity=3, refill_per_success=0.5)
    assert [budget.take() for _ in range(5)] == [True, True, True, False, False]
    budget.give_back()
    assert not budget.take()
    budget.give_back()
    assert budget.take()


def test_the_budget_never_exceeds_its_capacity() -> None:
    budget = RetryBudget(capacity=2)
    for _ in range(100):
        budget.give_back()
    assert budget.tokens == 2


@pytest.mark.parametrize(
    ("status", "code", "told"),
    [
        (404, "NoSuchBucket", "transfer mb s3://NAME"),
        (404, "NoSuchKey", "transfer ls"),
        (404, "Not Found", "transfer ls"),
        (409, "BucketNotEmpty", "transfer rm -r"),
        (301, "PermanentRedirect", "--region"),
        (403, "SignatureDoesNotMatch", "--profile"),
        (403, "Forbidden", "access"),
        (403, "InvalidObjectState", "restore"),
    ],
)
def test_errors_tell_what_to_do(status: int, code: str, told: str) -> None:
    remedy = remedy_of(answer(status, code))
    assert remedy is not None
    assert told in remedy


def test_a_remedy_names_the_bucket_that_it_is_about() -> None:
    error = answer(404, "NoSuchBucket")
    error.subject = "s3://videos/2026/k4.mov"
    assert remedy_of(error) == "check the bucket name, or make it with: transfer mb s3://videos"


def test_nothing_is_made_up_for_unknown_errors() -> None:
    assert remedy_of(answer(418, "Teapot")) is None


def test_remedies_are_one_line() -> None:
    assert not [text for text in remedies._BY_CODE.values() if "\n" in text or text.endswith(".")]


@pytest.mark.parametrize(
    "error",
    [ConnectError("refused"), TlsError("unknown"), SchemeError("https"), ConfigurationError("no credentials")],
)
def test_request_without_a_connection_or_credentials_cannot_have_arrived(error: TransferError) -> None:
    assert not may_have_arrived(error)


@pytest.mark.parametrize("error", [WireError("closed"), StalledError("silent"), answer(500, "x"), KeyboardInterrupt()])
def test_any_other_request_may_have_arrived(error: BaseException) -> None:
    assert may_have_arrived(error)
