"""How fast messages come and go: from the totals of one look to those of the next."""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from pgmq_gateway.dashboard.api import Row

# A sparkline: so many steps of so many seconds, and its size.
POINTS, STEP, WIDTH, HEIGHT = 60, 15, 120, 24
# Seconds that a rate is taken over, so that a slow trickle does not flicker between 0 and 1.
SPAN = 10.0

Pair = tuple[float, float]


@dataclass
class Course:
    """Rates of one queue over time.

    looks  (time, sent, gone) of the last seconds
    steps  the rates in and out, by the number of the step
    """

    looks: deque[tuple[float, float, float]] = field(default_factory=deque)
    steps: dict[int, Pair] = field(default_factory=dict)

    def look(self, at: float, sent: float, gone: float) -> None:
        """One more look at the totals."""
        self.looks.append((at, sent, gone))
        while len(self.looks) > 2 and self.looks[1][0] <= at - SPAN:
            self.looks.popleft()
        if now := self.now():
            self.steps[int(at / STEP)] = now
        for step in [step for step in self.steps if step <= at / STEP - POINTS]:
            del self.steps[step]

    def now(self) -> Pair | None:
        """Messages per second, in and out; None before the second look."""
        (first, sent, gone), (last, sent_last, gone_last) = self.looks[0], self.looks[-1]
        if last <= first:
            return None
        return max(0.0, (sent_last - sent) / (last - first)), max(0.0, (gone_last - gone) / (last - first))


class Rates:
    """Rates of all queues, as far as one page has seen them or history tells. Times are seconds since 1970."""

    def __init__(self) -> None:
        self._courses: dict[str, Course] = {}

    def remember(self, history: Iterable[Row]) -> None:
        """What has been before the page was opened."""
        for sample in history:
            if sample["sent_rate"] is not None:
                out = (sample["archived_rate"] or 0.0) + (sample["deleted_rate"] or 0.0)
                course = self._courses.setdefault(sample["queue_name"], Course())
                course.steps[int(datetime.fromisoformat(sample["at"]).timestamp() / STEP)] = sample["sent_rate"], out

    def look(self, at: float, queues: Sequence[Row]) -> None:
        """The queues as they are now."""
        for queue in queues:
            # Ids go on when a queue is emptied, so that what was sent and is not there is gone.
            gone = queue["sent"] - queue["messages"]
            self._courses.setdefault(queue["queue_name"], Course()).look(at, queue["sent"], gone)

    def now(self, queue: str) -> Pair | None:
        """Messages per second of a queue, in and out."""
        return self._courses[queue].now()

    def lines(self, queue: str, at: float) -> Mapping[str, str]:
        """The points of its sparkline's two lines, as SVG has them, to one scale; on the right is `at`."""
        steps = sorted(self._courses[queue].steps.items())
        top = max((max(pair) for _, pair in steps), default=0.0) or 1.0
        first = int(at / STEP) - POINTS + 1
        return {
            name: " ".join(
                f"{(step - first) * WIDTH / (POINTS - 1):.1f},{HEIGHT - 1 - pair[index] / top * (HEIGHT - 2):.1f}"
                for step, pair in steps
            )
            for index, name in enumerate(("in", "out"))
        }
