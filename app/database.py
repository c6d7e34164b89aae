"""The one statement: a call runs in its caller's role, in one transaction, in one round trip."""

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

import asyncpg

from app.auth import Caller
from app.call import Answer, Call
from app.catalog import MANAGEMENT
from app.connections import Connections
from app.driver import BROKEN, SERVER_ERRORS, Connection, Isolation, Refusal, ServerError, said
from app.errors import (
    ConnectionLost,
    DatabaseError,
    GatewayError,
    InvalidRange,
    NotSingular,
    StatementTimeout,
    TooManyAffected,
)
from app.settings import MAX_BATCH, MAX_READ, Settings
from app.statement import quote
from app.transaction import DEFAULTS

logger = logging.getLogger("pgmq_gateway")

SESSION = {"application_name": "pgmq-gateway"}
CONNECT_SECONDS = 10

CALL = """
select total, row_count, body, response_headers, response_status
from pgmq_gateway.call($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
"""

CALLS = """
select total, row_count, body, response_headers, response_status, failure
from pgmq_gateway.calls($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
"""

INSTALLED = """
select coalesce(has_function_privilege(to_regproc('pgmq_gateway.call')::oid, 'execute'), false)
"""

# Role switching with cached plans leaked rows between roles before these releases
# (CVE-2023-2455, CVE-2024-10976, CVE-2025-8713).
SAFE_RELEASES = {13: 22, 14: 19, 15: 14, 16: 10, 17: 6}

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
RAISING = "PL/pgSQL function pgmq_gateway.run("

# A serialization failure and a deadlock: rolled back, and likely to go well the next time.
RETRIED = frozenset({"40001", "40P01"})
RETRIES = 3
# Bytes of a body that may share: a long one would make the others wait.
LONGEST_SHARED = 65536


class UnsafeLogin(Exception):
    """The gateway must not serve with this login role, or this database is not installed."""


async def connect(uri: str) -> Connection:
    """A connection to the database."""
    return await asyncpg.connect(uri, server_settings=SESSION, timeout=CONNECT_SECONDS)


class Database:
    """The database by the connections of the login role."""

    def __init__(self, settings: Settings) -> None:
        assert settings.db_uri is not None
        uri = settings.db_uri.get_secret_value()
        self._size = settings.db_pool
        self.connections = Connections(self._size, settings.db_pool_acquisition_timeout, lambda: connect(uri))
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
        `Connections.take` raises.
        """
        again = RETRIES
        # At worst every connection has been spoilt, and the last attempt gets a new one.
        for _ in range(self._size + 1 + RETRIES):
            connection = await self.connections.take()
            try:
                if call.isolation is None and not self._discards(call):
                    return await self._run(connection, caller, call)
                return await self._run_apart(connection, caller, call)
            except TimeoutError:
                # The driver's own, when the call's time is up; else the network's.
                raise (StatementTimeout if call.timeout else ConnectionLost)() from None
            except SERVER_ERRORS as error:
                refusal = _meaning(error, caller, call)
                if error.sqlstate in RETRIED and again:
                    again -= 1
                    continue
                if not await _spoilt(connection, error, call):
                    raise refusal from None
                # Nothing has been executed, so another connection may do it.
                logger.warning("closing a connection whose session a function has changed: %s", error.sqlstate)
                connection.terminate()
            except BROKEN as error:
                _drop(connection)
                logger.warning("lost a database connection during a call: %s", said(error))
                raise ConnectionLost from None
            finally:
                self.connections.give_back(connection)
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

        Raises ConnectionLost when the outcome is unknown, and what `Connections.take` raises.
        """
        connection = await self.connections.take()
        try:
            for careful in (False, True):
                try:
                    rows = await self._run_together(connection, caller, calls, careful=careful)
                    return _outcomes(rows, caller, calls)
                except SERVER_ERRORS as error:
                    # All of it is rolled back. Mostly all goes well, so savepoints are only for when it does not.
                    if isinstance(_meaning(error, caller, calls[0]), ConnectionLost):
                        raise ConnectionLost from None
                    if isinstance(error, asyncpg.QueryCanceledError):
                        break
            return [None] * len(calls)
        except BROKEN as error:
            _drop(connection)
            logger.warning("lost a database connection during %d calls: %s", len(calls), said(error))
            raise ConnectionLost from None
        finally:
            self.connections.give_back(connection)

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
            [call.preferences.limit for call in calls],
            [call.offset or None for call in calls],
            careful,
        )

    async def _run_apart(self, connection: Connection, caller: Caller, call: Call) -> Answer:
        """Run a call in a transaction of more than one statement: it has a level of its own, or is to be rolled back.

        Deferred constraints are checked before the rollback, as they would be by a commit (PostgREST's tx=rollback).
        """
        transaction = connection.transaction(isolation=LEVELS[call.isolation or "read committed"])
        await transaction.start()
        try:
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
        row = await connection.fetchrow(
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
            call.preferences.limit,
            call.offset or None,
            timeout=call.timeout,
        )
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
            again = answered or refusal.sqlstate in RETRIED
            outcomes.append(None if again else _meaning(refusal, caller, call))
    return outcomes


async def _spoilt(connection: Connection, error: ServerError, call: Call) -> bool:
    """Whether the session is not what it was, because a function said SET without LOCAL, or a primary became a standby.

    Then the right to call pgmq_gateway.call is missing, or what should write may not.
    """
    if isinstance(error, asyncpg.ReadOnlySQLTransactionError):
        return not call.read_only and await _says(
            connection, "current_setting('default_transaction_read_only')::boolean"
        )
    if isinstance(error, asyncpg.InsufficientPrivilegeError):
        # Named so that most refusals need not be looked into.
        named = "pgmq_gateway" in str(error.message) or "function call" in str(error.message)
        return named and await _says(connection, "current_user <> session_user")
    return False


def _drop(connection: Connection) -> None:
    """Close a connection at once, if it is not closed already."""
    with suppress(asyncpg.InterfaceError):
        connection.terminate()


async def _says(connection: Connection, condition: str) -> bool:
    try:
        return bool(await connection.fetchval(f"select {condition}"))
    except (*SERVER_ERRORS, *BROKEN):
        return False


def _meaning(error: ServerError, caller: Caller, call: Call) -> GatewayError:
    """What an error says about the call: one of class 08 without a severity is the driver's own, for a broken wire."""
    if isinstance(error, asyncpg.PostgresConnectionError) and error.severity is None:
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


async def check_login(connection: Connection) -> None:
    """Refuse a login role that would defeat row-level security, and a database without this release's functions.

    Raises UnsafeLogin with one line that says what to do.
    """
    role = await connection.fetchrow(
        "select rolname, rolsuper, rolbypassrls from pg_catalog.pg_roles where rolname = session_user"
    )
    assert role is not None
    if role["rolsuper"] or role["rolbypassrls"]:
        power = "a superuser" if role["rolsuper"] else "allowed to bypass row-level security"
        raise UnsafeLogin(f"login role {role['rolname']} is {power}: let PGRST_DB_URI log in as authenticator")
    if not await connection.fetchval(INSTALLED):
        raise UnsafeLogin(f"this database has no gateway installed for {role['rolname']}: run pgmq-gateway install")
    version = connection.get_server_version()
    if version.minor < SAFE_RELEASES.get(version.major, 0):
        logger.warning(
            "Postgres %s.%s has known flaws in role switching: update to %s.%s or newer",
            version.major, version.minor, version.major, SAFE_RELEASES[version.major],
        )  # fmt: skip
