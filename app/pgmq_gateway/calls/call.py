"""A call: which function, with which arguments, and what is to become of its result."""

from collections.abc import Callable

import msgspec

from pgmq_gateway.calls.catalog import Function, Result
from pgmq_gateway.calls.statement import Statement
from pgmq_gateway.database.role_settings import DEFAULTS, TransactionSettings
from pgmq_gateway.http.request import Described
from pgmq_gateway.postgrest.media import ARRAY, Representation, Shape
from pgmq_gateway.postgrest.preferences import Preferences


class Call(msgspec.Struct, frozen=True):
    """A function called once.

    body         the JSON that the statement takes as $1
    read_only    whether the call is kept from writing
    settings     those of the caller's role; the function's own come on top
    abandoned    whether nobody waits for the answer any more
    offset       how many rows the client wants skipped, for the numbers in Content-Range
    """

    function: Function
    statement: Statement
    request: Described
    representation: Representation
    preferences: Preferences
    read_only: bool
    body: str | None = None
    offset: int = 0
    settings: TransactionSettings = DEFAULTS
    abandoned: Callable[[], bool] = bool

    @property
    def singular(self) -> bool:
        """Whether any other number of rows than one is an error."""
        alone = self.representation.shape is Shape.OBJECT and self.representation.plan is None
        return alone and self.function.returns_set

    @property
    def limit(self) -> float | None:
        """Seconds that the call may take, by its function or its role: 0 for no limit, None where neither says."""
        own = self.function.settings.statement_timeout
        return self.settings.statement_timeout if own is None else own

    @property
    def timeout(self) -> float | None:
        """The same for a timer; None for no limit."""
        return self.limit or None

    @property
    def isolation(self) -> str | None:
        """The isolation level that its transaction needs; None for the ordinary one."""
        return self.function.settings.isolation or self.settings.isolation


class Answer(msgspec.Struct, frozen=True):
    """What Postgres made of a call.

    total      rows before any limit, where they were counted
    row_count  rows in `body`
    body       JSON or CSV text, None for a function that returns nothing
    headers    what the function put into response.headers, JSON or empty; `status` likewise
    """

    total: int | None
    row_count: int
    body: str | None
    headers: str | None = None
    status: str | None = None


# The OIDs of the functions of a schema that a role can execute, in the shape of a call's answer.
EXECUTABLE = """
select
    null::pg_catalog.int8 as total,
    pg_catalog.count(*) as row_count,
    coalesce(pg_catalog.json_agg(p.oid::pg_catalog.int8)::pg_catalog.text, '[]') as body
from pg_catalog.pg_proc p
join pg_catalog.pg_namespace n on n.oid = p.pronamespace
where n.nspname = {schema}
  and pg_catalog.has_schema_privilege({role}, n.oid, 'usage')
  and pg_catalog.has_function_privilege({role}, p.oid, 'execute')
"""
MINE = EXECUTABLE.format(schema="($2)[1]", role="current_user")


def executable(schema: str, request: Described) -> Call:
    """A call that gives the OIDs of the functions of `schema` that its caller can execute."""
    itself = Function(schema, "", (), Result.SCALAR, returns_set=False, volatile=False)
    return Call(itself, Statement(MINE, (schema,)), request, ARRAY, Preferences(), read_only=True)
