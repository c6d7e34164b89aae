"""Exposed schemas that the database does not have."""

import asyncio

import pytest
from pydantic import SecretStr

from pgmq_gateway.embedded.cluster import socket_uri
from pgmq_gateway.embedded.datadir import DataDirectory
from pgmq_gateway.gateway import Gateway
from pgmq_gateway.settings.model import Settings
from tests.server import SECRET
from tests.waiting import until_async


async def test_d13_a_misspelt_schema_is_named_once(directory: DataDirectory, caplog: pytest.LogCaptureFixture) -> None:
    uri = SecretStr(socket_uri(directory, "authenticator"))
    schemas = ("public", "pgmq_publik", "pgmq_public")
    gateway = Gateway(
        Settings(db_uri=uri, db_schemas=schemas, jwt_secret=SecretStr(SECRET), history_interval=0, background=False)
    )
    async with gateway.running():
        await asyncio.wait_for(gateway.watch.loaded.wait(), 60)
        gateway.watch.ask_reload()
        await until_async(lambda: gateway.watch.loads > 1)
    assert [record.message for record in caplog.records] == [
        "db-schemas names pgmq_publik, which the database does not have: correct or create it"
    ]
