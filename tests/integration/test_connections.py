"""The connection pool: its size, the order of waiting callers, clean sessions, and connections that are not reused."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from pgmq_gateway import database
from pgmq_gateway.database.connector import Connector
from pgmq_gateway.database.driver import GatewayConnection
from pgmq_gateway.database.pool import ConnectionPool
from pgmq_gateway.embedded.cluster import socket_uri
from pgmq_gateway.embedded.datadir import DataDirectory
from pgmq_gateway.errors import PoolTimeout, Unavailable
from tests.databases import Sql
from tests.waiting import until_async

Make = Callable[..., ConnectionPool]

LOCK, LOCKS = (
    "select pg_advisory_lock(11)",
    "select count(*) from pg_locks where locktype = 'advisory' and pid = any (%s)",
)
SERVED = "select pid from pg_stat_activity where pid = any (%s)"


@pytest.fixture
async def make(directory: DataDirectory) -> AsyncIterator[Make]:
    """Makes pools of connections to the embedded database as the gateway's login role."""
    made = []

    def new(size: int = 1, acquire_timeout: float = 10) -> ConnectionPool:
        made.append(ConnectionPool(size, acquire_timeout, Connector(socket_uri(directory, "authenticator"))))
        return made[-1]

    yield new
    for one in made:
        await asyncio.wait_for(one.close(), 10)


async def backend(connection: GatewayConnection) -> int:
    """The connection's backend process."""
    number: int = await connection.fetchval("select pg_backend_pid()")
    return number


async def settled() -> None:
    """Runs all tasks that can proceed."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_released_connections_go_to_the_oldest_waiting_caller(make: Make) -> None:
    pool = make()
    first = await pool.acquire()
    seen = await backend(first)
    others = [asyncio.create_task(pool.acquire()) for _ in range(2)]
    await settled()
    assert not pool.available
    pool.release(first)
    await settled()
    assert [other.done() for other in others] == [True, False]
    pool.release(others[0].result())
    second = await others[1]
    assert await backend(second) == seen
    pool.release(second)
    assert pool.idle == 1
    assert pool.available


async def test_acquire_times_out(make: Make) -> None:
    pool = make(acquire_timeout=0.05)
    taken = await pool.acquire()
    with pytest.raises(PoolTimeout):
        await pool.acquire()
    assert pool.timeouts == 1
    pool.release(taken)
    assert pool.idle == 1


@pytest.mark.parametrize("lost", [False, True])
async def test_a_caller_cancelled_at_the_hand_over_passes_the_connection_on(make: Make, *, lost: bool) -> None:
    pool = make()
    taken = await pool.acquire()
    leaving, staying = asyncio.create_task(pool.acquire()), asyncio.create_task(pool.acquire())
    await settled()
    if lost:
        taken.terminate()
    pool.release(taken)
    leaving.cancel()
    pool.release(await asyncio.wait_for(staying, 10))
    assert leaving.cancelled()
    assert pool.idle == 1


async def test_a_lost_connection_is_replaced_for_a_waiting_caller(make: Make) -> None:
    pool = make()
    lost = await pool.acquire()
    seen = await backend(lost)
    other = asyncio.create_task(pool.acquire())
    await settled()
    lost.terminate()
    pool.release(lost)
    found = await asyncio.wait_for(other, 10)
    assert await backend(found) != seen
    pool.release(found)


async def test_a_connection_that_broke_while_idle_is_not_acquired(make: Make, sql: Sql) -> None:
    pool = make()
    first = await pool.acquire()
    dead = await backend(first)
    pool.release(first)
    sql("select pg_terminate_backend(%s)", dead)
    await until_async(first.is_closed)
    second = await pool.acquire()
    assert await backend(second) != dead
    pool.release(second)


async def test_a_connection_that_broke_takes_only_earlier_ones_along(make: Make) -> None:
    pool = make(4)
    early, broken = await pool.acquire(), await pool.acquire()
    late, later = await pool.acquire(), await pool.acquire()
    for one in (early, late):
        pool.release(one)
    broken.terminate()
    pool.broke(broken)
    pool.release(broken)
    assert (early.is_closed(), late.is_closed()) == (True, False)
    pool.release(later)
    assert not later.is_closed()


async def test_an_idle_connection_that_closes_is_forgotten_and_replaced_if_the_server_is_in_doubt(
    make: Make, sql: Sql
) -> None:
    pool = make()
    first = await pool.acquire()
    dead = await backend(first)
    pool.release(first)
    pool.doubt()
    assert (pool.idle, pool.open, pool.reachable) == (1, 1, True)
    sql("select pg_terminate_backend(%s)", dead)
    await until_async(lambda: pool.opening.number == 2 and pool.idle == 1)
    assert (pool.open, pool.lost, pool.reachable) == (1, 1, True)


@pytest.mark.parametrize("left", ["begin", "set client_encoding = 'LATIN1'"])
async def test_a_connection_with_leftover_session_state_is_closed(make: Make, left: str) -> None:
    pool = make()
    spoilt = await pool.acquire()
    await spoilt.execute(left)
    pool.release(spoilt)
    assert spoilt.is_closed()
    assert pool.idle == 0
    clean = await pool.acquire()
    assert await clean.fetchval("select current_setting('client_encoding')") == "UTF8"
    pool.release(clean)


async def test_a_caller_gets_its_own_connection_back_and_another_caller_a_clean_one(
    make: Make, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database.pool, "CLEAN_AFTER_SECONDS", 3600)
    pool = make(2)
    left, clean = await pool.acquire("ann"), await pool.acquire("bob")
    await left.execute(LOCK)
    pool.release(clean)
    pool.release(left, left_by="ann")
    # The newest connection is the one that is not clean.
    assert await pool.acquire("bob") is clean
    assert await pool.acquire("ann") is left
    pool.release(left)
    assert sql(LOCKS, [await backend(left)]) == [(1,)]
    assert await pool.acquire("bob") is left
    assert sql(LOCKS, [await backend(left)]) == [(0,)]
    pool.release(clean)
    pool.release(left)


async def test_a_waiting_caller_gets_a_connection_that_was_cleaned_first(make: Make, sql: Sql) -> None:
    pool = make()
    left = await pool.acquire("ann")
    waiting = asyncio.create_task(pool.acquire("bob"))
    await settled()
    await left.execute(LOCK)
    pool.release(left, left_by="ann")
    assert await waiting is left
    assert sql(LOCKS, [await backend(left)]) == [(0,)]
    pool.release(left)


async def test_an_idle_connection_is_cleaned(make: Make, sql: Sql) -> None:
    pool = make()
    left = await pool.acquire("ann")
    await left.execute(LOCK)
    pid = await backend(left)
    pool.release(left, left_by="ann")
    await until_async(lambda: sql(LOCKS, [pid]) == [(0,)])
    assert await pool.acquire("ann") is left
    pool.release(left)


async def test_a_connection_that_cannot_be_cleaned_is_replaced(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database.cleaning, "CLEANING", "select 1/0")
    pool = make()
    left = await pool.acquire("ann")
    pool.release(left, left_by="ann")
    other = await pool.acquire("bob")
    assert other is not left
    assert left.is_closed()
    assert (pool.lost, pool.opening.number) == (1, 2)
    pool.release(other)


async def test_the_caller_right_after_a_failed_cleaning_gets_a_new_connection(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database.cleaning, "CLEANING", "select 1/0")
    pool = make()
    left = await pool.acquire("ann")
    pool.release(left, left_by="ann")
    # Ends before the event loop runs the callbacks of the cleaning's task.
    while not pool.lost:  # noqa: ASYNC110 no turn of the loop may lie between
        await asyncio.sleep(0)
    other = await pool.acquire("bob")
    assert other is not left
    pool.release(other)


async def test_d2_another_spelling_of_utf8_is_no_reason_to_close(make: Make) -> None:
    pool = make()
    connection = await pool.acquire()
    # Postgres reports this name unchanged; PgBouncer reports every name unchanged.
    await connection.execute("set client_encoding = 'UNICODE'")
    assert connection.get_settings().client_encoding == "UNICODE"
    pool.release(connection)
    assert pool.idle == 1
    assert pool.lost == 0


async def test_a_cancelled_statement_releases_its_connection_usable(make: Make) -> None:
    pool = make()

    async def slow() -> None:
        async with pool.connection() as connection:
            await connection.execute("select pg_sleep(60)")

    task = asyncio.create_task(slow())
    await until_async(lambda: not pool.available)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with pool.connection() as connection:
        assert await connection.fetchval("select 1", timeout=10) == 1


async def test_idle_connections_are_closed_after_a_timeout(
    make: Make, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database.pool, "IDLE_TIMEOUT_SECONDS", 0.05)
    monkeypatch.setattr(database.pool, "IDLE_CHECK_SECONDS", 0.05)
    pool = make(2)
    taken = [await pool.acquire() for _ in range(2)]
    pids = [await backend(one) for one in taken]
    for one in taken:
        pool.release(one)
    await until_async(lambda: not pool.idle and not sql(SERVED, pids))
    again = await pool.acquire()
    pool.release(again)


async def test_closing_waits_for_connections_in_use(make: Make, sql: Sql) -> None:
    pool = make(2)
    used, idle = await pool.acquire(), await pool.acquire()
    pids = [await backend(used), await backend(idle)]
    pool.release(idle)
    closing = asyncio.create_task(pool.close())
    await settled()
    assert await used.fetchval("select 1") == 1
    assert not closing.done()
    pool.release(used)
    await asyncio.wait_for(closing, 10)
    assert used.is_closed()
    assert idle.is_closed()
    await until_async(lambda: not sql(SERVED, pids))


async def test_failed_attempts_do_not_occupy_the_pool() -> None:
    async def refuse() -> GatewayConnection:
        raise ConnectionRefusedError

    pool = ConnectionPool(1, 10, refuse)
    for _ in range(3):
        with pytest.raises(Unavailable):
            await pool.acquire()
    assert pool.available
    await pool.close()
