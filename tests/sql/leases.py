"""Calls of pgmq_api in the tests of leases."""

import json

from tests.databases import Sql


def prepare(sql: Sql, *queues: str, **settings: object) -> None:
    """Create queues without row-level security, the first one with settings."""
    for queue in queues:
        sql("select pgmq_admin.create_queue(%s, rls => false)", queue)
    if settings:
        sql("select pgmq_admin.set_queue_settings(%s, %s)", queues[0], json.dumps(settings))


def empty(sql: Sql, *queues: str, role: str) -> None:
    """Remove the messages of queues, their row-level security, all policies, and the privileges of a role."""
    for queue in queues:
        sql(f"truncate pgmq.q_{queue}, pgmq.a_{queue} restart identity")
        sql(f"alter table pgmq.q_{queue} disable row level security")
        sql(f"revoke all on pgmq.q_{queue}, pgmq.a_{queue} from {role}")
    for table, policy in sql("select polrelid::regclass::text, polname from pg_policy"):
        sql(f"drop policy {policy} on {table}")


def send(sql: Sql, queue: str, *messages: object, headers: object = None) -> None:
    """Send messages by pgmq's own function."""
    for message in messages:
        sql("select pgmq.send(%s, %s::jsonb, %s::jsonb)", queue, json.dumps(message), headers and json.dumps(headers))


def read(sql: Sql, queue: str, n: int = 1, lease: int | None = 60) -> list[str]:
    """The receipts of a read."""
    return [receipt for (receipt,) in sql("select receipt from pgmq_api.read(%s, %s, %s)", queue, lease, n)]


def expire(sql: Sql, queue: str) -> None:
    """End all leases of a queue."""
    sql(f"update pgmq.q_{queue} set vt = clock_timestamp() - interval '1 second' where vt > clock_timestamp()")


def settle(sql: Sql, queue: str, **lists: object) -> list[tuple[str, str]]:
    """Receipts and outcomes of a call of settle."""
    names = ("acks", "archives", "retries", "rejects", "extensions")
    values = [
        json.dumps(lists.get(name, [])) if name in names[2:] else lists.get(name, []) for name in names
    ]  # fmt: skip
    query = "select * from pgmq_api.settle(%s, %s::text[], %s::text[], %s::jsonb, %s::jsonb, %s::jsonb, %s)"
    return [(row[0], row[1]) for row in sql(query, queue, *values, lists.get("strict", False))]


def outcomes(rows: list[tuple[str, str]]) -> list[str]:
    return [outcome for _, outcome in rows]
