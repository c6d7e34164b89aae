"""One queue and its messages, through the API."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pgmq_gateway.dashboard.api import Api, Json, Problem, Row

ROWS = 50
# A page of the list has no payloads, however long they are.
LISTED = "msg_id,read_ct,enqueued_at,last_read_at,vt,archived_at,state,bytes,preview"
# As text, so that numbers keep all their digits.
WHOLE = f"{LISTED},message::text,headers::text"

Filter = Mapping[str, object]


@dataclass(frozen=True)
class Place:
    """A page of the list: what it is sorted by, and between which keys it lies; without a key it is the first one."""

    sort: str = "msg_id"
    descending: bool = False
    direction: Literal["", "after", "before"] = ""
    key: tuple[object, int] | None = None


@dataclass(frozen=True)
class Listed:
    """Messages of one page, and whether there are pages before and after it."""

    rows: Sequence[Row]
    earlier: bool
    later: bool


class Queue:
    """One queue, as the signed-in person may use it."""

    def __init__(self, api: Api, name: str) -> None:
        self.api = api
        self.name = name

    async def figures(self) -> Row | Problem:
        """Type, row-level security and numbers, which are estimates in a long queue; empty when there is no such."""
        answer = await self.api.rows("list_queues", query={"queue_name": f"eq.{self.name}"})
        if isinstance(answer, Problem):
            return answer
        return next((row for row in answer if row["queue_name"] == self.name), {})

    async def status(self) -> Row | Problem:
        """Exact numbers, for which Postgres reads the whole queue."""
        return await self.api.row("queue_status", {"queue_name": self.name})

    async def page(self, chosen: Filter, place: Place) -> Listed | Problem:
        """Messages of one page."""
        arguments: dict[str, object] = {
            "filter": chosen,
            "sort": place.sort,
            "descending": place.descending,
            "max_rows": ROWS + 1,
        }
        if place.direction:
            arguments[place.direction] = place.key
        answer = await self.call("list_messages", arguments, LISTED)
        if isinstance(answer, Problem):
            return answer
        if place.direction == "before":
            return Listed(answer[-ROWS:], earlier=len(answer) > ROWS, later=True)
        return Listed(answer[:ROWS], earlier=place.direction == "after", later=len(answer) > ROWS)

    async def message(self, msg_id: int, *, archived: bool) -> Row | Problem:
        """One message whole; empty when it is not there."""
        answer = await self.call("get_message", {"msg_id": msg_id, "archived": archived}, WHOLE)
        return answer if isinstance(answer, Problem) else next(iter(answer), {})

    async def count(self, chosen: Filter) -> int | Problem:
        """How many messages a filter matches."""
        answer: int | Problem = await self.api.call("count_messages", {"queue_name": self.name, "filter": chosen})
        return answer

    async def send(
        self, message: Json, headers: Json | None, times: int, seconds: int, until: str | None
    ) -> Sequence[int] | Problem:
        """Send a message so many times; gives the ids."""
        when = {"sleep_seconds": seconds, "visible_at": until}
        if times == 1:
            answer = await self.api.call(
                "send", {"queue_name": self.name, "message": message, "headers": headers, **when}
            )
            return answer if isinstance(answer, Problem) else [answer]
        many = {"messages": _repeated(message, times), "headers": _repeated(headers, times) if headers else None}
        answer = await self.api.call("send_batch", {"queue_name": self.name, **many, **when})
        ids: Sequence[int] | Problem = answer
        return ids

    async def call(self, function: str, arguments: Mapping[str, object], select: str = "") -> list[Row] | Problem:
        """Rows of a function of this queue."""
        query = {"select": select} if select else None
        return await self.api.rows(function, {"queue_name": self.name, **arguments}, query)

    async def others(self) -> list[str]:
        """Names of all other queues."""
        listed = await self.api.rows("list_queues", query={"select": "queue_name"})
        names = [] if isinstance(listed, Problem) else [str(row["queue_name"]) for row in listed]
        return [name for name in names if name != self.name]

    async def look(self, chosen: Filter, place: Place) -> tuple[Row | Problem, Listed | Problem]:
        """Numbers and messages at once."""
        return await asyncio.gather(self.figures(), self.page(chosen, place))


def _repeated(text: Json, times: int) -> Json:
    return Json(f"[{', '.join([text] * times)}]")
