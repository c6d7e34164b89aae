"""Tenants named by a header, a cookie, the path or an argument, and kept in a setting of the transaction."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass

from bench.checker.history import Outcome
from bench.client import Client
from bench.contenders import HttpServer
from bench.measurement import BenchError

TENANT = "blue"
CONNECTIONS = 64
PRE_REQUEST = "pgmq_public.take_tenant"

# A request without a tenant leaves the setting as it finds it, and row-level security reads it.
SQL = (
    "create or replace function pgmq_public.take_tenant() returns void language plpgsql as $f$ declare named text :="
    " coalesce(current_setting('request.headers')::json->>'x-tenant-key',"
    " current_setting('request.cookies')::json->>'tenant',"
    f" case when current_setting('request.path') like '%/blue_%' then '{TENANT}' end);"
    " begin if named is not null then perform set_config('app.tenant', named, true); end if; end $f$",
    "create table if not exists public.notes (tenant text); alter table public.notes enable row level security;"
    f"truncate public.notes; insert into public.notes values ('{TENANT}'); grant select on public.notes to public;"
    "drop policy if exists own on public.notes;"
    "create policy own on public.notes using (tenant = current_setting('app.tenant', true))",
    *(
        f"create or replace function pgmq_public.{name}(named text default null) returns setof text volatile"
        " language plpgsql as $f$ begin perform pgmq_public.take_tenant();"
        " if named is not null then perform set_config('app.tenant', named, true); end if;"
        " return query select tenant from public.notes; end $f$"
        for name in ("notes", "blue_notes")
    ),
    *(
        f"create or replace function pgmq_public.{name}() returns setof text volatile language sql as"
        " 'select tenant from public.notes'"
        for name in ("mere_notes", "blue_mere_notes")
    ),
)


@dataclass(frozen=True, slots=True)
class Key:
    """The part of a request that names its tenant: header lines, an argument, or another path."""

    headers: str = ""
    arguments: str = "{}"
    prefix: str = ""


NONE = Key()
BY_REQUEST: Mapping[str, Key] = {
    "header": Key(f"X-Tenant-Key: {TENANT}\r\n"),
    "cookie": Key(f"Cookie: tenant={TENANT}\r\n"),
    "path": Key(prefix="blue_"),
}
# A pre-request does not see the arguments.
BY_CALL: Mapping[str, Key] = {**BY_REQUEST, "argument": Key(arguments=json.dumps({"named": TENANT}))}


async def foreign(gateway: HttpServer, function: str, key: Key, requests: int) -> float:
    """The share of requests without a tenant that got rows of one. Half of all requests name it."""
    counts = await asyncio.gather(
        *(_foreign(gateway, function, key, requests // CONNECTIONS) for _ in range(CONNECTIONS))
    )
    return sum(counts) / (requests // CONNECTIONS * CONNECTIONS / 2)


async def _foreign(gateway: HttpServer, function: str, key: Key, requests: int) -> int:
    client, found = Client(gateway.url), 0
    for number in range(requests):
        asked = key if number % 2 else NONE
        reply = await client.call(asked.prefix + function, asked.arguments, asked.headers)
        if reply.outcome is not Outcome.OK or (asked is key and not reply.body):
            raise BenchError(f"{asked.prefix}{function} failed: {reply.note} {reply.text[:200]}")
        found += asked is NONE and bool(reply.body)
    client.close()
    return found
