"""The leases that a stream keeps."""

import math

from pgmq_gateway.waiting.events import Row
from pgmq_gateway.waiting.renewal import Renewal

READ_AT, UNTIL = "2026-11-30T19:00:00.5+00:00", "2026-11-30T19:00:30.5+00:00"


def row(receipt: str, vt: str = UNTIL, read_at: str | None = READ_AT) -> Row:
    return Row(receipt, "jobs", vt, read_at)


def test_leases_are_extended_at_a_third_of_them_as_long_as_they_may_be() -> None:
    renewal = Renewal(25, None)
    assert renewal.due == math.inf
    renewal.delivered([row("1.1.5"), row("2.1.5")], 100)
    assert renewal.due == 110
    # The second one was settled.
    assert set(renewal.take(["1.1.5"], 110)) == {"1.1.5"}
    assert renewal.due == 120
    renewal.delivered([row("3.1.5")], 115)
    assert set(renewal.take(["1.1.5", "3.1.5"], 120)) == {"1.1.5", "3.1.5"}
    assert set(renewal.take(["1.1.5", "3.1.5"], 130)) == {"3.1.5"}
    assert set(renewal.take([], 140)) == set()
    assert renewal.due == math.inf


def test_the_shortest_lease_decides() -> None:
    renewal = Renewal(3600, None)
    renewal.delivered([row("1.1.5"), row("2.1.5", "2026-11-30T19:00:06.5+00:00")], 100)
    assert renewal.due == 102


def test_the_lease_is_that_of_the_request_or_else_the_default() -> None:
    given, unknown = Renewal(3600, 60), Renewal(3600, None)
    given.delivered([row("1.1.5")], 100)
    unknown.delivered([row("1.1.5", read_at=None)], 100)
    assert (given.due, unknown.due) == (120, 110)
