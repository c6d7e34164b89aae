"""What pages make of figures and of names."""

import json

import pytest

from pgmq_gateway.dashboard.access.matrix import rights_of
from pgmq_gateway.dashboard.access.policies import example
from pgmq_gateway.dashboard.access.trial import not_an_object, not_json
from pgmq_gateway.dashboard.health.database import warnings

HEALTHY = {
    "connections": 10,
    "max_connections": 100,
    "oldest_transaction_seconds": 2.0,
    "cache_hit_ratio": 0.99,
    "live_tuples": 1_000_000,
    "dead_tuples": 20_000,
}


@pytest.mark.parametrize(
    ("figure", "said"),
    [
        ({"oldest_transaction_seconds": 400.0}, "open for 6m 40s"),
        ({"connections": 95}, "95 of 100 connections"),
        ({"cache_hit_ratio": 0.5}, "50.0 %"),
        ({"dead_tuples": 2_000_000}, "More than half"),
    ],
)
def test_a_figure_that_is_bad_is_the_only_one_that_is_said(figure: dict[str, float], said: str) -> None:
    assert warnings(HEALTHY) == []
    (warning,) = warnings({**HEALTHY, **figure})
    assert said in warning


def test_an_empty_database_is_no_reason_to_warn() -> None:
    assert warnings(dict.fromkeys(HEALTHY)) == []


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("sub", {"sub": "1"}),
        ("app_metadata.tenant_id", {"app_metadata": {"tenant_id": "1"}}),
        ("https://example.com/tenant", {"https://example.com/tenant": "1"}),
    ],
)
def test_the_preview_of_a_template_is_of_what_its_policies_look_at(path: str, shown: object) -> None:
    assert json.loads(example(path, "1")) == shown


def test_claims_are_checked_before_they_are_sent() -> None:
    assert not_an_object('{"sub": "1"}') is None
    assert not_an_object("[]") is not None
    assert not_an_object("{") is not None
    assert not_json("[]") is None


def test_a_right_says_what_is_granted_and_what_that_comes_to() -> None:
    rows = [{"role": "anon", "operation": "read", "verdict": "none", "reasons": ["No policy."], "policies": []}]
    right = rights_of(rows, [{"role": "anon", "operations": ["read"]}])["anon", "read"]
    assert (right.granted, right.verdict, right.sentence) == (True, "none", "anon cannot read.")
