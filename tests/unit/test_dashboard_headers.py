"""The headers that the gateway sets, in words: anyone who can send can write any others in their place."""

import json

import pytest

from pgmq_gateway.dashboard.queue.client import Pace
from pgmq_gateway.dashboard.queue.headers import Fact, death, facts, facts_of_death, parsed, receives

HEADERS = {
    "x-pgmq-group": "customer 7",
    "x-pgmq-rejected": "No such account.",
    "x-pgmq-expires": "2026-12-31T23:59:59Z",
    "x-pgmq-not-before": 1790000000.5,
    "x-pgmq-retry": {"reason": "The bank is closed.", "at": "2026-11-30T16:00:00+00:00"},
    "x-pgmq-redrives": 2,
    "x-pgmq-dead-failed": "23514 2026-11-30T17:00:00Z",
    "trace": 1,
}
DEAD = {
    "queue": "tasks", "msg_id": 42, "read_ct": 5, "reason": "expired", "at": "2026-11-30T16:00:00+00:00",
    "enqueued_at": "2026-11-30T15:00:00+00:00", "expires": "2026-11-30T15:30:00Z",
}  # fmt: skip


def test_headers_of_the_gateway_are_facts() -> None:
    assert list(facts(parsed(json.dumps(HEADERS)))) == [
        Fact("Group", "customer 7"),
        Fact("Rejection note", "No such account."),
        Fact("Expires", "2026-12-31T23:59:59Z", "time"),
        Fact("Not before", "2026-09-21T14:13:20.500000+00:00", "time"),
        Fact("Retry reason", "The bank is closed."),
        Fact("Retried", "2026-11-30T16:00:00+00:00", "time"),
        Fact("Redrives", "2"),
        Fact("Burial", "Failed with SQLSTATE 23514. It is tried again every hour."),
    ]


def test_a_death_is_told_by_its_facts() -> None:
    dead = death(DEAD)
    assert dead is not None
    assert [fact for fact in facts_of_death(dead) if fact.text] == [
        Fact("Reason", "Expired"),
        Fact("Died", "2026-11-30T16:00:00+00:00", "time"),
        Fact("Origin", "tasks", "queue"),
        Fact("Id there", "42"),
        Fact("Receives there", "5"),
        Fact("Sent there", "2026-11-30T15:00:00+00:00", "time"),
        Fact("Expired", "2026-11-30T15:30:00Z", "time"),
    ]


@pytest.mark.parametrize("forged", [None, True, [1], {"queue": {}}, "x" * 5000, 1e400, {"at": [1], "reason": False}])
def test_forged_headers_are_shown_as_far_as_they_are_text(forged: object) -> None:
    dead = death({**DEAD, "at": forged, "reason": forged})
    assert dead is not None
    shown = [*facts(dict.fromkeys(HEADERS, forged)), *facts_of_death(dead)]
    assert all(len(fact.text) <= 1000 for fact in shown)
    assert death(forged) is None or isinstance(forged, dict)


def test_a_number_of_any_length_is_text() -> None:
    shown = parsed(f'{{"x-pgmq-rejected": 1{"0" * 5000}, "x-pgmq-dead": {json.dumps(DEAD)}}}')
    assert list(facts(shown)) == [Fact("Rejection note", "1" + "0" * 999)]
    dead = death(shown["x-pgmq-dead"])
    assert dead is not None
    assert dead.msg_id == "42"


@pytest.mark.parametrize("headers", [None, "", "[1]", '"x"', "{", "[" * 100_000])
def test_headers_that_are_no_object_have_no_facts(headers: str | None) -> None:
    assert list(facts(parsed(headers))) == []


def test_receives_of_a_rejected_message_are_counted_without_the_rejection() -> None:
    assert [receives(read_ct) for read_ct in (0, 3, 1_000_003)] == ["0", "3", "3, rejected"]


def test_a_step_starts_after_the_last_message_of_the_one_before() -> None:
    step = {"last_visible_at": "2026-11-30T16:00:00.25+00:00"}
    assert Pace(4).after(step) == Pace(4, "2026-11-30T16:00:00.500000+00:00")
    assert Pace().after(step) == Pace()
    assert Pace(4).after({"last_visible_at": None}) == Pace(4)
