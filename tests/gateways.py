"""Running gateways, each on a database that no other gateway uses."""

import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psycopg

from pgmq_gateway.embedded.cluster import socket_uri
from pgmq_gateway.embedded.datadir import DataDirectory
from tests import server
from tests.databases import Sql, runner
from tests.server import SECRET, Server
from tests.waiting import until

Headers = dict[str, str]
Bearer = Callable[..., Headers]
Grant = Callable[..., None]


@dataclass(frozen=True)
class RunningGateway:
    """A gateway with its own database. `client` adds no headers: it calls functions of `public` as anon."""

    server: Server
    client: httpx.Client
    sql: Sql

    def define(self, *statements: str) -> None:
        """Run SQL, and wait until the gateway has reloaded the functions."""
        marker = f"marker_{uuid.uuid4().hex}"
        for statement in statements:
            self.sql(statement)
        self.sql(f"create function public.{marker}() returns int stable language sql as 'select 1'")
        self.sql("notify pgrst, 'reload schema'")
        until(lambda: self.client.get(f"/rpc/{marker}", headers={"Accept-Profile": "public"}).status_code == 200)


@contextmanager
def running_gateway(
    directory: DataDirectory, database: str, log: Path, settings: Mapping[str, str]
) -> Iterator[RunningGateway]:
    """Run a gateway on a database of the server of this data directory. At the end it must exit with status 0."""
    uri = socket_uri(directory, "authenticator", database)
    running = server.start(log, env={"PGRST_DB_URI": uri, "PGRST_JWT_SECRET": SECRET, "PGRST_DB_POOL": "2", **settings})
    with (
        psycopg.connect(socket_uri(directory, database=database), autocommit=True) as connection,
        httpx.Client(base_url=running.url, timeout=30) as client,
    ):
        yield RunningGateway(running, client, runner(connection))
    assert running.stop() == 0, log.read_text()
