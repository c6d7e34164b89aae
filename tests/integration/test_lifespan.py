"""The lifespan of the application stops its gateways, however it ends."""

import asyncio
import os

import psycopg
import pytest
from pydantic import SecretStr

from pgmq_gateway.embedded.cluster import socket_uri
from pgmq_gateway.embedded.datadir import DataDirectory
from pgmq_gateway.gateway import Gateway, create_app
from pgmq_gateway.http.asgi import Message
from pgmq_gateway.settings.model import Settings
from tests.server import SECRET
from tests.waiting import until_async


async def test_a_cancelled_lifespan_stops_the_gateway(database: str, directory: DataDirectory) -> None:
    uri = SecretStr(socket_uri(directory, "authenticator", database))
    application = create_app(Settings(db_uri=uri, jwt_secret=SecretStr(SECRET), jwt_aud=None))
    started = asyncio.Event()

    async def receive() -> Message:
        if started.is_set():
            await asyncio.Event().wait()
        return {"type": "lifespan.startup"}

    async def send(message: Message) -> None:
        assert message["type"] == "lifespan.startup.complete"
        started.set()

    before = asyncio.all_tasks()
    lifespan = asyncio.create_task(application({"type": "lifespan"}, receive, send))
    await started.wait()
    await until_async(lambda: application.gateway.watch.ready)
    lifespan.cancel()
    with pytest.raises(asyncio.CancelledError):
        await lifespan
    await until_async(lambda: asyncio.all_tasks() == before)


async def test_the_watch_outlives_an_error_that_it_does_not_expect(
    database: str, directory: DataDirectory, caplog: pytest.LogCaptureFixture
) -> None:
    uri = SecretStr(socket_uri(directory, "authenticator", database))
    # The driver cannot encode the byte 0xff of an environment variable.
    gateway = Gateway(Settings(db_uri=uri, jwt_secret=SecretStr(SECRET), db_channel=os.fsdecode(b"\xff")))
    async with gateway.running():
        await until_async(lambda: gateway.watch.failures > 1)
    assert "UnicodeEncodeError" in caplog.text


async def test_a_part_that_fails_is_reported_and_the_stop_closes_the_others(
    database: str, directory: DataDirectory, caplog: pytest.LogCaptureFixture
) -> None:
    with psycopg.connect(socket_uri(directory, database=database), autocommit=True) as owner:
        owner.execute(
            "create or replace function pgmq_gateway.take_sample(spacing double precision, keep_days double precision)"
            " returns double precision language sql as 'select null::float'"
        )
    uri = SecretStr(socket_uri(directory, "authenticator", database))
    gateway = Gateway(Settings(db_uri=uri, jwt_secret=SecretStr(SECRET)))
    async with gateway.running():
        await until_async(lambda: "History failed" in caplog.text)
        assert gateway.database.pool.open
    assert not gateway.database.pool.open
