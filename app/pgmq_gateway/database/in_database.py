"""Settings in the database: `alter role authenticator [in database …] set pgrst.… = '…'`, and those of a function."""

from pgmq_gateway.database.driver import Connection
from pgmq_gateway.database.identifiers import call_of
from pgmq_gateway.settings.sources import DATABASE_PREFIX, IN_DATABASE

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

# What the role or the database sets in each session is not of the function.
CLEAR = "select pg_catalog.set_config(name, '', true) from pg_catalog.unnest($1::text[]) as name"
SET_BY_FUNCTION = """
select name, pg_catalog.current_setting(name) as value
from pg_catalog.unnest($1::text[]) as name
where pg_catalog.current_setting(name) <> ''
"""
NAMES = [DATABASE_PREFIX + name.replace("-", "_") for name in sorted(IN_DATABASE)]


async def read(connection: Connection, pre_config: str | None = None) -> Pairs:
    """Names, with their prefix, and values of the settings of the connection's role and database.

    pre_config  a function that sets further ones, which those of the role override
    """
    transaction = connection.transaction(readonly=True)
    await transaction.start()
    try:
        rows = await connection.fetch(SETTINGS)
        if pre_config is not None:
            await connection.execute(CLEAR, NAMES)
            await connection.execute(call_of(pre_config))
            rows = [*await connection.fetch(SET_BY_FUNCTION, NAMES), *rows]
    finally:
        # The function may have used set_config for the session.
        await transaction.rollback()
    return tuple(sorted({row["name"]: row["value"] for row in rows}.items()))
