"""The straight line of a call: resolve, execute, respond."""

from dataclasses import dataclass, replace
from functools import lru_cache

from pgmq_gateway.api.answers import answered
from pgmq_gateway.api.relations import check_relations
from pgmq_gateway.auth.caller import Caller
from pgmq_gateway.calls.batching import Executor
from pgmq_gateway.calls.call import Call
from pgmq_gateway.calls.catalog import Function
from pgmq_gateway.calls.statement import statement
from pgmq_gateway.calls.watch import CatalogWatch
from pgmq_gateway.errors import FunctionNotFound, MethodNotAllowed, NoRowsToCount, TableNotFound, UnknownPath
from pgmq_gateway.http.request import HEADS_KEPT, Head, Request
from pgmq_gateway.http.response import Response, allowing
from pgmq_gateway.postgrest.arguments import Arguments, read_arguments
from pgmq_gateway.postgrest.media import Representation, negotiate
from pgmq_gateway.postgrest.preferences import Preferences, read_preferences
from pgmq_gateway.postgrest.profiles import Profiles
from pgmq_gateway.postgrest.query import Pairs, read_query, within_range
from pgmq_gateway.postgrest.shaping import Shaping
from pgmq_gateway.settings.model import Settings

METHODS = ("OPTIONS", "GET", "HEAD", "POST")


@dataclass(frozen=True, slots=True)
class Asked:
    """The function that a request names, the arguments in its query string, and how the result is to be shaped."""

    schema: str
    name: str
    given: Pairs
    shaping: Shaping


class Functions:
    """The functions at `/rpc/{function}`, in PostgREST's order of checks (wire contract, section 1)."""

    def __init__(self, settings: Settings, profiles: Profiles, watch: CatalogWatch, database: Executor) -> None:
        self._profiles = profiles
        self._watch = watch
        self._database = database
        self._max_rows = settings.db_max_rows
        self._may_choose_end = settings.db_tx_end.endswith("allow-override")
        self._plans = settings.db_plan_enabled
        # What heads ask for, before and behind the arguments in PostgREST's order; both raise what is wrong with them.
        self._asked = lru_cache(HEADS_KEPT)(self._read)
        self._wanted = lru_cache(HEADS_KEPT)(self._negotiated)

    async def response(self, caller: Caller, request: Request) -> Response:
        """The answer to a call. Raises what each stage raises; nothing before the database has any effect."""
        call = await self._call(caller, request)
        request.function = call.function
        request.timing.lap("plan")
        if request.method == "OPTIONS":
            return allowing(request, "OPTIONS,POST" if call.function.volatile else "OPTIONS,GET,HEAD,POST")
        answer = await self._database.execute(caller, call)
        request.timing.lap("transaction")
        return answered(answer, call, self._profiles.named(call.function.schema, request.head))

    async def _call(self, caller: Caller, request: Request) -> Call:
        function, arguments, shaping = await self._resolved(request)
        check_relations(function, shaping)
        representation, preferences = self._wanted(request.head)
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
            abandoned=request.abandoned,
        )

    async def _resolved(self, request: Request) -> tuple[Function, Arguments, Shaping]:
        """The function that the request means, the arguments that it gives, and how its result is to be shaped."""
        catalog = self._watch.catalog
        asked = self._asked(request.head)
        arguments = await read_arguments(request, asked.given)
        request.timing.lap("parse")
        wanted = (asked.schema, asked.name, arguments.names, arguments.body_types)
        try:
            return catalog.resolve(*wanted), arguments, asked.shaping
        except FunctionNotFound:
            # It may have been created a moment ago.
            return (await self._watch.refreshed()).resolve(*wanted), arguments, asked.shaping

    def _read(self, head: Head) -> Asked:
        *place, name = head.segments
        if place not in ([], ["rpc"]) or not name:
            raise UnknownPath
        schema = self._profiles.schema(head)
        if not place:
            # PostgREST looks for a table.
            read_query(head.query, arguments=False)
            raise TableNotFound(schema, name)
        if head.method not in METHODS:
            raise MethodNotAllowed(f"Cannot use the {head.method} method on RPC", METHODS)
        given, shaping = read_query(head.query, arguments=head.method in ("GET", "HEAD"))
        return Asked(schema, name, given, self._limited(shaping, head))

    def _negotiated(self, head: Head) -> tuple[Representation, Preferences]:
        representation = negotiate(head.headers.get("accept"), plans=self._plans)
        return representation, read_preferences(head.values(b"prefer"), may_choose_end=self._may_choose_end)

    def _limited(self, shaping: Shaping, head: Head) -> Shaping:
        """With the rows of a GET's Range header (PostgREST reads it in no other request), and the operator's limit."""
        if head.method == "GET" and "range" in head.headers:
            shaping = within_range(shaping, head.headers["range"])
        if self._max_rows is None or (shaping.limit is not None and shaping.limit <= self._max_rows):
            return shaping
        return replace(shaping, limit=self._max_rows)
