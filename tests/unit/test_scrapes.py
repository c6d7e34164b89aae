"""Rates and quantiles, from one look at the gateway's metrics to the next."""

import asyncio
import socket

import httpx
import pytest

from pgmq_gateway.dashboard.api import Problem
from pgmq_gateway.dashboard.health.scrapes import Course, Scrape, scrape
from pgmq_gateway.dashboard.parts.sparkline import path
from pgmq_gateway.http.traffic import BUCKETS_SECONDS, MAX_CODES, Traffic, buckets


def look(at: float, traffic: Traffic) -> Scrape:
    """The metrics of this traffic at a time."""
    return Scrape(
        at,
        {
            "answers": {str(status): float(number) for status, number in traffic.statuses.items()},
            "seconds_bucket": dict(buckets(BUCKETS_SECONDS, traffic.durations)),
            "seconds_sum": {"": traffic.seconds},
            "seconds_count": {"": float(sum(traffic.durations))},
        },
    )


def test_rates_and_quantiles_are_of_what_has_come_since() -> None:
    traffic, course = Traffic(), Course()
    for _ in range(1000):
        traffic.answered(500, "", 9.0)
    course.look(look(100.0, traffic))
    assert (course.rate("answers"), course.quantile("seconds", 0.5), course.mean("seconds")) == (None, None, None)
    for number in range(100):
        traffic.answered(200, "", (number + 1) / 1000)
    course.look(look(102.0, traffic))
    assert course.rates("answers") == {"500": 0.0, "200": 50.0}
    # To the width of a bucket, a half of what is told.
    assert course.quantile("seconds", 0.5) == pytest.approx(0.050, rel=0.02)
    assert course.quantile("seconds", 0.95) == pytest.approx(0.095, rel=0.02)
    assert course.quantile("seconds", 0.99) == pytest.approx(0.099, rel=0.02)
    assert course.mean("seconds") == pytest.approx(0.0505)


def test_what_is_above_all_bounds_is_told_as_the_last_one() -> None:
    traffic, course = Traffic(), Course()
    course.look(look(0.0, traffic))
    traffic.answered(200, "", 60.0)
    course.look(look(1.0, traffic))
    assert course.quantile("seconds", 0.5) == BUCKETS_SECONDS[-1]


def test_a_worker_that_was_replaced_makes_no_negative_rates() -> None:
    course = Course()
    for at, number in ((0.0, 50.0), (2.0, 20.0)):
        course.look(Scrape(at, {"answers": {"200": number}}))
    assert course.rate("answers") == 0.0


def test_rates_are_of_the_last_seconds() -> None:
    course = Course()
    for at in range(0, 60, 2):
        course.look(Scrape(float(at), {"answers": {"200": at * (100.0 if at < 40 else 0.0) + (at >= 40) * 4000.0}}))
    assert course.rate("answers") == 0.0
    assert len(course.looks) == 6


def test_a38_codes_make_no_labels_without_end() -> None:
    traffic = Traffic()
    for number in range(3 * MAX_CODES):
        traffic.answered(400, f"{number:05}", 0.001)
    assert len(traffic.codes) == MAX_CODES + 1
    assert traffic.codes["other"] == 2 * MAX_CODES


def test_why_there_are_no_figures_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as bound:
        port = bound.getsockname()[1]

    async def looked(admin: str | None) -> Scrape | Problem:
        async with httpx.AsyncClient() as client:
            return await scrape(client, admin, 0.0)

    nobody, unknown = asyncio.run(looked(f"http://127.0.0.1:{port}")), asyncio.run(looked(None))
    assert isinstance(nobody, Problem)
    assert nobody.message.startswith(f"The gateway's admin port at http://127.0.0.1:{port} cannot be reached: ")
    assert isinstance(unknown, Problem)
    assert "--admin URL" in unknown.message


def test_a_line_has_gaps_where_nothing_is_known() -> None:
    drawn = path([1.0, None, 1.0, 0.0])
    assert drawn.count("M") == 2
    assert drawn.endswith("L300.0 38.0")
