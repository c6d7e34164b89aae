"""The admin port while workers are frozen or being replaced."""

import asyncio
import socket

import httpx
import pytest

from pgmq_gateway.process.admin_port_of_workers import Overview
from pgmq_gateway.process.passed_connections import Passed, connect, socket_pair


def no_worker() -> socket.socket:
    raise ConnectionRefusedError


@pytest.mark.parametrize(
    ("path", "status"), [("/live", 503), ("/ready", 503), ("/metrics", 503), ("/schema_cache", 503), ("/nope", 404)]
)
async def test_without_workers_nothing_is_ready(path: str, status: int) -> None:
    overview = Overview([no_worker, no_worker], asyncio.Event())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(overview)) as client:
        assert (await client.get(f"http://gateway{path}")).status_code == status


async def test_a_worker_that_does_not_respond_is_counted_and_not_ready() -> None:
    metrics = (
        "# HELP pgmq_gateway_ready R\n# TYPE pgmq_gateway_ready gauge\npgmq_gateway_ready 1.0\n"
        "# HELP pgmq_gateway_workers W\n# TYPE pgmq_gateway_workers gauge\npgmq_gateway_workers 1.0\n"
    )
    passing, passed = socket_pair()

    async def respond() -> None:
        with Passed(fileno=passed.detach()) as worker:
            connection, _ = await asyncio.to_thread(worker.accept)
        reader, writer = await asyncio.open_unix_connection(sock=connection)
        assert await reader.readuntil(b"\r\n\r\n") == b"GET /metrics HTTP/1.0\r\n\r\n"
        writer.write(
            f"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {len(metrics)}\r\n\r\n{metrics}".encode()
        )
        writer.close()

    overview = Overview([lambda: connect(passing), no_worker], asyncio.Event())
    with passing:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(overview)) as client:
            answer, _ = await asyncio.gather(client.get("http://gateway/metrics"), respond())
    # The alert GatewayNotReady of docs/operating/metrics.md compares the two.
    assert answer.text == metrics.replace("workers 1.0", "workers 2")


def test_connections_of_a_worker_that_is_frozen_or_gone_fail_at_once() -> None:
    passing, passed = socket_pair()

    def many() -> None:
        for _ in range(10_000):
            connect(passing).close()

    with passing:
        with pytest.raises(BlockingIOError):
            many()
        passed.close()
        with pytest.raises(BrokenPipeError):
            connect(passing)
