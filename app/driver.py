"""The driver's types for annotations: asyncpg's classes are generic in its stubs only."""

from typing import TYPE_CHECKING, Literal

import asyncpg

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]
    Pool = asyncpg.Pool[asyncpg.Record]
else:
    Connection = asyncpg.Connection
    Pool = asyncpg.Pool

Isolation = Literal["serializable", "repeatable_read", "read_committed", "read_uncommitted"]

# A function may also raise a condition of class 01 or 02, which the driver takes for warnings.
SERVER_ERRORS = (asyncpg.PostgresError, asyncpg.PostgresWarning)
ServerError = asyncpg.PostgresError | asyncpg.PostgresWarning
