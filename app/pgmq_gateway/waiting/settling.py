"""Calls that settle deliveries to the caller of another call."""

from collections.abc import Sequence

import msgspec

from pgmq_gateway.calls.call import Call
from pgmq_gateway.calls.catalog import Catalog
from pgmq_gateway.calls.statement import PLAIN, statement
from pgmq_gateway.postgrest.arguments import Arguments
from pgmq_gateway.postgrest.media import ARRAY
from pgmq_gateway.postgrest.preferences import Preferences
from pgmq_gateway.schemas import LEASES


def settle(catalog: Catalog, call: Call, queue: str, operation: str, entries: Sequence[object]) -> Call:
    """A call of pgmq_api.settle. Raises FunctionNotFound.

    operation  the argument that receives the entries: `retries` or `extensions`
    """
    names = ("queue_name", operation)
    function = catalog.resolve(LEASES, "settle", names, ())
    body = msgspec.json.encode({"queue_name": queue, operation: entries}).decode()
    return Call(
        function,
        statement(function, Arguments(names, body), PLAIN, ARRAY, counted=False),
        call.request,
        ARRAY,
        Preferences(rollback=call.preferences.rollback),
        read_only=False,
        body=body,
        settings=call.settings,
        flow=call.flow,
    )
