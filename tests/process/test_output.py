"""A log that nobody reads: the gateway serves and stops all the same."""

import os
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from pgmq_gateway.embedded.cluster import socket_uri
from pgmq_gateway.embedded.datadir import DataDirectory
from tests import server
from tests.process.metrics import metrics
from tests.server import PROGRAM, SECRET, Server


@pytest.fixture
def full() -> Iterator[int]:
    """The writing end of a full pipe."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    try:
        while True:
            os.write(writing, bytes(4096))
    except BlockingIOError:
        os.set_blocking(writing, True)
    yield writing
    os.close(reading)
    os.close(writing)


def test_a_log_that_nobody_reads_stops_no_request_and_no_shutdown(
    full: int, database: str, directory: DataDirectory, tmp_path: Path
) -> None:
    uri = socket_uri(directory, "authenticator", database)
    env = {"PGRST_DB_URI": uri, "PGRST_JWT_SECRET": SECRET, "PGRST_DB_POOL": "2", "PGMQ_GATEWAY_LOG_REQUESTS": "true"}
    ports = ("--port", "0", "--admin-port", "0", "--no-dashboard")
    process = subprocess.Popen(
        [PROGRAM, "serve", *ports, "--workers", "2"],
        env=server.environment({**env, "PGRST_DB_ROOT_SPEC": "warned of"}),
        stdout=subprocess.PIPE,
        stderr=full,
        text=True,
    )
    log = tmp_path / "log"
    log.touch()
    api, admin = server.addresses(server.banner(process, log, "/ready"))
    gateway = Server(process, api, admin, "", log)
    path = f"/{'x' * 250}"
    with httpx.Client(base_url=gateway.url, timeout=60) as client, ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda _: client.get(path).status_code, range(1000)))
    assert answers == [404] * 1000
    assert metrics(gateway)["pgmq_gateway_log_lines_dropped_total"] == 0
    assert gateway.stop() == 0
