"""The schema cache: the functions of the exposed schemas, resolved by name and argument names."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache

import asyncpg

from pgmq_gateway.calls.columns import Column, Columns
from pgmq_gateway.database.driver import Connection
from pgmq_gateway.database.role_settings import DEFAULTS, TransactionSettings
from pgmq_gateway.errors import AmbiguousFunction, FunctionNotFound
from pgmq_gateway.postgrest.hints import nearest

MAX_RESOLVED_CALLS = 1024

# The arguments and the results of functions that receive messages.
QUEUE_ARGUMENTS = {"queue_name": "text", "queue_names": "text[]"}
MESSAGE_TYPES = ("pgmq.message_record", "pgmq_api.message")


class Result(StrEnum):
    """The kind of one row of a function's result."""

    VOID = "void"
    SCALAR = "scalar"
    RECORD = "record"


@dataclass(frozen=True, slots=True)
class Argument:
    """An argument of a function.

    name      empty for the single unnamed argument that receives the whole body
    type      the type's SQL name: `integer`, `jsonb[]`
    sql_type  the type's qualified name, which no object of another schema can shadow
    """

    name: str
    type: str
    sql_type: str
    required: bool
    variadic: bool = False


# Compared by identity, so that values cached by function do not outlive a reload of the catalog.
@dataclass(frozen=True, slots=True, eq=False)
class Function:
    """A function that can be called over HTTP.

    columns   the columns of its result, with their SQL types
    named     columns that a request can name: those of the result, and those computed from its rows
    relation  the name of the result's row type, as PostgREST's messages have it; None for scalars
    row_type  the qualified name of the result's composite type; None for other results
    settings  its own settings (ALTER FUNCTION … SET) that are applied before the call
    """

    schema: str
    name: str
    arguments: tuple[Argument, ...]
    result: Result
    returns_set: bool
    volatile: bool
    oid: int = 0
    columns: tuple[tuple[str, str], ...] = ()
    named: Mapping[str, Column] = field(default_factory=dict)
    relation: str | None = None
    row_type: str | None = None
    description: str | None = None
    settings: TransactionSettings = DEFAULTS
    names: frozenset[str] = field(init=False)
    required: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", frozenset(a.name for a in self.arguments if a.name))
        object.__setattr__(self, "required", frozenset(a.name for a in self.arguments if a.required))

    def takes(self, names: Collection[str]) -> bool:
        """True if these argument names include all required ones and no unknown one."""
        return self.whole_body is None and self.names.issuperset(names) and self.required.issubset(names)

    @property
    def is_anonymous_record(self) -> bool:
        """True if only each row of the result knows its columns (RETURNS record): in FROM it would need their list."""
        return self.result is Result.SCALAR and [type_ for _, type_ in self.columns] == ["pg_catalog.record"]

    @property
    def whole_body(self) -> str | None:
        """The type of the single unnamed argument that receives the whole body; None for other functions."""
        return self.arguments[0].type if self.arguments and not self.arguments[0].name else None

    @property
    def can_wait(self) -> bool:
        """True if the function receives messages, judged by its signature: then its caller can wait for some."""
        receives = self.volatile and self.returns_set and self.row_type in MESSAGE_TYPES
        return receives and any(QUEUE_ARGUMENTS.get(argument.name) == argument.type for argument in self.arguments)

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}({', '.join(f'{a.name} => {a.type}' for a in self.arguments)})"


# The functions whose input arguments all have names, and those with a single unnamed argument for the whole body.
# Defaults belong to the last input arguments. Run with an empty search_path, so that type names are qualified.
FUNCTIONS = """
select
    p.oid,
    n.nspname as schema,
    p.proname as name,
    i.names,
    i.types,
    i.sql_types,
    p.pronargs - p.pronargdefaults as required,
    p.provariadic <> 0 as variadic,
    p.proretset as returns_set,
    p.provolatile = 'v' as volatile,
    case
        when p.prorettype = 'void'::regtype then 'void'
        when k.is_rows then 'record'
        else 'scalar'
    end as result,
    case when k.is_rows then t.typname end as relation,
    case when t.typtype = 'c' then t.oid end as row_oid,
    case when t.typtype = 'c' then format('%I.%I', rn.nspname, t.typname) end as row_type,
    c.names as column_names,
    c.types as column_types,
    c.oids as column_oids,
    s.settings,
    pg_catalog.obj_description(p.oid, 'pg_proc') as description
from pg_catalog.pg_proc p
join pg_catalog.pg_namespace n on n.oid = p.pronamespace
join pg_catalog.pg_type r on r.oid = p.prorettype
join pg_catalog.pg_type t on t.oid = coalesce(nullif(r.typbasetype, 0), r.oid)
join pg_catalog.pg_namespace rn on rn.oid = t.typnamespace
cross join lateral (
    select coalesce(p.proargmodes && '{o,b,t}'::"char"[], false) or t.typtype = 'c' as is_rows
) k
cross join lateral (
    select
        coalesce(array_agg(coalesce(a.name, '') order by a.position), '{}') as names,
        coalesce(array_agg(pg_catalog.format_type(a.type, null) order by a.position), '{}') as types,
        coalesce(array_agg(format('%I.%I', tn.nspname, t.typname) order by a.position), '{}') as sql_types
    from unnest(
        coalesce(p.proallargtypes, p.proargtypes::oid[]),
        p.proargnames,
        p.proargmodes
    ) with ordinality as a (type, name, mode, position)
    join pg_catalog.pg_type t on t.oid = a.type
    join pg_catalog.pg_namespace tn on tn.oid = t.typnamespace
    where coalesce(a.mode, 'i') in ('i', 'b', 'v')
) i
cross join lateral (
    -- Output arguments, or the attributes of a composite type, or the one value of a scalar.
    select
        coalesce(array_agg(o.name order by o.position), '{}') as names,
        coalesce(array_agg(format('%I.%I', tn.nspname, ot.typname) order by o.position), '{}') as types,
        coalesce(array_agg(o.type order by o.position), '{}') as oids
    from (
        select a.name, a.type, a.position
        from unnest(p.proallargtypes, p.proargnames, p.proargmodes) with ordinality as a (type, name, mode, position)
        where a.mode in ('o', 'b', 't')
        union all
        select a.attname, a.atttypid, a.attnum
        from pg_catalog.pg_attribute a
        where a.attrelid = t.typrelid and t.typrelid <> 0 and a.attnum > 0 and not a.attisdropped
        union all
        select 'pgrst_scalar', t.oid, 1
        where t.typrelid = 0 and not coalesce(p.proargmodes && '{o,b,t}'::"char"[], false)
    ) o
    join pg_catalog.pg_type ot on ot.oid = o.type
    join pg_catalog.pg_namespace tn on tn.oid = ot.typnamespace
) c
cross join lateral (
    select coalesce(array_agg(v.pair order by v.name, v.place), '{}') as settings
    from unnest(p.proconfig) as c (setting)
    cross join lateral (
        select split_part(c.setting, '=', 1), substr(c.setting, strpos(c.setting, '=') + 1)
    ) as n (name, value)
    cross join lateral (values (n.name, n.name, 1), (n.name, n.value, 2)) as v (name, pair, place)
    where v.name = any ($2)
) s
where n.nspname = any ($1)
  and p.prokind = 'f'
  and p.prorettype <> all ('{trigger,event_trigger,internal,language_handler}'::regtype[])
  and (
      array_position(i.names, '') is null
      or i.names = '{""}' and i.types[1] in ('json', 'jsonb', 'text', 'xml', 'bytea')
  )
order by 2, 3, i.names
"""


# Settings of the roles that the login role can switch to, as far as it can set them itself.
ROLE_SETTINGS = """
select
    r.rolname as role,
    -- Settings for this database follow those for all databases, and the last one wins.
    array_agg(v.pair order by s.setdatabase <> 0, v.name, v.place) as settings
from pg_catalog.pg_db_role_setting s
join pg_catalog.pg_roles r on r.oid = s.setrole
cross join lateral unnest(s.setconfig) as c (setting)
cross join lateral (
    select split_part(c.setting, '=', 1), substr(c.setting, strpos(c.setting, '=') + 1)
) as n (name, value)
cross join lateral (values (n.name, n.name, 1), (n.name, n.value, 2)) as v (name, pair, place)
where s.setdatabase in (0, (select oid from pg_catalog.pg_database where datname = current_database()))
  and r.rolname <> session_user
  and pg_has_role(session_user, r.oid, 'member')
  and v.name <> all (array['role', 'session_authorization'])
  and coalesce(
      (
          select p.context = 'user' or (p.context = 'superuser' and {granted})
          from pg_catalog.pg_settings p
          where p.name = v.name
      ),
      v.name like '%.%'
  )
group by r.rolname
"""


# GRANT SET ON PARAMETER, from Postgres 15 on.
PARAMETER_GRANTED = "pg_catalog.has_parameter_privilege(session_user, p.name, 'SET')"


COMMENTS = """
select n.nspname as name, d.comment
from pg_catalog.pg_namespace n
cross join lateral pg_catalog.obj_description(n.oid, 'pg_namespace') as d (comment)
where n.nspname = any ($1)
"""


class Catalog:
    """The functions of the exposed schemas, and the settings of roles, at one moment."""

    def __init__(
        self,
        functions: Iterable[Function],
        roles: Mapping[str, TransactionSettings] | None = None,
        comments: Mapping[str, str | None] | None = None,
    ) -> None:
        self._roles = roles or {}
        # Comments on the schemas that exist.
        self.comments = comments or {}
        self._functions: dict[tuple[str, str], list[Function]] = {}
        for function in functions:
            self._functions.setdefault((function.schema, function.name), []).append(function)
        self.resolve = lru_cache(MAX_RESOLVED_CALLS)(self._resolve)

    def settings_of(self, role: str) -> TransactionSettings:
        """The settings of a role (ALTER ROLE … SET)."""
        return self._roles.get(role, DEFAULTS)

    def __iter__(self) -> Iterator[Function]:
        return (function for overloads in self._functions.values() for function in overloads)

    def _resolve(self, schema: str, name: str, arguments: tuple[str, ...], body_types: tuple[str, ...]) -> Function:
        """The function that takes these arguments, or otherwise the one for a whole body of these types.

        Raises FunctionNotFound or AmbiguousFunction with PostgREST's texts.
        """
        overloads = self._functions.get((schema, name), ())
        found = [function for function in overloads if function.takes(arguments) and _receives(function, body_types)]
        found = found or [function for function in overloads if function.whole_body in body_types]
        if len(found) == 1:
            return found[0]
        if found:
            listed = ", ".join(map(str, sorted(found, key=_rank)))
            raise AmbiguousFunction(
                f"Could not choose the best candidate function between: {listed}",
                hint="Try renaming the parameters or the function itself in the database so function overloading "
                "can be resolved",
            )
        hint = self._hint(schema, name, sorted(arguments)) if _by_name(body_types) else None
        raise _not_found(f"{schema}.{name}", sorted(arguments), body_types, hint)

    def _hint(self, schema: str, name: str, arguments: list[str]) -> str | None:
        """A suggestion: an overload with similar arguments, or a function with a similar name."""
        overloads = self._functions.get((schema, name))
        if overloads:
            lists = [f"({', '.join(sorted(overload.names))})" for overload in overloads]
            found = nearest(f"({', '.join(arguments)})", lists, 0.33)
            suggested = None if found is None else f"{name}{found}"
        else:
            suggested = nearest(name, (other for where, other in self._functions if where == schema), 0.75)
        return None if suggested is None else f"Perhaps you meant to call the function {schema}.{suggested}"


def _by_name(body_types: Collection[str]) -> bool:
    """True if the request names its arguments; a body of text or bytes does not."""
    return not body_types or "json" in body_types


def _receives(function: Function, body_types: Collection[str]) -> bool:
    """True unless the body is text or bytes and the function has no argument. As in PostgREST, one with default values
    for all of them ignores such a body: browsers send text/plain with an empty string."""
    return _by_name(body_types) or bool(function.arguments)


def _rank(function: Function) -> tuple[int, list[tuple[str, str]]]:
    """The place of a candidate in PostgREST's message."""
    return len(function.arguments), [(argument.name, argument.type) for argument in function.arguments]


def _not_found(function: str, arguments: list[str], body_types: Collection[str], hint: str | None) -> FunctionNotFound:
    if not _by_name(body_types):
        return FunctionNotFound(
            f"Could not find the function {function} in the schema cache",
            f"Searched for the function {function} with a single unnamed {''.join(body_types)} parameter, "
            "but no matches were found in the schema cache.",
        )
    listed = ", ".join(arguments)
    plural = "s" if len(arguments) > 1 else ""
    signature = f"{function}({listed})" if arguments else f"{function} without parameters"
    searched = f" with parameter{plural} {listed}" if arguments else " without parameters"
    unnamed = " or with a single unnamed json/jsonb parameter" if body_types else ""
    return FunctionNotFound(
        f"Could not find the function {signature} in the schema cache",
        f"Searched for the function {function}{searched}{unnamed}, but no matches were found in the schema cache.",
        hint,
        arguments,
    )


async def load(
    connection: Connection, schemas: Iterable[str], hoisted: Iterable[str] = (), extra: Sequence[str] = ()
) -> Catalog:
    """Read the functions of `schemas`.

    hoisted  names of settings of functions that are kept (db-hoisted-tx-settings)
    extra    the schemas behind a function's own in its search path
    """
    async with connection.transaction(readonly=True):
        await connection.execute("select pg_catalog.set_config('search_path', '', true)")
        rows = await connection.fetch(FUNCTIONS, list(schemas), list(hoisted))
        granted = PARAMETER_GRANTED if connection.get_server_version().major >= 15 else "false"
        roles = await connection.fetch(ROLE_SETTINGS.format(granted=granted))
        comments = await connection.fetch(COMMENTS, list(schemas))
        types = {oid for row in rows for oid in row["column_oids"]}
        composite = {row["row_oid"] for row in rows if row["row_oid"]}
        columns = await Columns.load(connection, types, composite, {*schemas, *extra})
    settings = {row["role"]: TransactionSettings.of(row["settings"]) for row in roles}
    return Catalog(
        (_function(row, columns, extra) for row in rows), settings, {row["name"]: row["comment"] for row in comments}
    )


def _function(row: asyncpg.Record, columns: Columns, extra: Sequence[str]) -> Function:
    last = len(row["names"]) - 1
    arguments = tuple(
        Argument(name, type_, sql_type, place < row["required"], variadic=row["variadic"] and place == last)
        for place, (name, type_, sql_type) in enumerate(zip(row["names"], row["types"], row["sql_types"], strict=True))
    )
    return Function(
        schema=row["schema"],
        name=row["name"],
        arguments=arguments,
        result=Result(row["result"]),
        returns_set=row["returns_set"],
        volatile=row["volatile"],
        oid=row["oid"],
        columns=tuple(zip(row["column_names"], row["column_types"], strict=True)),
        named=columns.of(
            zip(row["column_names"], row["column_oids"], strict=True), row["row_oid"], (row["schema"], *extra)
        ),
        relation=row["relation"],
        row_type=row["row_type"],
        description=row["description"],
        settings=TransactionSettings.of(row["settings"]),
    )
