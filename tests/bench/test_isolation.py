"""Many identities whose calls share transactions: none finds anything of another's, and it would be noticed."""

import asyncio

import pytest

from app.cluster import socket_uri
from app.datadir import DataDirectory
from bench import isolation
from bench.checker import ground, site
from bench.isolation import FUNCTIONS, LOOK, Tally, load
from tests.integration.conftest import Own, own

GATEWAY = {"PGRST_DB_POOL": "2", "PGRST_JWT_SECRET": site.SECRET}

__all__ = ["own"]

CALLS = 400


@pytest.fixture(scope="module")
def url(own: Own, directory: DataDirectory) -> str:
    """A gateway with the queues and functions that are called."""
    ((name,),) = own.sql("select current_database()")

    async def lay() -> None:
        async with ground.owning(socket_uri(directory, database=name)) as owner:
            await ground.lay(owner)

    asyncio.run(lay())
    own.define(*FUNCTIONS)
    return own.server.url


def play(url: str) -> Tally:
    tally = Tally()
    asyncio.run(load([url], tally, 1, 20, 4, 8, lambda: tally.total >= CALLS or bool(tally.leaks)))
    return tally


def test_f40_calls_that_share_transactions_find_nothing_of_others(own: Own, url: str) -> None:
    tally = play(url)
    assert tally.leaks == []
    assert tally.shared > 0
    assert {move for move, _ in tally.calls} == set(isolation.MOVES)
    ((mine, all_),) = own.sql(
        "select count(*) filter (where message->>'owner' ~ '^user\\d{4}$'), count(*) from pgmq.q_work"
    )
    assert mine == all_ > 0


@pytest.mark.parametrize(
    ("plant", "mend"),
    [
        (
            "alter function pgmq_public.read(text, integer, integer) security definer",
            "alter function pgmq_public.read(text, integer, integer) security invoker",
        ),
        (LOOK.replace("'sub', true)", "'sub', false)"), LOOK),
    ],
    ids=["policies do not hold", "a setting outlives its transaction"],
)
def test_a_leak_would_be_noticed(own: Own, url: str, plant: str, mend: str) -> None:
    assert plant != mend
    own.sql(plant)
    assert play(url).leaks
    own.sql(mend)
