"""Measures delays between calls: row locks, slow calls, noisy callers, and calls of disconnected clients."""

import asyncio
import math
import time
from collections.abc import Sequence
from statistics import median

from bench.cell import Cell
from bench.client import Client
from bench.contenders import HttpServer, Name, Postgres, queue_of, tokens
from bench.generator import count
from bench.measurement import BenchError
from bench.pgbench import ROLE, in_role, run_script
from bench.plan import Plan, Step

ROWS = 20
FEW, MANY = 4, 32
QUEUES = 6
SLOW_CALLS = 10
NOISY_CONNECTIONS = 2000
NOISY_SECONDS = 10
# Until the noisy connections are open.
NOISY_START_SECONDS = 4
QUIET_PAUSE_SECONDS = 0.01
# After the noise before.
SETTLE_SECONDS = 5
ABANDONED_CALLS, ABANDONED_AFTER_SECONDS = 340, 1.8
WATCH_SECONDS, WATCH_PAUSE_SECONDS = 40, 0.1

SQL = (
    "create table if not exists public.counters (id int primary key, n bigint not null default 0);"
    f"insert into public.counters select generate_series(1, {ROWS}) on conflict do nothing;"
    "grant all on public.counters to public",
    "create or replace function pgmq_public.count() returns void volatile language sql as 'update public.counters"
    f" set n = n + 1 where id = (select 1 + floor({ROWS} * random())::int)'",
    "create or replace function pgmq_public.rest(seconds float) returns boolean volatile language sql as"
    " 'select true from pg_sleep(seconds)'",
)
JSON = {"Content-Type": "application/json", "Content-Profile": "pgmq_public"}


def _noisy(number: int) -> str:
    return f"noisy_{number}"


async def create_queues(server: HttpServer) -> None:
    """Queues with a notification for each send."""
    for number in range(QUEUES):
        await server.queues.create(_noisy(number))
        await server.queues.run(f"select pgmq_admin.enable_notify('{_noisy(number)}', 0)")


async def counting(gateway: HttpServer, seconds: int, rounds: int) -> float:
    """Updates of single rows with many clients, as a multiple of those with few."""
    plan = Plan(Step("POST", "/rpc/count", "{}"), headers=JSON)
    return median(
        [await _rate(gateway, plan, MANY, seconds) / await _rate(gateway, plan, FEW, seconds) for _ in range(rounds)]
    )


async def notifying(gateway: HttpServer, postgres: Postgres, seconds: int, rounds: int) -> float:
    """Sends to queues with notifications, as a multiple of pgbench's."""
    cell = Cell()
    await postgres.queues.prepare(queue_of(Name.GATEWAY), cell, 1)
    claims = f"""'{{"role":"{ROLE}","sub":"user-1"}}'"""
    send = in_role(claims, "select * from pgmq_public.send('noisy_' || :number, :message)")
    script = f"\\set number random(0, {QUEUES - 1})\n{send}"
    ratios = []
    for _ in range(rounds):
        load = await run_script(postgres.uri, script, cell, MANY, seconds)
        rates = await asyncio.gather(
            *(
                _rate(gateway, _send(gateway, _noisy(number), cell.message), clients, seconds)
                for number, clients in enumerate(_shares(MANY, QUEUES))
            )
        )
        ratios.append(sum(rates) / (load.requests / load.seconds))
    return median(ratios)


def _shares(total: int, parts: int) -> list[int]:
    return [total // parts + (place < total % parts) for place in range(parts)]


def _send(gateway: HttpServer, queue: str, message: str, caller: int = 1) -> Plan:
    assert gateway.secret
    body = f'{{"queue_name":"{queue}","message":{message}}}'
    return Plan(Step("POST", "/rpc/send", body), headers=JSON, tokens=tokens(gateway.secret, caller)[-1:])


async def _rate(gateway: HttpServer, plan: Plan, connections: int, seconds: int) -> float:
    result = await count(gateway.url, plan, connections, seconds)
    if result["status"]:
        raise BenchError(f"{plan.first.path} failed: {result}")
    return float(result["requests"] / result["microseconds"] * 1e6)


async def slow(gateway: HttpServer) -> float:
    """Seconds until as many calls of one second as there are connections have returned."""
    clients = await _connected(gateway, SLOW_CALLS)
    began = time.monotonic()
    await asyncio.gather(*(_call(client, "rest", '{"seconds": 1}') for client in clients))
    return time.monotonic() - began


async def _connected(gateway: HttpServer, number: int) -> list[Client]:
    """Clients with open connections, so that their calls arrive together."""
    clients = [Client(gateway.url) for _ in range(number)]
    await asyncio.gather(*(client.call("rest", '{"seconds": 0}') for client in clients))
    return clients


async def _call(client: Client, function: str, body: str, headers: str = "") -> float:
    """The latency of a call, in seconds; infinite for an error."""
    began = time.monotonic()
    reply = await client.call(function, body, headers)
    return math.inf if reply.note else time.monotonic() - began


async def quiet(gateway: HttpServer, noise: Plan) -> tuple[float, float, float]:
    """p50 of a quiet caller's sends beside a noisy caller, alone, and of the noisy call alone; in milliseconds."""
    await asyncio.sleep(SETTLE_SECONDS)
    service = (await count(gateway.url, noise, 1, 2))["p50"] / 1e3
    assert gateway.secret
    authorization = f"Authorization: {tokens(gateway.secret, 2)[-1]}\r\n"
    body = f'{{"queue_name":"{queue_of(gateway.name)}","message":{Cell().message}}}'
    idle = await _p50(gateway, body, authorization, 2)
    noisy = asyncio.create_task(count(gateway.url, noise, NOISY_CONNECTIONS, NOISY_START_SECONDS + NOISY_SECONDS))
    await asyncio.sleep(NOISY_START_SECONDS)
    beside = await _p50(gateway, body, authorization, NOISY_SECONDS - 2)
    await noisy
    return beside, idle, service


async def _p50(gateway: HttpServer, body: str, headers: str, seconds: float) -> float:
    client, end = Client(gateway.url), time.monotonic() + seconds
    latencies: list[float] = []
    while time.monotonic() < end or not latencies:
        latencies.append(1e3 * await _call(client, "send", body, headers))
        await asyncio.sleep(QUIET_PAUSE_SECONDS)
    client.close()
    return median(latencies)


def noises(gateway: HttpServer) -> dict[str, Plan]:
    """Calls of a noisy caller: a send, and a function of its own that takes 10 ms."""
    assert gateway.secret
    # Another caller than that of the sends, some of which may still wait.
    noisy = tokens(gateway.secret, 3)[-1:]
    rest = Plan(Step("POST", "/rpc/rest", '{"seconds":0.01}'), headers=JSON, tokens=noisy)
    return {"send": _send(gateway, queue_of(gateway.name), Cell().message), "a function of 10 ms": rest}


async def abandoned(gateway: HttpServer) -> float:
    """Seconds after many slow calls were abandoned in which another caller still got 504."""
    slow_ones = await _connected(gateway, ABANDONED_CALLS)
    calls = [asyncio.create_task(one.call("rest", '{"seconds": 1}')) for one in slow_ones]
    await asyncio.sleep(ABANDONED_AFTER_SECONDS)
    for one, call in zip(slow_ones, calls, strict=True):
        call.cancel()
        one.close()
    return max(await _watch(gateway), default=0.0)


async def _watch(gateway: HttpServer) -> Sequence[float]:
    """Seconds until each 504 that a caller gets from now on."""
    assert gateway.secret
    authorization = f"Authorization: {tokens(gateway.secret, 2)[-1]}\r\n"
    body, began, refused = '{"seconds": 0}', time.monotonic(), []

    async def call() -> None:
        client = Client(gateway.url)
        reply = await client.call("rest", body, authorization)
        if reply.note.startswith("504"):
            refused.append(time.monotonic() - began)
        client.close()

    async with asyncio.TaskGroup() as group:
        while time.monotonic() - began < WATCH_SECONDS:
            group.create_task(call())
            await asyncio.sleep(WATCH_PAUSE_SECONDS)
    return refused
