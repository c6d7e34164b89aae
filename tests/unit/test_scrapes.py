"""Rates and quantiles from successive scrapes of the gateway's metrics."""

import asyncio
import socket

import httpx
import pytest

from pgmq_gateway.dashboard.api import Problem
from pgmq_gateway.dashboard.health.scrapes import Scrape, ScrapeWindow, scrape
from pgmq_gateway.dashboard.parts.sparkline import path
from pgmq_gateway.http.traffic import BUCKETS_SECONDS, MAX_CODES, Traffic, buckets


def scraped(at: float, traffic: Traffic) -> Scrape:
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


def test_rates_and_quantiles_cover_the_time_between_the_scrapes() -> None:
    traffic, window = Traffic(), ScrapeWindow()
    for _ in range(1000):
        traffic.answered(500, "", 9.0)
    window.add(scraped(100.0, traffic))
    assert (window.rate("answers"), window.quantile("seconds", 0.5), window.mean("seconds")) == (None, None, None)
    for number in range(100):
        traffic.answered(200, "", (number + 1) / 1000)
    window.add(scraped(102.0, traffic))
    assert window.rates("answers") == {"500": 0.0, "200": 50.0}
    # Within the width of a bucket.
    assert window.quantile("seconds", 0.5) == pytest.approx(0.050, rel=0.02)
    assert window.quantile("seconds", 0.95) == pytest.approx(0.095, rel=0.02)
    assert window.quantile("seconds", 0.99) == pytest.approx(0.099, rel=0.02)
    assert window.mean("seconds") == pytest.approx(0.0505)


def test_a_quantile_above_all_bounds_is_the_last_bound() -> None:
    traffic, window = Traffic(), ScrapeWindow()
    window.add(scraped(0.0, traffic))
    traffic.answered(200, "", 60.0)
    window.add(scraped(1.0, traffic))
    assert window.quantile("seconds", 0.5) == BUCKETS_SECONDS[-1]


def test_a_replaced_worker_causes_no_negative_rates() -> None:
    window = ScrapeWindow()
    for at, number in ((0.0, 50.0), (2.0, 20.0)):
        window.add(Scrape(at, {"answers": {"200": number}}))
    assert window.rate("answers") == 0.0


def test_rates_cover_the_last_seconds() -> None:
    window = ScrapeWindow()
    for at in range(0, 60, 2):
        window.add(Scrape(float(at), {"answers": {"200": at * (100.0 if at < 40 else 0.0) + (at >= 40) * 4000.0}}))
    assert window.rate("answers") == 0.0
    assert len(window.scrapes) == 6


def test_a38_codes_make_no_labels_without_end() -> None:
    traffic = Traffic()
    for number in range(3 * MAX_CODES):
        traffic.answered(400, f"{number:05}", 0.001)
    assert len(traffic.codes) == MAX_CODES + 1
    assert traffic.codes["other"] == 2 * MAX_CODES


def test_missing_metrics_are_explained() -> None:
    with socket.create_server(("127.0.0.1", 0)) as bound:
        port = bound.getsockname()[1]

    async def result(admin: str | None) -> Scrape | Problem:
        async with httpx.AsyncClient() as client:
            return await scrape(client, admin, 0.0)

    unreachable, unknown = asyncio.run(result(f"http://127.0.0.1:{port}")), asyncio.run(result(None))
    assert isinstance(unreachable, Problem)
    assert unreachable.message.startswith(f"The gateway's admin port at http://127.0.0.1:{port} cannot be reached: ")
    assert isinstance(unknown, Problem)
    assert "--admin URL" in unknown.hint


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (httpx.Response(404), "/metrics responds with 404."),
        (httpx.Response(200, text="<h1>Hello, world</h1>"), "/metrics does not return metrics: "),
    ],
)
async def test_an_address_without_metrics_is_explained(answer: httpx.Response, error: str) -> None:
    async with httpx.AsyncClient(transport=httpx.MockTransport(lambda _: answer)) as client:
        problem = await scrape(client, "http://website/", 0.0)
    assert isinstance(problem, Problem)
    assert problem.status == answer.status_code
    assert problem.message.startswith(f"http://website{error}")
    assert "--admin" in problem.hint


def test_a_sparkline_has_gaps_where_values_are_missing() -> None:
    drawn = path([1.0, None, 1.0, 0.0])
    assert drawn.count("M") == 2
    assert drawn.endswith("L300.0 38.0")
