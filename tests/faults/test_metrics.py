"""Metrics of queues and database under faults."""

import httpx
import psycopg
import pytest
from prometheus_client.parser import text_string_to_metric_families

from pgmq_gateway.embedded.cluster import socket_uri
from pgmq_gateway.embedded.datadir import DataDirectory
from tests.gateways import RunningGateway
from tests.waiting import until

GATEWAY = {"PGMQ_GATEWAY_QUEUE_METRICS": "2", "PGRST_DB_POOL": "1"}
SAMPLE = "select pgmq_gateway.take_sample(0.001, 7)"
# The sample stays the newest for an hour.
LASTING = "update pgmq_gateway.samples set spacing = 3600"

Values = dict[tuple[str, tuple[str, ...]], float]


def values(gateway: RunningGateway) -> Values:
    """The current metrics of queues and database, by name and labels."""
    answer = httpx.get(f"{gateway.server.admin_url}/metrics", timeout=30)
    return {
        (sample.name.removeprefix("pgmq_gateway_"), tuple(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
        if sample.name.startswith(("pgmq_gateway_queue", "pgmq_gateway_database_"))
    }


@pytest.fixture(scope="module")
def sampled(gateway: RunningGateway) -> RunningGateway:
    """Three queues with a sample; the name of one needs escaping in Prometheus' format."""
    for queue in ("a", "b", "c"):
        gateway.sql("select pgmq_admin.create_queue(%s)", queue)
    gateway.sql("update pgmq.meta set queue_name = %s where queue_name = %s", 'a"\\\n', "a")
    gateway.sql('alter table pgmq.q_a rename to "q_a""\\\n"')
    gateway.sql("select pgmq.send_batch('b', array_fill('1'::jsonb, array[5]))")
    gateway.sql("select pgmq.read('b', 600, 2)")
    gateway.sql("select pgmq.send_batch('c', array_fill('1'::jsonb, array[3]), 600)")
    gateway.sql(
        "insert into pgmq_settings.burials values"
        " ('q_b', 2, 1, 0, 1, null, null, 0), ('q_b', 0, 0, 0, 2, null, null, 1)"
    )
    gateway.sql("select pgmq_gateway.maintain(60000)")
    gateway.sql(SAMPLE)
    gateway.sql(LASTING)
    return gateway


def test_queue_metrics_are_those_of_the_newest_sample(sampled: RunningGateway) -> None:
    until(lambda: ("queues_messages", ()) in values(sampled))
    found = values(sampled)
    assert (found["queues", ()], found["queues_messages", ()]) == (3, 8)
    assert found["queues_oldest_seconds", ()] >= 0
    states = {state: found["queue_messages", ("b", state)] for state in ("visible", "delayed", "in_flight")}
    assert states == {"visible": 3, "delayed": 0, "in_flight": 2}
    assert found["queue_sent_total", ("b",)] == 5
    assert [found["queue_dead_letters_total", ("b", reason)] for reason in ("max_receives", "rejected", "expired")] == [
        2, 1, 0,
    ]  # fmt: skip
    assert found["queue_failed_burials_total", ("b",)] == 3
    assert found["database_maintenance_runs_total", ()] == 1
    assert found["database_maintenance_seconds_total", ()] > 0
    # At most as many queues as the setting allows.
    assert {labels[0] for _, labels in found if labels} == {'a"\\\n', "b"}


def test_f38_a_scrape_looks_at_no_queue_and_waits_for_none(sampled: RunningGateway, directory: DataDirectory) -> None:
    (name,) = sampled.sql("select current_database()")[0]
    with psycopg.connect(socket_uri(directory, database=name)) as blocker:
        blocker.execute("lock table pgmq.q_b, pgmq.a_b in access exclusive mode")
        # The only connection for calls is busy too.
        blocker.execute("select pg_advisory_lock(1)")
        until(lambda: values(sampled).get(("queue_sent_total", ("b",))) == 5)


def test_f31_an_old_transaction_shows(sampled: RunningGateway, directory: DataDirectory) -> None:
    (name,) = sampled.sql("select current_database()")[0]
    with psycopg.connect(socket_uri(directory, database=name)) as idle:
        idle.execute("set transaction isolation level repeatable read")
        idle.execute("select 1")
        ((began,),) = idle.execute("select extract(epoch from now())::float").fetchall()
        for _ in range(20):
            sampled.sql("insert into pgmq.q_c (vt, message) values (now(), '1')")

        def shows() -> bool:
            found = values(sampled)
            now = sampled.sql("select extract(epoch from clock_timestamp())::float")[0][0]
            age = found.get(("database_oldest_transaction_seconds", ()), 0)
            return 1 < age <= now - began + 1 and found.get(("database_oldest_xmin_transactions", ()), 0) >= 20

        until(shows)
    until(lambda: values(sampled).get(("database_oldest_xmin_transactions", ()), 0) < 20)


def test_f18_the_lag_of_a_standby_is_a_metric(sampled: RunningGateway) -> None:
    found = values(sampled)
    assert {name: value for (name, _), value in found.items() if "standb" in name} == {
        "database_is_standby": 0,
        "database_standbys": 0,
        "database_synchronous_standbys": 0,
    }
    # Without a standby there is no metric of its lag.
    assert ("database_lag_bytes", ()) not in found


def test_an_older_installation_has_the_metrics_that_it_knows(sampled: RunningGateway) -> None:
    def figures() -> set[str]:
        return {name for name, _ in values(sampled) if name.startswith("database_")}

    until(lambda: "database_maintenance_runs_total" in figures())
    sampled.sql("alter function pgmq_gateway.database_metrics rename to newer")
    sampled.sql("create function pgmq_gateway.database_metrics(out is_standby boolean) language sql as 'select false'")
    until(lambda: figures() == {"database_is_standby"})
    sampled.sql("drop function pgmq_gateway.database_metrics")
    sampled.sql("alter function pgmq_gateway.newer rename to database_metrics")
    until(lambda: "database_maintenance_runs_total" in figures())


def test_unknown_values_are_left_out(sampled: RunningGateway) -> None:
    sampled.sql("update pgmq_gateway.samples set at = at - interval '1 day'")
    until(lambda: ("queues_messages", ()) not in values(sampled))
    assert values(sampled)["queues", ()] == 3
    sampled.sql("alter function pgmq_gateway.queue_metrics rename to gone")
    until(lambda: values(sampled) == {})
    assert httpx.get(f"{sampled.server.admin_url}/metrics").status_code == 200
    assert sampled.server.log.read_text() == ""
