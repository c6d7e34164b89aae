"""Queues as REST resources. Each path and method calls a function of pgmq_public."""

import msgspec

from pgmq_gateway.api.answers import answered
from pgmq_gateway.auth.caller import Caller
from pgmq_gateway.calls.batching import Executor
from pgmq_gateway.calls.call import Call
from pgmq_gateway.calls.statement import PLAIN, statement
from pgmq_gateway.calls.watch import CatalogWatch
from pgmq_gateway.errors import GatewayError, UnknownPath
from pgmq_gateway.http.request import Request
from pgmq_gateway.http.response import Response
from pgmq_gateway.postgrest.media import ARRAY
from pgmq_gateway.postgrest.preferences import NO_PREFERENCES
from pgmq_gateway.postgrest.resources import Resource, read_resource
from pgmq_gateway.queue_functions import FUNCTIONS, Kind
from pgmq_gateway.schemas import QUEUES
from pgmq_gateway.settings.model import Settings


class MessageNotFound(GatewayError):
    """No message to delete or archive."""

    status, code = 404, "PGMQ404"

    def __init__(self, queue: str, message_id: str) -> None:
        super().__init__(
            f'Message {message_id} not found in queue "{queue}"',
            "It was deleted or archived already, or row-level security hides it from the caller's role.",
        )


class Queues:
    """The paths `/queues/{queue}/messages…`: 201 for a sent message, 404 for a missing one."""

    def __init__(self, settings: Settings, watch: CatalogWatch, database: Executor) -> None:
        self._exposed = QUEUES in settings.db_schemas
        self._watch = watch
        self._database = database

    async def response(self, caller: Caller, request: Request) -> Response:
        """The response. Raises UnknownPath, MethodNotAllowed, InvalidQuery, InvalidBody or MessageNotFound."""
        resource = await read_resource(request)
        request.timing.lap("parse")
        if not self._exposed:
            raise UnknownPath
        call = self._call(caller, request, resource)
        request.function = call.function
        request.timing.lap("plan")
        answer = await self._database.execute(caller, call)
        request.timing.lap("transaction")
        if resource.message_id is not None and answer.body == "false":
            raise MessageNotFound(resource.queue, resource.message_id)
        status = 201 if FUNCTIONS[resource.function].kind is Kind.SEND else 200
        return msgspec.structs.replace(answered(answer, call, None), status=status)

    def _call(self, caller: Caller, request: Request, resource: Resource) -> Call:
        function = self._watch.catalog.resolve(QUEUES, resource.function, resource.arguments.names, ())
        return Call(
            function,
            statement(function, resource.arguments, PLAIN, ARRAY, counted=False),
            request.sql_settings(),
            ARRAY,
            NO_PREFERENCES,
            read_only=False,
            body=resource.arguments.body,
            values=resource.arguments.values,
            settings=self._watch.catalog.settings_of(caller.role),
            abandoned=request.abandoned,
            flow=request.flow,
        )
