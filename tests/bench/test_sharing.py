"""The cells about calls that could notice each other, on a gateway without noise."""

import asyncio

import asyncpg
import pytest

from bench import plan
from bench.contenders import HttpServer, Name
from bench.database import Queues
from bench.sharing import neighbours, tenants
from bench.sharing.__main__ import Figure, define
from pgmq_gateway.embedded.cluster import socket_uri
from pgmq_gateway.embedded.datadir import DataDirectory
from tests.gateways import RunningGateway
from tests.server import SECRET

GATEWAY = {"PGRST_DB_POOL": "3"}


async def foreign_rows(gateway: RunningGateway, directory: DataDirectory) -> list[float]:
    """The shares of requests that got rows of others, for each way to name a tenant."""
    ((database,),) = gateway.sql("select current_database()")
    owner = await asyncpg.connect(socket_uri(directory, database=database))
    server = HttpServer(Name.GATEWAY, gateway.server.url, None, Queues(owner), plan.rpc, SECRET.encode())
    await define(server, *tenants.SQL, *neighbours.SQL)
    shares = [await tenants.foreign(server, "notes", key, 2 * tenants.CONNECTIONS) for key in tenants.BY_CALL.values()]
    await owner.close()
    return shares


def test_requests_without_a_tenant_get_no_rows(gateway: RunningGateway, directory: DataDirectory) -> None:
    assert asyncio.run(foreign_rows(gateway, directory)) == [0] * len(tenants.BY_CALL)


@pytest.mark.parametrize(
    ("value", "goal", "at_least", "missed"),
    [(0, 0, False, False), (0.1, 0, False, True), (0.9, 1, True, True), (1, 1, True, False)],
)
def test_a_figure_says_whether_it_is_missed(value: float, goal: float, at_least: bool, missed: bool) -> None:
    assert str(Figure(Name.GATEWAY, "rows", value, goal, at_least=at_least)).endswith("missed") == missed
