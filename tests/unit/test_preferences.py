"""Prefer headers are parsed, applied and echoed as in PostgREST."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgmq_gateway.errors import InvalidPreferences
from pgmq_gateway.postgrest.preferences import OF_RESOURCES, Preferences, read_preferences


@pytest.mark.parametrize("otherwise", [True, False])
def test_db_tx_end_decides_without_a_preference(*, otherwise: bool) -> None:
    preferred = [Preferences(rollback=rollback).rolls_back(otherwise=otherwise) for rollback in (None, True, False)]
    assert preferred == [otherwise, True, False]


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([], Preferences()),
        ([""], Preferences()),
        ([" , ,"], Preferences()),
        (["count=exact"], Preferences(count="exact")),
        (["count=exact, count=planned"], Preferences(count="exact")),
        (["count=exact", "count=planned"], Preferences(count="exact")),
        (["  count=planned ,handling=lenient"], Preferences(count="planned", handling="lenient")),
        (["count=exact", "handling=strict"], Preferences(count="exact", handling="strict")),
        (["Count=exact, count=EXACT"], Preferences()),
        (["return=minimal", "resolution=merge-duplicates", "missing=default"], Preferences()),
        (["timezone=Europe/Berlin"], Preferences(timezone="Europe/Berlin")),
        (["timezone=Mars/Phobos"], Preferences()),
        (["max-affected=5"], Preferences(given_max_affected=5)),
        (["max-affected=-5"], Preferences()),
        (["max-affected=²"], Preferences()),
        (["foo=bar, params=single-object"], Preferences()),
        (["tx=rollback"], Preferences()),
        (["wait=20"], Preferences(wait=20)),
        (["wait=0, wait=5"], Preferences(wait=0)),
        (["wait=9999"], Preferences(wait=9999)),
        (["wait=10000"], Preferences()),
        (["wait=-1", "wait=1.5", "wait=", "wait"], Preferences()),
    ],
)
def test_preferences_are_read(headers: list[str], expected: Preferences) -> None:
    assert read_preferences(headers) == expected


@pytest.mark.parametrize(("value", "rollback"), [("tx=rollback", True), ("tx=commit", False), ("tx=x", None)])
def test_tx_applies_only_if_callers_can_choose(value: str, rollback: bool | None) -> None:
    assert read_preferences([value], tx_allowed=True).rollback is rollback
    assert read_preferences([value], tx_allowed=False).rollback is None


def test_strict_refuses_unknown_preferences() -> None:
    headers = ["handling=strict, foo=bar", "baz", "count=exact", "timezone=Mars/Phobos"]
    with pytest.raises(InvalidPreferences) as caught:
        read_preferences(headers)
    assert (caught.value.status, caught.value.code) == (400, "PGRST122")
    assert caught.value.message == "Invalid preferences given with handling=strict"
    assert caught.value.details == "Invalid preferences: foo=bar, baz, timezone=Mars/Phobos"


def test_of_a_resource_only_tx_and_handling_are_known() -> None:
    headers = ["tx=rollback, count=exact, timezone=UTC, max-affected=1"]
    assert read_preferences(headers, tx_allowed=True, names=OF_RESOURCES) == Preferences(rollback=True)
    with pytest.raises(InvalidPreferences) as caught:
        read_preferences([*headers, "handling=strict"], tx_allowed=True, names=OF_RESOURCES)
    assert caught.value.details == "Invalid preferences: count=exact, timezone=UTC, max-affected=1"


def test_lenient_before_strict_counts() -> None:
    assert read_preferences(["handling=lenient, handling=strict, foo=bar"]).handling == "lenient"


def test_max_affected_counts_only_with_strict() -> None:
    assert read_preferences(["max-affected=1"]).max_affected is None
    assert read_preferences(["max-affected=1, handling=lenient"]).max_affected is None
    assert read_preferences(["max-affected=1, handling=strict"]).max_affected == 1


@pytest.mark.parametrize(
    ("header", "applied"),
    [
        ("", ""),
        ("return=minimal, missing=default, resolution=ignore-duplicates", ""),
        ("max-affected=1", ""),
        ("count=exact", "count=exact"),
        (
            "max-affected=1, timezone=UTC, handling=strict, tx=rollback, count=exact, return=minimal",
            "count=exact, tx=rollback, handling=strict, timezone=UTC, max-affected=1",
        ),
        ("tx=commit", "tx=commit"),
        ("wait=5, max-affected=1, handling=strict", "handling=strict, max-affected=1, wait=5"),
    ],
)
def test_applied_preferences_are_echoed_in_order(header: str, applied: str) -> None:
    assert read_preferences([header], tx_allowed=True).applied == applied


@given(st.lists(st.text() | st.text(alphabet="count=exact, handling=strict, max-affected=0123456789")))
def test_any_headers_are_read_or_refused(headers: list[str]) -> None:
    with contextlib.suppress(InvalidPreferences):
        read_preferences(headers, tx_allowed=True)
