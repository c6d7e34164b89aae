"""Applies files of functions and views, and drops functions and views that no file creates any more.

Never with CASCADE.
"""

from collections.abc import Iterable, Mapping, Sequence, Set

import asyncpg

from pgmq_gateway.database.driver import Connection
from pgmq_gateway.install import records
from pgmq_gateway.install.catalog import Entry, Key, entries
from pgmq_gateway.install.findings import InstallError
from pgmq_gateway.install.operator_settings import operator_settings, restore
from pgmq_gateway.install.records import Shipped
from pgmq_gateway.install.scripts import Creation, Script, Statement
from pgmq_gateway.schemas import QUEUES

# Objects that depend on a function or a view. A view depends by its rule, and is referenced by its row type too.
_DEPENDENTS = """
select distinct
    coalesce(v.oid, d.objid) as oid,
    pg_describe_object(
        case when v.oid is null then d.classid else 'pg_class'::regclass end,
        coalesce(v.oid, d.objid),
        case when v.oid is null then d.objsubid else 0 end
    ) as description
from pg_catalog.pg_depend as d
left join pg_catalog.pg_rewrite as r on d.classid = 'pg_rewrite'::regclass and r.oid = d.objid
left join pg_catalog.pg_class as v on v.oid = r.ev_class
where d.deptype in ('n', 'a')
  and coalesce(v.oid, d.objid) <> $1
  and (
      (d.refclassid in ('pg_proc'::regclass, 'pg_class'::regclass) and d.refobjid = $1)
      or (
          d.refclassid = 'pg_type'::regclass
          and d.refobjid in (
              select unnest(array[t.oid, t.typarray]) from pg_catalog.pg_type as t where t.typrelid = $1
          )
      )
  )
"""

# CREATE OR REPLACE refuses another result, other columns or another kind of object.
_NOT_IN_PLACE = (asyncpg.InvalidFunctionDefinitionError, asyncpg.InvalidTableDefinitionError)


class Applying:
    """One run over the files, inside a transaction and after `use_catalog_names`.

    scripts  all files, in order
    todo     paths of the files to apply; dropping a function adds the files of its dependents
    present  the functions and views of the database
    owners   the roles that the installer can give functions to; it keeps those for other roles
    """

    def __init__(
        self,
        connection: Connection,
        scripts: Sequence[Script],
        shipped: Mapping[Key, Shipped],
        installer: str,
        todo: Iterable[str],
        present: Iterable[Key],
        owners: Set[str] = frozenset(),
    ) -> None:
        self._connection = connection
        self._scripts = scripts
        self._shipped = dict(shipped)
        self._installer = installer
        self._todo = set(todo)
        # Looking each of them up would take a quarter of the time of a first installation.
        self._present = {(key.kind, key.schema, key.name) for key in present}
        self._owners = owners
        self._made: dict[Key, str] = {}

    async def run(self) -> None:
        """Apply the files and those of dependents, then drop functions and views that no file creates any more."""
        # As in a dump: a function can call one that is created later.
        await self._connection.execute("set local check_function_bodies = off")
        # Hundreds of look-ups in the catalog: planning takes longer than executing them.
        await self._connection.execute("set local plan_cache_mode = force_generic_plan")
        applied = set()
        while self._todo:
            script = next(script for script in self._scripts if script.path in self._todo)
            self._todo.remove(script.path)
            await self._apply(script)
            applied.add(script.path)
        removed = {record.file for record in self._shipped.values()} - {script.path for script in self._scripts}
        former = [
            key
            for key, record in self._shipped.items()
            if key.schema != QUEUES and record.file in applied | removed and key not in self._made
        ]
        for key in former:
            await self._drop(key)

    async def _apply(self, script: Script) -> None:
        made: list[Key] = []
        remaining = list(script.creations)
        for statement in script.statements:
            creation = statement.creation
            if creation is None:
                if statement.owner is None:
                    await self._connection.execute(statement.text)
                elif statement.owner[1] in self._owners:
                    await self._connection.execute(_giving(statement, script))
                continue
            made.append(await self._create(creation, statement))
            remaining.remove(creation)
            if creation not in remaining:
                # Statements that follow can name the function without arguments, so it must have no overload.
                for key in [key for key in self._shipped if _is(key, creation) and key not in made]:
                    await self._drop(key)
        present = await entries(self._connection, [script.schema], [key.name for key in made])
        md5s = {key: present[key].md5 for key in made}
        self._made |= md5s
        self._shipped |= {key: Shipped(md5, script.path) for key, md5 in md5s.items()}
        await records.record(self._connection, script, md5s)

    async def _create(self, creation: Creation, statement: Statement) -> Key:
        name = (creation.kind, creation.schema, creation.name)
        named = await self._named(creation) if name in self._present else []
        self._present.add(name)
        if named:
            entry, settings = await self._replace(creation, statement, named)
        else:
            await self._connection.execute(statement.text)
            (entry,), settings = await self._named(creation), {}
        # CREATE OR REPLACE keeps the owner.
        await self._own(entry)
        identity = await self._identity(entry.key)
        await restore(self._connection, identity, creation, settings)
        # GRANT and REVOKE accept no keyword VIEW.
        await self._connection.execute(f"revoke all on {identity.removeprefix('view ')} from public")
        return entry.key

    async def _replace(
        self, creation: Creation, statement: Statement, named: Sequence[Entry]
    ) -> tuple[Entry, Mapping[str, str]]:
        """Replace an overload, or add one. Returns it, with the settings that the operator gave it."""
        for entry in named:
            if entry.key in self._shipped:
                await self._own(entry)
        settings = await operator_settings(self._connection, creation)
        before = await self._places(creation)
        try:
            async with self._connection.transaction():
                await self._connection.execute(statement.text)
        except _NOT_IN_PLACE:
            keys = [entry.key for entry in await self._named(creation)]
            for key in [key for key in keys if key in self._shipped] or keys:
                await self._drop(key)
            before = await self._places(creation)
            await self._connection.execute(statement.text)
        (made,) = (await self._places(creation)).items() - before.items()
        entry = next(entry for entry in await self._named(creation) if entry.oid == made[0])
        return entry, settings.get(made[0], {})

    async def _named(self, creation: Creation) -> list[Entry]:
        present = await entries(self._connection, [creation.schema], [creation.name])
        return [entry for key, entry in present.items() if _is(key, creation)]

    async def _places(self, creation: Creation) -> dict[int, str]:
        """The catalog row (ctid) of each overload, by oid: replacing an overload moves its row."""
        rows = await self._connection.fetch(
            "select oid, ctid::text from pg_catalog.pg_proc"
            " where $3 in ('function', 'procedure') and proname = $1 and pronamespace = to_regnamespace($2)"
            " union all select oid, ctid::text from pg_catalog.pg_class"
            " where $3 = 'view' and relname = $1 and relnamespace = to_regnamespace($2)",
            creation.name,
            creation.schema,
            creation.kind,
        )
        return {row["oid"]: row["ctid"] for row in rows}

    async def _own(self, entry: Entry) -> None:
        if entry.owner == self._installer:
            return
        try:
            async with self._connection.transaction():
                await self._connection.execute(f"alter {await self._identity(entry.key)} owner to current_user")
        except asyncpg.InsufficientPrivilegeError:
            raise InstallError(
                f"{entry.key} is owned by {entry.owner}, and {self._installer} cannot take ownership: "
                f"install as {entry.owner} or as a superuser"
            ) from None

    async def _drop(self, key: Key) -> None:
        """Drop a function or a view, after the gateway's own dependents, whose files are applied again.

        Raises InstallError for any other dependent.
        """
        present = await entries(self._connection)
        entry = present.get(key)
        if entry is not None:
            own = {other.oid: other.key for other in present.values() if other.key in self._shipped}
            for row in await self._connection.fetch(_DEPENDENTS, entry.oid):
                dependent = own.get(row["oid"])
                if dependent is None or dependent.schema == QUEUES:
                    raise InstallError(
                        f"cannot replace or drop {key}: {row['description']} depends on it; drop that, install again,"
                        " and create it again"
                    )
                file = self._shipped[dependent].file
                await self._drop(dependent)
                self._todo |= {file} & {script.path for script in self._scripts}
            await self._connection.execute(f"drop {await self._identity(key)}")
        self._shipped.pop(key, None)
        self._made.pop(key, None)
        await records.forget(self._connection, [key])

    async def _identity(self, key: Key) -> str:
        quoted = await self._connection.fetchval("select format('%I.%I', $1::text, $2::text)", key.schema, key.name)
        return f"{key.kind} {quoted}" + ("" if key.kind == "view" else f"({key.arguments})")


def _giving(statement: Statement, script: Script) -> str:
    """The change of an owner, who needs CREATE on the schema for it, and must not keep that."""
    assert statement.owner is not None
    _, owner = statement.owner
    schema = script.schema
    return (
        f"grant create on schema {schema} to {owner}; {statement.text}; revoke create on schema {schema} from {owner}"
    )


def _is(key: Key, creation: Creation) -> bool:
    return (key.kind, key.schema, key.name) == (creation.kind, creation.schema, creation.name)
