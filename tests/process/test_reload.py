"""Reloading settings: new ones apply, invalid ones change nothing, and no call is lost."""

import os
import signal
import socket
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import httpx
import psycopg
import pytest

from pgmq_gateway.auth.signing import api_key
from pgmq_gateway.embedded.cluster import socket_uri
from pgmq_gateway.embedded.datadir import DataDirectory
from tests import server
from tests.attacks.raw import ask, connected, post
from tests.databases import runner
from tests.process.metrics import MAX, metrics
from tests.server import SECRET, Server, ready
from tests.waiting import until

OTHER = "another secret that is only ever used in these tests"

SENT = 'pgmq_gateway_answers_total{status="200"}'
# Sends that wait for a lock; other queries of the gateway only read the table.
WAITING = """
select count(*) from pg_locks
where not granted and relation = 'pgmq.q_tasks'::regclass and mode = 'RowExclusiveLock'
"""


class Manager:
    """A service manager's socket, in the abstract namespace."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("")
        self.address = "@" + self._socket.getsockname()[1:].decode()
        self._told: SimpleQueue[dict[str, str]] = SimpleQueue()
        self.signs_of_life = 0
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        while text := self._socket.recv(4096).decode():
            states = dict(line.split("=", 1) for line in text.splitlines())
            if states == {"WATCHDOG": "1"}:
                self.signs_of_life += 1
            else:
                self._told.put(states)

    def next(self) -> dict[str, str]:
        """The next notification other than the watchdog's."""
        return self._told.get(timeout=60)

    def close(self) -> None:
        self._socket.sendto(b"", self._socket.getsockname())
        self._reader.join()
        self._socket.close()


@pytest.fixture(scope="module")
def manager() -> Iterator[Manager]:
    made = Manager()
    yield made
    made.close()


@pytest.fixture(scope="module")
def connection(directory: DataDirectory, template: str) -> Iterator[psycopg.Connection[Any]]:
    """The owner of a database for the tests of this file."""
    name = f"db_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(socket_uri(directory), autocommit=True) as maintenance:
        maintenance.execute(f"create database {name} template {template}".encode())
        with psycopg.connect(socket_uri(directory, database=name), autocommit=True) as connection:
            yield connection
        maintenance.execute(f"drop database {name} with (force)".encode())


@pytest.fixture(scope="module")
def files(
    tmp_path_factory: pytest.TempPathFactory, connection: psycopg.Connection[Any], directory: DataDirectory
) -> Path:
    """A folder with a configuration file, and a file with the secret."""
    folder = tmp_path_factory.mktemp("reload")
    uri = socket_uri(directory, "authenticator", connection.info.dbname)
    (folder / "secret").write_text(SECRET)
    (folder / "conf").write_text(f'db-uri = "{uri}"\njwt-secret = "@{folder}/secret"\ndb-pool = 2\n')
    return folder


def change(files: Path, old: str, new: str) -> None:
    path = files / "conf"
    path.write_text(path.read_text().replace(old, new))


@pytest.fixture(scope="module")
def gateway(files: Path, manager: Manager) -> Iterator[Server]:
    """A ready gateway with these files, which notifies the service manager."""
    env = {"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "200000"}
    running = server.start(files / "log", "--config", str(files / "conf"), env=env)
    assert manager.next() == {"READY": "1", "STATUS": f"Serving {running.url}"}
    yield running
    running.stop()


def reload(gateway: Server, manager: Manager, number: signal.Signals = signal.SIGHUP) -> str:
    """Reload as systemctl does, and return the final status."""
    gateway.process.send_signal(number)
    begun = manager.next()
    assert begun["RELOADING"] == "1"
    assert int(begun["MONOTONIC_USEC"]) > 0
    ended = manager.next()
    assert ended["READY"] == "1"
    return ended["STATUS"].partition("; ")[2]


def statuses(gateway: Server, times: int = 1) -> set[tuple[int, ...]]:
    """The statuses for keys of the former and the new secret, on new connections."""
    keys = [api_key(secret.encode(), "service_role") for secret in (SECRET, OTHER)]
    with httpx.Client(base_url=gateway.url, headers={"Connection": "close"}, timeout=30) as client:

        def status(key: str) -> int:
            headers = {"Authorization": f"Bearer {key}"}
            return client.post("/rpc/pop", json={"queue_name": "missing"}, headers=headers).status_code

        return {tuple(status(key) for key in keys) for _ in range(times)}


def refused(gateway: Server, complaint: str) -> bool:
    """True if the log shows that a reload failed for this reason."""
    failed = "pgmq-gateway: ERROR: reload failed, keeping the present settings: "
    return any(line.startswith(failed) and complaint in line for line in gateway.log.read_text().splitlines())


def test_a_new_secret_holds_after_a_reload_and_wrong_settings_change_nothing(
    files: Path, manager: Manager, gateway: Server
) -> None:
    assert statuses(gateway) == {(404, 401)}
    (files / "secret").write_text(OTHER)
    change(files, "db-pool = 2", 'db-pool = 6\nadmin-server-host = "127.0.0.2"')
    with connected(gateway) as connection:
        request = post("/rpc/nothing", b"{}", f"apikey: {api_key(SECRET.encode(), 'service_role')}")
        assert [ask(connection, request).status for _ in range(3)] == [404] * 3
        assert reload(gateway, manager) == "settings reloaded"
        assert ask(connection, request).status == 401
    assert statuses(gateway) == {(401, 404)}
    assert metrics(gateway)[MAX] == 6
    # A thread of the gateway writes the log.
    warning = "pgmq-gateway: WARNING: changed settings that need a restart: PGRST_ADMIN_SERVER_HOST\n"
    until(lambda: gateway.log.read_text() == warning)
    good = (files / "conf").read_text()
    for old, new, complaint in (
        ("db-pool = 6", "db-pool = 0", f"{files}/conf:3: db-pool: "),
        ("authenticator", "nobody_there", 'role "nobody_there" does not exist'),
        ('jwt-secret = "', 'jwt-role-claim-key = "?"\njwt-secret = "', f"{files}/conf:2: jwt-role-claim-key: "),
    ):
        change(files, old, new)
        assert reload(gateway, manager, signal.SIGUSR2) == "the last reload failed"
        until(lambda complaint=complaint: refused(gateway, complaint))  # type: ignore[misc]
        assert statuses(gateway) == {(401, 404)}
        (files / "conf").write_text(good)
    assert ready(gateway)
    (files / "secret").write_text(SECRET)
    assert reload(gateway, manager) == "settings reloaded"


def test_a_reload_loses_no_call_and_keeps_the_counts(
    files: Path, manager: Manager, gateway: Server, connection: psycopg.Connection[Any]
) -> None:
    sql = runner(connection)
    sql("select pgmq_admin.create_queue('tasks')")
    headers = {"apikey": api_key(SECRET.encode(), "service_role"), "Content-Profile": "pgmq_public"}
    counted = metrics(gateway).get(SENT, 0)
    answers: list[int] = []
    done = threading.Event()

    def send(client: httpx.Client) -> None:
        answers.append(client.post("/rpc/send", json={"queue_name": "tasks", "message": 1}).status_code)

    def keep_sending() -> None:
        with httpx.Client(base_url=gateway.url, headers=headers, timeout=30) as client:
            # With a pause, so that the load does not saturate the machine.
            while not done.wait(0.01):
                send(client)

    senders = [threading.Thread(target=keep_sending) for _ in range(3)]
    for sender in senders:
        sender.start()
    for size in (3, 4, 2):
        before = len(answers)
        change(files, (files / "conf").read_text().splitlines()[2], f"db-pool = {size}")
        assert reload(gateway, manager) == "settings reloaded"
        until(lambda before=before: len(answers) > before + 10)  # type: ignore[misc]
    done.set()
    for sender in senders:
        sender.join()
    with psycopg.connect(connection.info.dsn) as blocker:
        blocker.execute("lock table pgmq.q_tasks")
        with httpx.Client(base_url=gateway.url, headers=headers, timeout=30) as client:
            late = threading.Thread(target=send, args=(client,))
            late.start()
            until(lambda: sql(WAITING) == [(1,)])
            assert reload(gateway, manager) == "settings reloaded"
            blocker.rollback()
            late.join()
    assert set(answers) == {200}
    assert sql("select count(*) from pgmq.q_tasks") == [(len(answers),)]
    until(lambda: metrics(gateway)[SENT] == counted + len(answers))
    # The connections of former gateways are closed; the last gateway has the catalog's connection only, without calls.
    connected = "select count(*) from pg_stat_activity where datname = current_database() and usename = 'authenticator'"
    until(lambda: sql(connected) == [(1,)])


def test_systemd_hears_of_life_and_of_the_end(manager: Manager, gateway: Server) -> None:
    until(lambda: manager.signs_of_life > 2)
    gateway.process.terminate()
    assert manager.next()["STOPPING"] == "1"
    assert gateway.stop() == 0


PASSES = """
import os, socket, sys
terminal = os.open(sys.argv[1], os.O_RDWR)
bound = socket.socket()
bound.bind(("127.0.0.1", 0))
bound.listen()
print(bound.getsockname()[1], flush=True)
os.dup2(bound.fileno(), 3)
os.set_inheritable(3, True)
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1", "LISTEN_FDNAMES": "api"}
os.execv(sys.argv[2], sys.argv[2:])
"""


def test_a_socket_that_systemd_passes_is_served_and_the_end_of_a_terminal_is_no_reload(files: Path) -> None:
    terminal, theirs = os.openpty()
    command = [server.PROGRAM, "serve", "--no-dashboard", "--admin-port", "0", "--config", files / "conf"]
    with (
        (files / "passed.log").open("w") as log,
        subprocess.Popen(
            [sys.executable, "-c", PASSES, os.ttyname(theirs), *map(str, command)],
            env=server.environment({"PGRST_SERVER_PORT": "1"}),
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,
        ) as process,
    ):
        os.close(theirs)
        assert process.stdout is not None
        port = process.stdout.readline().strip()
        assert f"http://127.0.0.1:{port} " in server.banner(process, files / "passed.log", "/ready")
        assert httpx.get(f"http://127.0.0.1:{port}/").status_code == 200
        os.close(terminal)
        assert process.wait(60) == 0


@pytest.mark.parametrize("workers", ["1", "2"])
def test_one_port_for_api_and_health_checks_is_refused_by_a_reload_too(
    tmp_path: Path, directory: DataDirectory, database: str, workers: str
) -> None:
    conf, uri = tmp_path / "conf", socket_uri(directory, "authenticator", database)
    with reserved_port() as api, reserved_port() as admin, (tmp_path / "log").open("w") as log:
        text = f'db-uri = "{uri}"\njwt-secret = "{SECRET}"\nserver-port = {api}\nadmin-server-port = {{}}\n'
        conf.write_text(text.format(admin))
        with subprocess.Popen(
            [server.PROGRAM, "serve", "--no-dashboard", "--workers", workers, "--config", conf],
            env=server.environment(),
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        ) as process:
            server.banner(process, tmp_path / "log", "/ready")
            conf.write_text(text.format(api))
            process.send_signal(signal.SIGHUP)
            refused = f"keeping the present settings: {conf}:4: admin-server-port: {api} is also the API's port"
            until(lambda: refused in (tmp_path / "log").read_text())
            assert httpx.get(f"http://127.0.0.1:{admin}/ready").status_code == 200
            process.terminate()
            assert process.wait(60) == 0


@contextmanager
def reserved_port() -> Iterator[int]:
    """A reserved port: bound but not listening, so that SO_REUSEADDR allows others to bind it."""
    with socket.socket() as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]
