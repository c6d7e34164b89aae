"""The admin port while all workers are being replaced."""

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
