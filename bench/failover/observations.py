"""A fault as seen by the clients of a gateway and by an orchestrator that polls `/ready`."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import aiohttp

from bench.checker.history import Call, History, Outcome

READY_SECONDS = 0.1
READY_TIMEOUT = aiohttp.ClientTimeout(total=5)
# Longer than a call takes, so that each client's first call without a response counts.
IN_FLIGHT_SECONDS = 1.0


@dataclass(slots=True)
class Readiness:
    """The responses of `/ready` as times and whether they were 2xx."""

    samples: list[tuple[float, bool]] = field(default_factory=list)

    async def poll(self, url: str, over: Callable[[], bool]) -> None:
        """Poll until the end."""
        async with aiohttp.ClientSession(timeout=READY_TIMEOUT) as http:
            while not over():
                try:
                    async with http.get(url) as got:
                        ready = got.ok
                except (aiohttp.ClientError, TimeoutError):
                    ready = False
                self.samples.append((time.time(), ready))
                await asyncio.sleep(READY_SECONDS)

    def lag(self, good: float) -> float:
        """Seconds from the first good call until the response is 2xx, 0 if it was before."""
        before = [ready for at, ready in self.samples if at <= good]
        if before and before[-1]:
            return 0.0
        return next((at - good for at, ready in self.samples if ready and at > good), float("inf"))


@dataclass(frozen=True, slots=True)
class Times:
    """Times of a run.

    fault      the start of the fault's injection
    effective  the end of its injection
    recovery   the promotion or, without one, the end of the fault
    until      the end of the load
    """

    fault: float
    effective: float
    recovery: float
    until: float = float("inf")


@dataclass(frozen=True, slots=True)
class Observation:
    """One gateway at a fault. Times in seconds.

    silence    the longest time without an acknowledged send
    after      from the promotion to the end of the silence; without a promotion, from the end of the fault
    ready_lag  of `/ready` behind the first acknowledged send
    in_flight  the longest wait, from the fault on, of a call that began at most a second after its injection
    failures   responses other than 2xx
    """

    silence: float
    after: float
    ready_lag: float
    in_flight: float
    failures: dict[str, int]
    acknowledged: int

    def __str__(self) -> str:
        return (
            f"2xx {self.after:+.1f} s (silent for {self.silence:.1f} s), /ready {self.ready_lag:+.1f} s,"
            f" in flight {self.in_flight:.1f} s, not 2xx: {listed(self.failures)}"
        )


def observe(history: History, readiness: Readiness, times: Times) -> Observation:
    """The observation of a gateway."""
    start, end = silence(history.calls, times.fault, times.until)
    waits = [
        call.returned - max(call.invoked, times.fault)
        for call in history.calls
        if call.invoked <= times.effective + IN_FLIGHT_SECONDS and times.fault < call.returned
    ]
    return Observation(
        silence=end - start,
        after=end - times.recovery,
        ready_lag=readiness.lag(end),
        in_flight=max(waits, default=0.0),
        failures=dict(Counter(call.note for call in history.calls if call.note)),
        acknowledged=sum(len(call.ids) for call in history.calls),
    )


def listed(failures: Mapping[str, int]) -> str:
    """Failures in words, the most frequent first."""
    most_first = sorted(failures.items(), key=lambda pair: -pair[1])
    return ", ".join(f"{number:,} x {note}" for note, number in most_first) or "none"


def silence(calls: Sequence[Call], fault_at: float, until: float) -> tuple[float, float]:
    """The longest time without an acknowledged send between a fault and the end of the load, which ends a run without
    recovery: its silence is infinite.
    """
    good = sorted(call.returned for call in calls if _acknowledged(call) and fault_at < call.returned < until)
    start, end = max(pairwise([fault_at, *good, until]), key=lambda pair: pair[1] - pair[0])
    return start, end if end < until else float("inf")


def _acknowledged(call: Call) -> bool:
    """True for a successful send."""
    return bool(call.sent) and call.outcome is Outcome.OK
