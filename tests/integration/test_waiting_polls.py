"""Messages that no wake-up reports: looks at the queues find them."""

from collections.abc import Iterator

import pytest

from pgmq_gateway.embedded.datadir import DataDirectory
from tests.databases import maintain
from tests.gateways import Bearer, Headers, RunningGateway
from tests.integration.waits import Waits, waits_at
from tests.waiting import until

GATEWAY = {"PGMQ_GATEWAY_WAIT_POLL": "0.1"}
SCHEMAS = (
    "select pgmq_admin.create_queue('jobs')",
    "select pgmq_admin.create_queue('unindexed')",
    "drop index pgmq.q_unindexed_vt_idx",
)


@pytest.fixture
def service(bearer: Bearer) -> Headers:
    return {**bearer("service_role"), "Content-Profile": "pgmq_api"}


@pytest.fixture
def waits(gateway: RunningGateway) -> Iterator[Waits]:
    gateway.sql("truncate pgmq.q_jobs, pgmq.q_unindexed")
    with waits_at(gateway) as waits:
        yield waits


@pytest.mark.parametrize("queue_name", ["jobs", "unindexed"])
def test_plain_sql_without_wake_is_found_by_the_poll(
    gateway: RunningGateway, waits: Waits, service: Headers, queue_name: str
) -> None:
    wait = waits.begin(service, queue_name=queue_name)
    gateway.sql("select pgmq.send(%s, '1')", queue_name)
    assert wait.received().messages == [1]


def test_a_message_that_becomes_visible_again_is_found(gateway: RunningGateway, waits: Waits, service: Headers) -> None:
    """Its vt is in the past, before that of a message that was there already."""
    gateway.sql("select pgmq.send('jobs', '1')")
    gateway.sql("update pgmq.q_jobs set vt = 'infinity'")
    wait = waits.begin(service)
    gateway.sql("update pgmq.q_jobs set vt = now() - interval '1 day'")
    assert wait.received().messages == [1]


def test_queue_dropped_while_waiting_is_404(gateway: RunningGateway, waits: Waits, service: Headers) -> None:
    gateway.sql("select pgmq_admin.create_queue('short')")
    begun = [waits.begin(service, queue_name="short", n=n) for n in (1, 1, 2)]
    gateway.sql("select pgmq_admin.drop_queue('short')")
    for wait in begun:
        response = wait.received()
        assert (response.status, response.body["code"]) == (404, "42P01")


def test_paused_queue_waits_and_resumes(gateway: RunningGateway, waits: Waits, service: Headers) -> None:
    gateway.sql("""select pgmq_admin.set_queue_settings('jobs', '{"paused": true}')""")
    gateway.sql("select pgmq.send('jobs', '1')")
    wait = waits.begin(service)
    gateway.sql("""select pgmq_admin.set_queue_settings('jobs', '{"paused": null}')""")
    assert wait.received().messages == [1]


def test_f49_database_unavailable_during_a_wait(
    gateway: RunningGateway, directory: DataDirectory, waits: Waits, service: Headers
) -> None:
    """The attempt is repeated. When the time is up first, its error is the response."""
    ((database,),) = gateway.sql("select current_database()")
    wait = waits.begin(service)
    maintain(directory, f"alter database {database} allow_connections false")
    gateway.sql(
        "select pg_terminate_backend(pid, 60000) from pg_stat_activity"
        " where datname = current_database() and pid <> pg_backend_pid()"
    )
    read = {"queue_name": "jobs"}
    until(lambda: gateway.client.post("/rpc/read", headers=service, json=read).json()["code"] == "PGRST000")
    late = waits.send(service, "read", {"queue_name": "jobs", "n": 2}, 1).received()
    assert (late.status, late.body["code"]) == (503, "PGRST000")
    gateway.sql("select pgmq.send('jobs', '1')")
    maintain(directory, f"alter database {database} allow_connections true")
    assert wait.received().messages == [1]
