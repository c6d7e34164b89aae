"""Calls of pgmq_gateway.calls, the function that runs several calls of one caller."""

import json
from typing import Any

from tests.databases import Sql

CLAIMS = json.dumps({"role": "anon", "sub": "somebody"})
CALLS = (
    "select total, row_count, body, response_headers, response_status, failure "
    "from pgmq_gateway.calls(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s::bigint[], %s::bigint[], %s)"
)
PLAIN = (False, None, None)
Checks = tuple[bool, int | None, int | None]


def calls(
    gateway: Sql,
    *statements: str,
    role: str = "anon",
    settings: list[str] | None = None,
    prepare: str | None = None,
    schemas: list[str] | None = None,
    checks: list[Checks] | None = None,
    careful: bool = True,
) -> list[tuple[Any, ...]]:
    """Calls with the numbers 0, 1 … as their arguments, and as the header of their requests."""
    numbers = range(len(statements))
    requests = [text for n in numbers for text in ("POST", f"/rpc/{n}", f'{{"n": "{n}"}}', "{}")]
    singular, most, first = zip(*(checks or [PLAIN] * len(statements)), strict=True)
    return gateway(
        CALLS, role, CLAIMS, settings, prepare, requests, schemas or ["public"] * len(statements), list(statements),
        [f'{{"n": {n}}}' for n in numbers], list(singular), list(most), list(first), careful,
    )  # fmt: skip


def giving(value: str) -> str:
    """A statement that returns one row with a text."""
    return f"select null::bigint, 1::bigint, ({value})::text"
