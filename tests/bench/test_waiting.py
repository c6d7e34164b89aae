"""The rows of bench.waiting with a few clients."""

import asyncio
from collections.abc import AsyncIterator, Callable

import asyncpg
import pytest

from bench import plan
from bench.contenders import HttpServer, Name
from bench.database import Queues
from bench.figure import Figure, Judged
from bench.waiting import rows
from bench.waiting.rows import Scale
from pgmq_gateway.embedded.cluster import socket_uri
from pgmq_gateway.embedded.datadir import DataDirectory
from tests.gateways import RunningGateway
from tests.server import SECRET

GATEWAY = {"PGRST_DB_SCHEMAS": "pgmq_public,pgmq_api", "PGMQ_GATEWAY_WAIT_POLL": "0.1"}
SCALE = Scale(waiters=8, queues=2, users=4, streams=4, waits=20, seconds=0.2, rate=100)


async def figures(
    row: Callable[[HttpServer, Scale], AsyncIterator[Figure]], gateway: RunningGateway, directory: DataDirectory
) -> dict[str, Figure]:
    ((database,),) = gateway.sql("select current_database()")
    owner = await asyncpg.connect(socket_uri(directory, database=database))
    running = gateway.server
    server = HttpServer(
        Name.GATEWAY, running.url, running.process.pid, Queues(owner), plan.rpc, SECRET.encode(),
        admin=running.admin_url,
    )  # fmt: skip
    try:
        return {figure.what: figure async for figure in row(server, SCALE)}
    finally:
        await owner.close()


def across(gateway: HttpServer, scale: Scale) -> AsyncIterator[Figure]:
    """The row of two gateways, both the same."""
    return rows.others(gateway, gateway, scale)


@pytest.mark.parametrize("row", [rows.waiting, rows.users, rows.streams, across])
def test_all_messages_are_delivered(
    gateway: RunningGateway,
    directory: DataDirectory,
    row: Callable[[HttpServer, Scale], AsyncIterator[Figure]],
) -> None:
    found = asyncio.run(figures(row, gateway, directory))
    assert found
    kept = [figure for what, figure in found.items() if what.endswith(("delivered", "unsettled at a time"))]
    assert all(figure.reached for figure in kept)


@pytest.mark.parametrize(
    ("judged", "goal", "reached"),
    [
        (Judged.RATIO, 2, True), (Judged.RATIO, 1.9, False), (Judged.VALUE, 20, True), (Judged.VALUE, 19, False),
        (Judged.DIFFERENCE, 10, True), (Judged.DIFFERENCE, 9, False),
    ],
)  # fmt: skip
def test_a_figure_is_judged_by_its_goal(judged: Judged, goal: float, reached: bool) -> None:
    assert Figure("delivery", "send", 10, 20, "ms", goal, judged=judged).reached == reached
