"""How long the stages of a request took: Server-Timing (W3C), for operators who ask for it."""

from time import perf_counter


class Untimed:
    """For requests that nobody asks it of."""

    def lap(self, stage: str) -> None:
        """A stage has ended."""


UNTIMED = Untimed()


class Timing(Untimed):
    """A stopwatch for one request: its stages so far, each with its seconds."""

    def __init__(self) -> None:
        self.stages: list[tuple[str, float]] = []
        self._began = self._last = perf_counter()

    @property
    def elapsed(self) -> float:
        """Seconds since the start, on the clock of the stages: never less than their sum."""
        return perf_counter() - self._began

    def lap(self, stage: str) -> None:
        """A stage has ended."""
        now = perf_counter()
        self.stages.append((stage, now - self._last))
        self._last = now

    @property
    def header(self) -> tuple[str, str]:
        """The stages so far, in milliseconds (PostgREST: one digit behind the point)."""
        return "Server-Timing", ", ".join(f"{stage};dur={1000 * seconds:.1f}" for stage, seconds in self.stages)
