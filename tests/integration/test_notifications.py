"""Notifications of wake-ups on the catalog's connection, in this process."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg
import pytest
from pydantic import SecretStr

from pgmq_gateway.embedded.cluster import socket_uri
from pgmq_gateway.embedded.datadir import DataDirectory
from pgmq_gateway.gateway import Gateway
from pgmq_gateway.settings.model import Settings
from tests.databases import Sql
from tests.server import SECRET
from tests.waiting import until_async


class Listener:
    """Another process that listens on the channel; its payloads without the id of the sender."""

    def __init__(self, connection: psycopg.AsyncConnection) -> None:
        self.heard: list[dict[str, object]] = []
        self._connection = connection

    async def listen(self) -> None:
        async for notification in self._connection.notifies():
            self.heard.append({**json.loads(notification.payload), "g": "?"})


@pytest.fixture
async def listener(directory: DataDirectory, database: str) -> AsyncIterator[Listener]:
    uri = socket_uri(directory, database=database)
    async with await psycopg.AsyncConnection.connect(uri, autocommit=True) as connection:
        await connection.execute("listen pgmq_gateway")
        listener = Listener(connection)
        task = asyncio.create_task(listener.listen())
        yield listener
        task.cancel()


@asynccontextmanager
async def running(directory: DataDirectory, database: str, *, channel: bool = True) -> AsyncIterator[Gateway]:
    uri, secret = SecretStr(socket_uri(directory, "authenticator", database)), SecretStr(SECRET)
    gateway = Gateway(
        Settings(db_uri=uri, jwt_secret=secret, db_channel_enabled=channel, history_interval=0, background=False)
    )
    async with gateway.running():
        await asyncio.wait_for(gateway.watch.loaded.wait(), 60)
        yield gateway


async def test_a_gateway_announces_itself_and_its_queues_again_when_it_has_reconnected(
    directory: DataDirectory, database: str, own_sql: Sql, listener: Listener
) -> None:
    async with running(directory, database) as gateway:
        await until_async(lambda: listener.heard)
        gateway.waiting.wakeups.wanted("jobs")
        await until_async(lambda: len(listener.heard) == 2)
        own_sql(
            "select pg_terminate_backend(pid) from pg_stat_activity "
            "where usename = 'authenticator' and datname = current_database()"
        )
        await until_async(lambda: len(listener.heard) == 4)
    announced = [{"g": "?", "hi": True}, {"g": "?", "w": ["jobs"]}]
    assert listener.heard == announced * 2


async def test_without_the_channel_a_gateway_neither_sends_nor_receives_wakeups(
    directory: DataDirectory, database: str, own_sql: Sql, listener: Listener
) -> None:
    async with running(directory, database, channel=False) as gateway, running(directory, database) as other:
        gateway.waiting.wakeups.wanted("jobs")
        other.waiting.wakeups.wanted("tasks")
        await until_async(lambda: len(listener.heard) == 2)
        own_sql('select pg_notify(\'pgmq_gateway\', \'{"g": "x", "w": ["jobs"]}\')')
        await until_async(lambda: other.waiting.wakeups.wanted_elsewhere)
        assert not gateway.waiting.wakeups.wanted_elsewhere
        await until_async(lambda: len(listener.heard) == 3)
    assert listener.heard == [{"g": "?", "hi": True}, {"g": "?", "w": ["tasks"]}, {"g": "?", "w": ["jobs"]}]


async def test_a_gateway_that_may_not_notify_says_so_once(
    directory: DataDirectory, database: str, own_sql: Sql, caplog: pytest.LogCaptureFixture
) -> None:
    own_sql("revoke execute on function pg_catalog.pg_notify from public")
    async with running(directory, database) as gateway:
        # The second one is sent after the first one has failed, and the third one after the second one.
        for queue in ("a", "b", "c"):
            gateway.waiting.wakeups.wanted(queue)
            await until_async(lambda: not gateway.waiting.wakeups.changed.is_set())
    assert [record.message for record in caplog.records] == [
        "cannot notify other gateways; their waiting requests poll: permission denied for function pg_notify"
    ]
