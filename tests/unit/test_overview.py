"""The admin port while workers are frozen or being replaced."""

import asyncio
from pathlib import Path

import httpx
import pytest

from pgmq_gateway.process.admin_port_of_workers import Overview


@pytest.mark.parametrize(
    ("path", "status"), [("/live", 503), ("/ready", 503), ("/metrics", 503), ("/schema_cache", 503), ("/nope", 404)]
)
async def test_without_workers_nothing_is_ready(tmp_path: Path, path: str, status: int) -> None:
    overview = Overview([tmp_path / "0", tmp_path / "1"], asyncio.Event())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(overview)) as client:
        assert (await client.get(f"http://gateway{path}")).status_code == status


async def test_a_worker_that_does_not_respond_is_counted_and_not_ready(tmp_path: Path) -> None:
    metrics = (
        "# HELP pgmq_gateway_ready R\n# TYPE pgmq_gateway_ready gauge\npgmq_gateway_ready 1.0\n"
        "# HELP pgmq_gateway_workers W\n# TYPE pgmq_gateway_workers gauge\npgmq_gateway_workers 1.0\n"
    )

    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(
            f"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {len(metrics)}\r\n\r\n{metrics}".encode()
        )
        writer.close()

    overview = Overview([tmp_path / "0", tmp_path / "1"], asyncio.Event())
    async with (
        await asyncio.start_unix_server(respond, tmp_path / "0"),
        httpx.AsyncClient(transport=httpx.ASGITransport(overview)) as client,
    ):
        answer = await client.get("http://gateway/metrics")
    # The alert GatewayNotReady of docs/operations.md compares the two.
    assert answer.text == metrics.replace("workers 1.0", "workers 2")
