"""Running calls whose clients disconnect are cancelled where only the client needs what they do."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from tests.calls import ENDLESS_FILTER, ENDLESS_TEXT
from tests.gateways import Bearer, RunningGateway
from tests.waiting import until

CALLS = 10
# No time limit ends these calls.
GATEWAY = {"PGRST_DB_POOL": str(CALLS), "PGMQ_GATEWAY_FILTER_TIMEOUT": "0"}

READ = '{"queue_name": "jobs", "sleep_seconds": 600, "n": 1}'

REST = "create or replace function public.rest() returns int stable language sql as 'select 1 from pg_sleep(600)'"
RUNNING = """
select count(*) from pg_stat_activity
where datname = current_database() and usename = 'authenticator' and state = 'active'
"""


@pytest.fixture
def gateway(gateway: RunningGateway) -> Iterator[RunningGateway]:
    """A gateway with a queue of messages that the pattern takes long for."""
    gateway.sql("select pgmq_admin.create_queue('jobs')")
    gateway.sql(
        "select pgmq.send('jobs', jsonb_build_object('x', %s::text)) from generate_series(1, %s)", ENDLESS_TEXT, CALLS
    )
    yield gateway
    gateway.sql("select pgmq.drop_queue('jobs')")


@contextmanager
def sent(url: str, line: str, headers: dict[str, str], body: str = "") -> Iterator[None]:
    """Send a request, and close its connection at the end of the block."""
    host, port = url.removeprefix("http://").split(":")
    lines = {"Host": host, "Content-Length": str(len(body)), "Content-Type": "application/json", **headers}
    head = "\r\n".join([f"{line} HTTP/1.1", *(f"{name}: {value}" for name, value in lines.items()), "", ""])
    with socket.create_connection((host, int(port)), 30) as client:
        client.sendall((head + body).encode())
        yield


@pytest.mark.parametrize(
    ("line", "profile", "body"),
    [
        (f"POST /rpc/read?{ENDLESS_FILTER}", {"Content-Profile": "pgmq_public"}, READ),
        ("GET /rpc/rest", {"Accept-Profile": "public"}, ""),
    ],
    ids=["filters", "read-only"],
)
def test_f7_a42_calls_whose_clients_disconnect_give_their_connections_back(
    gateway: RunningGateway, bearer: Bearer, line: str, profile: dict[str, str], body: str
) -> None:
    gateway.define(REST)
    with ExitStack() as clients:
        for _ in range(CALLS):
            clients.enter_context(sent(gateway.server.url, line, {**profile, **bearer("service_role")}, body))
        # Some wait, because neither a caller nor a queue gets all connections.
        until(lambda: gateway.sql(RUNNING)[0][0] > CALLS / 2)
    until(lambda: gateway.sql(RUNNING) == [(0,)])
    assert gateway.sql("select count(*), max(read_ct) from pgmq.q_jobs where vt <= now()") == [(CALLS, 0)]
    headers = {"Content-Profile": "pgmq_public", **bearer("service_role")}
    read = gateway.client.post("/rpc/read", content=READ, headers=headers)
    assert (read.status_code, len(read.json())) == (200, 1)
