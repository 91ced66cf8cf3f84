from collections.abc import Callable

import anyio
import anyio.lowlevel
import pytest

from tests.support.virtual_time import run_in_virtual_time
from transfer.engine.attempts import DOUBTED_AFTER, FIRST_CONNECT_RETRIES, FREE_RETRIES, Attempts, EarlierAttempt, Tally
from transfer.engine.lanes import Lanes
from transfer.engine.retry_turns import RetryTurns
from transfer.model.errors import (
    ChecksumMismatchError,
    ConfigurationError,
    ConnectError,
    LocalFileError,
    ProtocolError,
    SchemeError,
    SourceChangedError,
    StalledError,
    StoreError,
    TlsError,
    TransferError,
    WireError,
)
from transfer.model.events import Event, RequestRetried
from transfer.model.locations import S3Location
from transfer.model.progress import Progress
from transfer.plan.governor import Governor
from transfer.plan.remedies import UNANSWERED
from transfer.plan.retry import BACKOFF_CAP_SECONDS, DEFAULT_RETRIES, RetryBudget
from transfer.stores.s3.store import S3Store
from transfer.wire.flow import Flow

LOCATION = S3Location("bucket", "key")


class FakeStore(S3Store):
    """Learns what it is told to learn, and keeps what it was asked."""

    def __init__(self, *, learns: bool = True) -> None:
        self.learns = learns
        self.generation = 0
        self.asked: list[object] = []
        self.is_encrypted = False

    async def speaks_tls(self, bucket: str) -> bool:
        self.asked.append(("tls", bucket))
        return self.is_encrypted

    @property
    def credentials_generation(self) -> int:
        return self.generation

    async def renew_credentials(self, generation: int) -> bool:
        self.asked.append(("renew", generation))
        self.generation += self.learns
        return self.learns

    async def learn_region(self, bucket: str, error: StoreError) -> bool:
        self.asked.append(("region", bucket, error.region))
        return self.learns

    def learn_clock(self, error: StoreError) -> bool:
        self.asked.append(("clock", error.server_seconds))
        return self.learns


class CountingLanes(Lanes):
    def __init__(self) -> None:
        super().__init__(Governor.fixed(1), lambda _: None)
        self.bytes = self.requests = 0
        self.slowdowns: list[float] = []
        self.timeouts: list[float] = []

    def count_bytes(self, count: int) -> None:
        self.bytes += count

    def count_request(self) -> None:
        self.requests += 1

    def count_slowdown(self, began_seconds: float) -> None:
        self.slowdowns.append(began_seconds)

    def count_timeout(self, began_seconds: float) -> None:
        self.timeouts.append(began_seconds)


class Bench:
    """Attempts with everything around them replaced by what a test can look at; the clock never waits."""

    def __init__(self, patch: pytest.MonkeyPatch, *, learns: bool = True, retries: int | None = None) -> None:
        self.store = FakeStore(learns=learns)
        self.lanes = CountingLanes()
        self.progress = Progress()
        self.events: list[Event] = []
        self.pauses: list[float] = []
        self.lanes_during_pauses: list[int] = []
        self.calls = 0
        self.tally = Tally()
        self.attempts = Attempts(self.store, self.lanes, self.progress, self.events.append, retries=retries)
        patch.setattr(anyio, "sleep", self._sleep)
        patch.setattr("transfer.engine.attempts.random.random", lambda: 0.5)

    async def _sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.lanes_during_pauses.append(self.lanes.in_use)

    async def run(self, *failures: BaseException, forever: bool = False, earlier: EarlierAttempt | None = None) -> str:
        script = list(failures)

        async def action(flow: Flow) -> str:
            self.calls += 1
            flow.moved(100)
            if script:
                raise script[0] if forever else script.pop(0)
            return "done"

        return await self.attempts.run(LOCATION, action, self.tally, earlier=earlier)


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(monkeypatch)


def answer(status: int, code: str, *, region: str | None = None, retry_after: float | None = None) -> StoreError:
    return StoreError("refused", status=status, code=code, region=region, retry_after_seconds=retry_after)


async def test_a_success_costs_nothing(bench: Bench) -> None:
    assert await bench.run() == "done"
    assert (bench.calls, bench.tally.retries, bench.progress.retries, bench.pauses) == (1, 0, 0, [])
    assert bench.progress.bytes_moved == bench.lanes.bytes == 100
    assert bench.lanes.requests == 1


@pytest.mark.parametrize(
    "failure",
    [
        WireError("broke"),
        ProtocolError("nonsense", reused=True),
        StalledError("stalled", reused=True),
        ChecksumMismatchError("differs"),
        answer(500, "InternalError"),
        answer(200, "InternalError"),
        answer(503, "SlowDown"),
        answer(400, "BadDigest"),
        answer(502, "BadGateway"),
    ],
)
async def test_a_passing_failure_is_repeated_counted_and_told(failure: TransferError, bench: Bench) -> None:
    assert await bench.run(failure) == "done"
    assert bench.calls == 2
    assert bench.tally.retries == bench.progress.retries == 1
    assert bench.events == [RequestRetried(str(LOCATION), 1, bench.pauses[0], failure.message)]


@pytest.mark.parametrize(
    "failure",
    [
        answer(403, "AccessDenied"),
        answer(404, "NoSuchKey"),
        answer(404, "NoSuchBucket"),
        answer(412, "PreconditionFailed"),
        answer(400, "Whatever"),
        TlsError("not trusted"),
        LocalFileError("no space left on device"),
        SourceChangedError("shorter"),
        ConfigurationError("no credentials"),
    ],
)
async def test_a_final_failure_comes_out_at_once(failure: TransferError, bench: Bench) -> None:
    with pytest.raises(type(failure)) as caught:
        await bench.run(failure, forever=True)
    assert caught.value is failure
    assert "attempts" not in failure.message
    assert failure.subject == str(LOCATION)
    assert (bench.calls, bench.pauses, bench.events, bench.tally.retries) == (1, [], [], 0)


async def test_other_exceptions_pass_through_and_give_lane_and_bytes_back(bench: Bench) -> None:
    with pytest.raises(ZeroDivisionError):
        await bench.run(ZeroDivisionError())
    assert (bench.lanes.in_use, bench.progress.bytes_moved, bench.calls) == (0, 0, 1)


async def test_bytes_of_failed_attempts_are_taken_back(bench: Bench) -> None:
    await bench.run(WireError("broke"), WireError("broke"))
    assert bench.progress.bytes_moved == bench.lanes.bytes == 100


async def test_no_lane_is_held_during_a_pause(bench: Bench) -> None:
    await bench.run(WireError("broke"), answer(503, "SlowDown"))
    assert bench.lanes_during_pauses == [0, 0]


async def test_a_subject_that_is_known_is_kept(bench: Bench) -> None:
    with pytest.raises(LocalFileError) as caught:
        await bench.run(LocalFileError("no space", subject="/disk/file"))
    assert caught.value.subject == "/disk/file"


async def test_attempts_end_when_they_are_used_up_and_say_how_many(bench: Bench) -> None:
    await bench.run()
    with pytest.raises(StoreError, match=rf"refused \(after {DEFAULT_RETRIES + 1} attempts\)"):
        await bench.run(answer(500, "InternalError"), forever=True)
    assert bench.calls == 1 + DEFAULT_RETRIES + 1
    assert bench.tally.retries == DEFAULT_RETRIES


@pytest.mark.parametrize("failure", [WireError("broke"), answer(503, "SlowDown"), answer(301, "PermanentRedirect")])
async def test_no_retries_means_none(failure: TransferError, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch, retries=0)
    with pytest.raises(type(failure)):
        await bench.run(failure)
    assert (bench.calls, bench.store.asked) == (1, [])


async def test_a_closed_idle_connection_costs_nothing_even_without_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch, retries=0)
    assert await bench.run(*[WireError("closed", reused=True) for _ in range(FREE_RETRIES)]) == "done"
    assert (bench.calls, bench.pauses, bench.tally.retries, bench.events) == (FREE_RETRIES + 1, [], 0, [])


async def test_more_of_them_are_failures_like_others(bench: Bench) -> None:
    failures = [WireError("closed", reused=True) for _ in range(FREE_RETRIES + 2)]
    assert await bench.run(*failures) == "done"
    assert (bench.tally.retries, len(bench.pauses)) == (2, 2)


async def test_a_reused_connection_that_had_answered_is_not_free(bench: Bench) -> None:
    await bench.run(WireError("broke", reused=True, answered=True))
    assert bench.tally.retries == 1


async def test_nothing_ever_reached_is_told_soon(bench: Bench) -> None:
    refused = ConnectError("cannot connect")
    with pytest.raises(ConnectError):
        await bench.run(refused, forever=True)
    assert bench.calls == FIRST_CONNECT_RETRIES + 1
    assert bench.attempts.ends_run(refused)


async def test_a_server_that_only_ever_closes_is_asked_again_and_then_doubted(bench: Bench) -> None:
    with pytest.raises(WireError) as caught:
        await bench.run(WireError("closed"), forever=True)
    assert bench.calls == DEFAULT_RETRIES + 1
    assert caught.value.remedy == UNANSWERED
    assert bench.store.asked == [("tls", "bucket")]


async def test_a_server_that_only_ever_closes_what_is_not_encrypted_is_understood_soon(bench: Bench) -> None:
    bench.store.is_encrypted = True
    with pytest.raises(SchemeError) as caught:
        await bench.run(WireError("closed", subject="http://host"), forever=True)
    assert bench.calls == DOUBTED_AFTER
    assert (caught.value.subject, bench.attempts.ends_run(caught.value)) == ("http://host", True)


@pytest.mark.parametrize(
    "failure", [WireError("closed", answered=True), StalledError("silent"), ConnectError("refused")]
)
async def test_what_is_not_just_closed_is_not_asked_for_tls(failure: TransferError, bench: Bench) -> None:
    with pytest.raises(WireError):
        await bench.run(failure, forever=True)
    assert bench.store.asked == []


async def test_a_server_that_has_answered_is_not_doubted(bench: Bench) -> None:
    await bench.run()
    with pytest.raises(WireError) as caught:
        await bench.run(WireError("closed"), forever=True)
    assert caught.value.remedy is None
    assert bench.store.asked == []


async def test_what_was_reached_before_is_waited_for(bench: Bench) -> None:
    await bench.run()
    refused = ConnectError("cannot connect")
    with pytest.raises(ConnectError):
        await bench.run(refused, forever=True)
    assert bench.calls == 1 + DEFAULT_RETRIES + 1
    assert not bench.attempts.ends_run(refused)


@pytest.mark.parametrize(
    ("failure", "ends"),
    [
        (answer(404, "NoSuchBucket"), True),
        (answer(403, "InvalidAccessKeyId"), True),
        (answer(400, "ExpiredToken"), True),
        (TlsError("not trusted"), True),
        (SchemeError("https"), True),
        (ConfigurationError("no credentials"), True),
        (answer(404, "NoSuchKey"), False),
        (answer(403, "AccessDenied"), False),
        (WireError("broke"), False),
    ],
)
def test_which_failures_end_the_run(failure: TransferError, ends: bool, bench: Bench) -> None:
    assert bench.attempts.ends_run(failure) is ends


@pytest.mark.parametrize(
    ("failure", "before", "after"),
    [
        (answer(404, "NoSuchBucket"), False, False),
        (answer(400, "InvalidBucketName"), False, False),
        (answer(403, "AllAccessDisabled"), False, False),
        (answer(507, "XMinioStorageFull"), False, False),
        (answer(403, "AccessDenied"), False, False),
        (answer(403, "InvalidAccessKeyId"), True, True),
        (answer(400, "ExpiredToken"), True, True),
        (answer(403, "SignatureDoesNotMatch"), True, False),
        (ConnectError("cannot connect"), True, False),
        (TlsError("not trusted"), True, False),
        (ConfigurationError("no credentials"), True, False),
    ],
)
async def test_what_no_other_request_could_do_without(
    failure: TransferError, before: bool, after: bool, bench: Bench
) -> None:
    assert bench.attempts.ends_all(failure) is before
    await bench.run()
    assert bench.attempts.ends_all(failure) is after


async def test_a_refused_signature_ends_the_run_until_one_was_accepted(bench: Bench) -> None:
    refused = answer(403, "SignatureDoesNotMatch")
    with pytest.raises(StoreError):
        await bench.run(refused)
    assert bench.attempts.ends_run(refused)
    await bench.run()
    assert not bench.attempts.ends_run(refused)
    assert bench.attempts.ends_run(answer(403, "InvalidAccessKeyId"))


async def test_a_refused_signature_is_not_sent_again(bench: Bench) -> None:
    await bench.run()
    with pytest.raises(StoreError):
        await bench.run(answer(403, "SignatureDoesNotMatch"), forever=True)
    assert bench.calls == 2


async def test_what_comes_before_an_attempt_is_done_anew_and_holds_no_lane(bench: Bench) -> None:
    steps: list[tuple[str, int]] = []
    failures = [WireError("broke"), answer(503, "SlowDown"), WireError("closed", reused=True)]

    async def before() -> None:
        steps.append(("before", bench.lanes.in_use))

    async def action(_: Flow) -> str:
        steps.append(("action", bench.lanes.in_use))
        if failures:
            raise failures.pop()
        return "done"

    assert await bench.attempts.run(LOCATION, action, bench.tally, before=before) == "done"
    assert steps == [("before", 0), ("action", 1)] * 4


async def test_what_comes_before_an_attempt_goes_on_while_all_lanes_are_taken(bench: Bench) -> None:
    prepared = anyio.Event()

    async def prepare() -> None:
        prepared.set()

    async def hold(_: Flow) -> str:
        await prepared.wait()
        return "held"

    async def follow(_: Flow) -> str:
        return "followed"

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(bench.attempts.run, LOCATION, hold, Tally())
            await anyio.lowlevel.checkpoint()
            assert bench.lanes.in_use == bench.lanes.limit
            assert await bench.attempts.run(LOCATION, follow, bench.tally, before=prepare) == "followed"


async def test_what_fails_before_an_attempt_is_judged_like_the_attempt(bench: Bench) -> None:
    async def before() -> None:
        raise SourceChangedError("it changed")

    async def action(_: Flow) -> str:
        raise AssertionError

    with pytest.raises(SourceChangedError) as caught:
        await bench.attempts.run(LOCATION, action, bench.tally, before=before)
    assert (caught.value.subject, bench.lanes.requests, bench.pauses) == (str(LOCATION), 0, [])


async def test_pauses_double_and_start_with_what_the_store_asked_for(bench: Bench) -> None:
    await bench.run(WireError("broke"), WireError("broke"), answer(503, "SlowDown", retry_after=7.0))
    assert bench.pauses == pytest.approx([0.05, 0.1, 7.2])


async def test_slowdowns_and_stalls_are_told_to_the_lanes(bench: Bench) -> None:
    began_seconds = anyio.current_time()
    await bench.run(answer(503, "SlowDown"), StalledError("stalled"), answer(429, "TooManyRequests"))
    first, last = bench.lanes.slowdowns
    (between,) = bench.lanes.timeouts
    assert began_seconds <= first < between < last <= anyio.current_time()
    assert bench.lanes.requests == 1


async def test_a_slowdown_on_the_shorter_way_is_told_with_the_time_of_that_request(bench: Bench) -> None:
    await bench.run(earlier=EarlierAttempt(answer(503, "SlowDown"), 0, 12.5))
    assert bench.lanes.slowdowns == [12.5]


def test_without_a_budget_requests_are_repeated_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    failures = [WireError("broke"), WireError("closed", reused=True), WireError("broke"), answer(503, "SlowDown")]

    async def action(_: Flow) -> None:
        if failures:
            raise failures.pop()

    async def run() -> int:
        attempts = Attempts(FakeStore(), CountingLanes(), Progress(), lambda _: None)
        monkeypatch.setattr(attempts, "_turns", RetryTurns(RetryBudget(capacity=0)))
        tally = Tally()
        await attempts.run(LOCATION, action, tally)
        return tally.retries

    assert run_in_virtual_time(run()) == 3


def test_an_outage_of_a_minute_uses_up_nobodys_attempts() -> None:
    async def outlast() -> float:
        attempts = Attempts(FakeStore(), CountingLanes(), Progress(), lambda _: None, processes=2)
        attempts.note_reached()

        async def action(_: Flow) -> None:
            await anyio.sleep(0.001)
            if anyio.current_time() < 60.0:
                raise ConnectError("refused")

        async with anyio.create_task_group() as tasks:
            for _ in range(64):
                tasks.start_soon(attempts.run, LOCATION, action, Tally())
        return anyio.current_time()

    assert 60.0 < run_in_virtual_time(outlast()) < 60.0 + 2 * BACKOFF_CAP_SECONDS


@pytest.mark.parametrize("is_reached", [True, False])
async def test_a_wrong_scheme_is_believed_only_as_long_as_nothing_was_reached(bench: Bench, is_reached: bool) -> None:
    bench.attempts.reached = is_reached
    if is_reached:
        assert await bench.run(SchemeError("http")) == "done"
        assert not bench.attempts.ends_run(SchemeError("http"))
    else:
        with pytest.raises(SchemeError):
            await bench.run(SchemeError("http"))
        assert bench.attempts.ends_all(SchemeError("http"))


Learning = tuple[StoreError, object]
LEARNINGS: list[Callable[[], Learning]] = [
    lambda: (answer(400, "ExpiredToken"), ("renew", 0)),
    lambda: (answer(301, "PermanentRedirect", region="eu-west-1"), ("region", "bucket", "eu-west-1")),
    lambda: (answer(307, "TemporaryRedirect"), ("region", "bucket", None)),
    lambda: (answer(403, "RequestTimeTooSkewed"), ("clock", None)),
]


@pytest.mark.parametrize("learning", LEARNINGS)
async def test_a_failure_that_teaches_something_is_repeated(learning: Callable[[], Learning], bench: Bench) -> None:
    failure, asked = learning()
    assert await bench.run(failure) == "done"
    assert bench.store.asked == [asked]
    assert bench.calls == 2


@pytest.mark.parametrize("learning", LEARNINGS)
async def test_a_failure_that_teaches_nothing_new_is_final(
    learning: Callable[[], Learning], monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(monkeypatch, learns=False)
    failure, asked = learning()
    with pytest.raises(StoreError):
        await bench.run(failure)
    assert bench.store.asked == [asked]
    assert bench.calls == 1


async def test_learning_is_bounded_by_the_retries(bench: Bench) -> None:
    with pytest.raises(StoreError):
        await bench.run(answer(301, "PermanentRedirect", region="eu-west-1"), forever=True)
    assert bench.calls == DEFAULT_RETRIES + 1


async def test_credentials_are_renewed_for_the_generation_the_request_was_made_with(bench: Bench) -> None:
    await bench.run(answer(400, "ExpiredToken"), answer(400, "ExpiredToken"))
    assert bench.store.asked == [("renew", 0), ("renew", 1)]
