"""The contenders: HTTP servers in front of Postgres, and Postgres alone."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Protocol
from urllib.parse import urlsplit

from bench import plan, usage
from bench.cell import Cell, Operation
from bench.database import Queues
from bench.generator import run_http
from bench.measurement import Load
from bench.pgbench import ROLE, run_pgbench
from pgmq_gateway.auth.signing import token

TOKEN_SECONDS = 24 * 3600

# Postgres is fastest with a few clients per core; more of them only wait inside it.
PGBENCH_CLIENTS = 16


class Name(StrEnum):
    """Names of the contenders on the command line."""

    GATEWAY = "gateway"
    GATEWAY_2 = "gateway-2"
    PGBOUNCER = "pgbouncer"
    BASELINE = "baseline"
    PGMQ_API = "pgmq-api"
    POSTGREST = "postgrest"
    POSTGRES = "postgres"
    FLOOR = "floor"


class Contender(Protocol):
    """A contender.

    pid     the process of its server, if it is visible
    stores  whether the messages that it acknowledges are in its queue
    """

    name: Name
    pid: int | None
    queues: Queues
    stores: bool

    def covers(self, cell: Cell) -> bool:
        """True if the contender supports the cell."""

    async def load(self, cell: Cell, seconds: int, first_id: int | None) -> Load:
        """Run the load for some seconds. `first_id`: of the messages to name, where the operation names them."""


@dataclass(slots=True)
class HttpServer:
    """A server at `url`. `requests` builds its requests.

    `secret` signs its callers' tokens; None: it knows no callers. Without `stores` it only answers sends. `admin`: the
    URL of its admin port.
    """

    name: Name
    url: str
    pid: int | None
    queues: Queues
    requests: Callable[[Cell, str, tuple[str, ...]], plan.Plan]
    secret: bytes | None = field(repr=False)
    stores: bool = True
    admin: str = ""
    _tokens: dict[int, tuple[str, ...]] = field(default_factory=dict)

    def covers(self, cell: Cell) -> bool:
        return (self.secret is not None or cell.callers == 1) and (self.stores or cell.operation is Operation.SEND)

    async def load(self, cell: Cell, seconds: int, first_id: int | None) -> Load:
        if cell.callers not in self._tokens:
            self._tokens[cell.callers] = tokens(self.secret, cell.callers) if self.secret else ("",)
        requests = self.requests(cell, queue_of(self.name), self._tokens[cell.callers])
        return await run_http(self.url, replace(requests, first_id=first_id), cell, seconds)


@dataclass(slots=True)
class Postgres:
    """Postgres alone. `uri` is that of the login role."""

    uri: str
    queues: Queues
    clients: int = PGBENCH_CLIENTS
    name: Name = Name.POSTGRES
    pid: int | None = None
    stores: bool = True

    def covers(self, cell: Cell) -> bool:  # noqa: ARG002 it can do anything
        return True

    async def load(self, cell: Cell, seconds: int, first_id: int | None) -> Load:
        clients = min(cell.connections, self.clients)
        return await run_pgbench(self.uri, cell, queue_of(self.name), clients, seconds, first_id)


def tokens(secret: bytes, callers: int) -> tuple[str, ...]:
    """The header Authorization of each caller."""
    return tuple(f"Bearer {token(secret, ROLE, {'sub': f'user-{n}'}, TOKEN_SECONDS)}" for n in range(1, callers + 1))


def queue_of(name: Name) -> str:
    return f"bench_{name.value.replace('-', '_')}"


def postgrest(url: str, secret: str, queues: Queues) -> HttpServer:
    """A running PostgREST."""
    return HttpServer(Name.POSTGREST, url, usage.listener(urlsplit(url).port or 80), queues, plan.rpc, secret.encode())
