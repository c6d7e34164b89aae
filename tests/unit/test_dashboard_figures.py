"""Warnings about the database, previews of policy templates, claims, and permissions."""

import json

import pytest

from pgmq_gateway.dashboard.access.editor import example
from pgmq_gateway.dashboard.access.matrix import permissions_of
from pgmq_gateway.dashboard.access.trial import not_an_object, not_json
from pgmq_gateway.dashboard.health.database import warnings
from pgmq_gateway.dashboard.queue.conditions import condition
from pgmq_gateway.dashboard.queue.payload import lines, pretty
from pgmq_gateway.dashboard.queue.sending import json_error
from pgmq_gateway.dashboard.queues.creation import name_error

HEALTHY = {
    "connections": 10,
    "max_connections": 100,
    "oldest_transaction_seconds": 2.0,
    "cache_hit_ratio": 0.99,
    "live_tuples": 1_000_000,
    "dead_tuples": 20_000,
}
# More levels than Python can read.
NESTED = "[" * 100_000 + "]" * 100_000


@pytest.mark.parametrize(
    ("figure", "text"),
    [
        ({"oldest_transaction_seconds": 400.0}, "open for 6m 40s"),
        ({"connections": 95}, "95 of 100 connections"),
        ({"cache_hit_ratio": 0.5}, "50.0 %"),
        ({"dead_tuples": 2_000_000}, "More than half"),
    ],
)
def test_only_the_figure_beyond_its_threshold_is_reported(figure: dict[str, float], text: str) -> None:
    assert warnings(HEALTHY) == []
    (warning,) = warnings({**HEALTHY, **figure})
    assert text in warning


def test_an_empty_database_has_no_warnings() -> None:
    assert warnings(dict.fromkeys(HEALTHY)) == []


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("sub", {"sub": "1"}),
        ("app_metadata.tenant_id", {"app_metadata": {"tenant_id": "1"}}),
        ("https://example.com/tenant", {"https://example.com/tenant": "1"}),
    ],
)
def test_the_preview_of_a_template_has_the_member_that_its_policies_read(path: str, shown: object) -> None:
    assert json.loads(example(path, "1")) == shown


def test_claims_must_be_a_json_object() -> None:
    assert not_an_object('{"sub": "1"}') is None
    assert not_an_object("[]") is not None
    assert not_an_object("{") is not None
    assert not_json("[]") is None
    assert not_json(NESTED) == "This JSON is nested too deeply to be read."


def test_a_message_must_be_json() -> None:
    assert [json_error(text) for text in ('{"n": 1.10}', "null", '"NaN"')] == [None] * 3
    assert json_error('{\n"n": }') == "Line 2, column 6: Expecting value"
    assert json_error("[NaN]") == "NaN is not JSON."
    assert json_error(NESTED) == "This JSON is nested too deeply to be checked."


def test_a_queue_needs_a_name() -> None:
    assert name_error("") == "Enter a name."
    assert name_error("a-queue_1") is None


def test_json_is_shown_with_its_own_digits_and_without_invisible_characters() -> None:
    text = '{"n": 1.10, "on": true, "none": [null, {}], "\u202eevil": "\u200b"}'
    assert pretty(text) == (
        '{\n  "n": 1.10,\n  "on": true,\n  "none": [\n    null,\n    {}\n  ],\n  "\\u202eevil": "\\u200b"\n}'
    )
    assert (pretty("{"), pretty(NESTED)) == ("{", NESTED)


def test_json_of_too_many_lines_is_shown_without_folding() -> None:
    assert lines("[1]") == [
        [0, "", "[", "open", 2, "", ""],
        [1, "", "1", "number", 0, "$ = 1", ""],
        [0, "", "]", "close", 0, "", ""],
    ]
    assert (lines(NESTED), lines(json.dumps([0] * 5000))) == (None, None)


def test_a_value_is_offered_as_a_condition_where_one_finds_it() -> None:
    def offered(payload: object) -> list[object]:
        return [line[5] for line in lines(json.dumps(payload)) or [] if line[3] == "number"]

    assert offered({"a": [1, {"b.c": 2}]}) == ["a = 1", 'a."b.c" = 2']
    # A path searches an array's items, and not the arrays within it.
    assert offered({"a": [[1, {"b": 2}], 3]}) == ["", "", "a = 3"]
    assert offered({"$": 1, "k" * 1000: 2}) == ['"$" = 1', ""]


def test_a_condition_compares_with_numbers_of_ascii_digits() -> None:
    paths = [found.path for text in ("$ = 1", '"$" = 1', "n = 1\u0663") if (found := condition(text))]
    assert paths == ['($ == 1 || $ == "1")', '($."$" == 1 || $."$" == "1")', '($."n" == "1\u0663")']


def test_a_permission_tells_grants_from_effective_access() -> None:
    row = {"role": "anon", "operation": "read", "verdict": "none", "reasons": ["No policy."], "policies": []}
    rows = [{**row, "functions": ["read", "extend"]}]
    permission = permissions_of(rows, [{"role": "anon", "operations": ["read"]}])["anon", "read"]
    assert (permission.granted, permission.verdict, permission.sentence) == (True, "none", "anon cannot read.")
