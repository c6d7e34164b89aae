"""Keeps callers within their limits: a token bucket for each role, claim or address that a limit tells apart.

Each process counts for itself. What has no limit costs nothing but the question whether there are any.
"""

import hashlib
import json
import math
import time
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Self

from pgmq_gateway.auth.caller import Caller
from pgmq_gateway.errors import GatewayError, Headers
from pgmq_gateway.http.asgi import Scope
from pgmq_gateway.http.request import Head
from pgmq_gateway.settings.model import Settings
from pgmq_gateway.settings.ratelimit import ADDRESS, EVERY_OTHER, HEADER, RateLimit, read_rate_limits

Clock = Callable[[], float]

# Buckets of one limit that are kept. Who comes when none of them is full shares one with all who come then: a bucket
# that is not full is never dropped, so nobody gets a new one by making the gateway forget the old one.
MOST_BUCKETS = 20_000
SHARED = "\0"
# Seconds between searches for full ones.
SWEEP_INTERVAL = 1.0
# Claims, and addresses, of which is remembered what tells them apart.
KEYS_KEPT = 1024
# What times may be off by: what comes back in small parts need not add up to the last digit.
EXACT = 1e-6
# The bits of an address of IPv6 that a network gives to one customer at least.
CUSTOMER = 64


class TooMany(GatewayError):
    """A call beyond its caller's limit. Nothing was executed."""

    status, code = 429, "PGMQ429"

    def __init__(self, limit: RateLimit, wait: float) -> None:
        seconds = max(1, math.ceil(wait - EXACT))
        super().__init__(
            f"Too many {limit.what}",
            f"The limit of role {limit.role} is {limit.count} {limit.name}, {limit.burst} at once.",
            f"Try again in {seconds} s.",
        )
        self.headers = (("Retry-After", str(seconds)),)


class TooManyAtOnce(GatewayError):
    """A call of more messages than its caller's limit ever lets through together. Nothing was executed."""

    status, code = 413, "PGMQ413"

    def __init__(self, limit: RateLimit, amount: int) -> None:
        super().__init__(
            f"{amount} messages in one call are more than the limit allows",
            f"The limit of role {limit.role} is {limit.count} {limit.name}, {limit.burst} at once.",
            f"Ask for {limit.burst} at most.",
        )


class Buckets:
    """The buckets of one limit.

    Of each only the time is kept at which it will be full: what is missing comes back at an even rate.
    """

    def __init__(self, limit: RateLimit, clock: Clock = time.monotonic) -> None:
        self.limit = limit
        self._clock = clock
        self._full: dict[str, float] = {}
        self._swept = -math.inf

    def __len__(self) -> int:
        return len(self._full)

    def wait(self, key: str, amount: int) -> float:
        """Seconds until so many can be taken: 0 when they can be now, infinite when they never can."""
        if amount > self.limit.burst:
            return math.inf
        missing = self._missing(key) + amount / self.limit.rate - self.limit.window
        return missing if missing > EXACT else 0.0

    def take(self, key: str, amount: float) -> None:
        """Take so many, whether they are there or not; a negative amount is given back."""
        now, place = self._clock(), self._place(key)
        full = max(self._full.get(place, now), now) + amount / self.limit.rate
        if full > now:
            self._full[place] = full
        else:
            self._full.pop(place, None)

    def left(self, key: str) -> int:
        """How many can be taken now."""
        return max(0, math.floor(self.limit.burst - self._missing(key) * self.limit.rate + EXACT))

    def refill(self, key: str) -> float:
        """Seconds until the bucket is full."""
        return self._missing(key)

    def _missing(self, key: str) -> float:
        return max(0.0, self._full.get(self._place(key), 0.0) - self._clock())

    def _place(self, key: str) -> str:
        if key in self._full or len(self._full) < MOST_BUCKETS:
            return key
        now = self._clock()
        if now - self._swept >= SWEEP_INTERVAL:
            self._swept = now
            self._full = {key: full for key, full in self._full.items() if full > now}
        return key if len(self._full) < MOST_BUCKETS else SHARED


class Drawn:
    """The buckets that a caller draws from, each with its key."""

    __slots__ = ("_places",)

    def __init__(self, places: Sequence[tuple[Buckets, str]]) -> None:
        self._places = places

    def take(self, amount: int, what: str) -> None:
        """Take from all that count this, or from none. Raises TooMany or TooManyAtOnce."""
        places = [(buckets, key) for buckets, key in self._places if buckets.limit.what == what]
        for buckets, key in places:
            if wait := buckets.wait(key, amount):
                limit = buckets.limit
                raise TooManyAtOnce(limit, amount) if wait == math.inf else TooMany(limit, wait)
        for buckets, key in places:
            buckets.take(key, amount)

    def settle(self, amount: int, what: str) -> None:
        """Take what was not foreseen, or give back what was not needed (negative)."""
        for buckets, key in self._places:
            if buckets.limit.what == what:
                buckets.take(key, amount)

    def headers(self) -> Headers:
        """The limits and what is left of them (draft-ietf-httpapi-ratelimit-headers-11)."""
        if not self._places:
            return ()
        policies, states = zip(*(_described(buckets, key) for buckets, key in self._places), strict=True)
        return (("RateLimit-Policy", ", ".join(policies)), ("RateLimit", ", ".join(states)))


NOTHING = Drawn(())


class Throttle:
    """All limits, and what has been drawn from them."""

    def __init__(self, limits: Iterable[RateLimit], clock: Clock = time.monotonic, earlier: Self | None = None) -> None:
        kept: dict[RateLimit, Buckets] = {} if earlier is None else {one.limit: one for one in earlier.all}
        self.all: list[Buckets] = [kept.get(limit) or Buckets(limit, clock) for limit in limits]
        self._by_role: dict[str, list[Buckets]] = {}
        for buckets in self.all:
            self._by_role.setdefault(buckets.limit.role, []).append(buckets)
        self._others = self._by_role.pop(EVERY_OTHER, [])

    @classmethod
    def of(cls, settings: Settings, earlier: Self | None = None) -> Self:
        """As the operator set it up. Limits that were there `earlier` go on where they were."""
        return cls(read_rate_limits(settings.rate_limits), earlier=earlier)

    @property
    def count_messages(self) -> bool:
        """Whether any of them counts messages."""
        return any(buckets.limit.what == "messages" for buckets in self.all)

    def of_request(self, caller: Caller, head: Head, scope: Scope) -> Drawn:
        """What a request draws from."""
        if not self.all:
            return NOTHING
        pairs = ((buckets, _told(buckets.limit.by, caller, head, scope)) for buckets in self._of(caller))
        return Drawn([(buckets, f"{caller.role} {told}") for buckets, told in pairs])

    def of_messages(self, caller: Caller) -> Drawn:
        """What the messages of a caller draw from, which are told apart by claims only."""
        mine = (buckets for buckets in self._of(caller) if buckets.limit.what == "messages")
        return Drawn([(buckets, f"{caller.role} {_claimed(buckets.limit.by, caller)}") for buckets in mine])

    def _of(self, caller: Caller) -> list[Buckets]:
        return self._by_role.get(caller.role, self._others)


def _told(by: str, caller: Caller, head: Head, scope: Scope) -> str:
    """What tells a caller apart from others of its role."""
    if by == ADDRESS:
        client = scope.get("client")
        return _network(client[0]) if client else ""
    if by.startswith(HEADER):
        return _digest(head.headers.get(by.removeprefix(HEADER).lower(), ""))
    return _claimed(by, caller)


def _claimed(by: str, caller: Caller) -> str:
    return _claim(caller.claims, by) if by else ""


@lru_cache(KEYS_KEPT)
def _network(address: str) -> str:
    """An address, or of IPv6 the network that its owner may take any number of addresses from."""
    try:
        found: IPv4Address | IPv6Address = ip_address(address)
    except ValueError:
        return address
    if isinstance(found, IPv6Address):
        return str(found.ipv4_mapped or IPv6Network((int(found), CUSTOMER), strict=False))
    return address


@lru_cache(KEYS_KEPT)
def _claim(claims: str, path: str) -> str:
    """The value of a claim, short whatever the token holds; all without it are the same."""
    value: object = json.loads(claims)
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return _digest(json.dumps(value, sort_keys=True))


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=16).hexdigest()


def _described(buckets: Buckets, key: str) -> tuple[str, str]:
    """A policy and its state as items of structured fields (RFC 9651)."""
    limit = buckets.limit
    unit = "" if limit.what == "requests" else f';qu="{limit.what}"'
    return (
        f'"{limit.name}";q={limit.burst}{unit};w={math.ceil(limit.window)}',
        f'"{limit.name}";r={buckets.left(key)};t={math.ceil(buckets.refill(key) - EXACT)}',
    )
