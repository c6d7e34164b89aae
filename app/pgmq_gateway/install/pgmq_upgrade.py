"""Upgrades a pgmq that was installed from its SQL, in one transaction.

pgmq has scripts for upgrades of the extension only. So the new version is first created beside the present one and
rolled back, to learn its types and functions. Then types are extended and functions are replaced in place: queues,
privileges and what depends on a type stay. A version whose tables differ is refused.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import asyncpg

from pgmq_gateway.database.driver import Connection
from pgmq_gateway.install.catalog import use_catalog_names
from pgmq_gateway.install.findings import InstallError
from pgmq_gateway.install.migrations import PGMQ, lock

_STATE = """
select n.nspowner = to_regrole(quote_ident(current_user)) as is_owner, n.nspowner::regrole::text as owner,
    substring(obj_description(n.oid, 'pg_namespace') from '^pgmq ([0-9.]+)$') as version,
    exists (select from pg_extension where extname = 'pgmq') as is_extension
from pg_namespace as n where n.nspname = 'pgmq'
"""
_FUNCTIONS = """
select p.oid::regprocedure::text as signature, p.proname as name, pg_get_functiondef(p.oid) as definition,
    pg_get_function_arguments(p.oid) || ' returns ' || pg_get_function_result(p.oid) as shape,
    p.proacl is not null and not exists (select from aclexplode(p.proacl) as a where a.grantee = 0) as is_private,
    array(
        select g.rolname from aclexplode(p.proacl) as a join pg_roles as g on g.oid = a.grantee
        where a.grantee <> p.proowner
    ) as grantees
from pg_proc as p where p.pronamespace = to_regnamespace('pgmq') and p.prokind = 'f'
"""
_COLUMNS = """
select c.relname as name, c.relkind = 'c' as is_type,
    array_agg(format('%I %s', a.attname, format_type(a.atttypid, a.atttypmod)) order by a.attnum) as columns
from pg_class as c
join pg_attribute as a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
where c.relnamespace = to_regnamespace('pgmq') and c.relkind in ('c', 'r', 'p')
group by c.oid
"""
_QUEUES = "select distinct lower(queue_name) as name from pgmq.meta order by 1"
# Partitioned queues whose ids pg_partman cannot insert; pgmq changed it in 1.12.1.
_GENERATED_ALWAYS = """
select format('pgmq.%I', c.relname) as name
from pgmq.meta as m
join pg_class as c on c.relname = 'q_' || lower(m.queue_name) and c.relnamespace = 'pgmq'::regnamespace
join pg_attribute as a on a.attrelid = c.oid and a.attname = 'msg_id' and a.attidentity = 'a'
where m.is_partitioned
order by 1
"""
_PROBE = "pgmq_gateway_probe"


@dataclass(frozen=True, slots=True)
class _Function:
    """A function of pgmq.

    shape       its parameters and its result, which `create or replace` cannot change
    is_private  whether EXECUTE was revoked from PUBLIC
    grantees    other roles with EXECUTE than the owner and PUBLIC
    """

    signature: str
    name: str
    definition: str
    shape: str
    is_private: bool
    grantees: Sequence[str]


@dataclass(frozen=True, slots=True)
class _Contents:
    """The schema pgmq: functions by signature, columns of types and tables by name."""

    functions: Mapping[str, _Function]
    types: Mapping[str, Sequence[str]]
    tables: Mapping[str, Sequence[str]]


def shipped_version() -> str:
    """The version of pgmq's SQL in the package pgmq."""
    return (PGMQ / "VERSION").read_text().strip()


async def upgrade_pgmq(connection: Connection, *, only_check: bool = False) -> Sequence[str]:
    """Upgrade pgmq to the version of the package pgmq. Returns a line for each change: none if it has that version.

    only_check  roll back what was done

    Raises InstallError if pgmq is an extension, newer, of an unknown version, or has other tables.
    """
    transaction = connection.transaction()
    await transaction.start()
    keep = False
    try:
        await lock(connection)
        await use_catalog_names(connection)
        done = await _upgrade(connection)
        keep = not only_check
    except asyncpg.PostgresError as error:
        raise InstallError(": ".join(part for part in (error.message, error.detail) if part)) from None
    finally:
        await (transaction.commit() if keep else transaction.rollback())
    return done


async def _upgrade(connection: Connection) -> Sequence[str]:
    version, wanted = await _version(connection), shipped_version()
    if version == wanted:
        return []
    if _order(version) > _order(wanted):
        raise InstallError(f"pgmq {version} is newer than {wanted}, the version that this pgmq-gateway has")
    # Calls on a partitioned queue wait behind the statement that changes its identity. Functions come in any order.
    await connection.execute("set local lock_timeout = '3s'; set local check_function_bodies = off")
    new, present = await _trial(connection), await _contents(connection)
    await _refuse_other_tables(connection, version, new, present)
    changes = [*_type_changes(version, new, present), *_function_changes(new, present)]
    changes += [
        (
            f"changed: identity of table {row['name']}",
            f"alter table {row['name']} alter msg_id set generated by default",
        )
        for row in await connection.fetch(_GENERATED_ALWAYS)
    ]
    for _, statement in changes:
        await connection.execute(statement)
    await connection.execute(f"comment on schema pgmq is 'pgmq {wanted}'")
    return [f"upgraded: pgmq {version} to {wanted}", *dict.fromkeys(what for what, _ in changes)]


async def _version(connection: Connection) -> str:
    row = await connection.fetchrow(_STATE)
    if row is None:
        raise InstallError("pgmq is not installed: run pgmq-gateway install")
    if row["is_extension"]:
        raise InstallError("pgmq is an extension here: run alter extension pgmq update, then pgmq-gateway install")
    if not row["is_owner"]:
        raise InstallError(f"role {row['owner']} owns pgmq: run this command as that role")
    if row["version"] is None:
        raise InstallError(
            "another program installed pgmq, and its version is not known: if it is 1.11.1, for example, run"
            " comment on schema pgmq is 'pgmq 1.11.1', then this command again"
        )
    return str(row["version"])


def _order(version: str) -> list[int]:
    return [int(part) for part in version.split(".") if part]


async def _trial(connection: Connection) -> _Contents:
    """The contents of a new pgmq with one queue."""
    trial = connection.transaction()
    await trial.start()
    try:
        await connection.execute(f"alter schema pgmq rename to {_PROBE}")
        await connection.execute((PGMQ / "pgmq.sql").read_text())
        await connection.execute("select pgmq.create($1)", _PROBE)
        return await _contents(connection)
    finally:
        await trial.rollback()


async def _contents(connection: Connection) -> _Contents:
    functions = [_Function(**row) for row in await connection.fetch(_FUNCTIONS)]
    columns = await connection.fetch(_COLUMNS)
    return _Contents(
        {function.signature: function for function in functions},
        {row["name"]: row["columns"] for row in columns if row["is_type"]},
        {row["name"]: row["columns"] for row in columns if not row["is_type"]},
    )


async def _refuse_other_tables(connection: Connection, version: str, new: _Contents, present: _Contents) -> None:
    wanted = dict(new.tables)
    queue, archive = wanted.pop(f"q_{_PROBE}"), wanted.pop(f"a_{_PROBE}")
    for row in await connection.fetch(_QUEUES):
        wanted |= {f"q_{row['name']}": queue, f"a_{row['name']}": archive}
    for table, columns in wanted.items():
        if lacking := set(columns) - set(present.tables.get(table, ())):
            missing = ", ".join(sorted(lacking))
            raise InstallError(
                f"pgmq {version} has other tables than {shipped_version()}, table pgmq.{table} lacks {missing}:"
                " upgrade it as pgmq's documentation says (versioned installation)"
            )


def _type_changes(version: str, new: _Contents, present: _Contents) -> Iterator[tuple[str, str]]:
    """Pairs of a description and a statement that adds attributes to a type."""
    for name, columns in new.types.items():
        before = present.types.get(name, [])
        if columns[: len(before)] != before or not before:
            raise InstallError(
                f"type pgmq.{name} of pgmq {version} cannot be extended: upgrade it as pgmq's documentation says"
            )
        for column in columns[len(before) :]:
            yield f"changed: type pgmq.{name}", f"alter type pgmq.{name} add attribute {column} cascade"


def _function_changes(new: _Contents, present: _Contents) -> Iterator[tuple[str, str]]:
    """The same for functions. Those of other names than pgmq's are kept."""
    names = {function.name for function in new.functions.values()}
    former = [
        function
        for signature, function in present.functions.items()
        if function.name in names
        and (signature not in new.functions or new.functions[signature].shape != function.shape)
    ]
    for function in former:
        yield f"dropped: function {function.signature}", f"drop function {function.signature}"
    gone = {function.signature for function in former}
    for signature, function in new.functions.items():
        before = None if signature in gone else present.functions.get(signature)
        if before is not None and before.definition == function.definition:
            continue
        yield f"{'created' if before is None else 'replaced'}: function {signature}", function.definition
        if before is None:
            yield from _privileges(function, [each for each in former if each.name == function.name])


def _privileges(function: _Function, former: Iterable[_Function]) -> Iterator[tuple[str, str]]:
    """Give a function the privileges of those that it replaces."""
    what = f"created: function {function.signature}"
    for each in former:
        if each.is_private:
            yield what, f"revoke all on function {function.signature} from public"
        for role in each.grantees:
            name = '"' + role.replace('"', '""') + '"'
            yield what, f"grant execute on function {function.signature} to {name}"
