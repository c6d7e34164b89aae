"""Postgres on several servers: server selection, detection of lost servers, and failover."""

import asyncio
import shutil
import socket
import subprocess
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import ExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import psycopg
import pytest
from pydantic import SecretStr

from pgmq_gateway.calls import watch
from pgmq_gateway.database import attempt, connector, deadline, stalls
from pgmq_gateway.database.connector import Connector
from pgmq_gateway.database.driver import GatewayConnection
from pgmq_gateway.database.pool import ConnectionPool
from pgmq_gateway.database.servers import Servers
from pgmq_gateway.embedded.cluster import SOCKET_NAME, binary, socket_folder, socket_uri
from pgmq_gateway.embedded.datadir import DataDirectory
from pgmq_gateway.errors import PoolTimeout, Unavailable
from pgmq_gateway.gateway import Gateway
from pgmq_gateway.settings import address
from pgmq_gateway.settings.model import Settings
from tests import server
from tests.answers import refusal
from tests.databases import postgres_account
from tests.faults.conftest import Faulty, login
from tests.gateways import Bearer
from tests.proxy import Proxy
from tests.server import SECRET, TIMEOUT_SECONDS, ready
from tests.waiting import until, until_async


@pytest.fixture
def wire(directory: DataDirectory) -> Iterator[Proxy]:
    """A proxy to Postgres."""
    with Proxy(socket_folder(directory) / SOCKET_NAME) as proxy:
        yield proxy


@asynccontextmanager
async def connected(pool: ConnectionPool) -> AsyncIterator[GatewayConnection]:
    """A connection of a pool with short timeouts, which a busy machine can exceed."""
    found: list[GatewayConnection] = []

    async def acquired() -> bool:
        with suppress(PoolTimeout, Unavailable):
            found.append(await pool.acquire())
        return bool(found)

    await until_async(acquired)
    try:
        yield found[0]
    finally:
        pool.release(found[0])


@pytest.fixture
async def patient(wire: Proxy, database: str) -> AsyncIterator[Gateway]:
    """A gateway in this process."""
    uri = SecretStr(login(wire, database))
    one = Gateway(Settings(db_uri=uri, jwt_secret=SecretStr(SECRET), db_pool=2, history_interval=0, background=False))
    async with one.running():
        await until_async(lambda: one.watch.ready and one.watch.loaded.is_set())
        yield one
        wire.heal()
    await asyncio.sleep(0)


@pytest.fixture
def short_timeouts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "CHECK_INTERVAL_SECONDS", 0.05)
    monkeypatch.setattr(watch, "CHECK_TIMEOUT_SECONDS", 0.5)
    monkeypatch.setattr(address, "CONNECT_TIMEOUT_SECONDS", 0.5)


@pytest.fixture
def gateway(short_timeouts: None, patient: Gateway) -> Gateway:  # noqa: ARG001 the order counts
    """A gateway in this process that finds a silent server by its checks."""
    return patient


async def test_f21_a_silently_lost_listening_connection_is_replaced_without_missing_changes(
    gateway: Gateway, wire: Proxy, database: str, directory: DataDirectory
) -> None:
    wire.freeze()
    with psycopg.connect(socket_uri(directory, database=database), autocommit=True) as owner:
        owner.execute("create function public.late() returns int language sql as 'select 1'")
        owner.execute("notify pgrst")
    await until_async(lambda: not gateway.watch.ready)
    wire.heal()
    await until_async(lambda: gateway.watch.ready and any(one.name == "late" for one in gateway.watch.catalog))


async def test_calls_on_a_frozen_postgres_fail(gateway: Gateway, wire: Proxy) -> None:
    connections = gateway.database.pool
    async with connected(connections) as connection:
        sleeping = asyncio.create_task(connection.execute("select pg_sleep(600)"))
        await asyncio.sleep(0)
        wire.freeze()
        with pytest.raises(asyncpg.PostgresConnectionError):
            await asyncio.wait_for(sleeping, 15)
    wire.heal()
    async with connected(connections) as connection:
        assert await connection.fetchval("select 1") == 1


def refused() -> int:
    """An unused port of this machine."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


async def test_d3_servers_that_refuse_or_do_not_respond_delay_no_connection(
    wire: Proxy, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(address, "CONNECT_TIMEOUT_SECONDS", 600)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        hosts = f"127.0.0.1:{refused()},127.0.0.1:{silent.getsockname()[1]},127.0.0.1:{wire.port}"
        connect = Connector(
            f"postgresql://authenticator@{hosts}/{database}?sslmode=disable&target_session_attrs=primary"
        )
        for _ in range(2):
            connection = await asyncio.wait_for(connect(), TIMEOUT_SECONDS)
            assert await connection.fetchval("select current_database()") == database
            await connection.close()


@pytest.fixture
def silent(directory: DataDirectory) -> Iterator[tuple[Proxy, set[int]]]:
    """A server that accepts connections and never responds, and the numbers of these connections."""
    asked: set[int] = set()
    with Proxy(socket_folder(directory) / SOCKET_NAME, tap=lambda number, _: asked.add(number)) as proxy:
        proxy.freeze()
        yield proxy, asked


@pytest.fixture
async def pool() -> AsyncIterator[Callable[[str, float], ConnectionPool]]:
    """pool(uri, acquire_timeout): a pool of one connection, closed afterwards."""
    made: list[ConnectionPool] = []

    def new(uri: str, acquire_timeout: float) -> ConnectionPool:
        made.append(ConnectionPool(1, acquire_timeout, Connector(uri)))
        return made[-1]

    yield new
    for one in made:
        # Far below the connect timeout: attempts to connect do not delay the shutdown.
        await asyncio.wait_for(one.close(), 5)


async def test_d3_connectors_share_what_they_know_about_a_silent_server(
    silent: tuple[Proxy, set[int]], wire: Proxy, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempt, "HEAD_START_SECONDS", 600)
    monkeypatch.setattr(address, "CONNECT_TIMEOUT_SECONDS", 1)
    proxy, asked = silent
    hosts = f"127.0.0.1:{proxy.port},127.0.0.1:{wire.port}"
    uri = f"postgresql://authenticator@{hosts}/{database}?sslmode=disable"
    servers = Servers()

    async def connected() -> bool:
        with suppress(OSError):
            await (await Connector(uri, servers=servers)()).close()
            return True
        return False

    await until_async(connected)
    before = len(asked)
    await until_async(connected)
    assert len(asked) == before > 0


async def test_d3_a_server_that_refused_is_tried_again_while_another_is_silent(
    silent: tuple[Proxy, set[int]], wire: Proxy, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(address, "CONNECT_TIMEOUT_SECONDS", 600)
    proxy, asked = silent
    hosts = f"127.0.0.1:{wire.port},127.0.0.1:{proxy.port}"
    wire.refuse()
    connecting = asyncio.create_task(Connector(f"postgresql://authenticator@{hosts}/{database}?sslmode=disable")())
    # It is tried after the other one.
    await until_async(lambda: asked)
    wire.heal()
    await (await asyncio.wait_for(connecting, TIMEOUT_SECONDS)).close()


async def test_d3_a_silent_server_does_not_delay_a_primary_that_is_taken_for_lack_of_a_standby(
    silent: tuple[Proxy, set[int]], wire: Proxy, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(address, "CONNECT_TIMEOUT_SECONDS", 600)
    hosts = f"127.0.0.1:{silent[0].port},127.0.0.1:{wire.port}"
    target = "sslmode=disable&target_session_attrs=prefer-standby"
    connect = Connector(f"postgresql://authenticator@{hosts}/{database}?{target}")
    connection = await asyncio.wait_for(connect(), TIMEOUT_SECONDS)
    assert await connection.fetchval("select not pg_is_in_recovery()")
    # A write on a standby that is preferred later is no reason to look for a primary.
    assert not connect.primary
    await connection.close()


@pytest.fixture
async def crowded() -> AsyncIterator[Callable[[], tuple[int, int]]]:
    """A server that rejects each connection; gives its port and how often it did."""
    fields = b"SFATAL\0VFATAL\0C53300\0Msorry, too many clients already\0\0"
    rejections = 0

    async def reject(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal rejections
        await reader.read(1000)
        writer.write(b"E" + (len(fields) + 4).to_bytes(4) + fields)
        writer.close()
        rejections += 1

    async with await asyncio.start_server(reject, "127.0.0.1", 0) as listening:
        yield lambda: (listening.sockets[0].getsockname()[1], rejections)


async def test_d3_a_server_that_rejects_the_login_leaves_the_others_time(
    crowded: Callable[[], tuple[int, int]], wire: Proxy, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(address, "CONNECT_TIMEOUT_SECONDS", 600)
    monkeypatch.setattr(attempt, "RETRY_SECONDS", 0.1)
    hosts = f"127.0.0.1:{wire.port},127.0.0.1:{crowded()[0]}"
    connect = Connector(f"postgresql://authenticator@{hosts}/{database}?sslmode=disable")
    wire.freeze()
    connecting = asyncio.create_task(connect())
    await until_async(lambda: crowded()[1] > 1 or connecting.done())
    wire.heal()
    await (await asyncio.wait_for(connecting, TIMEOUT_SECONDS)).close()
    wire.refuse()
    # Not the error of the one that cannot be reached, whichever came last.
    with pytest.raises(asyncpg.TooManyConnectionsError):
        await connect()


async def test_d3_an_attempt_to_connect_outlives_its_caller_and_serves_the_next(
    silent: tuple[Proxy, set[int]], database: str, pool: Callable[[str, float], ConnectionPool]
) -> None:
    proxy, asked = silent
    connections = pool(login(proxy, database), 0.2)
    with pytest.raises(Unavailable):
        await connections.acquire()
    proxy.heal()
    await until_async(lambda: connections.idle == 1)
    async with connections.connection() as connection:
        assert await connection.fetchval("select 1") == 1
    assert (len(asked), connections.opening.number, connections.timeouts) == (1, 1, 0)
    assert connections.opening.failures == 0


async def test_d3_an_abandoned_attempt_to_connect_does_not_delay_the_shutdown(
    silent: tuple[Proxy, set[int]], database: str, pool: Callable[[str, float], ConnectionPool]
) -> None:
    proxy, _ = silent
    connections = pool(login(proxy, database), 0.2)
    with pytest.raises(Unavailable):
        await connections.acquire()
    assert connections.open == 1
    await asyncio.wait_for(connections.close(), 5)
    assert connections.open == 0
    # A frozen server does not notice the close.
    proxy.heal()
    await until_async(lambda: not proxy.connections)


async def test_d3_a_connect_timeout_is_unavailable_and_not_a_pool_timeout(
    silent: tuple[Proxy, set[int]],
    database: str,
    pool: Callable[[str, float], ConnectionPool],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(address, "CONNECT_TIMEOUT_SECONDS", 0.2)
    connections = pool(login(silent[0], database), 10)
    with pytest.raises(Unavailable):
        await connections.acquire()
    assert (connections.timeouts, connections.opening.failures, connections.open) == (0, 1, 0)


async def test_d4_a_server_that_accepts_another_connection_is_tried_anew(
    directory: DataDirectory, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(address, "CONNECT_TIMEOUT_SECONDS", 600)
    monkeypatch.setattr(attempt, "RETRY_SECONDS", 0)
    with socket.create_server(("127.0.0.1", 0)) as silent, Proxy(silent.getsockname()) as proxy:
        servers = Servers()
        early = asyncio.create_task(Connector(login(proxy, database), servers=servers)())
        await until_async(lambda: proxy.accepted)
        proxy.aim(socket_folder(directory) / SOCKET_NAME)
        late = await Connector(login(proxy, database), servers=servers)()
        await (await asyncio.wait_for(early, TIMEOUT_SECONDS)).close()
        await late.close()


async def test_d4_the_pool_connects_again_without_calls_and_wakes_the_watch(
    patient: Gateway, wire: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "FIRST_RETRY_SECONDS", 600)
    monkeypatch.setattr(watch, "LONGEST_RETRY_SECONDS", 600)
    patient.watch.ask_reload()
    wire.refuse()
    wire.cut()
    with pytest.raises(Unavailable):
        await patient.database.pool.acquire()
    await until_async(lambda: patient.watch.failures)
    assert not patient.watch.ready
    wire.heal()
    await until_async(lambda: patient.watch.ready)


@pytest.fixture
def short_stalls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stalls, "INTERVAL_SECONDS", 0.05)
    monkeypatch.setattr(stalls, "STALL_SECONDS", 0.1)


async def test_d4_calls_in_flight_end_when_their_server_freezes(
    short_stalls: None,  # noqa: ARG001 the order counts
    patient: Gateway,
    wire: Proxy,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stalls, "PROBE_TIMEOUT_SECONDS", 0.5)
    pool = patient.database.pool
    async with connected(pool) as connection:
        sleeping = asyncio.create_task(connection.execute("select pg_sleep(600)"))
        await asyncio.sleep(0)
        wire.freeze()
        with pytest.raises(asyncpg.PostgresConnectionError):
            await asyncio.wait_for(sleeping, TIMEOUT_SECONDS)
    await until_async(lambda: not patient.watch.ready)
    wire.heal()
    await until_async(lambda: patient.watch.ready)
    async with connected(pool) as connection:
        assert await connection.fetchval("select 1") == 1


async def test_d4_a_cancel_request_to_a_server_that_froze_delays_no_call(
    patient: Gateway, wire: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deadline, "CANCEL_TIMEOUT_SECONDS", 600)
    async with connected(patient.database.pool) as connection:
        wire.freeze()
        before = wire.accepted
        sleeping = asyncio.create_task(deadline.within(0.01, connection, connection.execute("select pg_sleep(600)")))
        await until_async(lambda: wire.accepted > before)
        patient.database.pool.disconnect(connection.server)
        with pytest.raises(asyncpg.PostgresConnectionError):
            await asyncio.wait_for(sleeping, TIMEOUT_SECONDS)


async def test_d4_no_call_waits_for_a_server_that_does_not_respond(
    wire: Proxy, database: str, pool: Callable[[str, float], ConnectionPool]
) -> None:
    connections = pool(login(wire, database), 600)
    async with connected(connections) as connection:
        waiting = asyncio.create_task(connections.acquire())
        await asyncio.sleep(0)
        wire.freeze()
        connections.disconnect(connection.server)
        with pytest.raises(Unavailable):
            await asyncio.wait_for(waiting, TIMEOUT_SECONDS)
        with pytest.raises(Unavailable):
            await asyncio.wait_for(connections.acquire(), TIMEOUT_SECONDS)
    wire.heal()
    async with connected(connections) as connection:
        assert await connection.fetchval("select 1") == 1


async def test_d4_a_long_call_on_a_server_that_responds_goes_on(
    short_stalls: None,  # noqa: ARG001 the order counts
    patient: Gateway,
    wire: Proxy,
) -> None:
    async with connected(patient.database.pool) as connection:
        sleeping = asyncio.create_task(connection.execute("select pg_sleep(600)"))
        before = wire.accepted
        await until_async(lambda: wire.accepted >= before + 3)
        assert not sleeping.done()
        connection.terminate()
        with pytest.raises(asyncpg.PostgresConnectionError):
            await sleeping


@pytest.mark.parametrize("ends", [False, True])
async def test_d4_a_server_is_lost_only_if_neither_logins_nor_calls_end(
    short_stalls: None,  # noqa: ARG001 the order counts
    wire: Proxy,
    database: str,
    monkeypatch: pytest.MonkeyPatch,
    *,
    ends: bool,
) -> None:
    monkeypatch.setattr(stalls, "PROBE_TIMEOUT_SECONDS", 60)
    connect = Connector(login(wire, database))
    pool, probes = ConnectionPool(2, 60, connect, connect.servers), 0
    lost: list[str] = []

    async def slow_login(_: str) -> None:
        nonlocal probes
        probes += 1
        if ends:
            async with pool.connection() as other:
                await other.execute("select 1")
        raise TimeoutError

    check = asyncio.create_task(stalls.StallCheck(pool, connect.servers, 60, slow_login, lost.append).run())
    async with pool.connection() as connection:
        sleeping = asyncio.create_task(connection.execute("select pg_sleep(600)"))
        await until_async(lambda: probes > 2)
        assert bool(lost) is not ends
        check.cancel()
        connection.terminate()
        await asyncio.wait([sleeping, check])
    await pool.close()


async def test_d4_a_slow_login_gets_twice_the_time_of_the_last_one(
    short_stalls: None,  # noqa: ARG001 the order counts
    silent: tuple[Proxy, set[int]],
    wire: Proxy,
    database: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stalls, "PROBE_TIMEOUT_SECONDS", 0)
    proxy, asked = silent
    connect = Connector(login(wire, database))
    pool = ConnectionPool(1, 60, connect, connect.servers)
    lost: list[str] = []

    def probe(_: str) -> Coroutine[Any, Any, None]:
        return connect.probe(login(proxy, database))

    check = asyncio.create_task(stalls.StallCheck(pool, connect.servers, 60, probe, lost.append).run())
    async with pool.connection() as connection:
        assert connect.servers.login_seconds(connection.server) > 0
        connect.servers.has_logged_in(connection.server, 300)
        sleeping = asyncio.create_task(connection.execute("select pg_sleep(600)"))
        await until_async(lambda: asked)
        assert not lost
        check.cancel()
        connection.terminate()
        await asyncio.wait([sleeping, check])
    await pool.close()


@pytest.mark.parametrize("lost", [False, True])
async def test_d4_a_wait_that_ends_while_a_server_is_probed_ends_with_the_probe(
    wire: Proxy, database: str, *, lost: bool
) -> None:
    connect = Connector(login(wire, database))
    pool = ConnectionPool(2, 0.05, connect, connect.servers)
    async with connected(pool) as busy, connected(pool):
        before = pool.timeouts
        with connect.servers.probed(busy.server):
            waiting = asyncio.create_task(pool.acquire())
            await asyncio.wait([waiting], timeout=0.2)
            assert not waiting.done()
        # As the check does after a probe.
        if lost:
            pool.disconnect(busy.server)
        with pytest.raises(Unavailable if lost else PoolTimeout):
            await waiting
        assert pool.timeouts - before == (0 if lost else 1)
    await pool.close()


async def test_keepalive_options_are_those_of_the_uri(wire: Proxy, database: str) -> None:
    more = "&keepalives_idle=7&keepalives_interval=3&keepalives_count=2&tcp_user_timeout=9000"
    seen = []
    for uri in (login(wire, database), login(wire, database) + more, login(wire, database) + "&keepalives=0"):
        connection = await Connector(uri)()
        end = connection._transport.get_extra_info("socket")  # type: ignore[attr-defined]
        names = ("TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT", "TCP_USER_TIMEOUT")
        options = [end.getsockopt(socket.IPPROTO_TCP, getattr(socket, name)) for name in names]
        seen.append((end.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE), *options))
        await connection.close()
    assert seen == [(1, 15, 5, 3, 30000), (1, 7, 3, 2, 9000), (0, 15, 5, 3, 30000)]


async def test_attempts_to_connect_are_limited_while_postgres_refuses() -> None:
    attempts = 0

    async def refuse() -> GatewayConnection:
        nonlocal attempts
        attempts += 1
        raise ConnectionRefusedError

    connections = ConnectionPool(4, 10, refuse)
    for _ in range(50):
        outcomes = await asyncio.gather(*(connections.acquire() for _ in range(20)), return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {Unavailable}
    assert 1 <= attempts <= 40
    await connections.close()


async def test_retired_connections_are_not_reused_and_finish_their_calls(directory: DataDirectory) -> None:
    connections = ConnectionPool(3, 10, Connector(socket_uri(directory, "authenticator")))
    used, idle = await connections.acquire(), await connections.acquire()
    connections.release(idle)
    connections.retire()
    assert idle.is_closed()
    assert await used.fetchval("select 1") == 1
    connections.release(used)
    assert used.is_closed()
    assert (connections.idle, connections.available) == (0, True)
    async with connections.connection() as fresh:
        assert await fresh.fetchval("select 1") == 1
    assert connections.idle == 1
    await connections.close()


@pytest.fixture
def standby(directory: DataDirectory) -> Iterator[Path]:
    """A standby of the running server, replicating; gives the folder of its socket."""
    folder = Path(tempfile.mkdtemp(prefix="pgmq-standby-"))
    owner = directory.postgres.stat()
    shutil.chown(folder, owner.st_uid, owner.st_gid)
    data, host = folder / "data", socket_folder(directory)

    def run(program: str, *arguments: str | Path) -> None:
        subprocess.run(
            [binary(program), *arguments], cwd="/", env={"PATH": "/usr/bin:/bin", "LANG": "C"},
            stdout=subprocess.DEVNULL, check=True, **postgres_account(directory),
        )  # fmt: skip

    run("pg_basebackup", "-h", host, "-U", "postgres", "-D", data, "-R", "-X", "stream", "-c", "fast", "--no-sync")
    options = f"-c unix_socket_directories={folder} -c listen_addresses='' -c port=5432 -c fsync=off"
    run("pg_ctl", "-D", data, "-w", "-l", folder / "log", "-o", options, "start")
    try:
        yield folder
    finally:
        run("pg_ctl", "-D", data, "-w", "-m", "immediate", "stop")
        shutil.rmtree(folder)


@pytest.fixture
def serving(tmp_path: Path, faulty: Faulty, bearer: Bearer) -> Iterator[Callable[..., Faulty]]:
    """serving(wire, …): a gateway on the same database at other addresses. It takes the first that is a primary."""
    ((database,),) = faulty.sql("select current_database()")
    headers = {"Content-Profile": "pgmq_public", **bearer("service_role")}
    with ExitStack() as stack:

        def start(wire: Proxy, *others: int) -> Faulty:
            log = tmp_path / f"{wire.port}.log"
            uri = login(wire, str(database))
            if others:
                hosts = ",".join(f"127.0.0.1:{port}" for port in (*others, wire.port))
                uri = uri.replace(f"127.0.0.1:{wire.port}", hosts) + "&target_session_attrs=read-write"
            env = {"PGRST_DB_URI": uri, "PGRST_JWT_SECRET": SECRET, "PGRST_DB_POOL": "2"}
            patience = "0.5" if others else "10"
            running = server.start(log, env={**env, "PGRST_DB_POOL_ACQUISITION_TIMEOUT": patience})
            stack.callback(running.stop)
            client = stack.enter_context(httpx.Client(base_url=running.url, headers=headers, timeout=30))
            return Faulty(running, client, faulty.sql, wire)

        yield start


async def on_standby(others: str, second: Proxy, database: object) -> bool:
    """True if a connector that prefers standbys selects the last server, however long it takes."""
    hosts = f"{others},127.0.0.1:{second.port}"
    uri = f"postgresql://authenticator@{hosts}/{database}?sslmode=disable&target_session_attrs=prefer-standby"
    connection = await Connector(uri)()
    try:
        return bool(await connection.fetchval("select pg_is_in_recovery()"))
    finally:
        await connection.close()


def test_d3_d4_f16_f17_calls_reach_the_new_primary_and_a_standby_answers_like_postgrest(
    faulty: Faulty,
    jobs: str,
    standby: Path,
    serving: Callable[..., Faulty],
    directory: DataDirectory,
    bearer: Bearer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connector, "STANDBY_SECONDS", TIMEOUT_SECONDS)
    ((database,),) = faulty.sql("select current_database()")
    with (
        Proxy(socket_folder(directory) / SOCKET_NAME) as moving,
        Proxy(socket_folder(directory) / SOCKET_NAME) as freezing,
        Proxy(standby / SOCKET_NAME) as second,
        socket.create_server(("127.0.0.1", 0)) as silent,
        psycopg.connect(f"host={standby} port=5432 user=postgres dbname={database}", autocommit=True) as there,
    ):
        rows = f"select array_agg(message::int order by msg_id) from pgmq.q_{jobs}".encode()
        moved, reading = serving(moving), serving(second)
        finding = serving(freezing, refused(), silent.getsockname()[1], second.port)
        assert moved.call("send", queue_name=jobs, message=1).text == "[1]"
        until(finding.serves)
        assert finding.call("send", queue_name=jobs, message=2).text == "[2]"
        until(lambda: there.execute(rows).fetchone() == ([1, 2],))
        told = refusal(reading.call("send", queue_name=jobs, message=3))
        assert told == (405, "25006", "cannot execute INSERT in a read-only transaction")
        # A standby neither listens nor lets a request wait.
        waiting = reading.client.post("/rpc/pop", json={"queue_name": jobs}, headers={"Prefer": "wait=50"})
        assert refusal(waiting)[:2] == (405, "25006")
        assert "notif" not in reading.server.log.read_text()
        # The connection is cleaned for another caller, as on a primary.
        other = {"queue_name": jobs, "message": 3}
        assert reading.client.post("/rpc/send", json=other, headers=bearer("authenticated")).status_code == 405
        assert "cannot be cleaned" not in reading.server.log.read_text()
        assert asyncio.run(on_standby(f"127.0.0.1:{silent.getsockname()[1]},127.0.0.1:{moving.port}", second, database))
        # The address leads to the standby before its promotion.
        moving.aim(standby / SOCKET_NAME)
        moving.cut()
        refusals = [moved.call("send", queue_name=jobs, message=4) for _ in range(5)]
        assert not ready(moved.server)
        # The first call is sent to the frozen server.
        freezing.freeze()
        refusals += [finding.call("send", queue_name=jobs, message=4) for _ in range(2)]
        assert {(answer.status_code, answer.headers["retry-after"]) for answer in refusals} == {(503, "1")}
        assert [refusal(answer)[1] for answer in refusals[-2:]] == ["PGRST001", "PGRST000"]
        assert not finding.serves()
        there.execute("select pg_promote()")
        for message, gateway in ((5, moved), (6, finding), (7, reading)):
            until(lambda: gateway.call("send", queue_name=jobs, message=message).is_success)  # noqa: B023
            until(gateway.serves)
        assert there.execute(rows).fetchone() == ([1, 2, 5, 6, 7],)
