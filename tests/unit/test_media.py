"""Content negotiation gives PostgREST's representations."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgmq_gateway.errors import NotAcceptable
from pgmq_gateway.postgrest.media import (
    ARRAY,
    CSV,
    OBJECT,
    STRIPPED,
    STRIPPED_OBJECT,
    Representation,
    negotiate,
    negotiate_description,
    prefers_events,
)

OBJECT_NAME = "application/vnd.pgrst.object"
ARRAY_NAME = "application/vnd.pgrst.array"


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, ARRAY),
        ("", ARRAY),
        ("*/*", ARRAY),
        ("application/json", ARRAY),
        ("Application/JSON", ARRAY),
        ("application/json; charset=utf-8", ARRAY),
        ("application/json;nulls=stripped", ARRAY),
        (f"{OBJECT_NAME}+json", OBJECT),
        (OBJECT_NAME, OBJECT),
        (f"{OBJECT_NAME}+json;nulls=stripped", STRIPPED_OBJECT),
        (f"{OBJECT_NAME}+json ; nulls=stripped", STRIPPED_OBJECT),
        (f"{ARRAY_NAME}+json", ARRAY),
        (f"{ARRAY_NAME}+json;nulls=stripped", STRIPPED),
        ("text/csv", CSV),
        ("text/html, application/xhtml+xml, application/xml;q=0.9, */*;q=0.8", ARRAY),
        ("text/plain, text/csv", CSV),
        (f"text/csv, {OBJECT_NAME}", CSV),
        (f"{OBJECT_NAME}, text/csv", OBJECT),
        ("text/csv;q=0.5, application/json;q=0.9", ARRAY),
        ("*/*;q=0.1, text/csv", CSV),
        ("text/csv;q=nonsense, application/json;q=0.9", CSV),
        ('text/plain;x="a,text/csv", application/json', ARRAY),
    ],
)
def test_the_first_acceptable_wins(accept: str | None, expected: Representation) -> None:
    assert negotiate(accept) is expected


@pytest.mark.parametrize(
    ("accept", "listed"),
    [
        ("text/plain", "text/plain"),
        ("application/octet-stream", "application/octet-stream"),
        ("application/*", "application/*"),
        ("text/plain, text/html", "text/plain, text/html"),
        ("application/vnd.pgrst.plan+json", 'application/vnd.pgrst.plan+json; for="application/json"'),
        ("text/plain; charset=x, a/b; c", "text/plain, a/b;c"),
    ],
)
def test_anything_else_is_406(accept: str, listed: str) -> None:
    with pytest.raises(NotAcceptable) as caught:
        negotiate(accept)
    assert (caught.value.status, caught.value.code) == (406, "PGRST107")
    assert caught.value.message == f"None of these media types are available: {listed}"


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, "application/openapi+json; charset=utf-8"),
        ("*/*", "application/openapi+json; charset=utf-8"),
        ("application/openapi+json", "application/openapi+json; charset=utf-8"),
        ("application/json", "application/openapi+json; charset=utf-8"),
        ("text/html, application/json;q=0.5", "application/openapi+json; charset=utf-8"),
    ],
)
def test_the_description_has_one_type(accept: str | None, expected: str) -> None:
    assert negotiate_description(accept) == expected


@pytest.mark.parametrize("accept", ["text/csv", "text/html", f"{OBJECT_NAME}+json"])
def test_the_description_has_no_other_types(accept: str) -> None:
    with pytest.raises(NotAcceptable):
        negotiate_description(accept)


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("text/event-stream", True),
        ("application/json;q=0.5, Text/Event-Stream", True),
        ("text/html, text/event-stream;q=0.1", True),
        ("text/event-stream;q=0", False),
        ("text/event-stream;q=0, text/html", False),
        ("application/json, text/event-stream;q=0.5", False),
        (None, False),
    ],
)
def test_a_stream_is_preferred_to_any_representation(accept: str | None, *, expected: bool) -> None:
    assert prefers_events(accept) is expected


def test_a_function_has_no_stream() -> None:
    with pytest.raises(NotAcceptable) as caught:
        negotiate("text/event-stream")
    assert caught.value.hint == "Streams are GET requests to /queues/{queue}/messages."


@given(st.text() | st.text(alphabet='*/;,=q. "01ajsontexcv+'))
def test_any_header_is_read_or_refused(accept: str) -> None:
    for function in (negotiate, negotiate_description):
        with contextlib.suppress(NotAcceptable):
            function(accept)
