"""Refuses to write the installer's tables and pgmq.meta where that would run code of another role as the installer."""

from pgmq_gateway.database.driver import Connection
from pgmq_gateway.install.findings import InstallError

# An earlier owner, whose tables a later installer took over, could add all of these to the gateway's own tables. To
# pgmq.meta a role with TRIGGER can add triggers. A condition of a trigger is code too, also if the installer
# owns the function.
_CODE = """
with own as (
    select c.oid from pg_catalog.pg_class as c
    where c.relnamespace in (to_regnamespace('pgmq_gateway'), to_regnamespace('pgmq_settings')) and c.relkind = 'r'
), meta as (
    select c.oid from pg_catalog.pg_class as c
    where c.relnamespace = to_regnamespace('pgmq') and c.relname = 'meta'
)
select format('trigger %I', t.tgname) as what, t.tgrelid as relation, p.proowner as owner
from pg_catalog.pg_trigger as t
join pg_catalog.pg_proc as p on p.oid = t.tgfoid
where t.tgrelid in (select oid from own union select oid from meta)
  and not t.tgisinternal and (t.tgqual is not null or not pg_has_role(p.proowner, current_user, 'member'))
union all
select format('rule %I', r.rulename), r.ev_class, null from pg_catalog.pg_rewrite as r join own on own.oid = r.ev_class
union all
select format('policy %I', p.polname), p.polrelid, null from pg_catalog.pg_policy as p join own on own.oid = p.polrelid
union all
select format('constraint %I', c.conname), c.conrelid, null
from pg_catalog.pg_constraint as c join own on own.oid = c.conrelid
where c.contype = 'c'
union all
select format('the default %s', pg_get_expr(d.adbin, d.adrelid)), d.adrelid, null
from pg_catalog.pg_attrdef as d join own on own.oid = d.adrelid
where pg_get_expr(d.adbin, d.adrelid) <> 'now()'
union all
select format('index %s', i.indexrelid::regclass), i.indrelid, null
from pg_catalog.pg_index as i join own on own.oid = i.indrelid
where i.indexprs is not null or i.indpred is not null
limit 1
"""
_TABLES = """
select string_agg(c.oid::regclass::text, ', ')
from pg_catalog.pg_class as c
where c.relkind = 'r'
  and (
      c.relnamespace in (to_regnamespace('pgmq_gateway'), to_regnamespace('pgmq_settings'))
      or c.relnamespace = to_regnamespace('pgmq') and c.relname = 'meta'
  )
  and has_table_privilege(c.oid, 'UPDATE, DELETE, TRUNCATE')
"""


async def refuse_foreign_code(connection: Connection) -> None:
    """Raise InstallError if a write would run code of another role. None can be added until the transaction ends."""
    if tables := await connection.fetchval(_TABLES):
        await connection.execute(f"lock table {tables} in row exclusive mode")
    row = await connection.fetchrow(
        f"select what, relation::regclass::text as on_table, owner::regrole::text as owner from ({_CODE}) as code"
    )
    if row is None:
        return
    reason = f"runs a function of {row['owner']}" if row["owner"] else "is not the gateway's"
    raise InstallError(f"{row['what']} on {row['on_table']} {reason}: drop it and install again")
