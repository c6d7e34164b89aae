"""Queues as REST resources: each path and method calls a function of pgmq_api, or of pgmq_public."""

from functools import lru_cache

import msgspec

from pgmq_gateway.api.answers import answered
from pgmq_gateway.api.idempotency_keys import idempotency_key
from pgmq_gateway.api.streaming import streamed
from pgmq_gateway.api.waits import Waits, bounded, executed
from pgmq_gateway.auth.caller import Caller
from pgmq_gateway.calls.batching import Executor
from pgmq_gateway.calls.call import Answer, Call
from pgmq_gateway.calls.catalog import Catalog
from pgmq_gateway.calls.statement import PLAIN, statement
from pgmq_gateway.calls.watch import CatalogWatch
from pgmq_gateway.errors import GatewayError, UnknownPath
from pgmq_gateway.http.request import Request
from pgmq_gateway.http.response import Response
from pgmq_gateway.postgrest.media import ARRAY
from pgmq_gateway.postgrest.preferences import OF_RESOURCES, read_preferences
from pgmq_gateway.postgrest.resources import Address, Resource, Resources
from pgmq_gateway.postgrest.routes import ROUTES
from pgmq_gateway.schemas import LEASES
from pgmq_gateway.settings.model import Settings
from pgmq_gateway.waiting.stream import Streams

# Results of functions that settle one message. A message that is deleted or archived by its receipt is reported as by
# its id.
DONE = ('"acked"', '"archived"')
MISSING = ("false", '"gone"')
STALE = '"stale"'


class MessageNotFound(GatewayError):
    """No message to settle."""

    status, code = 404, "PGMQ404"

    def __init__(self, queue: str, message_id: str) -> None:
        super().__init__(
            f'Message {message_id} not found in queue "{queue}"',
            "It was deleted or archived already, or row-level security hides it from the caller's role.",
        )


class StaleReceipt(GatewayError):
    """A message that was read again after the receipt was issued. Nothing was done."""

    status, code = 409, "PGMQ409"

    def __init__(self, message_id: str) -> None:
        super().__init__(
            f"Message {message_id} was read again by another consumer",
            "The lease of this receipt ended, and the message belongs to a later read.",
            "Read with a longer lease, or extend it.",
        )


class Queues:
    """The paths `/queues/…`: 201 for a sent message, 404 for a missing one, 409 for a stale receipt."""

    def __init__(self, settings: Settings, watch: CatalogWatch, database: Executor, streams: Streams) -> None:
        self._streams = streams
        self._schemas = [schema for schema in ROUTES if schema in settings.db_schemas]
        self._watch = watch
        self._database = database
        self._tx_allowed = settings.db_tx_end.endswith("allow-override")
        self._waits = Waits(settings)
        # Of the present catalog.
        self._resources = lru_cache(maxsize=1)(self._resources_of)

    @property
    def listed(self) -> bool:
        """True if `/queues` is a resource; otherwise it is the path of a table, as in PostgREST."""
        return LEASES in self._schemas

    async def response(self, caller: Caller, request: Request) -> Response:
        """The response. Raises UnknownPath, MethodNotAllowed, InvalidQuery, InvalidBody, InvalidPreferences,
        StreamRolledBack, MessageNotFound or StaleReceipt."""
        if not self._schemas:
            raise UnknownPath
        catalog = self._watch.catalog
        resource = await self._resources(catalog).read(request)
        request.timing.lap("parse")
        call = self._call(catalog, caller, request, resource)
        request.function, request.route = call.function, resource.address.route.path
        request.timing.lap("plan")
        if (options := resource.address.stream) is not None:
            self._waits.check_stream(call.preferences)
            return await streamed(self._streams, caller, request, call, resource.address, options, catalog)
        answer = await executed(self._database, caller, request, call)
        request.timing.lap("transaction")
        if resource.address.message is not None:
            answer = _settled(answer, resource.address)
        return msgspec.structs.replace(answered(answer, call, None), status=resource.address.route.status)

    def _resources_of(self, catalog: Catalog) -> Resources:
        functions = {(function.schema, function.name) for function in catalog}
        return Resources(self._schemas, lambda schema, name: (schema, name) in functions)

    def _call(self, catalog: Catalog, caller: Caller, request: Request, resource: Resource) -> Call:
        names = resource.arguments.names
        function = catalog.resolve(resource.address.schema, resource.function, names, ())
        preferences = read_preferences(request.head.values(b"prefer"), tx_allowed=self._tx_allowed, names=OF_RESOURCES)
        preferences = bounded(self._waits.applied(preferences, function, names, resource.address.wait), request)
        return Call(
            function,
            statement(function, resource.arguments, PLAIN, ARRAY, counted=False),
            request.sql_settings(),
            ARRAY,
            preferences,
            read_only=not function.volatile,
            body=resource.arguments.body,
            values=resource.arguments.values,
            settings=catalog.settings_of(caller.role),
            abandoned=request.abandoned,
            followed=request.followed,
            flow=request.flow,
            key=None
            if request.method == "GET"
            else idempotency_key(caller, request, function, waits=bool(preferences.wait)),
            wait=preferences.wait or 0,
            on_wait=request.leave_flow,
        )


def _settled(answer: Answer, address: Address) -> Answer:
    """The answer of a call that settles one message, if it did. Raises MessageNotFound or StaleReceipt."""
    assert address.queue is not None
    assert address.message is not None
    if address.route.receipts:
        (row,) = msgspec.json.decode(answer.body or "", type=list[dict[str, str]])
        answer = msgspec.structs.replace(answer, body=f'"{row["outcome"]}"')
    message_id = address.message.partition(".")[0]
    if answer.body in MISSING:
        raise MessageNotFound(address.queue, message_id)
    if answer.body == STALE:
        raise StaleReceipt(message_id)
    return msgspec.structs.replace(answer, body="true") if answer.body in DONE else answer
