"""Columns of results, as filters need them: the types of values to compare them with, and computed columns."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from pgmq_gateway.database.driver import Connection
from pgmq_gateway.postgrest.grammar import OPERATORS

# LIKE and regular expressions, which most types have by an implicit cast to text.
PATTERN_OPERATORS = frozenset({"~~", "~~*", "~", "~*"})


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a result, or one computed from its rows.

    sql_type  for a domain, the type under it: a value that the domain forbids equals no row, which is no error
    operands  the type of an operator's right side, where Postgres would not take `sql_type` for a literal
    computed  the function that computes the column; None for one of the result
    """

    sql_type: str
    operands: Mapping[str, str] = field(default_factory=dict)
    computed: str | None = None

    def operand(self, operator: str) -> str:
        """The type of the right side of an operator."""
        return self.operands.get(operator) or ("pg_catalog.text" if operator in PATTERN_OPERATORS else self.sql_type)


class Computed(NamedTuple):
    """A function that computes a column: its qualified name, and its type's oid."""

    name: str
    function: str
    type: int


# As in Postgres' resolution of operators, a literal has the type of the other side if there is an operator for that;
# otherwise a single operator decides.
TYPES = """
with recursive bases as (
    select t.oid, t.oid as base from pg_catalog.pg_type t where t.oid = any ($1)
    union all
    select b.oid, t.typbasetype from bases b join pg_catalog.pg_type t on t.oid = b.base where t.typtype = 'd'
)
select
    b.oid,
    format('%I.%I', n.nspname, t.typname) as sql_type,
    coalesce(o.operators, '{}') as operators,
    coalesce(o.operands, '{}') as operands
from bases b
join pg_catalog.pg_type t on t.oid = b.base
join pg_catalog.pg_namespace n on n.oid = t.typnamespace
cross join lateral (
    select array_agg(o.oprname) as operators, array_agg(format('%I.%I', rn.nspname, r.typname)) as operands
    from (
        select o.oprname, case when bool_or(o.oprright = t.oid) then t.oid else min(o.oprright) end as operand
        from pg_catalog.pg_operator o
        where o.oprleft = t.oid and o.oprname = any ($2)
        group by o.oprname
        having bool_or(o.oprright = t.oid) or count(*) = 1
    ) o
    join pg_catalog.pg_type r on r.oid = o.operand
    join pg_catalog.pg_namespace rn on rn.oid = r.typnamespace
) o
where t.typtype <> 'd'
"""


COMPUTED = """
select
    p.proargtypes[0] as row_type,
    n.nspname as schema,
    p.proname as name,
    format('%I.%I', n.nspname, p.proname) as function,
    p.prorettype as type
from pg_catalog.pg_proc p
join pg_catalog.pg_namespace n on n.oid = p.pronamespace
where p.pronargs = 1
  and p.proargtypes[0] = any ($1)
  and n.nspname = any ($2)
  and p.prokind = 'f'
  and not p.proretset
"""


class Columns:
    """The types of columns, and the computed columns of composite types, in the catalog at one moment."""

    def __init__(self, types: Mapping[int, Column], computed: Mapping[tuple[int, str], list[Computed]]) -> None:
        self._types = types
        self._computed = computed

    @classmethod
    async def load(
        cls, connection: Connection, types: Collection[int], rows: Collection[int], schemas: Collection[str]
    ) -> "Columns":
        """The columns of these types, and of computed columns in these schemas of the composite types `rows`."""
        computed: dict[tuple[int, str], list[Computed]] = {}
        for row_type, schema, *found in await connection.fetch(COMPUTED, list(rows), list(schemas)):
            computed.setdefault((row_type, schema), []).append(Computed(*found))
        used = {*types, *(one.type for found in computed.values() for one in found)}
        records = await connection.fetch(TYPES, list(used), list(OPERATORS.values()))
        named = {
            row["oid"]: Column(row["sql_type"], dict(zip(row["operators"], row["operands"], strict=True)))
            for row in records
        }
        return cls(named, computed)

    def of(self, columns: Iterable[tuple[str, int]], row_type: int, search_path: Iterable[str]) -> dict[str, Column]:
        """The columns of a result by name; the first in the search path of those computed. Columns hide them."""
        computed = [one for schema in search_path for one in self._computed.get((row_type, schema), ())]
        found = {one.name: replace(self._types[one.type], computed=one.function) for one in reversed(computed)}
        return {**found, **{name: self._types[type_] for name, type_ in columns}}
