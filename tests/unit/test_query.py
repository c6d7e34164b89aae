"""Parsing the query string: shapes, errors, and that no text can inject SQL."""

import contextlib
import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pgmq_gateway.api.functions import check_relations
from pgmq_gateway.calls.catalog import Function, Result
from pgmq_gateway.calls.columns import Column
from pgmq_gateway.calls.statement import statement
from pgmq_gateway.errors import GatewayError, InvalidQuery, InvalidRange
from pgmq_gateway.postgrest.arguments import Arguments
from pgmq_gateway.postgrest.grammar import OPERATORS, QUANTIFIABLE, TEXT_SEARCHES
from pgmq_gateway.postgrest.media import ARRAY, CSV, OBJECT, Representation
from pgmq_gateway.postgrest.query import MAX_PARAMETERS, read_columns, read_query, within_range
from pgmq_gateway.postgrest.shaping import Condition, Field, Group, Ordering, Selected, Shaping, Step

A, B = Field("a"), Field("b")
REFUSALS = (InvalidQuery, InvalidRange)
COLUMNS = (("a", "pg_catalog.int4"), ("b", "pg_catalog.text"), ("c", "pg_catalog.jsonb"))
ROWS = Function(
    "public", "rows", (), Result.RECORD, returns_set=True, volatile=False, columns=COLUMNS, relation="row_type",
    named={name: Column(type_) for name, type_ in COLUMNS},
)  # fmt: skip
# Enough for 10,000 characters on any machine, and not for a quadratic algorithm.
MAX_PARSE_SECONDS = 3

# Special characters and words of the grammar or of SQL.
TOKENS = st.sampled_from(
    [
        *"\"'\\;()*,.:{}[]$-><!%& \n\0",
        *("->", "->>", "::", "--", "/*", "*/", "$1", "$$", "not.", "and", "or", "(any)", "(all)", "null", "true"),
        *(
            "a",
            "b",
            "c",
            "alias",
            "int",
            "text[]",
            "eq.",
            "in.",
            "is.",
            "fts(x).",
            ".desc",
            ".nullsfirst",
            "é",
            "日",
            "9",
        ),
    ]
)
HOSTILE = st.one_of(st.text(max_size=60), st.lists(TOKENS, max_size=40).map("".join))


def read_shaping(pairs: list[tuple[str, str]]) -> Shaping:
    return read_query(pairs, arguments=False)[1]


def select(text: str) -> tuple[Selected, ...]:
    return read_shaping([("select", text)]).select


def conditions(name: str, value: str) -> tuple[Condition | Group, ...]:
    return read_shaping([(name, value)]).conditions


def one(value: str) -> Condition:
    """The condition in `a=value`."""
    (found,) = conditions("a", value)
    assert isinstance(found, Condition)
    return found


def path(*steps: tuple[str | int, bool], of: str = "c") -> Field:
    return Field(of, tuple(Step(key, as_text) for key, as_text in steps))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", (Selected(None),)),
        ("*", (Selected(None),)),
        ("a", (Selected(A),)),
        ("a,b", (Selected(A), Selected(B))),
        ("*,a", (Selected(None), Selected(A))),
        ("x:a", (Selected(A, "x"),)),
        ("a::text", (Selected(A, None, "text"),)),
        ("x:a::text", (Selected(A, "x", "text"),)),
        ("a::double precision", (Selected(A, None, "double precision"),)),
        ("c->k", (Selected(path(("k", False))),)),
        ("c->>k", (Selected(path(("k", True))),)),
        ("c->k->>l", (Selected(path(("k", False), ("l", True))),)),
        ("c->0->-1", (Selected(path((0, False), (-1, False))),)),
        ("x:c->>k::int", (Selected(path(("k", True)), "x", "int"),)),
        ('c->"0"', (Selected(path(("0", False))),)),
        ("c->0a", (Selected(path(("0a", False))),)),
        ('"a,b"', (Selected(Field("a,b")),)),
        ('"x:y":"a.b"', (Selected(Field("a.b"), "x:y"),)),
        (r'"a\"b\\c"', (Selected(Field('a"b\\c')),)),
        ("a-b", (Selected(Field("a-b")),)),
        ("a b", (Selected(Field("a b")),)),
        ("é日$_9", (Selected(Field("é日$_9")),)),
    ],
)
def test_select(text: str, expected: tuple[Selected, ...]) -> None:
    assert select(text) == expected


@pytest.mark.parametrize(
    ("pairs", "code", "message", "details"),
    [
        (
            [("select", "*,rel(*)")],
            "PGRST200",
            "a relationship between 'row_type' and 'rel'",
            "'row_type' and 'rel' in",
        ),
        (
            [("select", "x:rel!fk!inner(a,b)")],
            "PGRST200",
            "between 'row_type' and 'rel'",
            "'rel' using the hint 'fk' in",
        ),
        ([("select", "rel!left!fk()")], "PGRST200", "between 'row_type' and 'rel'", "'rel' using the hint 'fk' in"),
        ([("select", "...rel(a,other(b))")], "PGRST200", "between 'row_type' and 'rel'", "in the schema 'public', but"),
        ([("rel.a", "eq.1")], "PGRST108", "'rel' is not an embedded resource in this request", None),
        ([("rel.order", "a")], "PGRST108", "'rel' is not an embedded", None),
        ([("rel.limit", "1")], "PGRST108", "'rel' is not an embedded", None),
        ([("rel.or", "(a.eq.1)")], "PGRST108", "'rel' is not an embedded", None),
        ([("order", "rel(a).desc")], "PGRST108", "'rel' is not an embedded", None),
        ([("select", "rel(a)"), ("rel.a", "eq.1")], "PGRST200", "'row_type' and 'rel'", None),
        ([("select", "count()")], "PGRST123", "Use of aggregate functions is not allowed", None),
        ([("select", "a.sum(),x:b->c.max()::text")], "PGRST123", "Use of aggregate functions", None),
    ],
)
def test_relations_and_aggregates_have_postgrests_errors(
    pairs: list[tuple[str, str]], code: str, message: str, details: str | None
) -> None:
    with pytest.raises(GatewayError) as caught:
        check_relations(ROWS, read_shaping(pairs))
    assert (caught.value.status, caught.value.code) == (400, code)
    assert message in caught.value.message
    assert details is None or details in (caught.value.details or "")


@pytest.mark.parametrize("operator", sorted({*OPERATORS, *TEXT_SEARCHES}))
def test_operators(operator: str) -> None:
    assert one(f"{operator}.x") == Condition(A, operator, ("x",))
    assert one(f"not.{operator}.x") == Condition(A, operator, ("x",), negated=True)
    assert conditions("and", f"(a.{operator}.x)") == (Group("and", (Condition(A, operator, ("x",)),)),)


@pytest.mark.parametrize("operator", sorted(QUANTIFIABLE))
@pytest.mark.parametrize("quantifier", ["any", "all"])
def test_quantifiers(operator: str, quantifier: str) -> None:
    assert one(f"{operator}({quantifier}).{{1,2}}") == Condition(A, operator, ("{1,2}",), quantifier=quantifier)


@pytest.mark.parametrize("operator", sorted({*OPERATORS, "in", "is"} - QUANTIFIABLE.keys()))
def test_other_operators_have_no_quantifiers(operator: str) -> None:
    with pytest.raises(InvalidQuery):
        one(f"{operator}(any).{{1}}")


@pytest.mark.parametrize("operator", sorted(TEXT_SEARCHES))
def test_text_searches_have_a_language(operator: str) -> None:
    assert one(f"{operator}(english).cat") == Condition(A, operator, ("cat",), language="english")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("eq.", ("",)),
        ("eq.a.b,(c)", ("a.b,(c)",)),
        ('eq."x"', ('"x"',)),
        ("eq.line\nbreak", ("line\nbreak",)),
        ("in.()", ()),
        ("in.(1)", ("1",)),
        ("in.(1,2,)", ("1", "2", "")),
        ("in. ( 1 ,2) ", ("1 ", "2")),
        ("in.(1,2)x", ("1", "2")),
        ("is.nullx", ("null",)),
        ('in.("a,b","c)",d)', ("a,b", "c)", "d")),
        (r'in.("a\"b")', ('a"b',)),
        ("is.null", ("null",)),
        ("is.NOT_NULL", ("not_null",)),
        ("is.true", ("true",)),
        ("is.unknown", ("unknown",)),
    ],
)
def test_values_of_filters(value: str, expected: tuple[str, ...]) -> None:
    assert one(value).values == expected


def test_filters_on_places_in_json_and_quoted_names() -> None:
    assert conditions("c->k->>0", "eq.x") == (Condition(path(("k", False), (0, True)), "eq", ("x",)),)
    assert conditions('"a.b"', "eq.x") == (Condition(Field("a.b"), "eq", ("x",)),)


def test_a_repeated_filter_counts_each_time() -> None:
    pairs = [("a", "gt.1"), ("a", "lt.5")]
    assert read_shaping(pairs).conditions == (Condition(A, "gt", ("1",)), Condition(A, "lt", ("5",)))


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("and", "(a.eq.1)", Group("and", (Condition(A, "eq", ("1",)),))),
        ("or", "(a.eq.1,b.is.null)", Group("or", (Condition(A, "eq", ("1",)), Condition(B, "is", ("null",))))),
        ("not.and", "(a.eq.1)", Group("and", (Condition(A, "eq", ("1",)),), negated=True)),
        ("not.or", "(a.not.eq.1)", Group("or", (Condition(A, "eq", ("1",), negated=True),), negated=True)),
        (
            "or",
            "(a.eq.1,not.and(b.in.(x,y),or(a.gt.2)))",
            Group(
                "or",
                (
                    Condition(A, "eq", ("1",)),
                    Group(
                        "and",
                        (Condition(B, "in", ("x", "y")), Group("or", (Condition(A, "gt", ("2",)),))),
                        negated=True,
                    ),
                ),
            ),
        ),
        (
            "or",
            '(b.eq."x,y)",a.cs.{1,2})',
            Group("or", (Condition(B, "eq", ("x,y)",)), Condition(A, "cs", ("{1,2}",)))),
        ),
        ("or", "(c->>k.eq.1)", Group("or", (Condition(path(("k", True)), "eq", ("1",)),))),
        (
            "or",
            "(a.eq(any).{1,2},b.fts(english).x)",
            Group(
                "or",
                (
                    Condition(A, "eq", ("{1,2}",), quantifier="any"),
                    Condition(B, "fts", ("x",), language="english"),
                ),
            ),
        ),
    ],
)
def test_groups(name: str, value: str, expected: Group) -> None:
    assert conditions(name, value) == (expected,)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a", (Ordering(A),)),
        ("a.asc", (Ordering(A, descending=False),)),
        ("a.desc,b", (Ordering(A, descending=True), Ordering(B))),
        ("a.nullsfirst", (Ordering(A, nulls_first=True),)),
        ("a.desc.nullslast", (Ordering(A, descending=True, nulls_first=False),)),
        ("c->k->>0.desc", (Ordering(path(("k", False), (0, True)), descending=True),)),
    ],
)
def test_order(text: str, expected: tuple[Ordering, ...]) -> None:
    assert read_shaping([("order", text)]).order == expected


@pytest.mark.parametrize(
    ("pairs", "limit", "offset"),
    [
        ([], None, 0),
        ([("limit", "5")], 5, 0),
        ([("limit", "0"), ("offset", "3")], 0, 3),
        ([("limit", "x"), ("offset", "y")], None, 0),
        ([("limit", ""), ("offset", "")], None, 0),
        ([("limit", "9" * 100)], None, 0),
        ([("offset", "-3")], None, 0),
        ([("limit", "1"), ("limit", "2")], 2, 0),
    ],
)
def test_limit_and_offset(pairs: list[tuple[str, str]], limit: int | None, offset: int) -> None:
    found = read_shaping(pairs)
    assert (found.limit, found.offset) == (limit, offset)


def test_a_negative_limit_is_416() -> None:
    with pytest.raises(InvalidRange) as caught:
        read_shaping([("limit", "-1")])
    assert (caught.value.status, caught.value.code) == (416, "PGRST103")
    assert caught.value.details == "Limit should be greater than or equal to zero."


@pytest.mark.parametrize(
    ("header", "limit", "offset"),
    [
        ("0-9", 10, 0),
        ("5-", None, 5),
        ("5-5", 1, 5),
        ("items=2-3", None, 0),
        ("x", None, 0),
        ("-5", None, 0),
        ("", None, 0),
    ],
)
def test_a_range_header(header: str, limit: int | None, offset: int) -> None:
    assert within_range(Shaping(), header) == Shaping(limit=limit, offset=offset)


def test_a_range_header_never_widens() -> None:
    assert within_range(Shaping(limit=3, offset=7), "5-14") == Shaping(limit=3, offset=7)


def test_a_reversed_range_header_is_416() -> None:
    with pytest.raises(InvalidRange):
        within_range(Shaping(), "5-4")


def test_arguments_and_shaping_of_a_get_are_distinguished() -> None:
    pairs = [
        ("queue_name", "eq.x"), ("n", "5"), ("select", "a"), ("x.order", "a"), ("or", "(a.eq.1)"), ("k", "in.(1)"),
        ("name", "equal.x"), ("q", "eq(any).{1}"),
    ]  # fmt: skip
    arguments, shaping = read_query(pairs, arguments=True)
    assert list(arguments) == [("n", "5"), ("name", "equal.x")]
    assert [one.field.name for one in shaping.conditions if isinstance(one, Condition)] == ["queue_name", "k", "q"]
    assert shaping.select == (Selected(A),)


def test_reserved_names_are_no_filters() -> None:
    assert read_shaping([("columns", "a"), ("on_conflict", "a")]) == Shaping()


@pytest.mark.parametrize(("text", "names"), [("a", ("a",)), ('a, "b,c" ,d-e', ("a", "b,c", "d-e"))])
def test_columns_name_arguments(text: str, names: tuple[str, ...] | None) -> None:
    assert read_columns([("columns", text)]) == names


def test_an_invalid_filter_has_postgrests_error() -> None:
    with pytest.raises(InvalidQuery) as caught:
        read_shaping([("queue_name", "q_basic")])
    assert (caught.value.status, caught.value.code, caught.value.hint) == (400, "PGRST100", None)
    assert caught.value.message == '"failed to parse filter (q_basic)" (line 1, column 1)'
    assert caught.value.details == 'unexpected "q" expecting "not" or operator (eq, gt, ...)'


# Errors of PostgREST's parser.
REFUSED = [
    ("select", "a,", 3, 'unexpected end of input expecting "...", field name (* or [a..z0..9_$]), "*" or "count()"'),
    ("select", "name!hint", 5, '''unexpected '!' expecting letter, digit, "-", "->>", "->", "::", ".", ")", "," or '''
        "end of input"),
    ("select", "*!hint", 2, """unexpected '!' expecting ")", "," or end of input"""),
    ("select", "name::", 7, "unexpected end of input expecting letter or digit"),
    ("select", "data->>-78xy", 11, '''unexpected 'x' expecting digit, "->", "::", ".", "," or end of input'''),
    ("select", "rel->jsonpath(*)", 14, '''unexpected '(' expecting'''),
    ("select", ":", 1, """unexpected ':' expecting"""),
    ("order", "id.ac", 4, 'unexpected "c" expecting "asc", "desc", "nullsfirst" or "nullslast"'),
    ("order", "id.descc", 8, '''unexpected 'c' expecting delimiter (.), "," or end of input'''),
    ("order", "id.nulsfist", 4, 'unexpected "n" expecting "asc", "desc", "nullsfirst" or "nullslast"'),
    ("order", "id.nullslasttt", 13, '''unexpected 't' expecting "," or end of input'''),
    ("order", "id.smth34", 4, 'unexpected "s" expecting "asc", "desc", "nullsfirst" or "nullslast"'),
    ("order", "id.asc.nlsfst", 8, 'unexpected "l" expecting "nullsfirst" or "nullslast"'),
    ("order", "id.asc.nullslasttt", 17, '''unexpected 't' expecting "," or end of input'''),
    ("order", "id.asc.smth34", 8, 'unexpected "s" expecting "nullsfirst" or "nullslast"'),
    ("order", "clients(name,id)", 8, '''unexpected '(' expecting letter, digit, "-", "->>", "->", delimiter (.), "," '''
        "or end of input"),
    ("a", "val", 1, 'unexpected "v" expecting "not" or operator (eq, gt, ...)'),
    ("a", "noop.0", 1, 'unexpected "o" expecting "not" or operator (eq, gt, ...)'),
    ("a", "fts().value", 5, 'unexpected ")" expecting operator (eq, gt, ...)'),
    ("a", "eq().value", 4, 'unexpected ")" expecting operator (eq, gt, ...)'),
    ("a", "is().value", 3, 'unexpected "(" expecting operator (eq, gt, ...)'),
    ("a", "in().value", 3, 'unexpected "(" expecting operator (eq, gt, ...)'),
    ("a", "not.bar", 5, 'unexpected "b" expecting operator (eq, gt, ...)'),
    ("a", "eq", 3, "unexpected end of input expecting operator (eq, gt, ...)"),
    ("a", "is.maybe", 4, 'unexpected "m" expecting isVal: (null, not_null, true, false, unknown)'),
    ("a", "in.1", 4, 'unexpected "1" expecting "("'),
    ("a", "in.(1", 6, 'unexpected end of input expecting "," or ")"'),
    ("or", "()", 4, 'unexpected ")" expecting field name (* or [a..z0..9_$]), negation operator (not) or logic '
        "operator (and, or)"),
    ("or", "(id.in.1,2,id.eq.3)", 10, 'unexpected "1" expecting "("'),
    ("or", ")(", 3, 'unexpected ")" expecting "("'),
    ("and", "(ord(id.eq.1,id.eq.1),id.eq.2)", 7, 'unexpected "d" expecting "("'),
    ("or", "(id.eq.1,not.xor(id.eq.2,id.eq.3))", 16, 'unexpected "x" expecting logic operator (and, or)'),
]  # fmt: skip
WHAT = {"select": "select parameter", "order": "order", "a": "filter", "or": "logic tree", "and": "logic tree"}


@pytest.mark.parametrize(("name", "value", "column", "details"), REFUSED, ids=[f"{n}={v}" for n, v, *_ in REFUSED])
def test_a_syntax_error_has_postgrests_text(name: str, value: str, column: int, details: str) -> None:
    with pytest.raises(InvalidQuery) as caught:
        read_shaping([(name, value)])
    assert caught.value.message == f'"failed to parse {WHAT[name]} ({value})" (line 1, column {column})'
    assert (caught.value.details or "").startswith(details)


@settings(deadline=None)
@given(name=st.sampled_from(["select", "order", "and", "or", "not.or", "limit", "offset", "a", "c->k"]), text=HOSTILE)
def test_any_value_is_read_or_refused(name: str, text: str) -> None:
    attempt([(name, text)])


@settings(deadline=None)
@given(name=HOSTILE, value=HOSTILE)
def test_any_filter_is_read_or_refused(name: str, value: str) -> None:
    attempt([(name, f"eq.{value}")])
    attempt([(name, value)])


@settings(deadline=None)
@given(header=HOSTILE)
def test_any_range_header_is_read_or_refused(header: str) -> None:
    with contextlib.suppress(InvalidRange):
        within_range(Shaping(), header)


LONG = {
    "nested and": ("and", "(and" * 2500 + "(a.eq.1" + ")" * 2501),
    "nested or, open": ("or", "(or" * 3300),
    "nested nearly as deep as Python goes": ("and", "(and" * 250 + "(a.eq.1)" + ")" * 250),
    "parentheses": ("and", "(" * 10_000),
    "nested embeds": ("select", "a(" * 5000),
    "nested embeds, closed": ("select", "a(" * 3300 + "a" + ")" * 3300),
    "many columns": ("select", "a," * 5000),
    "many aliases": ("select", "a:" * 5000),
    "a long path": ("select", "c" + "->a" * 3300),
    "a long path in order": ("order", "c" + "->>a" * 2500),
    "dashes": ("select", "a-" * 5000),
    "backslashes": ("select", '"' + "\\" * 10_000),
    "quotes": ("select", '"' * 10_000),
    "spaces": ("order", " " * 10_000),
    "a long value": ("a", "eq." + "x" * 10_000),
    "a long list": ("a", "in.(" + "x," * 5000 + ")"),
    "open quotes in a list": ("a", 'in.("' + 'x","' * 2500),
    "nots": ("a", "not." * 2500),
    "a long operator": ("a", "e" * 10_000),
    "open modifiers": ("a", "fts(" * 2500),
    "many conditions": ("or", "(" + ",".join(["a.eq.1"] * 1400) + ")"),
    "open braces": ("or", "(a.cs.{" * 1400),
}


@pytest.mark.parametrize(("name", "text"), LONG.values(), ids=LONG)
def test_long_texts_are_read_or_refused_in_time(name: str, text: str) -> None:
    start = time.monotonic()
    attempt([(name, text)])
    with contextlib.suppress(*REFUSALS):
        read_query([(name, text)], arguments=True)
    assert time.monotonic() - start < MAX_PARSE_SECONDS


def attempt(pairs: list[tuple[str, str]]) -> None:
    """Parse and render, with documented errors only; no text of the client is left outside of quotes."""
    try:
        shaping = read_shaping(pairs)
    except REFUSALS:
        return
    for representation in (ARRAY, OBJECT, CSV):
        harmless(shaping, representation, counted=True)


# SQL outside of quotes: the gateway's words, references to parameters, numbers, operators.
WORDS = frozenset(
    """
    all and answer any array as asc between by call case cast coalesce count desc distinct e else end false first from
    in int8 is json json_agg json_strip_nulls jsonb last length limit not null nulls offset or order pg_catalog
    pgrst_call phraseto_tsquery plainto_tsquery regconfig rows select source string_agg substr text then to_jsonb
    to_tsquery to_tsvector true unknown websearch_to_tsquery when where with int4
    bigint bit varying boolean character char dec decimal double precision float int integer numeric real smallint time
    zone without timestamp varchar
    """.split()  # noqa: SIM905 a list of words is read, not parsed
)


def harmless(shaping: Shaping, representation: Representation, *, counted: bool) -> None:
    made = statement(ROWS, Arguments(()), shaping, representation, counted=counted)
    # All quotes are closed, so the rest is the gateway's own text.
    bare = re.sub(r'"(?:[^"]|"")*"|\'(?:[^\']|\'\')*\'', " ", made.sql)
    assert not set(bare) & set("\"'\\;{}#`!?"), bare
    assert "--" not in bare
    assert "/*" not in bare
    assert {word.lower() for word in re.findall(r"[^\W\d]\w*", bare)} <= WORDS, bare
    numbers = {int(number) for number in re.findall(r"\$([0-9]+)", bare)}
    assert numbers <= {1, 2}


def test_identifiers_are_quoted_and_values_are_parameters() -> None:
    shaping = read_shaping([("select", r'"x\"; drop table t; --":a'), ("a", "eq.'; drop table t; --")])
    made = statement(ROWS, Arguments(()), shaping, ARRAY, counted=False)
    assert 'as "x""; drop table t; --"' in made.sql
    assert made.texts == ("'; drop table t; --",)
    assert "($2)[1]::pg_catalog.int4" in made.sql


def test_types_of_casts_are_quoted() -> None:
    made = statement(ROWS, Arguments(()), read_shaping([("select", "a::text,b::my type")]), ARRAY, counted=False)
    assert 'cast("row_type"."a" as "text")' in made.sql
    assert 'cast("row_type"."b" as "my type")' in made.sql


def test_the_number_of_parameters_is_bounded() -> None:
    assert len(read_query([("a", "1")] * MAX_PARAMETERS, arguments=True)[0]) == MAX_PARAMETERS
    with pytest.raises(InvalidQuery, match=f"The query string has {MAX_PARAMETERS + 1} parameters"):
        read_query([("a", "1")] * (MAX_PARAMETERS + 1), arguments=True)
