"""Installs pgmq_public: creates missing functions, replaces others only on request, respects revoked privileges."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import asyncpg

from pgmq_gateway.database.driver import Connection
from pgmq_gateway.install import records
from pgmq_gateway.install.catalog import Entry, Key, entries
from pgmq_gateway.install.findings import Finding
from pgmq_gateway.install.records import Shipped
from pgmq_gateway.install.scripts import Script
from pgmq_gateway.install.state import CALLERS
from pgmq_gateway.schemas import QUEUES

_USAGE = """
select
    n.nspacl is null as untouched,
    array(
        select r.rolname from aclexplode(n.nspacl) as a join pg_catalog.pg_roles as r on r.oid = a.grantee
        where a.privilege_type = 'USAGE'
    ) as holders
from pg_catalog.pg_namespace as n
where n.nspname = $1
"""
_GRANTEES = "select string_agg(quote_ident(rolname), ', ') from pg_catalog.pg_roles where rolname = any ($1::text[])"


@dataclass(frozen=True, slots=True)
class Api:
    """The schema pgmq_public in the database.

    untouched  whether its privilege list is null
    holders    the roles with USAGE
    entries    the function of each file, by the file's path; None: missing. Overloads with other arguments are ignored
    """

    untouched: bool
    holders: frozenset[str]
    entries: Mapping[str, Entry | None]


async def look(connection: Connection, scripts: Sequence[Script]) -> Api | None:
    """The schema in the database; None if it does not exist. Call `use_catalog_names` first."""
    schema = await connection.fetchrow(_USAGE, QUEUES)
    if schema is None:
        return None
    by_oid = {entry.oid: entry for entry in (await entries(connection, [QUEUES])).values()}
    signatures = {script.path: _signature(script) for script in scripts}
    rows = await connection.fetch(
        "select s as signature, to_regprocedure(s)::oid as oid from unnest($1::text[]) as s", list(signatures.values())
    )
    oids = {row["signature"]: row["oid"] for row in rows}
    present = {path: by_oid.get(oids[signature]) for path, signature in signatures.items()}
    return Api(schema["untouched"], frozenset(schema["holders"]), present)


def findings(
    api: Api | None,
    scripts: Sequence[Script],
    files: Mapping[str, str],
    shipped: Mapping[Key, Shipped],
    installer: str,
) -> Iterator[Finding]:
    """The differences. None for a missing schema, which was dropped on purpose.

    installer  the role that must own the functions that it created
    """
    if api is None:
        return
    for role in CALLERS:
        if role not in api.holders:
            yield Finding("missing" if api.untouched else "revoked", f"USAGE on schema {QUEUES} for {role}")
    for script in scripts:
        entry = api.entries[script.path]
        if entry is None:
            yield Finding("missing", str(script.creations[0]))
            continue
        for grant in script.grants:
            if entry.untouched or not entry.allows(grant.grantee, grant.privilege):
                yield Finding(
                    "missing" if entry.untouched else "revoked", f"{grant.privilege} on {entry.key} for {grant.grantee}"
                )
        record = shipped.get(entry.key)
        if record is None or record.md5 != entry.md5 or files.get(script.path) != script.checksum:
            yield Finding("kept", f"{entry.key} differs from this version's (install --replace replaces it)")
        if _escaped(entry, record, installer):
            yield Finding("wrong owner", f"{entry.key} ({entry.owner})")


def _escaped(entry: Entry, record: Shipped | None, installer: str) -> bool:
    """True if another role owns a function that the installer created."""
    return record is not None and record.md5 == entry.md5 and entry.owner != installer


async def apply(
    connection: Connection,
    scripts: Sequence[Script],
    api: Api,
    shipped: Mapping[Key, Shipped],
    installer: str,
    *,
    replace: bool,
) -> None:
    """Create missing functions, restore privileges whose list is null, with `replace` replace existing functions."""
    if api.untouched:
        # The role postgres, which owns the schema at Supabase, does not exist on every server.
        await connection.execute(
            f"grant usage on schema {QUEUES} to {await connection.fetchval(_GRANTEES, [*CALLERS, 'postgres'])}"
        )
    for script in scripts:
        entry = api.entries[script.path]
        if entry is None:
            await _execute(connection, script, "creation", "comment", "privileges")
            await _record(connection, script)
            continue
        if entry.owner != installer and (replace or _escaped(entry, shipped.get(entry.key), installer)):
            await _take_over(connection, script, entry.owner)
        if replace:
            await _replace(connection, script, entry)
            await _record(connection, script)
        if entry.untouched:
            await _execute(connection, script, "privileges")


async def _take_over(connection: Connection, script: Script, former: str) -> None:
    await connection.execute(f"alter function {_signature(script)} owner to current_user")
    # Changing the owner turned the former owner's privilege into one of the new owner.
    for grant in script.grants:
        if grant.grantee == former:
            await connection.execute(f"grant execute on function {_signature(script)} to {former}")


async def _replace(connection: Connection, script: Script, entry: Entry) -> None:
    """Replace a function and keep its privileges."""
    signature = _signature(script)
    try:
        async with connection.transaction():
            await _execute(connection, script, "creation", "comment")
    except asyncpg.InvalidFunctionDefinitionError:
        # CREATE OR REPLACE refuses another result type or other names of parameters.
        await connection.execute(f"drop function {signature}")
        await _execute(connection, script, "creation", "comment")
        if not entry.untouched:
            await _restore_privileges(connection, signature, entry)


async def _restore_privileges(connection: Connection, signature: str, former: Entry) -> None:
    await connection.execute(f"revoke all on function {signature} from public")
    for privilege in sorted(former.privileges):
        grantee = privilege.rpartition("=")[0]
        quoted = await connection.fetchval("select case $1 when 'public' then $1 else quote_ident($1) end", grantee)
        await connection.execute(f"grant execute on function {signature} to {quoted}")


async def _execute(connection: Connection, script: Script, *wanted: str) -> None:
    for statement in script.statements:
        kind = (
            "creation"
            if statement.creation
            else "comment"
            if statement.outline.startswith("comment ")
            else "privileges"
        )
        if kind in wanted:
            await connection.execute(statement.text)


async def _record(connection: Connection, script: Script) -> None:
    api = await look(connection, [script])
    assert api is not None
    entry = api.entries[script.path]
    assert entry is not None
    await records.record(connection, script, {entry.key: entry.md5})


def _signature(script: Script) -> str:
    """The function that a file creates, as in its grants: `pgmq_public.pop(text)`."""
    grant = next(grant for grant in script.grants if grant.kind == "function")
    return f"{grant.schema}.{grant.name}{grant.arguments}"
