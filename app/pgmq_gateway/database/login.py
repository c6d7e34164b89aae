"""What the gateway's login role must not be, and what its operator should know of the database."""

from collections.abc import Iterator

import asyncpg

from pgmq_gateway.database.driver import Connection

# Role switching with cached plans leaked rows between roles before these releases
# (CVE-2023-2455, CVE-2024-10976, CVE-2025-8713). Majors before the first get no fix any more.
SAFE_RELEASES = {13: 22, 14: 19, 15: 14, 16: 10, 17: 6}
FIRST_SAFE = 18

# `usage` in pg_has_role: its rights hold without a SET ROLE. Row-level security does not bind the owner of a table.
ROLE = """
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
    """The gateway must not serve with this login role, or this database is not installed."""


async def check_login(connection: Connection) -> list[str]:
    """Refuse a login role that would defeat row-level security, and a database without this release's functions.

    Returns what the operator should mend, a line each. Raises UnsafeLogin with one line that says what to do.
    """
    role = await connection.fetchrow(ROLE)
    assert role is not None
    if power := _power(role):
        raise UnsafeLogin(f"login role {role['name']} {power}: let PGRST_DB_URI log in as authenticator")
    if not role["installed"]:
        raise UnsafeLogin(f"this database has no gateway installed for {role['name']}: run pgmq-gateway install")
    return [*_inherited(role), *flaws(connection.get_server_version())]


def _power(role: asyncpg.Record) -> str | None:
    if role["superuser"]:
        return "is a superuser"
    if role["bypasses"]:
        return "is allowed to bypass row-level security"
    if role["owned"]:
        return f"owns queues (table pgmq.{role['owned']}), or inherits the rights of who does"
    return None


def _inherited(role: asyncpg.Record) -> Iterator[str]:
    if role["inherited"]:
        yield (
            f"login role {role['name']} has the rights of {role['inherited']} without being asked for them:"
            " make it NOINHERIT and grant those roles WITH INHERIT FALSE"
        )


def flaws(version: asyncpg.ServerVersion) -> Iterator[str]:
    """What is wrong with a release of Postgres; the driver's `micro` is the second of its two numbers."""
    if version.releaselevel != "final":
        yield f"Postgres {version.major} {version.releaselevel} is a test release: update to a final one"
    elif version.major < min(SAFE_RELEASES):
        yield (
            f"Postgres {version.major} has known flaws in role switching that nobody mends: update to {FIRST_SAFE} or"
            " another release that is supported"
        )
    elif version.micro < SAFE_RELEASES.get(version.major, 0):
        yield (
            f"Postgres {version.major}.{version.micro} has known flaws in role switching:"
            f" update to {version.major}.{SAFE_RELEASES[version.major]} or newer"
        )
