"""Warnings about the database, previews of policy templates, claims, and permissions."""

import json

import pytest

from pgmq_gateway.dashboard.access.matrix import permissions_of
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


def test_a_permission_tells_grants_from_effective_access() -> None:
    rows = [{"role": "anon", "operation": "read", "verdict": "none", "reasons": ["No policy."], "policies": []}]
    permission = permissions_of(rows, [{"role": "anon", "operations": ["read"]}])["anon", "read"]
    assert (permission.granted, permission.verdict, permission.sentence) == (True, "none", "anon cannot read.")
