"""The gateway's functions and views in the database's catalog."""

from collections.abc import Sequence
from dataclasses import dataclass

from pgmq_gateway.database.driver import Connection
from pgmq_gateway.install.scripts import SCHEMAS

# The grantee of privileges of all roles; no role can have this name.
PUBLIC = "public"

# md5: everything that determines a function's behaviour. Of its settings it has the search_path; others, such as
# a statement_timeout, are the operator's.
_FUNCTIONS = """
select
    case p.prokind when 'p' then 'procedure' else 'function' end as kind, n.nspname as schema, p.proname as name,
    pg_get_function_identity_arguments(p.oid) as arguments, p.oid, r.rolname as owner,
    md5(concat_ws(
        E'\\n', p.prosrc, l.lanname, p.prosecdef, p.provolatile, p.proisstrict,
        array(select s from unnest(p.proconfig) as s where s like 'search_path=%'),
        pg_get_function_result(p.oid), pg_get_function_arguments(p.oid)
    )) as md5,
    p.proacl is null as untouched,
    array(
        select coalesce(g.rolname, 'public') || '=' || a.privilege_type
        from aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) as a
        left join pg_catalog.pg_roles as g on g.oid = a.grantee
    ) as privileges
from pg_catalog.pg_proc as p
join pg_catalog.pg_namespace as n on n.oid = p.pronamespace
join pg_catalog.pg_language as l on l.oid = p.prolang
join pg_catalog.pg_roles as r on r.oid = p.proowner
where n.nspname = any ($1::name[])
"""
_VIEWS = """
select
    'view' as kind, n.nspname as schema, c.relname as name, '' as arguments, c.oid, r.rolname as owner,
    md5(pg_get_viewdef(c.oid)) as md5,
    c.relacl is null as untouched,
    array(
        select coalesce(g.rolname, 'public') || '=' || a.privilege_type
        from aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) as a
        left join pg_catalog.pg_roles as g on g.oid = a.grantee
    ) as privileges
from pg_catalog.pg_class as c
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
join pg_catalog.pg_roles as r on r.oid = c.relowner
where n.nspname = any ($1::name[]) and c.relkind = 'v'
"""
_ALL = f"{_FUNCTIONS} union all {_VIEWS}"
# Not one query with "$2 is null or": its plan reads the whole catalog for each name.
_NAMED = f"{_FUNCTIONS} and p.proname = any ($2::name[]) union all {_VIEWS} and c.relname = any ($2::name[])"


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """The identity of a function, a procedure or a view; arguments as in pg_get_function_identity_arguments."""

    kind: str
    schema: str
    name: str
    arguments: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.schema}.{self.name}"


@dataclass(frozen=True, slots=True)
class Entry:
    """A function or a view of the database.

    md5         of its definition
    untouched   the privilege list is null: no GRANT or REVOKE ever named it, or a dump had no privileges
    privileges  as grantee=PRIVILEGE
    """

    key: Key
    oid: int
    owner: str
    md5: str
    untouched: bool
    privileges: frozenset[str]

    def allows(self, grantee: str, privilege: str) -> bool:
        """True if the privilege is granted to this role itself, not to one that it is a member of."""
        return f"{grantee}={privilege}" in self.privileges


async def use_catalog_names(connection: Connection) -> None:
    """Set a search_path with which the catalog qualifies all names, and other roles' operators are not found.

    It lasts until the end of the transaction.
    """
    await connection.execute("set local search_path = pg_catalog")


async def entries(
    connection: Connection, schemas: Sequence[str] = SCHEMAS, names: Sequence[str] | None = None
) -> dict[Key, Entry]:
    """The functions and views of these schemas, or those of some names. Call `use_catalog_names` first."""
    found = {}
    rows = connection.fetch(_ALL, schemas) if names is None else connection.fetch(_NAMED, schemas, names)
    for row in await rows:
        key = Key(row["kind"], row["schema"], row["name"], row["arguments"])
        found[key] = Entry(key, row["oid"], row["owner"], row["md5"], row["untouched"], frozenset(row["privileges"]))
    return found
