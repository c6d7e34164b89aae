"""Server-sent events are parsed alike, however the network divides them."""

import pytest

from bench.events import Event, Events

STREAM = (
    b'retry: 2000\n\nid: 42.1.17\nevent: message\ndata: {"msg_id":42,"text":"a: b"}\n\n: alive\n\n'
    b'event: end\ndata: {"reason":"shutdown"}\n\n'
)


@pytest.mark.parametrize("size", [1, 7, len(STREAM)])
def test_a_stream_is_parsed(size: int) -> None:
    events = Events()
    parts = (STREAM[start : start + size] for start in range(0, len(STREAM), size))
    assert [event for part in parts for event in events.feed(part)] == [
        Event("", ""),
        Event("message", '{"msg_id":42,"text":"a: b"}', "42.1.17"),
        Event("", "alive"),
        Event("end", '{"reason":"shutdown"}'),
    ]
