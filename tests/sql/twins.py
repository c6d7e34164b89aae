"""Two equal queues, q and twin, on which anon, whose claim sub is "somebody", owns some of the messages: calls that run
together on one have the results that they have alone on the other."""

import json
import random
import re
from collections.abc import Callable
from typing import Any

from psycopg import errors

from tests.databases import Sql
from tests.sql.calls import JUDGEMENT, calls

# Far longer than a test, so that the leases and delays of messages can be read from vt.
STEP = 10_000
# A statement that was undone has used ids.
SAME_IDS = "select setval('pgmq.q_q_msg_id_seq', last_value, is_called) from pgmq.q_twin_msg_id_seq"
TIMESTAMP = re.compile(r'"\d{4}-\d\d-\d\dT[^"]*"')
OWN = "message ->> 'owner' = current_setting('request.jwt.claims', true)::json ->> 'sub'"
OTHER = {"owner": "other"}
# Seconds since 1970.
ENQUEUED = 1_790_000_000


def create(db: Sql) -> None:
    """Create the queues."""
    for queue in ("q", "twin"):
        db(f"select pgmq_admin.create_queue('{queue}')")
        db(f"select pgmq_admin.grant_queue('{queue}', 'anon', '{{send,read,pop,delete,archive}}')")
        db(f"alter table pgmq.q_{queue} add check (message is distinct from '-1'), disable row level security")


def protect(db: Sql) -> None:
    for queue in ("q", "twin"):
        db(f"alter table pgmq.q_{queue} enable row level security")
        db(f"create policy own on pgmq.q_{queue} to anon using ({OWN}) with check ({OWN})")


def fill(db: Sql, picked: random.Random) -> None:
    """Add up to 40 equal messages to both queues: some in flight, some of other owners, not in the order of vt."""
    count = picked.randrange(40)
    owners = [json.dumps({"owner": picked.choice(["somebody", "somebody", "other"]), "n": n}) for n in range(count)]
    # Without two equal ones: which of them is read first is not defined.
    ages = [age if age > 20 else -STEP - age for age in picked.sample(range(1, 200), count)]
    for queue in ("q", "twin"):
        db(
            f"insert into pgmq.q_{queue} (vt, message, read_ct, enqueued_at) "
            "select now() - make_interval(secs => age), message, mod(abs(age), 3), to_timestamp(%s) "
            "from unnest(%s::int[], %s::jsonb[]) as m (age, message)",
            ENQUEUED, ages, owners,
        )  # fmt: skip


def add(db: Sql, count: int, queue: str = "q") -> None:
    """Add visible messages in the order of vt."""
    db(f"insert into pgmq.q_{queue} (vt, message, enqueued_at) "
       "select now() - make_interval(secs => 2000 - n), '1', to_timestamp(%s) from generate_series(1, %s) as n",
       ENQUEUED, count)  # fmt: skip


def stored(db: Sql, queue: str) -> dict[str, list[tuple[Any, ...]]]:
    """The rows of a queue and of its archive, with the number of steps from now to vt."""
    columns = f"msg_id, read_ct, last_read_at is null, round(extract(epoch from vt - now()) / {STEP}), message, headers"
    return {table: db(f"select {columns} from pgmq.{table} order by msg_id") for table in (f"q_{queue}", f"a_{queue}")}


def outcome(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """A call's number of rows and body without timestamps, or its SQLSTATE and message."""
    row_count, body, failure = row
    if failure is not None:
        return failure[0], failure[1].replace("twin", "q")
    return row_count, TIMESTAMP.sub("t", body).replace('"queue_name":"twin"', '"queue_name":"q"')


def together(
    gateway: Sql, function: str, arguments: list[Any], queue: str = "q", undone: Callable[[], object] = object
) -> list[tuple[Any, ...]]:
    """The outcomes of calls as the gateway runs them: if one of them fails, again with savepoints and one by one, and
    if that fails, each in a transaction of its own."""
    bodies = [json.dumps({"queue_name": queue, **given}) for given in arguments]
    statements = [signature(function, given) for given in arguments]
    for careful in (False, True):
        try:
            return [outcome(row) for row in calls(gateway, bodies, statements=statements, queue=queue, careful=careful)]
        except errors.DatabaseError:
            undone()
    return alone(gateway, function, arguments, queue)


def alone(gateway: Sql, function: str, arguments: list[Any], queue: str = "q") -> list[tuple[Any, ...]]:
    """The outcomes of calls, each in a transaction of its own."""
    (judgement,) = gateway(JUDGEMENT, queue, function)
    return [
        outcome(row)
        for given in arguments
        for row in calls(
            gateway, [json.dumps({"queue_name": queue, **given})], statement=signature(function, given), queue=queue,
            judgement=judgement,
        )
    ]  # fmt: skip


def signature(function: str, arguments: dict[str, Any]) -> str:
    return f"{function}({','.join(sorted([*arguments, 'queue_name']))})"
