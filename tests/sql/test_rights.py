"""rights() compared with real calls, after random grants, revocations, policies and switches of row-level security."""

import os
import random
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest

from pgmq_gateway.embedded.cluster import socket_uri
from pgmq_gateway.embedded.datadir import DataDirectory
from tests.databases import Sql, runner
from tests.sql.conftest import OPERATIONS

ROUNDS = int(os.environ.get("ROUNDS", "40"))
SEED = os.environ.get("SEED", "rights")
CALLS = {
    "send": "pgmq_public.send('q', '{}') as r",
    "read": "pgmq_public.read('q', 60, 1) as r",
    "pop": "pgmq_public.pop('q') as r",
    "archive": "pgmq_public.archive('q', 1000000) as r where r",
    "delete": "pgmq_public.delete('q', 1000000) as r where r",
}
API_CALLS = {operation: call.replace("pgmq_public", "pgmq_api") for operation, call in CALLS.items()}
FUNCTIONS = (
    "pgmq_public.send(text,jsonb,integer)",
    "pgmq.send(text,jsonb,integer)",
    "pgmq.send(text,jsonb,jsonb,timestamptz)",
    "pgmq_public.read(text,integer,integer)",
    "pgmq.read(text,integer,integer,jsonb)",
    "pgmq_public.pop(text)",
    "pgmq_public.archive(text,bigint)",
    "pgmq.archive(text,bigint)",
    "pgmq_public.delete(text,bigint)",
    "pgmq.delete(text,bigint)",
    "pgmq.format_table_name(text,text)",
)
COLUMNS = ("msg_id", "read_ct", "vt", "message", "headers", "enqueued_at", "last_read_at")
COMMANDS = ("select", "insert", "update", "delete", "all")
# True for every row, which the text of the policy does not show.
OPAQUE = "msg_id > 0"


@dataclass(frozen=True)
class World:
    """A queue `q` with one message, and three roles: a member of a group, the group, and another role."""

    sql: Sql
    member: str
    group: str
    stranger: str

    @property
    def callers(self) -> list[str]:
        return [self.member, self.stranger, "anon", "service_role"]

    @property
    def grantees(self) -> list[str]:
        return [self.member, self.group, self.stranger, "public", "anon"]


@pytest.fixture
def world(directory: DataDirectory, database: str) -> Iterator[World]:
    """Without prepared statements: a cached plan does not check USAGE again."""
    names = [f"{kind}_{uuid.uuid4().hex[:8]}" for kind in ("member", "group", "stranger")]
    with psycopg.connect(
        socket_uri(directory, database=database), autocommit=True, prepare_threshold=None
    ) as connection:
        sql = runner(connection)
        for name in names:
            sql(f"create role {name}")
        sql(f"grant {names[0]}, {names[2]} to authenticator")
        sql("select pgmq_admin.create_queue('q')")
        sql("insert into pgmq.q_q (msg_id, vt) overriding system value values (1000000, now())")
        yield World(sql, *names)
        for name in names:
            sql(f"drop owned by {name}")
            sql(f"drop role {name}")


def beginnings(world: World, dice: random.Random) -> Iterator[str]:
    """Initial privileges and policies, mostly sufficient ones."""
    yield f"grant {world.group} to {world.member}"
    for who in dice.sample(world.grantees, dice.randint(1, 4)):
        if who != "public":
            yield f"grant usage on schema pgmq, pgmq_public to {who}"
        yield f"grant select, insert, update, delete on pgmq.q_q, pgmq.a_q to {who}"
    if dice.random() < 0.7:
        for table in "qa":
            condition = dice.choice(["true", OPAQUE])
            yield f"create policy begin on pgmq.{table}_q to {dice.choice(world.grantees)} using ({condition})"
    yield f"alter table pgmq.q_q {dice.choice(['enable', 'enable', 'disable'])} row level security"
    if dice.random() < 0.3:
        yield "alter table pgmq.a_q enable row level security"


def changes(world: World, dice: random.Random, number: int) -> str:
    """A random change."""
    who, table = dice.choice(world.grantees), dice.choice("qqa")
    privilege = dice.choice(["select", "insert", "update", "delete"])
    column = f"({dice.choice(COLUMNS)})" if dice.random() < 0.5 and privilege != "delete" else ""
    kinds: list[Callable[[], str]] = [
        lambda: f"revoke {privilege} on pgmq.{table}_q from {who}",
        lambda: (
            f"revoke {privilege} on pgmq.{table}_q from {who}; grant {privilege} {column} on pgmq.{table}_q to {who}"
        ),
        lambda: (
            f"revoke usage on schema {dice.choice(['pgmq', 'pgmq_public', 'pgmq_api', 'pgmq_public, pgmq_api'])}"
            f" from {who}"
        ),
        lambda: f"revoke execute on function {dice.choice(FUNCTIONS)} from public, {who}",
        lambda: f"alter table pgmq.{table}_q {dice.choice(['enable', 'force', 'no force'])} row level security",
        lambda: policy(world, dice, number),
        lambda: policy(world, dice, number),
        lambda: f"drop policy begin on pgmq.{table}_q",
        lambda: f"alter role {dice.choice([world.member, world.stranger])} bypassrls",
        lambda: f"alter table pgmq.{table}_q owner to {dice.choice([world.group, world.stranger])}",
        lambda: f"revoke {world.group} from {world.member}",
        lambda: f"grant {world.group} to {world.member} with inherit false",
        lambda: definer(world, dice),
        lambda: "select pgmq.enable_notify_insert('q', 0)",
        lambda: f"grant select, update (last_notified_at) on pgmq.notify_insert_throttle to {who}",
        lambda: "alter table pgmq.q_q disable trigger trigger_notify_queue_insert_listeners",
    ]
    return dice.choice(kinds)()


def policy(world: World, dice: random.Random, number: int) -> str:
    command = dice.choice(COMMANDS)
    kind = dice.choice(["permissive", "permissive", "permissive", "restrictive"])
    conditions = {"using": "", "with check": ""}
    for clause in conditions:
        if dice.random() < 0.8:
            conditions[clause] = f"{clause} ({dice.choice(['true', 'true', 'false', OPAQUE])})"
    if command == "insert":
        conditions["using"] = ""
    elif command in ("select", "delete"):
        conditions["with check"] = ""
    table, who = dice.choice("qqa"), dice.choice(world.grantees)
    clauses = f"{conditions['using']} {conditions['with check']}"
    return f"create policy p{number} on pgmq.{table}_q as {kind} for {command} to {who} {clauses}"


def definer(world: World, dice: random.Random) -> str:
    function, owner = dice.choice(FUNCTIONS), dice.choice([world.group, world.stranger, "service_role"])
    # A role needs CREATE on the schema to become the owner, not to remain it.
    return f"alter function {function} owner to {owner}; alter function {function} security definer"


def works(sql: Sql, role: str, operation: str) -> bool:
    """True if an operation of a role has an effect on the message, by pgmq_public or by pgmq_api."""
    return any(has_effect(sql, role, calls[operation]) for calls in (CALLS, API_CALLS))


def has_effect(sql: Sql, role: str, call: str) -> bool:
    # Earlier plans, made for other roles and policies, must not be reused.
    sql("discard plans")
    sql("savepoint attempt")
    try:
        sql(f"set local role {role}")
        return bool(sql(f"select * from {call}"))
    except psycopg.errors.InsufficientPrivilege:
        return False
    finally:
        sql("rollback to savepoint attempt")


def verdicts(sql: Sql) -> dict[tuple[str, str], dict[str, Any]]:
    rows = sql("select role::text, operation, verdict, reasons, policies from pgmq_admin.rights('q')")
    return {
        (role, operation): {"verdict": verdict, "reasons": reasons, "policies": policies}
        for role, operation, verdict, reasons, policies in rows
    }


def test_rights_agree_with_reality(world: World) -> None:
    seen: set[str] = set()
    for number in range(ROUNDS):
        dice = random.Random(f"{SEED} {number}")  # noqa: S311
        done: list[str] = []
        world.sql("begin")
        wanted = [*beginnings(world, dice), *(changes(world, dice, n) for n in range(dice.randint(0, 6)))]
        for statement in wanted:
            world.sql("savepoint change")
            try:
                for part in statement.split("; "):
                    world.sql(part)
                done.append(statement)
            except psycopg.Error:
                world.sql("rollback to savepoint change")
        said = verdicts(world.sql)
        for role in world.callers:
            for operation in OPERATIONS:
                truth = said.get((role, operation), {"verdict": "none", "reasons": ["not shown"]})
                seen.add(truth["verdict"])
                assert works(world.sql, role, operation) == (truth["verdict"] != "none"), (
                    f"{number}: {role} {operation}: {truth} after {done}"
                )
                assert truth["reasons"]
        world.sql("rollback")
    assert seen == {"all", "policy", "none"}
