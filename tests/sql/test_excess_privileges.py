"""Roles of requests cannot add triggers to pgmq's tables: the installer revokes such privileges and reports each."""

import pytest

from tests.databases import Sql


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
    assert privileges(db, table) == {"SELECT", "INSERT", "UPDATE", "DELETE"}
