"""Managing queues over HTTP, for service_role only."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from tests.answers import error, refusal
from tests.databases import Sql
from tests.gateways import Bearer, RunningGateway
from tests.waiting import until

ARGUMENTS: dict[str, dict[str, Any]] = {
    "create_queue": {"queue_name": "made"},
    "drop_queue": {"queue_name": "jobs"},
    "purge_queue": {"queue_name": "jobs"},
    "list_queues": {},
    "queue_status": {"queue_name": "jobs"},
    "setting_ranges": {},
    "list_groups": {"queue_name": "jobs"},
    "enable_notify": {"queue_name": "jobs"},
    "disable_notify": {"queue_name": "jobs"},
    "database_status": {},
    "history": {"queue_name": "jobs"},
}
GATEWAY = {"PGMQ_GATEWAY_HISTORY_INTERVAL": "0.2"}

Manage = Callable[..., httpx.Response]


@pytest.fixture
def manage(gateway: RunningGateway, bearer: Bearer) -> Manage:
    """manage("drop_queue", queue_name="jobs"): the response, as service_role by default."""

    def call(function: str, *, role: str | None = "service_role", **arguments: object) -> httpx.Response:
        headers = {"Content-Profile": "pgmq_admin", **(bearer(role) if role else {})}
        return gateway.client.post(f"/rpc/{function}", json=arguments, headers=headers)

    return call


@pytest.fixture
def jobs(gateway: RunningGateway) -> Iterator[Sql]:
    """A queue with three visible messages, one that is delayed, one in flight, and one in the archive."""
    gateway.sql("select pgmq_admin.create_queue('jobs')")
    gateway.sql("select pgmq_public.send_batch('jobs', array['1', '2', '3', '4', '5']::jsonb[])")
    gateway.sql("select pgmq_public.send('jobs', '6', 600), pgmq_public.archive('jobs', 1)")
    gateway.sql("select pgmq_public.read('jobs', 600, 1)")
    yield gateway.sql
    gateway.sql("select pgmq_admin.drop_queue(queue_name) from pgmq.meta")


@pytest.mark.parametrize("role", ["anon", "authenticated", None])
@pytest.mark.parametrize("function", ARGUMENTS)
def test_a20_only_service_role_manages(manage: Manage, jobs: Sql, function: str, role: str | None) -> None:
    refused = manage(function, role=role, **ARGUMENTS[function])
    expected = (403 if role == "authenticated" else 401, "42501", "permission denied for schema pgmq_admin")
    assert refusal(refused) == expected
    assert jobs("select queue_name::text, (select count(*) from pgmq.q_jobs) from pgmq.meta") == [("jobs", 5)]


@pytest.mark.usefixtures("jobs")
def test_service_role_can_call_every_management_function(gateway: RunningGateway, manage: Manage) -> None:
    granted = gateway.sql("""
        select proname::text from pg_proc
        where pronamespace = 'pgmq_admin'::regnamespace and has_function_privilege('service_role', oid, 'execute')
    """)
    assert {*ARGUMENTS} <= {name for (name,) in granted}
    for function, arguments in ARGUMENTS.items():
        if function != "drop_queue":
            assert manage(function, **arguments).is_success, function


@pytest.mark.parametrize(("type_", "persistence"), [("basic", "p"), ("unlogged", "u")])
def test_a_queue_is_created_listed_and_dropped(
    gateway: RunningGateway, manage: Manage, type_: str, persistence: str
) -> None:
    assert manage("create_queue", queue_name="made", queue_type=type_).json() is True
    assert manage("create_queue", queue_name="made", queue_type=type_).json() is False
    (row,) = manage("list_queues").json()
    assert (row["queue_name"], row["queue_type"], row["rls"], row["messages"]) == ("made", type_, True, 0)
    ((kind, options),) = gateway.sql("select relpersistence::text, reloptions from pg_class where relname = 'q_made'")
    assert (kind, "autovacuum_vacuum_cost_delay=0" in options) == (persistence, True)
    assert manage("drop_queue", queue_name="made").status_code == 204
    assert manage("list_queues").json() == []
    assert gateway.sql("select relname from pg_class where relname ~ '_made'") == []


@pytest.fixture
def publication(gateway: RunningGateway) -> Iterator[None]:
    """A publication of all tables, for which each deleted row must be identified."""
    gateway.sql("create publication everything for all tables")
    yield
    gateway.sql("drop publication everything")


@pytest.mark.usefixtures("publication")
def test_d11_a_queue_is_dropped_beside_a_publication_of_all_tables(gateway: RunningGateway, manage: Manage) -> None:
    assert manage("create_queue", queue_name="made").json() is True
    gateway.sql("select pgmq.bind_topic('made.#', 'made'), pgmq.enable_notify_insert('made')")
    gateway.sql("select pgmq_gateway.take_sample(60, 1)")
    assert manage("purge_queue", queue_name="made").json() == 0
    assert manage("drop_queue", queue_name="made").status_code == 204
    assert gateway.sql("select relname from pg_class where relname ~ '_made'") == []
    assert gateway.sql("select queue_name from pgmq.meta union all select queue_name from pgmq.topic_bindings") == []
    # A sample that was being taken while a queue was dropped is deleted by the next one.
    until(lambda: gateway.sql("select queue_name from pgmq_gateway.samples") == [])


@pytest.mark.usefixtures("jobs")
def test_a_queue_is_listed_with_its_numbers(manage: Manage) -> None:
    (row,) = manage("list_queues").json()
    assert {name: row[name] for name in ("queue_type", "rls", "notify", "messages", "exact", "visible", "delayed",
                                         "in_flight", "archived", "sent")} == {
        "queue_type": "basic", "rls": True, "notify": False, "messages": 5, "exact": True, "visible": 3, "delayed": 1,
        "in_flight": 1, "archived": 1, "sent": 6,
    }  # fmt: skip
    assert row["oldest_seconds"] >= row["newest_seconds"] > 0
    assert min(row["table_bytes"], row["index_bytes"], row["archive_bytes"]) >= 8192
    status = manage("queue_status", queue_name="jobs").json()
    assert {name: row[name] for name in status if not name.endswith("seconds")} == {
        name: value for name, value in status.items() if not name.endswith("seconds")
    }


def test_purging_returns_the_number_and_keeps_the_archive(manage: Manage, jobs: Sql) -> None:
    assert manage("purge_queue", queue_name="jobs").json() == 5
    assert jobs("select (select count(*) from pgmq.q_jobs), (select count(*) from pgmq.a_jobs)") == [(0, 1)]


def test_senders_can_still_send_when_the_queue_notifies(gateway: RunningGateway, manage: Manage, jobs: Sql) -> None:
    jobs("alter table pgmq.q_jobs disable row level security")
    jobs("select pgmq_admin.grant_queue('jobs', 'anon', '{send}')")
    assert manage("enable_notify", queue_name="jobs", throttle_interval_ms=10).status_code == 204
    assert [row["notify"] for row in manage("list_queues").json()] == [True]
    assert jobs("select throttle_interval_ms from pgmq.notify_insert_throttle") == [(10,)]
    sent = gateway.client.post(
        "/rpc/send", json={"queue_name": "jobs", "message": 7}, headers={"Content-Profile": "pgmq_public"}
    )
    assert sent.json() == [7]
    for _ in range(2):
        assert manage("disable_notify", queue_name="jobs").status_code == 204
    assert [row["notify"] for row in manage("list_queues").json()] == [False]


def test_notifications_that_would_not_come_are_refused(manage: Manage, jobs: Sql) -> None:
    jobs("select pgmq.create('Big')")
    assert refusal(manage("enable_notify", queue_name="Big"))[:2] == (400, "0A000")
    assert refusal(manage("enable_notify", queue_name="jobs", throttle_interval_ms=-1))[:2] == (400, "22023")


@pytest.mark.parametrize("function", ["drop_queue", "purge_queue", "queue_status", "enable_notify", "disable_notify",
                                      "history"])  # fmt: skip
def test_an_unknown_queue_is_an_error_with_a_hint(manage: Manage, function: str) -> None:
    answer = manage(function, queue_name="nowhere")
    assert refusal(answer) == (404, "42P01", 'queue "nowhere" does not exist')
    assert error(answer)["hint"] == "pgmq_admin.list_queues() lists all queues."


def test_the_database_tells_how_it_is(gateway: RunningGateway, manage: Manage) -> None:
    gateway.sql("begin")
    gateway.sql("select count(*) from pgmq.meta")
    try:
        status = manage("database_status").json()
    finally:
        gateway.sql("commit")
    assert status["pgmq_version"] == "1.13.0"
    assert status["partman_version"] is None
    assert status["oldest_transaction_seconds"] > 0
    assert 0 < status["connections"] <= status["max_connections"]
    assert 0 < status["cache_hit_ratio"] <= 1
    assert status["database_bytes"] > 1_000_000


def test_the_gateway_takes_samples_and_tells_the_history(gateway: RunningGateway, manage: Manage, jobs: Sql) -> None:
    until(lambda: jobs("select count(*) >= 2 from pgmq_gateway.samples where queue_name = 'jobs'") == [(True,)])
    points = manage("history", queue_name="jobs", buckets=3).json()
    assert len(points) == 3
    assert points[0]["messages"] is None
    last = {name: points[-1][name] for name in ("messages", "visible", "delayed", "in_flight", "archived")}
    assert last == {"messages": 5, "visible": 3, "delayed": 1, "in_flight": 1, "archived": 1}
    read = gateway.client.get("/rpc/history?buckets=1", headers={"Accept-Profile": "pgmq_admin", "Authorization": ""})
    assert read.status_code in (401, 403)
    manage("drop_queue", queue_name="jobs")
    assert jobs("select count(*) from pgmq_gateway.samples where queue_name = 'jobs'") == [(0,)]
