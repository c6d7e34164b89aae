"""A gateway behind a proxy to Postgres, for fault injection."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import psycopg
import pytest

from pgmq_gateway.embedded.cluster import SOCKET_NAME, socket_folder, socket_uri
from pgmq_gateway.embedded.datadir import DataDirectory
from tests import server
from tests.databases import new_database, runner
from tests.gateways import Bearer, RunningGateway
from tests.proxy import Proxy
from tests.server import SECRET
from tests.waiting import until


@dataclass(frozen=True)
class Faulty(RunningGateway):
    """A gateway connected to Postgres through a proxy. `client` is service_role, `sql` bypasses the proxy."""

    wire: Proxy

    def call(self, function: str, **arguments: object) -> httpx.Response:
        """Call a function on the queue."""
        return self.client.post(f"/rpc/{function}", json=arguments)

    def serves(self) -> bool:
        """True if the gateway is ready and calls reach the database."""
        page = httpx.get(f"{self.server.admin_url}/ready")
        return page.status_code == 200 and self.call("pop", queue_name="idle").status_code == 200


def login(wire: Proxy, database: str) -> str:
    """The URI of a database behind the proxy, for the gateway."""
    return f"postgresql://authenticator@127.0.0.1:{wire.port}/{database}?sslmode=disable"


@pytest.fixture(scope="module")
def faulty(
    directory: DataDirectory, template: str, tmp_path_factory: pytest.TempPathFactory, bearer: Bearer
) -> Iterator[Faulty]:
    """A gateway for the tests of the module."""
    with new_database(directory, template) as name, Proxy(socket_folder(directory) / SOCKET_NAME) as wire:

        def sql(statement: str, *parameters: object) -> list[tuple[object, ...]]:
            # A new connection each time, because the server may have been killed.
            with psycopg.connect(socket_uri(directory, database=name), autocommit=True) as connection:
                return runner(connection)(statement, *parameters)

        sql("select pgmq_admin.create_queue('idle')")
        log = tmp_path_factory.mktemp("faulty") / "log"
        env = {"PGRST_DB_URI": login(wire, name), "PGRST_JWT_SECRET": SECRET, "PGRST_DB_POOL": "4"}
        running = server.start(log, env={**env, "PGRST_DB_POOL_ACQUISITION_TIMEOUT": "5"})
        headers = {"Content-Profile": "pgmq_public", **bearer("service_role")}
        with httpx.Client(base_url=running.url, headers=headers, timeout=30) as client:
            yield Faulty(running, client, sql, wire)
        assert running.stop() == 0, log.read_text()


@pytest.fixture
def jobs(faulty: Faulty) -> Iterator[str]:
    """The test's own queue, once the gateway serves."""
    name = f"q{uuid.uuid4().hex[:12]}"
    faulty.sql("select pgmq_admin.create_queue(%s)", name)
    until(faulty.serves)
    yield name
    faulty.wire.heal()
    until(faulty.serves)
    faulty.sql("select pgmq.drop_queue(%s)", name)
