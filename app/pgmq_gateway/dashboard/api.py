"""The HTTP API, called with the signed-in user's key.

Errors are values: a page shows the API's own code, message, details and hint.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from pgmq_gateway.dashboard.sessions import Session
from pgmq_gateway.schemas import LEASES, MANAGEMENT

REQUEST_TIMEOUT_SECONDS = 30.0
# SQLSTATE; 401 for the anonymous role, as in PostgREST.
INSUFFICIENT_PRIVILEGE = "42501"
# Shared by all sessions.
CONNECTION_LIMITS = httpx.Limits(max_connections=40, max_keepalive_connections=10)

Row = dict[str, Any]


class Json(str):
    """JSON text that a call sends unchanged: its numbers may have more digits than Python's floats."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Problem:
    """An error response. `status` is 0 when the API could not be reached."""

    status: int
    message: str
    code: str = ""
    details: str = ""
    hint: str = ""

    @property
    def outage(self) -> bool:
        """The gateway or its database does not work now: all calls fail."""
        return self.status == 0 or self.status >= 500

    @property
    def forbidden(self) -> bool:
        """The role of the key lacks a privilege."""
        return self.status == 403

    @property
    def absent(self) -> bool:
        """The function does not exist in this gateway's database."""
        return self.code == "PGRST202"


class Api:
    """The API with the key of one session. `public_url` is the gateway's address for its clients."""

    def __init__(self, http: httpx.AsyncClient, session: Session, public_url: str) -> None:
        self._http = http
        self.session = session
        self.public_url = public_url

    def can(self, function: str) -> bool:
        """True if the key may execute this function of pgmq_admin, or if that is unknown."""
        known = self.session.permissions
        return known is None or function in known

    @property
    def read_only(self) -> bool:
        """True if the key may execute no function that changes something."""
        known = self.session.permissions
        return known is not None and not any(known.values())

    async def load_permissions(self) -> None:
        """Ask once in a session for the functions that the key may execute. Without a response they stay unknown."""
        if self.session.permissions is None and not self.session.end_reason:
            answer = await self.rows("executable_functions")
            if not isinstance(answer, Problem):
                self.session.permissions = {row["function_name"]: row["changes"] for row in answer}

    async def call(
        self,
        function: str,
        arguments: Mapping[str, object] | None = None,
        *,
        schema: str = MANAGEMENT,
        query: Mapping[str, str] | None = None,
    ) -> Any | Problem:  # noqa: ANN401 the type of the result is the SQL function's
        """The function's result, decoded from JSON.

        query   PostgREST's parameters for the result: select, order, limit
        """
        if self.session.end_reason:
            return Problem(401, self.session.end_reason)
        answer = await post(self._http, self.session.key, function, arguments or {}, schema, query)
        if isinstance(answer, Problem) and answer.status == 401:
            self.session.end(f"The gateway no longer accepts your key ({answer.message}). Sign in with a valid key.")
        return answer

    async def rows(
        self, function: str, arguments: Mapping[str, object] | None = None, query: Mapping[str, str] | None = None
    ) -> list[Row] | Problem:
        """The result of a function that returns a set."""
        answer: list[Row] | Problem = await self.call(function, arguments, query=query)
        return answer

    async def row(self, function: str, arguments: Mapping[str, object] | None = None) -> Row | Problem:
        """The result of a function that returns one row."""
        answer: Row | Problem = await self.call(function, arguments)
        return answer

    async def queues(self) -> list[Row] | Problem:
        return await self.rows("list_queues")

    async def create_queue(self, wanted: Mapping[str, object]) -> bool | Problem:
        """False when the queue exists already. `wanted` are the arguments of create_queue."""
        answer: bool | Problem = await self.call("create_queue", wanted)
        return answer

    async def history(self, queue: str | None, since: str, buckets: int) -> list[Row] | Problem:
        """Samples of one queue, or of all without a name, averaged into this number of time buckets."""
        return await self.rows("history", {"queue_name": queue, "since": since, "buckets": buckets})

    async def warnings(self, queue: str | None = None) -> list[Row] | Problem:
        """The lint's findings for one queue, or for all without a name."""
        return await self.rows("lint", {"queue_name": queue})

    async def check_token(self, token: str) -> Problem | None:
        """None when the gateway accepts a user's token, whatever its role may do."""
        answer = await post(self._http, self.session.key, "queues", {}, LEASES, {"limit": "1"}, token)
        rejected = isinstance(answer, Problem) and (
            answer.outage or (answer.status == 401 and answer.code != INSUFFICIENT_PRIVILEGE)
        )
        return answer if rejected else None

    async def database(self) -> Row | Problem:
        return await self.row("database_status")


def connect(url: str) -> httpx.AsyncClient:
    """Connections to the API, without credentials: each request sends the key of its session."""
    return httpx.AsyncClient(
        base_url=url,
        timeout=REQUEST_TIMEOUT_SECONDS,
        limits=CONNECTION_LIMITS,
        follow_redirects=False,
        trust_env=False,
    )


async def check(http: httpx.AsyncClient, key: str) -> Problem | None:
    """None when the key may execute the admin functions, else the API's error."""
    answer = await post(http, key, "list_queues", {}, MANAGEMENT, {"limit": "1"})
    return answer if isinstance(answer, Problem) else None


async def post(
    http: httpx.AsyncClient,
    key: str,
    function: str,
    arguments: Mapping[str, object],
    schema: str,
    query: Mapping[str, str] | None,
    token: str = "",
) -> Any | Problem:  # noqa: ANN401 the type of the result is the SQL function's
    """Call a function. A `token` is sent as the user's, beside the key."""
    try:
        headers = {
            "apikey": key,
            "Authorization": f"Bearer {token or key}",
            "Content-Profile": schema,
            "Content-Type": "application/json",
        }
        response = await http.post(f"/rest/v1/rpc/{function}", content=_body(arguments), headers=headers, params=query)
    except (httpx.HTTPError, UnicodeError) as error:
        why = str(error) or type(error).__name__
        return Problem(
            0,
            f"The gateway at {http.base_url} cannot be reached: {why}",
            hint="Check that it is running, and that the dashboard's --api is its address.",
        )
    return _content(response)


def _body(arguments: Mapping[str, object]) -> bytes:
    members = (
        f"{json.dumps(name)}: {value if isinstance(value, Json) else json.dumps(value)}"
        for name, value in arguments.items()
    )
    return f"{{{', '.join(members)}}}".encode()


def _content(response: httpx.Response) -> Any | Problem:  # noqa: ANN401 the type of the result is the SQL function's
    try:
        body = json.loads(response.content) if response.content else None
    except ValueError:
        return Problem(
            response.status_code,
            f"The response is not JSON: {response.text[:200]}",
            hint="Check that the dashboard's --api is the address of a pgmq-gateway.",
        )
    if response.is_success:
        return body
    error = body if isinstance(body, dict) else {}
    texts = {name: str(error.get(name) or "") for name in ("code", "details", "hint")}
    return Problem(response.status_code, str(error.get("message") or response.reason_phrase), **texts)
