"""Tenants that a request names by a header, a cookie, its path or an argument, in SQL as users write it.

SQL keeps the tenant in a setting of the transaction, only if the request names one. So a request without a tenant that
shares the transaction of another request has the other's tenant.
"""

import uuid
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.databases import Sql
from tests.gateways import Headers
from tests.integration.crowd import Crowd

Json = dict[str, Any]

TENANT = "blue"
# `/queues/…` and `/rpc/…` have different paths for one function, as have two functions of the same text.
FUNCTIONS = (
    "create function public.tenant(named text default null) returns text volatile language plpgsql as $f$ begin"
    " named := coalesce(named, current_setting('request.headers')::json->>'x-tenant-key',"
    " current_setting('request.cookies')::json->>'tenant',"
    f" case when current_setting('request.path') ~ 'queues|blue' then '{TENANT}' end);"
    " if named is not null then perform set_config('app.tenant', named, true); end if;"
    " return nullif(current_setting('app.tenant', true), ''); end $f$",
    "create table public.notes (tenant text);"
    f"insert into public.notes values ('{TENANT}'); grant select on public.notes to public;"
    "alter table public.notes enable row level security;"
    "create policy own on public.notes using (tenant = current_setting('app.tenant', true))",
    *(
        f"create function public.{name}(named text default null) returns setof text volatile language plpgsql as"
        " $f$ begin perform public.tenant(named); return query select tenant from public.notes; end $f$"
        for name in ("notes", "blue_notes")
    ),
    # For a db-pre-request, which takes the tenant out of the request.
    "create function public.take_tenant() returns void volatile language sql as 'select public.tenant()'",
    *(
        f"create function public.{name}() returns setof text volatile language sql as 'select tenant from public.notes'"
        for name in ("mere_notes", "blue_mere_notes")
    ),
)


@dataclass(frozen=True)
class Key:
    """How a request names its tenant."""

    headers: Headers = field(default_factory=dict, hash=False)
    argument: bool = False
    path: bool = False


KEYS = {
    "header": Key({"X-Tenant-Key": TENANT}),
    "cookie": Key({"Cookie": f"tenant={TENANT}"}),
    "path": Key(path=True),
    "argument": Key(argument=True),
}
NONE = Key()


def create_queue(sql: Sql) -> str:
    """Create a queue that anonymous callers can use as far as policies allow, without policies. Returns its name."""
    name = f"q{uuid.uuid4().hex[:12]}"
    sql("select pgmq_admin.create_queue(%s)", name)
    sql("select pgmq_admin.grant_queue(%s, 'anon', '{send, read}')", name)
    return name


async def notes(crowd: Crowd, key: Key, function: str = "notes") -> httpx.Response:
    """Call a function that returns the tenant's notes."""
    arguments = {"named": TENANT} if key.argument else {}
    return await crowd.call(f"blue_{function}" if key.path else function, arguments, key.headers)


async def send(crowd: Crowd, queue: str, key: Key, message: Json) -> httpx.Response:
    """Send a message."""
    message = {**message, "named": TENANT} if key.argument else message
    if key.path:
        return await crowd.client.post(f"/queues/{queue}/messages", json=message, headers=key.headers)
    headers = {"Content-Profile": "pgmq_public", **key.headers}
    return await crowd.call("send", {"queue_name": queue, "message": message}, headers)


async def read(crowd: Crowd, queue: str, key: Key) -> httpx.Response:
    """Read a message without leasing it."""
    if key.path:
        return await crowd.client.get(f"/queues/{queue}/messages?sleep_seconds=0", headers=key.headers)
    headers = {"Content-Profile": "pgmq_public", **key.headers}
    return await crowd.call("read", {"queue_name": queue, "sleep_seconds": 0, "n": 1}, headers)
