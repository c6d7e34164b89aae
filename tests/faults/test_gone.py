"""Clients that disconnect and gateways that are killed leave no partial effects."""

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

from pgmq_gateway.embedded.cluster import socket_uri
from pgmq_gateway.embedded.datadir import DataDirectory
from tests.gateways import Bearer, RunningGateway
from tests.server import Serve
from tests.waiting import until

GATEWAY = {"PGRST_DB_POOL": "1"}

Json = Any


@dataclass
class Held:
    """A gateway with one connection, and a queue with two messages that can be locked."""

    gateway: RunningGateway
    owner: psycopg.Connection[Any]
    headers: dict[str, str]

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Block writes to the queue."""
        with self.owner.transaction():
            self.owner.execute("lock table pgmq.q_jobs in exclusive mode")
            yield

    def blocked(self) -> list[tuple[Any, ...]]:
        """The connections that wait for the lock."""
        return self.gateway.sql("select pid from pg_locks where not granted and relation = 'pgmq.q_jobs'::regclass")

    def waiting(self) -> bool:
        """True if calls wait behind the running one."""
        return "pgrst_db_pool_waiting 1.0" in httpx.get(f"{self.gateway.server.admin_url}/metrics").text

    def call(self, function: str, arguments: Json) -> Json:
        """The result of a call that must succeed."""
        body = {"queue_name": "jobs", **arguments}
        answer = self.gateway.client.post(f"/rpc/{function}", json=body, headers=self.headers)
        assert answer.status_code == 200, answer.text
        return answer.json()

    @contextmanager
    def asking(self, url: str, function: str, arguments: Json) -> Iterator[socket.socket]:
        """Send a call, and close its connection at the end of the block."""
        host, port = url.removeprefix("http://").split(":")
        body = json.dumps({"queue_name": "jobs", **arguments}).encode()
        lines = {"Host": host, "Content-Length": str(len(body)), **self.headers}
        head = "\r\n".join([f"POST /rpc/{function} HTTP/1.1", *(f"{n}: {v}" for n, v in lines.items()), "", ""])
        with socket.create_connection((host, int(port)), 30) as client:
            client.sendall(head.encode() + body)
            yield client


@pytest.fixture
def held(gateway: RunningGateway, directory: DataDirectory, bearer: Bearer) -> Iterator[Held]:
    """The gateway with its queue, and the helpers of these tests."""
    ((database,),) = gateway.sql("select current_database()")
    gateway.sql("select pgmq_admin.create_queue('jobs')")
    gateway.sql("select pgmq.send_batch('jobs', array['1', '2']::jsonb[])")
    headers = {"Content-Profile": "pgmq_public", "Content-Type": "application/json", **bearer("service_role")}
    with psycopg.connect(socket_uri(directory, database=database), autocommit=True) as owner:
        yield Held(gateway, owner, headers)
    gateway.sql("select pgmq.drop_queue('jobs')")


def two_go_away(held: Held, function: str, arguments: Json) -> None:
    """Disconnect one client while its call runs, and another while its call waits."""
    url = held.gateway.server.url
    with held.locked(), held.asking(url, function, arguments):
        until(held.blocked)
        # A call of another function cannot share the transaction.
        with held.asking(url, "send", {"message": None, "sleep_seconds": 0}):
            until(held.waiting)
        # Sent after both connections closed, so the gateway has noticed that when it responds.
        held.waiting()
    # Runs on the only connection, so everything before it is finished.
    held.call("archive", {"message_id": 1000})


def test_f7_messages_read_by_a_disconnected_client_become_visible_again(held: Held) -> None:
    two_go_away(held, "read", {"sleep_seconds": 1, "n": 1})
    assert held.gateway.sql("select msg_id, read_ct from pgmq.q_jobs order by 1") == [(1, 1), (2, 0)]
    seen: list[int] = []

    def both() -> bool:
        seen.extend(row["msg_id"] for row in held.call("read", {"sleep_seconds": 600, "n": 2}))
        return sorted(seen) == [1, 2]

    until(both)
    assert held.gateway.sql("select msg_id, read_ct from pgmq.q_jobs order by 1") == [(1, 2), (2, 1)]


def test_f8_a_disconnected_client_loses_only_the_message_of_a_running_pop(held: Held) -> None:
    two_go_away(held, "pop", {})
    # Only the running call can lose its message; the waiting one was never started.
    assert held.gateway.sql("select msg_id, message from pgmq.q_jobs") == [(2, 2)]


def test_f5_a_batch_is_there_as_a_whole_or_not_at_all_when_the_gateway_is_killed(held: Held, serve: Serve) -> None:
    ((database,),) = held.gateway.sql("select current_database()")
    other = serve(database, PGRST_DB_POOL="1")
    messages = [{"n": n} for n in range(50)]
    with held.locked(), held.asking(other.url, "send_batch", {"messages": messages}) as client:
        until(held.blocked)
        other.stop(signal.SIGKILL)
        assert ended(client) == b""
        ((process,),) = held.blocked()
    until(lambda: not held.gateway.sql("select from pg_stat_activity where pid = %s", process))
    # The whole statement had been sent, so Postgres executed all of it.
    ((count,),) = held.gateway.sql("select count(*) from pgmq.q_jobs")
    assert count in {2, 52}
    assert held.call("pop", {})[0]["msg_id"] == 1


def ended(client: socket.socket) -> bytes:
    """The remaining bytes until the connection is closed."""
    try:
        return client.recv(1000)
    except ConnectionResetError:
        return b""
