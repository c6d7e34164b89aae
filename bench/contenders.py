"""Who is measured: HTTP servers in front of Postgres, and Postgres without any."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol
from urllib.parse import urlsplit

from bench import plan, usage
from bench.cell import Cell
from bench.database import Queues
from bench.generator import run_http
from bench.measurement import Load
from bench.pgbench import ROLE, run_pgbench
from pgmq_gateway.auth.signing import token

TOKEN_SECONDS = 24 * 3600

# Postgres alone is fastest with a few clients for each core: more only queue inside of it.
PGBENCH_CLIENTS = 16


class Name(StrEnum):
    """The contenders, as the command line calls them."""

    GATEWAY = "gateway"
    BASELINE = "baseline"
    PGMQ_API = "pgmq-api"
    POSTGREST = "postgrest"
    POSTGRES = "postgres"


class Contender(Protocol):
    """One of those that are loaded in turn. `pid` is the process of its server, where it has one that can be seen."""

    name: Name
    pid: int | None
    queues: Queues

    def covers(self, cell: Cell) -> bool:
        """Whether it can do what the cell asks for."""

    async def load(self, cell: Cell, seconds: int) -> Load:
        """Load it for some seconds."""


@dataclass(slots=True)
class HttpServer:
    """A server that listens on `url`. `requests` says how it wants to be asked.

    `secret` signs its callers' tokens; None: it knows no callers.
    """

    name: Name
    url: str
    pid: int | None
    queues: Queues
    requests: Callable[[Cell, str, tuple[str, ...]], plan.Plan]
    secret: bytes | None = field(repr=False)
    _tokens: dict[int, tuple[str, ...]] = field(default_factory=dict)

    def covers(self, cell: Cell) -> bool:
        return self.secret is not None or cell.callers == 1

    async def load(self, cell: Cell, seconds: int) -> Load:
        if cell.callers not in self._tokens:
            self._tokens[cell.callers] = tokens(self.secret, cell.callers) if self.secret else ("",)
        return await run_http(
            self.url, self.requests(cell, queue_of(self.name), self._tokens[cell.callers]), cell, seconds
        )


@dataclass(slots=True)
class Postgres:
    """Postgres itself. `uri` is the login role's."""

    uri: str
    queues: Queues
    clients: int = PGBENCH_CLIENTS
    name: Name = Name.POSTGRES
    pid: int | None = None

    def covers(self, cell: Cell) -> bool:  # noqa: ARG002 it can do anything
        return True

    async def load(self, cell: Cell, seconds: int) -> Load:
        return await run_pgbench(self.uri, cell, queue_of(self.name), min(cell.connections, self.clients), seconds)


def tokens(secret: bytes, callers: int) -> tuple[str, ...]:
    """One value of the header Authorization for each caller."""
    return tuple(f"Bearer {token(secret, ROLE, {'sub': f'user-{n}'}, TOKEN_SECONDS)}" for n in range(1, callers + 1))


def queue_of(name: Name) -> str:
    """The name of a contender's queue."""
    return f"bench_{name.value.replace('-', '_')}"


def postgrest(url: str, secret: str, queues: Queues) -> HttpServer:
    """A PostgREST that is running already."""
    return HttpServer(Name.POSTGREST, url, usage.listener(urlsplit(url).port or 80), queues, plan.rpc, secret.encode())
