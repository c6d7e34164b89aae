"""Rate limiting with token buckets, one for each role, claim, address or header that a limit distinguishes.

Limits on waiting requests have places instead (`places.py`).

Each process counts separately.
"""

import hashlib
import json
import math
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from typing import Self, TypeGuard

from pgmq_gateway.auth.caller import Caller
from pgmq_gateway.errors import GatewayError, Headers
from pgmq_gateway.http.request import Head
from pgmq_gateway.limits.places import Places, taken
from pgmq_gateway.settings.model import Settings
from pgmq_gateway.settings.ratelimit import ADDRESS, EVERY_OTHER, HEADER, Limit, RateLimit, read_rate_limits

Clock = Callable[[], float]

# Buckets kept for each limit. When all are in use, further callers share one bucket. Only full buckets are dropped, so
# that a client cannot regain tokens by evicting its own bucket.
MAX_BUCKETS = 20_000
SHARED_KEY = "\0"
# Between removals of full buckets.
SWEEP_INTERVAL_SECONDS = 1.0
# Cached bucket keys of claims.
MAX_CACHED_KEYS = 1024
# Tolerance for rounding errors of floating-point sums.
EPSILON_SECONDS = 1e-6


class TooMany(GatewayError):
    """A request above the rate limit. Nothing was executed.

    retry_after  seconds
    """

    status, code = 429, "PGMQ429"

    def __init__(self, limit: RateLimit, wait: float) -> None:
        self.retry_after = seconds = max(1, math.ceil(wait - EPSILON_SECONDS))
        super().__init__(
            f"Too many {limit.unit}",
            _stated(limit),
            f"Retry after {seconds} s.",
        )
        self.headers = (("Retry-After", str(seconds)),)


class TooManyAtOnce(GatewayError):
    """A call of more messages than the bucket holds, which can never succeed. Nothing was executed."""

    status, code = 413, "PGMQ413"

    def __init__(self, limit: RateLimit, amount: int) -> None:
        super().__init__(
            f"A call of {amount} messages exceeds the rate limit",
            _stated(limit),
            f"Send or read at most {limit.burst} messages in one call.",
        )


def _stated(limit: RateLimit) -> str:
    return f"The rate limit of role {limit.role} is {limit.count} {limit.name} with a burst of {limit.burst}."


class Buckets:
    """The token buckets of one rate limit.

    A bucket is stored as the time at which it will be full.
    """

    def __init__(self, limit: RateLimit, clock: Clock = time.monotonic) -> None:
        self.limit = limit
        self._clock = clock
        self._full: dict[str, float] = {}
        self._swept = -math.inf

    def __len__(self) -> int:
        return len(self._full)

    def wait(self, key: str, amount: int) -> float:
        """Seconds until so many tokens are available; infinite above the capacity."""
        if amount > self.limit.burst:
            return math.inf
        missing = self._missing(key) + amount / self.limit.rate - self.limit.window
        return missing if missing > EPSILON_SECONDS else 0.0

    def take(self, key: str, amount: float) -> None:
        """Take tokens, even below zero; a negative amount returns them."""
        now, key = self._clock(), self._stored_key(key)
        full = max(self._full.get(key, now), now) + amount / self.limit.rate
        if full > now:
            self._full[key] = full
        else:
            self._full.pop(key, None)

    def left(self, key: str) -> int:
        """Available tokens."""
        return max(0, math.floor(self.limit.burst - self._missing(key) * self.limit.rate + EPSILON_SECONDS))

    def refill(self, key: str) -> float:
        """Seconds until the bucket is full."""
        return self._missing(key)

    def _missing(self, key: str) -> float:
        return max(0.0, self._full.get(self._stored_key(key), 0.0) - self._clock())

    def _stored_key(self, key: str) -> str:
        if key in self._full or len(self._full) < MAX_BUCKETS:
            return key
        now = self._clock()
        if now - self._swept >= SWEEP_INTERVAL_SECONDS:
            self._swept = now
            self._full = {key: full for key, full in self._full.items() if full > now}
        return key if len(self._full) < MAX_BUCKETS else SHARED_KEY


class Charge:
    """The buckets that a request is charged to, and the places that it takes while it waits, each with its key."""

    __slots__ = ("_charged", "_places")

    def __init__(self, charged: Sequence[tuple[Buckets, str]], places: Sequence[tuple[Places, str]] = ()) -> None:
        self._charged = charged
        self._places = places

    def take(self, amount: int, unit: str) -> None:
        """Take from all buckets of this unit, or from none. Raises TooMany or TooManyAtOnce."""
        if not self._charged:
            return
        charged = [(buckets, key) for buckets, key in self._charged if buckets.limit.unit == unit]
        for buckets, key in charged:
            if wait := buckets.wait(key, amount):
                limit = buckets.limit
                raise TooManyAtOnce(limit, amount) if wait == math.inf else TooMany(limit, wait)
        for buckets, key in charged:
            buckets.take(key, amount)

    def settle(self, amount: int) -> None:
        """Correct an estimated charge of messages: take the difference, or return it (negative)."""
        for buckets, key in self._charged:
            buckets.take(key, amount)

    def waiting(self) -> AbstractContextManager[None]:
        """The places of a waiting request, for a `with` block. Raises WaitLimitReached when it begins."""
        return taken(self._places) if self._places else nullcontext()

    def headers(self) -> Headers:
        """The limits and their remaining tokens or places (draft-ietf-httpapi-ratelimit-headers-11)."""
        if not self._charged and not self._places:
            return ()
        described = [
            *(_described(buckets, key) for buckets, key in self._charged),
            *(_described_places(places, key) for places, key in self._places),
        ]
        policies, states = zip(*described, strict=True)
        return (("RateLimit-Policy", ", ".join(policies)), ("RateLimit", ", ".join(states)))


NO_CHARGE = Charge(())


class Throttle:
    """All rate limits with their buckets."""

    def __init__(self, limits: Iterable[Limit], clock: Clock = time.monotonic, earlier: Self | None = None) -> None:
        kept: dict[Limit, Buckets | Places] = {} if earlier is None else {one.limit: one for one in earlier.all}
        self.all: list[Buckets | Places] = [kept.get(limit) or _counters(limit, clock) for limit in limits]
        self._by_role: dict[str, list[Buckets | Places]] = {}
        for counters in self.all:
            self._by_role.setdefault(counters.limit.role, []).append(counters)
        self._others = self._by_role.pop(EVERY_OTHER, [])

    @classmethod
    def of(cls, settings: Settings, earlier: Self | None = None) -> Self:
        """The throttle of the settings. Unchanged limits keep the buckets and places of `earlier`."""
        return cls(read_rate_limits(settings.rate_limits), earlier=earlier)

    @property
    def count_messages(self) -> bool:
        """True if any limit counts messages."""
        return any(_counts_messages(counters) for counters in self.all)

    def of_request(self, caller: Caller, head: Head, address: str) -> Charge:
        """The charge of a request of a client with this address."""
        if not self.all:
            return NO_CHARGE
        charged: list[tuple[Buckets, str]] = []
        places: list[tuple[Places, str]] = []
        for counters in self._of(caller):
            key = f"{caller.role} {_bucket_key(counters.limit.by, caller, head, address)}"
            if isinstance(counters, Buckets):
                charged.append((counters, key))
            else:
                places.append((counters, key))
        return Charge(charged, places)

    def of_messages(self, caller: Caller) -> Charge:
        """The charge of a caller's messages, whose buckets are keyed by claims only."""
        mine = filter(_counts_messages, self._of(caller))
        return Charge([(buckets, f"{caller.role} {_claimed(buckets.limit.by, caller)}") for buckets in mine])

    def largest_call(self, caller: Caller, most: int) -> int:
        """The messages that one call of a caller can have: `most`, or fewer where a bucket holds fewer."""
        return min([most, *(buckets.limit.burst for buckets in filter(_counts_messages, self._of(caller)))])

    def _of(self, caller: Caller) -> list[Buckets | Places]:
        return self._by_role.get(caller.role, self._others)


def _counters(limit: Limit, clock: Clock) -> Buckets | Places:
    return Buckets(limit, clock) if isinstance(limit, RateLimit) else Places(limit)


def _counts_messages(counters: Buckets | Places) -> TypeGuard[Buckets]:
    return isinstance(counters, Buckets) and counters.limit.unit == "messages"


def _bucket_key(by: str, caller: Caller, head: Head, address: str) -> str:
    """The key that separates a caller from others of its role."""
    if by == ADDRESS:
        return address
    if by.startswith(HEADER):
        return _digest(head.headers.get(by.removeprefix(HEADER).lower(), ""))
    return _claimed(by, caller)


def _claimed(by: str, caller: Caller) -> str:
    return _claim(caller.claims, by) if by else ""


@lru_cache(MAX_CACHED_KEYS)
def _claim(claims: str, path: str) -> str:
    """A digest of a claim's value; tokens without the claim have the same one."""
    value: object = json.loads(claims)
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return _digest(json.dumps(value, sort_keys=True))


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=16).hexdigest()


def _described(buckets: Buckets, key: str) -> tuple[str, str]:
    """A policy and its state as items of structured fields (RFC 9651)."""
    limit = buckets.limit
    unit = "" if limit.unit == "requests" else f';qu="{limit.unit}"'
    return (
        f'"{limit.name}";q={limit.burst}{unit};w={math.ceil(limit.window)}',
        f'"{limit.name}";r={buckets.left(key)};t={math.ceil(buckets.refill(key) - EPSILON_SECONDS)}',
    )


def _described_places(places: Places, key: str) -> tuple[str, str]:
    limit = places.limit
    return f'"{limit.name}";q={limit.count};qu="concurrent-requests"', f'"{limit.name}";r={places.left(key)}'
