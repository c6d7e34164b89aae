"""The query string: arguments of the function, and parameters that shape its result."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import TypeVar

from pgmq_gateway.errors import InvalidQuery, InvalidRange
from pgmq_gateway.http.request import Head
from pgmq_gateway.postgrest import grammar
from pgmq_gateway.postgrest.parsec import ParseError, Parser, before, either, end, parse, pure
from pgmq_gateway.postgrest.shaping import Condition, Embedded, Group, Ordering, Selected, Shaping

T = TypeVar("T")

Pairs = Sequence[tuple[str, str]]

# The combinator parser takes time in proportion to its input, some microseconds a character.
MAX_PARAMETERS = 200
MAX_PARSED_CHARACTERS = 4096

NOT_UTF8 = "Percent-encode text as UTF-8: é is %C3%A9."
NEGATIVE_LIMIT = "Limit should be greater than or equal to zero."

RESERVED = frozenset({"select", "columns", "on_conflict"})
# Parameters that shape the result; with a path in front (`name.order`), that of an embedded resource.
SHAPING_PARAMETERS = frozenset({"order", "limit", "offset", "and", "or"})
# A value that does not begin with an operator is an argument.
FILTER_OR_ARGUMENT = either(grammar.filter_value, pure(None))


def parameters_of(head: Head) -> Pairs:
    """The parameters in a query string. Raises InvalidQuery if it is not text in UTF-8."""
    if not head.query_is_text:
        raise InvalidQuery("The query string is not UTF-8", hint=NOT_UTF8)
    return head.query


def read_query(pairs: Pairs, *, arguments: bool) -> tuple[Pairs, Shaping]:
    """The arguments in a query string, and the shaping that the other parameters ask for.

    arguments  whether the request passes arguments in the query string (GET and HEAD)

    Raises InvalidQuery with PostgREST's texts, or InvalidRange.
    """
    if not pairs:
        return (), Shaping()
    if len(pairs) > MAX_PARAMETERS:
        raise InvalidQuery(
            f"The query string has {len(pairs)} parameters",
            f"At most {MAX_PARAMETERS} parameters are allowed.",
            "Send arguments in the JSON body of a POST.",
        )
    return _read_query(tuple(pairs), arguments=arguments)


@lru_cache(maxsize=256)
def _read_query(pairs: Pairs, *, arguments: bool) -> tuple[Pairs, Shaping]:
    order, related = _order(pairs)
    groups = [_group(name, value) for name, value in pairs if _last_part(name) in ("and", "or")]
    # The arguments of a call without a body are not in it, but it is parsed.
    read_columns(pairs)
    selected = _read(grammar.selection, _first(pairs, "select") or "*", "select parameter", whole=True)
    given, filters = _filters(pairs, arguments=arguments)
    if (conflict := _first(pairs, "on_conflict")) is not None:
        _read(grammar.columns, conflict, "on_conflict parameter")
    ranges = [name.partition(".")[0] for name, _ in pairs if _last_part(name) in ("limit", "offset") and "." in name]
    targets = [*(path[0] for path, _ in filters if path), *related, *ranges, *(path[0] for path, _ in groups if path)]
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
        embedded_targets=tuple(targets),
    )


def read_columns(pairs: Pairs) -> tuple[str, ...] | None:
    """The argument names in the parameter `columns`, or None without it. Raises InvalidQuery."""
    text = _first(pairs, "columns")
    return None if text is None else _read(grammar.columns, text, "columns parameter")


def within_range(shaping: Shaping, range_: str) -> Shaping:
    """The intersection with a Range header (`0-9`, `5-`); a malformed one is ignored. Raises InvalidRange."""
    found = re.fullmatch(r"([0-9]{1,18})-([0-9]{0,18})", range_.strip())
    if found is None:
        return shaping
    first, last = int(found[1]), int(found[2]) if found[2] else None
    if last is not None and last < first:
        raise InvalidRange(
            "Requested range not satisfiable",
            "The lower boundary must be lower than or equal to the upper boundary in the Range header.",
        )
    first = max(shaping.offset, first)
    ends = [end for end in (last, shaping.limit and shaping.offset + shaping.limit - 1) if end is not None]
    limit = min(ends) - first + 1 if ends else None
    if limit is not None and limit < 0:
        raise InvalidRange("Requested range not satisfiable", NEGATIVE_LIMIT)
    return replace(shaping, offset=first, limit=limit)


def _order(pairs: Pairs) -> tuple[tuple[Ordering, ...], list[str]]:
    """The order of the rows (the first parameter applies), and embedded resources that `order` parameters refer to."""
    order: tuple[Ordering, ...] = ()
    targets: list[str] = []
    for name, value in reversed(pairs):
        if _last_part(name) == "order":
            path, _ = _read(grammar.tree_path, name, "tree path")
            terms = _read(grammar.orderings, value, "order")
            targets[:0] = path[:1] or [term for term in terms if isinstance(term, str)]
            order = order if path else tuple(term for term in terms if isinstance(term, Ordering))
    return order, targets


def _group(name: str, value: str) -> tuple[tuple[str, ...], Condition | Group]:
    """A group of filters. PostgREST parses it with its name in front, so columns in error messages count from there."""
    path, word = _read(grammar.logic_path, name, "logic path")
    return path, _read(grammar.logic_tree, value, "logic tree", prefix=word)


def _filters(pairs: Pairs, *, arguments: bool) -> tuple[Pairs, list[tuple[tuple[str, ...], Condition | Group]]]:
    """The parameters with other names: arguments, and filters with their paths."""
    given: list[tuple[str, str]] = []
    filters: list[tuple[tuple[str, ...], Condition | Group]] = []
    for name, value in pairs:
        if name in RESERVED or _last_part(name) in SHAPING_PARAMETERS:
            continue
        found = _read(FILTER_OR_ARGUMENT, value, "filter") if arguments else None
        if arguments and found is None:
            given.append((_argument_name(name), value))
            continue
        path, field = _read(grammar.tree_path, name, "tree path")
        filters.append((path, replace(found or _read(grammar.filter_value, value, "filter"), field=field)))
    return given, filters


def _argument_name(name: str) -> str:
    """The name of an argument, which may be quoted. As in PostgREST, it is cut where a column's name would end."""
    try:
        path, field = parse(before(grammar.tree_path, end), name)
    except (ParseError, RecursionError):
        return name
    return name if path or field.path else field.name


def _read(parser: Parser[T], text: str, what: str, *, prefix: str = "", whole: bool = False) -> T:
    """The value of `text` by a rule of the grammar. Raises InvalidQuery.

    whole  whether the rule must match all of it; PostgREST ignores text after a filter, a group or a name
    """
    # A filter's value is a single regular expression, which takes no time to speak of.
    if len(text) > MAX_PARSED_CHARACTERS and what != "filter":
        raise InvalidQuery(f"failed to parse {what}: longer than {MAX_PARSED_CHARACTERS} characters")
    try:
        return parse(before(parser, end) if whole else parser, prefix + text)
    except ParseError as error:
        message = f'"failed to parse {what} ({text})" (line {error.line}, column {error.column})'
        raise InvalidQuery(message, str(error)) from None
    except RecursionError:
        raise InvalidQuery(f"failed to parse {what}: nested too deeply") from None


def _last_part(name: str) -> str:
    return name.rpartition(".")[2]


def _first(pairs: Pairs, name: str) -> str | None:
    return next((value for found, value in pairs if found == name), None)


def _number(text: str | None) -> int | None:
    """The number, or None: PostgREST ignores a value that is not one."""
    return int(text) if text is not None and re.fullmatch(r"-?[0-9]{1,18}", text) else None
