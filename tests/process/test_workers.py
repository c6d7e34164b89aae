"""Several workers on one port: all of them serve, one that exits is replaced, and all stop together."""

import signal
import socket
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psutil
import psycopg
import pytest

from pgmq_gateway.auth.signing import api_key
from pgmq_gateway.embedded.cluster import socket_uri
from pgmq_gateway.embedded.datadir import DataDirectory
from pgmq_gateway.http.acceptor import ENOUGH_CONNECTIONS
from pgmq_gateway.observe.merging import merged
from pgmq_gateway.process.worker_count import automatic, usable_processors
from pgmq_gateway.settings.model import Settings
from tests import server
from tests.databases import Sql
from tests.process.metrics import MAX, SUCCESS, WAITING, metrics
from tests.server import SECRET, Serve, Server, call, ready, refuses
from tests.waiting import until


def connection_to(gateway: Server) -> socket.socket:
    url = urlsplit(gateway.url)
    return socket.create_connection((url.hostname, url.port))


def freeze(worker: psutil.Process) -> None:
    worker.suspend()
    until(lambda: worker.status() == psutil.STATUS_STOPPED)


def workers_of(gateway: Server) -> list[psutil.Process]:
    """The worker processes."""
    return psutil.Process(gateway.process.pid).children()


def test_the_pool_is_divided_and_the_admin_port_speaks_for_all(serve: Serve, database: str) -> None:
    gateway = serve(database, "--workers", "3", PGRST_DB_POOL="6")
    assert len(workers_of(gateway)) == 3
    assert ready(gateway)
    values = metrics(gateway)
    assert (values[MAX], values[SUCCESS]) == (6, 3)
    functions = httpx.get(f"{gateway.admin_url}/schema_cache").json()["functions"]
    assert {"send", "read"} <= {function["name"] for function in functions}
    assert httpx.get(f"{gateway.admin_url}/nothing").status_code == 404


# Refuses to create files, folders and Unix sockets, as a read-only file system does.
READ_ONLY = """
import errno, os, sys

def refuse(event, arguments):
    if event == "open":
        path, _, flags = arguments
        device = isinstance(path, int) or str(path).startswith("/dev/")
        refused = flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) and not device
    else:
        refused = event == "os.mkdir" or event == "socket.bind" and isinstance(arguments[1], (str, bytes))
    if refused:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

sys.addaudithook(refuse)
"""


def test_d15_no_worker_needs_a_writable_folder(serve: Serve, database: str, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(READ_ONLY)
    gateway = serve(database, "--workers", "2", PYTHONPATH=str(tmp_path))
    assert (ready(gateway), metrics(gateway)["pgmq_gateway_workers"]) == (True, 2)
    assert call(gateway, "nothing").status_code == 404


def test_all_of_them_serve(serve: Serve, database: str, own_sql: Sql) -> None:
    own_sql("select pgmq_admin.create_queue('tasks')")
    gateway = serve(database, "--workers", "2")
    # Each worker has a connection for the catalog, and another one after its first call.
    connected = "select count(*) from pg_stat_activity where datname = current_database() and usename = 'authenticator'"
    with ThreadPoolExecutor(16) as pool:

        def busy() -> bool:
            with ExitStack() as held:
                # Enough for the first worker. They are closed after ten seconds without a request.
                for _ in range(ENOUGH_CONNECTIONS):
                    held.enter_context(connection_to(gateway))
                answers = pool.map(lambda n: call(gateway, "send", queue_name="tasks", message=n), range(64))
                return all(answer.status_code == 200 for answer in answers) and own_sql(connected) == [(4,)]

        until(busy)
    sent = own_sql("select count(*), count(distinct msg_id) from pgmq.q_tasks")[0]
    assert sent[0] == sent[1] >= 64
    # A response can be sent a moment before it is counted.
    until(lambda: metrics(gateway)['pgmq_gateway_answers_total{status="200"}'] == sent[0])
    values = metrics(gateway)
    assert values["pgmq_gateway_workers"] == 2
    assert values['pgmq_gateway_answer_seconds_bucket{le="+Inf"}'] == sent[0]
    assert values["pgmq_gateway_transaction_calls_sum"] == sent[0]
    assert values["pgmq_gateway_connections_busy"] == 0
    assert (values["pgmq_gateway_ready"], values["pgmq_gateway_connections_opened_total"]) == (2, 2)
    # Each worker reports the same values of the database.
    own_sql("select pgmq_gateway.take_sample(3600, 7)")
    waiting = 'pgmq_gateway_queue_messages{queue="tasks",state="visible"}'
    until(lambda: metrics(gateway).get(waiting) == sent[0])
    assert metrics(gateway)["pgmq_gateway_queues"] == 1


def test_one_that_dies_is_replaced_and_one_that_freezes_delays_no_other(serve: Serve, database: str) -> None:
    gateway = serve(database, "--workers", "2")
    victim, other = workers_of(gateway)
    victim.kill()
    assert call(gateway, "nothing").status_code == 404
    until(lambda: ready(gateway) and len(workers_of(gateway)) == 2)
    assert other.is_running()
    assert victim.pid not in {worker.pid for worker in workers_of(gateway)}
    until(lambda: "a worker exited with status -9" in gateway.log.read_text())
    for frozen in workers_of(gateway):
        freeze(frozen)
        assert call(gateway, "nothing").status_code == 404
        frozen.resume()


@pytest.fixture
def pending(
    serve: Serve, database: str, directory: DataDirectory, own_sql: Sql
) -> Iterator[tuple[Server, psycopg.Connection, list[Future[httpx.Response]]]]:
    """Two workers with four calls that wait for a lock of this connection."""
    own_sql("select pgmq_admin.create_queue('tasks')")
    gateway = serve(database, "--workers", "2")
    with psycopg.connect(socket_uri(directory, database=database)) as blocker, ThreadPoolExecutor(4) as pool:
        blocker.execute("lock table pgmq.q_tasks in access exclusive mode")
        sent = [pool.submit(call, gateway, "send", queue_name="tasks", message=n) for n in range(4)]

        def begun() -> bool:
            blocked: int = own_sql("select count(*) from pg_locks where not granted")[0][0]
            return blocked + metrics(gateway)[WAITING] == 4

        until(begun)
        yield gateway, blocker, sent


# systemd and terminals signal the workers too, besides their parent.
@pytest.mark.parametrize("workers_too", [False, True])
def test_f26_sigterm_lets_all_finish_what_they_have_begun(
    pending: tuple[Server, psycopg.Connection, list[Future[httpx.Response]]], own_sql: Sql, *, workers_too: bool
) -> None:
    gateway, blocker, sent = pending
    for worker in workers_of(gateway) if workers_too else ():
        worker.send_signal(signal.SIGTERM)
    gateway.process.send_signal(signal.SIGTERM)
    until(lambda: refuses(gateway))
    blocker.rollback()
    assert [one.result().status_code for one in sent] == [200] * 4
    assert gateway.process.wait(60) == 0
    assert own_sql("select count(*) from pgmq.q_tasks") == [(4,)]


def test_a_second_sigterm_waits_for_no_call(
    pending: tuple[Server, psycopg.Connection, list[Future[httpx.Response]]],
) -> None:
    gateway, _, sent = pending
    gateway.process.send_signal(signal.SIGTERM)
    until(lambda: refuses(gateway))
    gateway.process.send_signal(signal.SIGTERM)
    assert [(one.result().status_code, one.result().json()["code"]) for one in sent] == 4 * [(503, "PGRST001")]
    assert gateway.process.wait(60) == 0
    assert gateway.log.read_text() == ""


def test_signals_reload_the_functions_and_the_settings_of_all(serve: Serve, database: str, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text(SECRET)
    gateway = serve(database, "--workers", "2", PGRST_JWT_SECRET=f"@{secret}")
    assert metrics(gateway)[SUCCESS] == 2
    gateway.process.send_signal(signal.SIGUSR1)
    until(lambda: metrics(gateway)[SUCCESS] == 4)
    secret.write_text(SECRET[::-1])
    gateway.process.send_signal(signal.SIGHUP)
    keys = [api_key(one.encode(), "service_role") for one in (SECRET, SECRET[::-1])]
    with httpx.Client(base_url=gateway.url, headers={"Connection": "close"}) as client:

        def statuses() -> list[int]:
            return [client.get("/", headers={"Authorization": f"Bearer {key}"}).status_code for key in keys]

        until(lambda: all(statuses() == [401, 200] for _ in range(12)))
        secret.write_text("short")
        gateway.process.send_signal(signal.SIGHUP)
        until(
            lambda: (
                "reload failed, keeping the present settings: PGRST_JWT_SECRET: the secret has 5 bytes"
                in gateway.log.read_text()
            )
        )
        assert statuses() == [401, 200]
    assert (ready(gateway), len(workers_of(gateway))) == (True, 2)


def test_no_worker_outlives_its_parent(serve: Serve, database: str) -> None:
    gateway = serve(database, "--workers", "2")
    workers = workers_of(gateway)
    gateway.process.kill()
    psutil.wait_procs(workers, 30)
    assert not any(worker.is_running() for worker in workers)


@pytest.mark.parametrize("count", ["0", "65", "x", "-1", "Auto"])
def test_a_number_that_is_none_is_refused(count: str) -> None:
    done = server.run("serve", "--workers", count)
    assert (done.returncode, done.stderr) == (
        2,
        f"pgmq-gateway: --workers {count} is not a number from 1 to 64, or auto (see pgmq-gateway serve --help)\n",
    )


def test_auto_starts_as_many_as_it_prints(serve: Serve, database: str) -> None:
    gateway = serve(database, "--workers", "auto", PGRST_DB_POOL="4")
    chosen = automatic(Settings(db_pool=4), usable_processors(), embedded=False)
    assert gateway.output.endswith(f"/ready), workers: {chosen}\n")
    # A single one needs no process of its own.
    assert max(1, len(workers_of(gateway))) == chosen.number


def test_metrics_are_added_up_and_the_slowest_is_told() -> None:
    label = '# HELP b_total B\n# TYPE b_total counter\nb_total{{s="{0}"}} 1.0\n'
    text = (
        '# HELP a_total A\n# TYPE a_total counter\na_total{{s="x"}} {0}\n'
        "# HELP pgrst_schema_cache_query_time_seconds Q\n# TYPE pgrst_schema_cache_query_time_seconds gauge\n"
        "pgrst_schema_cache_query_time_seconds {0}\n"
    )
    assert merged([text.format(1.0) + label.format("x"), text.format(4.0) + label.format("y")]) == (
        '# HELP a_total A\n# TYPE a_total counter\na_total{s="x"} 5.0\n'
        "# HELP pgrst_schema_cache_query_time_seconds Q\n# TYPE pgrst_schema_cache_query_time_seconds gauge\n"
        "pgrst_schema_cache_query_time_seconds 4.0\n"
        '# HELP b_total B\n# TYPE b_total counter\nb_total{s="x"} 1.0\nb_total{s="y"} 1.0\n'
    )


def test_what_all_workers_say_of_the_database_is_told_once_whatever_a_queue_is_called() -> None:
    text = (
        "# HELP pgmq_gateway_queue_messages Q\n# TYPE pgmq_gateway_queue_messages gauge\n"
        'pgmq_gateway_queue_messages{queue="a\\"\\\\\\nb",state="visible"} 3.0\n'
    )
    assert merged([text, text]) == text
