"""The query string that shapes a result: select, filters, order, limit and offset, read into a tree.

The grammar is PostgREST's, for one table without relations (wire contract, sections 4.5, 4.6 and 8). Nothing here is
SQL: `statement.py` renders the tree with quoted identifiers and parameters.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from app.errors import InvalidQuery, InvalidRange, UnknownRelation

T = TypeVar("T")

# What an operator is called, and what it is in SQL.
OPERATORS = {
    "eq": "=", "gte": ">=", "gt": ">", "lte": "<=", "lt": "<", "neq": "<>", "like": "~~", "ilike": "~~*",
    "match": "~", "imatch": "~*", "cs": "@>", "cd": "<@", "ov": "&&", "sl": "<<", "sr": ">>", "nxr": "&<",
    "nxl": "&>", "adj": "-|-", "isdistinct": "is distinct from",
}  # fmt: skip
TEXT_SEARCHES = {
    "fts": "to_tsquery",
    "plfts": "plainto_tsquery",
    "phfts": "phraseto_tsquery",
    "wfts": "websearch_to_tsquery",
}
QUANTIFIABLE = frozenset({"eq", "gte", "gt", "lte", "lt", "like", "ilike", "match", "imatch"})
CONSTANTS = frozenset({"null", "not_null", "true", "false", "unknown"})

RESERVED = frozenset({"select", "order", "limit", "offset", "columns", "on_conflict", "and", "or", "not.and", "not.or"})
# Names of parameters that shape embedded resources, which functions of queues do not have.
DOTTED = re.compile(r"\.(order|limit|offset|and|or)$")
# A value that begins like one of these is a filter and no argument.
FILTER = re.compile(rf"(not|is|in|{'|'.join([*OPERATORS, *TEXT_SEARCHES])})(\([^)]*\))?\.")


@dataclass(frozen=True, slots=True)
class Step:
    """One step into JSON: to a member or an element, as JSON or, at the end, as text."""

    key: str | int
    as_text: bool


@dataclass(frozen=True, slots=True)
class Field:
    """A column, or a place inside a column that holds JSON."""

    name: str
    path: tuple[Step, ...] = ()


@dataclass(frozen=True, slots=True)
class Selected:
    """A field of the result; `field` None stands for all columns."""

    field: Field | None
    alias: str | None = None
    cast: str | None = None


@dataclass(frozen=True, slots=True)
class Condition:
    """One comparison. `quantifier` any or all: `values` is compared to each; `operator` in: to any of the values."""

    field: Field
    operator: str
    values: tuple[str, ...]
    negated: bool = False
    quantifier: str | None = None
    language: str | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """Conditions of which all (`and`) or one (`or`) must hold."""

    conjunction: str
    members: "tuple[Condition | Group, ...]"
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Ordering:
    """A field to sort by; None where the database's own default holds."""

    field: Field
    descending: bool | None = None
    nulls_first: bool | None = None


@dataclass(frozen=True, slots=True)
class Shaping:
    """What becomes of the rows that a function returns."""

    select: tuple[Selected, ...] = (Selected(None),)
    conditions: "tuple[Condition | Group, ...]" = ()
    order: tuple[Ordering, ...] = ()
    limit: int | None = None
    offset: int = 0


Pairs = Sequence[tuple[str, str]]


def split_arguments(pairs: Pairs) -> tuple[Pairs, Pairs]:
    """The parameters of a GET that are arguments, and those that shape the result."""
    arguments = [(name, value) for name, value in pairs if not _reserved(name) and not FILTER.match(value)]
    shaping = [(name, value) for name, value in pairs if _reserved(name) or FILTER.match(value)]
    return arguments, shaping


def _reserved(name: str) -> bool:
    return name in RESERVED or DOTTED.search(name) is not None


def read_shaping(pairs: Pairs) -> Shaping:
    """The shaping in query parameters. Raises InvalidQuery with PostgREST's texts, UnknownRelation or InvalidRange."""
    last = dict(pairs)
    conditions: list[Condition | Group] = []
    for name, value in pairs:
        if name in ("and", "or", "not.and", "not.or"):
            conditions.append(_group(name, value))
        elif not _reserved(name):
            conditions.append(_filter(name, value))
    select = _parsed(last["select"], _selection, "select parameter") if last.get("select") else (Selected(None),)
    order = _parsed(last["order"], _orderings, "order") if last.get("order") else ()
    limit, offset = _number(last.get("limit")), _number(last.get("offset"))
    if limit is not None and limit < 0:
        raise InvalidRange("Requested range not satisfiable", "Limit should be greater than or equal to zero.")
    return Shaping(select, tuple(conditions), order, limit, max(offset or 0, 0))


def within_range(shaping: Shaping, range_: str) -> Shaping:
    """Shaping narrowed to a Range header (`0-9`, `5-`); one that cannot be read does not count. Raises InvalidRange."""
    found = re.fullmatch(r"(?:items[= ])?([0-9]{1,18})-([0-9]{0,18})", range_.strip())
    if found is None:
        return shaping
    first, last = int(found[1]), int(found[2]) if found[2] else None
    if last is None:
        return replace(shaping, offset=max(shaping.offset, first))
    if last < first:
        raise InvalidRange(
            "Requested range not satisfiable", "The lower boundary must be lower than or equal to the upper boundary."
        )
    width = last - first + 1
    limit = width if shaping.limit is None else min(shaping.limit, width)
    return replace(shaping, offset=max(shaping.offset, first), limit=limit)


def _number(text: str | None) -> int | None:
    """PostgREST takes what is no number as if it were not there."""
    return int(text) if text is not None and re.fullmatch(r"-?[0-9]{1,18}", text) else None


class Scanner:
    """A text and a place in it."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.place = 0

    @property
    def rest(self) -> str:
        """What has not been read yet."""
        return self.text[self.place :]

    def take(self, pattern: str) -> str | None:
        """What matches here, read; None when nothing does."""
        found = re.compile(pattern, re.DOTALL).match(self.text, self.place)
        if found is None:
            return None
        self.place = found.end()
        return found[0]

    def expect(self, pattern: str, what: str) -> str:
        """What matches here. Raises SyntaxFault."""
        found = self.take(pattern)
        if found is None:
            raise SyntaxFault(self, what)
        return found


class SyntaxFault(Exception):
    """What was found where something else was expected."""

    def __init__(self, scanner: Scanner, expecting: str) -> None:
        found = f'"{scanner.rest[0]}"' if scanner.rest else "end of input"
        super().__init__(f"unexpected {found} expecting {expecting}")
        self.column = scanner.place + 1


def _parsed(text: str, rule: Callable[[Scanner], T], what: str) -> T:
    """All of `text` by a rule of the grammar. Raises InvalidQuery."""
    scanner = Scanner(text)
    try:
        value = rule(scanner)
        if scanner.rest:
            raise SyntaxFault(scanner, "end of input")
    except SyntaxFault as fault:
        message = f'"failed to parse {what} ({text})" (line 1, column {fault.column})'
        raise InvalidQuery(message, str(fault)) from None
    except RecursionError:
        raise InvalidQuery(f"failed to parse {what}: it is nested too deep") from None
    return value


def _separated(scanner: Scanner, item: Callable[[Scanner], T]) -> tuple[T, ...]:
    found = [item(scanner)]
    while scanner.take(","):
        found.append(item(scanner))
    return tuple(found)


def _quoted(scanner: Scanner) -> str | None:
    """A value in double quotes, with backslashes before quotes and backslashes."""
    found = scanner.take(r'"(?:[^"\\]|\\.)*"')
    return None if found is None else re.sub(r"\\(.)", r"\1", found[1:-1], flags=re.DOTALL)


def _name(scanner: Scanner) -> str:
    quoted = _quoted(scanner)
    if quoted is not None:
        return quoted
    return scanner.expect(r"[\w $]+(?:-(?!>)[\w $]+)*", "field name (* or [a..z0..9_$])").strip()


def _field(scanner: Scanner) -> Field:
    name, path = _name(scanner), []
    while arrow := scanner.take(r"->>?"):
        # More digits than an element's number has make a member's name.
        index = scanner.take(r"-?[0-9]{1,9}(?=$|->|::|[.,)])")
        path.append(Step(_name(scanner) if index is None else int(index), as_text=arrow == "->>"))
    return Field(name, tuple(path))


def _selection(scanner: Scanner) -> tuple[Selected, ...]:
    return _separated(scanner, _selected)


def _selected(scanner: Scanner) -> Selected:
    if scanner.take(r"\*"):
        return Selected(None)
    alias = None
    start = scanner.place
    name = _name(scanner)
    if scanner.take(r":(?!:)"):
        alias = name
    else:
        scanner.place = start
    field = _field(scanner)
    if scanner.take(r"(!\w+)*\("):
        if not scanner.take(r"\)"):
            _selection(scanner)
            scanner.expect(r"\)", '"," or ")"')
        raise UnknownRelation(field.name)
    cast = scanner.expect(r"[A-Za-z_][\w ]*(\[\])?", "type name") if scanner.take("::") else None
    return Selected(field, alias, cast)


def _orderings(scanner: Scanner) -> tuple[Ordering, ...]:
    return _separated(scanner, _ordering)


def _ordering(scanner: Scanner) -> Ordering:
    field = _field(scanner)
    direction = scanner.take(r"\.(asc|desc)\b")
    nulls = scanner.take(r"\.nulls(first|last)\b")
    return Ordering(
        field,
        None if direction is None else direction == ".desc",
        None if nulls is None else nulls == ".nullsfirst",
    )


def _filter(name: str, value: str) -> Condition:
    field = _parsed(name, _field, "tree path")

    def whole(scanner: Scanner) -> Condition:
        return _comparison(scanner, field, r".*")

    return _parsed(value, whole, "filter")


def _group(name: str, value: str) -> Group:
    negated, conjunction = name.startswith("not."), name.removeprefix("not.")

    def members(scanner: Scanner) -> Group:
        return Group(conjunction, _members(scanner), negated)

    return _parsed(value, members, "logic tree")


def _members(scanner: Scanner) -> tuple[Condition | Group, ...]:
    scanner.expect(r"\(", '"("')
    found = _separated(scanner, _member)
    scanner.expect(r"\)", '"," or ")"')
    return found


def _member(scanner: Scanner) -> Condition | Group:
    if word := scanner.take(r"(not\.)?(and|or)(?=\()"):
        return Group(word.removeprefix("not."), _members(scanner), word.startswith("not."))
    field = _field(scanner)
    scanner.expect(r"\.", '"."')
    # Inside a group a value ends at a comma or a parenthesis, unless it is quoted or a list in braces.
    return _comparison(scanner, field, r"\{[^}]*\}|[^,)]*")


def _comparison(scanner: Scanner, field: Field, value: str) -> Condition:
    negated = scanner.take(r"not\.") is not None
    operator = scanner.expect(r"[a-z]+(?=[.(])", '"not" or operator (eq, gt, ...)') if _at_operator(scanner) else None
    if operator is None:
        raise SyntaxFault(scanner, '"not" or operator (eq, gt, ...)')
    modifier = scanner.take(r"\([^)]*\)")
    inside = None if modifier is None else modifier[1:-1]
    quantifier = inside if operator in QUANTIFIABLE and inside in ("any", "all") else None
    if modifier is not None and quantifier is None and operator not in TEXT_SEARCHES:
        raise SyntaxFault(scanner, '"." after the operator')
    scanner.expect(r"\.", '"."')
    values = _values(scanner, operator, value)
    return Condition(field, operator, values, negated, quantifier, inside if operator in TEXT_SEARCHES else None)


def _at_operator(scanner: Scanner) -> bool:
    found = re.match(r"([a-z]+)[.(]", scanner.rest)
    return found is not None and (found[1] in OPERATORS or found[1] in TEXT_SEARCHES or found[1] in ("in", "is"))


def _values(scanner: Scanner, operator: str, value: str) -> tuple[str, ...]:
    if operator == "in":
        scanner.expect(r"\(", '"("')
        if scanner.take(r"\)"):
            return ()
        found = _separated(scanner, _element)
        scanner.expect(r"\)", '"," or ")"')
        return found
    if operator == "is":
        constant = scanner.expect(r"[A-Za-z_]+", "null, not_null, true, false or unknown").lower()
        if constant not in CONSTANTS:
            raise SyntaxFault(scanner, "null, not_null, true, false or unknown")
        return (constant,)
    # Quotes belong to the value of a filter that stands alone.
    quoted = _quoted(scanner) if value != r".*" else None
    return (scanner.expect(value, "value") if quoted is None else quoted,)


def _element(scanner: Scanner) -> str:
    quoted = _quoted(scanner)
    return scanner.expect(r"[^,)]*", "value") if quoted is None else quoted
