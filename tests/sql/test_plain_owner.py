"""Installing as the database's owner with CREATEROLE, as on managed servers: service_role has no BYPASSRLS (D8)."""

import re

import pytest

from pgmq_gateway.install.findings import InstallError
from pgmq_gateway.install.migrations import PGMQ
from pgmq_gateway.install.owner import left_to_do
from tests import server
from tests.databases import Sql, runner
from tests.sql.cluster import Cluster
from tests.sql.conftest import Connect, as_role, connected
from tests.sql.maintenance import whole_pass
from tests.sql.repairing import found, installed

LOGIN = {"AUTHENTICATOR_PASSWORD": "let me in"}
WAY = "service_role has no BYPASSRLS: each queue gets a policy with which it can access all messages"
POLICY = "policy of service_role, which has no BYPASSRLS, on table pgmq.{}"
OWNER = "create role owner login createrole password 'x'"


async def test_d8_queues_that_exist_get_policies(blank_server: Cluster, connect: Connect) -> None:
    blank_server.execute(OWNER)
    name = blank_server.create("owner")
    uri = blank_server.uri(name, "owner", "x")
    sql: Sql = runner(connect(uri))
    assert WAY in await installed(uri)
    assert await found(uri) == []
    sql("select pgmq.create('made')")
    sql("alter table pgmq.q_made enable row level security")
    sql('create policy "service_role: all messages" on pgmq.a_made using (false)')
    sql("select pgmq_admin.create_queue('other')")
    tables = ("q_made", "a_made")
    lacking = [
        *(POLICY.format(table) for table in tables),
        *(POLICY.replace("service_role", "pgmq_definer").format(table) for table in tables),
    ]
    assert await found(uri) == [f"missing: {each}" for each in lacking]
    assert sql("select queue_name, rule from pgmq_admin.lint() where level = 'error'") == [("made", "service_policy")]
    assert await installed(uri) == [f"restored: {each}" for each in lacking]
    assert await found(uri) == []
    assert sql("select * from pgmq_admin.lint()") == []
    assert sql("select distinct polname::text, polroles::regrole[]::text from pg_policy order by 1") == [
        ("pgmq_definer: all messages", "{pgmq_definer}"),
        ("service_role: all messages", "{service_role}"),
    ]


@pytest.mark.parametrize("policy", ["pgmq_definer: all messages", None])
async def test_d8_dead_messages_are_buried_by_policy(
    blank_server: Cluster, connect: Connect, policy: str | None
) -> None:
    blank_server.execute(OWNER)
    name = blank_server.create("owner")
    sql: Sql = runner(connect(uri := blank_server.uri(name, "owner", "x")))
    await installed(uri)
    assert sql("select rolbypassrls from pg_roles where rolname = 'pgmq_definer'") == [(False,)]
    sql("select pgmq_admin.create_queue('jobs'), pgmq_admin.create_queue('dead')")
    sql("alter table pgmq.a_jobs enable row level security")
    settings = '{"max_receives": 1, "dead_letter_queue": "dead", "archive_keep_seconds": 60}'
    sql("select pgmq_admin.set_queue_settings('jobs', %s)", settings)
    sql("select pgmq.send('jobs', '1')")
    if policy is None:
        sql('drop policy "pgmq_definer: all messages" on pgmq.q_dead')
    counts = []
    for _ in range(2):
        as_role(runner(connect(blank_server.uri(name))), "service_role", "select * from pgmq_api.read('jobs', 0)")
        counts.append(sql("select (select count(*) from pgmq.q_jobs), (select count(*) from pgmq.q_dead)")[0])
    # Without the policy nothing is lost, and reads go on.
    assert counts == [(1, 0), (0, 1) if policy else (1, 0)]
    sql("insert into pgmq.q_jobs (vt, read_ct, message) values (now(), 1, '1')")
    sql("insert into pgmq.a_jobs (msg_id, vt, message, archived_at) values (9, now(), '1', now() - interval '1 hour')")
    whole_pass(runner(connect(blank_server.uri(name))))
    left = [sql(f"select count(*) from pgmq.{table}")[0][0] for table in ("q_jobs", "q_dead", "a_jobs")]
    assert left == ([0, 2, 0] if policy else [2, 0, 0])


async def test_d8_roles_of_another_creator_need_one_grant(blank_server: Cluster, connect: Connect) -> None:
    if connect(blank_server.uri()).info.server_version < 16_00_00:
        pytest.skip("before Postgres 16 CREATEROLE is enough")
    blank_server.execute(
        OWNER, "create role anon", "create role service_role bypassrls", "create role authenticator login noinherit"
    )
    uri = blank_server.uri(blank_server.create("owner"), "owner", "x")
    with pytest.raises(
        InstallError, match="role owner has no permission to grant role anon to authenticator"
    ) as refused:
        await installed(uri)
    statement = re.search(r'As a superuser run "(.*)", then install again', str(refused.value))
    assert statement is not None
    blank_server.execute(statement[1])
    done = server.run("install", "--db-uri", uri, env=LOGIN)
    assert done.stdout.startswith("installed: 0001_roles\n")
    assert (done.returncode, done.stderr) == (
        1,
        'pgmq-gateway: role owner has no permission to set the password of authenticator: as a superuser run "grant'
        ' authenticator to owner with admin option", or leave AUTHENTICATOR_PASSWORD out\n',
    )
    assert await found(uri) == []


async def test_d8_pgmq_of_another_owner_is_refused(blank_server: Cluster, connect: Connect) -> None:
    blank_server.execute(OWNER)
    name = blank_server.create("owner")
    runner(connect(blank_server.uri(name)))("create schema pgmq create table meta (queue_name text unique not null)")
    for work in (installed, found):
        with pytest.raises(
            InstallError, match=r"^schema pgmq is owned by boss, .*: install as boss or as a superuser$"
        ):
            await work(blank_server.uri(name, "owner", "x"))


async def test_d8_a_queue_of_another_owner_stays_as_it_is(blank_server: Cluster, connect: Connect) -> None:
    blank_server.execute(OWNER)
    name = blank_server.create("owner")
    uri = blank_server.uri(name, "owner", "x")
    runner(connect(uri))((PGMQ / "pgmq.sql").read_text())
    boss = runner(connect(blank_server.uri(name)))
    boss("select pgmq.create('made')")
    boss("alter table pgmq.q_made enable row level security")
    assert WAY in await installed(uri)
    assert boss("select relname from pg_class where relname ~ '^._made$' and relacl is not null") == []
    assert await found(uri) == []
    async with connected(uri) as connection:
        assert await left_to_do(connection, "X") == [
            "service_role has no BYPASSRLS, and no policy gives it the messages of pgmq.q_made. As a superuser run:"
            " alter role service_role bypassrls; or make owner the owner of the queue's tables."
        ]


def test_d8_with_bypassrls_no_queue_gets_a_policy(db: Sql) -> None:
    db("select pgmq_admin.create_queue('made'), pgmq_admin.set_rls('made', true, true)")
    assert db("select * from pg_policy") == []
