"""Times of streams, in a gateway of the test's own process."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from pydantic import SecretStr

from pgmq_gateway.auth.authenticator import CLOCK_SKEW_SECONDS
from pgmq_gateway.embedded.cluster import socket_uri
from pgmq_gateway.embedded.datadir import DataDirectory
from pgmq_gateway.gateway import Gateway
from pgmq_gateway.http.asgi import Message
from pgmq_gateway.settings.model import Settings
from pgmq_gateway.waiting import stream
from pgmq_gateway.waiting.events import Reason
from tests.databases import Sql
from tests.gateways import Bearer, Headers
from tests.server import SECRET
from tests.streams import EVENTS
from tests.waiting import until_async


@asynccontextmanager
async def streaming(
    directory: DataDirectory, queue: str, authorization: Headers, max_stream: float
) -> AsyncIterator[tuple[Gateway, bytearray]]:
    """A gateway, and the body of a stream of an empty queue as far as it was sent. The stream must end."""
    uri = SecretStr(socket_uri(directory, "authenticator"))
    gateway = Gateway(
        Settings(db_uri=uri, jwt_secret=SecretStr(SECRET), history_interval=0, background=False, max_stream=max_stream)
    )
    headers = [(name.lower().encode(), value.encode()) for name, value in authorization.items()]
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "raw_path": f"/queues/{queue}/messages".encode(),
        "query_string": b"",
        "headers": [*headers, (b"accept", EVENTS.encode())],
    }
    sent = bytearray()

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        sent.extend(message.get("body", b""))

    async with gateway.running():
        await until_async(lambda: gateway.watch.ready)
        task = asyncio.create_task(gateway.api(scope, receive, send))
        yield gateway, sent
        await task
    assert (gateway.waiting.counters.streams, gateway.waiting.counters.waiting) == (0, 0)
    assert gateway.api.traffic.statuses == {200: 1}


async def test_55_heartbeat_in_silence(
    directory: DataDirectory, queue: str, bearer: Bearer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "HEARTBEAT_SECONDS", 0.02)
    async with streaming(directory, queue, bearer("service_role"), max_stream=3600) as (gateway, sent):
        await until_async(lambda: sent.startswith(b"retry: 2000\n\n: alive\n\n: alive\n\n"))
        gateway.end_waits(Reason.SHUTDOWN)
    assert sent.endswith(b'\n\nevent: end\ndata: {"reason":"shutdown"}\n\n')


async def test_a_new_stream_waits_for_messages_at_once(
    directory: DataDirectory, queue: str, bearer: Bearer, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first read, which does not wait, has found nothing."""
    monkeypatch.setattr(stream, "PAUSE_SECONDS", 3600)
    async with streaming(directory, queue, bearer("service_role"), max_stream=3600) as (gateway, sent):
        await until_async(lambda: sent)
        sql(f"select pgmq.send('{queue}', '1')")
        await until_async(lambda: b"event: message" in sent)
        gateway.end_waits(Reason.SHUTDOWN)


async def test_a_message_that_was_given_back_does_not_hold_up_others(
    directory: DataDirectory, queue: str, bearer: Bearer, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "PAUSE_SECONDS", 3600)
    sql(f"select pgmq.send('{queue}', '1')")
    async with streaming(directory, queue, bearer("service_role"), max_stream=3600) as (gateway, sent):
        await until_async(lambda: b"event: message" in sent)
        sql(f"update pgmq.q_{queue} set vt = clock_timestamp()")
        await until_async(lambda: sent.count(b"event: message") == 2)
        sql(f"select pgmq.send('{queue}', '2')")
        await until_async(lambda: sent.count(b"event: message") == 3)
        gateway.end_waits(Reason.SHUTDOWN)


async def test_a_stream_ends_after_its_longest_time(directory: DataDirectory, queue: str, bearer: Bearer) -> None:
    async with streaming(directory, queue, bearer("service_role"), max_stream=1) as (_, sent):
        pass
    assert sent.endswith(b'\n\nevent: end\ndata: {"reason":"max_duration"}\n\n')


async def test_56_a_stream_ends_when_its_token_is_no_longer_accepted(
    directory: DataDirectory, queue: str, bearer: Bearer, monkeypatch: pytest.MonkeyPatch
) -> None:
    expires = int(time.time()) + 3600
    monkeypatch.setattr(stream, "time", lambda: expires + CLOCK_SKEW_SECONDS - 0.5)
    async with streaming(directory, queue, bearer("service_role", exp=expires), max_stream=3600) as (_, sent):
        pass
    assert sent.endswith(b'\n\nevent: end\ndata: {"reason":"token_expired"}\n\n')
