"""Checks of the login role and of the server's release before the gateway serves."""

from collections.abc import Iterator

import asyncpg

from pgmq_gateway.database.driver import Connection

# Role switching with cached plans leaked rows between roles before these releases
# (CVE-2023-2455, CVE-2024-10976, CVE-2025-8713). Majors before the first are out of support.
SAFE_RELEASES = {13: 22, 14: 19, 15: 14, 16: 10, 17: 6}
FIRST_SAFE = 18

# `usage` in pg_has_role: privileges that apply without SET ROLE. Row-level security does not apply to a table's owner.
LOGIN_ROLE = """
select
    r.rolname as name,
    r.rolsuper as superuser,
    r.rolbypassrls as bypasses,
    (
        select c.relname
        from pg_catalog.pg_class c
        join pg_catalog.pg_namespace n on n.oid = c.relnamespace
        where n.nspname = 'pgmq' and c.relkind in ('r', 'p')
          and pg_catalog.pg_has_role(r.oid, c.relowner, 'usage')
        order by c.relname
        limit 1
    ) as owned,
    (
        select pg_catalog.string_agg(g.rolname, ', ' order by g.rolname)
        from pg_catalog.pg_roles g
        where g.oid <> r.oid and pg_catalog.pg_has_role(r.oid, g.oid, 'usage')
    ) as inherited,
    coalesce(
        pg_catalog.has_function_privilege(pg_catalog.to_regproc('pgmq_gateway.call')::pg_catalog.oid, 'execute'), false
    ) as installed
from pg_catalog.pg_roles r
where r.rolname = session_user
"""


class UnsafeLogin(Exception):
    """Serving with this login role would be unsafe, or the database lacks this release's functions."""


async def check_login(connection: Connection) -> list[str]:
    """Reject a login role that bypasses row-level security, and a database without this release's functions.

    Returns warnings for the operator. Raises UnsafeLogin with a message of one line.
    """
    role = await connection.fetchrow(LOGIN_ROLE)
    assert role is not None
    if excess := _excess(role):
        raise UnsafeLogin(
            f"login role {role['name']} {excess}, so policies would not apply: set the user in PGRST_DB_URI to"
            " authenticator"
        )
    if not role["installed"]:
        raise UnsafeLogin(
            f"login role {role['name']} cannot call pgmq_gateway.call, which the installation creates: run pgmq-gateway"
            " install"
        )
    return [*_inherited(role), *vulnerabilities(connection.get_server_version())]


def _excess(role: asyncpg.Record) -> str | None:
    if role["superuser"]:
        return "is a superuser"
    if role["bypasses"]:
        return "has BYPASSRLS"
    if role["owned"]:
        return f"owns table pgmq.{role['owned']}, or inherits the privileges of its owner"
    return None


def _inherited(role: asyncpg.Record) -> Iterator[str]:
    if role["inherited"]:
        yield (
            f"login role {role['name']} inherits the privileges of {role['inherited']}, which should need SET ROLE:"
            " make it NOINHERIT and grant those roles WITH INHERIT FALSE"
        )


def vulnerabilities(version: asyncpg.ServerVersion) -> Iterator[str]:
    """Known vulnerabilities of a release of Postgres; the driver's `micro` is the second of its two numbers."""
    if version.releaselevel != "final":
        yield f"Postgres {version.major} {version.releaselevel} is a test release: update to a final release"
    elif version.major < min(SAFE_RELEASES):
        yield (
            f"Postgres {version.major} has known vulnerabilities in role switching and is out of support: update to"
            f" {FIRST_SAFE} or another supported release"
        )
    elif version.micro < SAFE_RELEASES.get(version.major, 0):
        yield (
            f"Postgres {version.major}.{version.micro} has known vulnerabilities in role switching:"
            f" update to {version.major}.{SAFE_RELEASES[version.major]} or newer"
        )
