"""Waiters of a gateway in the test's own process."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from pydantic import SecretStr

from pgmq_gateway.embedded.cluster import socket_uri
from pgmq_gateway.embedded.datadir import DataDirectory
from pgmq_gateway.gateway import Gateway
from pgmq_gateway.http.asgi import Message
from pgmq_gateway.settings.model import Settings
from tests.databases import Sql
from tests.gateways import Bearer, Headers
from tests.server import SECRET
from tests.waiting import until_async

# Waits of which each half ends in another way.
WAITS = 300


def wait(gateway: Gateway, path: str, headers: Headers) -> Coroutine[Any, Any, None]:
    """A request that waits for messages, whose response is thrown away."""
    raw_path, _, query = path.partition("?")
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "raw_path": raw_path.encode(),
        "query_string": query.encode(),
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
    }

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        assert message.get("status", 200) in (200, 503)

    return gateway.api(scope, receive, send)


async def test_waiters_leave_nothing_behind(directory: DataDirectory, queue: str, sql: Sql, bearer: Bearer) -> None:
    """Served, timed out, and cancelled ones; of one caller and of many."""
    uri = SecretStr(socket_uri(directory, "authenticator"))
    gateway = Gateway(Settings(db_uri=uri, jwt_secret=SecretStr(SECRET), history_interval=0, background=False))
    callers = [bearer("service_role", sub=f"worker {number}") for number in range(10)]
    async with gateway.running():
        await until_async(lambda: gateway.watch.ready)
        before = len(asyncio.all_tasks())
        for seconds in (50, 1):
            path = f"/queues/{queue}/messages?wait_seconds={seconds}"
            tasks = [asyncio.create_task(wait(gateway, path, callers[number % 10])) for number in range(WAITS)]
            if seconds > 1:
                await until_async(lambda: gateway.waiting.counters.waiting == WAITS)
                assert len(gateway.waiting.executor.waiters.queues) == 1
                sql(f"select pgmq.send('{queue}', 'null') from generate_series(1, {WAITS // 2})")
                await until_async(lambda: gateway.waiting.counters.waiting <= WAITS // 2)
                for task in tasks:
                    task.cancel()
            await asyncio.gather(*tasks)
        waiters = gateway.waiting.executor.waiters
        await until_async(lambda: len(asyncio.all_tasks()) == before)
        assert (gateway.waiting.counters.waiting, waiters.queues, waiters._groups, waiters._timers) == (0, {}, {}, {})
    assert sql(f"select count(*) from pgmq.q_{queue} where read_ct > 0") == [(WAITS // 2,)]
