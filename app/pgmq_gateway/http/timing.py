"""How long a request and its stages take, on one clock."""

from collections.abc import Sequence
from time import perf_counter


class Stopwatch:
    """Runs from the start of a request.

    stages  finished stages with their seconds; always empty here
    """

    __slots__ = ("_began",)

    stages: Sequence[tuple[str, float]] = ()

    def __init__(self) -> None:
        self._began = perf_counter()

    @property
    def elapsed(self) -> float:
        """Seconds since the start, never less than the sum of the stages."""
        return perf_counter() - self._began

    def lap(self, stage: str) -> None:
        """Finish a stage and start the next one."""


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


def server_timing(stages: Sequence[tuple[str, float]]) -> str:
    """The value of Server-Timing (W3C): milliseconds with one decimal, as in PostgREST."""
    return ", ".join(f"{stage};dur={1000 * seconds:.1f}" for stage, seconds in stages)
