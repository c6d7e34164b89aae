"""Settings with which sessions begin: those of the login role, of the database, and of the role in the database."""

from pgmq_gateway.database.driver import Connection

# Settings under pgrst. are the gateway's own, and mean nothing to a session.
DEFAULTS = """
select pg_catalog.string_agg(s.setting, E'\\n' order by d.setdatabase, d.setrole, s.place)
from pg_catalog.pg_db_role_setting as d
cross join lateral pg_catalog.unnest(d.setconfig) with ordinality as s (setting, place)
where d.setrole in (0, (select r.oid from pg_catalog.pg_roles as r where r.rolname = session_user))
  and d.setdatabase in (0, (select b.oid from pg_catalog.pg_database as b where b.datname = current_database()))
  and s.setting not like 'pgrst.%'
"""


async def session_defaults(connection: Connection) -> str:
    """The settings of sessions that begin now, in a form to compare. Open sessions keep those that they began with."""
    return await connection.fetchval(DEFAULTS) or ""
