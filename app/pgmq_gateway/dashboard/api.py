"""The HTTP API as the signed-in person's client: what the key can't do, this can't do.

Errors are values: a page shows them as the API made them.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from pgmq_gateway.dashboard.sessions import Session

SCHEMA = "pgmq_admin"
SECONDS = 30.0
# What calls for the API may use of connections, over all sessions.
LIMITS = httpx.Limits(max_connections=40, max_keepalive_connections=10)

Row = dict[str, Any]


class Json(str):
    """JSON text that a call hands on as it is: its numbers have more digits than Python's floats."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Problem:
    """Why there is no answer. `status` is 0 when the API could not be reached."""

    status: int
    message: str
    code: str = ""
    details: str = ""
    hint: str = ""

    @property
    def absent(self) -> bool:
        """Whether the function that was called does not exist in this gateway's database."""
        return self.code == "PGRST202"


class Api:
    """The gateway, with the key of one session. `public_url` is its address as its clients know it."""

    def __init__(self, http: httpx.AsyncClient, session: Session, public_url: str) -> None:
        self._http = http
        self.session = session
        self.public_url = public_url

    async def call(
        self,
        function: str,
        arguments: Mapping[str, object] | None = None,
        *,
        schema: str = SCHEMA,
        query: Mapping[str, str] | None = None,
    ) -> Any | Problem:  # noqa: ANN401 what a function gives is what SQL says
        """What a function answers, as Python has JSON.

        query   PostgREST's filters of the answer: select, order, limit
        """
        if self.session.why:
            return Problem(401, self.session.why)
        answer = await asked(self._http, self.session.key, function, arguments or {}, schema, query)
        if isinstance(answer, Problem) and answer.status == 401:
            self.session.end(f"The gateway no longer accepts the key you signed in with: {answer.message}")
        return answer

    async def rows(
        self, function: str, arguments: Mapping[str, object] | None = None, query: Mapping[str, str] | None = None
    ) -> list[Row] | Problem:
        """The rows of a function that gives some."""
        answer: list[Row] | Problem = await self.call(function, arguments, query=query)
        return answer

    async def row(self, function: str, arguments: Mapping[str, object] | None = None) -> Row | Problem:
        """The one row of a function."""
        answer = await self.call(function, arguments)
        if isinstance(answer, list):
            return dict(answer[0]) if answer else {}
        found: Row | Problem = answer
        return found

    async def queues(self) -> list[Row] | Problem:
        """All queues with their figures, by name."""
        return await self.rows("list_queues")

    async def create_queue(self, wanted: Mapping[str, object]) -> bool | Problem:
        """Make a queue; False when it is there already. `wanted` are create_queue's arguments."""
        answer: bool | Problem = await self.call("create_queue", wanted)
        return answer

    async def history(self, queue: str | None, since: str, buckets: int) -> list[Row] | Problem:
        """Samples of one queue or of all, in so many steps of time."""
        return await self.rows("history", {"queue_name": queue, "since": since, "buckets": buckets})

    async def warnings(self, queue: str | None = None) -> list[Row] | Problem:
        """What the lint says of one queue or of all."""
        return await self.rows("lint", {"queue_name": queue})

    async def database(self) -> Row | Problem:
        """Figures of the database."""
        return await self.row("database_status")


def connect(url: str) -> httpx.AsyncClient:
    """Connections to the API, which know no key."""
    return httpx.AsyncClient(base_url=url, timeout=SECONDS, limits=LIMITS, follow_redirects=False, trust_env=False)


async def check(http: httpx.AsyncClient, key: str) -> Problem | None:
    """Whether a key opens the functions that manage queues: None, or what the API says."""
    answer = await asked(http, key, "list_queues", {}, SCHEMA, {"limit": "1"})
    return answer if isinstance(answer, Problem) else None


async def asked(
    http: httpx.AsyncClient,
    key: str,
    function: str,
    arguments: Mapping[str, object],
    schema: str,
    query: Mapping[str, str] | None,
) -> Any | Problem:  # noqa: ANN401 what a function gives is what SQL says
    """What a function answers to who has this key."""
    try:
        headers = {
            "apikey": key,
            "Authorization": f"Bearer {key}",
            "Content-Profile": schema,
            "Content-Type": "application/json",
        }
        response = await http.post(f"/rest/v1/rpc/{function}", content=_body(arguments), headers=headers, params=query)
    except (httpx.HTTPError, UnicodeError) as error:
        why = str(error) or type(error).__name__
        return Problem(0, f"The gateway at {http.base_url} cannot be reached: {why}")
    return _content(response)


def _body(arguments: Mapping[str, object]) -> bytes:
    members = (
        f"{json.dumps(name)}: {value if isinstance(value, Json) else json.dumps(value)}"
        for name, value in arguments.items()
    )
    return f"{{{', '.join(members)}}}".encode()


def _content(response: httpx.Response) -> Any | Problem:  # noqa: ANN401 what a function gives is what SQL says
    try:
        body = json.loads(response.content) if response.content else None
    except ValueError:
        return Problem(response.status_code, f"The answer is no JSON: {response.text[:200]}")
    if response.is_success:
        return body
    said = body if isinstance(body, dict) else {}
    texts = {name: str(said.get(name) or "") for name in ("code", "details", "hint")}
    return Problem(response.status_code, str(said.get("message") or response.reason_phrase), **texts)
