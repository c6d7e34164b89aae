"""asyncpg's types and error classes. Its classes are generic in its stubs only."""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import asyncpg

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]
else:
    Connection = asyncpg.Connection


class GatewayConnection(Connection):
    """A connection on which calls run.

    server              the URI of its server
    number              its place in the order in which the pool opened its connections
    last_opened         the number of the newest one when it was acquired
    retired             whether it is closed on its release
    left_by             the caller that may have left something in the session; None: no caller has
    commit_interrupted  whether Postgres stopped waiting for a synchronous standby when it committed the last call
    """

    server = ""
    number = 0
    last_opened = 0
    retired = False
    left_by: Hashable = None
    commit_interrupted = False

    def is_clean_for(self, caller: Hashable) -> bool:
        """True if no other caller has left anything in the session."""
        return self.left_by is None or self.left_by == caller

    @property
    def queries(self) -> int:
        """The number of queries so far."""
        number: int = self._protocol.queries_count  # type: ignore[attr-defined]
        return number


# A function can also raise a condition of class 01 or 02, which the driver represents as a warning.
SERVER_ERRORS = (asyncpg.PostgresError, asyncpg.PostgresWarning)
# Errors of a lost connection; the driver raises the last one when the server closes it in the middle of a message.
BROKEN = (OSError, asyncpg.InterfaceError, asyncpg.InternalClientError)


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error of Postgres that SQL caught and returned, with the attributes of the driver's errors."""

    sqlstate: str | None
    message: str | None
    detail: str | None
    hint: str | None
    context: str | None


def loggable(error: Exception) -> str:
    """An error's message for the log; of a ValueError only the class, because the driver quotes the value."""
    return type(error).__name__ if isinstance(error, ValueError) else str(error) or type(error).__name__


ServerError = asyncpg.PostgresError | asyncpg.PostgresWarning | Refusal
