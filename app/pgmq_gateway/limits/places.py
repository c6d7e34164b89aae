"""Limits on waiting requests: the number that each role, claim, address or header can have at once.

Each process counts separately.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from pgmq_gateway.errors import GatewayError
from pgmq_gateway.settings.ratelimit import WaitLimit


class WaitLimitReached(GatewayError):
    """A request that would wait for messages beside too many others. Nothing was executed."""

    status, code = 429, "PGMQ429"

    def __init__(self, limit: WaitLimit) -> None:
        super().__init__(
            "Too many waiting requests",
            f"The limit of role {limit.role} is {limit.count} {limit.name} at once.",
            "Retry when one of them has ended, or read without waiting." if limit.count else "Read without waiting.",
        )
        if limit.count:
            self.headers = (("Retry-After", "1"),)


class Places:
    """The places of one limit for waiting requests, by key. Keys without a waiting request are not kept."""

    def __init__(self, limit: WaitLimit) -> None:
        self.limit = limit
        self._taken: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._taken)

    def left(self, key: str) -> int:
        """Places that are free."""
        return self.limit.count - self._taken.get(key, 0)

    def take(self, key: str) -> None:
        self._taken[key] = self._taken.get(key, 0) + 1

    def give_back(self, key: str) -> None:
        self._taken[key] -= 1
        if not self._taken[key]:
            del self._taken[key]


@contextmanager
def taken(places: Iterable[tuple[Places, str]]) -> Iterator[None]:
    """Take a place of each limit, or none, during a `with` block. Raises WaitLimitReached."""
    for one, key in places:
        if not one.left(key):
            raise WaitLimitReached(one.limit)
    for one, key in places:
        one.take(key)
    try:
        yield
    finally:
        for one, key in places:
            one.give_back(key)
