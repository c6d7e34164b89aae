"""The connections that calls run on: how many there are, who gets the next, and what never comes back."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from pgmq_gateway.database import pool as module
from pgmq_gateway.database.connector import connect
from pgmq_gateway.database.driver import Connection
from pgmq_gateway.database.pool import Connections
from pgmq_gateway.embedded.cluster import socket_uri
from pgmq_gateway.embedded.datadir import DataDirectory
from pgmq_gateway.errors import PoolTimeout, Unavailable
from tests.conftest import Sql
from tests.integration.crowd import reached

Make = Callable[..., Connections]

SERVED = "select pid from pg_stat_activity where pid = any (%s)"


@pytest.fixture
async def make(directory: DataDirectory) -> AsyncIterator[Make]:
    """Makes connections to the embedded database as the gateway's login role, and closes them afterwards."""
    made = []

    def new(size: int = 1, patience: float = 10) -> Connections:
        made.append(Connections(size, patience, lambda: connect(socket_uri(directory, "authenticator"))))
        return made[-1]

    yield new
    for one in made:
        await asyncio.wait_for(one.close(), 10)


async def pid(connection: Connection) -> int:
    """Whose process on the server it is."""
    number: int = await connection.fetchval("select pg_backend_pid()")
    return number


def waiting(work: Awaitable[Connection]) -> asyncio.Task[Connection]:
    """Somebody who is waiting for a connection."""
    return asyncio.ensure_future(work)


async def turns() -> None:
    """Let everybody who can go on do so."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_who_waits_gets_the_connection_that_is_given_back_in_turn(make: Make) -> None:
    connections = make()
    first = await connections.take()
    seen = await pid(first)
    others = [waiting(connections.take()) for _ in range(2)]
    await turns()
    assert not connections.spare
    connections.give_back(first)
    await turns()
    assert [other.done() for other in others] == [True, False]
    connections.give_back(others[0].result())
    second = await others[1]
    assert await pid(second) == seen
    connections.give_back(second)
    assert connections.idle == 1
    assert connections.spare


async def test_who_waits_too_long_is_told_so(make: Make) -> None:
    connections = make(patience=0.05)
    taken = await connections.take()
    with pytest.raises(PoolTimeout):
        await connections.take()
    assert connections.timeouts == 1
    connections.give_back(taken)
    assert connections.idle == 1


@pytest.mark.parametrize("lost", [False, True])
async def test_who_stops_waiting_as_a_connection_is_handed_over_passes_it_on(make: Make, *, lost: bool) -> None:
    connections = make()
    taken = await connections.take()
    leaving, staying = waiting(connections.take()), waiting(connections.take())
    await turns()
    if lost:
        taken.terminate()
    connections.give_back(taken)
    leaving.cancel()
    connections.give_back(await asyncio.wait_for(staying, 10))
    assert leaving.cancelled()
    assert connections.idle == 1


async def test_for_one_that_is_lost_who_waits_opens_another(make: Make) -> None:
    connections = make()
    lost = await connections.take()
    seen = await pid(lost)
    other = waiting(connections.take())
    await turns()
    lost.terminate()
    connections.give_back(lost)
    found = await asyncio.wait_for(other, 10)
    assert await pid(found) != seen
    connections.give_back(found)


async def test_one_that_died_while_idle_is_not_handed_out(make: Make, sql: Sql) -> None:
    connections = make()
    first = await connections.take()
    dead = await pid(first)
    connections.give_back(first)
    sql("select pg_terminate_backend(%s)", dead)
    await reached(first.is_closed)
    second = await connections.take()
    assert await pid(second) != dead
    connections.give_back(second)


@pytest.mark.parametrize("left", ["begin", "set client_encoding = 'LATIN1'"])
async def test_one_on_which_something_is_left_is_closed(make: Make, left: str) -> None:
    connections = make()
    spoilt = await connections.take()
    await spoilt.execute(left)
    connections.give_back(spoilt)
    assert spoilt.is_closed()
    assert connections.idle == 0
    clean = await connections.take()
    assert await clean.fetchval("select current_setting('client_encoding')") == "UTF8"
    connections.give_back(clean)


async def test_d2_another_spelling_of_utf8_is_no_reason_to_close(make: Make) -> None:
    connections = make()
    connection = await connections.take()
    # Postgres reports this name unchanged; PgBouncer reports every name unchanged.
    await connection.execute("set client_encoding = 'UNICODE'")
    assert connection.get_settings().client_encoding == "UNICODE"
    connections.give_back(connection)
    assert connections.idle == 1
    assert connections.lost == 0


async def test_a_call_that_is_cancelled_gives_its_connection_back_and_the_next_is_not_hurt(make: Make) -> None:
    connections = make()

    async def slow() -> None:
        async with connections.taken() as connection:
            await connection.execute("select pg_sleep(60)")

    task = asyncio.create_task(slow())
    await reached(lambda: not connections.spare)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with connections.taken() as connection:
        assert await connection.fetchval("select 1", timeout=10) == 1


async def test_those_that_nobody_needs_are_closed_after_a_while(
    make: Make, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "IDLE_SECONDS", 0.05)
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.05)
    connections = make(2)
    taken = [await connections.take() for _ in range(2)]
    pids = [await pid(one) for one in taken]
    for one in taken:
        connections.give_back(one)
    await reached(lambda: not connections.idle and not sql(SERVED, pids))
    again = await connections.take()
    connections.give_back(again)


async def test_closing_waits_for_those_in_use(make: Make, sql: Sql) -> None:
    connections = make(2)
    used, idle = await connections.take(), await connections.take()
    pids = [await pid(used), await pid(idle)]
    connections.give_back(idle)
    closing = asyncio.create_task(connections.close())
    await turns()
    assert await used.fetchval("select 1") == 1
    assert not closing.done()
    connections.give_back(used)
    await asyncio.wait_for(closing, 10)
    assert used.is_closed()
    assert idle.is_closed()
    await reached(lambda: not sql(SERVED, pids))


async def test_a_database_that_is_not_there_is_unavailable_and_leaves_room_to_try_again() -> None:
    async def refuse() -> Connection:
        raise ConnectionRefusedError

    connections = Connections(1, 10, refuse)
    for _ in range(3):
        with pytest.raises(Unavailable):
            await connections.take()
    assert connections.spare
    await connections.close()
