"""The digests of findings, by which a browser remembers those that the user has dismissed."""

from typing import Any

import pytest

from pgmq_gateway.dashboard.parts.lint import digest

FINDING = {"queue_name": "tenant_1", "rule": "rls_off", "level": "warning", "message": "3 roles read q_tenant_1."}


@pytest.mark.parametrize(
    ("other", "is_equal"),
    [
        ({"message": "4 roles read q_tenant_1."}, True),
        ({"queue_name": "tenant_2", "message": "3 roles read q_tenant_2."}, False),
        ({"queue_name": None}, False),
        ({"rule": "open_groups"}, False),
        ({"level": "error"}, False),
    ],
)
def test_a_count_makes_no_other_finding_but_a_queue_does(other: dict[str, Any], is_equal: bool) -> None:
    assert (digest(FINDING) == digest({**FINDING, **other})) is is_equal
