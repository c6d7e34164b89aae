"""`serve`: start, banner, health, signals, faults of the database, and graceful shutdown."""

import asyncio
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psycopg
import pytest

from pgmq_gateway.auth.signing import api_key
from pgmq_gateway.cli import banner
from pgmq_gateway.embedded.cluster import socket_uri
from pgmq_gateway.embedded.datadir import DataDirectory
from pgmq_gateway.http.sockets import Addresses, bind
from pgmq_gateway.process import serve as process
from pgmq_gateway.process.lifecycle import Lifecycle
from pgmq_gateway.process.reload import Apply
from pgmq_gateway.process.signals import StopSignals
from pgmq_gateway.process.systemd import Manager
from pgmq_gateway.process.worker_count import WorkerCount, automatic, usable_processors
from pgmq_gateway.settings.model import Settings, load_settings
from tests import server
from tests.server import SECRET, Serve, Server, call
from tests.waiting import until

OTHERS = {"--port": "PGRST_SERVER_PORT", "--admin-port": "PGRST_ADMIN_SERVER_PORT"}


@pytest.fixture
def serve_embedded(folder: Path, tmp_path: Path) -> Iterator[Serve]:
    """serve_embedded("name"): `serve` on an embedded database; an equal name is the same database."""
    started: list[Server] = []

    def start(name: str, *arguments: str, **env: str) -> Server:
        started.append(
            server.start(
                tmp_path / f"{len(started)}.log",
                "--data-dir",
                str(folder / name),
                *arguments,
                env={"PGRST_JWT_SECRET": SECRET, **env},
            )
        )
        return started[-1]

    yield start
    for running in started:
        running.stop()


def queue_in(folder: Path, name: str) -> None:
    with psycopg.connect(socket_uri(DataDirectory(folder / name)), autocommit=True) as connection:
        connection.execute("select pgmq_admin.create_queue('kept')")


def test_the_banner_says_where_everything_is(embedded: Server, directory: DataDirectory) -> None:
    for expected in (embedded.url, str(directory.path), "queue create hello"):
        assert expected in embedded.output
    assert api_key(SECRET.encode(), "service_role") not in embedded.output


def test_the_banner_fits_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    for folder in ("/home/somebody/a/folder/with/a/rather/long/path/to/it", "/srv/q"):
        monkeypatch.setattr("sys.argv", [f"{folder}/.venv/bin/pgmq-gateway"])
        link = f"http://127.0.0.1:65535/sign-in?code={'x' * 24}"
        address, directory = "http://127.0.0.1:65535", DataDirectory(f"{folder}/.pgmq-gateway")
        shown = banner.embedded(address, address, directory, link, WorkerCount(2, "2 processors"))
        lines = shown.splitlines()
        assert [line for line in lines if len(line) > 80] == []
        assert len(lines) < 24
        assert "Dashboard" in lines[3]
        assert f'eval "$(cd {folder} && ' in shown
        assert '.venv/bin/pgmq-gateway keys)"' in shown


def test_health_says_live_and_ready(embedded: Server) -> None:
    assert httpx.get(f"{embedded.admin_url}/live").status_code == 200
    assert httpx.get(f"{embedded.admin_url}/ready").status_code == 200
    assert httpx.get(f"{embedded.url}/live").status_code == 404


def test_a_low_limit_of_open_files_is_reported(database: str, directory: DataDirectory, tmp_path: Path) -> None:
    limited = tmp_path / "limited"
    limited.write_text(f'#!/bin/sh\nulimit -n 139\nexec {server.PROGRAM} "$@"\n')
    limited.chmod(0o755)
    env = {"PGRST_DB_URI": socket_uri(directory, "authenticator", database), "PGRST_JWT_SECRET": SECRET}
    running = server.start(tmp_path / "log", env=env, program=limited)
    assert running.stop() == 0
    assert (
        "the limit of client connections is 1, because the limit of open files (ulimit -n) is 139, and 10 are for "
        "the database and 128 for other files: set it to 12138 for 12000 connections"
    ) in running.log.read_text()


def test_a_second_server_on_a_folder_says_who_holds_it(embedded: Server, directory: DataDirectory) -> None:
    result = server.run("serve", "--data-dir", str(directory.path), "--port", "0", "--admin-port", "0")
    assert result.returncode == 1
    assert f"(pid {embedded.process.pid}, {embedded.url})" in result.stderr


def test_a_taken_port_is_one_line(folder: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        result = server.run("serve", "--data-dir", str(folder / "taken"), "--port", port, "--admin-port", "0")
    assert result.returncode == 1
    assert result.stderr.startswith(f"pgmq-gateway: cannot listen on 127.0.0.1:{port}: Address already in use by ")
    assert "choose another port with --port PORT, or --port 0 for any free one" in result.stderr


@pytest.mark.parametrize("more", [("--workers", "2"), ("--dump-config",), ()])
def test_one_port_for_api_and_health_checks_is_refused(
    database: str, directory: DataDirectory, more: tuple[str, ...]
) -> None:
    env = {"PGRST_DB_URI": socket_uri(directory, "authenticator", database), "PGRST_JWT_SECRET": SECRET}
    result = server.run("serve", "--port", "4000", "--admin-port", "4000", *more, env=env)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == (
        "pgmq-gateway: PGRST_ADMIN_SERVER_PORT: 4000 is also the API's port, PGRST_SERVER_PORT: "
        "set another port, or 0 for any free port (--port, --admin-port)\n"
    )


@pytest.mark.parametrize("setting", ["--port", "--admin-port"])
@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])  # noqa: S104 the clash of all addresses with one is the point
def test_the_dashboard_needs_a_port_of_its_own(folder: Path, setting: str, host: str) -> None:
    ports = {"--port": "0", "--admin-port": "0", "--host": host}
    with socket.socket() as reserved:
        # Bound but not listening: with SO_REUSEADDR other sockets can bind it.
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reserved.bind(("127.0.0.1", 0))
        port = str(reserved.getsockname()[1])
        options = [word for pair in {**ports, setting: port, "--dashboard-port": port}.items() for word in pair]
        result = server.run("serve", "--data-dir", str(folder / "one-port"), *options)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == (
        f"pgmq-gateway: PGMQ_GATEWAY_DASHBOARD_PORT and {OTHERS[setting]} are both {port}: "
        "give another --dashboard-port, or --no-dashboard\n"
    )


@pytest.mark.parametrize(
    ("env", "message"),
    [
        ({}, "PGRST_JWT_SECRET is not set, and it has no default: make one with: openssl rand -hex 32"),
        ({"PGRST_JWT_SECRET": "x" * 31}, "PGRST_JWT_SECRET: the secret has 31 bytes and needs at least 32"),
        ({"PGRST_JWT_SECRET": "@/nowhere"}, "PGRST_JWT_SECRET: cannot read /nowhere: No such file or directory"),
        (
            {"PGRST_JWT_SECRET": SECRET, "PGRST_DB_POOL": "0"},
            "PGRST_DB_POOL: must be 1 or more",
        ),
        (
            {"PGRST_JWT_SECRET": SECRET, "PGRST_DB_SCHEMAS": "pgmq_gateway"},
            "pgmq_gateway must not be exposed, because it is internal: remove it",
        ),
        (
            {"PGRST_JWT_SECRET": SECRET, "PGRST_DB_URI": "postgresql://127.0.0.1:1/x?sslmode=never"},
            "PGRST_DB_URI is not a usable connection string: `sslmode` parameter must be one of",
        ),
    ],
)
def test_settings_that_cannot_work_end_it_at_once(
    database: str, directory: DataDirectory, env: dict[str, str], message: str
) -> None:
    uri = socket_uri(directory, "authenticator", database)
    result = server.run("serve", "--port", "0", "--admin-port", "0", env={"PGRST_DB_URI": uri, **env})
    assert result.returncode == 1
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("user", "message"),
    [
        ("postgres", "login role postgres is a superuser, so policies would not apply: set the user"),
        ("nobody_there", 'role "nobody_there" does not exist'),
    ],
)
def test_a21_a_login_role_that_will_not_do_ends_it_at_once(
    database: str, directory: DataDirectory, user: str, message: str
) -> None:
    env = {"PGRST_DB_URI": socket_uri(directory, user, database), "PGRST_JWT_SECRET": SECRET}
    result = server.run("serve", "--port", "0", "--admin-port", "0", env=env)
    assert result.returncode == 1
    assert message in result.stderr


def test_a_database_that_is_not_installed_ends_it_at_once(
    new_database: Callable[..., str], directory: DataDirectory
) -> None:
    uri = socket_uri(directory, "authenticator", new_database())
    result = server.run(
        "serve", "--port", "0", "--admin-port", "0", env={"PGRST_DB_URI": uri, "PGRST_JWT_SECRET": SECRET}
    )
    assert "run pgmq-gateway install" in result.stderr


def test_no_key_is_printed_for_a_database_of_somebody_else(serve: Serve, database: str) -> None:
    output = serve(database).output
    assert output.startswith("pgmq-gateway serves http://127.0.0.1:")
    assert "eyJ" not in output


def test_auto_leaves_processors_to_the_embedded_postgres(serve_embedded: Serve) -> None:
    chosen = automatic(Settings(), usable_processors(), embedded=True)
    assert f"  Workers    {chosen}\n" in serve_embedded("with-settings", "--workers", "auto").output


def test_settings_of_the_environment_hold_on_the_embedded_database(serve_embedded: Serve) -> None:
    gateway = serve_embedded(
        "with-settings", PGRST_DB_SCHEMAS="pgmq_public", PGRST_DB_ANON_ROLE="", PGMQ_GATEWAY_KEY_LAYER="off"
    )
    answer = httpx.post(f"{gateway.url}/rpc/pop", json={"queue_name": "x"})
    assert (answer.status_code, answer.json()["code"]) == (401, "PGRST302")
    assert call(gateway, "pop", queue_name="x").json()["code"] == "42P01"


def test_settings_of_postgrest_that_have_no_effect_are_named_in_one_line(serve: Serve, database: str) -> None:
    gateway = serve(database, PGRST_DB_ROOT_SPEC="f", PGRST_LOG_QUERY="true", PGRST_LOG_LEVEL="warn")
    line = "pgmq-gateway: WARNING: these settings of PostgREST have no effect: PGRST_DB_ROOT_SPEC, PGRST_LOG_QUERY\n"
    until(lambda: gateway.log.read_text() == line)


def test_data_and_keys_outlive_a_restart(serve_embedded: Serve, folder: Path) -> None:
    first = serve_embedded("again", PGRST_JWT_SECRET="")
    keys = server.run("keys", "--data-dir", str(folder / "again")).stdout
    assert first.stop() == 0
    second = serve_embedded("again", PGRST_JWT_SECRET="")
    assert server.run("keys", "--data-dir", str(folder / "again")).stdout.splitlines()[1:] == keys.splitlines()[1:]
    assert second.stop() == 0


def test_sigterm_stops_gateway_and_postgres(serve_embedded: Serve, folder: Path) -> None:
    gateway = serve_embedded("stopped")
    assert gateway.stop() == 0
    assert gateway.log.read_text() == ""
    assert "database system is shut down" in (folder / "stopped" / "postgres.log").read_text()
    assert DataDirectory(folder / "stopped").holder() is None


def test_f5_every_acknowledged_message_survives_kill_9(serve_embedded: Serve, folder: Path) -> None:
    gateway = serve_embedded("killed")
    queue_in(folder, "killed")
    acknowledged: list[int] = []

    def send() -> None:
        try:
            while True:
                acknowledged.extend(call(gateway, "send", queue_name="kept", message={}).json())
        except httpx.TransportError:
            return

    senders = [threading.Thread(target=send) for _ in range(4)]
    for sender in senders:
        sender.start()
    until(lambda: len(acknowledged) > 50)
    gateway.stop(signal.SIGKILL)
    for sender in senders:
        sender.join()
    # Its Postgres can run a moment longer, but holds none of its ports.
    for address in (gateway.url, gateway.admin_url):
        with pytest.raises(httpx.ConnectError):
            httpx.get(address)
    again = serve_embedded("killed")
    rows = call(again, "read", queue_name="kept", sleep_seconds=0, n=100_000).json()
    assert set(acknowledged) <= {row["msg_id"] for row in rows}


def test_f11_an_exhausted_pool_is_504_in_time(serve: Serve, database: str, directory: DataDirectory) -> None:
    with psycopg.connect(socket_uri(directory, database=database), autocommit=True) as owner:
        owner.execute("select pgmq_admin.create_queue('kept')")
        gateway = serve(database, PGRST_DB_POOL="1", PGRST_DB_POOL_ACQUISITION_TIMEOUT="0.2")
        with psycopg.connect(socket_uri(directory, database=database)) as blocker:
            blocker.execute("lock table pgmq.q_kept")
            caller = threading.Thread(target=lambda: call(gateway, "send", queue_name="kept", message=1))
            caller.start()
            waiting = "select count(*) from pg_locks where not granted and relation = 'pgmq.q_kept'::regclass"
            until(lambda: owner.execute(waiting).fetchone() == (1,))
            answer = call(gateway, "send", queue_name="kept", message=2)
        caller.join()
        assert (answer.status_code, answer.json()["code"]) == (504, "PGRST003")
        assert owner.execute("select array_agg(message) from pgmq.q_kept").fetchone() == ([1],)


async def test_a_task_beside_the_server_that_fails_stops_it(database: str, directory: DataDirectory) -> None:
    ready = asyncio.Event()

    async def reloading(_: Apply) -> None:
        await ready.wait()
        raise RuntimeError("no more settings")

    settings = load_settings(None, db_uri=socket_uri(directory, "authenticator", database), jwt_secret=SECRET)
    addresses = Addresses(bind("127.0.0.1", 0), bind("127.0.0.1", 0))
    lifecycle = Lifecycle(addresses, Manager(), StopSignals(), ready.set, reloading, lambda: None)
    with pytest.raises(RuntimeError, match="no more settings"):
        await process.serve(settings, lifecycle)
    assert (addresses.api.fileno(), addresses.admin.fileno()) == (-1, -1)
