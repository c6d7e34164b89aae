"""The straight line of a request: authenticate, resolve, execute, respond. A plain ASGI endpoint."""

import logging

from app.arguments import Arguments, read_arguments
from app.asgi import Receive, Scope, Send
from app.auth import Authenticator
from app.call import Call, json_statement, text_statement
from app.catalog import Function
from app.cors import Cors
from app.database import Database
from app.errors import FunctionNotFound, GatewayError, InternalError, MethodNotAllowed, UnknownPath, UnknownSchema
from app.request import ClientGone, Request
from app.response import Response, answered, failed
from app.settings import Settings
from app.watch import CatalogWatch

logger = logging.getLogger("pgmq_gateway")

METHODS = ("GET", "HEAD", "POST")


class Rpc:
    """Everything under `/`: functions at `/rpc/{function}`, with or without `/rest/v1` in front, and nothing else."""

    def __init__(
        self, settings: Settings, authenticator: Authenticator, watch: CatalogWatch, database: Database
    ) -> None:
        self._schemas = settings.db_schemas
        self._cors = Cors(settings.server_cors_allowed_origins)
        self._authenticator = authenticator
        self._watch = watch
        self._database = database

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; whatever goes wrong becomes an answer here."""
        request = Request(scope, receive)
        if preflight := self._cors.preflight(request.method, request.headers):
            await preflight.send(send)
            return
        try:
            response = await self._response(request)
        except GatewayError as error:
            response = failed(error)
        except ClientGone:
            return
        except Exception:
            logger.exception("failed on %s %s", request.method, request.path)
            response = failed(InternalError())
        await response.send(send, *self._cors.headers(request.headers))

    async def _response(self, request: Request) -> Response:
        caller = self._authenticator.caller(request.headers)
        call = await self._call(request)
        answer = await self._database.execute(caller, call)
        return answered(answer, call.function.schema if len(self._schemas) > 1 else None)

    async def _call(self, request: Request) -> Call:
        self._watch.catalog  # noqa: B018 without one, nothing else is worth saying
        name = _function_name(request.path)
        schema = self._schema(request)
        if request.method not in METHODS:
            raise MethodNotAllowed(f"Cannot use the {request.method} method on RPC")
        arguments = await read_arguments(request)
        function = await self._function(schema, name, arguments)
        if arguments.body is None and arguments.names:
            statement = text_statement(function, tuple(arguments.names))
        else:
            statement = json_statement(function, frozenset(arguments.names))
        read_only = request.method != "POST" or not function.volatile
        return Call(function, statement, request.described(), read_only, arguments.body, arguments.values)

    async def _function(self, schema: str, name: str, arguments: Arguments) -> Function:
        try:
            return self._watch.catalog.resolve(schema, name, arguments.names, as_json=arguments.from_body)
        except FunctionNotFound:
            # It may have been created a moment ago.
            catalog = await self._watch.refreshed()
            return catalog.resolve(schema, name, arguments.names, as_json=arguments.from_body)

    def _schema(self, request: Request) -> str:
        header = "content-profile" if request.method == "POST" else "accept-profile"
        schema = request.headers.get(header, self._schemas[0])
        if schema not in self._schemas:
            exposed = ", ".join(self._schemas)
            raise UnknownSchema(f"Invalid schema: {schema}", hint=f"Only the following schemas are exposed: {exposed}")
        return schema


def _function_name(path: str) -> str:
    place, name = path[:5], path[5:]
    if place != "/rpc/" or not name or "/" in name:
        raise UnknownPath
    return name
