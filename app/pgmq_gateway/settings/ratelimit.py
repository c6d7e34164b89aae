"""The setting of rate limits: `anon=10/s, authenticated=100 messages/m burst 200 by sub, anon=2 waiting by ip`."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

EVERY_OTHER = "*"
ADDRESS = "ip"
HEADER = "header:"
PERIODS = {"s": 1, "m": 60, "h": 3600}

_LIMIT = re.compile(
    r"(?P<role>[^=\s]+)\s*=\s*(?P<count>[0-9]{1,9})(?:\s*(?P<unit>requests|messages))?\s*/\s*(?P<period>[smh])"
    r"(?:\s+burst\s+(?P<burst>[0-9]{1,9}))?(?:\s+by\s+(?P<by>[!#-~]+))?"
)
_WAIT_LIMIT = re.compile(r"(?P<role>[^=\s]+)\s*=\s*(?P<count>[0-9]{1,9})\s+waiting(?:\s+by\s+(?P<by>[!#-~]+))?")


@dataclass(frozen=True, slots=True)
class RateLimit:
    """The rate limit of a role, enforced with token buckets.

    role    a role, or `*` for every role without a limit of its own
    count   requests or messages per period
    period  seconds
    burst   capacity of a bucket
    unit    `requests` or `messages`
    by      key of the buckets: a claim (nested ones with dots), `ip` or `header:NAME`; empty: one bucket for the role
    """

    role: str
    count: int
    period: int
    burst: int
    unit: str
    by: str

    @property
    def rate(self) -> float:
        """Tokens per second."""
        return self.count / self.period

    @property
    def window(self) -> float:
        """Seconds in which an empty bucket refills."""
        return self.burst / self.rate

    @property
    def name(self) -> str:
        """Unique among the limits of the role."""
        period = next(letter for letter, seconds in PERIODS.items() if seconds == self.period)
        return f"{self.unit}/{period}{f' by {self.by}' if self.by else ''}"


@dataclass(frozen=True, slots=True)
class WaitLimit:
    """The number of requests of a role that can wait for messages at once; 0: none. `role` and `by` as in RateLimit."""

    role: str
    count: int
    by: str

    @property
    def name(self) -> str:
        """Unique among the limits of the role."""
        return f"waiting{f' by {self.by}' if self.by else ''}"


Limit = RateLimit | WaitLimit


def read_rate_limits(texts: Iterable[str]) -> tuple[Limit, ...]:
    """Parse the items of the setting. Raises ValueError."""
    limits = tuple(_limit(number, text) for number, text in enumerate(texts, 1))
    names = [(limit.role, limit.name) for limit in limits]
    if twice := next((pair for pair in names if names.count(pair) > 1), None):
        raise ValueError(f"role {twice[0]} has two limits on {twice[1]}: remove one")
    return limits


def _limit(number: int, text: str) -> Limit:
    # Errors do not quote the text, which may be a secret pasted into the wrong setting.
    if waits := _WAIT_LIMIT.fullmatch(text):
        return WaitLimit(waits["role"], int(waits["count"]), waits["by"] or "")
    found = _LIMIT.fullmatch(text)
    if found is None:
        raise ValueError(
            f"limit {number} is malformed: write ROLE=COUNT/s, such as anon=10/s,"
            " authenticated=100 messages/m burst 200 by sub, or anon=2 waiting by ip"
        )
    count, unit, by = int(found["count"]), found["unit"] or "requests", found["by"] or ""
    burst = count if found["burst"] is None else int(found["burst"])
    if not count or not burst:
        raise ValueError(
            f"limit {number} allows nothing: revoke the privilege instead, or write a count and a burst of at least 1"
        )
    if unit == "messages" and (by == ADDRESS or by.startswith(HEADER)):
        raise ValueError(f"limit {number} counts messages by address or header: write by CLAIM, or count requests")
    return RateLimit(found["role"], count, PERIODS[found["period"]], burst, unit, by)
