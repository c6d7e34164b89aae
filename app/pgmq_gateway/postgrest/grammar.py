"""The grammar of `select`, filters and `order`: parses the query string into the tree of `shaping.py`.

The rules and their labels are those of PostgREST's parser, because its error messages quote the labels. Nothing here is
SQL: `statement.py` renders the tree with quoted identifiers and bound parameters.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any, TypeVar

from pgmq_gateway.postgrest.parsec import (
    Parser,
    after,
    attempt,
    before,
    between,
    char,
    either,
    end,
    followed_by,
    label,
    lazy,
    many,
    meaning,
    not_followed_by,
    option,
    pure,
    satisfy,
    separated,
    sequence,
    shown,
    span,
    string,
    unless,
)
from pgmq_gateway.postgrest.shaping import Condition, Embedded, Field, Group, Ordering, Selected, Step

T = TypeVar("T")

# Operators and their SQL.
QUANTIFIABLE = {
    "eq": "=", "gte": ">=", "gt": ">", "lte": "<=", "lt": "<", "like": "~~", "ilike": "~~*", "match": "~",
    "imatch": "~*",
}  # fmt: skip
SIMPLE = {
    "neq": "<>", "cs": "@>", "cd": "<@", "ov": "&&", "sl": "<<", "sr": ">>", "nxr": "&<", "nxl": "&>", "adj": "-|-",
}  # fmt: skip
OPERATORS = {**QUANTIFIABLE, **SIMPLE, "isdistinct": "is distinct from"}
TEXT_SEARCHES = {
    "fts": "to_tsquery",
    "plfts": "plainto_tsquery",
    "phfts": "phraseto_tsquery",
    "wfts": "websearch_to_tsquery",
}
CONSTANTS = ("null", "not_null", "true", "false", "unknown")
AGGREGATES = ("sum", "avg", "count", "max", "min")


def lexeme(parser: Parser[T]) -> Parser[T]:
    """With optional blanks around it."""
    return between(blanks, parser, blanks)


def word(*words: str) -> Parser[str]:
    """One of these words."""
    return either(*(attempt(string(text)) for text in words))


def ends_before(*marks: str) -> Parser[None]:
    """Succeeds at the end of the text or before one of these marks, without consuming."""
    return either(*(followed_by(string(mark)) for mark in marks), attempt(end))


def stripped(characters: Parser[str]) -> Parser[str]:
    """Its text without blanks around it."""
    return sequence(str.strip, characters)


def dashed(part: Parser[str]) -> Parser[str]:
    """Parts joined by dashes; the dash of an arrow (`->`) ends the text."""
    return sequence("-".join, separated(part, dash))


def in_any_case(text: str) -> Parser[str]:
    """A word, ignoring case."""
    letters = (either(char(character), char(character.upper())) for character in text)
    return attempt(meaning(text, *letters))


blanks = span("[ \t]")
comma = lexeme(char(","))
delimiter = label(char("."), "delimiter (.)")
dash = attempt(before(char("-"), not_followed_by(char(">"))))
negation = either(attempt(meaning(True, string("not"), delimiter)), pure(False))

# Letters, digits, blanks, `_` and `$`.
identifier = stripped(span(r"[^\W\d]|[0-9 $]", "letter", "digit", least=1))
# Inside double quotes a backslash escapes the next character.
quoted_value = sequence(
    lambda text: re.sub(r"\\(.)", r"\1", text, flags=re.DOTALL),
    between(char('"'), span(r'[^\\"]|\\.', shown("\\")), char('"')),
)
field_name = label(either(quoted_value, dashed(identifier)), "field name (* or [a..z0..9_$])")

# JSON paths.
key_name = label(
    either(quoted_value, dashed(stripped(span(r"[^(\-:.,>)]", least=1)))),
    "any non reserved character different from: .,>()",
)
# Ten digits and more are a member's name, not an index.
index = sequence(
    lambda sign, digits, _: int(sign + digits) if len(digits) < 10 else sign + digits,
    option("", char("-")),
    span("[0-9]", "digit", least=1),
    ends_before("->", "::", ".", ","),
)
step: Parser[Step] = sequence(
    lambda arrow, key: Step(key, as_text=arrow == "->>"), word("->>", "->"), either(attempt(index), attempt(key_name))
)
steps = sequence(tuple, many(step))
field = lexeme(sequence(Field, field_name, steps))

# The items of `select`: columns, and embedded resources, of which the error message shows only the name and the hint.
# `count()` is not a resource.
join = meaning(None, word("left", "inner"))
parameter = option(None, after(char("!"), either(join, attempt(field_name))))
hint = sequence(lambda first, second: first or second, parameter, parameter)
alias = option(None, attempt(before(field_name, char(":"), not_followed_by(char(":")))))
has_columns = followed_by(string("("))
spread = sequence(lambda _, name, hint, __: Embedded(name, hint), string("..."), field_name, hint, has_columns)
relation = sequence(
    lambda _, name, hint, __: Embedded(name, hint), alias, unless(field_name, "count"), hint, has_columns
)
embedded_columns = between(char("("), lazy(lambda: selection), char(")"))
cast = option(None, after(string("::"), identifier))
aggregate = option(None, attempt(after(char("."), before(word(*AGGREGATES), string("()")))))
item_ends = ends_before(")", ",")
star = before(meaning(Selected(None), string("*")), item_ends)
count = sequence(lambda name, *_: Selected(None, name, aggregate="count"), alias, string("count()"), cast, item_ends)
column = sequence(
    lambda name, place, type_, function, *_: Selected(place, name, type_, function),
    alias, field, cast, aggregate, cast, item_ends,
)  # fmt: skip
item: Parser[Selected | Embedded] = either(
    before(attempt(lexeme(spread)), embedded_columns),
    before(attempt(lexeme(relation)), embedded_columns),
    lexeme(either(attempt(star), attempt(count), column)),
)
selection: Parser[list[Selected | Embedded]] = option([], separated(item, comma))

# The names of parameters: a path of embedded resources, then a field, `and` or `or`.
names = separated(field_name, delimiter)
tree_path: Parser[tuple[tuple[str, ...], Field]] = sequence(
    lambda path, inside: (tuple(path[:-1]), Field(path[-1], inside)), names, steps
)
logic_path: Parser[tuple[tuple[str, ...], str]] = sequence(
    lambda path: (tuple(name for name in path[:-1] if name != "not"), "not." * ("not" in path) + path[-1]), names
)
columns = sequence(tuple, separated(field_name, comma))

# An element of a list: quoted, if a comma or a parenthesis follows, or up to one of these.
quoted_element = attempt(before(quoted_value, not_followed_by(satisfy(lambda character: character not in ",)"))))
element = either(quoted_element, span("[^,)]"))
array = sequence("".join, sequence(lambda *parts: parts, string("{"), span("[^{}]"), string("}")))
NO_FIELD = Field("")


def comparison(value: Parser[str]) -> Parser[Condition]:
    """An operator with its operand, without the field. `value` parses operands other than lists and constants."""
    listed = between(lexeme(char("(")), separated(element, char(",")), lexeme(char(")")))
    constant = label(either(*map(in_any_case, CONSTANTS)), "isVal: (null, not_null, true, false, unknown)")
    quantifier = between(char("("), either(attempt(string("any")), string("all")), char(")"))
    language = between(char("("), identifier, char(")"))
    operations = (
        sequence(_among, attempt(meaning(None, string("in"), delimiter)), listed),
        sequence(_compared("is"), attempt(meaning(None, string("is"), delimiter)), constant),
        sequence(_compared("isdistinct"), attempt(meaning(None, string("isdistinct"), delimiter)), value),
        attempt(sequence(_searched, word(*TEXT_SEARCHES), option(None, attempt(language)), delimiter, value)),
        attempt(sequence(_quantified, word(*SIMPLE), pure(None), delimiter, value)),
        attempt(sequence(_quantified, word(*QUANTIFIABLE), option(None, attempt(quantifier)), delimiter, value)),
    )
    operation = label(either(*operations), "operator (eq, gt, ...)")
    return sequence(lambda negated, found: replace(found, negated=negated), negation, operation)


def _compared(operator: str) -> Any:  # noqa: ANN401 called with the values of the parsers
    return lambda _, value: Condition(NO_FIELD, operator, (value,))


def _among(_: None, values: list[str]) -> Condition:
    return Condition(NO_FIELD, "in", () if values == [""] else tuple(values))


def _searched(operator: str, language: str | None, _: str, value: str) -> Condition:
    return Condition(NO_FIELD, operator, (value,), language=language)


def _quantified(operator: str, quantifier: str | None, _: str, value: str) -> Condition:
    return Condition(NO_FIELD, operator, (value,), quantifier=quantifier)


# A filter as the value of a parameter, where quotes are part of the operand; and one inside a group.
filter_value = comparison(span("."))
member: Parser[Condition] = sequence(
    lambda place, _, found: replace(found, field=place),
    field, delimiter, comparison(either(quoted_element, attempt(array), span("[^,)]"))),
)  # fmt: skip
members = between(lexeme(char("(")), separated(lazy(lambda: logic_tree), comma), lexeme(char(")")))
group: Parser[Group] = sequence(
    lambda negated, conjunction, found: Group(conjunction, tuple(found), negated),
    label(negation, "negation operator (not)"),
    label(either(attempt(string("and")), string("or")), "logic operator (and, or)"),
    members,
)
logic_tree: Parser[Condition | Group] = either(attempt(member), group)

# The terms of `order`; a string is the name of an embedded resource.
direction = option(None, either(*(attempt(meaning(d == "desc", delimiter, string(d))) for d in ("asc", "desc"))))
nulls = either(*(attempt(meaning(n == "nullsfirst", delimiter, string(n))) for n in ("nullsfirst", "nullslast")))
term_ends = either(followed_by(char(",")), attempt(end))
nulls_and_end = either(before(option(None, nulls), term_ends), term_ends)
related = sequence(lambda name, *_: name, field_name, between(char("("), field, char(")")), direction, nulls_and_end)
orderings: Parser[list[Ordering | str]] = separated(
    lexeme(either(attempt(related), sequence(Ordering, field, direction, nulls_and_end))), char(",")
)
