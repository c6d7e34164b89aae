"""Limits per caller as an operator writes them: `anon=10/s, authenticated=100 messages/m burst 200 by sub`."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

EVERY_OTHER = "*"
ADDRESS = "ip"
HEADER = "header:"
PERIODS = {"s": 1, "m": 60, "h": 3600}

_LIMIT = re.compile(
    r"(?P<role>[^=\s]+)\s*=\s*(?P<count>[0-9]{1,9})(?:\s*(?P<what>requests|messages))?\s*/\s*(?P<period>[smh])"
    r"(?:\s+burst\s+(?P<burst>[0-9]{1,9}))?(?:\s+by\s+(?P<by>[!#-~]+))?"
)


@dataclass(frozen=True, slots=True)
class RateLimit:
    """What the callers of a role may do.

    role    a role, or `*` for each that no limit names
    count   how many requests or messages in each period
    period  seconds
    burst   how many at once, after a time of none
    what    `requests` or `messages`
    by      what tells callers of the role apart: a claim, in claims of claims with dots between, `ip` or
            `header:NAME`; empty: nothing, they share the limit
    """

    role: str
    count: int
    period: int
    burst: int
    what: str
    by: str

    @property
    def rate(self) -> float:
        """How many in a second."""
        return self.count / self.period

    @property
    def window(self) -> float:
        """Seconds in which a whole burst comes back."""
        return self.burst / self.rate

    @property
    def name(self) -> str:
        """What tells it from the other limits of its role."""
        period = next(letter for letter, seconds in PERIODS.items() if seconds == self.period)
        return f"{self.what}/{period}{f' by {self.by}' if self.by else ''}"


def read_rate_limits(texts: Iterable[str]) -> tuple[RateLimit, ...]:
    """The limits that a setting lists. Raises ValueError that says what is wrong."""
    limits = tuple(_limit(number, text) for number, text in enumerate(texts, 1))
    names = [(limit.role, limit.name) for limit in limits]
    if twice := next((pair for pair in names if names.count(pair) > 1), None):
        raise ValueError(f"two limits say {twice[1]} of the same role: leave one")
    return limits


def _limit(number: int, text: str) -> RateLimit:
    """The text itself is not repeated: it may be a secret that has come to the wrong place."""
    found = _LIMIT.fullmatch(text)
    if found is None:
        raise ValueError(
            f"limit {number} cannot be read: write ROLE=COUNT/s, as in anon=10/s, or "
            "authenticated=100 messages/m burst 200 by sub"
        )
    count, what, by = int(found["count"]), found["what"] or "requests", found["by"] or ""
    burst = count if found["burst"] is None else int(found["burst"])
    if not count or not burst:
        raise ValueError(f"limit {number} allows nothing at all: that is a right to revoke")
    if what == "messages" and (by == ADDRESS or by.startswith(HEADER)):
        raise ValueError(f"limit {number} cannot be: messages are counted by role or by a claim")
    return RateLimit(found["role"], count, PERIODS[found["period"]], burst, what, by)
