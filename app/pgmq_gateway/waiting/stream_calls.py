"""The calls of a stream, in its caller's role: reads, and what keeps its credit and its leases."""

from collections.abc import Mapping, Sequence

import msgspec

from pgmq_gateway.calls.call import Call
from pgmq_gateway.calls.catalog import Catalog, Function, Result
from pgmq_gateway.calls.statement import Statement
from pgmq_gateway.http.request import RequestSettings
from pgmq_gateway.postgrest.messages import as_json
from pgmq_gateway.schemas import LEASES
from pgmq_gateway.waiting.settling import settle

# Receipts of $2, after the queue, that still identify a leased delivery.
UNSETTLED = """
select
    null::pg_catalog.int8 as total,
    pg_catalog.count(*) as row_count,
    coalesce(pg_catalog.json_agg(u.receipt)::pg_catalog.text, '[]') as body
from pgmq_settings.unsettled(($2)[1], ($2)[2:]) as u
"""


class StreamCalls:
    """Makes the calls.

    given  the arguments of its reads, as JSON, without n
    """

    __slots__ = ("_catalog", "_closed", "_disconnected", "_given", "_read")

    def __init__(self, read: Call, given: Mapping[str, str], catalog: Catalog) -> None:
        self._closed = False
        self._disconnected = read.abandoned
        self._read = msgspec.structs.replace(read, abandoned=self.abandoned)
        self._given = given
        self._catalog = catalog

    def abandoned(self) -> bool:
        """True if the client has disconnected, or the stream has ended: a read in progress delivers to no client."""
        return self._closed or self._disconnected()

    def followed(self) -> bool:
        """True if a further request on the client's connection waits for the end of the stream."""
        return self._read.followed()

    def close(self) -> None:
        """End a read in progress soon: it returns what it finds."""
        self._closed = True

    @property
    def request(self) -> RequestSettings:
        """The headers and the path of its request, which policies can read."""
        return self._read.request

    def read(self, n: int, wait: float) -> Call:
        """Read n messages. `wait`: seconds to wait for the first one."""
        return msgspec.structs.replace(self._read, body=as_json({**self._given, "n": str(n)}).body, wait=wait)

    def unsettled(self, queue: str, receipts: Sequence[str]) -> Call:
        """Select the receipts that have not been settled, and whose leases have not ended, as a JSON array."""
        # In a transaction that may write, as the read: a db-pre-request may need it.
        placeholder = Function(LEASES, "unsettled", (), Result.SCALAR, returns_set=True, volatile=False)
        return msgspec.structs.replace(
            self._read,
            function=placeholder,
            statement=Statement(UNSETTLED, (queue, *receipts)),
            body=None,
            # The streams of other clients need the result too.
            abandoned=bool,
        )

    def extend(self, queue: str, receipts: Sequence[str]) -> Call:
        """Extend leases."""
        lease = self._given.get("sleep_seconds", "null")
        if lease == "null":
            return settle(self._catalog, self._read, queue, "extensions", receipts)
        seconds = msgspec.Raw(lease.encode())
        extensions = [{"receipt": receipt, "sleep_seconds": seconds} for receipt in receipts]
        return settle(self._catalog, self._read, queue, "extensions", extensions)
