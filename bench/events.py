"""Server-sent events of a stream, parsed from the parts of a response's body."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Event:
    """An event of a stream. `name` is empty for a comment or a line without data, such as `retry`."""

    name: str
    data: str
    id: str = ""


class Events:
    """Parses a stream part by part."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, part: bytes) -> list[Event]:
        """The events that are complete with this part."""
        *blocks, self._rest = (self._rest + part).split(b"\n\n")
        return [_event(block.decode()) for block in blocks]


def _event(block: str) -> Event:
    fields = {}
    for line in block.split("\n"):
        name, _, value = line.partition(":")
        fields[name] = value.removeprefix(" ")
    if "data" not in fields:
        return Event("", fields.get("", ""))
    return Event(fields.get("event", "message"), fields["data"], fields.get("id", ""))
