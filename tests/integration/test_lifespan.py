"""The lifespan of the application stops its gateways, however it ends."""

import asyncio

import pytest
from pydantic import SecretStr

from pgmq_gateway.embedded.cluster import socket_uri
from pgmq_gateway.embedded.datadir import DataDirectory
from pgmq_gateway.gateway import create_app
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
