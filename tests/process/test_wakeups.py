"""Wake-ups between processes. The gateways look at the queues once a minute, so only a notification is in time."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import httpx
import psutil
import psycopg
import pytest

from pgmq_gateway.embedded.cluster import SOCKET_NAME, socket_folder, socket_uri
from pgmq_gateway.embedded.datadir import DataDirectory
from tests import server
from tests.databases import Sql, new_database, runner
from tests.gateways import Bearer
from tests.process.metrics import metrics
from tests.proxy import Proxy
from tests.server import SECRET, Serve, Server
from tests.waiting import until

DROPPED = "pgmq_gateway_notifications_dropped_total"


@dataclass(frozen=True)
class Pair:
    """Two gateways on one database, the first with two workers."""

    workers: Server
    other: Server
    sql: Sql
    headers: dict[str, str]

    @contextmanager
    def client(self, gateway: Server) -> Iterator[httpx.Client]:
        """A client with a new connection, as service_role."""
        with httpx.Client(base_url=gateway.url, headers=self.headers, timeout=60) as client:
            yield client

    @contextmanager
    def client_of_worker(self, number: int) -> Iterator[httpx.Client]:
        """A client whose connection is served by one of the two workers: the other one is suspended when it opens."""
        suspended = psutil.Process(self.workers.process.pid).children()[1 - number]
        with self.client(self.workers) as client:
            suspended.suspend()
            until(lambda: suspended.status() == psutil.STATUS_STOPPED)
            client.get("/")
            suspended.resume()
            yield client


@pytest.fixture(scope="module")
def pair(
    directory: DataDirectory, template: str, tmp_path_factory: pytest.TempPathFactory, bearer: Bearer
) -> Iterator[Pair]:
    logs = tmp_path_factory.mktemp("wakeups")
    with (
        new_database(directory, template) as name,
        psycopg.connect(socket_uri(directory, database=name), autocommit=True) as connection,
    ):
        env = {"PGRST_DB_URI": socket_uri(directory, "authenticator", name), "PGRST_JWT_SECRET": SECRET}
        env |= {"PGRST_DB_POOL": "2", "PGMQ_GATEWAY_WAIT_POLL": "60"}
        workers = server.start(logs / "workers", "--workers", "2", env=env)
        other = server.start(logs / "other", env=env)
        headers = {"Content-Profile": "pgmq_public", **bearer("service_role")}
        yield Pair(workers, other, runner(connection), headers)
        assert (workers.stop(), other.stop()) == (0, 0)


@pytest.fixture
def queue(pair: Pair, request: pytest.FixtureRequest) -> str:
    name: str = request.node.name.removeprefix("test_")[:40]
    pair.sql("select pgmq_admin.create_queue(%s)", name)
    return name


def woken(gateway: Server, source: str) -> float:
    """The number of wake-ups from a source."""
    return metrics(gateway).get(f'pgmq_gateway_wakeups_total{{source="{source}"}}', 0)


def missed(gateway: Server) -> float:
    """The number of attempts that found nothing."""
    return metrics(gateway).get('pgmq_gateway_wait_attempts_total{outcome="empty"}', 0)


def read(client: httpx.Client, queue: str) -> list[object]:
    """Wait for messages."""
    arguments = {"queue_name": queue, "n": 1000, "sleep_seconds": 600}
    response = client.post("/rpc/read", json=arguments, headers={"Prefer": "wait=50"})
    assert response.status_code == 200, response.text
    return [message["message"] for message in response.json()]


def send(client: httpx.Client, queue: str) -> bool:
    return client.post("/rpc/send", json={"queue_name": queue, "message": 1}).status_code == 200


@contextmanager
def waiting(gateway: Server, client: httpx.Client, queue: str) -> Iterator[Future[list[object]]]:
    """A request that waits for messages, unless there is one already."""
    before = missed(gateway)
    with ThreadPoolExecutor(1) as pool:
        messages = pool.submit(read, client, queue)
        until(lambda: messages.done() or missed(gateway) > before)
        yield messages


def receive(gateway: Server, client: httpx.Client, queue: str, send: Callable[[], bool]) -> None:
    """Wait for a message that is sent by `send`, which is repeated: the sender may not know of the waiter yet."""
    with waiting(gateway, client, queue) as messages:
        until(lambda: messages.done() or (send() and messages.done()))
        assert set(map(str, messages.result())) == {"1"}


def test_3_send_in_another_worker_wakes_waiter(pair: Pair, queue: str) -> None:
    def round_trip() -> bool:
        with pair.client_of_worker(0) as reader, pair.client_of_worker(1) as sender:
            receive(pair.workers, reader, queue, lambda: send(sender, queue))
        return woken(pair.workers, "gateway") > before

    before = woken(pair.workers, "gateway")
    until(round_trip)


def test_4_send_in_another_gateway_wakes_over_notify(pair: Pair, queue: str) -> None:
    def round_trip() -> bool:
        with pair.client(pair.other) as reader, pair.client(pair.workers) as sender:
            receive(pair.other, reader, queue, lambda: send(sender, queue))
        return woken(pair.other, "gateway") > before

    before = woken(pair.other, "gateway")
    until(round_trip)


def test_5_plain_sql_with_wake_wakes_waiter(pair: Pair, queue: str) -> None:
    def send() -> bool:
        return pair.sql("select pgmq.send(%s, '1')", queue) != []

    def round_trip() -> bool:
        with pair.client(pair.other) as reader:
            receive(pair.other, reader, queue, send)
        return woken(pair.other, "sql") > before

    pair.sql("select pgmq_admin.set_queue_settings(%s, '{\"wake\": true}')", queue)
    before = woken(pair.other, "sql")
    until(round_trip)


def test_42_wake_throttle_has_its_trailing_look(pair: Pair, queue: str) -> None:
    """The trigger does not notify of it. Only after a long pause of the test it does."""
    settings = '{"wake": true, "wake_throttle_ms": 500}'
    pair.sql("select pgmq_admin.set_queue_settings(%s, %s)", queue, settings)
    with pair.client(pair.other) as reader:
        for number in (1, 2):
            with waiting(pair.other, reader, queue) as messages:
                pair.sql("select pgmq.send(%s, %s::text::jsonb)", queue, str(number))
                assert messages.result() == [number]


def test_41_a47_hostile_notifications_are_dropped(pair: Pair, queue: str) -> None:
    names = [f"q{number}" for number in range(10_000)]
    parts = [json.dumps({"g": "x", "w": names[first : first + 700]}) for first in range(0, 10_000, 700)]
    greetings = [json.dumps({"g": f"x{number}", "hi": True}) for number in range(1000)]
    unreadable = ["garbage", "x" * 7999, "[" * 7999, '{"s": 1}', '{"s": [["q"]]}', "9" * 7999, "null"]
    before = metrics(pair.other)[DROPPED]
    for payload in [*parts, *greetings, *unreadable]:
        pair.sql("select pg_notify('pgmq_gateway', %s)", payload)
    until(lambda: metrics(pair.other)[DROPPED] >= before + len(unreadable))
    test_4_send_in_another_gateway_wakes_over_notify(pair, queue)
    for gateway in (pair.other, pair.workers):
        assert "Error" not in gateway.log.read_text()


def test_36_f45_listen_lost_silently_poll_covers(
    pair: Pair, queue: str, directory: DataDirectory, serve: Serve
) -> None:
    ((database,),) = pair.sql("select current_database()")
    with Proxy(socket_folder(directory) / SOCKET_NAME) as wire:
        listening = f"postgresql://authenticator@127.0.0.1:{wire.port}/{database}?sslmode=disable"
        gateway = serve(str(database), PGMQ_GATEWAY_LISTEN_URI=listening, PGMQ_GATEWAY_WAIT_POLL="0.1")
        with pair.client(gateway) as reader, waiting(gateway, reader, queue) as messages:
            wire.freeze()
            pair.sql("select pgmq.send(%s, '1')", queue)
            assert messages.result() == [1]
            wire.heal()
        assert woken(gateway, "gateway") == woken(gateway, "sql") == 0
