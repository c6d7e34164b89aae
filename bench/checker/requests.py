"""HTTP calls, and their outcome as far as the client knows."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from bench.checker.history import Json, Outcome
from bench.events import Event, Events

# Errors after which the call can have been executed: connection lost, and internal error.
UNKNOWN_OUTCOME = frozenset({"PGRST001", "PGRSTX00"})


@dataclass(frozen=True, slots=True)
class Reply:
    """A response: `text`, empty without one, and its parsed `body`."""

    outcome: Outcome
    note: str = ""
    text: str = ""
    body: Json = None

    @classmethod
    def of(cls, status: int, text: str) -> "Reply":
        """Parse a response. Raises ValueError for invalid JSON."""
        body = json.loads(text)
        if status == 200:
            return cls(Outcome.OK, "", text, body)
        code = body.get("code") if isinstance(body, dict) else None
        return cls(Outcome.UNKNOWN if code in UNKNOWN_OUTCOME else Outcome.REFUSED, f"{status} {code}", text, body)


# The client has disconnected.
GONE = Reply(Outcome.UNKNOWN, "gone away")


async def ask(
    http: aiohttp.ClientSession,
    url: str,
    function: str,
    arguments: dict[str, Any],
    token: str,
    patience: float,
    **more: str,
) -> Reply:
    """Call a function, and disconnect if there is no response in time.

    `more` are headers. Without Content-Profile it is one of pgmq_public.
    """
    headers = {"Authorization": f"Bearer {token}", "Content-Profile": "pgmq_public", **more}
    return await _reply(http.post(f"{url}/rpc/{function}", json=arguments, headers=headers), patience)


async def get(
    http: aiohttp.ClientSession, url: str, query: dict[str, int], token: str, patience: float, **more: str
) -> Reply:
    """Request a resource, and disconnect if there is no response in time. `more` are headers."""
    headers = {"Authorization": f"Bearer {token}", **more}
    return await _reply(http.get(url, params=query, headers=headers), patience)


async def _reply(request: AbstractAsyncContextManager[aiohttp.ClientResponse], patience: float) -> Reply:
    try:
        async with asyncio.timeout(patience), request as got:
            reply = Reply.of(got.status, await got.text())
            if got.status == 503 and "Retry-After" not in got.headers:
                return replace(reply, note=f"{reply.note} without Retry-After")
            return reply
    except aiohttp.ClientConnectorError:
        return Reply(Outcome.REFUSED, "no connection")
    except TimeoutError:
        return GONE
    except (aiohttp.ClientError, OSError, ValueError) as error:
        return Reply(Outcome.UNKNOWN, type(error).__name__)


async def follow(
    http: aiohttp.ClientSession,
    url: str,
    query: dict[str, int],
    token: str,
    seconds: float,
    receive: Callable[[Event], Awaitable[None]],
    **more: str,
) -> Reply:
    """Receive the events of a stream, and disconnect after some seconds."""
    headers, opened = {"Authorization": f"Bearer {token}", "Accept": "text/event-stream", **more}, False
    try:
        async with asyncio.timeout(seconds), http.get(url, params=query, headers=headers) as got:
            if got.status != 200:
                return Reply.of(got.status, await got.text())
            opened, events = True, Events()
            async for part in got.content.iter_any():
                for event in events.feed(part):
                    await receive(event)
            return Reply(Outcome.OK)
    except aiohttp.ClientConnectorError:
        return Reply(Outcome.REFUSED, "no connection")
    except TimeoutError:
        return Reply(Outcome.OK) if opened else GONE
    except (aiohttp.ClientError, OSError, ValueError) as error:
        return Reply(Outcome.UNKNOWN, type(error).__name__)


async def half(url: str, function: str, arguments: dict[str, Any], token: str, part: float) -> Reply:
    """Send only this part of a request, then disconnect."""
    host, port = urlsplit(url).hostname, urlsplit(url).port
    body = json.dumps(arguments).encode()
    head = (
        f"POST /rpc/{function} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Profile: pgmq_public\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    whole = head.encode() + body
    try:
        _, writer = await asyncio.open_connection(host, port)
    except OSError:
        return Reply(Outcome.REFUSED, "no connection")
    # At least one byte is missing, so the call must not be executed.
    writer.write(whole[: int(part * len(whole))])
    writer.close()
    return Reply(Outcome.REFUSED, "half sent")
