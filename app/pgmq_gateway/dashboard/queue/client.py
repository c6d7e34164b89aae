"""The API's functions for one queue and its messages."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from pgmq_gateway.dashboard.api import Api, Json, Problem, Row

ROWS_PER_PAGE = 50
# Of list_messages; also of one step of a redrive or replay.
MAX_PAGE = 1000
# A preview in place of the payload, which may be megabytes.
LIST_COLUMNS = "msg_id,read_ct,enqueued_at,last_read_at,vt,archived_at,state,bytes,preview"
# Members of the header x-pgmq-dead, each as text: it can be a number with more digits than Python reads from JSON.
DEAD = "dead_"
DEAD_MEMBERS = ("queue", "msg_id", "read_ct", "reason", "note", "at")
LETTER_COLUMNS = ",".join([LIST_COLUMNS, *(f"{DEAD}{name}:headers->x-pgmq-dead->>{name}" for name in DEAD_MEMBERS)])
# Payload and headers as text: numbers keep all their digits.
MESSAGE_COLUMNS = f"{LIST_COLUMNS},message::text,headers::text"

# The argument `filter` of list_messages, count_messages and apply.
Filter = Mapping[str, object]


@dataclass(frozen=True)
class Place:
    """A page of the list, by keyset pagination: after or before a key (sort value, id). The first one has no key."""

    sort: str = "msg_id"
    descending: bool = False
    direction: Literal["", "after", "before"] = ""
    key: tuple[object, int] | None = None


@dataclass(frozen=True)
class Listed:
    """The messages of one page. `earlier` and `later`: there are pages before and after it."""

    rows: Sequence[Row]
    earlier: bool
    later: bool


@dataclass(frozen=True)
class Pace:
    """When messages become visible that are sent again: at a rate, from a time on; without, all at once, now."""

    per_second: float | None = None
    start_at: str | None = None

    def after(self, step: Row) -> "Pace":
        """The pace of the next step."""
        if self.per_second is None or step["last_visible_at"] is None:
            return self
        start = datetime.fromisoformat(step["last_visible_at"]) + timedelta(seconds=1 / self.per_second)
        return replace(self, start_at=start.isoformat())


class Queue:
    def __init__(self, api: Api, name: str) -> None:
        self.api = api
        self.name = name

    async def figures(self) -> Row | Problem:
        """The queue's row of list_queues, with estimates for a long queue; empty when the queue does not exist."""
        answer = await self.api.rows("list_queues", query={"queue_name": f"eq.{self.name}"})
        if isinstance(answer, Problem):
            return answer
        return next((row for row in answer if row["queue_name"] == self.name), {})

    async def status(self) -> Row | Problem:
        """Exact counts, for which Postgres scans the whole queue."""
        return await self.api.row("queue_status", {"queue_name": self.name})

    async def settings(self) -> Row | Problem:
        """All settings in effect."""
        return await self.api.row("queue_settings", {"queue_name": self.name})

    async def set_settings(self, changes: Mapping[str, object]) -> Row | Problem:
        """Change settings; None restores a default."""
        return await self.api.row("set_queue_settings", {"queue_name": self.name, "settings": changes})

    async def page(self, filter: Filter, place: Place, select: str) -> Listed | Problem:
        """A page of messages, with the columns of `select`."""
        arguments: dict[str, object] = {
            "filter": filter,
            "sort": place.sort,
            "descending": place.descending,
            # One more than is shown tells whether there is another page.
            "max_rows": ROWS_PER_PAGE + 1,
        }
        if place.direction:
            arguments[place.direction] = place.key
        answer = await self.call("list_messages", arguments, select)
        if isinstance(answer, Problem):
            return answer
        if place.direction == "before":
            return Listed(answer[-ROWS_PER_PAGE:], earlier=len(answer) > ROWS_PER_PAGE, later=True)
        return Listed(answer[:ROWS_PER_PAGE], earlier=place.direction == "after", later=len(answer) > ROWS_PER_PAGE)

    async def message(self, msg_id: int, *, archived: bool) -> Row | Problem:
        """One message with payload and headers; empty when it does not exist."""
        answer = await self.call("get_message", {"msg_id": msg_id, "archived": archived}, MESSAGE_COLUMNS)
        return answer if isinstance(answer, Problem) else next(iter(answer), {})

    async def count(self, filter: Filter, max_count: int | None = None) -> int | Problem:
        """The number of messages that match; counted up to `max_count`, if given."""
        arguments = {"queue_name": self.name, "filter": filter, "max_count": max_count}
        answer: int | Problem = await self.api.call("count_messages", arguments)
        return answer

    async def send(
        self, message: Json, headers: Json | None, copies: int, seconds: int, until: str | None
    ) -> Sequence[int] | Problem:
        """Send copies of a message, visible after a delay or at a time. Returns their ids."""
        when = {"sleep_seconds": seconds, "visible_at": until}
        if copies == 1:
            answer = await self.api.call(
                "send", {"queue_name": self.name, "message": message, "headers": headers, **when}
            )
            return answer if isinstance(answer, Problem) else [answer]
        many = {"messages": _repeated(message, copies), "headers": _repeated(headers, copies) if headers else None}
        answer = await self.api.call("send_batch", {"queue_name": self.name, **many, **when})
        ids: Sequence[int] | Problem = answer
        return ids

    async def redrive(self, filter: Filter, to_queue: str | None, max_messages: int, pace: Pace) -> Row | Problem:
        """Move some dead letters. Returns `done`, `skipped` and `last_visible_at`."""
        return await self._step("redrive", "moved", filter, pace, {"to_queue": to_queue, "max_messages": max_messages})

    async def replay(self, ids: Sequence[int], pace: Pace) -> Row | Problem:
        """Send copies of archived messages. Returns `done` and `last_visible_at`."""
        return await self._step("replay", "sent", {"msg_ids": ids}, pace, {"max_messages": MAX_PAGE})

    async def _step(
        self, function: str, number: str, filter: Filter, pace: Pace, more: Mapping[str, object]
    ) -> Row | Problem:
        paced = {"filter": filter, "per_second": pace.per_second, "start_at": pace.start_at}
        answer = await self.call(function, {**paced, **more}, f"*,done:{number}")
        return answer if isinstance(answer, Problem) else answer[0]

    async def ids(self, filter: Filter, after: int | None) -> list[int] | Problem:
        """The ids of messages of one page, in order."""
        key = None if after is None else [after, after]
        answer = await self.call("list_messages", {"filter": filter, "after": key, "max_rows": MAX_PAGE}, "msg_id")
        return answer if isinstance(answer, Problem) else [row["msg_id"] for row in answer]

    async def dead_letters(self) -> list[Row] | Problem:
        """The numbers of dead letters by origin and dead-letter queue, of which this queue is one."""
        return await self.call("dead_letters", {})

    async def call(self, function: str, arguments: Mapping[str, object], select: str = "") -> list[Row] | Problem:
        """The rows of an admin function, called for this queue."""
        query = {"select": select} if select else None
        return await self.api.rows(function, {"queue_name": self.name, **arguments}, query)

    async def others(self) -> list[str] | Problem:
        """The names of all other queues."""
        listed = await self.api.rows("list_queues", query={"select": "queue_name"})
        if isinstance(listed, Problem):
            return listed
        return [row["queue_name"] for row in listed if row["queue_name"] != self.name]

    async def snapshot(self, filter: Filter, place: Place, select: str) -> tuple[Row | Problem, Listed | Problem]:
        """The queue's figures and a page of its messages."""
        return await asyncio.gather(self.figures(), self.page(filter, place, select))


def _repeated(text: Json, copies: int) -> Json:
    return Json(f"[{', '.join([text] * copies)}]")
