"""The driver's types for annotations: asyncpg's classes are generic in its stubs only."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import asyncpg

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]
else:
    Connection = asyncpg.Connection

Isolation = Literal["serializable", "repeatable_read", "read_committed", "read_uncommitted"]

# A function may also raise a condition of class 01 or 02, which the driver takes for warnings.
SERVER_ERRORS = (asyncpg.PostgresError, asyncpg.PostgresWarning)
# What the driver says of a connection that is no good any more; the last when the server ended it at a bad moment.
BROKEN = (OSError, asyncpg.InterfaceError, asyncpg.InternalClientError)


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error of Postgres that was caught in the database, with what the driver's own errors have."""

    sqlstate: str | None
    message: str | None
    detail: str | None
    hint: str | None
    context: str | None


def said(error: Exception) -> str:
    """What an error says, for the log: of the driver's complaints of values, which quote them, only the kind."""
    return type(error).__name__ if isinstance(error, ValueError) else str(error) or type(error).__name__


ServerError = asyncpg.PostgresError | asyncpg.PostgresWarning | Refusal
