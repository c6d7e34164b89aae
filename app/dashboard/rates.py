"""How fast messages come and go: from the totals of one look to those of the next."""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from app.dashboard.api import Row

# Points of a sparkline, and its size.
POINTS, WIDTH, HEIGHT = 60, 120, 24
# Seconds that a rate is taken over, so that a slow trickle does not flicker between 0 and 1.
SPAN = 10.0


@dataclass
class Course:
    """Rates of one queue over time. `looks` are (time, sent, gone) of the last seconds."""

    looks: deque[tuple[float, float, float]] = field(default_factory=deque)
    points: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=POINTS))

    def look(self, at: float, sent: float, gone: float) -> None:
        """One more look at the totals."""
        self.looks.append((at, sent, gone))
        while len(self.looks) > 2 and self.looks[1][0] <= at - SPAN:
            self.looks.popleft()
        if now := self.now():
            self.points.append(now)

    def now(self) -> tuple[float, float] | None:
        """Messages per second, in and out; None before the second look."""
        (first, sent, gone), (last, sent_last, gone_last) = self.looks[0], self.looks[-1]
        if last <= first:
            return None
        return max(0.0, (sent_last - sent) / (last - first)), max(0.0, (gone_last - gone) / (last - first))


class Rates:
    """Rates of all queues, as far as one page has seen them or history tells."""

    def __init__(self) -> None:
        self._courses: dict[str, Course] = {}

    def remember(self, history: Iterable[Row]) -> None:
        """What has been before the page was opened."""
        for sample in history:
            out = (sample.get("archived_rate") or 0.0) + (sample.get("deleted_rate") or 0.0)
            course = self._courses.setdefault(sample["queue_name"], Course())
            course.points.append((sample.get("sent_rate") or 0.0, out))

    def look(self, at: float, queues: Sequence[Row]) -> None:
        """The queues as they are now."""
        for queue in queues:
            # Ids go on when a queue is emptied, so that what was sent and is not there is gone.
            gone = queue["sent"] - queue["messages"]
            self._courses.setdefault(queue["queue_name"], Course()).look(at, queue["sent"], gone)

    def now(self, queue: str) -> tuple[float, float] | None:
        """Messages per second of a queue, in and out."""
        return self._courses[queue].now()

    def lines(self, queue: str) -> Mapping[str, str]:
        """The points of its sparkline's two lines, as SVG has them, to one scale."""
        points = list(self._courses[queue].points)
        top = max((max(pair) for pair in points), default=0.0) or 1.0
        step, start = WIDTH / (POINTS - 1), POINTS - len(points)
        return {
            name: " ".join(
                f"{(start + place) * step:.1f},{HEIGHT - 1 - pair[index] / top * (HEIGHT - 2):.1f}"
                for place, pair in enumerate(points)
            )
            for index, name in enumerate(("in", "out"))
        }
