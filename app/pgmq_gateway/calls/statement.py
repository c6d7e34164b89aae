"""A call as one SQL statement that gives total, row_count and body.

The statement is made of identifiers and types from the catalog, quoted here, and of fixed words; all that the caller
sent goes along as parameters: $1 is the JSON body as it came, $2 an array of texts.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

from pgmq_gateway.calls.catalog import Argument, Function, Result
from pgmq_gateway.postgrest.arguments import Arguments
from pgmq_gateway.postgrest.grammar import OPERATORS, TEXT_SEARCHES
from pgmq_gateway.postgrest.media import ARRAY, Representation, Shape
from pgmq_gateway.postgrest.shaping import Condition, Field, Group, Ordering, Selected, Shaping
from pgmq_gateway.queue_functions import SCHEMA, SIGNATURES

PLAIN = Shaping()
SCALAR = "pgrst_scalar"
# Types whose names are more than an identifier, so that they cannot be quoted.
SPELLED = frozenset({
    "bigint", "bit varying", "boolean", "character", "character varying", "char", "dec", "decimal", "double precision",
    "float", "int", "integer", "numeric", "real", "smallint", "time", "time with time zone", "time without time zone",
    "timestamp", "timestamp with time zone", "timestamp without time zone", "varchar",
})  # fmt: skip


@dataclass(slots=True)
class Parameters:
    """The texts of $2, as they are collected."""

    texts: list[str] = field(default_factory=list)

    def add(self, text: str, sql_type: str | None = None) -> str:
        """A reference to one more text, read as a type."""
        self.texts.append(text)
        reference = f"($2)[{len(self.texts)}]"
        return f"{reference}::{sql_type}" if sql_type else reference


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL and the texts that it takes as $2."""

    sql: str
    texts: tuple[str, ...] = ()


def quote(identifier: str) -> str:
    """An SQL identifier, whatever characters it has."""
    return '"' + identifier.replace('"', '""') + '"'


def statement(
    function: Function, arguments: Arguments, shaping: Shaping, representation: Representation, *, counted: bool
) -> Statement:
    """The statement that calls `function` and shapes what it returns; `counted`: with the total before any limit."""
    made = _statement(function, arguments, shaping, representation, counted=counted)
    if representation.plan is None:
        return made
    return replace(made, sql=f"explain ({', '.join(representation.plan)}) {made.sql}")


def _statement(
    function: Function, arguments: Arguments, shaping: Shaping, representation: Representation, *, counted: bool
) -> Statement:
    if shaping == PLAIN and not counted and not arguments.values and function.whole_body is None:
        return _plain(function, frozenset(arguments.names), representation)
    parameters = Parameters()
    source = _source(function, arguments, parameters)
    if function.result is Result.VOID:
        # With no rows wanted the function is not called, as with all others.
        source = source if shaping.limit != 0 else f"(select from {source} limit 0) as nothing"
        return Statement(_nothing(source, counted=counted), tuple(parameters.texts))
    name = _row_name(function)
    where = _where(function, shaping, parameters)
    columns = _columns(function, shaping, parameters)
    rows = f"select {columns} from source as {name}{where}{_rest(function, shaping, parameters)}"
    total = f"(select pg_catalog.count(*) from source as {name}{where})" if counted else "null::pg_catalog.int8"
    sql = (
        f"with source as (select call.* from {source}) "
        f"select {total}, pg_catalog.count(*), {_body(function, shaping, representation, parameters)} "
        f"from ({rows}) as answer"
    )
    return Statement(sql, tuple(parameters.texts))


@lru_cache(maxsize=1024)
def _plain(function: Function, names: frozenset[str], representation: Representation) -> Statement:
    """The statement of nearly all calls: arguments from a JSON object, the result as it is."""
    signature = f"{function.name}({','.join(sorted(names))})"
    if function.schema == SCHEMA and signature in SIGNATURES and representation is ARRAY:
        # Postgres has it as a prepared plan: pgmq_gateway.plain_call.
        return Statement(signature)
    source = _json_source(function, names)
    if function.result is Result.VOID:
        return Statement(_nothing(source, counted=False))
    parameters = Parameters()
    body = _body(function, PLAIN, representation, parameters)
    # The subselect makes a row of what may be one column: a table of one column is a set of objects.
    sql = f"select null::pg_catalog.int8, pg_catalog.count(*), {body} from (select call.* from {source}) as answer"
    return Statement(sql, tuple(parameters.texts))


def _nothing(source: str, *, counted: bool) -> str:
    total = "pg_catalog.count(*)" if counted else "null::pg_catalog.int8"
    return f"select {total}, pg_catalog.count(*), null::pg_catalog.text from {source}"


def _source(function: Function, arguments: Arguments, parameters: Parameters) -> str:
    """The function called with its arguments, as an item of a FROM clause named `call`."""
    if function.whole_body is not None:
        (argument,) = function.arguments
        return f"{_name(function)}({parameters.add(arguments.whole, argument.sql_type)}) as {_alias(function)}"
    if not arguments.values:
        return _json_source(function, frozenset(arguments.names))
    given = (
        (argument, _text_value(argument, arguments.values[argument.name], parameters))
        for argument in function.arguments
        if argument.name in arguments.values
    )
    return _called(function, given)


def _text_value(argument: Argument, texts: Sequence[str], parameters: Parameters) -> str:
    """An argument that came as text: of one that is repeated the last counts, and a variadic one takes them all."""
    if not argument.variadic:
        return parameters.add(texts[-1], argument.sql_type)
    listed = ", ".join(parameters.add(text) for text in texts)
    return f"array[{listed}]::{argument.sql_type}"


def _json_source(function: Function, names: frozenset[str]) -> str:
    """Postgres reads each member as its argument's type, so that numbers keep every digit, and a string that holds a
    number does for an integer argument (json_to_record, as in PostgREST)."""
    given = [argument for argument in function.arguments if argument.name in names]
    if not given:
        return _called(function, ())
    columns = ", ".join(f"{quote(argument.name)} {argument.sql_type}" for argument in given)
    called = _called(function, ((argument, f"sent.{quote(argument.name)}") for argument in given))
    return f"pg_catalog.json_to_record($1) as sent ({columns}), lateral {called}"


def _called(function: Function, values: Iterable[tuple[Argument, str]]) -> str:
    listed = ", ".join(f"{'variadic ' * a.variadic}{quote(a.name)} => {value}" for a, value in values)
    return f"{_name(function)}({listed}) as {_alias(function)}"


def _name(function: Function) -> str:
    return f"{quote(function.schema)}.{quote(function.name)}"


def _alias(function: Function) -> str:
    return "call" if function.result is Result.RECORD else f"call ({SCALAR})"


def _row_name(function: Function) -> str:
    """What Postgres calls a row in its messages, as PostgREST has it."""
    return "pgrst_call" if function.result is Result.RECORD else quote(function.name)


def _body(function: Function, shaping: Shaping, representation: Representation, parameters: Parameters) -> str:
    if representation.shape is Shape.CSV:
        return _csv(function, shaping, parameters)
    if representation.shape is Shape.GEOJSON:
        # PostGIS' function, wherever the search path has it.
        features = "coalesce(pg_catalog.json_agg(st_asgeojson(answer)::pg_catalog.json), '[]')"
        return f"pg_catalog.json_build_object('type', 'FeatureCollection', 'features', {features})::pg_catalog.text"
    scalar = function.result is Result.SCALAR and shaping.select == PLAIN.select
    alone = representation.shape is Shape.OBJECT
    # A single object of a set of scalars names the scalar; one value stays what it is.
    value = f"answer.{SCALAR}" if scalar and not (alone and function.returns_set) else "answer"
    aggregated = f"pg_catalog.json_agg({value})"
    if representation.strip_nulls:
        aggregated = f"pg_catalog.json_strip_nulls({aggregated})"
    if alone or not function.returns_set:
        return f"coalesce(({aggregated}->0)::pg_catalog.text, 'null')"
    return f"coalesce({aggregated}::pg_catalog.text, '[]')"


def _csv(function: Function, shaping: Shaping, parameters: Parameters) -> str:
    """A line of names, if there are rows, and the rows in Postgres' own notation of a row, which is that of CSV."""
    names = [name for selected in shaping.select for name in _output_names(function, selected)]
    header = parameters.add(",".join(_csv_name(name) for name in names))
    # A row's text is a line of CSV in parentheses.
    row = "answer::pg_catalog.text"
    lines = f"pg_catalog.string_agg(pg_catalog.substr({row}, 2, pg_catalog.length({row}) - 2), E'\\n')"
    return f"case when pg_catalog.count(*) > 0 then {header} else '' end || E'\\n' || coalesce({lines}, '')"


def _csv_name(name: str) -> str:
    special = any(character in name for character in ',"\n\r')
    return '"' + name.replace('"', '""') + '"' if special else name


def _output_names(function: Function, selected: Selected) -> list[str]:
    if selected.field is None:
        return [column for column, _ in function.columns]
    return [_output_name(selected)]


def _output_name(selected: Selected) -> str:
    assert selected.field is not None
    keys = [step.key for step in selected.field.path if isinstance(step.key, str)]
    return selected.alias or (keys[-1] if keys else selected.field.name)


def _columns(function: Function, shaping: Shaping, parameters: Parameters) -> str:
    return ", ".join(_column(function, selected, parameters) for selected in shaping.select)


def _column(function: Function, selected: Selected, parameters: Parameters) -> str:
    if selected.field is None:
        return f"{_row_name(function)}.*"
    value = _value(function, selected.field, parameters)
    if selected.cast is not None:
        value = f"cast({value} as {_type(selected.cast)})"
    return f"{value} as {quote(_output_name(selected))}"


def _type(name: str) -> str:
    """The name of a type that a caller wrote: one of the spelled ones, or an identifier."""
    return name.lower() if name.lower() in SPELLED else quote(name)


def _value(function: Function, place: Field, parameters: Parameters) -> str:
    value = f"{_row_name(function)}.{quote(place.name)}"
    if place.path:
        value = f"pg_catalog.to_jsonb({value})"
    for step in place.path:
        key = str(step.key) if isinstance(step.key, int) else parameters.add(step.key)
        value += f"{'->>' if step.as_text else '->'}({key})"
    return value


def _where(function: Function, shaping: Shaping, parameters: Parameters) -> str:
    if not shaping.conditions:
        return ""
    return " where " + " and ".join(_condition(function, one, parameters) for one in shaping.conditions)


def _condition(function: Function, condition: Condition | Group, parameters: Parameters) -> str:
    if isinstance(condition, Group):
        members = (_condition(function, member, parameters) for member in condition.members)
        rendered = f"({f' {condition.conjunction} '.join(members)})"
    else:
        rendered = f"({_comparison(function, condition, parameters)})"
    return f"not {rendered}" if condition.negated else rendered


def _comparison(function: Function, condition: Condition, parameters: Parameters) -> str:
    value = _value(function, condition.field, parameters)
    sql_type = _field_type(function, condition.field)
    if condition.operator == "is":
        return f"{value} is {condition.values[0].replace('_', ' ')}"
    if condition.operator == "in":
        listed = ", ".join(parameters.add(text, sql_type) for text in condition.values)
        # As PostgREST does for an empty list. A constant would have the planner leave out the call.
        return f"{value} in ({listed})" if listed else f"{value} = any ('{{}}')"
    if condition.operator in TEXT_SEARCHES:
        return _text_search(value, condition, sql_type, parameters)
    text = condition.values[0]
    if condition.operator in ("like", "ilike"):
        text, sql_type = text.replace("*", "%"), "pg_catalog.text"
    elif condition.operator in ("match", "imatch"):
        sql_type = "pg_catalog.text"
    if condition.quantifier is not None:
        reference = parameters.add(text, _array(sql_type or "pg_catalog.text"))
        return f"{value} {OPERATORS[condition.operator]} {condition.quantifier} ({reference})"
    return f"{value} {OPERATORS[condition.operator]} {parameters.add(text, sql_type)}"


def _array(sql_type: str) -> str:
    """The type of an array of these; arrays of arrays are of the same type (their names begin with an underscore)."""
    return sql_type if sql_type.partition(".")[2].lstrip('"').startswith("_") else f"{sql_type}[]"


def _text_search(value: str, condition: Condition, sql_type: str | None, parameters: Parameters) -> str:
    language = parameters.add(condition.language, "pg_catalog.regconfig") + ", " if condition.language else ""
    vector = value if sql_type == "pg_catalog.tsvector" else f"pg_catalog.to_tsvector({language}{value})"
    return (
        f"{vector} @@ pg_catalog.{TEXT_SEARCHES[condition.operator]}({language}{parameters.add(condition.values[0])})"
    )


def _field_type(function: Function, place: Field) -> str | None:
    """The type that a value compared to this field is read as; None where only Postgres can tell."""
    if place.path:
        return "pg_catalog.text" if place.path[-1].as_text else "pg_catalog.jsonb"
    return dict(function.columns).get(place.name)


def _rest(function: Function, shaping: Shaping, parameters: Parameters) -> str:
    order = ", ".join(_ordered(function, one, parameters) for one in shaping.order)
    limit = "" if shaping.limit is None else f" limit {shaping.limit:d}"
    offset = f" offset {shaping.offset:d}" if shaping.offset else ""
    return (f" order by {order}" if order else "") + limit + offset


def _ordered(function: Function, ordering: Ordering, parameters: Parameters) -> str:
    direction = {None: "", True: " desc", False: " asc"}[ordering.descending]
    nulls = {None: "", True: " nulls first", False: " nulls last"}[ordering.nulls_first]
    return _value(function, ordering.field, parameters) + direction + nulls
