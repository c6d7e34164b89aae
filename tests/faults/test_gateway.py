"""The gateway stops: graceful shutdown, kill, and rolling restart."""

import signal
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from pgmq_gateway.auth.signing import api_key
from pgmq_gateway.embedded.cluster import socket_uri
from pgmq_gateway.embedded.datadir import DataDirectory
from tests import server
from tests.databases import runner
from tests.server import SECRET, Server, refuses
from tests.waiting import until

HEADERS = {"apikey": api_key(SECRET.encode(), "service_role"), "Content-Profile": "pgmq_public"}
BLOCKED = "select count(*) from pg_locks where not granted and relation = 'pgmq.q_tasks'::regclass"

CONNECTED = "select count(*) from pg_stat_activity where datname = current_database() and usename = 'authenticator'"

Successors = Callable[..., Server]


@pytest.fixture
def owner(database: str, directory: DataDirectory) -> Iterator["psycopg.Connection[Any]"]:
    """The owner of the test's database, which has a queue `tasks`."""
    with psycopg.connect(socket_uri(directory, database=database), autocommit=True) as connection:
        connection.execute("select pgmq_admin.create_queue('tasks')")
        yield connection


@pytest.fixture
def sharing(tmp_path: Path, database: str, directory: DataDirectory) -> Iterator[Successors]:
    """sharing(): a further gateway on the same ports, with --reuse-port."""
    started: list[Server] = []
    # Bound but not listening, which reserves the ports while no gateway runs.
    held = [socket.socket() for _ in range(2)]
    for one in held:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        one.bind(("127.0.0.1", 0))
    api, admin = (str(one.getsockname()[1]) for one in held)
    env = {"PGRST_DB_URI": socket_uri(directory, "authenticator", database), "PGRST_JWT_SECRET": SECRET}

    def start(*arguments: str) -> Server:
        ports = ("--reuse-port", "--port", api, "--admin-port", admin)
        started.append(server.start(tmp_path / f"{len(started)}.log", *ports, *arguments, env=env))
        return started[-1]

    yield start
    for running in started:
        running.stop()
    for one in held:
        one.close()


def request(number: int, connection: str = "keep-alive") -> bytes:
    body = f'{{"queue_name":"tasks","message":{number}}}'
    head = f"POST /rpc/send HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nConnection: {connection}\r\n"
    fields = "".join(f"{name}: {value}\r\n" for name, value in HEADERS.items())
    return f"{head}{fields}Content-Length: {len(body)}\r\n\r\n{body}".encode()


def answer(connection: socket.socket) -> tuple[str, bool]:
    """The status line of the next response, and whether it has Connection: close."""
    text = b""
    while b"\r\n\r\n" not in text or not text.endswith(b"]"):
        chunk = connection.recv(65536)
        assert chunk, text
        text += chunk
    head = text.partition(b"\r\n\r\n")[0].decode().lower()
    return head.splitlines()[0], "connection: close" in head


def test_f26_sigterm_answers_requests_in_flight_and_on_idle_connections(
    serve: Callable[..., Server], database: str, directory: DataDirectory, owner: "psycopg.Connection[Any]"
) -> None:
    gateway = serve(database)
    url = httpx.URL(gateway.url)
    address = (url.host, url.port or 0)
    with (
        psycopg.connect(socket_uri(directory, database=database)) as blocker,
        socket.create_connection(address) as busy,
        socket.create_connection(address) as idle,
    ):
        idle.sendall(request(1))
        assert answer(idle) == ("http/1.1 200 ok", False)
        blocker.execute("lock table pgmq.q_tasks")
        busy.sendall(request(2))
        until(lambda: owner.execute(BLOCKED).fetchone() == (1,))
        gateway.process.terminate()
        until(lambda: refuses(gateway))
        # Idle connections are closed after a second.
        idle.sendall(request(3))
        for page in ("live", "ready"):
            assert httpx.get(f"{gateway.admin_url}/{page}").status_code == 500
        blocker.rollback()
        assert answer(idle) == ("http/1.1 200 ok", True)
        assert answer(busy) == ("http/1.1 200 ok", True)
        assert (idle.recv(1), busy.recv(1)) == (b"", b"")
    assert gateway.stop() == 0
    assert owner.execute("select array_agg(message::int order by message) from pgmq.q_tasks").fetchone() == ([1, 2, 3],)


def test_f26_a_second_signal_stops_at_once_and_reports_an_unknown_outcome(
    serve: Callable[..., Server], database: str, directory: DataDirectory, owner: "psycopg.Connection[Any]"
) -> None:
    gateway = serve(database)
    answers: list[httpx.Response] = []

    def send() -> None:
        arguments = {"queue_name": "tasks", "message": 1}
        answers.append(httpx.post(f"{gateway.url}/rpc/send", json=arguments, headers=HEADERS, timeout=60))

    with psycopg.connect(socket_uri(directory, database=database)) as blocker:
        blocker.execute("lock table pgmq.q_tasks")
        caller = threading.Thread(target=send)
        caller.start()
        until(lambda: owner.execute(BLOCKED).fetchone() == (1,))
        gateway.process.terminate()
        until(lambda: refuses(gateway))
        assert gateway.stop() == 0
        caller.join()
    assert (answers[0].status_code, answers[0].json()["code"]) == (503, "PGRST001")
    assert answers[0].json()["details"] == "The call may or may not have been executed."


class Senders:
    """Threads that send messages, two on new connections and two on persistent ones.

    sent      how many calls were answered with 200
    answered  every other status
    broken    connections that failed; the call is made again
    """

    def __init__(self, url: str) -> None:
        self.sent = 0
        self.answered: list[int] = []
        self.broken: list[httpx.TransportError] = []
        self._url = url
        self._done = threading.Event()
        self._threads = [threading.Thread(target=self._send, args=(kind,)) for kind in ("close", "keep-alive") * 2]

    def __enter__(self) -> "Senders":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        for thread in self._threads:
            thread.join()

    def more(self) -> None:
        """Wait until ten more messages are stored."""
        before = self.sent
        until(lambda: self.sent > before + 10)

    def _send(self, connection: str) -> None:
        with httpx.Client(base_url=self._url, headers={**HEADERS, "Connection": connection}, timeout=30) as client:
            # With a pause: the restart should meet requests, not saturate the machine.
            while not self._done.wait(0.05):
                try:
                    status = client.post("/rpc/send", json={"queue_name": "tasks", "message": 1}).status_code
                except httpx.TransportError as error:
                    self.broken.append(error)
                    continue
                if status == 200:
                    self.sent += 1
                else:
                    self.answered.append(status)


def test_f27_a_rolling_restart_on_one_port_answers_every_call_that_it_runs(
    sharing: Successors, owner: "psycopg.Connection[Any]"
) -> None:
    """A connection that opens while the first gateway closes its socket can be reset before its call has run."""
    gateway = sharing()
    with Senders(gateway.url) as senders:
        for _ in range(3):
            senders.more()
            successor = sharing()
            assert gateway.stop() == 0
            gateway = successor
        senders.more()
    assert senders.answered == []
    assert owner.execute("select count(*) from pgmq.q_tasks").fetchone() == (senders.sent,)


def test_f27_a_restart_with_systemd_socket_activation_fails_no_call(
    tmp_path: Path, database: str, directory: DataDirectory, owner: "psycopg.Connection[Any]"
) -> None:
    env = {"PGRST_DB_URI": socket_uri(directory, "authenticator", database), "PGRST_JWT_SECRET": SECRET}
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen()
        gateway = server.start(tmp_path / "0.log", env=env, passed=held)
        with Senders(gateway.url) as senders:
            for number in range(3):
                senders.more()
                assert gateway.stop() == 0
                gateway = server.start(tmp_path / f"{number + 1}.log", env=env, passed=held)
            senders.more()
        assert gateway.stop() == 0
    assert (senders.answered, senders.broken) == ([], [])
    assert owner.execute("select count(*) from pgmq.q_tasks").fetchone() == (senders.sent,)


def test_f5_f40_a_gateway_killed_amid_a_transaction_leaves_all_of_a_batch_or_nothing(
    serve: Callable[..., Server], database: str, directory: DataDirectory, owner: "psycopg.Connection[Any]"
) -> None:
    """Running batches, some in a shared transaction, are killed before their commit; others are committed."""
    sql = runner(owner)
    acknowledged: list[list[int]] = []

    def send(gateway: Server, batch: int) -> bool:
        arguments = {"queue_name": "tasks", "messages": [{"batch": batch}] * 50}
        try:
            answer = client.post(f"{gateway.url}/rpc/send_batch", json=arguments)
        except httpx.TransportError:
            return False
        acknowledged.append(answer.json())
        return True

    client = httpx.Client(headers=HEADERS, timeout=30)
    # Of three connections, one queue gets two.
    gateway = serve(database, PGRST_DB_POOL="3")

    def keep_sending(first: int) -> None:
        while send(gateway, first):
            first += 8

    callers = [threading.Thread(target=keep_sending, args=(number,)) for number in range(8)]
    for caller in callers:
        caller.start()
    until(lambda: len(acknowledged) > 20)
    with psycopg.connect(socket_uri(directory, database=database)) as blocker:
        blocker.execute("lock table pgmq.q_tasks")
        until(lambda: sql(BLOCKED) == [(2,)])
        gateway.stop(signal.SIGKILL)
        for caller in callers:
            caller.join()
    client.close()
    until(lambda: sql(CONNECTED) == [(0,)])
    sizes = sql("select count(*), count(distinct msg_id) from pgmq.q_tasks group by message->>'batch'")
    assert set(sizes) == {(50, 50)}
    ids = {row[0] for row in sql("select msg_id from pgmq.q_tasks")}
    assert all(ids.issuperset(batch) for batch in acknowledged)
    assert len({one for batch in acknowledged for one in batch}) == 50 * len(acknowledged)
