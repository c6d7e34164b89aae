"""The gateway's own figures: what its metrics say, from one look at its admin port to the next."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

import httpx
from prometheus_client.parser import text_string_to_metric_families

from pgmq_gateway.dashboard.api import Problem

# Seconds that a rate is taken over, and within which the admin port has to answer.
SPAN = 10.0
SECONDS = 5.0
UNKNOWN = "The dashboard has not been told where the gateway's admin port is: start it with --admin URL."


@dataclass(frozen=True, slots=True)
class Scrape:
    """The metrics at one time: by the sample's name, then by its label's value, which is empty without one."""

    at: float
    values: Mapping[str, Mapping[str, float]]

    def value(self, name: str) -> float:
        """One value, or all of a name together."""
        return sum(self.values.get(name, {}).values())


async def scrape(http: httpx.AsyncClient, admin: str | None, at: float) -> Scrape | Problem:
    """Look at the metrics of the gateway with this admin address."""
    if admin is None:
        return Problem(0, UNKNOWN)
    try:
        answer = await http.get(f"{admin.rstrip('/')}/metrics", timeout=SECONDS)
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
        return Problem(
            0, f"The gateway's admin port at {admin} cannot be reached: {str(error) or type(error).__name__}"
        )
    if not answer.is_success:
        return Problem(answer.status_code, f"The gateway's admin port at {admin} answers {answer.status_code}.")
    try:
        return Scrape(at, _values(answer.text))
    except ValueError as error:
        return Problem(answer.status_code, f"What {admin}/metrics answers is not understood: {error}")


def _values(text: str) -> Mapping[str, Mapping[str, float]]:
    values: dict[str, dict[str, float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            label = next(iter(sample.labels.values()), "")
            values.setdefault(sample.name, {})[label] = sample.value
    return values


@dataclass
class Course:
    """The looks of the last seconds. Counters go down when a worker has been replaced: then nothing is counted."""

    looks: deque[Scrape] = field(default_factory=deque)

    def look(self, scrape: Scrape) -> None:
        """One more look."""
        self.looks.append(scrape)
        while len(self.looks) > 2 and self.looks[1].at <= scrape.at - SPAN:
            self.looks.popleft()

    def more(self, name: str) -> Mapping[str, float]:
        """By how much the counters of this name have grown, by label."""
        first, last = (look.values.get(name, {}) for look in (self.looks[0], self.looks[-1]))
        return {label: max(0.0, value - first.get(label, 0.0)) for label, value in last.items()}

    def rates(self, name: str) -> Mapping[str, float] | None:
        """Growth per second, by label; None before the second look."""
        seconds = self.looks[-1].at - self.looks[0].at
        return {label: more / seconds for label, more in self.more(name).items()} if seconds else None

    def rate(self, name: str) -> float | None:
        """Growth per second of all together; None before the second look."""
        rates = self.rates(name)
        return None if rates is None else sum(rates.values())

    def mean(self, name: str) -> float | None:
        """The mean of what a histogram has been told; None when that was nothing."""
        number = sum(self.more(f"{name}_count").values())
        return sum(self.more(f"{name}_sum").values()) / number if number else None

    def quantile(self, name: str, part: float) -> float | None:
        """The value that this part of what a histogram has been told is not above, as near as its buckets say."""
        below = sorted((float(bound), number) for bound, number in self.more(f"{name}_bucket").items())
        wanted = part * below[-1][1] if below else 0.0
        if not wanted:
            return None
        low, less = 0.0, 0.0
        for bound, number in below:
            if number >= wanted:
                # Above the last bound nothing is known but that.
                return low if bound == float("inf") else low + (bound - low) * (wanted - less) / (number - less)
            low, less = bound, number
        return low
