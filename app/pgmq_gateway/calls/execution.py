"""Runs calls in their caller's role: one transaction, one statement, one round trip."""

import json
import logging
import math
from collections.abc import Coroutine, Hashable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, TypeVar

import asyncpg
from msgspec import structs

from pgmq_gateway.auth.caller import Caller
from pgmq_gateway.calls.call import Answer, Call
from pgmq_gateway.calls.failures import (
    CANCELED_SQLSTATE,
    READ_ONLY_SQLSTATE,
    RETRIED_SQLSTATES,
    can_retry,
    ends_connection,
    error_of,
    last_error,
    may_be_committed,
)
from pgmq_gateway.calls.grouping import Group
from pgmq_gateway.calls.idempotency import IdempotencyKey
from pgmq_gateway.calls.sharing import Judgement
from pgmq_gateway.database.cleaning import CLEANING_OF_POOLED, SHOW_WARNINGS
from pgmq_gateway.database.connector import Connector
from pgmq_gateway.database.deadline import within
from pgmq_gateway.database.driver import BROKEN, SERVER_ERRORS, GatewayConnection, Refusal, ServerError, loggable
from pgmq_gateway.database.identifiers import call_of, quote
from pgmq_gateway.database.pool import ConnectionPool, terminate
from pgmq_gateway.database.role_settings import DEFAULTS
from pgmq_gateway.errors import CommitInterrupted, ConnectionLost, GatewayError, StatementTimeout, Unavailable
from pgmq_gateway.queue_functions import PLAIN_CALLS
from pgmq_gateway.schemas import LEASES, QUEUES
from pgmq_gateway.settings.model import MAX_BATCH, MAX_READ, Settings

logger = logging.getLogger("pgmq_gateway")

T = TypeVar("T")

CALL = """
select total, row_count, body, response_headers, response_status, returned, clean, wakeups
from pgmq_gateway.call($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)
"""

KEYED_CALL = """
select total, row_count, body, response_headers, response_status, returned, clean, wakeups, replayed
from pgmq_gateway.keyed_call(
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21
)
"""

CALLS = """
select row_count, body, failure, seconds, wakeups
from pgmq_gateway.calls($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
"""

KEYED_CALLS = """
select row_count, body, failure, seconds, wakeups
from pgmq_gateway.keyed_calls($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)
"""

CALLS_IN_TURN = """
call pgmq_gateway.calls_in_turn($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, null, null, null, null, null)
"""

JUDGEMENT = "select obstacles, relations, functions, fingerprint, fusion from pgmq_gateway.judgement($1, $2)"

MAX_RETRIES = 3
# The gateway's schema and functions, as messages about a missing privilege name them.
ENTRY_POINTS = ("pgmq_gateway", "function call", "function keyed_call")
# The beginning of the names of the driver's prepared statements, as in Postgres' messages.
DRIVERS_STATEMENT = '"__asyncpg_'
JUDGEMENT_TIMEOUT_SECONDS = 5
# For another call with the same Idempotency-Key; at most half of a call's time limit.
MAX_KEY_WAIT_SECONDS = 5
# Postgres applies a session's statement_timeout until the commit begins, and the gateway a little later.
SESSION_TIMEOUT_MARGIN_SECONDS = 0.5

# In place of what a judgement compares.
UNCOMPARED = (None, None, None, None)

# Raised by pgmq_gateway.calls for another queue or another fingerprint than was judged.
STALE_SQLSTATE = "GW130"
DEADLOCK_SQLSTATE = "40P01"
# A shared transaction does not wait for locks.
LOCKED_SQLSTATE = "55P03"
# Raised by pgmq_gateway.keyed_calls for an Idempotency-Key that is in use or was used.
KNOWN_KEY_SQLSTATE = "GW132"
# Raised by pgmq_gateway.calls_in_turn for a call of another queue than was judged.
OTHER_QUEUE_SQLSTATE = "GW131"
# Of a call that delayed others.
DELAYING_SQLSTATES = frozenset({LOCKED_SQLSTATE, CANCELED_SQLSTATE})
# Failures in a shared transaction that a call need not meet alone. A write on a standby is one of them: `execute` looks
# for the primary.
RUN_AGAIN_SQLSTATES = RETRIED_SQLSTATES | {LOCKED_SQLSTATE, READ_ONLY_SQLSTATE}
RUN_AGAIN_ALONE_SQLSTATES = RUN_AGAIN_SQLSTATES | {STALE_SQLSTATE, OTHER_QUEUE_SQLSTATE, CANCELED_SQLSTATE}
# The server shuts down or restarts, unless an operator has ended this session alone.
SHUTDOWN_ERRORS = (asyncpg.AdminShutdownError, asyncpg.CrashShutdownError, asyncpg.CannotConnectNowError)
# Errors of CALL itself: the procedure did not start.
NOT_STARTED_ERRORS = (
    asyncpg.InsufficientPrivilegeError,
    asyncpg.InvalidSQLStatementNameError,
    asyncpg.FeatureNotSupportedError,
)


class Stale(Exception):
    """A shared transaction relied on a judgement that no longer applies. Nothing was executed."""


class Shared(NamedTuple):
    """The result of a shared transaction, or of several transactions in one round trip.

    outcomes  of each call its answer, its error, or None if it must run alone
    seconds   how long they took, without the last commit; infinite if one was cancelled, or met a lock
    deadlock  whether calls of a shared transaction met a deadlock
    stale     whether the judgement was found to be stale after some calls
    """

    outcomes: Sequence[Answer | GatewayError | None]
    seconds: float = 0
    deadlock: bool = False
    stale: bool = False


class Context(NamedTuple):
    """The role, claims and settings of a call: the first arguments of pgmq_gateway.call."""

    role: str
    claims: str
    request: Sequence[str]
    schemas: str
    settings: Sequence[str] | None


class Database:
    """Executes calls on connections of the login role.

    connector  opens the connections of the pool
    prepare    the statement that runs before each call (db-pre-request); None: there is none
    replays    answers that were stored for an Idempotency-Key
    """

    def __init__(self, settings: Settings) -> None:
        assert settings.db_uri is not None
        self._size = settings.db_pool
        self.connector = Connector(
            settings.db_uri.get_secret_value(),
            prepared=settings.db_prepared_statements,
            call_timeout=settings.call_timeout,
        )
        self.pool = ConnectionPool(
            self._size, settings.db_pool_acquisition_timeout, self.connector, self.connector.servers
        )
        self._search_paths = {
            schema: ", ".join(quote(name) for name in dict.fromkeys((schema, *settings.db_extra_search_path)))
            for schema in settings.db_schemas
        }
        self._filter_timeout = settings.filter_timeout
        self._rollback = settings.rolls_back
        self.prepare = _pre_request(settings.db_pre_request)
        self._keep_keys = settings.idempotency_keep
        self.replays = 0
        self._app_settings = (*(text for pair in settings.app_settings for text in pair), *_caps(settings))

    async def execute(self, caller: Caller, call: Call, judgement: Judgement | None = None) -> Answer:
        """Run a call in its caller's role. With a judgement, a plain call leaves its connection clean.

        Raises DatabaseError for an error of Postgres, ConnectionLost if the outcome is unknown, and what
        `ConnectionPool.acquire` raises.
        """
        retries = MAX_RETRIES
        # If every connection is unfit, the last attempt gets a new one.
        for _ in range(self._size + 1 + MAX_RETRIES):
            connection = await self.pool.acquire(caller)
            left_by: Caller | None = caller
            try:
                if self._needs_statements(call):
                    return await self._run_in_transaction(connection, caller, call)
                answer = await self._supervised(connection, call, self._run(connection, caller, call, judgement))
                left_by = None if answer.clean else caller
                return answer
            except SERVER_ERRORS as error:
                failure = error_of(error, caller, call)
                if can_retry(error) and retries:
                    retries -= 1
                    continue
                if self._close_if_lost(connection, error) or not await self._close_if_unfit(connection, error, call):
                    raise failure from None
            except BROKEN as error:
                self._close_if_lost(connection, error)
                raise ConnectionLost from None
            finally:
                self.pool.release(connection, left_by=None if self.connector.pooled else left_by)
        raise failure

    def shares(self, call: Call) -> bool:
        """True if a call may share a transaction with others of its group: it is one of the plain statements, whose
        effects are known, and has no settings of its own."""
        return (
            call.statement.sql in PLAIN_CALLS
            and self.prepare is None
            and not call.read_only
            and call.function.settings is DEFAULTS
            and call.preferences.timezone is None
            and call.preferences.max_affected is None
            and call.isolation is None
            and not self._rolls_back(call)
        )

    async def judge(self, queue: str, function: str) -> Judgement:
        """Judge the calls of a function on a queue (`sharing.py`). Raises what the driver and the pool raise."""
        async with self.pool.connection() as connection:
            row = await connection.fetchrow(JUDGEMENT, queue, function, timeout=JUDGEMENT_TIMEOUT_SECONDS)
        assert row is not None
        return Judgement(queue, function, *row.values())

    async def execute_together(self, group: Group, calls: Sequence[Call], judgement: Judgement) -> Shared:
        """Run calls of a group in one transaction.

        Raises Stale, ConnectionLost if the outcome is unknown, and what `ConnectionPool.acquire` raises.
        """
        connection = await self.pool.acquire(group.caller)
        left_by: Caller | None = group.caller
        try:
            # The first attempt is for transactions without an error, which most are: one statement for all calls, or
            # at least no savepoints, which cost time.
            for savepoints in (False, True):
                try:
                    rows = await self._run_together(connection, group, calls, judgement, savepoints=savepoints)
                    left_by = None
                    return _outcomes(rows, group.caller, calls)
                except SERVER_ERRORS as error:
                    if self._close_if_lost(connection, error) or may_be_committed(error):
                        raise ConnectionLost from None
                    if error.sqlstate == STALE_SQLSTATE:
                        raise Stale from None
                    if error.sqlstate == DEADLOCK_SQLSTATE:
                        return Shared([None] * len(calls), deadlock=True)
                    if error.sqlstate == KNOWN_KEY_SQLSTATE:
                        break
                    if isinstance(error, asyncpg.QueryCanceledError) or error.sqlstate == LOCKED_SQLSTATE:
                        return Shared([None] * len(calls), math.inf)
            return Shared([None] * len(calls))
        except StatementTimeout:
            # The limit is that of one call.
            return Shared([None] * len(calls), math.inf)
        except BROKEN as error:
            self._close_if_lost(connection, error)
            raise ConnectionLost from None
        finally:
            self.pool.release(connection, left_by=None if self.connector.pooled else left_by)

    def context(self, caller: Caller, call: Call) -> Context:
        schemas = self._search_paths[call.function.schema]
        settings = self._settings(call)
        # Functions of these schemas write no log of actions, and a further setting would make their calls slower.
        if caller.key_name and call.function.schema not in (QUEUES, LEASES):
            settings = [*(settings or ()), "pgmq_gateway.key_name", caller.key_name]
        return Context(caller.role, caller.claims, call.request.texts, schemas, settings)

    @property
    def takes_turns(self) -> bool:
        """True if `execute_in_turn` can be used."""
        return not self.connector.pooled

    async def execute_in_turn(self, callers: Sequence[Caller], calls: Sequence[Call], judgement: Judgement) -> Shared:
        """Run calls of several callers of one role in one round trip, each in a transaction of its own.

        Raises Stale, ConnectionLost if the outcome is unknown, and what `ConnectionPool.acquire` raises.
        """
        connection = await self.pool.acquire()
        left_by: Hashable = judgement
        try:
            row = await self._run_in_turn(connection, callers, calls, judgement)
            shared = _outcomes_in_turn(row, callers, calls)
            left_by = judgement if shared.stale else None
            return shared
        except SERVER_ERRORS as error:
            if self._close_if_lost(connection, error):
                raise ConnectionLost from None
            if error.sqlstate == STALE_SQLSTATE:
                raise Stale from None
            # An error inside the procedure has a context that names it: some calls may have been committed.
            if isinstance(error, NOT_STARTED_ERRORS) and "calls_in_turn" not in str(error.context):
                return Shared([None] * len(calls), math.inf)
            raise CommitInterrupted from None
        except BROKEN as error:
            self._close_if_lost(connection, error)
            raise ConnectionLost from None
        finally:
            self.pool.release(connection, left_by=left_by)

    def _close_if_lost(self, connection: GatewayConnection, error: Exception) -> bool:
        """Close a connection that the error has ended. False if it goes on.

        Most errors with which a server ends a session concern that session alone, such as a transaction_timeout.
        """
        if isinstance(error, SERVER_ERRORS) and not ends_connection(error):
            return False
        logger.warning("lost a database connection during a call: %s", loggable(error))
        ended_with = last_error(error)
        if isinstance(ended_with, SHUTDOWN_ERRORS):
            self.pool.doubt()
        elif ended_with is None and connection.is_closed():
            self.pool.broke(connection)
        terminate(connection)
        return True

    async def _close_if_unfit(self, connection: GatewayConnection, error: ServerError, call: Call) -> bool:
        """Close a connection on which the call cannot run. True if so: then nothing was executed, and another
        connection may run it."""
        if not await self._is_unfit(connection, error, call):
            return False
        logger.warning("closing a connection on which calls cannot run any more: %s", error.sqlstate)
        terminate(connection)
        return True

    async def _is_unfit(self, connection: GatewayConnection, error: ServerError, call: Call) -> bool:
        """True if the session causes the error: its server has become a standby, or a function of this caller has left
        something.

        In the first case a write fails. In the second the session is read-only, its role cannot call
        pgmq_gateway.call, or a prepared statement of the driver is no longer there.
        """
        if isinstance(error, asyncpg.InvalidSQLStatementNameError):
            return DRIVERS_STATEMENT in str(error.message)
        if isinstance(error, asyncpg.ReadOnlySQLTransactionError):
            if call.read_only:
                return False
            if await _is_true(connection, "pg_catalog.pg_is_in_recovery()"):
                return self._leave_standby()
            writable = not self.connector.read_only
            return writable and await _is_true(connection, "current_setting('default_transaction_read_only')::boolean")
        if isinstance(error, asyncpg.InsufficientPrivilegeError):
            # Most errors of this kind concern a queue and need no further query.
            named = any(name in str(error.message) for name in ENTRY_POINTS)
            return named and await _is_true(connection, "current_user <> session_user")
        return False

    def _leave_standby(self) -> bool:
        """Replace all connections to find the primary. False if there has been none: the standby is served on purpose.

        Raises Unavailable if connections were replaced just now.
        """
        if not self.connector.primary:
            return False
        self.connector.seeks_primary = True
        if not self.pool.can_retire:
            raise Unavailable
        self.pool.retire()
        return True

    def _exceeds_session_timeout(self, call: Call) -> bool:
        """True if the statement timeout of the call is longer than that of its connection."""
        session, own = self.connector.statement_timeout, call.statement_timeout
        return session > 0 and own is not None and not 0 < own <= session

    def _time_limit(self, call: Call) -> float:
        """Seconds that a call may take, its commit included; 0: no limit."""
        own, session = call.statement_timeout, self.connector.statement_timeout
        if own is None:
            return session and session + SESSION_TIMEOUT_MARGIN_SECONDS
        return own

    async def _run_together(
        self,
        connection: GatewayConnection,
        group: Group,
        calls: Sequence[Call],
        judgement: Judgement,
        *,
        savepoints: bool,
    ) -> list[asyncpg.Record]:
        work = self._fetch_together(connection, group, calls, judgement, savepoints=savepoints)
        timeout = self._time_limit(calls[0])
        rows = await (within(timeout, connection, work) if timeout else work)
        if connection.commit_interrupted:
            raise CommitInterrupted
        return rows

    async def _fetch_together(
        self,
        connection: GatewayConnection,
        group: Group,
        calls: Sequence[Call],
        judgement: Judgement,
        *,
        savepoints: bool,
    ) -> list[asyncpg.Record]:
        arguments = (
            group.caller.role,
            group.caller.claims,
            self._settings(calls[0]),
            [text for call in calls for text in call.request.texts],
            self._search_paths[calls[0].function.schema],
            [call.statement.sql for call in calls],
            [call.body for call in calls],
            *judgement.compared,
            judgement.fusion,
            savepoints,
        )
        if keys := [call.key for call in calls if call.key is not None]:
            ids, locks = [key.digest for key in keys], [key.lock for key in keys]
            return await connection.fetch(KEYED_CALLS, ids, locks, self._keep_keys, keys[0].unstored, *arguments)
        return await connection.fetch(CALLS, *arguments)

    async def _run_in_turn(
        self, connection: GatewayConnection, callers: Sequence[Caller], calls: Sequence[Call], judgement: Judgement
    ) -> asyncpg.Record:
        """The results of the calls. One that exceeds its time limit is cancelled, and those after it are executed."""
        results: list[asyncpg.Record] = []

        async def work() -> None:
            if (row := await self._fetch_in_turn(connection, callers, calls, judgement)) is not None:
                results.append(row)

        if timeout := self._time_limit(calls[0]):
            with suppress(CommitInterrupted, StatementTimeout):
                await within(timeout, connection, work())
        else:
            await work()
        if connection.commit_interrupted or not results:
            raise CommitInterrupted
        return results[0]

    async def _fetch_in_turn(
        self, connection: GatewayConnection, callers: Sequence[Caller], calls: Sequence[Call], judgement: Judgement
    ) -> asyncpg.Record | None:
        return await connection.fetchrow(
            CALLS_IN_TURN,
            callers[0].role,
            [caller.claims for caller in callers],
            self._settings(calls[0]),
            [text for call in calls for text in call.request.texts],
            self._search_paths[calls[0].function.schema],
            [call.statement.sql for call in calls],
            [call.body for call in calls],
            *judgement.compared,
        )

    def _needs_statements(self, call: Call) -> bool:
        """True if a call needs more than one statement."""
        return (
            self.connector.pooled
            or call.isolation is not None
            or self._rolls_back(call)
            or self._exceeds_session_timeout(call)
        )

    async def _run_in_transaction(self, connection: GatewayConnection, caller: Caller, call: Call) -> Answer:
        """Run a call that needs more statements: for an isolation level, a rollback, a longer statement timeout, or
        because a pooler gives its session to others afterwards."""
        begin = f"begin isolation level {call.isolation or 'read committed'}"
        if self._exceeds_session_timeout(call):
            begin += f"; set local statement_timeout = {int(1000 * (call.statement_timeout or 0))}"
        try:
            await connection.execute(begin)
        except (*SERVER_ERRORS, *BROKEN) as error:
            if self._close_if_lost(connection, error):
                raise Unavailable from None
            raise
        try:
            return await self._supervised(connection, call, self._run_and_end(connection, caller, call))
        except BaseException:
            await self._undo(connection)
            raise

    async def _run_and_end(self, connection: GatewayConnection, caller: Caller, call: Call) -> Answer:
        """Run a call, and end its transaction. As in PostgREST, a rollback checks deferred constraints first."""
        answer = await self._run(connection, caller, call)
        if self._rolls_back(call):
            answer = structs.replace(answer, reported=None)
        end = ["rollback" if self._rolls_back(call) else "commit"]
        if self.connector.pooled:
            # In the same transaction, because the next caller may get the session as soon as it ends.
            end = [CLEANING_OF_POOLED, SHOW_WARNINGS, *end] if end == ["commit"] else [*end, CLEANING_OF_POOLED]
        # Deferred triggers run in the caller's role.
        await connection.execute("; ".join(["set constraints all immediate", *end]))
        return answer

    async def _undo(self, connection: GatewayConnection) -> None:
        """Roll back. A pooler's session is cleaned too: locks, sequences and prepared statements survive a rollback."""
        try:
            await connection.execute(f"rollback; {CLEANING_OF_POOLED}" if self.connector.pooled else "rollback")
        except (*SERVER_ERRORS, *BROKEN):
            terminate(connection)

    async def _run(
        self, connection: GatewayConnection, caller: Caller, call: Call, judgement: Judgement | None = None
    ) -> Answer:
        if call.key is not None and not self._rolls_back(call):
            return await self._run_keyed(connection, caller, call, call.key, judgement)
        row = await connection.fetchrow(CALL, *self.context(caller, call), call.read_only, *self._work(call, judgement))
        assert row is not None
        return Answer(*row.values())

    async def _run_keyed(
        self,
        connection: GatewayConnection,
        caller: Caller,
        call: Call,
        key: IdempotencyKey,
        judgement: Judgement | None,
    ) -> Answer:
        """Run a call with an Idempotency-Key, unless its answer is stored."""
        limit = self._time_limit(call)
        wait = min(MAX_KEY_WAIT_SECONDS, limit / 2) if limit else MAX_KEY_WAIT_SECONDS
        row = await connection.fetchrow(
            KEYED_CALL,
            key.digest,
            key.lock,
            f"{math.ceil(1000 * wait)}ms",
            self._keep_keys,
            key.unstored,
            *self.context(caller, call),
            *self._work(call, judgement),
        )
        assert row is not None
        answer = Answer(*row.values())
        self.replays += answer.replayed
        return answer

    def _work(self, call: Call, judgement: Judgement | None) -> tuple[object, ...]:
        """The last arguments of pgmq_gateway.call."""
        return (
            self.prepare,
            call.statement.sql,
            call.body,
            call.statement.texts,
            call.singular,
            call.preferences.max_affected,
            call.offset or None,
            *(judgement.compared if judgement else UNCOMPARED),
        )

    async def _supervised(self, connection: GatewayConnection, call: Call, work: Coroutine[Any, Any, T]) -> T:
        """The result of the call's statement, committed within its time limits.

        Raises StatementTimeout, ClientGone, CommitInterrupted.
        """
        result = await self._limited(connection, call, work)
        if connection.commit_interrupted:
            raise CommitInterrupted
        return result

    async def _limited(self, connection: GatewayConnection, call: Call, work: Coroutine[Any, Any, T]) -> T:
        seconds = self._time_limit(call)
        abandoned = call.abandoned if call.ends_with_client else None
        filters = self._filter_timeout if call.statement.searching else 0
        if filters and not 0 < seconds <= filters:
            error = StatementTimeout.of_filters(filters)
            return await within(filters, connection, work, abandoned=abandoned, error=error)
        if seconds or abandoned:
            return await within(seconds, connection, work, abandoned=abandoned)
        return await work

    def _settings(self, call: Call) -> list[str] | None:
        """Names and values in turn of the call's own settings, in PostgREST's order; the last one of a name wins."""
        timezone = () if call.preferences.timezone is None else ("timezone", call.preferences.timezone)
        return [*call.settings.pairs, *timezone, *call.function.settings.pairs, *self._app_settings] or None

    def _rolls_back(self, call: Call) -> bool:
        """True if the transaction ends with a rollback, by the client's preference or db-tx-end."""
        return call.preferences.rolls_back(otherwise=self._rollback)


def _caps(settings: Settings) -> list[str]:
    """Names and values in turn of the limits that differ from the defaults in the functions of pgmq_public."""
    caps = (("max_batch", settings.max_batch, MAX_BATCH), ("max_read", settings.max_read, MAX_READ))
    return [text for name, cap, default in caps if cap != default for text in (f"pgmq_gateway.{name}", str(cap))]


def _outcomes(rows: Sequence[asyncpg.Record], caller: Caller, calls: Sequence[Call]) -> Shared:
    """The outcomes of calls that shared a transaction.

    A call that failed after another one succeeded runs again alone, because the first may have caused the failure. The
    savepoint of the failed call was rolled back.
    """
    outcomes: list[Answer | GatewayError | None] = []
    succeeded = deadlock = False
    for row, call in zip(rows, calls, strict=True):
        row_count, body, failure, _, reported = row.values()
        if failure is None:
            succeeded = True
            outcomes.append(Answer(None, row_count, body, reported=reported))
        else:
            refusal = Refusal(*(text or None for text in failure))
            deadlock = deadlock or refusal.sqlstate == DEADLOCK_SQLSTATE
            again = succeeded or refusal.sqlstate in RUN_AGAIN_SQLSTATES
            outcomes.append(None if again else error_of(refusal, caller, call))
    return Shared(outcomes, rows[-1]["seconds"], deadlock)


def _outcomes_in_turn(row: asyncpg.Record, callers: Sequence[Caller], calls: Sequence[Call]) -> Shared:
    """The outcomes of calls in transactions of their own."""
    *columns, seconds, reports = row.values()
    outcomes: list[Answer | GatewayError | None] = []
    codes: set[str | None] = set()
    for caller, call, row_count, body, failure, reported in zip(callers, calls, *columns, reports, strict=True):
        if failure is None:
            outcomes.append(Answer(None, row_count, body, reported=reported))
            continue
        refusal = Refusal(*(text or None for text in json.loads(failure)))
        codes.add(refusal.sqlstate)
        again = refusal.sqlstate in RUN_AGAIN_ALONE_SQLSTATES
        outcomes.append(None if again else error_of(refusal, caller, call))
    delayed = not DELAYING_SQLSTATES.isdisjoint(codes)
    return Shared(outcomes, math.inf if delayed else seconds or 0, stale=STALE_SQLSTATE in codes)


async def _is_true(connection: GatewayConnection, condition: str) -> bool:
    try:
        return bool(await connection.fetchval(f"select {condition}"))
    except (*SERVER_ERRORS, *BROKEN):
        return False


def _pre_request(name: str | None) -> str | None:
    """The statement that calls db-pre-request, whose name may have a schema."""
    return None if name is None else call_of(name)
