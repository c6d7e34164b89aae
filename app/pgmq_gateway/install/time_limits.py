"""The time limits that the API roles have, to report those that an installation sets."""

from collections.abc import Mapping

from pgmq_gateway.database.driver import Connection

TIME_LIMITS = """
select s.setrole::pg_catalog.regrole::pg_catalog.text as role, pg_catalog.split_part(c.setting, '=', 2) as time_limit
from pg_catalog.pg_db_role_setting s
cross join lateral pg_catalog.unnest(s.setconfig) as c (setting)
where s.setrole in (pg_catalog.to_regrole('anon'), pg_catalog.to_regrole('authenticated'))
  and s.setdatabase = 0 and pg_catalog.starts_with(c.setting, 'statement_timeout=')
order by 1
"""


async def time_limits(connection: Connection) -> Mapping[str, str]:
    """The statement_timeout of each API role that has one."""
    return {row["role"]: row["time_limit"] for row in await connection.fetch(TIME_LIMITS)}
