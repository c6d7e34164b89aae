"""Keeps settings of `ALTER FUNCTION … SET` when a function is replaced."""

from collections.abc import Mapping

from pgmq_gateway.database.driver import Connection
from pgmq_gateway.install.scripts import Creation

_SETTINGS = """
select p.oid, split_part(s, '=', 1) as name, substr(s, strpos(s, '=') + 1) as value
from pg_catalog.pg_proc as p, unnest(p.proconfig) as s
where p.proname = $1 and p.pronamespace = to_regnamespace($2) and s not like 'search_path=%'
"""


async def operator_settings(connection: Connection, creation: Creation) -> dict[int, dict[str, str]]:
    """The settings of each overload by its oid, except the search_path, which is the file's."""
    found: dict[int, dict[str, str]] = {}
    for row in await connection.fetch(_SETTINGS, creation.name, creation.schema):
        found.setdefault(row["oid"], {})[row["name"]] = row["value"]
    return found


async def restore(connection: Connection, identity: str, creation: Creation, settings: Mapping[str, str]) -> None:
    """Set `settings` again, except those that the function's file sets."""
    if not settings:
        return
    own = {name for others in (await operator_settings(connection, creation)).values() for name in others}
    for name, value in settings.items():
        if name not in own:
            change = await connection.fetchval("select format('set %I to %L', $1::text, $2::text)", name, value)
            await connection.execute(f"alter {identity} {change}")
