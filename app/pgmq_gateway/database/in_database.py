"""Settings in the database: `alter role authenticator [in database …] set pgrst.… = '…'`."""

from pgmq_gateway.database.driver import Connection

Pairs = tuple[tuple[str, str], ...]

# Those for this database before those for all, as in PostgREST and Postgres.
SETTINGS = """
select distinct on (s.name) s.name, s.value
from pg_catalog.pg_db_role_setting as d
cross join lateral pg_catalog.unnest(d.setconfig) as c (setting)
cross join lateral (
    select
        pg_catalog.split_part(c.setting, '=', 1) as name,
        pg_catalog.substr(c.setting, pg_catalog.strpos(c.setting, '=') + 1) as value
) as s
where d.setrole = (select r.oid from pg_catalog.pg_roles as r where r.rolname = session_user)
  and d.setdatabase in (0, (select b.oid from pg_catalog.pg_database as b where b.datname = current_database()))
  and s.name like 'pgrst.%'
order by s.name, d.setdatabase desc
"""


async def read(connection: Connection) -> Pairs:
    """Names, with their prefix, and values of the settings of the connection's role and database."""
    return tuple((row["name"], row["value"]) for row in await connection.fetch(SETTINGS))
