"""A call of a function, and its answer."""

from collections.abc import Callable, Hashable, Mapping, Sequence

import msgspec

from pgmq_gateway.calls.catalog import Function, Result
from pgmq_gateway.calls.idempotency import IdempotencyKey
from pgmq_gateway.calls.statement import Statement
from pgmq_gateway.calls.wakeups import Wakeup, wakeups_in
from pgmq_gateway.database.role_settings import DEFAULTS, TransactionSettings
from pgmq_gateway.http.request import RequestSettings
from pgmq_gateway.postgrest.media import ARRAY, Representation, Shape
from pgmq_gateway.postgrest.preferences import Preferences


class Call(msgspec.Struct, frozen=True):
    """One call of a function.

    body       the JSON that the statement takes as $1
    values     the arguments that were sent as texts, as in Arguments
    read_only  whether the transaction is read-only
    offset     rows that the client skips, for Content-Range
    settings   those of the caller's role; the function's own override them
    abandoned  whether the client has disconnected
    followed   whether a further request on the client's connection waits for the response
    flow       whose turn it takes: the caller, or the address of an anonymous client; None: the caller
    key        its Idempotency-Key
    wait       seconds for which the client waits for messages if there are none; 0: it does not wait
    on_wait    called when the call begins to wait, without a connection
    """

    function: Function
    statement: Statement
    request: RequestSettings
    representation: Representation
    preferences: Preferences
    read_only: bool
    body: str | None = None
    values: Mapping[str, Sequence[str]] = msgspec.field(default_factory=dict)
    offset: int = 0
    settings: TransactionSettings = DEFAULTS
    abandoned: Callable[[], bool] = bool
    followed: Callable[[], bool] = bool
    flow: Hashable = None
    key: IdempotencyKey | None = None
    wait: float = 0.0
    on_wait: Callable[[], object] = bool

    @property
    def singular(self) -> bool:
        """True if a number of rows other than one is an error."""
        single = self.representation.shape is Shape.OBJECT and self.representation.plan is None
        return single and self.function.returns_set

    @property
    def statement_timeout(self) -> float | None:
        """Seconds, from the function or the role: 0 for none, None if neither sets it."""
        own = self.function.settings.statement_timeout
        return self.settings.statement_timeout if own is None else own

    @property
    def ends_with_client(self) -> bool:
        """True if the call is cancelled when its client disconnects: only the client needs what it does.

        Calls that write without filters, such as send, are finished: a client may send and not wait. What filters
        select is for the client; cancelled, the call is rolled back, and its messages are not leased.
        """
        return self.read_only or self.statement.filtered

    @property
    def isolation(self) -> str | None:
        """The isolation level that the function or the role sets; None for read committed."""
        return self.function.settings.isolation or self.settings.isolation


class Answer(msgspec.Struct, frozen=True):
    """The result of a call.

    total      rows before limit and offset, if they were counted
    row_count  rows in `body`
    body       JSON or CSV text; None for a function that returns void
    headers    response.headers as the function set it: JSON or empty
    status     response.status as the function set it
    returned   rows of the function before limit, offset and filters; None: those in `body`
    clean      whether it left nothing in the session, by a judgement; False: that is stale; None: without a judgement
    reported   the wake-ups as Postgres returned them; None or empty for none
    replayed   whether it was stored for the call's Idempotency-Key
    waited     seconds for which the call waited for messages
    """

    total: int | None
    row_count: int
    body: str | None
    headers: str | None = None
    status: str | None = None
    returned: int | None = None
    clean: bool | None = None
    reported: str | None = None
    replayed: bool = False
    waited: float = 0.0

    @property
    def wakeups(self) -> tuple[Wakeup, ...]:
        """The messages that the call made visible, now or later. Its transaction is committed."""
        return wakeups_in(self.reported) if self.reported else ()


# The OIDs of the functions of a schema that a role can execute, with the columns of an answer.
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
EXECUTABLE_BY_CALLER = EXECUTABLE.format(schema="($2)[1]", role="current_user")


def executable(schema: str, request: RequestSettings, flow: Hashable = None) -> Call:
    """A call that returns the OIDs of the functions of `schema` that its caller can execute, as a JSON array."""
    placeholder = Function(schema, "", (), Result.SCALAR, returns_set=False, volatile=False)
    statement = Statement(EXECUTABLE_BY_CALLER, (schema,))
    return Call(placeholder, statement, request, ARRAY, Preferences(), read_only=True, flow=flow)
