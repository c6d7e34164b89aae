"""Renders a call as one SQL statement that returns total, row_count, body and, for some, returned.

The statement consists of fixed words and of quoted identifiers. All values of the client are parameters: $1 is the JSON
body as sent, $2 an array of texts.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

from pgmq_gateway.calls.catalog import Argument, Function, Result
from pgmq_gateway.calls.columns import Column
from pgmq_gateway.database.identifiers import quote
from pgmq_gateway.postgrest.arguments import Arguments
from pgmq_gateway.postgrest.grammar import OPERATORS, TEXT_SEARCHES
from pgmq_gateway.postgrest.media import ARRAY, Representation, Shape
from pgmq_gateway.postgrest.shaping import Condition, Field, Group, Ordering, Selected, Shaping
from pgmq_gateway.queue_functions import PLAIN_CALLS, Kind, QueueFunction, queue_function, signature

PLAIN = Shaping()
# Operators whose time depends on more than the length of what they compare.
SEARCHES = frozenset({"like", "ilike", "match", "imatch", *TEXT_SEARCHES})
# The names that PostgREST gives to a function in FROM, and to a value that it returns.
CALL, SCALAR = "pgrst_call", "pgrst_scalar"
# The columns that JSON paths are.
TEXT, JSON = Column("pg_catalog.text"), Column("pg_catalog.jsonb")
# Type names of SQL's grammar, which cannot be quoted.
UNQUOTED_TYPES = frozenset({
    "bigint", "bit varying", "boolean", "character", "character varying", "char", "dec", "decimal", "double precision",
    "float", "int", "integer", "numeric", "real", "smallint", "time", "time with time zone", "time without time zone",
    "timestamp", "timestamp with time zone", "timestamp without time zone", "varchar",
})  # fmt: skip


@dataclass(slots=True)
class Parameters:
    """The texts of $2."""

    texts: list[str] = field(default_factory=list)

    def add(self, text: str, sql_type: str | None = None) -> str:
        """Append a text. Returns a reference to it, with a cast."""
        self.texts.append(text)
        reference = f"($2)[{len(self.texts)}]"
        return f"{reference}::{sql_type}" if sql_type else reference


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL, and the texts of $2.

    filtered   whether it filters the result
    searching  whether a filter matches patterns or searches text: a short pattern can take hours
    """

    sql: str
    texts: tuple[str, ...] = ()
    filtered: bool = False
    searching: bool = False


def statement(
    function: Function, arguments: Arguments, shaping: Shaping, representation: Representation, *, counted: bool
) -> Statement:
    """The statement that calls `function` and shapes its result. `counted` adds the total before limit and offset."""
    unshaped = shaping == PLAIN and not counted and not arguments.values and function.whole_body is None
    if unshaped and not _is_counted(function, representation):
        rendered = _plain(function, frozenset(arguments.names), representation)
    else:
        rendered = _shaped(function, arguments, shaping, representation, counted=counted)
    if representation.plan is None:
        return rendered
    return replace(rendered, sql=f"explain ({', '.join(representation.plan)}) {rendered.sql}")


def _shaped(
    function: Function, arguments: Arguments, shaping: Shaping, representation: Representation, *, counted: bool
) -> Statement:
    parameters = Parameters()
    source = _source(function, arguments, parameters)
    if function.result is Result.VOID:
        # As with other functions, limit=0 keeps the function from being called.
        source = source if shaping.limit != 0 else f"(select from {source} limit 0) as nothing"
        return Statement(_void(source, counted=counted), tuple(parameters.texts))
    name = _row_name(function)
    extra = "".join(f", {CALL}.{quote(column)}" for column in _unknown_columns(function, shaping))
    where = _where(function, shaping, parameters)
    columns = _columns(function, shaping, parameters)
    rows = f"select {columns} from source as {name}{where}{_rest(function, shaping, parameters)}"
    total = f"(select pg_catalog.count(*) from source as {name}{where})" if counted else "null::pg_catalog.int8"
    sql = (
        f"with source as (select {CALL}.*{extra} from {source}) "
        f"select {total}, pg_catalog.count(*), {_body(function, shaping, representation, parameters)}"
        f"{_returned(function, shaping, representation, counted=counted)} from ({rows}) as answer"
    )
    return Statement(sql, tuple(parameters.texts), bool(shaping.conditions), _searches(shaping.conditions))


def _returned(function: Function, shaping: Shaping, representation: Representation, *, counted: bool) -> str:
    """A column with the number of messages before shaping, for rate limits.

    In a plan, whose columns EXPLAIN discards, it is a setting of the transaction.
    """
    known = _metered(function)
    # To count the rows would call the function.
    if known is None or (shaping.limit == 0 and not counted):
        return ""
    number = f"coalesce(pg_catalog.sum({quote(known.counted_in)}), 0)" if known.counted_in else "pg_catalog.count(*)"
    count = f"(select {number}::pg_catalog.int8 from source)"
    if representation.plan is None:
        return f", {count}"
    return f", pg_catalog.set_config('pgmq_gateway.returned', {count}::pg_catalog.text, true)"


def _metered(function: Function) -> QueueFunction | None:
    """The row of a function whose messages rate limits count."""
    known = queue_function(function.schema, function.name)
    return None if known is None or known.kind is Kind.SETTLE else known


def _is_counted(function: Function, representation: Representation) -> bool:
    """True if a response does not show the number of messages even without shaping."""
    known = _metered(function)
    return known is not None and (representation.plan is not None or known.counted_in != "")


@lru_cache(maxsize=1024)
def _plain(function: Function, names: frozenset[str], representation: Representation) -> Statement:
    """Nearly all calls: arguments from a JSON object, and no shaping."""
    plain = signature(function.schema, function.name, names)
    if plain in PLAIN_CALLS and representation is ARRAY:
        # pgmq_gateway.plain_call contains this statement, whose plan Postgres caches.
        return Statement(plain)
    source = _json_source(function, names)
    if function.result is Result.VOID:
        return Statement(_void(source, counted=False))
    parameters = Parameters()
    body = _body(function, PLAIN, representation, parameters)
    # The subselect makes a row of a single column: the rows of a table of one column are objects.
    sql = f"select null::pg_catalog.int8, pg_catalog.count(*), {body} from (select {CALL}.* from {source}) as answer"
    return Statement(sql, tuple(parameters.texts))


def _void(source: str, *, counted: bool) -> str:
    total = "pg_catalog.count(*)" if counted else "null::pg_catalog.int8"
    return f"select {total}, pg_catalog.count(*), null::pg_catalog.text from {source}"


def _source(function: Function, arguments: Arguments, parameters: Parameters) -> str:
    """The function with its arguments as an item of FROM, named CALL."""
    if function.whole_body is not None:
        (argument,) = function.arguments
        return _item(function, parameters.add(arguments.whole, argument.sql_type))
    if not arguments.values:
        return _json_source(function, frozenset(arguments.names))
    given = (
        (argument, _text_value(argument, arguments.values[argument.name], parameters))
        for argument in function.arguments
        if argument.name in arguments.values
    )
    return _called(function, given)


def _text_value(argument: Argument, texts: Sequence[str], parameters: Parameters) -> str:
    """An argument of a query string or form. The last of repeated ones counts; a variadic one receives all."""
    if not argument.variadic:
        return parameters.add(texts[-1], argument.sql_type)
    listed = ", ".join(parameters.add(text) for text in texts)
    return f"array[{listed}]::{argument.sql_type}"


def _json_source(function: Function, names: frozenset[str]) -> str:
    """json_to_record, as in PostgREST: numbers keep every digit, and integer arguments accept strings of digits."""
    given = [argument for argument in function.arguments if argument.name in names]
    if not given:
        return _called(function, ())
    columns = ", ".join(f"{quote(argument.name)} {argument.sql_type}" for argument in given)
    called = _called(function, ((argument, f"sent.{quote(argument.name)}") for argument in given))
    return f"pg_catalog.json_to_record($1) as sent ({columns}), lateral {called}"


def _called(function: Function, values: Iterable[tuple[Argument, str]]) -> str:
    return _item(function, ", ".join(f"{'variadic ' * a.variadic}{quote(a.name)} => {value}" for a, value in values))


def _item(function: Function, arguments: str) -> str:
    called = f"{quote(function.schema)}.{quote(function.name)}({arguments})"
    if function.is_anonymous_record:
        return f"(select {called}) as {CALL} ({SCALAR})"
    return f"{called} as {CALL}" if function.result is Result.RECORD else f"{called} as {CALL} ({SCALAR})"


def _row_name(function: Function) -> str:
    """The alias of the rows, which Postgres' messages show; that of PostgREST."""
    return quote(function.relation or function.name)


def _unknown_columns(function: Function, shaping: Shaping) -> list[str]:
    """Columns in `select` that the catalog does not have: a new computed one, or one that is not there.

    As in PostgREST they are selected from the function, so that messages name that, and not from its rows.
    """
    if function.result is not Result.RECORD or any(selected.field is None for selected in shaping.select):
        return []
    selected = dict.fromkeys(one.field.name for one in shaping.select if one.field is not None)
    return [name for name in selected if name not in function.named]


def _body(function: Function, shaping: Shaping, representation: Representation, parameters: Parameters) -> str:
    if representation.shape is Shape.CSV:
        return _csv(function, shaping, parameters)
    if representation.shape is Shape.GEOJSON:
        # A function of PostGIS, found by the search_path.
        features = "coalesce(pg_catalog.json_agg(st_asgeojson(answer)::pg_catalog.json), '[]')"
        return f"pg_catalog.json_build_object('type', 'FeatureCollection', 'features', {features})::pg_catalog.text"
    scalar = function.result is Result.SCALAR and shaping.select == PLAIN.select
    single = representation.shape is Shape.OBJECT
    # As in PostgREST, a single object of a set of scalars has the member pgrst_scalar.
    value = f"answer.{SCALAR}" if scalar and not (single and function.returns_set) else "answer"
    aggregated = f"pg_catalog.json_agg({value})"
    if representation.strip_nulls:
        aggregated = f"pg_catalog.json_strip_nulls({aggregated})"
    if single or not function.returns_set:
        return f"coalesce(({aggregated}->0)::pg_catalog.text, 'null')"
    return f"coalesce({aggregated}::pg_catalog.text, '[]')"


def _csv(function: Function, shaping: Shaping, parameters: Parameters) -> str:
    """A header, if there are rows, and the rows. The text of a Postgres row is a line of CSV in parentheses."""
    names = [name for selected in shaping.select for name in _output_names(function, selected)]
    header = parameters.add(",".join(_csv_name(name) for name in names))
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
    """A client's name of a type as SQL."""
    return name.lower() if name.lower() in UNQUOTED_TYPES else quote(name)


def _value(function: Function, place: Field, parameters: Parameters) -> str:
    column, row = function.named.get(place.name), _row_name(function)
    value = f"{row}.{quote(place.name)}"
    if column is not None and column.computed is not None:
        # Of an anonymous row, Postgres cannot choose between functions of one name.
        value = f"{column.computed}(({row}.*)::{function.row_type})"
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


def _searches(conditions: Iterable[Condition | Group]) -> bool:
    """True if one of the filters matches patterns or searches text."""
    return any(_searches(one.members) if isinstance(one, Group) else one.operator in SEARCHES for one in conditions)


def _condition(function: Function, condition: Condition | Group, parameters: Parameters) -> str:
    if isinstance(condition, Group):
        members = (_condition(function, member, parameters) for member in condition.members)
        rendered = f"({f' {condition.conjunction} '.join(members)})"
    else:
        rendered = f"({_comparison(function, condition, parameters)})"
    return f"not {rendered}" if condition.negated else rendered


def _comparison(function: Function, condition: Condition, parameters: Parameters) -> str:
    value = _value(function, condition.field, parameters)
    column = _compared(function, condition.field)
    if condition.operator == "is":
        return f"{value} is {condition.values[0].replace('_', ' ')}"
    if condition.operator == "in":
        sql_type = column.operand("=") if column else None
        listed = ", ".join(parameters.add(text, sql_type) for text in condition.values)
        # As in PostgREST. For a constant condition the planner would remove the call.
        return f"{value} in ({listed})" if listed else f"{value} = any ('{{}}')"
    if condition.operator in TEXT_SEARCHES:
        return _text_search(value, condition, column, parameters)
    text, sql_type = condition.values[0], column.operand(OPERATORS[condition.operator]) if column else None
    if condition.operator in ("like", "ilike"):
        text = text.replace("*", "%")
    if condition.quantifier is not None:
        reference = parameters.add(text, _array(sql_type or "pg_catalog.text"))
        return f"{value} {OPERATORS[condition.operator]} {condition.quantifier} ({reference})"
    return f"{value} {OPERATORS[condition.operator]} {parameters.add(text, sql_type)}"


def _array(sql_type: str) -> str:
    """The array type of a type; that of an array type (`_int4`) is the type itself."""
    return sql_type if sql_type.partition(".")[2].lstrip('"').startswith("_") else f"{sql_type}[]"


def _text_search(value: str, condition: Condition, column: Column | None, parameters: Parameters) -> str:
    language = parameters.add(condition.language, "pg_catalog.regconfig") + ", " if condition.language else ""
    is_vector = column is not None and column.sql_type == "pg_catalog.tsvector"
    vector = value if is_vector else f"pg_catalog.to_tsvector({language}{value})"
    return (
        f"{vector} @@ pg_catalog.{TEXT_SEARCHES[condition.operator]}({language}{parameters.add(condition.values[0])})"
    )


def _compared(function: Function, place: Field) -> Column | None:
    """The column of a field; None if only Postgres knows it."""
    if place.path:
        return TEXT if place.path[-1].as_text else JSON
    return function.named.get(place.name)


def _rest(function: Function, shaping: Shaping, parameters: Parameters) -> str:
    order = ", ".join(_ordered(function, one, parameters) for one in shaping.order)
    limit = "" if shaping.limit is None else f" limit {shaping.limit:d}"
    offset = f" offset {shaping.offset:d}" if shaping.offset else ""
    return (f" order by {order}" if order else "") + limit + offset


def _ordered(function: Function, ordering: Ordering, parameters: Parameters) -> str:
    direction = {None: "", True: " desc", False: " asc"}[ordering.descending]
    nulls = {None: "", True: " nulls first", False: " nulls last"}[ordering.nulls_first]
    return _value(function, ordering.field, parameters) + direction + nulls
