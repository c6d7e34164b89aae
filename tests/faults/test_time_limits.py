"""Statement timeouts on a faulty network: the reported outcome is the real one."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import httpx
import psycopg
import pytest

from pgmq_gateway.embedded.cluster import SOCKET_NAME, socket_folder, socket_uri
from pgmq_gateway.embedded.datadir import DataDirectory
from tests.answers import refusal
from tests.gateways import Bearer
from tests.process.metrics import AVAILABLE, metrics
from tests.proxy import Proxy
from tests.server import Serve
from tests.waiting import until

# The gateway's connection for calls after it was cleaned.
CLEANED = """
select from pg_stat_activity
where datname = current_database() and usename = 'authenticator' and state = 'idle' and query like '%clean_session%'
"""
SEND = {"queue_name": "jobs", "message": {"n": 1}}


@pytest.fixture
def owner(database: str, directory: DataDirectory) -> Iterator[psycopg.Connection[Any]]:
    """The owner of a database with a queue and a statement timeout of 1 s, enough for a send on a busy machine."""
    with psycopg.connect(socket_uri(directory, database=database), autocommit=True) as owner:
        owner.execute("select pgmq_admin.create_queue('jobs')")
        owner.execute("create role hasty nologin inherit in role service_role; grant hasty to authenticator")
        owner.execute("alter role hasty set statement_timeout = '1s'")
        owner.execute("create policy everybody on pgmq.q_jobs to hasty using (true)")
        yield owner
        owner.execute("drop policy everybody on pgmq.q_jobs; drop role hasty")


@pytest.fixture
def proxy(directory: DataDirectory) -> Iterator[Proxy]:
    with Proxy(socket_folder(directory) / SOCKET_NAME) as proxy:
        yield proxy


def test_f12_a_call_is_reported_cancelled_only_if_it_was(
    owner: psycopg.Connection[Any], proxy: Proxy, serve: Serve, database: str, bearer: Bearer
) -> None:
    uri = f"postgresql://authenticator@127.0.0.1:{proxy.port}/{database}?sslmode=disable"
    # Without samples for the history, only calls use the connection.
    gateway = serve(database, PGRST_DB_URI=uri, PGRST_DB_POOL="1", PGMQ_GATEWAY_HISTORY_INTERVAL="0")
    headers = {"Content-Profile": "pgmq_public", **bearer("hasty")}

    def stored() -> int:
        ((number,),) = owner.execute("select count(*) from pgmq.q_jobs").fetchall()
        return int(number)

    with httpx.Client(base_url=gateway.url, headers=headers, timeout=60) as client, ThreadPoolExecutor(1) as aside:

        def cleaned() -> bool:
            """True if the gateway has cleaned its connection and will send nothing before the next call."""
            return bool(owner.execute(CLEANED).fetchall()) and metrics(gateway)[AVAILABLE] == 1

        def silent() -> Future[httpx.Response]:
            """A committed call whose response is delayed, so that the gateway sends a cancel request."""
            until(cleaned)
            before = stored()
            proxy.freeze("server")
            open_before = proxy.connections
            call = aside.submit(client.post, "/rpc/send", json=SEND)
            until(lambda: stored() == before + 1 and proxy.connections > open_before)
            return call

        assert client.post("/rpc/send", json=SEND).text == "[1]"
        late = silent()
        proxy.heal()
        # The cancel request may have struck the commit's wait for a standby.
        assert refusal(late.result())[:2] == (503, "PGRST001")
        assert stored() == 2
        with owner.transaction():
            owner.execute("lock table pgmq.q_jobs in exclusive mode")
            assert refusal(client.post("/rpc/send", json=SEND))[:2] == (500, "57014")
        assert stored() == 2
        # The outcome is unknown; the gateway closes the connection after a timeout.
        lost = silent()
        assert refusal(lost.result())[:2] == (503, "PGRST001")
        proxy.heal()
        until(lambda: client.post("/rpc/send", json=SEND).status_code == 200)
        assert stored() == 4
