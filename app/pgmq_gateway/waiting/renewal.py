"""The leases of a stream that keeps them for its client."""

import math
from collections.abc import Collection, Sequence

from pgmq_gateway.waiting.events import Row

SHORTEST_LEASE_SECONDS = 1.0
# Extensions in each lease.
PER_LEASE = 3


class Renewal:
    """Extends leases three times in each, for a limited time after the delivery.

    due  when leases are to be extended
    """

    def __init__(self, seconds: float, lease: float | None) -> None:
        self._seconds = seconds
        self._given = lease
        self._lease = math.inf
        self._until: dict[str, float] = {}
        self.due = math.inf

    def delivered(self, rows: Sequence[Row], now: float) -> None:
        """Keep the leases of these messages."""
        self._lease = min(self._lease, *[self._lease_of(row) for row in rows])
        self._until.update({row.receipt: now + self._seconds for row in rows})
        self.due = min(self.due, now + self._lease / PER_LEASE)

    def take(self, held: Collection[str], now: float) -> Collection[str]:
        """The receipts whose leases are to be extended now, among those that have not been settled."""
        kept = set(held)
        self._until = {receipt: until for receipt, until in self._until.items() if receipt in kept and until > now}
        self.due = now + self._lease / PER_LEASE if self._until else math.inf
        return self._until.keys()

    def _lease_of(self, row: Row) -> float:
        return max(SHORTEST_LEASE_SECONDS, row.lease) if self._given is None else self._given
