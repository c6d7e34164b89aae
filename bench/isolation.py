"""Isolation test: hundreds of identities call concurrently under faults, and no response may show data of another.

Run `python -m bench.isolation`.
"""

import asyncio
import contextlib
import itertools
import random
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

import typer
from rich.console import Console

from bench.checker import ground
from bench.checker.faults import Faults
from bench.checker.history import Outcome
from bench.checker.people import ROTATED_PERCENT, TOKEN_SECONDS
from bench.checker.requests import Reply
from bench.checker.site import SECRET, Site, site
from bench.checker.visits import TRANSACTION
from bench.client import NO_CONNECTION, Client
from bench.measurement import BenchError, first_message
from pgmq_gateway.auth.signing import token
from pgmq_gateway.database.driver import Connection

# Returns the role, claims and settings of the call, and leaves settings for later calls of its transaction and session.
LOOK = f"""
create or replace function pgmq_public.look() returns json language plpgsql as $f$
declare found json;
begin
    found := json_build_object(
        'role', current_user,
        'claims', current_setting('request.jwt.claims')::json,
        'marker', current_setting('request.headers')::json->>'x-marker',
        'note', nullif(current_setting('my.note', true), ''),
        'session', current_setting('my.session', true),
        'transaction', {TRANSACTION}
    );
    perform
        set_config('my.note', found->'claims'->>'sub', true),
        set_config('my.session', found->'claims'->>'sub', false);
    return found;
end $f$
"""

# Raises an error that names the caller.
COMPLAIN = """
create or replace function pgmq_public.complain() returns void language plpgsql as $f$
begin
    raise '%', current_setting('request.jwt.claims')::json->>'sub'
        using detail = current_user, hint = coalesce(current_setting('my.note', true), '');
end $f$
"""

# Leaves settings behind in the session.
SCRIBBLE = """
create or replace function pgmq_public.scribble() returns boolean language plpgsql as $f$
begin
    perform
        set_config('request.jwt.claims', '{"role": "authenticated", "sub": "user9999"}', false),
        set_config('search_path', 'pg_catalog', false),
        set_config('response.headers', '[]', false);
    return true;
end $f$
"""

FUNCTIONS = (LOOK, COMPLAIN, SCRIBBLE)

# Deletes old messages. Returns how many of those never read were stored in one transaction with others, how many in one
# statement, and by which owners if by several.
PURGE = """
with old as (
    select msg_id, xmin::text as transaction, cmin::text as command, message->>'owner' as owner, read_ct
    from pgmq.q_work where enqueued_at <= now() - $1::text::interval
), gone as (
    delete from pgmq.q_work as q using old where q.msg_id = old.msg_id returning old.*
), stored as (
    select
        owner,
        count(*) over (partition by transaction) > 1 as shared,
        count(*) over (partition by transaction, command) > 1 as fused,
        array_agg(owner) over (partition by transaction) as owners
    from gone where read_ct = 0
)
select count(*), count(*) filter (where shared), count(*) filter (where fused),
    array_agg(distinct owner) filter (where owner <> any (owners))
from stored
"""
QUEUE = "work"
MOVES = {"look": 30, "send": 24, "read": 14, "pop": 20, "delete": 6, "complain": 4, "scribble": 2}
NAME = re.compile(r"user\d{4}")
CALL_TIMEOUT_SECONDS = 10.0
DISCONNECT_PERCENT = 2
DISCONNECT_SECONDS = 0.02
SHOWN = 20
# Age at which unread messages are deleted, and interval: each read scans the messages of all other identities.
KEPT = "1 s"
PURGE_SECONDS = 0.3
# After a refused connection.
RECONNECT_SECONDS = 0.25
# Between two faults of processes, and between two of the network.
FAULT_INTERVALS_SECONDS = (4.0, 12.0)

_markers = itertools.count(1)


@dataclass(slots=True)
class Tally:
    """Counters of calls, and violations of isolation.

    answered  calls with a response, error responses included
    looks     calls that reported their transaction, which they must not share
    stored    sends whose transaction is known; `shared` of them shared it with others, `fused` of them their statement
    leaks     responses with data of another call, and owners of messages that one transaction stored with another's
    """

    calls: Counter[tuple[str, Outcome]] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)
    answered: int = 0
    looks: int = 0
    stored: int = 0
    shared: int = 0
    fused: int = 0
    leaks: list[str] = field(default_factory=list)

    @property
    def total(self) -> int:
        """All calls."""
        return sum(self.calls.values())


class Crowd:
    """Takes another identity in each turn, and makes several calls at once on different connections."""

    def __init__(self, urls: Sequence[str], together: int, tally: Tally, chance: random.Random) -> None:
        self._clients = [[Client(url) for _ in range(together)] for url in urls]
        self._tally = tally
        self._chance = chance
        self._tokens: dict[str, str] = {}

    async def work(self, identities: int, over: Callable[[], bool]) -> None:
        """Take turns until the end."""
        try:
            while not over():
                await self._turn(f"user{self._chance.randrange(identities):04}")
        finally:
            for client in itertools.chain(*self._clients):
                client.close()

    async def _turn(self, sub: str) -> None:
        clients, bearer = self._chance.choice(self._clients), self._token(sub)
        # Half of the calls are equal, so that many can share a transaction.
        most, *others = self._chance.choices(list(MOVES), list(MOVES.values()), k=1 + len(clients) // 2)
        moves = [*others, *[most] * (len(clients) - len(others))]
        # In half of the turns requests are equal, so that calls can become one statement.
        marked = {*MOVES} if self._chance.randrange(2) else {"look"}
        calls = (
            self._call(client, sub, bearer, move, f"m{next(_markers)}" if move in marked else "")
            for client, move in zip(clients, moves, strict=True)
        )
        transactions = Counter(one for one in await asyncio.gather(*calls) if one)
        self._tally.looks += transactions.total()
        self._tally.leaks += [
            f"{number} calls of {sub} had transaction {one}" for one, number in transactions.items() if number > 1
        ]

    def _token(self, sub: str) -> str:
        if sub not in self._tokens or self._chance.randrange(100) < ROTATED_PERCENT:
            self._tokens[sub] = token(
                SECRET.encode(), "authenticated", {"sub": sub, "jti": next(_markers)}, TOKEN_SECONDS
            )
        return self._tokens[sub]

    async def _call(self, client: Client, sub: str, bearer: str, move: str, marker: str) -> str | None:
        """Make a call, check its response, and return its transaction id if known."""
        disconnects = self._chance.randrange(100) < DISCONNECT_PERCENT
        patience = self._chance.uniform(0, DISCONNECT_SECONDS) if disconnects else CALL_TIMEOUT_SECONDS
        reply = await client.ask(move, self._arguments(move, sub), bearer, patience, marker)
        self._tally.calls[move, reply.outcome] += 1
        self._tally.notes[reply.note] += bool(reply.note)
        self._tally.answered += bool(reply.text)
        if wrong := strange(move, sub, marker, reply):
            self._tally.leaks.append(f"{sub} called {move} and received {wrong}")
        if reply.note == NO_CONNECTION:
            await asyncio.sleep(RECONNECT_SECONDS)
        return reply.body["transaction"] if move == "look" and reply.outcome is Outcome.OK else None

    def _arguments(self, move: str, sub: str) -> dict[str, Any]:
        match move:
            case "send":
                return {"queue_name": QUEUE, "message": {"owner": sub}}
            case "read":
                return {"queue_name": QUEUE, "sleep_seconds": 1, "n": 3}
            case "pop":
                return {"queue_name": QUEUE}
            case "delete":
                return {"queue_name": QUEUE, "message_id": self._chance.randrange(1, self._tally.total + 2)}
        return {}


def strange(move: str, sub: str, marker: str, reply: Reply) -> str | None:
    """Data of another caller, or wrong data, in a response; otherwise None."""
    if others := set(NAME.findall(reply.text)) - {sub}:
        return f"of {', '.join(sorted(others))}: {reply.text[:300]}"
    if move == "look" and reply.outcome is Outcome.OK:
        found = reply.body
        own = (found["role"], found["claims"]["sub"], found["marker"]) == ("authenticated", sub, marker)
        return None if own and found["note"] is None else reply.text
    if move == "complain" and reply.note.endswith(" P0001") and reply.body["message"] != sub:
        return reply.text
    return None


async def load(
    urls: Sequence[str], tally: Tally, seed: int, identities: int, crowds: int, together: int, over: Callable[[], bool]
) -> None:
    """Run the crowds until the end."""
    async with asyncio.TaskGroup() as group:
        for number in range(crowds):
            crowd = Crowd(urls, together, tally, random.Random(f"{seed} {number}"))  # noqa: S311 repeatable
            group.create_task(crowd.work(identities, over))


async def prepare(owner: str) -> None:
    """Create the probing functions."""
    async with ground.owning(owner) as connection:
        # Losses in a crash are acceptable here.
        await connection.execute("alter system set synchronous_commit = off")
        await connection.execute("select pg_reload_conf()")
        for function in FUNCTIONS:
            await connection.execute(function)


def main(
    minutes: Annotated[float, typer.Option(min=0.01, help="How long.")] = 5,
    seed: Annotated[int, typer.Option(help="Chooses the faults, and what callers do.")] = 1,
    identities: Annotated[int, typer.Option(min=2, max=9999, help="How many different claims.")] = 400,
    crowds: Annotated[int, typer.Option(min=1, help="Identities that call at the same time.")] = 24,
    together: Annotated[int, typer.Option(min=1, help="Calls of each at once.")] = 16,
    gateways: Annotated[str, typer.Option(help="Gateways, each by its number of workers.")] = "1,2",
) -> None:
    """Call as many identities at once while things break. Exit status 1 when one was shown anything of another."""
    try:
        workers = tuple(map(int, gateways.split(",")))
        tally, faults, findings = asyncio.run(_isolation(minutes * 60, seed, identities, crowds, together, workers))
    except* BenchError as errors:
        print(f"isolation: {first_message(errors)}", file=sys.stderr)
        sys.exit(1)
    show(tally, faults, identities)
    for line in findings:
        print(f"a gateway: {line}")
    sys.exit(1 if tally.leaks or findings else 0)


async def _isolation(
    seconds: float, seed: int, identities: int, crowds: int, together: int, workers: tuple[int, ...]
) -> tuple[Tally, Counter[str], list[str]]:
    tally = Tally()
    async with site(workers) as built:
        await prepare(built.owner)
        await built.start()
        end, faults = time.monotonic() + seconds, Faults(built, seed, FAULT_INTERVALS_SECONDS)

        def over() -> bool:
            return time.monotonic() > end

        async with asyncio.TaskGroup() as group:
            group.create_task(load(built.urls, tally, seed, identities, crowds, together, over))
            group.create_task(faults.inject(over))
            group.create_task(_purge(built, tally, over))
        await built.stop()
        findings = built.findings()
    return tally, faults.counts, findings


async def purge(owner: Connection, tally: Tally, kept: str = KEPT) -> None:
    """Delete messages older than `kept`, and count which ones were stored in shared transactions."""
    row = await owner.fetchrow(PURGE, kept)
    assert row is not None
    stored, shared, fused, mixed = row.values()
    tally.stored += stored
    tally.shared += shared
    tally.fused += fused
    tally.leaks += [f"one transaction stored messages of {owner} and of others" for owner in mixed or ()]


async def _purge(built: Site, tally: Tally, over: Callable[[], bool]) -> None:
    """Delete old messages, to keep the queue short."""
    while not over():
        with contextlib.suppress(BenchError, *ground.LOST):
            async with ground.owning(built.owner) as owner:
                while not over():
                    await purge(owner, tally)
                    await asyncio.sleep(PURGE_SECONDS)


def show(tally: Tally, faults: Counter[str], identities: int) -> None:
    """Print the result."""
    screen = Console(highlight=False, soft_wrap=True)
    by_outcome = ", ".join(
        f"{sum(n for (_, o), n in tally.calls.items() if o is outcome):,} {outcome}" for outcome in Outcome
    )
    screen.print(f"{tally.total:,} calls of {identities} identities, {tally.answered:,} of them answered: {by_outcome}")
    screen.print(
        f"{tally.shared:,} of {tally.stored:,} sends shared their transaction, {tally.fused:,} their statement"
    )
    screen.print(f"{tally.looks:,} calls of a user's function reported their transaction")
    screen.print("not ok: " + ", ".join(f"{n:,} {note}" for note, n in tally.notes.most_common() if n))
    screen.print("faults: " + ", ".join(f"{n} {name}" for name, n in sorted(faults.items())))
    screen.print(f"{len(tally.leaks)} leaks")
    for leak in tally.leaks[:SHOWN]:
        screen.print(f"LEAK: {leak}", style="bold red", markup=False)


if __name__ == "__main__":
    typer.run(main)
