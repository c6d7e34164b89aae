"""Scrapes the gateway's metrics from its admin port, and computes rates and quantiles from successive scrapes."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

import httpx
from prometheus_client.parser import text_string_to_metric_families

from pgmq_gateway.dashboard.api import Problem

RATE_WINDOW_SECONDS = 10.0
SCRAPE_TIMEOUT_SECONDS = 5.0
CHECK_ADMIN_URL = "Check that the gateway is running, and that the dashboard's --admin is its admin port."
NO_ADMIN_URL = Problem(
    0,
    "No metrics: the dashboard does not know the URL of the gateway's admin port.",
    hint="Start it with: pgmq-gateway dashboard --admin URL",
)


@dataclass(frozen=True, slots=True)
class Scrape:
    """The metrics at one time.

    at      seconds of the monotonic clock
    values  by the name of the sample, then by the value of its label (empty without a label)
    """

    at: float
    values: Mapping[str, Mapping[str, float]]

    def value(self, name: str) -> float:
        """The value of a metric, summed over its labels."""
        return sum(self.values.get(name, {}).values())


async def scrape(http: httpx.AsyncClient, admin: str | None, at: float) -> Scrape | Problem:
    """Get the metrics from the admin port with this URL."""
    if admin is None:
        return NO_ADMIN_URL
    url = f"{admin.rstrip('/')}/metrics"
    try:
        response = await http.get(url, timeout=SCRAPE_TIMEOUT_SECONDS)
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
        why = str(error) or type(error).__name__
        return Problem(0, f"The gateway's admin port at {admin} cannot be reached: {why}", hint=CHECK_ADMIN_URL)
    if not response.is_success:
        return Problem(response.status_code, f"{url} responds with {response.status_code}.", hint=CHECK_ADMIN_URL)
    try:
        return Scrape(at, _values(response.text))
    except ValueError as error:
        return Problem(response.status_code, f"{url} does not return metrics: {error}", hint=CHECK_ADMIN_URL)


def _values(text: str) -> Mapping[str, Mapping[str, float]]:
    values: dict[str, dict[str, float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            label = next(iter(sample.labels.values()), "")
            values.setdefault(sample.name, {})[label] = sample.value
    return values


@dataclass
class ScrapeWindow:
    """The scrapes of the last seconds. A counter that decreases, because a worker was replaced, counts as constant."""

    scrapes: deque[Scrape] = field(default_factory=deque)

    def add(self, scrape: Scrape) -> None:
        self.scrapes.append(scrape)
        while len(self.scrapes) > 2 and self.scrapes[1].at <= scrape.at - RATE_WINDOW_SECONDS:
            self.scrapes.popleft()

    def increase(self, name: str) -> Mapping[str, float]:
        """The increase of a counter within the window, by label."""
        first, last = (scrape.values.get(name, {}) for scrape in (self.scrapes[0], self.scrapes[-1]))
        return {label: max(0.0, value - first.get(label, 0.0)) for label, value in last.items()}

    def rates(self, name: str) -> Mapping[str, float] | None:
        """The increase per second, by label; None before the second scrape."""
        seconds = self.scrapes[-1].at - self.scrapes[0].at
        return {label: more / seconds for label, more in self.increase(name).items()} if seconds else None

    def rate(self, name: str) -> float | None:
        """The increase per second, summed over the labels; None before the second scrape."""
        rates = self.rates(name)
        return None if rates is None else sum(rates.values())

    def mean(self, name: str) -> float | None:
        """The mean of a histogram's observations within the window; None without one."""
        number = sum(self.increase(f"{name}_count").values())
        return sum(self.increase(f"{name}_sum").values()) / number if number else None

    def quantile(self, name: str, quantile: float) -> float | None:
        """A quantile of a histogram's observations within the window, interpolated; None without one."""
        buckets = sorted((float(bound), number) for bound, number in self.increase(f"{name}_bucket").items())
        rank = quantile * buckets[-1][1] if buckets else 0.0
        if not rank:
            return None
        low, below = 0.0, 0.0
        for bound, number in buckets:
            if number >= rank:
                break
            low, below = bound, number
        # The last bucket has no upper bound: give its lower one, as Prometheus does.
        return low if bound == float("inf") else low + (bound - low) * (rank - below) / (number - below)
