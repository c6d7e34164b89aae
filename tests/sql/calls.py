"""Calls of pgmq_gateway.calls, the function that runs several plain calls of one caller."""

import json
from typing import Any

from tests.databases import Sql

CLAIMS = json.dumps({"role": "anon", "sub": "somebody"})
JUDGEMENT = (
    "select obstacles, relations::text, functions, fingerprint, fusion::text from pgmq_gateway.judgement(%s, %s)"
)
CALLS = (
    "select row_count, body, failure "
    "from pgmq_gateway.calls(%s, %s, %s, %s, %s, %s, %s, %s, %s::pg_catalog.oid[], %s, %s, %s::pg_catalog.json, %s)"
)  # fmt: skip
SEND = "send(message,queue_name)"
# Supabase's, which call those of pgmq.
SUPABASE = {
    "read": (
        "create or replace function pgmq_public.read(queue_name text, sleep_seconds integer, n integer) "
        "returns setof pgmq.message_record language plpgsql set search_path = '' as $$ begin return query select * "
        "from pgmq.read( queue_name := queue_name, vt := sleep_seconds, qty := n , conditional := '{}'::jsonb ); "
        "end; $$"
    ),
    "pop": (
        "create or replace function pgmq_public.pop(queue_name text) "
        "returns setof pgmq.message_record language plpgsql set search_path = '' as $$ begin return query select * "
        "from pgmq.pop( queue_name := queue_name ); end; $$"
    ),
}
# Types that a caller has left in its session, and that the login role must not use.
TYPES = "create type pg_temp.record as enum (); " + "; ".join(
    f"create domain pg_temp.{name} as pg_catalog.{name} check (current_user <> 'authenticator')"
    for name in ("json", "jsonb", "text", "timestamptz", "oid")
)


def sends(*messages: object, queue: str = "q") -> list[str]:
    """The arguments of calls of send."""
    return [json.dumps({"queue_name": queue, "message": message}) for message in messages]


def calls(
    gateway: Sql,
    arguments: list[str],
    *,
    statement: str = SEND,
    statements: list[str] | None = None,
    role: str = "anon",
    queue: str = "q",
    settings: list[str] | None = None,
    careful: bool = True,
    judgement: tuple[Any, ...] | None = None,
    equal: bool = False,
) -> list[tuple[Any, ...]]:
    """Several calls; the header n of their requests counts them, or is 0 in `equal` requests."""
    counts = [0 if equal else n for n in range(len(arguments))]
    requests = [text for n in counts for text in ("POST", f"/rpc/{n}", json.dumps({"n": str(n)}), "{}")]
    statements = statements or [statement] * len(arguments)
    obstacles, *compared = judgement or gateway(JUDGEMENT, queue, statements[0].partition("(")[0])[0]
    assert obstacles == []
    return gateway(
        CALLS, role, CLAIMS, settings, requests, "public", statements, arguments, queue, *compared, careful
    )  # fmt: skip


def bodies(rows: list[tuple[Any, ...]]) -> list[Any]:
    """The bodies of the calls in their order; for a failure its code."""
    return [body if failure is None else failure[0] for _, body, failure in rows]
