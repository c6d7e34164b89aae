"""docs/guides/troubleshooting.md shows errors that no reader can produce at will as the gateway sends them."""

import json

from pgmq_gateway.errors import (
    CatalogMissing,
    ConnectionLost,
    KeysMissing,
    PoolTimeout,
    TooManyConnections,
    TooManyWaiting,
    Unavailable,
)
from pgmq_gateway.limits.throttle import TooMany
from pgmq_gateway.settings.ratelimit import RateLimit, read_rate_limits
from tests.pages import Page

PAGE = Page("docs/guides/troubleshooting.md")


def test_it_shows_errors_as_they_are_sent() -> None:
    (limit,) = read_rate_limits(["anon=10/s"])
    assert isinstance(limit, RateLimit)
    sent = [
        TooMany(limit, 1),
        Unavailable(),
        ConnectionLost(),
        CatalogMissing(),
        KeysMissing(),
        TooManyWaiting(10_000),
        TooManyConnections(),
        PoolTimeout(),
    ]
    shown = [line for block in PAGE.blocks if block.language == "json" for line in block.code.splitlines()]
    bodies = [json.loads(line.replace("…,", "")) for line in shown]
    # The database raises the other one: tests/sql has it.
    assert [body for body in bodies if not body["code"].startswith("PT")] == [
        {"code": error.code, "message": error.message} for error in sent
    ]
