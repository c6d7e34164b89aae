"""A call: which function, with which arguments, as SQL that Postgres turns into JSON.

The statement is made of identifiers and types from the catalog, quoted here, and nothing else; what the caller sent
goes along as parameters: $1 the JSON body as it came, $2 the arguments of a query string as text.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Self

from app.arguments import Arguments
from app.catalog import Argument, Function, Result
from app.request import Described


@dataclass(frozen=True, slots=True)
class Call:
    """A function and its arguments: as a JSON object in `body`, or as text in `values`."""

    function: Function
    statement: str
    request: Described
    read_only: bool
    body: str | None = None
    values: Sequence[str] = ()

    @classmethod
    def of(cls, function: Function, arguments: Arguments, request: Described, *, read_only: bool) -> Self:
        """The call of `function` with `arguments`, which it takes."""
        if function.whole_body is not None:
            return cls(function, whole_body_statement(function), request, read_only, values=(arguments.whole,))
        if arguments.values:
            statement = text_statement(function, tuple(arguments.names))
            return cls(function, statement, request, read_only, values=arguments.values)
        statement = json_statement(function, frozenset(arguments.names))
        return cls(function, statement, request, read_only, body=arguments.body)


@dataclass(frozen=True, slots=True)
class Answer:
    """What Postgres made of a call. `body` is JSON text, None for a function that returns nothing."""

    function: Function
    row_count: int
    body: str | None


def quote(identifier: str) -> str:
    """An SQL identifier, whatever characters it has."""
    return '"' + identifier.replace('"', '""') + '"'


@lru_cache(maxsize=1024)
def json_statement(function: Function, names: frozenset[str]) -> str:
    """The statement of a call whose arguments are members of the JSON object $1.

    Postgres reads each member as its argument's type, so that numbers keep every digit, and a string holding a number
    does for an integer argument (json_to_record, as in PostgREST).
    """
    given = [argument for argument in function.arguments if argument.name in names]
    if not given:
        return _shaped(function, _source(function, ()))
    columns = ", ".join(f"{quote(argument.name)} {argument.sql_type}" for argument in given)
    values = ((argument, f"sent.{quote(argument.name)}") for argument in given)
    return _shaped(function, f"json_to_record($1) as sent ({columns}), lateral {_source(function, values)}")


@lru_cache(maxsize=1024)
def text_statement(function: Function, names: tuple[str, ...]) -> str:
    """The statement of a call whose arguments are, in the order of `names`, the elements of the text array $2."""
    place = {name: number for number, name in enumerate(names, start=1)}
    given = (argument for argument in function.arguments if argument.name in place)
    return _shaped(
        function,
        _source(function, ((argument, f"($2)[{place[argument.name]}]::{argument.sql_type}") for argument in given)),
    )


@lru_cache(maxsize=1024)
def whole_body_statement(function: Function) -> str:
    """The statement of a call whose only argument, which has no name, is the text ($2)[1]."""
    (argument,) = function.arguments
    return _shaped(function, f"{_name(function)}(($2)[1]::{argument.sql_type}) as {_alias(function)}")


def _source(function: Function, values: Iterable[tuple[Argument, str]]) -> str:
    """The function as an item of a FROM clause."""
    listed = ", ".join(f"{'variadic ' * a.variadic}{quote(a.name)} => {value}" for a, value in values)
    return f"{_name(function)}({listed}) as {_alias(function)}"


def _name(function: Function) -> str:
    return f"{quote(function.schema)}.{quote(function.name)}"


def _alias(function: Function) -> str:
    """One column `value` for scalars, the function's own columns for records."""
    return "call" if function.result is Result.RECORD else "call (value)"


def _shaped(function: Function, source: str) -> str:
    """SELECT total, row_count, body: a set as an array, one row as itself, nothing as NULL."""
    if function.result is Result.VOID:
        return f"select null::pg_catalog.int8, count(*), null::pg_catalog.text from {source}"
    # The subselect makes a row of what may be one column: a table of one column is a set of objects.
    value = "answer" if function.result is Result.RECORD else "answer.value"
    body = f"json_agg({value})" if function.returns_set else f"json_agg({value})->0"
    empty = "[]" if function.returns_set else "null"
    return (
        f"select null::pg_catalog.int8, count(*), coalesce(({body})::pg_catalog.text, '{empty}') "
        f"from (select call.* from {source}) as answer"
    )
