"""The functions and views of pgmq_gateway and pgmq_admin: applied again where the database differs from the files."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import asyncpg

from pgmq_gateway.database.driver import Connection
from pgmq_gateway.install import records
from pgmq_gateway.install.catalog import EVERYBODY, Entry, Key, entries
from pgmq_gateway.install.findings import Finding, InstallError
from pgmq_gateway.install.records import Shipped
from pgmq_gateway.install.scripts import PUBLIC, Creation, Script, Statement

# Objects that depend on a function or a view, a view's rule counted as the view. A view is also a type.
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

# Why Postgres cannot replace a function or a view in place: other results, other columns, or another kind of object.
_NOT_IN_PLACE = (asyncpg.InvalidFunctionDefinitionError, asyncpg.InvalidTableDefinitionError)


def findings(
    scripts: Sequence[Script],
    files: Mapping[str, str],
    shipped: Mapping[Key, Shipped],
    present: Mapping[Key, Entry],
    installer: str | None,
) -> dict[str, list[Finding]]:
    """What differs, by the path of the file that puts it right.

    files, shipped  the installer's records
    present         what the database has
    installer       the role that must own everything; None: leave owners aside
    """
    found = {}
    for script in scripts:
        if files.get(script.path) != script.checksum:
            found[script.path] = list(_outdated(script, present))
        else:
            made = [key for key, record in shipped.items() if record.file == script.path]
            found[script.path] = [
                *(finding for key in made for finding in _altered(key, shipped[key], present.get(key), installer)),
                *_lost_grants(script, [present[key] for key in made if key in present]),
            ]
    return {path: differences for path, differences in found.items() if differences}


def _outdated(script: Script, present: Mapping[Key, Entry]) -> Iterator[Finding]:
    names = {str(key) for key in present}
    for creation in dict.fromkeys(script.creations):
        yield Finding("outdated" if str(creation) in names else "missing", str(creation))


def _altered(key: Key, record: Shipped, entry: Entry | None, installer: str | None) -> Iterator[Finding]:
    if entry is None:
        yield Finding("missing", str(key))
        return
    if entry.md5 != record.md5:
        yield Finding("changed", str(key))
    if installer is not None and entry.owner != installer:
        yield Finding("owner", f"{key} belongs to {entry.owner}")
    if entry.allows(EVERYBODY, "EXECUTE"):
        yield Finding("open", f"EXECUTE on {key} for everybody")


def _lost_grants(script: Script, made: Sequence[Entry]) -> Iterator[Finding]:
    for grant in script.grants:
        for entry in made:
            named = (entry.key.schema, entry.key.name) == (grant.schema, grant.name)
            if named and not entry.allows(grant.grantee, grant.privilege):
                yield Finding("missing", f"{grant.privilege} on {entry.key} for {grant.grantee}")


class Applying:
    """One run over the files, inside a transaction whose search_path is `pg_catalog`.

    scripts  all files, in order
    todo     the paths of those that are to be applied; more may turn out to be needed
    """

    def __init__(
        self,
        connection: Connection,
        scripts: Sequence[Script],
        shipped: Mapping[Key, Shipped],
        installer: str,
        todo: Iterable[str],
    ) -> None:
        self._connection = connection
        self._scripts = scripts
        self._shipped = dict(shipped)
        self._installer = installer
        self._todo = set(todo)
        self._made: dict[Key, str] = {}

    async def run(self) -> None:
        """Apply files until nothing is left to do, then drop what no file makes any more."""
        # As in a dump: functions call each other in any order.
        await self._connection.execute("set local check_function_bodies = off")
        applied = set()
        while self._todo:
            script = next(script for script in self._scripts if script.path in self._todo)
            self._todo.remove(script.path)
            await self._apply(script)
            applied.add(script.path)
        gone = {record.file for record in self._shipped.values()} - {script.path for script in self._scripts}
        former = [
            key
            for key, record in self._shipped.items()
            if key.schema != PUBLIC and record.file in applied | gone and key not in self._made
        ]
        for key in former:
            await self._drop(key)

    async def _apply(self, script: Script) -> None:
        made: list[Key] = []
        remaining = list(script.creations)
        for statement in script.statements:
            creation = statement.creation
            if creation is None:
                await self._connection.execute(statement.text)
                continue
            made.append(await self._create(creation, statement))
            remaining.remove(creation)
            if creation not in remaining:
                # Before statements that name the function without its arguments.
                for key in [key for key in self._shipped if _is(key, creation) and key not in made]:
                    await self._drop(key)
        present = await entries(self._connection, [script.schema])
        md5s = {key: present[key].md5 for key in made}
        self._made |= md5s
        await records.record(self._connection, script, md5s)

    async def _create(self, creation: Creation, statement: Statement) -> Key:
        for entry in await self._named(creation):
            await self._own(entry)
        settings = await self._operator_settings(creation)
        before = await self._places(creation)
        try:
            async with self._connection.transaction():
                await self._connection.execute(statement.text)
        except _NOT_IN_PLACE:
            named = [entry.key for entry in await self._named(creation)]
            for key in [key for key in named if key in self._shipped] or named:
                await self._drop(key)
            before = await self._places(creation)
            await self._connection.execute(statement.text)
        (made,) = (await self._places(creation)).items() - before.items()
        key = next(entry.key for entry in await self._named(creation) if entry.oid == made[0])
        await self._restore_settings(key, settings.get(made[0], {}))
        return key

    async def _named(self, creation: Creation) -> list[Entry]:
        present = await entries(self._connection, [creation.schema])
        return [entry for key, entry in present.items() if _is(key, creation)]

    async def _places(self, creation: Creation) -> dict[int, str]:
        """Where the rows of all overloads lie in the catalog: replacing one moves its row."""
        rows = await self._connection.fetch(
            "select oid, ctid::text from pg_catalog.pg_proc"
            " where $3 = 'function' and proname = $1 and pronamespace = to_regnamespace($2)"
            " union all select oid, ctid::text from pg_catalog.pg_class"
            " where $3 = 'view' and relname = $1 and relnamespace = to_regnamespace($2)",
            creation.name,
            creation.schema,
            creation.kind,
        )
        return {row["oid"]: row["ctid"] for row in rows}

    async def _operator_settings(self, creation: Creation) -> dict[int, dict[str, str]]:
        """What ALTER FUNCTION … SET gave to each overload, a statement_timeout for example."""
        rows = await self._connection.fetch(
            "select p.oid, split_part(s, '=', 1) as name, substr(s, strpos(s, '=') + 1) as value"
            " from pg_catalog.pg_proc as p, unnest(p.proconfig) as s"
            " where proname = $1 and pronamespace = to_regnamespace($2) and s not like 'search_path=%'",
            creation.name,
            creation.schema,
        )
        found: dict[int, dict[str, str]] = {}
        for row in rows:
            found.setdefault(row["oid"], {})[row["name"]] = row["value"]
        return found

    async def _restore_settings(self, key: Key, settings: Mapping[str, str]) -> None:
        kept = (await self._operator_settings(Creation(key.kind, key.schema, key.name))).values()
        for name, value in settings.items():
            if not any(name in others for others in kept):
                change = await self._connection.fetchval(
                    "select format('set %I to %L', $1::text, $2::text)", name, value
                )
                await self._connection.execute(f"alter {await self._identity(key)} {change}")

    async def _own(self, entry: Entry) -> None:
        if entry.owner == self._installer:
            return
        try:
            async with self._connection.transaction():
                await self._connection.execute(f"alter {await self._identity(entry.key)} owner to current_user")
        except asyncpg.InsufficientPrivilegeError:
            raise InstallError(
                f"{entry.key} belongs to {entry.owner} and {self._installer} may not take it over: "
                f"install as {entry.owner} or as a superuser"
            ) from None

    async def _drop(self, key: Key) -> None:
        """Drop a function or a view, and first those of ours that depend on it; their files make them again."""
        present = await entries(self._connection)
        entry = present.get(key)
        if entry is not None:
            ours = {other.oid: other.key for other in present.values() if other.key in self._shipped}
            for row in await self._connection.fetch(_DEPENDENTS, entry.oid):
                dependent = ours.get(row["oid"])
                if dependent is None or dependent.schema == PUBLIC:
                    raise InstallError(
                        f"{key} changes, and {row['description']} depends on it: drop that, install again, and make "
                        "it anew"
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
        return f"{key.kind} {quoted}" + (f"({key.arguments})" if key.kind == "function" else "")


def _is(key: Key, creation: Creation) -> bool:
    return (key.kind, key.schema, key.name) == (creation.kind, creation.schema, creation.name)
