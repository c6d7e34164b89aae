"""Finds missing state: roles, pgmq, schemas, tables, types, and privileges on them."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import asyncpg

from pgmq_gateway.database.driver import Connection
from pgmq_gateway.install.findings import Finding, InstallError
from pgmq_gateway.install.scripts import Grant, Script

LOGIN_ROLE = "authenticator"
CALLERS = ("anon", "authenticated", "service_role")
# The owner of functions that move messages; no requests run as this role.
DEFINER = "pgmq_definer"

_CREATIONS = re.compile(r"^\s*create (schema|table|type) (?:if not exists )?(?:(\w+)\.)?(\w+)", re.MULTILINE)

_ROLES = "select rolname from pg_catalog.pg_roles where rolname = any ($1::text[])"
_MEMBERSHIPS = f"{_ROLES} and pg_has_role('{LOGIN_ROLE}', oid, 'member')"
_OBJECTS = """
select 'schema' as kind, '' as schema, n.nspname as name, r.rolname as owner, a.privileges
from pg_catalog.pg_namespace as n
join pg_catalog.pg_roles as r on r.oid = n.nspowner
cross join lateral (
    select array_agg(g.rolname || '=' || a.privilege_type) as privileges
    from aclexplode(n.nspacl) as a join pg_catalog.pg_roles as g on g.oid = a.grantee
) as a
union all
select 'table', n.nspname, c.relname, r.rolname, a.privileges
from pg_catalog.pg_class as c
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
join pg_catalog.pg_roles as r on r.oid = c.relowner
cross join lateral (
    select array_agg(g.rolname || '=' || a.privilege_type) as privileges
    from aclexplode(c.relacl) as a join pg_catalog.pg_roles as g on g.oid = a.grantee
) as a
where c.relkind in ('r', 'p') and n.nspname in ('pgmq_gateway', 'pgmq_admin', 'pgmq_settings', 'pgmq')
union all
select 'type', n.nspname, t.typname, r.rolname, null
from pg_catalog.pg_type as t
join pg_catalog.pg_namespace as n on n.oid = t.typnamespace
join pg_catalog.pg_roles as r on r.oid = t.typowner
join pg_catalog.pg_class as c on c.oid = t.typrelid and c.relkind = 'c'
where n.nspname in ('pgmq_gateway', 'pgmq_admin', 'pgmq_settings', 'pgmq_api')
"""

_OWNER_OF_PGMQ = """
select o.what, r.rolname as owner, current_user as installer
from (
    select 1, 'schema pgmq', n.nspowner from pg_catalog.pg_namespace as n where n.nspname = 'pgmq'
    union all
    select 2, 'table pgmq.meta', c.relowner
    from pg_catalog.pg_class as c join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    where n.nspname = 'pgmq' and c.relname = 'meta'
) as o (place, what, owner)
join pg_catalog.pg_roles as r on r.oid = o.owner
where not pg_has_role(r.oid, 'usage')
order by o.place
"""


@dataclass(frozen=True, slots=True)
class _Object:
    """A schema, table or type of the database; a schema's own name is in `name`."""

    kind: str
    schema: str
    name: str
    owner: str
    privileges: frozenset[str]

    def __str__(self) -> str:
        return f"{self.kind} {self.schema}.{self.name}".replace(" .", " ")


# By kind, schema and name.
_Objects = Mapping[tuple[str, str, str], _Object]


async def missing_roles(connection: Connection) -> Sequence[str]:
    """The roles, of the five, that the server does not have."""
    wanted = [*CALLERS, LOGIN_ROLE, DEFINER]
    there = {row["rolname"] for row in await connection.fetch(_ROLES, wanted)}
    return [role for role in wanted if role not in there]


async def require_pgmq(connection: Connection) -> None:
    """Raise InstallError if the role of this connection does not have the privileges of pgmq's owner."""
    if row := await connection.fetchrow(_OWNER_OF_PGMQ):
        raise InstallError(
            f"{row['what']} is owned by {row['owner']}, whose privileges {row['installer']} does not have: install as"
            f" {row['owner']} or as a superuser"
        )


async def findings(connection: Connection, scripts: Sequence[Script], installer: str) -> list[Finding]:
    """The differences between the database and the objects that the migrations `scripts` create, pgmq included.

    installer  the role that must own everything
    """
    absent = await missing_roles(connection)
    found = [Finding("missing", f"role {role}") for role in absent]
    if LOGIN_ROLE not in absent:
        member_of = {row["rolname"] for row in await connection.fetch(_MEMBERSHIPS, CALLERS)}
        found += [
            Finding("missing", f"membership of {LOGIN_ROLE} in {role}")
            for role in CALLERS
            if role not in member_of and role not in absent
        ]
    there = await _objects(connection)
    if ("table", "pgmq", "meta") not in there:
        found.append(Finding("missing", "pgmq"))
    for script in scripts:
        found += _missing_objects(script, there)
        found += _lost_grants(script.grants, there, absent)
    found += [Finding("wrong owner", f"{each} ({each.owner})") for each in _strangers(scripts, there, installer)]
    return list(dict.fromkeys(found))


async def take_over(connection: Connection, scripts: Sequence[Script], installer: str) -> None:
    """Make `installer`, the role of this connection, owner of all objects of the migrations. Raises InstallError."""
    for each in _strangers(scripts, await _objects(connection), installer):
        path = [part for part in (each.schema, each.name) if part]
        quoted = await connection.fetchval("select string_agg(quote_ident(p), '.') from unnest($1::text[]) as p", path)
        try:
            async with connection.transaction():
                await connection.execute(f"alter {each.kind} {quoted} owner to current_user")
        except asyncpg.InsufficientPrivilegeError:
            raise InstallError(
                f"{each} is owned by {each.owner}, and {installer} cannot take ownership: install as {each.owner} or as"
                " a superuser"
            ) from None


async def _objects(connection: Connection) -> _Objects:
    return {
        (row["kind"], row["schema"], row["name"]): _Object(
            row["kind"], row["schema"], row["name"], row["owner"], frozenset(row["privileges"] or ())
        )
        for row in await connection.fetch(_OBJECTS)
    }


def _strangers(scripts: Sequence[Script], there: _Objects, installer: str) -> list[_Object]:
    """The objects of the migrations that another role owns."""
    made = {created for script in scripts for created in _creations(script)}
    return [each for key, each in there.items() if key in made and each.owner != installer]


def _missing_objects(script: Script, there: _Objects) -> Iterator[Finding]:
    for kind, schema, name in _creations(script):
        # For a missing schema, its objects are not reported too.
        if (kind, schema, name) not in there and (not schema or ("schema", "", schema) in there):
            yield Finding("missing", f"{kind} {schema}.{name}".replace(" .", " "))


def _lost_grants(grants: Sequence[Grant], there: _Objects, absent: Sequence[str]) -> Iterator[Finding]:
    for grant in grants:
        each = there.get((grant.kind, grant.schema, grant.name))
        # Missing objects are reported already.
        if each and grant.grantee not in absent and f"{grant.grantee}={grant.privilege}" not in each.privileges:
            yield Finding("missing", f"{grant.privilege} on {each} for {grant.grantee}")


def _creations(script: Script) -> Sequence[tuple[str, str, str]]:
    """Kind, schema and name of the schemas, tables and types that a migration creates, also inside blocks."""
    return _CREATIONS.findall(script.text)
