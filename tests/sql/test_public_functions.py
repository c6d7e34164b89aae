"""The six functions of pgmq_public: order, cost, concurrent readers, unusual queues, and hostile names."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import errors

from pgmq_gateway.embedded.cluster import socket_uri
from pgmq_gateway.embedded.datadir import DataDirectory
from tests.databases import Sql, runner
from tests.sql.conftest import Connect, connected

READ = "select msg_id from pgmq_public.read(%s, %s, %s)"


@pytest.fixture
def plans(queue: str, directory: DataDirectory, connect: Connect) -> tuple[Sql, list[dict[str, Any]]]:
    """A connection that collects every executed plan, also of statements in functions."""
    assert queue
    connection, found = connect(socket_uri(directory)), []

    def collect(notice: psycopg.errors.Diagnostic) -> None:
        _, _, text = (notice.message_primary or "").partition("plan:\n")
        found.append(json.loads(text))

    sql = runner(connection)
    sql("load 'auto_explain'")
    for name, value in {
        "log_min_duration": "0", "log_analyze": "on", "log_buffers": "on", "log_nested_statements": "on",
        "log_format": "json", "log_level": "notice",
    }.items():  # fmt: skip
        sql(f"set auto_explain.{name} = '{value}'")
    connection.add_notice_handler(collect)
    return sql, found


def scans(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The nodes of a plan that read a table."""
    if "Relation Name" in plan and "Scan" in plan["Node Type"]:
        yield plan
    for child in plan.get("Plans", []):
        yield from scans(child)


def touched(plans: list[dict[str, Any]], queue: str) -> tuple[int, int]:
    """Rows and pages of the queue's table that the statement of the claim read."""
    (claim,) = [plan for plan in plans if f'"{queue}"' not in plan["Query Text"] and "claimed" in plan["Query Text"]]
    rows = sum(
        scan["Actual Loops"] * (scan["Actual Rows"] + scan.get("Rows Removed by Filter", 0))
        for scan in scans(claim["Plan"])
    )
    return rows, claim["Plan"]["Shared Hit Blocks"] + claim["Plan"]["Shared Read Blocks"]


async def drain(uri: str, statement: str, queue: str) -> list[int]:
    """Call until the result is empty. Returns all ids."""
    found: list[int] = []
    async with connected(uri) as connection:
        while rows := await connection.fetch(statement, queue):
            found += [row["msg_id"] for row in rows]
    return found


def fill(sql: Sql, queue: str, count: int) -> None:
    sql(f"insert into pgmq.\"q_{queue}\" (vt, message) select now(), '{{}}' from generate_series(1, {count})")


def test_the_longest_visible_are_claimed_and_answered_by_id(sql: Sql, queue: str) -> None:
    fill(sql, queue, 6)
    sql(f"update pgmq.q_{queue} set vt = vt - interval '1 minute' where msg_id > 3")
    assert sql(READ, queue, 60, 3) == [(4,), (5,), (6,)]
    assert sql(READ, queue, 60, 9) == [(1,), (2,), (3,)]


def test_pop_takes_the_longest_visible(sql: Sql, queue: str) -> None:
    fill(sql, queue, 3)
    sql(f"update pgmq.q_{queue} set vt = vt - interval '1 hour' where msg_id = 2")
    assert sql("select msg_id from pgmq_public.pop(%s)", queue) == [(2,)]


def test_read_marks_what_it_leases(sql: Sql, queue: str) -> None:
    fill(sql, queue, 1)
    ((row,),) = sql("select to_jsonb(r) from pgmq_public.read(%s, 60, 1) as r", queue)
    ((stored,),) = sql(f"select to_jsonb(q) from pgmq.q_{queue} as q")
    assert row == stored
    assert list(sql("select * from pgmq_public.pop(%s)", queue)) == []
    assert sql(f"select read_ct, vt = last_read_at + interval '60 s' from pgmq.q_{queue}") == [(1, True)]


def test_read_and_pgmqs_own_agree_on_columns_and_effects(sql: Sql, queue: str) -> None:
    fill(sql, queue, 2)
    ours = sql("select r.* from pgmq_public.read(%s, 60, 1) as r", queue)[0]
    theirs = sql("select r.* from pgmq.read(%s, 60, 1) as r", queue)[0]
    assert [type(value) for value in ours] == [type(value) for value in theirs]
    assert ours[:2] == (1, 1)
    assert theirs[:2] == (2, 1)


def test_a_message_that_becomes_visible_again_is_read_again(sql: Sql, queue: str) -> None:
    fill(sql, queue, 1)
    assert sql("select read_ct from pgmq_public.read(%s, 600, 1)", queue) == [(1,)]
    assert sql(READ, queue, 600, 1) == []
    sql("select pgmq.set_vt(%s, 1, 0)", queue)
    assert sql("select read_ct from pgmq_public.read(%s, 600, 1)", queue) == [(2,)]


@pytest.mark.parametrize(
    ("n", "error"), [(None, errors.NullValueNotAllowed), (-1, errors.InvalidRowCountInLimitClause)]
)
def test_odd_quantities_are_refused(sql: Sql, queue: str, n: int | None, error: type[Exception]) -> None:
    fill(sql, queue, 2)
    with pytest.raises(error):
        sql(READ, queue, 60, n)
    assert sql(f"select sum(read_ct) from pgmq.q_{queue}") == [(0,)]


def test_reading_none_reads_none(sql: Sql, queue: str) -> None:
    fill(sql, queue, 2)
    assert sql(READ, queue, 60, 0) == []


@pytest.mark.parametrize("call", ["send(%s, '1')", "send_batch(%s, array['1']::jsonb[])", "read(%s, 1, 1)", "pop(%s)",
                                  "archive(%s, 1)", "delete(%s, 1)"])  # fmt: skip
def test_a_missing_queue_is_an_undefined_table(sql: Sql, call: str) -> None:
    with pytest.raises(errors.UndefinedTable, match=r"pgmq\.q_no-such-queue"):
        sql(f"select * from pgmq_public.{call}", "no-such-queue")


@pytest.mark.parametrize("analyzed", [False, True])
@pytest.mark.parametrize("visible", [0, 3, 20])
@pytest.mark.parametrize(("call", "most"), [("read(%s, 60, 10)", 10), ("pop(%s)", 1)])
def test_f32_messages_in_flight_are_not_walked(
    plans: tuple[Sql, list[dict[str, Any]]], queue: str, call: str, most: int, visible: int, analyzed: bool
) -> None:
    sql, found = plans
    fill(sql, queue, 20_000)
    sql(f"update pgmq.q_{queue} set vt = now() + interval '1 hour', read_ct = 1")
    fill(sql, queue, visible)
    sql(f"vacuum {'(analyze)' if analyzed else ''} pgmq.q_{queue}")
    found.clear()
    ids = [msg_id for (msg_id,) in sql(f"select msg_id from pgmq_public.{call}", queue)]
    assert ids == list(range(20_001, 20_001 + min(visible, most)))
    rows, pages = touched(found, queue)
    assert rows <= 100, found
    assert pages <= 300, found


@pytest.mark.parametrize("call", ["read(%s, 60, 10)", "pop(%s)"])
def test_a_large_batch_of_one_moment_is_not_sorted(
    plans: tuple[Sql, list[dict[str, Any]]], queue: str, call: str
) -> None:
    sql, found = plans
    fill(sql, queue, 20_000)
    sql(f"analyze pgmq.q_{queue}")
    found.clear()
    ids = [msg_id for (msg_id,) in sql(f"select msg_id from pgmq_public.{call}", queue)]
    assert ids == list(range(1, 1 + len(ids)))
    rows, pages = touched(found, queue)
    assert rows <= 100, found
    assert pages <= 300, found


async def test_eight_readers_never_get_the_same_message(directory: DataDirectory, sql: Sql, queue: str) -> None:
    fill(sql, queue, 2000)
    read = "select msg_id from pgmq_public.read($1, 600, 10)"
    found = await asyncio.gather(*(drain(socket_uri(directory), read, queue) for _ in range(8)))
    assert sorted(msg_id for ids in found for msg_id in ids) == list(range(1, 2001))
    assert sql(f"select min(read_ct), max(read_ct) from pgmq.q_{queue}") == [(1, 1)]


async def test_eight_consumers_never_pop_the_same_message(directory: DataDirectory, sql: Sql, queue: str) -> None:
    fill(sql, queue, 500)
    pop = "select msg_id from pgmq_public.pop($1)"
    found = await asyncio.gather(*(drain(socket_uri(directory), pop, queue) for _ in range(8)))
    assert sorted(msg_id for ids in found for msg_id in ids) == list(range(1, 501))
    assert sql(f"select count(*) from pgmq.q_{queue}") == [(0,)]


async def test_a_message_that_another_transaction_holds_is_passed_over(
    directory: DataDirectory, sql: Sql, queue: str
) -> None:
    fill(sql, queue, 2)
    async with connected(socket_uri(directory)) as other, other.transaction():
        assert await other.fetchval("select msg_id from pgmq_public.read($1, 600, 1)", queue) == 1
        sql("set lock_timeout = '1ms'")
        assert sql(READ, queue, 600, 5) == [(2,)]


@pytest.mark.parametrize(
    ("name", "type_"),
    [("with-dash", "basic"), ("0123456789", "unlogged"), ("a" * 47, "basic"), ("-", "unlogged"), ("select", "basic")],
)
def test_queues_of_every_allowed_name_and_type_work(db: Sql, name: str, type_: str) -> None:
    assert db("select pgmq_admin.create_queue(%s, %s)", name, type_) == [(True,)]
    assert db("select * from pgmq_public.send(%s, '{\"a\": 1}')", name) == [(1,)]
    assert db("select * from pgmq_public.send_batch(%s, array['2', '3']::jsonb[])", name) == [(2,), (3,)]
    assert db("select msg_id, message from pgmq_public.read(%s, 600, 1)", name) == [(1, {"a": 1})]
    assert db("select msg_id, message from pgmq_public.pop(%s)", name) == [(2, 2)]
    assert db("select pgmq_public.archive(%s, 1), pgmq_public.archive(%s, 1)", name, name) == [(True, False)]
    assert db("select pgmq_public.delete(%s, 3), pgmq_public.delete(%s, 3)", name, name) == [(True, False)]
    assert db(f'select (select count(*) from pgmq."q_{name}"), count(*) from pgmq."a_{name}"') == [(0, 1)]


def test_purging_empties_the_queue_and_keeps_the_archive(sql: Sql, queue: str) -> None:
    fill(sql, queue, 3)
    sql("select pgmq_public.archive(%s, 1), pgmq_public.read(%s, 60, 1)", queue, queue)
    assert sql("select pgmq_admin.purge_queue(%s)", queue) == [(2,)]
    assert sql(READ, queue, 0, 10) == []
    assert sql(f"select count(*) from pgmq.a_{queue}") == [(1,)]
    assert sql("select * from pgmq_public.send(%s, '1')", queue) == [(4,)]


def test_a_dropped_queue_is_gone(db: Sql) -> None:
    db("select pgmq_admin.create_queue('short-lived')")
    db("select pgmq_admin.drop_queue('short-lived')")
    assert db("select relname from pg_class where relname ~ 'short-lived'") == []
    with pytest.raises(errors.UndefinedTable):
        db("select * from pgmq_public.send('short-lived', '1')")


def test_tables_and_functions_laid_as_traps_are_not_picked_up(db: Sql) -> None:
    db("select pgmq_admin.create_queue('q', rls => false)")
    for schema in ("pg_temp", "public"):
        db(f"create table {schema}.q_q (like pgmq.q_q including all)")
        db(f"create table {schema}.a_q (like pgmq.a_q including all)")
        db(f"create table {schema}.claimed (msg_id bigint)")
        db(f"create table {schema}.pg_attribute (attname name)")
        for trap in ("clock_timestamp()", "format(text, text)", "make_interval(secs double precision)", "lower(text)"):
            db(f"create function {schema}.{trap} returns text language plpgsql as"
               " $$ begin raise 'fell into the trap'; end $$")  # fmt: skip
    db("set search_path = pg_temp, public, pg_catalog")
    assert db("select * from pgmq_public.send('q', '1')") == [(1,)]
    assert db("select * from pgmq_public.send_batch('q', array['2', '3', '4']::jsonb[])") == [(2,), (3,), (4,)]
    assert db(READ, "q", 0, 10) == [(1,), (2,), (3,), (4,)]
    assert db("select msg_id from pgmq_public.pop('q')") == [(1,)]
    assert db("select pgmq_public.archive('q', 2), pgmq_public.delete('q', 3)") == [(True, True)]
    assert db("select (select count(*) from pgmq.q_q), (select count(*) from pgmq.a_q)") == [(1, 1)]
    assert db("select (select count(*) from public.q_q), (select count(*) from pg_temp.q_q)") == [(0, 0)]


def test_operators_laid_as_traps_are_not_picked_up(db: Sql) -> None:
    db("select pgmq_admin.create_queue('q', rls => false)")
    db("""create function public.trap(timestamptz, timestamptz) returns boolean language plpgsql as
        $$ begin raise 'fell into the trap'; end $$""")
    db("create operator public.<= (leftarg = timestamptz, rightarg = timestamptz, function = public.trap)")
    db("set search_path = public, pg_catalog")
    with pytest.raises(errors.RaiseException):
        db("select now() <= now()")
    db("select * from pgmq_public.send('q', '1')")
    assert db(READ, "q", 0, 1) == [(1,)]
    assert db("select msg_id from pgmq_public.pop('q')") == [(1,)]
