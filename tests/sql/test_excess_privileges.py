"""Roles of requests cannot add triggers to pgmq's tables: the installer revokes such privileges and reports each."""

import pytest

from tests import server
from tests.databases import Sql, runner
from tests.sql.cluster import Cluster
from tests.sql.conftest import Connect
from tests.sql.repairing import found, installed

NEEDED = {"SELECT", "INSERT", "UPDATE", "DELETE"}


def privileges(sql: Sql, table: str, role: str = "service_role") -> set[str]:
    """The privileges granted to a role itself on a table of pgmq."""
    rows = sql(
        "select a.privilege_type from pg_class as c, aclexplode(c.relacl) as a"
        " where c.oid = %s::regclass and a.grantee = %s::regrole",
        f"pgmq.{table}", role,
    )  # fmt: skip
    return {privilege for (privilege,) in rows}


@pytest.mark.parametrize("table", ["meta", "notify_insert_throttle", "q_later", "a_later"])
def test_service_role_can_read_and_write_tables_and_nothing_else(db: Sql, table: str) -> None:
    db("select pgmq_admin.create_queue('later')")
    assert privileges(db, table) == NEEDED


REVOKED = [
    "REFERENCES, TRIGGER on table pgmq.meta for service_role",
    "TRIGGER on table pgmq.q_x for anon",
    "TRUNCATE on table pgmq.q_x for public",
    "TRIGGER on new tables of {owner} in schema pgmq for service_role",
]
KEPT = (
    "kept: REFERENCES, TRIGGER, TRUNCATE on 3 tables of pgmq for anon, public, service_role"
    " (pgmq-gateway install --revoke-trigger revokes them)"
)


@pytest.fixture
async def uri(blank_server: Cluster) -> str:
    """The URI of an installed database."""
    made = blank_server.uri(blank_server.create())
    await installed(made)
    return made


@pytest.fixture
def granted(uri: str, connect: Connect) -> Sql:
    """Runs SQL in the database, whose roles have privileges that no call needs."""
    sql = runner(connect(uri))
    sql("select pgmq_admin.create_queue('x')")
    sql("grant select, trigger on pgmq.q_x to anon")
    sql("grant truncate on pgmq.q_x to public")
    sql("grant trigger, references (queue_name) on pgmq.meta to service_role")
    sql("alter default privileges in schema pgmq grant trigger on tables to service_role")
    return sql


async def test_the_installer_revokes_what_no_call_needs_and_reports_each(granted: Sql, uri: str) -> None:
    ((owner,),) = granted("select quote_ident(current_user)")
    lines = [line.format(owner=owner) for line in REVOKED]
    assert await found(uri) == [f"open: {line}" for line in lines]
    assert await installed(uri) == [f"revoked: {line}" for line in lines]
    assert (await installed(uri), await found(uri)) == ([], [])
    assert (privileges(granted, "q_x", "anon"), privileges(granted, "q_x")) == ({"SELECT"}, NEEDED)
    granted("select pgmq_admin.create_queue('y')")
    assert privileges(granted, "q_y") == NEEDED


async def test_an_operator_can_keep_them(granted: Sql, uri: str) -> None:
    def run(*options: str) -> list[str]:
        return server.run("install", "--db-uri", uri, *options).stdout.splitlines()

    assert KEPT in run("--keep-trigger")
    # Later installs do the same.
    assert (await installed(uri), await found(uri)) == ([KEPT], [KEPT])
    assert privileges(granted, "q_x", "anon") == {"SELECT", "TRIGGER"}
    assert len([line for line in run("--revoke-trigger") if line.startswith("revoked: ")]) == len(REVOKED)
    assert (await installed(uri), await found(uri)) == ([], [])


async def test_the_installer_goes_on_where_only_another_role_can_revoke(
    blank_server: Cluster, connect: Connect
) -> None:
    blank_server.execute(
        "create role anon",
        "create role authenticated",
        "create role service_role bypassrls",
        "create role authenticator login noinherit",
        "create role pgmq_definer bypassrls",
        "grant anon, authenticated, service_role to authenticator",
        "create role owner login password 'pw'",
        "create role app_owner",
    )
    database = blank_server.create("owner")
    uri = blank_server.uri(database, "owner", "pw")
    await installed(uri)
    sql = runner(connect(blank_server.uri(database)))
    sql("select pgmq.create('x')")
    sql("alter table pgmq.q_x owner to app_owner")
    sql("grant trigger, truncate on pgmq.q_x to service_role")
    kept = "kept: TRIGGER, TRUNCATE on table pgmq.q_x for service_role (only app_owner can revoke them)"
    assert (await installed(uri), await found(uri)) == ([kept], [kept])
