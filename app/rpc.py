"""The straight line of a call: resolve, execute, respond."""

from dataclasses import replace

from app.arguments import Arguments, read_arguments
from app.auth import Caller
from app.batching import Executor
from app.call import Call
from app.catalog import Function
from app.errors import FunctionNotFound, MethodNotAllowed, NoRowsToCount, TableNotFound, UnknownPath
from app.media import negotiate
from app.preferences import read_preferences
from app.profiles import Profiles
from app.query import read_query, within_range
from app.relations import check_relations
from app.request import Request
from app.response import Response, allowing, answered
from app.settings import Settings
from app.shaping import Shaping
from app.statement import statement
from app.watch import CatalogWatch

METHODS = ("OPTIONS", "GET", "HEAD", "POST")


class Rpc:
    """The functions at `/rpc/{function}`, in PostgREST's order of checks (wire contract, section 1)."""

    def __init__(self, settings: Settings, profiles: Profiles, watch: CatalogWatch, database: Executor) -> None:
        self._profiles = profiles
        self._watch = watch
        self._database = database
        self._max_rows = settings.db_max_rows
        self._may_choose_end = settings.db_tx_end.endswith("allow-override")
        self._plans = settings.db_plan_enabled

    async def response(self, caller: Caller, request: Request) -> Response:
        """The answer to a call. Raises what each stage raises; nothing before the database has any effect."""
        call = await self._call(caller, request)
        request.timing.lap("plan")
        if request.method == "OPTIONS":
            return allowing(request, "OPTIONS,POST" if call.function.volatile else "OPTIONS,GET,HEAD,POST")
        answer = await self._database.execute(caller, call)
        request.timing.lap("transaction")
        return answered(answer, call, self._profiles.named(call.function.schema, request))

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
            abandoned=request.abandoned,
        )

    async def _resolved(self, request: Request) -> tuple[Function, Arguments, Shaping]:
        """The function that the request means, the arguments that it gives, and how its result is to be shaped."""
        catalog = self._watch.catalog
        *place, name = request.segments
        if place not in ([], ["rpc"]) or not name:
            raise UnknownPath
        schema = self._profiles.schema(request)
        if not place:
            # PostgREST looks for a table.
            read_query(request.query, arguments=False)
            raise TableNotFound(schema, name)
        if request.method not in METHODS:
            raise MethodNotAllowed(f"Cannot use the {request.method} method on RPC", METHODS)
        given, shaping = read_query(request.query, arguments=request.method in ("GET", "HEAD"))
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
