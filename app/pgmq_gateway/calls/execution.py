"""The one statement: a call runs in its caller's role, in one transaction, in one round trip."""

import logging
from collections.abc import Callable, Mapping, Sequence

import asyncpg

from pgmq_gateway.auth.caller import Caller
from pgmq_gateway.calls.call import Answer, Call
from pgmq_gateway.calls.catalog import MANAGEMENT
from pgmq_gateway.calls.statement import quote
from pgmq_gateway.database.connector import Connector
from pgmq_gateway.database.deadline import within
from pgmq_gateway.database.driver import BROKEN, SERVER_ERRORS, Connection, Isolation, Refusal, ServerError, loggable
from pgmq_gateway.database.pool import ConnectionPool, terminate
from pgmq_gateway.database.role_settings import DEFAULTS
from pgmq_gateway.database.sqlstate import DatabaseError
from pgmq_gateway.errors import (
    ConnectionLost,
    GatewayError,
    InvalidRange,
    NotSingular,
    TooManyAffected,
    Unavailable,
)
from pgmq_gateway.settings.model import MAX_BATCH, MAX_READ, Settings

logger = logging.getLogger("pgmq_gateway")

CALL = """
select total, row_count, body, response_headers, response_status
from pgmq_gateway.call($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
"""

CALLS = """
select total, row_count, body, response_headers, response_status, failure
from pgmq_gateway.calls($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
"""

# How pgmq_gateway.call says that a result is not what the client asked for.
CHECKS: Mapping[str, Callable[[Call, int], GatewayError]] = {
    "GW103": lambda call, rows: InvalidRange.beyond(call.offset, rows),
    "GW116": lambda _, rows: NotSingular(rows),
    "GW124": lambda _, rows: TooManyAffected(rows),
}

# The driver's names of the isolation levels.
LEVELS: Mapping[str, Isolation] = {
    "serializable": "serializable",
    "repeatable read": "repeatable_read",
    "read committed": "read_committed",
    "read uncommitted": "read_uncommitted",
}

# Where such a failure comes from.
RAISING = "PL/pgSQL function pgmq_gateway.call("

# A serialization failure and a deadlock: rolled back, and likely to go well the next time.
RETRIED = frozenset({"40001", "40P01"})
READ_ONLY = "25006"
RETRIES = 3
# Bytes of a body that may share: a long one would make the others wait.
LONGEST_SHARED = 65536


class Database:
    """The database by the connections of the login role."""

    def __init__(self, settings: Settings) -> None:
        assert settings.db_uri is not None
        self._size = settings.db_pool
        self._connector = Connector(
            settings.db_uri.get_secret_value(),
            prepared=settings.db_prepared_statements,
            call_timeout=settings.call_timeout,
        )
        self.pool = ConnectionPool(self._size, settings.db_pool_acquisition_timeout, self._connector)
        self._search_paths = {
            schema: ", ".join(quote(name) for name in dict.fromkeys((schema, *settings.db_extra_search_path)))
            for schema in settings.db_schemas
        }
        self._rollback = settings.db_tx_end.startswith("rollback")
        self._prepare = _pre_request(settings.db_pre_request)
        self._app_settings = (*(text for pair in settings.app_settings for text in pair), *_caps(settings))

    async def execute(self, caller: Caller, call: Call) -> Answer:
        """Run a call in its caller's role.

        Raises DatabaseError for what Postgres refuses, ConnectionLost when the outcome is unknown, and what
        `ConnectionPool.acquire` raises.
        """
        again = RETRIES
        # At worst every connection has been spoilt, and the last attempt gets a new one.
        for _ in range(self._size + 1 + RETRIES):
            connection = await self.pool.acquire()
            try:
                if call.isolation is not None or self._discards(call) or self._outlasts(call):
                    return await self._run_apart(connection, caller, call)
                return await self._run(connection, caller, call)
            except SERVER_ERRORS as error:
                refusal = _meaning(error, caller, call)
                if _passes(error) and again:
                    again -= 1
                    continue
                if self._lost(connection, error) or not await self._unfit(connection, error, call):
                    raise refusal from None
                # Nothing has been executed, so another connection may do it.
                logger.warning("closing a connection on which calls cannot run any more: %s", error.sqlstate)
                terminate(connection)
            except BROKEN as error:
                self._lost(connection, error)
                raise ConnectionLost from None
            finally:
                self.pool.release(connection)
        raise refusal

    def shares(self, call: Call) -> bool:
        """Whether a call may stand in one transaction with others of its caller."""
        plain = call.preferences.timezone is None and call.function.settings is DEFAULTS
        short = call.body is None or len(call.body) <= LONGEST_SHARED
        return (
            plain
            and short
            # What manages whole queues may take long.
            and call.function.schema != MANAGEMENT
            and not call.statement.texts
            and not call.read_only
            and call.isolation is None
            and call.representation.plan is None
            and not self._discards(call)
        )

    async def execute_together(self, caller: Caller, calls: Sequence[Call]) -> list[Answer | GatewayError | None]:
        """Run calls that share, in one transaction. For each: its answer, its error, or None where it has to run alone.

        Raises ConnectionLost when the outcome is unknown, and what `ConnectionPool.acquire` raises.
        """
        connection = await self.pool.acquire()
        try:
            for careful in (False, True):
                try:
                    rows = await self._run_together(connection, caller, calls, careful=careful)
                    return _outcomes(rows, caller, calls)
                except SERVER_ERRORS as error:
                    if self._lost(connection, error):
                        raise ConnectionLost from None
                    # All of it is rolled back. Mostly all goes well, so savepoints are only for when it does not.
                    if isinstance(error, asyncpg.QueryCanceledError):
                        break
            return [None] * len(calls)
        except BROKEN as error:
            self._lost(connection, error)
            raise ConnectionLost from None
        finally:
            self.pool.release(connection)

    def _lost(self, connection: Connection, error: Exception) -> bool:
        """Whether an error ends its connection. When it was the server's end or the network's, the others are as good
        as lost too, and those that come instead may lead to another server."""
        if isinstance(error, SERVER_ERRORS) and not _ends(error):
            return False
        logger.warning("lost a database connection during a call: %s", loggable(error))
        # What the driver found wrong itself says nothing of other connections.
        if connection.is_closed() or isinstance(error, SERVER_ERRORS):
            self.pool.retire()
        terminate(connection)
        return True

    async def _unfit(self, connection: Connection, error: ServerError, call: Call) -> bool:
        """Whether it is the connection that keeps a call from running: a function said SET without LOCAL, or the server
        became a standby.

        Then the right to call pgmq_gateway.call is missing, or what should write may not.
        """
        if isinstance(error, asyncpg.ReadOnlySQLTransactionError):
            if call.read_only:
                return False
            if await _says(connection, "pg_catalog.pg_is_in_recovery()"):
                return self._moved()
            own = not self._connector.read_only
            return own and await _says(connection, "current_setting('default_transaction_read_only')::boolean")
        if isinstance(error, asyncpg.InsufficientPrivilegeError):
            # Named so that most refusals need not be looked into.
            named = "pgmq_gateway" in str(error.message) or "function call" in str(error.message)
            return named and await _says(connection, "current_user <> session_user")
        return False

    def _moved(self) -> bool:
        """Whether to look for the primary somewhere else than on a standby.

        Not where there has never been one: a standby that is served on purpose answers as it is. Raises Unavailable
        when somebody has looked just now.
        """
        if not self._connector.primary:
            return False
        if not self.pool.can_retire:
            raise Unavailable
        self.pool.retire()
        return True

    def _outlasts(self, call: Call) -> bool:
        """Whether a call may take longer than its connection allows."""
        limit = self._connector.statement_timeout
        return limit > 0 and call.limit is not None and not 0 < call.limit <= limit

    async def _run_together(
        self, connection: Connection, caller: Caller, calls: Sequence[Call], *, careful: bool
    ) -> list[asyncpg.Record]:
        limit = calls[0].timeout
        if limit is None:
            return await self._fetch_together(connection, caller, calls, careful=careful)
        # Not the driver's timer: what has been cancelled must be known to be rolled back.
        async with connection.transaction():
            await connection.execute(f"set local statement_timeout = {int(1000 * limit) or 1}")
            return await self._fetch_together(connection, caller, calls, careful=careful)

    async def _fetch_together(
        self, connection: Connection, caller: Caller, calls: Sequence[Call], *, careful: bool
    ) -> list[asyncpg.Record]:
        requests = [text for call in calls for text in call.request.texts]
        return await connection.fetch(
            CALLS,
            caller.role,
            caller.claims,
            self._settings(calls[0]),
            self._prepare,
            requests,
            [self._search_paths[call.function.schema] for call in calls],
            [call.statement.sql for call in calls],
            [call.body for call in calls],
            [call.singular for call in calls],
            [call.preferences.max_affected for call in calls],
            [call.offset or None for call in calls],
            careful,
        )

    async def _run_apart(self, connection: Connection, caller: Caller, call: Call) -> Answer:
        """Run a call in a transaction of more than one statement: it has a level of its own, is to be rolled back, or
        may take longer than others.

        Deferred constraints are checked before the rollback, as they would be by a commit (PostgREST's tx=rollback).
        """
        transaction = connection.transaction(isolation=LEVELS[call.isolation or "read committed"])
        await transaction.start()
        try:
            if self._outlasts(call):
                await connection.execute(f"set local statement_timeout = {int(1000 * (call.limit or 0))}")
            answer = await self._run(connection, caller, call)
            if self._discards(call):
                await connection.execute("set constraints all immediate")
        except BaseException:
            await transaction.rollback()
            raise
        await (transaction.rollback() if self._discards(call) else transaction.commit())
        return answer

    async def _run(self, connection: Connection, caller: Caller, call: Call) -> Answer:
        """Run a call in one statement, so in one round trip."""
        answer = connection.fetchrow(
            CALL,
            caller.role,
            caller.claims,
            call.request.texts,
            self._search_paths[call.function.schema],
            self._settings(call),
            call.read_only,
            self._prepare,
            call.statement.sql,
            call.body,
            call.statement.texts,
            call.singular,
            call.preferences.max_affected,
            call.offset or None,
        )
        row = await (within(call.timeout, connection, answer) if call.timeout else answer)
        assert row is not None
        return Answer(*row.values())

    def _settings(self, call: Call) -> list[str] | None:
        """Names and values in turn of what holds for this call only, in PostgREST's order: the last of a name wins."""
        asked = () if call.preferences.timezone is None else ("timezone", call.preferences.timezone)
        return [*call.settings.pairs, *asked, *call.function.settings.pairs, *self._app_settings] or None

    def _discards(self, call: Call) -> bool:
        """Whether the call is to leave nothing behind: what the operator said, or else may be chosen."""
        chosen = call.preferences.rollback
        return self._rollback if chosen is None else chosen


def _caps(settings: Settings) -> list[str]:
    """Names and values in turn of the caps on messages that are not as the functions of pgmq_public have them."""
    caps = (("max_batch", settings.max_batch, MAX_BATCH), ("max_read", settings.max_read, MAX_READ))
    return [text for name, cap, usual in caps if cap != usual for text in (f"pgmq_gateway.{name}", str(cap))]


def _outcomes(
    rows: Sequence[asyncpg.Record], caller: Caller, calls: Sequence[Call]
) -> list[Answer | GatewayError | None]:
    """What became of calls that shared. A failure behind an answer may be due to what that call left: a cursor of the
    same name, a read-only transaction, a lock limit, constraints no longer deferred. A call that failed has left
    nothing itself, and is to be run alone."""
    outcomes: list[Answer | GatewayError | None] = []
    answered = False
    for row, call in zip(rows, calls, strict=True):
        *answer, failure = row.values()
        if failure is None:
            answered = True
            outcomes.append(Answer(*answer))
        else:
            refusal = Refusal(*(text or None for text in failure))
            # Alone it finds out where it may write.
            again = answered or refusal.sqlstate in RETRIED or refusal.sqlstate == READ_ONLY
            outcomes.append(None if again else _meaning(refusal, caller, call))
    return outcomes


def _passes(error: ServerError) -> bool:
    """Whether a call that was rolled back for such an error is likely to go well the next time."""
    return error.sqlstate in RETRIED or isinstance(error, asyncpg.InvalidCachedStatementError)


def _ends(error: ServerError) -> bool:
    """Whether an error comes with the end of its connection. One of class 08 without a severity is the driver's own,
    for a broken wire."""
    if isinstance(error, asyncpg.PostgresConnectionError) and error.severity is None:
        return True
    # A function may raise such a code too, but no such severity.
    return getattr(error, "severity_en", None) in {"FATAL", "PANIC"}


async def _says(connection: Connection, condition: str) -> bool:
    try:
        return bool(await connection.fetchval(f"select {condition}"))
    except (*SERVER_ERRORS, *BROKEN):
        return False


def _meaning(error: ServerError, caller: Caller, call: Call) -> GatewayError:
    """What an error says about the call."""
    # Postgres' own words where it has some for a client (57P01).
    if _ends(error) and not isinstance(error, asyncpg.AdminShutdownError):
        return ConnectionLost()
    # A function may raise such a code too, but not from there.
    context = getattr(error, "context", None) or ""
    check = CHECKS.get(error.sqlstate or "")
    if check is not None and context.startswith(RAISING):
        return check(call, int(error.message or 0))
    return DatabaseError.of(error, anonymous=caller.anonymous)


def _pre_request(name: str | None) -> str | None:
    """The statement that calls the operator's function before each call; its name may have a schema in front."""
    return None if name is None else f"select {'.'.join(quote(part) for part in name.split('.', 1))}()"
