"""The query string: which of its parameters are arguments, and how the others shape the result."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import TypeVar

from pgmq_gateway.errors import InvalidQuery, InvalidRange
from pgmq_gateway.postgrest import grammar
from pgmq_gateway.postgrest.parsec import ParseError, Parser, before, either, end, parse, pure
from pgmq_gateway.postgrest.shaping import Condition, Embedded, Group, Ordering, Selected, Shaping

T = TypeVar("T")

Pairs = Sequence[tuple[str, str]]

# A parser made of small ones takes its time, so it is given no more than a client has use for.
MOST_PARAMETERS = 200
LONGEST = 4096

NEGATIVE_LIMIT = "Limit should be greater than or equal to zero."

RESERVED = frozenset({"select", "columns", "on_conflict"})
# The last part of the names of parameters that shape the result as a whole, or that of an embedded resource.
ENDINGS = frozenset({"order", "limit", "offset", "and", "or"})
# The value of a parameter that may be an argument: what does not begin as a filter is none.
ARGUMENT = either(grammar.filter_value, pure(None))


def read_query(pairs: Pairs, *, arguments: bool) -> tuple[Pairs, Shaping]:
    """The arguments among the parameters of a query string, if it may have any, and how the others shape the result.

    Raises InvalidQuery with PostgREST's texts, or InvalidRange.
    """
    if not pairs:
        return (), Shaping()
    if len(pairs) > MOST_PARAMETERS:
        raise InvalidQuery(f"The query string has more than {MOST_PARAMETERS} parameters")
    return _read_query(tuple(pairs), arguments=arguments)


# Clients ask for the same few shapes all the time.
@lru_cache(maxsize=256)
def _read_query(pairs: Pairs, *, arguments: bool) -> tuple[Pairs, Shaping]:
    order, related = _order(pairs)
    groups = [_group(name, value) for name, value in pairs if _ending(name) in ("and", "or")]
    selected = _read(grammar.selection, _first(pairs, "select") or "*", "select parameter", whole=True)
    given, filters = _filters(pairs, arguments=arguments)
    if conflict := _first(pairs, "on_conflict"):
        _read(grammar.columns, conflict, "on_conflict parameter")
    ranges = [name.partition(".")[0] for name, _ in pairs if _ending(name) in ("limit", "offset") and "." in name]
    aimed = [*(path[0] for path, _ in filters if path), *related, *ranges, *(path[0] for path, _ in groups if path)]
    last = dict(pairs)
    limit, offset = _number(last.get("limit")), _number(last.get("offset"))
    if limit is not None and limit < 0:
        raise InvalidRange("Requested range not satisfiable", NEGATIVE_LIMIT)
    return given, Shaping(
        select=tuple(item for item in selected if isinstance(item, Selected)) or (Selected(None),),
        conditions=tuple(condition for path, condition in (*filters, *groups) if not path),
        order=order,
        limit=limit,
        offset=max(offset or 0, 0),
        embedded=tuple(item for item in selected if isinstance(item, Embedded)),
        aimed=tuple(aimed),
    )


def read_columns(pairs: Pairs) -> tuple[str, ...] | None:
    """The names of arguments in `columns`. Raises InvalidQuery."""
    text = _first(pairs, "columns")
    return None if text is None else _read(grammar.columns, text, "columns parameter")


def within_range(shaping: Shaping, range_: str) -> Shaping:
    """Shaping narrowed to a Range header (`0-9`, `5-`); one that cannot be read does not count. Raises InvalidRange."""
    found = re.fullmatch(r"([0-9]{1,18})-([0-9]{0,18})", range_.strip())
    if found is None:
        return shaping
    first, last = int(found[1]), int(found[2]) if found[2] else None
    if last is not None and last < first:
        raise InvalidRange(
            "Requested range not satisfiable",
            "The lower boundary must be lower than or equal to the upper boundary in the Range header.",
        )
    # What both ask for, the header and limit and offset.
    first = max(shaping.offset, first)
    ends = [end for end in (last, shaping.limit and shaping.offset + shaping.limit - 1) if end is not None]
    limit = min(ends) - first + 1 if ends else None
    if limit is not None and limit < 0:
        raise InvalidRange("Requested range not satisfiable", NEGATIVE_LIMIT)
    return replace(shaping, offset=first, limit=limit)


def _order(pairs: Pairs) -> tuple[tuple[Ordering, ...], list[str]]:
    """The order of the rows, and the embedded resources that others are meant for. The first of a kind counts."""
    order: tuple[Ordering, ...] = ()
    aimed: list[str] = []
    for name, value in reversed(pairs):
        if _ending(name) == "order":
            path, _ = _read(grammar.tree_path, name, "tree path")
            terms = _read(grammar.orderings, value, "order")
            aimed[:0] = path[:1] or [term for term in terms if isinstance(term, str)]
            order = order if path else tuple(term for term in terms if isinstance(term, Ordering))
    return order, aimed


def _group(name: str, value: str) -> tuple[tuple[str, ...], Condition | Group]:
    """A group of filters: PostgREST reads it with the word that is its name in front, and counts from there."""
    path, word = _read(grammar.logic_path, name, "logic path")
    return path, _read(grammar.logic_tree, value, "logic tree", prefix=word)


def _filters(pairs: Pairs, *, arguments: bool) -> tuple[Pairs, list[tuple[tuple[str, ...], Condition | Group]]]:
    """The arguments and the filters among the parameters whose names have no other meaning."""
    given: list[tuple[str, str]] = []
    filters: list[tuple[tuple[str, ...], Condition | Group]] = []
    for name, value in pairs:
        if name in RESERVED or _ending(name) in ENDINGS:
            continue
        found = _read(ARGUMENT, value, "filter") if arguments else None
        if arguments and found is None:
            given.append((_argument_name(name), value))
            continue
        path, field = _read(grammar.tree_path, name, "tree path")
        filters.append((path, replace(found or _read(grammar.filter_value, value, "filter"), field=field)))
    return given, filters


def _argument_name(name: str) -> str:
    """The name of an argument, which may stand in quotes; PostgREST cuts a name that no column could have."""
    try:
        path, field = parse(before(grammar.tree_path, end), name)
    except (ParseError, RecursionError):
        return name
    return name if path or field.path else field.name


def _read(parser: Parser[T], text: str, what: str, *, prefix: str = "", whole: bool = False) -> T:
    """The beginning of `text`, or all of it, by a rule of the grammar. Raises InvalidQuery.

    PostgREST passes over what stands behind a filter, a group or a name.
    """
    # Values of filters are read at once, however long they are.
    if len(text) > LONGEST and what != "filter":
        raise InvalidQuery(f"failed to parse {what}: it is longer than {LONGEST} characters")
    try:
        return parse(before(parser, end) if whole else parser, prefix + text)
    except ParseError as error:
        message = f'"failed to parse {what} ({text})" (line {error.line}, column {error.column})'
        raise InvalidQuery(message, str(error)) from None
    except RecursionError:
        raise InvalidQuery(f"failed to parse {what}: it is nested too deep") from None


def _ending(name: str) -> str:
    return name.rpartition(".")[2]


def _first(pairs: Pairs, name: str) -> str | None:
    return next((value for found, value in pairs if found == name), None)


def _number(text: str | None) -> int | None:
    """PostgREST takes what is no number as if it were not there."""
    return int(text) if text is not None and re.fullmatch(r"-?[0-9]{1,18}", text) else None
