"""The path of a call: resolve the function, execute it, respond."""

from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

from pgmq_gateway.api.answers import answered
from pgmq_gateway.api.idempotency_keys import idempotency_key
from pgmq_gateway.api.waits import Waits, bounded, executed
from pgmq_gateway.auth.caller import Caller
from pgmq_gateway.calls.batching import Executor
from pgmq_gateway.calls.call import Call
from pgmq_gateway.calls.catalog import Function
from pgmq_gateway.calls.statement import PLAIN, Statement, statement
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
from pgmq_gateway.postgrest.arguments import Arguments, arguments_in_body, arguments_in_text
from pgmq_gateway.postgrest.media import Representation, negotiate
from pgmq_gateway.postgrest.preferences import Preferences, read_preferences
from pgmq_gateway.postgrest.profiles import Profiles
from pgmq_gateway.postgrest.query import Pairs, parameters_of, read_columns, read_query, within_range
from pgmq_gateway.postgrest.shaping import Shaping
from pgmq_gateway.settings.model import Settings

METHODS = ("OPTIONS", "GET", "HEAD", "POST")


@dataclass(frozen=True, slots=True)
class Target:
    """A request's path and query string.

    query_arguments  the parameters of the query string that are arguments
    columns          the arguments to take from a body; None: all
    shaped           whether the client shapes the result, apart from db-max-rows
    """

    schema: str
    name: str
    query_arguments: Pairs
    columns: tuple[str, ...] | None
    shaping: Shaping
    shaped: bool


@dataclass(frozen=True)
class Plan:
    """The parts of a call that depend on its head and the names of its arguments only.

    profile  the Content-Profile of the response
    """

    function: Function
    names: tuple[str, ...]
    shaping: Shaping
    representation: Representation
    preferences: Preferences
    profile: str | None
    read_only: bool

    @cached_property
    def statement(self) -> Statement:
        """The statement for arguments in a JSON object."""
        return self.rendered(Arguments(self.names))

    def rendered(self, arguments: Arguments) -> Statement:
        """The statement for these arguments."""
        counted = self.preferences.count in ("exact", "estimated")
        return statement(self.function, arguments, self.shaping, self.representation, counted=counted)


class Functions:
    """Functions at `/rpc/{function}`, in PostgREST's order of checks (docs/reference/compatibility.md)."""

    def __init__(self, settings: Settings, profiles: Profiles, watch: CatalogWatch, database: Executor) -> None:
        self._profiles = profiles
        self._watch = watch
        self._database = database
        self._max_rows = settings.db_max_rows
        self._tx_allowed = settings.db_tx_end.endswith("allow-override")
        self._plans = settings.db_plan_enabled
        self._waits = Waits(settings)
        # Clients repeat a few heads, so the results before and after the arguments are read are cached by head.
        self._target = lru_cache(HEAD_CACHE_SIZE)(self._read_target)
        self._plan = lru_cache(HEAD_CACHE_SIZE)(self._read_plan)

    async def response(self, caller: Caller, request: Request) -> Response:
        """The response to a call. Raises GatewayError. Checks before the call is executed have no effect."""
        catalog, target = self._watch.catalog, self._target(request.head)
        arguments = _read(target, request, await request.body() if request.method == "POST" else b"")
        request.timing.lap("parse")
        key = (target.schema, target.name, arguments.names, arguments.body_types)
        try:
            function = catalog.resolve(*key)
        except FunctionNotFound:
            # It may have been created since the last reload.
            function = (await self._watch.refreshed()).resolve(*key)
        plan = self._plan(function, request.head, arguments.names)
        call = self._call(caller, request, plan, arguments)
        request.function = function
        request.timing.lap("plan")
        if request.method == "OPTIONS":
            return options_response(request, "OPTIONS,POST" if function.volatile else "OPTIONS,GET,HEAD,POST")
        answer = await executed(self._database, caller, request, call)
        request.timing.lap("transaction")
        return answered(answer, call, plan.profile)

    def _call(self, caller: Caller, request: Request, plan: Plan, arguments: Arguments) -> Call:
        # Values in a query string, a form or a whole body become parameters of the statement.
        preferences = bounded(plan.preferences, request)
        apart = arguments.values or plan.function.whole_body is not None
        return Call(
            plan.function,
            plan.rendered(arguments) if apart else plan.statement,
            request.sql_settings(),
            plan.representation,
            preferences,
            read_only=plan.read_only,
            body=arguments.body,
            values=arguments.values,
            offset=plan.shaping.offset,
            settings=self._watch.catalog.settings_of(caller.role),
            abandoned=request.abandoned,
            followed=request.followed,
            flow=request.flow,
            key=None
            if plan.read_only
            else idempotency_key(caller, request, plan.function, waits=bool(preferences.wait)),
            wait=preferences.wait or 0,
            on_wait=request.leave_flow,
        )

    def _read_plan(self, function: Function, head: Head, names: tuple[str, ...]) -> Plan:
        target = self._target(head)
        shaping = target.shaping
        check_relations(function, shaping)
        representation, preferences = self._negotiate(head)
        if preferences.max_affected is not None and not function.returns_set:
            raise NoRowsToCount
        read_only = head.method != "POST" or not function.volatile
        whole = not read_only and not target.shaped and not representation.plan
        return Plan(
            function,
            names,
            shaping,
            representation,
            self._waits.applied(preferences, function, names if whole else ()),
            self._profiles.named(function.schema, head),
            read_only=read_only,
        )

    def _read_target(self, head: Head) -> Target:
        *place, name = head.segments
        if place not in ([], ["rpc"]) or not name:
            raise UnknownPath
        schema = self._profiles.schema(head)
        if not place:
            # The path of a table in PostgREST.
            read_query(parameters_of(head), arguments=False)
            raise TableNotFound(schema, name)
        if head.method not in METHODS:
            raise MethodNotAllowed(f"Cannot use the {head.method} method on RPC", METHODS)
        pairs = parameters_of(head)
        arguments, shaping = read_query(pairs, arguments=head.method in ("GET", "HEAD"))
        columns = read_columns(pairs) if head.method == "POST" else None
        return Target(schema, name, arguments, columns, self._limited(shaping, head), shaping != PLAIN)

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


def _read(target: Target, request: Request, body: bytes) -> Arguments:
    if request.method == "POST":
        return arguments_in_body(body, request.headers.get("content-type", "application/json"), target.columns)
    return arguments_in_text(target.query_arguments)


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
