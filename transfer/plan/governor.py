"""How many requests are in flight, found by trying. Sees numbers of past windows, never a clock or a socket.

Goodput is lanes divided by the time that one request holds a lane. As long as that time is the store's (its first
byte, its pace per connection), twice the lanes move twice as much; once it is a limit that all lanes share (this
processor, a link, the store as a whole), more lanes only wait longer. Both look alike before they are tried, so the
governor holds a level, tries another one, and keeps the better one.

**The start** of many parts depends on how far the store is, which the request before them tells: a store near by starts
with fewer than any other, and one far away tries half as many more at once. Then comes TCP's slow start: the level
doubles round by round. A round is a window in which as many requests ended as there are lanes; in it the new lanes have
ended one request each and the old ones at least one more, so one such window is enough to see the double goodput of a
store that latency or pace bounds. A round lasts as long as a request, so a store with 30 ms to its first byte has 256
lanes after three of them; where windows end before a round does, several of them stand for it. When a doubling does not
clearly pay within some windows, the level before it comes back and the start is over.

**Afterwards** trials go both ways: up by half, kept when goodput rose by more than `GAIN`; down by a third, kept when
it cost next to nothing, which mends a level that noise made too high. Pauses between trials double as they fail.

**A store that objects** (it asks to slow down, or stops answering) ends a trial at once: the level before it, to which
it had not objected, comes back. An objection to a level that was held lowers it, by half when that level was only a
guess. What was objected to is a ceiling for some time, and trials below it become rarer each time they run into a new
one. As long as more requests are in flight than a cut allows, and in the window after it, objections are to what was.

A window in which not all lanes were busy says nothing about the level: there was too little to do. In one in which the
process itself had work all the time, more lanes cannot help: whatever rises then rises by itself, as in a run that is
just getting going.
"""

from __future__ import annotations

from collections import deque
from enum import Enum
from statistics import mean, median

from transfer.model.values import dataclass

REQUEST_COST_BYTES = 256 * 1024
"""What one request counts beside its bytes: about what a connection moves in the 3 ms that a fast store
needs for the first byte. It lets runs of tiny objects be judged by their requests and runs of large ones by
their bytes."""

DEFAULT_INITIAL = 32
"""A GiB at 90 MB/s per connection is over before a second doubling: from 8 lanes it takes 1.2 times as long as with the
best number from the start, from 32 lanes 1.01 times (simulated, with 1.5 GB/s for all)."""
NEAR_SECONDS = 0.01
"""SeaweedFS on the same machine took 3 to 10 ms to begin an upload or to tell an object's size, together with the
connection that was made for it."""
NEAR_INITIAL = 16
"""Parts to begin with at a store near by, whose processor or disk is the limit: 256 MiB up to SeaweedFS on the same two
cores took 1.4, 1.5, 1.6 and 2.3 s with 8, 12, 16 and 32 of them, 4 GiB up to an endpoint that answers after 2 ms 1.48,
1.46, 1.42 and 1.29 s (medians of 4 and 7 runs in turn)."""
FAR_SECONDS = 0.02
"""From here on time passes on the way: at 30 ms and 90 MB/s per connection, half as many more from the start move 1 GiB
in 1.02 and 4 GiB in 1.03 times the best time that was set by hand, against 1.10 and 1.13 without; twice as many cost
1.3 times the best time where the store objects above 32, half as many more 1.16 (medians of 5 to 9 runs in turn)."""
START_FACTOR = 2.0
TRIAL_FACTOR = 1.5
GAIN = 1.05
"""A trial up must earn more than this, or its lanes only cost memory and processor time."""
CLEAR_GAIN = 1.3
"""A doubling of the start that has earned so much more is kept at once: short runs have no time for several windows. A
doubling that pays shows 1.33 in its first window, where a round ends at the worst moment for it; a busy processor shows
up to 1.25 all the same, since small requests end in bursts."""
SATURATED = 0.9
"""A process that has had work for so much of its time gains nothing by more lanes. With small objects and a store on
the same machine it shows 0.92 and more at 32 lanes, and 256 lanes took a fifth longer there."""
CLEAR_LOSS = 0.8
"""A trial that costs more in two windows ends at once."""
LOSS = 0.97
"""A trial down may cost no more than this."""
TRIAL_WINDOWS = 4
"""Windows whose median decides a trial; the one in which the limit changed is not among them."""
MEMORY_WINDOWS = 8
FIRST_HOLD_WINDOWS = 8
LONGEST_HOLD_WINDOWS = 64
"""Pauses between trials double as trials fail, so that a run at its best level loses little to looking
around."""
SLOWDOWN_FACTOR = 0.7
UNPROVEN_FACTOR = 0.5
"""For a level that never went through a window without an objection: the first one is a guess, and each step on the way
down costs a round of refusals. A store that takes 8 at a time refused 149 of 3000 requests with it, 355 with 0.7 alone
(simulated)."""
LONGEST_ECHO_WINDOWS = 16
"""Four seconds at most, longer than most requests take: whoever has more in flight for longer has that for good."""
CEILING_SHARE = 0.9
CEILING_WINDOWS = 240
"""One to two minutes at 0.25 to 0.5 s per window, then the store may have grown; doubles each time it had
not."""
LONGEST_CEILING_WINDOWS = 3840


@dataclass(frozen=True, slots=True)
class Window:
    """What the engine saw in one stretch of time. All but its length adds up over processes.

    Attributes:
        seconds: How long it was.
        work_bytes: Body bytes that moved, without those of attempts thrown away.
        requests: Requests that ended well.
        in_use: The largest number of lanes that were busy at one moment.
        slowdowns: Answers that asked for fewer requests.
        timeouts: Connections that stalled: next to nothing moved on them for the stall deadline.
        busy: The share of the time in which whoever makes the requests had work, or waited for a processor; of several
            processes that of the first one, which feeds the others.
    """

    seconds: float
    work_bytes: int
    requests: int
    in_use: int
    slowdowns: int = 0
    timeouts: int = 0
    busy: float = 0.0

    @property
    def is_objected(self) -> bool:
        """Whether the store objected to what was in flight."""
        return self.slowdowns > 0 or self.timeouts > 0

    @property
    def goodput(self) -> float:
        """Bytes per second, each request counted as `REQUEST_COST_BYTES` more."""
        return (self.work_bytes + self.requests * REQUEST_COST_BYTES) / self.seconds


class _Phase(Enum):
    HOLD = "hold"
    RAISED = "raised"
    LOWERED = "lowered"


class Governor:
    """Finds the number of requests in flight that moves the most; see the module's docstring for how.

    Attributes:
        limit: How many requests may be in flight now; to be read alone.
        cuts: How often it was lowered because the store objected.
    """

    def __init__(self, initial: int, minimum: int = 1, maximum: int = 256) -> None:
        """Start with `initial` requests; the limit stays within `minimum` and `maximum` for ever.

        Raises:
            ValueError: `minimum` is below 1 or above `maximum`.
        """
        if not 1 <= minimum <= maximum:
            raise ValueError(f"no limit is possible between {minimum} and {maximum}")
        self._minimum = minimum
        self._maximum = maximum
        self._level = self._clamp(initial)
        self.limit = self._level
        self.cuts = 0
        self._phase = _Phase.HOLD
        self._is_expecting = minimum < maximum
        self._is_starting = True
        self._is_proven = False
        self._upward = True
        self._base = 0.0
        self._samples: deque[float] = deque(maxlen=MEMORY_WINDOWS)
        self._saturated_windows = 0
        self._requests = 0
        self._hold_left = 1
        self._hold_windows = FIRST_HOLD_WINDOWS
        self._is_echo = False
        self._windows_over = 0
        self._ceiling: int | None = None
        self._ceiling_left = 0
        self._ceiling_windows = CEILING_WINDOWS

    @classmethod
    def fixed(cls, limit: int) -> Governor:
        """A governor that keeps the number the user chose, whatever it sees."""
        return cls(limit, minimum=limit, maximum=limit)

    def __repr__(self) -> str:
        return f"<Governor {self.limit} {self._phase.value} level={self._level} ceiling={self._ceiling}>"

    def expect(self, answer_seconds: float) -> int:
        """Choose the start of a run of parts; ignored once something is known of the level.

        Args:
            answer_seconds: How long the store took for the request before them, which had no body.

        Returns:
            The limit from now on.
        """
        if self._is_expecting:
            self._is_expecting = False
            if answer_seconds <= NEAR_SECONDS:
                self._level = self.limit = self._clamp(min(self._level, NEAR_INITIAL))
            elif answer_seconds >= FAR_SECONDS and self._raised_by(TRIAL_FACTOR) > self._level:
                self._try(self._raised_by(TRIAL_FACTOR))
        return self.limit

    def observe(self, window: Window) -> int:
        """Learn from the window that just ended.

        Returns:
            The limit from now on.
        """
        if window.seconds <= 0:
            return self.limit
        self._age_ceiling()
        if self._is_echo_of_before(window):
            return self.limit
        if window.is_objected:
            self._back_off(window)
        elif window.in_use >= self.limit:
            self._requests += window.requests
            self._judge(window.goodput, is_saturated=window.busy >= SATURATED)
        return self.limit

    def _is_echo_of_before(self, window: Window) -> bool:
        """Whether the window tells of a higher level than there is now, or is the one after such a window or a cut."""
        is_over = window.in_use > self.limit
        self._windows_over = self._windows_over + 1 if is_over else 0
        if self._windows_over > LONGEST_ECHO_WINDOWS:
            return False
        is_echo, self._is_echo = self._is_echo or is_over, is_over
        return is_echo

    def _judge(self, goodput: float, *, is_saturated: bool) -> None:
        self._is_expecting = False
        self._samples.append(goodput)
        self._is_proven = True
        if self._phase is _Phase.RAISED:
            self._saturated_windows += is_saturated
            self._judge_raised(goodput)
        elif self._phase is _Phase.LOWERED:
            self._judge_lowered(goodput)
        else:
            self._base = median(self._samples)
            self._hold_left -= 1
            is_known = self._had_round or not self._is_starting or len(self._samples) > TRIAL_WINDOWS
            if self._hold_left <= 0 and is_known and not (is_saturated and self._upward):
                self._begin_trial()

    def _judge_raised(self, goodput: float) -> None:
        may_accept = 2 * self._saturated_windows <= len(self._samples)
        average = mean(self._samples)
        # Where nothing has moved before, as when it starts raised, there is nothing to be compared with: that something
        # moves now and nobody objects is enough.
        is_known = self._had_round or (not self._base and average > 0)
        if self._is_starting and is_known and may_accept and average >= self._base * CLEAR_GAIN:
            self._accept(goodput)
        elif len(self._samples) > 1 and average < self._base * CLEAR_LOSS:
            self._is_starting = False
            self._reject(next_upward=False)
        elif len(self._samples) > TRIAL_WINDOWS:
            trial = self._trial_goodput()
            has_gained = may_accept and trial > self._base * GAIN
            if has_gained and (not self._is_starting or trial > self._base * CLEAR_GAIN):
                self._accept(trial)
            else:
                # A run that was just getting going tells too little to judge a small gain by: that is tried again.
                self._is_starting = False
                self._reject(next_upward=has_gained)

    def _judge_lowered(self, goodput: float) -> None:
        if len(self._samples) > 1 and goodput < self._base * CLEAR_LOSS:
            self._reject(next_upward=True)
        elif len(self._samples) > TRIAL_WINDOWS:
            trial = self._trial_goodput()
            if 0 < self._base * LOSS <= trial:
                self._accept(trial)
            else:
                self._reject(next_upward=True)

    @property
    def _had_round(self) -> bool:
        """Whether as many requests have ended as there may be in flight, since there may be as many."""
        return self._requests >= self.limit

    def _trial_goodput(self) -> float:
        return median(list(self._samples)[1:])

    def _accept(self, goodput: float) -> None:
        was_raised = self._phase is _Phase.RAISED
        self._level = self.limit
        self._base = goodput
        self._hold_windows = FIRST_HOLD_WINDOWS
        if was_raised and self._raised() > self._level:
            self._begin_trial()
        else:
            self._hold(FIRST_HOLD_WINDOWS)

    def _reject(self, *, next_upward: bool) -> None:
        self.limit = self._level
        self._upward = next_upward
        self._hold_longer()

    def _begin_trial(self) -> None:
        goal = self._raised() if self._upward else self._lowered()
        if goal == self._level:
            self._upward = not self._upward
            self._is_starting = False
            self._hold(self._hold_windows)
            return
        self._try(goal)

    def _try(self, goal: int) -> None:
        self._phase = _Phase.RAISED if goal > self._level else _Phase.LOWERED
        self.limit = goal
        self._requests = 0
        self._saturated_windows = 0
        self._samples.clear()

    def _hold(self, windows: int) -> None:
        self._phase = _Phase.HOLD
        self._requests = 0
        self._hold_left = windows
        self._samples.clear()

    def _hold_longer(self) -> None:
        """Pause after a failure; the next pause is twice as long."""
        self._hold(self._hold_windows)
        self._hold_windows = min(2 * self._hold_windows, LONGEST_HOLD_WINDOWS)

    def _back_off(self, window: Window) -> None:
        self._is_expecting = False
        objected = min(self.limit, max(window.in_use, 1))
        if self._phase is not _Phase.RAISED or objected <= self._level:
            is_proven = self._is_proven or window.requests >= objected
            factor = SLOWDOWN_FACTOR if is_proven else UNPROVEN_FACTOR
            self._level = self._clamp(int(objected * factor))
            self._is_proven = False
            self._hold_windows = FIRST_HOLD_WINDOWS
        self.cuts += self._level < self.limit
        self.limit = self._level
        if self._ceiling is not None and objected >= self._ceiling:
            # The store has not grown since.
            self._ceiling_windows = min(2 * self._ceiling_windows, LONGEST_CEILING_WINDOWS)
        self._ceiling = objected
        self._ceiling_left = self._ceiling_windows
        self._is_starting = False
        self._upward = True
        self._is_echo = True
        self._hold_longer()

    def _age_ceiling(self) -> None:
        self._ceiling_left -= 1
        if self._ceiling_left < 0:
            self._ceiling = None

    def _raised(self) -> int:
        return self._raised_by(START_FACTOR if self._is_starting else TRIAL_FACTOR)

    def _raised_by(self, factor: float) -> int:
        goal = max(self._level + 1, int(self._level * factor))
        if self._ceiling is not None:
            goal = min(goal, int(self._ceiling * CEILING_SHARE))
        return max(self._level, self._clamp(goal))

    def _lowered(self) -> int:
        return self._clamp(int(self._level / TRIAL_FACTOR))

    def _clamp(self, limit: int) -> int:
        return max(self._minimum, min(self._maximum, limit))
