"""How many requests are in flight, found by trying. Sees numbers of past windows, never a clock or a socket.

The governor holds a level and makes trials. A trial up doubles the level while a run starts, later it goes
up by half; it is kept when goodput rose by more than `GAIN`, else the last good level comes back. A trial
down looks whether fewer lanes would do as well; it mends a level that noise made too high. A store that asks
to slow down or stops answering lowers the level at once, and the level it objected to is a ceiling for some
time.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import Enum
from statistics import median

REQUEST_COST_BYTES = 256 * 1024
"""What one request counts beside its bytes: about what a connection moves in the 3 ms that a fast store
needs for the first byte. It lets runs of tiny objects be judged by their requests and runs of large ones by
their bytes."""

DEFAULT_INITIAL = 8
START_FACTOR = 2.0
"""While the run starts: three trials lead from 8 lanes to 64."""
TRIAL_FACTOR = 1.5
GAIN = 1.05
"""A trial up must earn more than this, or its lanes only cost memory and processor time."""
CLEAR_GAIN = 1.2
"""So much more in a single window ends a trial of the start at once: short runs have no time for several."""
CLEAR_LOSS = 0.8
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
SLOWDOWN_HOLD_WINDOWS = 4
CEILING_SHARE = 0.9
CEILING_WINDOWS = 240
"""One to two minutes at 0.25 to 0.5 s per window, then the store may have grown; doubles each time it had
not."""
LONGEST_CEILING_WINDOWS = 3840


@dataclass(frozen=True, slots=True)
class Window:
    """What the engine saw in one stretch of time, 0.25 to 0.5 s long.

    Attributes:
        seconds: How long it was.
        work_bytes: Body bytes that moved, without those of attempts thrown away.
        requests: Requests that ended well.
        in_use: The largest number of lanes that were busy at one moment.
        slowdowns: Answers that asked for fewer requests.
        timeouts: Connections that stalled: next to nothing moved on them for the stall deadline.
    """

    seconds: float
    work_bytes: int
    requests: int
    in_use: int
    slowdowns: int = 0
    timeouts: int = 0

    @property
    def goodput(self) -> float:
        """Bytes per second, each request counted as `REQUEST_COST_BYTES` more."""
        return (self.work_bytes + self.requests * REQUEST_COST_BYTES) / self.seconds


class _Phase(Enum):
    HOLD = "hold"
    RAISED = "raised"
    LOWERED = "lowered"


class Governor:
    """Finds the number of requests in flight that moves the most; see the module's docstring for how."""

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
        self._limit = self._level
        self._phase = _Phase.HOLD
        self._starting = True
        self._upward = True
        self._base = 0.0
        self._samples: deque[float] = deque(maxlen=MEMORY_WINDOWS)
        self._hold_left = 1
        self._hold_windows = FIRST_HOLD_WINDOWS
        self._is_echo = False
        self._ceiling: int | None = None
        self._ceiling_left = 0
        self._ceiling_windows = CEILING_WINDOWS

    @classmethod
    def fixed(cls, limit: int) -> Governor:
        """A governor that keeps the number the user chose, whatever it sees."""
        return cls(limit, minimum=limit, maximum=limit)

    def __repr__(self) -> str:
        return f"<Governor {self._limit} {self._phase.value} level={self._level} ceiling={self._ceiling}>"

    @property
    def limit(self) -> int:
        """How many requests may be in flight now."""
        return self._limit

    def observe(self, window: Window) -> int:
        """Learn from the window that just ended.

        A window in which not all lanes were busy says nothing about the level: there was too little to do.

        Returns:
            The limit from now on.
        """
        if window.seconds <= 0:
            return self._limit
        self._age_ceiling()
        # Answers to requests of the time before the last cut still come in; they must not cut twice.
        is_echo, self._is_echo = self._is_echo, False
        if is_echo:
            return self._limit
        if window.slowdowns or window.timeouts:
            self._back_off(window)
        elif window.in_use >= self._limit:
            self._judge(window.goodput)
        return self._limit

    def _judge(self, goodput: float) -> None:
        self._samples.append(goodput)
        if self._phase is _Phase.RAISED:
            self._judge_raised(goodput)
        elif self._phase is _Phase.LOWERED:
            self._judge_lowered(goodput)
        else:
            self._base = median(self._samples)
            self._hold_left -= 1
            if self._hold_left <= 0:
                self._begin_trial()

    def _judge_raised(self, goodput: float) -> None:
        if self._starting and goodput >= self._base * CLEAR_GAIN:
            self._accept(goodput)
        elif len(self._samples) > TRIAL_WINDOWS:
            trial = self._trial_goodput()
            if trial > self._base * GAIN:
                self._accept(trial)
            else:
                self._reject()

    def _judge_lowered(self, goodput: float) -> None:
        if len(self._samples) > 1 and goodput < self._base * CLEAR_LOSS:
            self._reject()
        elif len(self._samples) > TRIAL_WINDOWS:
            trial = self._trial_goodput()
            if trial >= self._base * LOSS:
                self._accept(trial)
            else:
                self._reject()

    def _trial_goodput(self) -> float:
        return median(list(self._samples)[1:])

    def _accept(self, goodput: float) -> None:
        was_raised = self._phase is _Phase.RAISED
        self._level = self._limit
        self._base = goodput
        self._hold_windows = FIRST_HOLD_WINDOWS
        if was_raised and self._raised() > self._level:
            self._begin_trial()
        else:
            self._hold(FIRST_HOLD_WINDOWS)

    def _reject(self) -> None:
        self._limit = self._level
        self._starting = False
        self._upward = not self._upward
        self._hold(self._hold_windows)
        self._hold_windows = min(2 * self._hold_windows, LONGEST_HOLD_WINDOWS)

    def _begin_trial(self) -> None:
        goal = self._raised() if self._upward else self._lowered()
        if goal == self._level:
            self._upward = not self._upward
            self._starting = False
            self._hold(self._hold_windows)
            return
        self._phase = _Phase.RAISED if self._upward else _Phase.LOWERED
        self._limit = goal
        self._samples.clear()

    def _hold(self, windows: int) -> None:
        self._phase = _Phase.HOLD
        self._hold_left = windows
        self._samples.clear()

    def _back_off(self, window: Window) -> None:
        objected = min(self._limit, max(window.in_use, 1))
        self._level = self._limit = self._clamp(int(objected * SLOWDOWN_FACTOR))
        if self._ceiling is not None:
            self._ceiling_windows = min(2 * self._ceiling_windows, LONGEST_CEILING_WINDOWS)
        self._ceiling = objected
        self._ceiling_left = self._ceiling_windows
        self._starting = False
        self._upward = True
        self._is_echo = True
        self._hold_windows = FIRST_HOLD_WINDOWS
        self._hold(SLOWDOWN_HOLD_WINDOWS)

    def _age_ceiling(self) -> None:
        self._ceiling_left -= 1
        if self._ceiling_left < 0:
            self._ceiling = None

    def _raised(self) -> int:
        factor = START_FACTOR if self._starting else TRIAL_FACTOR
        goal = max(self._level + 1, int(self._level * factor))
        if self._ceiling is not None:
            goal = min(goal, int(self._ceiling * CEILING_SHARE))
        return max(self._level, self._clamp(goal))

    def _lowered(self) -> int:
        return self._clamp(int(self._level / TRIAL_FACTOR))

    def _clamp(self, limit: int) -> int:
        return max(self._minimum, min(self._maximum, limit))
