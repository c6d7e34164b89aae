"""Errors of Postgres and of the connection, as errors of the call that met them."""

from collections.abc import Callable, Mapping

import asyncpg

from pgmq_gateway.auth.caller import Caller
from pgmq_gateway.calls.call import Call
from pgmq_gateway.database.driver import ServerError
from pgmq_gateway.database.sqlstate import DatabaseError
from pgmq_gateway.errors import ConnectionLost, GatewayError, InvalidRange, NotSingular, TooManyAffected

# The SQLSTATEs that pgmq_gateway.call raises for a result that the client does not accept; the message is the number of
# rows.
RESULT_CHECKS: Mapping[str, Callable[[Call, int], GatewayError]] = {
    "GW103": lambda call, rows: InvalidRange.beyond(call.offset, rows),
    "GW116": lambda _, rows: NotSingular(rows),
    "GW124": lambda _, rows: TooManyAffected(rows),
}
# The beginning of their context: a function can raise the same SQLSTATE.
RESULT_CHECK_CONTEXT = "PL/pgSQL function pgmq_gateway.call("

# Serialization failure and deadlock.
RETRIED_SQLSTATES = frozenset({"40001", "40P01"})
READ_ONLY_SQLSTATE = "25006"
CANCELED_SQLSTATE = "57014"
# A commit may precede these: connection errors, interventions of an operator, errors outside Postgres, and the code for
# just that. A pooler can report the loss of its server with one of them and keep the connection of its client.
UNCERTAIN_CLASSES, UNCERTAIN_SQLSTATE = frozenset({"08", "57", "58"}), "40003"


def can_retry(error: ServerError) -> bool:
    """True if the call was rolled back for a reason that a second attempt probably does not meet."""
    return error.sqlstate in RETRIED_SQLSTATES or isinstance(error, asyncpg.InvalidCachedStatementError)


def ends_connection(error: ServerError) -> bool:
    """True if the server closes the connection with this error, or the driver found it broken."""
    # The driver raises class 08 for a broken connection, without a severity.
    if isinstance(error, asyncpg.PostgresConnectionError) and error.severity is None:
        return True
    return last_error(error) is not None


def last_error(error: ServerError | BaseException) -> object:
    """The error with which the server has ended the session; None if it has not, or the connection broke without one.

    It is the cause of the driver's error if the connection was closed after it.
    """
    # A function can raise any SQLSTATE, but not these severities.
    errors = (error, getattr(error, "__cause__", None))
    return next((one for one in errors if getattr(one, "severity_en", None) in {"FATAL", "PANIC"}), None)


def may_be_committed(error: ServerError) -> bool:
    """True if it is unknown whether the transaction was committed. A cancelled statement has been rolled back."""
    code = error.sqlstate or ""
    return code == UNCERTAIN_SQLSTATE or (code[:2] in UNCERTAIN_CLASSES and code != CANCELED_SQLSTATE)


def error_of(error: ServerError, caller: Caller, call: Call) -> GatewayError:
    """The error that the client receives."""
    # The message of 57P01 is meant for clients, so it is passed on.
    if ends_connection(error) and not isinstance(error, asyncpg.AdminShutdownError):
        return ConnectionLost()
    context = getattr(error, "context", None) or ""
    check = RESULT_CHECKS.get(error.sqlstate or "")
    if check is not None and context.startswith(RESULT_CHECK_CONTEXT):
        return check(call, int(error.message or 0))
    return DatabaseError.of(error, anonymous=caller.anonymous)
