"""The straight line of a request: authenticate, resolve, execute, respond. A plain ASGI endpoint."""

import json
import logging
from dataclasses import replace
from importlib.metadata import version

from app import swagger
from app.arguments import Arguments, read_arguments
from app.asgi import Receive, Scope, Send
from app.auth import Authenticator, Caller
from app.call import Call, executable
from app.catalog import Function
from app.cors import Cors
from app.database import Database
from app.description import PLACES, Description
from app.errors import (
    DescriptionDisabled,
    FunctionNotFound,
    GatewayError,
    Headers,
    InternalError,
    MethodNotAllowed,
    NoRowsToCount,
    TableNotFound,
    UnknownPath,
    UnknownSchema,
    UnsupportedMethod,
)
from app.media import ARRAY, negotiate, negotiate_description
from app.preferences import Preferences, read_preferences
from app.query import read_query, within_range
from app.relations import check_relations
from app.request import ClientGone, Request
from app.resources import SCHEMA, MessageNotFound, read_resource
from app.response import Response, answered, failed
from app.settings import Settings
from app.shaping import Shaping
from app.statement import statement
from app.watch import CatalogWatch

logger = logging.getLogger("pgmq_gateway")

METHODS = ("GET", "HEAD", "OPTIONS", "POST")


class Rpc:
    """The API: functions at `/rpc/{function}`, queues at `/queues/…`, the description at `/`, and nothing else.

    All of it is there with and without `/rest/v1` in front.
    """

    def __init__(
        self, settings: Settings, authenticator: Authenticator, watch: CatalogWatch, database: Database
    ) -> None:
        self._schemas = settings.db_schemas
        self._cors = Cors(settings.server_cors_allowed_origins)
        self._authenticator = authenticator
        self._watch = watch
        self._database = database
        self._description = Description(settings, watch, database)
        self._base_url = settings.openapi_server_proxy_uri or f"http://{settings.server_host}:{settings.server_port}/"
        self._max_rows = settings.db_max_rows
        self._may_choose_end = settings.db_tx_end.endswith("allow-override")
        self._plans = settings.db_plan_enabled
        self._timed = settings.server_timing_enabled
        self._trace_header = settings.server_trace_header
        self._described = settings.openapi_mode
        self._secured = settings.openapi_security_active
        self._verbose = settings.client_error_verbosity == "verbose"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; whatever goes wrong becomes an answer here."""
        request = Request(scope, receive)
        if preflight := self._cors.preflight(request.method, request.headers):
            await preflight.send(send)
            return
        try:
            response = await self._response(request)
            request.timing.lap("response")
        except GatewayError as error:
            response = failed(error, verbose=self._verbose)
        except ClientGone:
            return
        except Exception:
            logger.exception("failed on %s %s", request.method, request.path)
            response = failed(InternalError(), verbose=self._verbose)
        await response.send(send, *self._cors.headers(request.headers), *self._observed(request, response))

    def _observed(self, request: Request, response: Response) -> Headers:
        """Headers for those who watch: how long it took, and the request's own name for itself."""
        timing = (request.timing.header,) if self._timed and response.status < 400 else ()
        trace = self._trace_header and request.headers.get(self._trace_header.lower())
        return (*timing, (self._trace_header, trace)) if self._trace_header and trace else timing

    async def _response(self, request: Request) -> Response:
        caller = self._authenticator.caller(request.headers, request.url_key)
        request.timing.lap("jwt")
        if not request.segments:
            return await self._root(caller, request)
        if request.path in PLACES:
            return await self._description.response(caller, request)
        if request.segments[0] == "queues" and len(request.segments) > 1:
            return await self._resource(caller, request)
        call = await self._call(caller, request)
        request.timing.lap("plan")
        if request.method == "OPTIONS":
            return self._methods(request, "OPTIONS,POST" if call.function.volatile else "OPTIONS,GET,HEAD,POST")
        answer = await self._database.execute(caller, call)
        request.timing.lap("transaction")
        return answered(answer, call, self._profile(call.function.schema, request))

    async def _resource(self, caller: Caller, request: Request) -> Response:
        """A request to a queue or a message: the same call as the function's, with the statuses of resources."""
        resource = await read_resource(request)
        request.timing.lap("parse")
        if SCHEMA not in self._schemas:
            raise UnknownPath
        function = self._watch.catalog.resolve(SCHEMA, resource.function, resource.arguments.names, ())
        call = Call(
            function,
            statement(function, resource.arguments, Shaping(), ARRAY, counted=False),
            request.described(),
            ARRAY,
            Preferences(),
            read_only=False,
            body=resource.arguments.body,
            settings=self._watch.catalog.settings_of(caller.role),
        )
        request.timing.lap("plan")
        answer = await self._database.execute(caller, call)
        request.timing.lap("transaction")
        if resource.message_id is not None and answer.body == "false":
            raise MessageNotFound(resource.queue, resource.message_id)
        response = answered(answer, call, None)
        headers = (*response.headers, ("Cache-Control", "no-store"))
        return replace(response, headers=headers, status=201 if resource.function.startswith("send") else 200)

    async def _root(self, caller: Caller, request: Request) -> Response:
        """The functions of a schema, described: those that the caller may execute, or all (openapi-mode)."""
        if self._described == "disabled":
            raise DescriptionDisabled
        catalog, schema = self._watch.catalog, self._schema(request)
        if request.method not in ("GET", "HEAD", "OPTIONS"):
            raise UnsupportedMethod(request.method)
        read_query(request.query, arguments=False)
        if request.method == "OPTIONS":
            return self._methods(request, "OPTIONS,GET,HEAD")
        content_type = negotiate_description(request.headers.get("accept"))
        answer = await self._database.execute(caller, executable(schema, request.described()))
        request.timing.lap("transaction")
        mine = set(json.loads(answer.body or "[]"))
        everything = self._described == "ignore-privileges"
        functions = [one for one in catalog if one.schema == schema and (everything or one.oid in mine)]
        described = swagger.document(
            functions,
            version("pgmq-gateway"),
            self._base_url,
            catalog.comments.get(schema),
            secured=self._secured,
        )
        body = json.dumps(described).encode()
        profile = self._profile(schema, request)
        headers = (("Content-Type", content_type), *((("Content-Profile", profile),) if profile else ()))
        return Response(200, headers, body)

    def _methods(self, request: Request, methods: str) -> Response:
        # A page has its own origin named, like with every answer; a second name would make the browser refuse both.
        anybody = () if "origin" in request.headers else (("Access-Control-Allow-Origin", "*"),)
        return Response(200, (("Allow", methods), *anybody))

    def _profile(self, schema: str, request: Request) -> str | None:
        """The schema to be named in the answer: where there are several, or where the client has named one."""
        return schema if len(self._schemas) > 1 or _profile_header(request) in request.headers else None

    async def _call(self, caller: Caller, request: Request) -> Call:
        function, arguments, shaping = await self._resolved(request)
        check_relations(function, shaping)
        representation = negotiate(request.headers.get("accept"), plans=self._plans)
        preferences = read_preferences(request.values(b"prefer"), may_choose_end=self._may_choose_end)
        if preferences.limit is not None and not function.returns_set:
            raise NoRowsToCount
        counted = preferences.count in ("exact", "estimated")
        return Call(
            function,
            statement(function, arguments, shaping, representation, counted=counted),
            request.described(),
            representation,
            preferences,
            read_only=request.method != "POST" or not function.volatile,
            body=arguments.body,
            offset=shaping.offset,
            settings=self._watch.catalog.settings_of(caller.role),
        )

    async def _resolved(self, request: Request) -> tuple[Function, Arguments, Shaping]:
        """The function that the request means, the arguments that it gives, and how its result is to be shaped."""
        catalog = self._watch.catalog
        *place, name = request.segments
        if place not in ([], ["rpc"]) or not name:
            raise UnknownPath
        schema = self._schema(request)
        if not place:
            # PostgREST looks for a table.
            read_query(request.query, arguments=False)
            raise TableNotFound(schema, name)
        if request.method not in METHODS:
            raise MethodNotAllowed(f"Cannot use the {request.method} method on RPC")
        posted = request.method == "POST"
        given, shaping = read_query(request.query, arguments=not posted)
        shaping = self._limited(shaping, request)
        arguments = await read_arguments(request, given)
        request.timing.lap("parse")
        wanted = (schema, name, arguments.names, arguments.body_types)
        try:
            return catalog.resolve(*wanted), arguments, shaping
        except FunctionNotFound:
            # It may have been created a moment ago.
            return (await self._watch.refreshed()).resolve(*wanted), arguments, shaping

    def _limited(self, shaping: Shaping, request: Request) -> Shaping:
        """With the rows of a GET's Range header (PostgREST reads it in no other request), and the operator's limit."""
        if request.method == "GET" and "range" in request.headers:
            shaping = within_range(shaping, request.headers["range"])
        if self._max_rows is None or (shaping.limit is not None and shaping.limit <= self._max_rows):
            return shaping
        return replace(shaping, limit=self._max_rows)

    def _schema(self, request: Request) -> str:
        schema = request.headers.get(_profile_header(request), self._schemas[0])
        if schema not in self._schemas:
            exposed = ", ".join(self._schemas)
            raise UnknownSchema(f"Invalid schema: {schema}", hint=f"Only the following schemas are exposed: {exposed}")
        return schema


def _profile_header(request: Request) -> str:
    return "content-profile" if request.method in ("POST", "PUT", "PATCH", "DELETE") else "accept-profile"
