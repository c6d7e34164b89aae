"""A client of streams of messages."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

EVENTS = "text/event-stream"


@dataclass(frozen=True)
class Event:
    """A server-sent event."""

    name: str
    data: str
    id: str

    @property
    def value(self) -> dict[str, Any]:
        value: dict[str, Any] = json.loads(self.data)
        return value


class Stream:
    """The events of a response."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self.lines = response.iter_lines()

    def block(self) -> dict[str, str]:
        """The fields up to the next empty line; a comment is a field without a name."""
        fields = {}
        while line := next(self.lines):
            name, _, value = line.partition(": ")
            fields[name] = value
        return fields

    def event(self) -> Event:
        """The next event. Comments are left out."""
        while "event" not in (fields := self.block()):
            pass
        return Event(fields["event"], fields["data"], fields.get("id", ""))

    def message(self) -> dict[str, Any]:
        """The next message."""
        event = self.event()
        assert event.name == "message", event
        assert event.value["receipt"] == event.id
        return event.value

    def receipts(self, number: int) -> list[str]:
        """The receipts of so many messages."""
        return [self.message()["receipt"] for _ in range(number)]


@contextmanager
def opened(
    client: httpx.Client, queue: str, headers: dict[str, str] | None = None, **params: str | int
) -> Iterator[Stream]:
    """A stream of a queue."""
    url = f"/queues/{queue}/messages"
    with client.stream("GET", url, params=params, headers={"Accept": EVENTS, **(headers or {})}) as response:
        assert response.status_code == 200, response.read()
        yield Stream(response)
