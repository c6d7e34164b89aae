"""Who goes away in the middle, a client or a gateway, leaves nothing half done."""

import json
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import psycopg
import pytest

from app.cluster import socket_uri
from app.datadir import DataDirectory
from tests.integration.conftest import Bearer, Own, Serve, alone, until

__all__ = ["alone"]

Json = Any


@dataclass
class Held:
    """A gateway with one connection, and a queue with two messages that can be locked."""

    own: Own
    owner: psycopg.Connection[Any]
    headers: dict[str, str]

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Whoever wants to write into the queue waits."""
        with self.owner.transaction():
            self.owner.execute("lock table pgmq.q_jobs in exclusive mode")
            yield

    def blocked(self) -> list[tuple[Any, ...]]:
        """The connections that wait for the lock."""
        return self.own.sql("select pid from pg_locks where not granted and relation = 'pgmq.q_jobs'::regclass")

    def rows(self) -> list[tuple[Any, ...]]:
        return self.own.sql("select msg_id, read_ct, vt <= clock_timestamp() from pgmq.q_jobs order by 1")

    @contextmanager
    def asking(self, url: str, function: str, arguments: Json) -> Iterator[socket.socket]:
        """A call that has been sent, and whose connection closes at the end of the block."""
        host, port = url.removeprefix("http://").split(":")
        body = json.dumps({"queue_name": "jobs", **arguments}).encode()
        lines = {"Host": host, "Content-Length": str(len(body)), **self.headers}
        head = "\r\n".join([f"POST /rpc/{function} HTTP/1.1", *(f"{n}: {v}" for n, v in lines.items()), "", ""])
        with socket.create_connection((host, int(port)), 30) as client:
            client.sendall(head.encode() + body)
            yield client


@pytest.fixture
def held(alone: Own, directory: DataDirectory, database: str, bearer: Bearer) -> Iterator[Held]:
    """It, with all that callers need."""
    alone.sql("select pgmq_admin.create_queue('jobs')")
    alone.sql("select pgmq.send('jobs', '{}'), pgmq.send('jobs', '{}')")
    headers = {"Content-Profile": "pgmq_public", "Content-Type": "application/json", **bearer("service_role")}
    with psycopg.connect(socket_uri(directory, database=database)) as owner:
        yield Held(alone, owner, headers)


def assert_intact(held: Held, function: str, arguments: Json) -> None:
    """A call whose client has gone before it could begin has no effect, and the connection serves others."""
    with held.locked():
        with held.asking(held.own.server.url, function, arguments):
            until(held.blocked)
        until(lambda: not held.blocked())
    assert held.rows() == [(1, 0, True), (2, 0, True)]
    answer = held.own.client.post("/rpc/pop", json={"queue_name": "jobs"}, headers=held.headers)
    assert [row["msg_id"] for row in answer.json()] == [1]


def test_f7_a_client_that_goes_away_while_it_reads_leases_nothing(held: Held) -> None:
    assert_intact(held, "read", {"sleep_seconds": 600, "n": 2})


def test_f8_a_client_that_goes_away_before_its_pop_is_done_takes_nothing(held: Held) -> None:
    assert_intact(held, "pop", {})


def test_f5_a_batch_is_there_as_a_whole_or_not_at_all_when_the_gateway_is_killed(
    held: Held, database: str, serve: Serve
) -> None:
    gateway = serve(database, PGRST_DB_POOL="1")
    messages = [{"n": n} for n in range(50)]
    with held.asking(gateway.url, "send_batch", {"messages": messages}) as client:
        with held.locked():
            until(held.blocked)
            # Those who wait behind it are other callers; none may be answered for another.
            with httpx.Client(headers=held.headers, timeout=30) as other, held.asking(gateway.url, "pop", {}) as behind:
                assert other.get(f"{gateway.admin_url}/live").status_code == 200
                gateway.stop(signal.SIGKILL)
                assert ended(client) == ended(behind) == b""
        until(lambda: not held.own.sql("select from pg_stat_activity where query like '%calls%' and state = 'active'"))
    assert len(held.rows()) in {2, 52}
    assert held.own.client.post("/rpc/pop", json={"queue_name": "jobs"}, headers=held.headers).status_code == 200


def ended(client: socket.socket) -> bytes:
    """What still comes until the connection is closed."""
    try:
        return client.recv(1000)
    except ConnectionResetError:
        return b""
