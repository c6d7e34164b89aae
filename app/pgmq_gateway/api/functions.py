"""The path of a call: resolve the function, execute it, respond."""

from dataclasses import dataclass, replace
from functools import lru_cache

from pgmq_gateway.api.answers import answered
from pgmq_gateway.auth.caller import Caller
from pgmq_gateway.calls.batching import Executor
from pgmq_gateway.calls.call import Call
from pgmq_gateway.calls.catalog import Function
from pgmq_gateway.calls.statement import statement
from pgmq_gateway.calls.watch import CatalogWatch
from pgmq_gateway.errors import (
    AggregatesForbidden,
    FunctionNotFound,
    MethodNotAllowed,
    NoRowsToCount,
    NotEmbedded,
    TableNotFound,
    UnknownPath,
    UnknownRelation,
)
from pgmq_gateway.http.request import HEAD_CACHE_SIZE, Head, Request
from pgmq_gateway.http.response import Response, options_response
from pgmq_gateway.postgrest.arguments import Arguments, read_arguments
from pgmq_gateway.postgrest.media import Representation, negotiate
from pgmq_gateway.postgrest.preferences import Preferences, read_preferences
from pgmq_gateway.postgrest.profiles import Profiles
from pgmq_gateway.postgrest.query import Pairs, read_query, within_range
from pgmq_gateway.postgrest.shaping import Shaping
from pgmq_gateway.settings.model import Settings

METHODS = ("OPTIONS", "GET", "HEAD", "POST")


@dataclass(frozen=True, slots=True)
class Target:
    """A request's path and query string: the function, arguments in the query string, and the shaping of the result."""

    schema: str
    name: str
    query_arguments: Pairs
    shaping: Shaping


class Functions:
    """The functions at `/rpc/{function}`, checked in PostgREST's order (docs/compatibility.md, Order of checks)."""

    def __init__(self, settings: Settings, profiles: Profiles, watch: CatalogWatch, database: Executor) -> None:
        self._profiles = profiles
        self._watch = watch
        self._database = database
        self._max_rows = settings.db_max_rows
        self._tx_allowed = settings.db_tx_end.endswith("allow-override")
        self._plans = settings.db_plan_enabled
        # Clients repeat a few heads, so the checks before and after those of the arguments are cached by head.
        self._target = lru_cache(HEAD_CACHE_SIZE)(self._read_target)
        self._negotiated = lru_cache(HEAD_CACHE_SIZE)(self._negotiate)

    async def response(self, caller: Caller, request: Request) -> Response:
        """The response to a call. Raises GatewayError. Checks before the call is executed have no effect."""
        call = await self._call(caller, request)
        request.function = call.function
        request.timing.lap("plan")
        if request.method == "OPTIONS":
            return options_response(request, "OPTIONS,POST" if call.function.volatile else "OPTIONS,GET,HEAD,POST")
        answer = await self._database.execute(caller, call)
        request.timing.lap("transaction")
        return answered(answer, call, self._profiles.named(call.function.schema, request.head))

    async def _call(self, caller: Caller, request: Request) -> Call:
        function, arguments, shaping = await self._resolved(request)
        check_relations(function, shaping)
        representation, preferences = self._negotiated(request.head)
        if preferences.max_affected is not None and not function.returns_set:
            raise NoRowsToCount
        counted = preferences.count in ("exact", "estimated")
        return Call(
            function,
            statement(function, arguments, shaping, representation, counted=counted),
            request.sql_settings(),
            representation,
            preferences,
            read_only=request.method != "POST" or not function.volatile,
            body=arguments.body,
            values=arguments.values,
            offset=shaping.offset,
            settings=self._watch.catalog.settings_of(caller.role),
            abandoned=request.abandoned,
            flow=request.flow,
        )

    async def _resolved(self, request: Request) -> tuple[Function, Arguments, Shaping]:
        """The function, its arguments, and the shaping of its result."""
        catalog = self._watch.catalog
        target = self._target(request.head)
        arguments = await read_arguments(request, target.query_arguments)
        request.timing.lap("parse")
        key = (target.schema, target.name, arguments.names, arguments.body_types)
        try:
            return catalog.resolve(*key), arguments, target.shaping
        except FunctionNotFound:
            # It may have been created since the last reload.
            return (await self._watch.refreshed()).resolve(*key), arguments, target.shaping

    def _read_target(self, head: Head) -> Target:
        *place, name = head.segments
        if place not in ([], ["rpc"]) or not name:
            raise UnknownPath
        schema = self._profiles.schema(head)
        if not place:
            # The path of a table in PostgREST.
            read_query(head.query, arguments=False)
            raise TableNotFound(schema, name)
        if head.method not in METHODS:
            raise MethodNotAllowed(f"Cannot use the {head.method} method on RPC", METHODS)
        arguments, shaping = read_query(head.query, arguments=head.method in ("GET", "HEAD"))
        return Target(schema, name, arguments, self._limited(shaping, head))

    def _negotiate(self, head: Head) -> tuple[Representation, Preferences]:
        representation = negotiate(head.headers.get("accept"), plans=self._plans)
        return representation, read_preferences(head.values(b"prefer"), tx_allowed=self._tx_allowed)

    def _limited(self, shaping: Shaping, head: Head) -> Shaping:
        """Shaping with the Range header (PostgREST reads it on GET only) and db-max-rows applied."""
        if head.method == "GET" and "range" in head.headers:
            shaping = within_range(shaping, head.headers["range"])
        if self._max_rows is None or (shaping.limit is not None and shaping.limit <= self._max_rows):
            return shaping
        return replace(shaping, limit=self._max_rows)


def check_relations(function: Function, shaping: Shaping) -> None:
    """Refuse embedding, filters on embedded resources and aggregates: the result of a function has no relationships.

    Raises NotEmbedded, UnknownRelation or AggregatesForbidden, in PostgREST's order.
    """
    embedded = {resource.name for resource in shaping.embedded}
    for name in shaping.embedded_targets:
        if name not in embedded:
            raise NotEmbedded(name)
    for resource in shaping.embedded:
        raise UnknownRelation(function.relation or function.name, resource.name, resource.hint, function.schema)
    if any(selected.aggregate for selected in shaping.select):
        raise AggregatesForbidden
