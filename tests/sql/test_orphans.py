"""Half-restored queues: tables that pgmq.meta does not list, and queues without one of their tables (D10)."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from psycopg import errors

from pgmq_gateway.embedded.cluster import socket_uri
from pgmq_gateway.embedded.datadir import DataDirectory
from tests import server
from tests.databases import Sql, runner
from tests.sql.cluster import Cluster
from tests.sql.conftest import Connect, as_role
from tests.sql.repairing import found, installed

LEFT = "select relname::text from pg_class where relnamespace = 'pgmq'::regnamespace and relname ~ '_mail' order by 1"
LISTED = "select queue_name::text, queue_type, rls from pgmq_admin.list_queues()"
BOTH = "pgmq_admin.create_queue('mail', 'basic', adopt => true) makes a queue of what is there,"


@pytest.fixture
def uri(directory: DataDirectory, database: str) -> str:
    return socket_uri(directory, database=database)


@pytest.fixture
def mail(db: Sql) -> Sql:
    """An installed database with a queue that has two messages and an archived one."""
    db("select pgmq_admin.create_queue('mail')")
    db("select pgmq.send_batch('mail', array['1', '2', '3']::jsonb[])")
    db("select pgmq.archive('mail', 2::bigint)")
    return db


def damage(sql: Sql, *lost: str) -> None:
    """Remove parts of the queue, as a restore that left them out."""
    for part in lost:
        sql("delete from pgmq.meta" if part == "meta" else f"drop table pgmq.{part}_mail")


@pytest.mark.parametrize("lost", [("q",), ("a",), ("q", "a"), ("meta",), ("meta", "q"), ("meta", "a")], ids="".join)
def test_d10_dropping_removes_what_is_left(mail: Sql, lost: tuple[str, ...]) -> None:
    damage(mail, *lost)
    as_role(mail, "service_role", "select pgmq_admin.drop_queue('mail')")
    assert mail(f"{LEFT}") == []
    assert mail("select * from pgmq.meta") == []
    with pytest.raises(errors.UndefinedTable, match='queue "mail" does not exist'):
        mail("select pgmq_admin.drop_queue('mail')")
    assert mail("select pgmq_admin.create_queue('mail')") == [(True,)]


@pytest.mark.parametrize(
    ("lost", "rule", "message"),
    [
        (("meta",), "orphaned_queue",
         'pgmq.meta does not list queue "mail", whose tables pgmq.q_mail and pgmq.a_mail are served.'),
        (("meta", "a"), "orphaned_queue", 'pgmq.meta does not list queue "mail", whose table pgmq.q_mail is served.'),
        (("meta", "q"), "orphaned_queue", 'pgmq.a_mail is left of a queue "mail" that pgmq.meta does not list.'),
        (("q",), "missing_table", "Calls fail, because tables are missing: pgmq.q_mail."),
        (("a",), "missing_table", "Calls fail, because tables are missing: pgmq.a_mail."),
        (("q", "a"), "missing_table", "Calls fail, because tables are missing: pgmq.q_mail and pgmq.a_mail."),
    ],
    ids=str,
)  # fmt: skip
def test_d10_the_lint_names_the_tables(mail: Sql, lost: tuple[str, ...], rule: str, message: str) -> None:
    assert mail("select * from pgmq_admin.lint()") == []
    damage(mail, *lost)
    assert mail("select rule, level, message from pgmq_admin.lint()") == [(rule, "warning", message)]


def test_d10_an_orphan_that_is_open_is_an_error(mail: Sql) -> None:
    mail("select pgmq_admin.grant_queue('mail', 'anon', '{read}'), pgmq_admin.set_rls('mail', false)")
    damage(mail, "meta")
    ((level, hint),) = mail("select level, hint from pgmq_admin.lint() where rule = 'orphaned_queue'")
    assert (level, hint[: len(BOTH)]) == ("error", BOTH)


def test_d10_a_name_that_pgmq_does_not_allow_can_be_dropped(mail: Sql) -> None:
    mail("""create table pgmq."q_it's an ""odd"" one" (like pgmq.q_mail)""")
    call = """pgmq_admin.drop_queue('it''s an "odd" one')"""
    assert mail("select strpos(hint, %s) > 0 from pgmq_admin.lint()", f". {call} drops it.") == [(True,)]
    with pytest.raises(errors.UndefinedTable, match='queue "<NULL>" does not exist'):
        mail("select pgmq_admin.drop_queue(null)")
    with pytest.raises(errors.InvalidName):
        mail("select pgmq_admin.create_queue(%s, adopt => true)", """it's an "odd" one""")
    as_role(mail, "service_role", f"select {call}")
    assert mail("select * from pgmq_gateway.orphans()") == []
    assert mail(LISTED) == [("mail", "basic", True)]


def test_d10_a_table_without_the_columns_of_a_queue_is_no_part_of_one(mail: Sql) -> None:
    mail("create table pgmq.a_odd (like pgmq.a_mail)")
    mail("create table pgmq.q_odd (id int)")
    with pytest.raises(errors.DuplicateTable, match="name of the queue does not have the columns of one"):
        mail("select pgmq_admin.create_queue('odd', adopt => true)")
    mail("select pgmq_admin.drop_queue('odd')")
    assert mail("select to_regclass('pgmq.a_odd')::text, to_regclass('pgmq.q_odd')::text") == [(None, "pgmq.q_odd")]


def test_d10_of_several_callers_one_adopts(mail: Sql, uri: str) -> None:
    damage(mail, "meta")

    def adopt() -> bool:
        with psycopg.connect(uri, autocommit=True, options="-c role=service_role") as connection:
            while True:
                try:
                    ((adopted,),) = runner(connection)("select pgmq_admin.create_queue('mail', adopt => true)")
                except errors.LockNotAvailable:
                    continue
                return bool(adopted)

    with ThreadPoolExecutor(4) as pool:
        calls = [pool.submit(adopt) for _ in range(4)]
    assert sorted(call.result() for call in calls) == [False, False, False, True]
    assert mail(LISTED) == [("mail", "basic", True)]


def test_d10_detached_partitions_and_old_archives_are_no_orphans(mail: Sql) -> None:
    mail("create table pgmq.a_mail_old (like pgmq.a_mail)")
    mail("create table pgmq.q_parts (like pgmq.q_mail including defaults) partition by range (msg_id)")
    mail("create table pgmq.a_parts (like pgmq.a_mail including defaults) partition by range (msg_id)")
    mail("insert into pgmq.meta values ('parts', true, false)")
    mail("create table pgmq.a_parts_p20260101 (like pgmq.a_mail)")
    mail("create table pgmq.q_strange (id int)")
    assert mail("select * from pgmq_gateway.orphans()") == []


@pytest.mark.parametrize("lost", [("meta",), ("meta", "q"), ("meta", "a")], ids="".join)
def test_d10_a_queue_is_adopted_on_request(mail: Sql, lost: tuple[str, ...]) -> None:
    mail("alter table pgmq.q_mail disable row level security")
    damage(mail, *lost)
    with pytest.raises(errors.DuplicateTable, match='tables of a queue "mail" exist') as refused:
        as_role(mail, "service_role", "select pgmq_admin.create_queue('mail')")
    assert "with adopt (pgmq-gateway queue create --adopt)" in (refused.value.diag.message_hint or "")
    assert as_role(mail, "service_role", "select pgmq_admin.create_queue('mail', adopt => true)") == [(True,)]
    assert mail(LISTED) == [("mail", "basic", True)]
    assert mail("select * from pgmq_admin.lint()") == []
    assert mail("select msg_id from pgmq.q_mail order by 1") == ([] if "q" in lost else [(1,), (3,)])
    assert mail("select msg_id from pgmq.a_mail") == ([] if "a" in lost else [(2,)])
    # The new id is none that the archive has.
    ((sent,),) = as_role(mail, "service_role", "select * from pgmq_public.send('mail', '4')")
    assert sent == (3 if "q" in lost else 4)
    assert as_role(mail, "service_role", "select pgmq_public.archive('mail', %s)", sent) == [(True,)]


def test_d10_a_queue_is_adopted_with_the_type_of_its_tables(mail: Sql) -> None:
    damage(mail, "meta")
    with pytest.raises(errors.DuplicateTable, match='the tables of queue "mail" are not of type unlogged'):
        mail("select pgmq_admin.create_queue('mail', 'unlogged', adopt => true)")
    mail("alter table pgmq.q_mail set unlogged")
    assert mail("select pgmq_admin.create_queue('mail', 'unlogged', adopt => true)") == [(True,)]
    assert mail(LISTED) == [("mail", "unlogged", True)]
    assert mail("select pgmq_admin.create_queue('mail', 'unlogged', adopt => true)") == [(False,)]
    assert mail("select pgmq_admin.create_queue('new', adopt => true)") == [(True,)]


def test_d10_no_code_of_a_caller_runs_when_a_queue_is_adopted(mail: Sql) -> None:
    mail("create function public.mine() returns boolean language sql as 'select true'")
    mail("alter function public.mine() owner to anon")
    mail("create policy p on pgmq.q_mail using (public.mine())")
    damage(mail, "meta")
    with pytest.raises(errors.InsufficientPrivilege, match=r"function public\.mine\(\) is owned by role anon"):
        as_role(mail, "service_role", "select pgmq_admin.create_queue('mail', adopt => true)")
    assert mail("select * from pgmq.meta") == []


def test_d10_partitions_of_a_dropped_queue_are_no_queue(mail: Sql) -> None:
    """Detached partitions have no sequence for their ids, so that each send would fail."""
    mail("create table pgmq.q_parts_p20260101 (like pgmq.q_mail including defaults)")
    mail("create table pgmq.a_parts_p20260101 (like pgmq.a_mail including defaults)")
    obstacle = "pgmq.q_parts_p20260101 has no sequence for the ids of messages"
    with pytest.raises(errors.DuplicateTable, match=obstacle):
        mail("select pgmq_admin.create_queue('parts_p20260101', adopt => true)")
    ((hint,),) = mail("select hint from pgmq_admin.lint()")
    assert hint == (f"No queue can be made of it: {obstacle}. pgmq_admin.drop_queue('parts_p20260101') drops it.")
    mail("select pgmq_admin.drop_queue('parts_p20260101')")
    assert mail("select * from pgmq_gateway.orphans()") == []


def test_d10_a_drop_waits_for_an_adoption(mail: Sql, uri: str) -> None:
    damage(mail, "meta")
    with psycopg.connect(uri) as adopting:
        adopting.execute("select pgmq_admin.create_queue('mail', adopt => true)")
        ((waiting,),) = mail("select pg_try_advisory_xact_lock(hashtext('pgmq_gateway.lock_privileges'))")
    assert waiting is False
    mail("select pgmq_admin.drop_queue('mail')")
    assert (mail(LEFT), mail(LISTED)) == ([], [])


async def test_d10_install_adopts_as_create_queue_does(blank_server: Cluster, connect: Connect) -> None:
    """After a restore of data alone: ids go on after those of the messages, and row-level security is on."""
    uri = blank_server.uri(blank_server.create())
    await installed(uri)
    sql = runner(connect(uri))
    sql("select pgmq.create('mail')")
    sql("insert into pgmq.q_mail (msg_id, vt, message) overriding system value values (7, now(), '1')")
    sql("create table pgmq.q_parts_p1 (like pgmq.q_mail)")
    sql("create table pgmq.a_parts_p1 (like pgmq.a_mail)")
    sql('create table pgmq."q_an odd one" (like pgmq.q_mail including identity)')
    sql('create table pgmq."a_an odd one" (like pgmq.a_mail)')
    sql("delete from pgmq.meta")
    adopted = "basic queue mail (tables pgmq.q_mail and pgmq.a_mail)"
    left = [
        'orphaned: tables pgmq."q_an odd one" and pgmq."a_an odd one" (the name of the queue is not allowed;'
        " pgmq-gateway queue drop 'an odd one' drops them)",
        "orphaned: tables pgmq.q_parts_p1 and pgmq.a_parts_p1 (pgmq.q_parts_p1 has no sequence for the ids of messages;"
        " pgmq-gateway queue drop parts_p1 drops them)",
    ]
    assert await found(uri) == [left[0], f"missing: row of pgmq.meta for {adopted}", left[1]]
    assert await installed(uri) == [f"adopted: {adopted}"]
    assert await found(uri) == left
    assert sql(LISTED) == [("mail", "basic", True)]
    assert as_role(sql, "service_role", "select * from pgmq_public.send('mail', '2')") == [(8,)]


async def test_d10_install_names_incomplete_queues(blank_server: Cluster, connect: Connect) -> None:
    uri = blank_server.uri(blank_server.create())
    await installed(uri)
    sql = runner(connect(uri))
    sql("select pgmq_admin.create_queue('mail')")
    damage(sql, "q")
    line = "incomplete: queue mail lacks pgmq.q_mail (pgmq-gateway queue drop mail drops the rest)"
    assert await found(uri) == [line]
    done = server.run("install", "--db-uri", uri).stdout
    assert "left to do: Calls fail, because tables are missing: pgmq.q_mail. Restore it, or drop the rest" in done
    assert server.run("queue", "drop", "mail", "--yes", "--db-uri", uri).stdout == "dropped queue mail\n"
    assert await found(uri) == []


async def test_d10_install_does_not_adopt_a_queue_with_code_of_other_roles(mail: Sql, uri: str) -> None:
    mail("create function public.mine() returns boolean language sql as 'select true'")
    mail("alter function public.mine() owner to anon")
    mail("create policy p on pgmq.q_mail using (public.mine())")
    damage(mail, "meta")
    (line,) = await installed(uri)
    assert line.startswith("not adopted: basic queue mail (tables pgmq.q_mail and pgmq.a_mail): ")
    assert "function public.mine() is owned by role anon" in line
    assert mail("select * from pgmq.meta") == []


@pytest.mark.parametrize(
    ("lost", "change", "remedy"),
    [
        (("meta", "a"), "alter table pgmq.q_mail set unlogged",
         ", pgmq-gateway queue create mail --type unlogged --adopt makes a queue of it"),
        (("meta", "q"), "select 1", ", pgmq-gateway queue create mail --adopt makes a queue of it"),
        (("meta", "a"), "alter table pgmq.q_mail rename to q_parts; create table pgmq.q_mail (like pgmq.q_parts) "
         "partition by range (msg_id); drop table pgmq.q_parts", ""),
    ],
    ids=["unlogged", "archive", "partitioned"],
)  # fmt: skip
async def test_d10_install_names_a_command_that_works(
    mail: Sql, uri: str, lost: tuple[str, ...], change: str, remedy: str
) -> None:
    damage(mail, *lost)
    mail(change)
    (line,) = await found(uri)
    assert line.startswith("orphaned: table pgmq.")
    assert line.endswith(f"pgmq-gateway queue drop mail drops it{remedy})")
    command = (
        (remedy or ", pgmq-gateway queue drop mail --yes makes").removeprefix(", pgmq-gateway ").partition(" makes")
    )
    done = await asyncio.to_thread(server.run, *command[0].split(), "--db-uri", uri)
    assert (done.returncode, await found(uri)) == (0, []), done.stderr


async def test_d10_install_names_what_it_does_not_adopt(blank_server: Cluster, connect: Connect) -> None:
    uri = blank_server.uri(blank_server.create())
    await installed(uri)
    sql = runner(connect(uri))
    sql("select pgmq_admin.create_queue('mail'), pgmq_admin.create_queue('whole')")
    damage(sql, "meta", "q")
    line = (
        "orphaned: table pgmq.a_mail (pgmq-gateway queue drop mail drops it, pgmq-gateway queue create mail --adopt"
        " makes a queue of it)"
    )
    assert await found(uri) == [
        line, "missing: row of pgmq.meta for basic queue whole (tables pgmq.q_whole and pgmq.a_whole)"
    ]  # fmt: skip
    done = server.run("install", "--db-uri", uri).stdout
    assert "adopted: basic queue whole (tables pgmq.q_whole and pgmq.a_whole)\n" in done
    assert 'left to do: pgmq.a_mail is left of a queue "mail" that pgmq.meta does not list. ' in done
    assert await found(uri) == [line]
    created = server.run("queue", "create", "mail", "--adopt", "--db-uri", uri)
    assert (created.returncode, created.stdout) == (0, "created basic queue mail\n")
    assert await found(uri) == []
