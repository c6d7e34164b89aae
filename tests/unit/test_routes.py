"""The routes of `/queues/…`: docs/reference/resources.md has each of them with its parameters."""

import re

import pytest

from pgmq_gateway.errors import NotAcceptable
from pgmq_gateway.http.request import head_of
from pgmq_gateway.postgrest.messages import BATCHES
from pgmq_gateway.postgrest.resources import Resources
from pgmq_gateway.postgrest.routes import MESSAGE_ID, RECEIPT, ROUTES
from pgmq_gateway.schemas import LEASES, QUEUES
from tests.pages import Page

PAGE = Page("docs/reference/resources.md").text
# The sections by method and path.
_TITLES = re.split(r"^## ([A-Z]+) (/queues\S*)$", PAGE, flags=re.MULTILINE)[1:]
SECTIONS = {(_TITLES[at], _TITLES[at + 1]): _TITLES[at + 2] for at in range(0, len(_TITLES), 3)}
ARGUMENT = re.compile(r"^\| `(\w+)` \|", re.MULTILINE)


def described(path: str) -> str:
    """A path as the page has it: one for a message's id and its receipt, where both exist."""
    by_id = path.replace(RECEIPT, MESSAGE_ID)
    return by_id if by_id in {route.path for route in ROUTES[LEASES]} else path


def test_the_page_has_every_resource() -> None:
    assert SECTIONS.keys() == {(route.method, described(route.path)) for route in ROUTES[LEASES]}


def test_the_page_has_all_parameters() -> None:
    for route in ROUTES[LEASES]:
        listed = {*ARGUMENT.findall(SECTIONS[route.method, described(route.path)])}
        assert {*route.parameters, *route.members} <= listed, route


def test_the_page_has_the_batches() -> None:
    section = SECTIONS["POST", "/queues/{queue}/messages"]
    assert [member for member in BATCHES if f'{{"{member}": [' not in section] == []


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
