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
        """Whoever wants to write into the queue waits."""
        with self.owner.transaction():
            self.owner.execute("lock table pgmq.q_jobs in exclusive mode")
            yield

    def blocked(self) -> list[tuple[Any, ...]]:
        """The connections that wait for the lock."""
        return self.gateway.sql("select pid from pg_locks where not granted and relation = 'pgmq.q_jobs'::regclass")

    def waiting(self) -> bool:
        """Whether calls stand in line behind the one that runs."""
        return "pgrst_db_pool_waiting 1.0" in httpx.get(f"{self.gateway.server.admin_url}/metrics").text

    def call(self, function: str, arguments: Json) -> Json:
        """The answer to a call that has to go well."""
        body = {"queue_name": "jobs", **arguments}
        answer = self.gateway.client.post(f"/rpc/{function}", json=body, headers=self.headers)
        assert answer.status_code == 200, answer.text
        return answer.json()

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
def held(gateway: RunningGateway, directory: DataDirectory, bearer: Bearer) -> Iterator[Held]:
    """It, with all that callers need."""
    ((database,),) = gateway.sql("select current_database()")
    gateway.sql("select pgmq_admin.create_queue('jobs')")
    gateway.sql("select pgmq.send_batch('jobs', array['1', '2']::jsonb[])")
    headers = {"Content-Profile": "pgmq_public", "Content-Type": "application/json", **bearer("service_role")}
    with psycopg.connect(socket_uri(directory, database=database), autocommit=True) as owner:
        yield Held(gateway, owner, headers)
    gateway.sql("select pgmq.drop_queue('jobs')")


def two_go_away(held: Held, function: str, arguments: Json) -> None:
    """One client goes while its call runs, another while its call waits for the connection."""
    url = held.gateway.server.url
    with held.locked(), held.asking(url, function, arguments):
        until(held.blocked)
        # A body of another kind, so that they do not share.
        with held.asking(url, "send", {"message": None, "sleep_seconds": 0}):
            until(held.waiting)
        # Asked later than both connections ended, so when it answers the gateway knows of that.
        held.waiting()
    # Served by the one connection, so everything before it is done.
    held.call("archive", {"message_id": 1000})


def test_f7_what_a_client_has_read_that_went_away_comes_back_to_others(held: Held) -> None:
    two_go_away(held, "read", {"sleep_seconds": 1, "n": 1})
    assert held.gateway.sql("select msg_id, read_ct from pgmq.q_jobs order by 1") == [(1, 1), (2, 0)]
    seen: list[int] = []

    def both() -> bool:
        seen.extend(row["msg_id"] for row in held.call("read", {"sleep_seconds": 600, "n": 2}))
        return sorted(seen) == [1, 2]

    until(both)
    assert held.gateway.sql("select msg_id, read_ct from pgmq.q_jobs order by 1") == [(1, 2), (2, 1)]


def test_f8_a_client_that_goes_away_loses_what_it_pops_and_no_more(held: Held) -> None:
    two_go_away(held, "pop", {})
    # The documented loss is that of a call which was running; what waited in line has never begun.
    assert held.gateway.sql("select msg_id, message from pgmq.q_jobs") == [(2, 2)]


def test_f5_a_batch_is_there_as_a_whole_or_not_at_all_when_the_gateway_is_killed(held: Held, serve: Serve) -> None:
    ((database,),) = held.gateway.sql("select current_database()")
    other = serve(database, PGRST_DB_POOL="1")
    with held.asking(other.url, "send_batch", {"messages": [{"n": n} for n in range(50)]}) as client:
        with held.locked():
            until(held.blocked)
            other.stop(signal.SIGKILL)
            assert ended(client) == b""
            ((process,),) = held.blocked()
        until(lambda: not held.gateway.sql("select from pg_stat_activity where pid = %s", process))
    # It had been sent as a whole, so Postgres did it as a whole.
    ((count,),) = held.gateway.sql("select count(*) from pgmq.q_jobs")
    assert count in {2, 52}
    assert held.call("pop", {})[0]["msg_id"] == 1


def ended(client: socket.socket) -> bytes:
    """What still comes until the connection is closed."""
    try:
        return client.recv(1000)
    except ConnectionResetError:
        return b""
