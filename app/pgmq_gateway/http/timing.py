"""The durations of a request and its stages, on one clock."""

from collections.abc import Sequence
from time import perf_counter


class Stopwatch:
    """Runs from the start of a request.

    stages  finished stages with their seconds; always empty here
    waited  seconds for which the request has waited for messages
    """

    __slots__ = ("_began", "waited")

    stages: Sequence[tuple[str, float]] = ()

    def __init__(self) -> None:
        self._began = perf_counter()
        self.waited = 0.0

    @property
    def elapsed(self) -> float:
        """Seconds since the start, never less than the sum of the stages."""
        return perf_counter() - self._began

    def lap(self, stage: str) -> None:
        """Finish a stage and start the next one."""

    def wait(self, seconds: float) -> None:
        """Take a wait for messages out of the present stage. It becomes a stage of its own."""
        self.waited += seconds


class StageStopwatch(Stopwatch):
    """A stopwatch that records each stage."""

    __slots__ = ("_last", "stages")

    def __init__(self) -> None:
        super().__init__()
        self._last = self._began
        self.stages: list[tuple[str, float]] = []

    def lap(self, stage: str) -> None:
        now = perf_counter()
        self.stages.append((stage, now - self._last))
        self._last = now

    def wait(self, seconds: float) -> None:
        super().wait(seconds)
        self.stages.append(("wait", seconds))
        self._last += seconds


class RunningTime:
    """The time in which the process has run, for timeouts of others: while it is paused, they cannot be late.

    max_step  how long a step may be; a longer one contains a pause
    """

    def __init__(self, max_step: float) -> None:
        self._max_step = max_step
        self._last: float | None = None
        self._seconds = 0.0

    def step(self, now: float) -> float:
        """Take a step to `now`, and return the time in which the process has run until then."""
        if self._last is not None:
            self._seconds += min(now - self._last, self._max_step)
        self._last = now
        return self._seconds


def server_timing(stages: Sequence[tuple[str, float]]) -> str:
    """The value of Server-Timing (W3C): milliseconds with one decimal, as in PostgREST."""
    return ", ".join(f"{stage};dur={1000 * seconds:.1f}" for stage, seconds in stages)
