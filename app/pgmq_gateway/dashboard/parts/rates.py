"""Messages per second in and out of each queue, from the totals of successive samples."""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from pgmq_gateway.dashboard.api import Row

# A sparkline has this many steps of this many seconds, and this size in pixels.
POINTS, STEP_SECONDS, WIDTH_PX, HEIGHT_PX = 60, 15, 120, 24
# A shorter window would make the rate of a slow queue flicker between 0 and 1.
RATE_WINDOW_SECONDS = 10.0

Pair = tuple[float, float]


@dataclass
class QueueRates:
    """Rates of one queue over time.

    samples  (time, messages sent, messages removed) within the rate window
    steps    the rates in and out, by the number of the step
    """

    samples: deque[tuple[float, float, float]] = field(default_factory=deque)
    steps: dict[int, Pair] = field(default_factory=dict)

    def add(self, at: float, sent: float, removed: float) -> None:
        self.samples.append((at, sent, removed))
        while len(self.samples) > 2 and self.samples[1][0] <= at - RATE_WINDOW_SECONDS:
            self.samples.popleft()
        if now := self.now():
            self.steps[int(at / STEP_SECONDS)] = now
        for step in [step for step in self.steps if step <= at / STEP_SECONDS - POINTS]:
            del self.steps[step]

    def now(self) -> Pair | None:
        """Messages per second, in and out; None before the second sample."""
        (first, sent, removed), (last, last_sent, last_removed) = self.samples[0], self.samples[-1]
        if last <= first:
            return None
        return max(0.0, (last_sent - sent) / (last - first)), max(0.0, (last_removed - removed) / (last - first))


class Rates:
    """Rates of all queues, from the history and from the page's own samples. Times are seconds since 1970."""

    def __init__(self) -> None:
        self._queues: dict[str, QueueRates] = {}

    def add_history(self, history: Iterable[Row]) -> None:
        """Add rows of pgmq_admin.history."""
        for sample in history:
            if sample["sent_rate"] is not None:
                out = (sample["archived_rate"] or 0.0) + (sample["deleted_rate"] or 0.0)
                rates = self._queues.setdefault(sample["queue_name"], QueueRates())
                step = int(datetime.fromisoformat(sample["at"]).timestamp() / STEP_SECONDS)
                rates.steps[step] = sample["sent_rate"], out

    def add(self, at: float, queues: Sequence[Row]) -> None:
        """Add rows of pgmq_admin.list_queues."""
        for queue in queues:
            # Purging a queue does not reset its ids: `sent` minus the messages present is the number removed.
            removed = queue["sent"] - queue["messages"]
            self._queues.setdefault(queue["queue_name"], QueueRates()).add(at, queue["sent"], removed)

    def now(self, queue: str) -> Pair | None:
        """Messages per second of a queue, in and out."""
        return self._queues[queue].now()

    def lines(self, queue: str, at: float) -> Mapping[str, str] | None:
        """SVG points of the sparkline's lines `in` and `out`, on one scale. The right edge is the time `at`.

        None without traffic.
        """
        steps = sorted(self._queues[queue].steps.items())
        top = max((max(pair) for _, pair in steps), default=0.0)
        if not top:
            return None
        first = int(at / STEP_SECONDS) - POINTS + 1

        def point(step: int, rate: float) -> str:
            x, y = (step - first) * WIDTH_PX / (POINTS - 1), HEIGHT_PX - 1 - rate / top * (HEIGHT_PX - 2)
            return f"{x:.1f},{y:.1f}"

        return {
            name: " ".join(point(step, pair[index]) for step, pair in steps) for index, name in enumerate(("in", "out"))
        }
