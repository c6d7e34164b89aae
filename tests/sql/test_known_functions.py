"""The list of known functions has those of the installed pgmq and of sql/functions/pgmq_public."""

from pgmq_gateway.queue_functions import FUNCTIONS
from tests.databases import Sql

UNKNOWN = """
select format('(%%L, %%L, %%L),', n.nspname, p.proname, pgmq_gateway.function_md5(p.oid))
from pg_proc as p
join pg_namespace as n on n.oid = p.pronamespace
where n.nspname in ('pgmq', 'pgmq_public')
  and p.proname::text in (select unnest(functions) from unnest(%s::text[]) as f, pgmq_gateway.function_obstacles(f))
  and not exists (
      select from pgmq_gateway.known_functions() as k
      where (k.schema, k.name, k.md5) = (n.nspname, p.proname, pgmq_gateway.function_md5(p.oid)))
"""


def test_installed_functions_are_known(db: Sql) -> None:
    """Otherwise read the functions and add these rows to known_functions.sql."""
    assert db(UNKNOWN, list(FUNCTIONS)) == []
