"""Requests that wait, each on a connection of its own."""

import json
import select
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPResponse
from typing import Any, NamedTuple

import httpx
import psutil

from tests.gateways import Headers, RunningGateway
from tests.process.metrics import AVAILABLE, metrics
from tests.waiting import until

# Less than most requests of these tests wait.
TIMEOUT_SECONDS = 45
# The last look at the queues, after it has ended.
LOOKS = """
select 1 from pg_stat_activity
where datname = current_database() and query like '%%probe_queues%%' and state = 'idle' and state_change > %s
"""


class Received(NamedTuple):
    """The response to a request that waited."""

    status: int
    headers: dict[str, str]
    body: Any

    @property
    def messages(self) -> list[object]:
        assert self.status == 200, self.body
        return [row["message"] for row in self.body]


class Wait:
    """A call of a function that waits: sent, and its response still to come."""

    def __init__(self, url: str, function: str, headers: Headers, arguments: object) -> None:
        body = json.dumps(arguments).encode()
        lines = [f"POST /rpc/{function} HTTP/1.1", "Host: gateway", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        parsed = httpx.URL(url)
        self._socket = socket.create_connection((parsed.host, parsed.port), TIMEOUT_SECONDS)
        self._socket.sendall("\r\n".join([*lines, "", ""]).encode() + body)

    @property
    def answered(self) -> bool:
        """True if the response has arrived."""
        return bool(select.select([self._socket], [], [], 0)[0])

    def received(self) -> Received:
        """The response."""
        with HTTPResponse(self._socket, method="POST") as response:
            response.begin()
            body = json.loads(response.read())
            return Received(response.status, {name.lower(): value for name, value in response.getheaders()}, body)

    def disconnect(self, gateway: RunningGateway) -> None:
        """Close the connection, and wait until the gateway has closed it too."""
        port = self._socket.getsockname()[1]
        self._socket.close()
        process = psutil.Process(gateway.server.process.pid)
        until(lambda: all(getattr(end.raddr, "port", 0) != port for end in process.net_connections("tcp")))

    def close(self) -> None:
        self._socket.close()


class Waits:
    """The waiting requests of one test to one gateway."""

    def __init__(self, gateway: RunningGateway) -> None:
        self._gateway = gateway
        self._all: list[Wait] = []
        self._queues = set[str]()

    def begin(
        self,
        headers: Headers,
        function: str = "read",
        *,
        queue_name: str = "jobs",
        **arguments: object,
    ) -> Wait:
        """Send a request, and return when it waits: its first attempt and the look after it have ended.

        It must wait for long, because this takes a while on a busy machine.
        """
        ((since,),) = self._gateway.sql("select clock_timestamp()")
        first = not self._all
        wait = self.send(headers, function, {"queue_name": queue_name, **arguments})
        until(lambda: idle(self._gateway, len(self._all)))
        if first:
            until(lambda: self._gateway.sql(LOOKS, since))
        return wait

    def send(self, headers: Headers, function: str, arguments: Mapping[str, Any], seconds: int = 50) -> Wait:
        """Send a request."""
        wait = Wait(self._gateway.server.url, function, headers | {"Prefer": f"wait={seconds}"}, arguments)
        self._queues.update(arguments.get("queue_names", [arguments.get("queue_name")]))
        self._all.append(wait)
        return wait

    def end(self, *waits: Wait) -> None:
        """Forget requests that have ended."""
        for wait in waits:
            wait.close()
            self._all.remove(wait)

    def end_all(self) -> None:
        """Forget all requests, and wait until the gateway has done so too."""
        self.end(*list(self._all))
        until(self._forgotten)

    def _forgotten(self) -> bool:
        """False if requests wait, which are woken: those that have disconnected end at once, not within a second."""
        if waiting(self._gateway):
            names = [queue.lower() for queue in self._queues]
            self._gateway.sql("select pg_notify('pgmq_gateway', %s)", json.dumps({"s": names}))
            return False
        return True


@contextmanager
def waits_at(gateway: RunningGateway) -> Iterator[Waits]:
    """Waiting requests, and at the end none."""
    waits = Waits(gateway)
    try:
        yield waits
    finally:
        waits.end_all()


def waiting(gateway: RunningGateway) -> float:
    """The number of requests that wait."""
    return metrics(gateway.server)["pgmq_gateway_waiting"]


def idle(gateway: RunningGateway, number: int) -> bool:
    """True if so many requests wait, and none is attempted."""
    figures = metrics(gateway.server)
    attempted = figures["pgrst_db_pool_waiting"] or figures[AVAILABLE] != figures["pgmq_gateway_connections_open"]
    return figures["pgmq_gateway_waiting"] == number and not attempted


def attempts(gateway: RunningGateway, outcome: str) -> float:
    """The attempts of waiting calls with this outcome."""
    return metrics(gateway.server).get(f'pgmq_gateway_wait_attempts_total{{outcome="{outcome}"}}', 0)
