"""A queue that is locked leaves connections to others."""

import asyncio
import uuid
from collections.abc import AsyncIterator

import httpx
import pytest

from tests.gateways import Bearer, Headers, RunningGateway
from tests.integration.crowd import PATIENT, Crowd, crowd_of
from tests.waiting import until_async

# Of four connections, one queue gets three.
GATEWAY = PATIENT | {"PGRST_DB_POOL": "4"}


@pytest.fixture
async def crowd(gateway: RunningGateway) -> AsyncIterator[Crowd]:
    """Its callers."""
    async with crowd_of(gateway) as crowd:
        yield crowd
        await crowd.waiting(0)


@pytest.fixture
def service(bearer: Bearer) -> Headers:
    """The headers of a caller without a time limit."""
    return {"Content-Profile": "pgmq_public", **bearer("service_role")}


def create_queue(gateway: RunningGateway) -> str:
    name = f"q{uuid.uuid4().hex[:12]}"
    gateway.sql("select pgmq_admin.create_queue(%s)", name)
    return name


def send(crowd: Crowd, queue: str, headers: Headers, message: object = 1) -> asyncio.Task[httpx.Response]:
    """A running call that sends a message."""
    return asyncio.create_task(crowd.call("send", {"queue_name": queue, "message": message}, headers))


def blocked(crowd: Crowd, queue: str) -> int:
    """The number of calls that wait for a lock on a queue."""
    sql = f"select count(*) from pg_locks where relation = 'pgmq.q_{queue}'::regclass and not granted"
    return int(crowd.sql(sql)[0][0])


async def test_calls_on_a_locked_queue_leave_a_connection_to_others(
    gateway: RunningGateway, crowd: Crowd, service: Headers
) -> None:
    locked, other = create_queue(gateway), create_queue(gateway)
    gateway.sql(f"begin; lock table pgmq.q_{locked} in exclusive mode")
    try:
        calls = [send(crowd, locked, service, n) for n in range(8)]
        await until_async(lambda: blocked(crowd, locked) >= 2)
        assert [(await send(crowd, other, service)).status_code for _ in range(3)] == [200] * 3
        assert blocked(crowd, locked) <= 3
    finally:
        gateway.sql("rollback")
    assert {(await call).status_code for call in calls} == {200}
    assert gateway.sql(f"select count(*) from pgmq.q_{locked}") == [(8,)]
