"""The routes of `/queues/…`: the table in docs/consumers.md has each of them, with its function and its parameters."""

import re
from pathlib import Path

import pytest

from pgmq_gateway.errors import NotAcceptable
from pgmq_gateway.http.request import head_of
from pgmq_gateway.postgrest.messages import BATCHES
from pgmq_gateway.postgrest.resources import Resources
from pgmq_gateway.postgrest.routes import MESSAGE_ID, RECEIPT, ROUTES, Route
from pgmq_gateway.schemas import LEASES, QUEUES

PAGE = (Path(__file__).parents[2] / "docs" / "consumers.md").read_text()
ROW = re.compile(r"^\| `([A-Z]+) (/queues\S*)` \| (.*) \|(.*)\|$", re.MULTILINE)
BATCH = re.compile(r'^\| … with the body `\{"(\w+)": \[…\]\}` \| `(\w+)`; 201 \|(.*)\|$', re.MULTILINE)
NAME = re.compile(r"`(\w+)`")


def described(path: str) -> str:
    """A path as the page has it: one for a message's id and its receipt, where both exist."""
    paths = {route.path for route in ROUTES[LEASES]}
    by_id = path.replace(RECEIPT, MESSAGE_ID)
    return by_id.replace(MESSAGE_ID, "{message}") if by_id in paths else path


def test_the_page_has_every_resource() -> None:
    listed = [(method, path, name) for method, path, cell, _ in ROW.findall(PAGE) for name in NAME.findall(cell)]
    assert listed == [(route.method, described(route.path), route.function) for route in sorted_by_page()]


def sorted_by_page() -> list[Route]:
    order = [(method, path) for method, path, *_ in ROW.findall(PAGE)]
    return sorted(ROUTES[LEASES], key=lambda route: order.index((route.method, described(route.path))))


def test_the_page_has_all_parameters() -> None:
    for route in ROUTES[LEASES]:
        cells = {(method, path): cell for method, path, _, cell in ROW.findall(PAGE)}
        assert set(NAME.findall(cells[route.method, described(route.path)])) == {*route.parameters, *route.members}


def test_the_page_has_the_batches() -> None:
    listed = {member: (name, {"queue_name", *NAME.findall(cell)}) for member, name, cell in BATCH.findall(PAGE)}
    assert listed == {member: (name, set(shared)) for member, (name, shared) in BATCHES.items()}


def test_routes_of_pgmq_api_include_those_of_pgmq_public() -> None:
    more = {(route.method, route.path, route.function): {*route.parameters} for route in ROUTES[LEASES]}
    for route in ROUTES[QUEUES]:
        assert more[route.method, route.path, route.function] >= {*route.parameters}


@pytest.mark.parametrize("path", [f"/queues/tasks/{place}" for place in ("messages", "messages/peek")])
def test_only_the_reads_of_pgmq_api_can_be_streams(path: str) -> None:
    accept = ((b"accept", b"text/event-stream"),)
    both = Resources([LEASES, QUEUES], lambda *_: True)
    assert bool(both.address(head_of("GET", path.encode(), b"", accept)).stream) == path.endswith("messages")


def test_streams_without_pgmq_api_are_not_acceptable() -> None:
    public = Resources([QUEUES], lambda *_: True)
    path = b"/queues/tasks/messages"
    with pytest.raises(NotAcceptable) as refused:
        public.address(head_of("GET", path, b"", ((b"accept", b"text/event-stream"),)))
    assert refused.value.hint == "Streams need the schema pgmq_api in db-schemas."
    assert public.address(head_of("GET", path, b"", ((b"accept", b"text/event-stream, */*"),))).stream is None
