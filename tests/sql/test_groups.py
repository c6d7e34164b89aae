"""Groups: of the messages with the same header x-pgmq-group, at most group_limit are visible or in flight."""

import json
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from psycopg import errors

from pgmq_gateway.install.installer import check, install
from tests.databases import Sql
from tests.sql.conftest import as_role, connected
from tests.sql.leases import expire, outcomes, prepare, read, send, settle
from tests.waiting import repeated

Grouped = Callable[..., str]


@pytest.fixture
def grouped(owner: Sql) -> Grouped:
    """grouped(**settings): the name of a new queue, with group_limit 1 if no other."""

    def made(**settings: object) -> str:
        name = f"g{uuid.uuid4().hex[:12]}"
        prepare(owner, name, **{"group_limit": 1, **settings})
        return name

    return made


def put(sql: Sql, queue: str, group: str, *messages: object, **headers: object) -> None:
    send(sql, queue, *messages, headers={"x-pgmq-group": group, **headers})


def states(sql: Sql, queue: str) -> dict[int, str]:
    """The state of each message by its id."""
    return dict(sql("select msg_id, state from pgmq_api.peek(%s, 1000)", queue))


@contextmanager
def transaction(sql: Sql, mode: str = "", end: str = "rollback") -> Iterator[None]:
    sql(f"begin {mode}")
    try:
        yield
    except BaseException:
        sql("rollback")
        raise
    sql(end)


@contextmanager
def without_promotion(sql: Sql, queue: str) -> Iterator[None]:
    """Deletions meanwhile leave groups with too few messages."""
    sql(f"alter table pgmq.q_{queue} disable trigger pgmq_settings_group_delete")
    yield
    sql(f"alter table pgmq.q_{queue} enable trigger pgmq_settings_group_delete")


def parked(sql: Sql, queue: str) -> list[int]:
    return [msg_id for msg_id, state in states(sql, queue).items() if state == "parked"]


def ids(receipts: list[str]) -> list[int]:
    return [int(receipt.split(".")[0]) for receipt in receipts]


DELETES: dict[str, str] = {
    "delete": "select pgmq.delete('{q}', {id}::bigint)",
    "delete of several": "select pgmq.delete('{q}', array[{id}]::bigint[])",
    "archive": "select pgmq.archive('{q}', {id}::bigint)",
    "delete of pgmq_public": "select pgmq_public.delete('{q}', {id})",
    "delete of pgmq_api": "select pgmq_api.delete('{q}', {id})",
    "delete_batch": "select pgmq_api.delete_batch('{q}', array[{id}])",
    "archive_batch": "select pgmq_api.archive_batch('{q}', array[{id}])",
    "ack": "select pgmq_api.ack('{q}', '{receipt}')",
    "settle": "select * from pgmq_api.settle('{q}', acks => array['{receipt}'])",
    "reject": "select pgmq_api.reject('{q}', '{receipt}')",
    "move": "select * from pgmq_admin.move('{q}', '{{{id}}}', 'elsewhere')",
    "delete of pgmq_admin": "select pgmq_admin.delete('{q}', '{{{id}}}')",
    "archive of pgmq_admin": "select pgmq_admin.archive('{q}', '{{{id}}}')",
    "statement": "delete from pgmq.q_{q} where msg_id = {id}",
    "CTE": "with d as (delete from pgmq.q_{q} where msg_id = {id} returning *) select count(*) from d",
    "merge": "merge into pgmq.q_{q} as q using (select {id} as id) as s on q.msg_id = s.id when matched then delete",
}


@pytest.mark.parametrize("way", DELETES)
def test_every_way_of_deletion_promotes_the_next(owner: Sql, grouped: Grouped, way: str) -> None:
    owner("select pgmq_admin.create_queue('elsewhere', rls => false)")
    queue = grouped()
    put(owner, queue, "a", 1, 2, 3)
    (receipt,) = read(owner, queue, 10)
    assert ids([receipt]) == [1]
    assert parked(owner, queue) == [2, 3]
    if way == "merge" and int(owner("show server_version_num")[0][0]) < 150000:
        pytest.skip("MERGE came with Postgres 15")
    owner(DELETES[way].format(q=queue, id=1, receipt=receipt))
    assert states(owner, queue) == {2: "visible", 3: "parked"}


def test_pop_promotes_the_next(owner: Sql, grouped: Grouped) -> None:
    queue = grouped()
    put(owner, queue, "a", 1, 2)
    for statement, popped in (
        ("select msg_id from pgmq_api.pop(%s, 10)", 1),
        ("select msg_id from pgmq.pop(%s)", 2),
    ):
        assert owner(statement, queue) == [(popped,)]


def test_messages_without_a_group_are_not_limited(owner: Sql, grouped: Grouped) -> None:
    queue = grouped()
    send(owner, queue, 1, 2)
    send(owner, queue, 3, 4, headers={"other": 1})
    for headers in (["x-pgmq-group"], "x-pgmq-group", {"x-pgmq-group": None}):
        send(owner, queue, 5, headers=headers)
    assert parked(owner, queue) == []
    assert len(read(owner, queue, 10)) == 7
    assert owner("select pgmq_api.purge(%s)", queue) == [(7,)]


@pytest.mark.parametrize("limit", [1, 3])
def test_as_many_as_the_limit_are_visible(owner: Sql, grouped: Grouped, limit: int) -> None:
    queue = grouped(group_limit=limit)
    for i in range(5):
        for group in "ab":
            put(owner, queue, group, i)
    assert len(read(owner, queue, 100)) == 2 * limit
    assert len(parked(owner, queue)) == 10 - 2 * limit


def test_131_pgmq_public_read_obeys_groups(owner: Sql, grouped: Grouped) -> None:
    queue = grouped()
    put(owner, queue, "a", 1, 2)
    put(owner, queue, "b", 3)
    for statement in (
        "select msg_id from pgmq_public.read(%s, 0, 10)",
        "select msg_id from pgmq.read(%s, 0, 10)",
        "select msg_id from pgmq.read_with_poll(%s, 0, 10)",
    ):
        assert sorted(owner(statement, queue)) == [(1,), (3,)]


def test_123_crashed_consumer_blocks_its_group_until_lease_expiry(owner: Sql, grouped: Grouped) -> None:
    queue = grouped()
    put(owner, queue, "a", 1, 2)
    assert ids(read(owner, queue)) == [1]
    assert read(owner, queue, 10) == []
    expire(owner, queue)
    assert ids(read(owner, queue, 10)) == [1]


@pytest.mark.parametrize("dead_letter_queue", [None, "letters"])
def test_124_dead_head_releases_the_next(owner: Sql, grouped: Grouped, dead_letter_queue: str | None) -> None:
    owner("select pgmq_admin.create_queue('letters', rls => false)")
    queue = grouped(max_receives=1, dead_letter_queue=dead_letter_queue)
    put(owner, queue, "a", 1, 2)
    assert ids(read(owner, queue)) == [1]
    expire(owner, queue)
    assert ids(read(owner, queue)) == [2]
    assert states(owner, queue) == {2: "in_flight"}


@pytest.mark.parametrize("function", ["read", "pop"])
def test_124_the_dead_of_a_group_are_buried_together(owner: Sql, grouped: Grouped, function: str) -> None:
    queue = grouped()
    put(owner, queue, "a", *range(30), **{"x-pgmq-expires": "2020-01-01T00:00:00Z"})
    put(owner, queue, "a", "alive")
    assert owner(f"select message from pgmq_api.{function}(%s)", queue) == [("alive",)]
    owner("select pgmq_admin.purge_queue(%s)", queue)


def test_a_dead_letter_has_no_group_that_its_queue_refuses(owner: Sql, grouped: Grouped) -> None:
    letters = grouped()
    queue = grouped(group_limit=None, dead_letter_queue=letters)
    name = "x" * 129
    put(owner, queue, name, 1)
    settle(owner, queue, rejects=read(owner, queue))
    assert owner(f"select headers - 'x-pgmq-dead', headers -> 'x-pgmq-dead' ->> 'group' from pgmq.q_{letters}") == [
        ({}, name)
    ]


def test_a_retry_delays_a_group_by_seven_days_at_most(owner: Sql, grouped: Grouped) -> None:
    queue = grouped()
    put(owner, queue, "a", 1)
    (receipt,) = read(owner, queue)
    for statement in (
        "select pgmq_api.retry(%s, %s, 604801)",
        """select pgmq_api.settle(%s, retries => jsonb_build_array(
            jsonb_build_object('receipt', %s::text, 'delay_seconds', 604801)))""",
    ):
        with pytest.raises(errors.InvalidParameterValue, match="604801"):
            owner(statement, queue, receipt)
    assert owner("select pgmq_api.retry(%s, %s, 604800)", queue, receipt) == [("retried",)]


@pytest.mark.parametrize("dead_letters_grouped", [False, True])
def test_a_read_with_another_isolation_level_leaves_dead_messages_to_others(
    owner: Sql, grouped: Grouped, dead_letters_grouped: bool
) -> None:
    letters = grouped(group_limit=1 if dead_letters_grouped else None)
    queue = grouped(max_receives=1, dead_letter_queue=letters, group_limit=None if dead_letters_grouped else 1)
    put(owner, queue, "a", 1)
    read(owner, queue, lease=0)
    with transaction(owner, "isolation level repeatable read", end="commit"):
        assert read(owner, queue, lease=0) == []
    assert states(owner, queue) == {1: "visible"}
    assert read(owner, queue) == []
    assert states(owner, queue) == {}
    assert list(states(owner, letters).values()) == ["visible"]


def test_125_parked_message_keeps_its_delay(owner: Sql, grouped: Grouped) -> None:
    queue = grouped()
    put(owner, queue, "a", 1)
    owner("select pgmq_api.send(%s, '2', 3600, group_id => 'a')", queue)
    owner("select pgmq_api.send(%s, '3', send_at => clock_timestamp() + interval '2 hours', group_id => 'a')", queue)
    assert parked(owner, queue) == [2, 3]
    for msg_id, hours in ((1, 1), (2, 2)):
        owner("select pgmq.delete(%s, %s::bigint)", queue, msg_id)
        ((state, soon, headers),) = owner(
            "select state, vt < clock_timestamp() + %s * interval '1 hour', headers from pgmq_api.peek(%s, 1)",
            hours,
            queue,
        )
        assert (state, soon, headers) == ("delayed", True, {"x-pgmq-group": "a"})


def test_126_rolled_back_ack_promotes_none(owner: Sql, grouped: Grouped) -> None:
    queue = grouped()
    put(owner, queue, "a", 1, 2)
    (receipt,) = read(owner, queue)
    with transaction(owner):
        assert owner("select pgmq_api.ack(%s, %s)", queue, receipt) == [("acked",)]
    assert states(owner, queue) == {1: "in_flight", 2: "parked"}


@pytest.mark.parametrize("change", [
    "select pgmq.set_vt('{q}', 2, 0)",
    "update pgmq.q_{q} set vt = clock_timestamp() where msg_id = 2",
    "select pgmq_admin.postpone('{q}', '{{2}}', 0)",
    "select pgmq_api.retry('{q}', '{receipt}', 0)",
    "select pgmq_api.extend('{q}', '{receipt}', 0)",
])  # fmt: skip
def test_no_update_makes_a_parked_message_visible(owner: Sql, grouped: Grouped, change: str) -> None:
    queue = grouped(group_limit=2)
    put(owner, queue, "a", 1, 2)
    receipt = read(owner, queue, 2, lease=0)[1]
    owner("select pgmq_admin.set_queue_settings(%s, '{\"group_limit\": 1}')", queue)
    assert parked(owner, queue) == [2]
    owner(change.format(q=queue, receipt=receipt))
    assert parked(owner, queue) == [2]
    owner("select pgmq.delete(%s, 1)", queue)
    assert states(owner, queue) == {2: "visible"}


def test_postponing_a_parked_message_delays_its_promotion(owner: Sql, grouped: Grouped) -> None:
    queue = grouped()
    put(owner, queue, "a", 1, 2)
    owner("select pgmq.set_vt(%s, 2, 3600)", queue)
    assert parked(owner, queue) == [2]
    owner("select pgmq.delete(%s, 1)", queue)
    assert states(owner, queue) == {2: "delayed"}


def test_make_visible_refuses_parked_messages(owner: Sql, grouped: Grouped) -> None:
    queue = grouped()
    put(owner, queue, "a", 1, 2)
    read(owner, queue)
    with pytest.raises(psycopg.Error, match="1 of 2 messages are parked") as refused:
        owner("select pgmq_admin.make_visible(%s, '{1,2}')", queue)
    assert refused.value.sqlstate == "PT409"
    assert states(owner, queue) == {1: "in_flight", 2: "parked"}
    assert owner("select pgmq_admin.make_visible(%s, '{1}')", queue) == [(1,)]
    assert states(owner, queue) == {1: "visible", 2: "parked"}


@pytest.mark.parametrize("isolation", ["repeatable read", "serializable"])
def test_other_isolation_levels_are_refused(owner: Sql, grouped: Grouped, isolation: str) -> None:
    queue = grouped()
    put(owner, queue, "a", 1)
    send(owner, queue, 2, 3)
    for statement in (
        f"select pgmq.send('{queue}', '4', '{{\"x-pgmq-group\": \"a\"}}'::jsonb)",
        f"select pgmq.delete('{queue}', 1)",
        f"select pgmq_admin.set_queue_settings('{queue}', '{{\"group_limit\": 2}}')",
    ):
        with (
            pytest.raises(errors.FeatureNotSupported, match=f"isolation {isolation}"),
            transaction(owner, f"isolation level {isolation}"),
        ):
            owner(statement)
    with transaction(owner, f"isolation level {isolation}", end="commit"):
        owner("select pgmq.send(%s, '4'::jsonb), pgmq.delete(%s, 2)", queue, queue)
    assert owner("select message from pgmq_api.peek(%s)", queue) == [(1,), (3,), (4,)]


def test_not_before_is_the_gateways(owner: Sql, grouped: Grouped) -> None:
    queue = grouped()
    put(owner, queue, "a", 1, **{"x-pgmq-not-before": 99999999999})
    put(owner, queue, "a", 2, **{"x-pgmq-not-before": "garbage"})
    assert owner("select headers from pgmq_api.peek(%s)", queue) == [({"x-pgmq-group": "a"},)] * 2
    owner(f'update pgmq.q_{queue} set headers = headers || \'{{"x-pgmq-not-before": ["x"]}}\' where msg_id = 2')
    owner("select pgmq.delete(%s, 1)", queue)
    assert states(owner, queue) == {2: "visible"}


def test_infinite_times_are_no_parking(owner: Sql, grouped: Grouped) -> None:
    queue = grouped()
    owner(f"insert into pgmq.q_{queue} (vt, message, headers) values ('infinity', '1', '{{\"x-pgmq-group\": \"a\"}}')")
    assert states(owner, queue) == {1: "visible"}
    put(owner, queue, "a", 2)
    for statement in (
        "select pgmq.set_vt(%s, 1, timestamptz 'infinity')",
        "select pgmq_admin.postpone(%s, '{1}', until => 'infinity')",
    ):
        with pytest.raises(errors.InvalidParameterValue, match="message 1 of a group cannot be postponed forever"):
            owner(statement, queue)
    assert states(owner, queue) == {1: "visible", 2: "parked"}


def test_messages_keep_their_group(owner: Sql, grouped: Grouped) -> None:
    queue = grouped()
    put(owner, queue, "a", 1, 2)
    send(owner, queue, 3)
    for headers in ("headers - 'x-pgmq-group'", 'headers || \'{"x-pgmq-group": "b"}\'', "null"):
        with pytest.raises(errors.InvalidParameterValue, match="message 2 cannot change its group"):
            owner(f"update pgmq.q_{queue} set headers = {headers} where msg_id = 2")
    with pytest.raises(errors.InvalidParameterValue, match="message 3 cannot change its group"):
        owner(f'update pgmq.q_{queue} set headers = \'{{"x-pgmq-group": "a"}}\' where msg_id = 3')
    owner(f"update pgmq.q_{queue} set headers = headers || '{{\"n\": 1}}'")


@pytest.mark.parametrize(("arguments", "message"), [
    ("group_id => ''", "group_id must have 1 to 128 characters"),
    ("group_id => repeat('x', 129)", "group_id must have 1 to 128 characters"),
    ("group_id => E'a\\nb'", "no control characters"),
    ("headers => jsonb_build_object('x-pgmq-group', repeat('x', 12800))", "1 to 128 characters, not 12800"),
    ("headers => '{\"x-pgmq-group\": \"\"}'", "1 to 128 characters, not 0"),
    ("group_id => 'a', sleep_seconds => 700000", "cannot be delayed by more than 7 days"),
])  # fmt: skip
def test_group_ids_out_of_range(owner: Sql, grouped: Grouped, arguments: str, message: str) -> None:
    queue = grouped()
    with pytest.raises(errors.InvalidParameterValue, match=message):
        owner(f"select pgmq_api.send('{queue}', '1', {arguments})")
    owner(f"select pgmq_api.send('{queue}', '1', group_id => repeat('ä', 128))")


def test_group_ids_of_entries(owner: Sql, grouped: Grouped) -> None:
    queue = grouped()
    entries = [
        {"message": 1, "group_id": "a"},
        {"message": 2, "group_id": "b", "headers": {"x-pgmq-group": "a", "n": 1}},
        {"message": 3, "group_id": "a"},
        {"message": 4, "group_id": None},
    ]
    assert owner("select msg_id from pgmq_api.send_entries(%s, %s)", queue, json.dumps(entries)) == [
        (1,), (2,), (3,), (4,)
    ]  # fmt: skip
    assert owner("select headers from pgmq_api.peek(%s)", queue) == [
        ({"x-pgmq-group": "a"},), ({"x-pgmq-group": "b", "n": 1},), ({"x-pgmq-group": "a"},), (None,)
    ]  # fmt: skip
    assert parked(owner, queue) == [3]


def test_settle_and_redrive_of_groups(owner: Sql, grouped: Grouped) -> None:
    letters = grouped(group_limit=2)
    queue = grouped(group_limit=3, dead_letter_queue=letters)
    put(owner, queue, "a", *range(6))
    receipts = read(owner, queue, 3)
    assert outcomes(settle(owner, queue, acks=receipts[:1], rejects=receipts[1:2], archives=receipts[2:])) == [
        "acked", "archived", "rejected"
    ]  # fmt: skip
    assert states(owner, queue) == {4: "visible", 5: "visible", 6: "visible"}
    receipts = read(owner, queue, 3)
    settle(owner, queue, rejects=receipts)
    assert states(owner, letters) == {1: "visible", 2: "visible", 3: "parked", 4: "parked"}
    assert owner("select moved from pgmq_api.redrive(%s)", letters) == [(2,)]
    assert states(owner, letters) == {3: "visible", 4: "visible"}
    assert owner("select moved from pgmq_api.redrive(%s)", letters) == [(2,)]
    assert states(owner, queue) == {7: "visible", 8: "visible", 9: "visible", 10: "parked"}
    owner("select pgmq_admin.archive(%s, '{7,10}')", queue)
    assert owner("select new_msg_id from pgmq_admin.requeue(%s, '{7,10}')", queue) == [(11,), (12,)]
    assert states(owner, queue) == {8: "visible", 9: "visible", 11: "visible", 12: "parked"}
    owner("select pgmq_admin.purge_queue(%s)", queue)
    put(owner, queue, "a", 1)
    assert list(states(owner, queue).values()) == ["visible"]


def test_128_many_groups_in_one_purge(owner: Sql, grouped: Grouped) -> None:
    queue = grouped(group_limit=None)
    groups = 20000
    owner(
        f"insert into pgmq.q_{queue} (vt, message, headers)"
        " select now(), '1', jsonb_build_object('x-pgmq-group', i %% %s)"
        " from generate_series(1, %s) as i",
        groups,
        2 * groups,
    )
    owner("select pgmq_admin.set_queue_settings(%s, '{\"group_limit\": 1}')", queue)
    count = (
        f"select count(*) filter (where vt < 'infinity'), count(*) filter (where vt = 'infinity') from pgmq.q_{queue}"
    )
    assert owner(count) == [(groups, groups)]
    with transaction(owner, end="commit"):
        owner(f"delete from pgmq.q_{queue} where vt < 'infinity'")
        ((locks,),) = owner("select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()")
    assert locks == 256
    assert owner(count) == [(groups, 0)]


def test_129_read_is_flat_at_depth_under_a_policy(owner: Sql, grouped: Grouped, worker: str) -> None:
    queue = grouped(group_limit=None)
    owner(
        f"insert into pgmq.q_{queue} (vt, message, headers)"
        " select now(), '1', jsonb_build_object('x-pgmq-group', i % 100) from generate_series(1, 20000) as i"
    )
    owner("select pgmq_admin.set_queue_settings(%s, '{\"group_limit\": 1}')", queue)
    owner(f"analyze pgmq.q_{queue}")
    owner(f"alter table pgmq.q_{queue} enable row level security; grant usage on schema pgmq to {worker};"
          f"grant select, update on pgmq.q_{queue} to {worker};"
          f"create policy p on pgmq.q_{queue} to {worker} using (headers ->> 'x-pgmq-group' <> 'none')")  # fmt: skip
    with transaction(owner):
        owner(f"set local role {worker}")
        ((plan,),) = owner(f"""
            explain (analyze, format json, costs off, timing off) select q.msg_id from pgmq.q_{queue} as q
            where q.vt <= clock_timestamp() order by q.vt limit 10 for update skip locked""")
    nodes = list(walk(plan[0]["Plan"]))
    assert [node.get("Index Name") for node in nodes if "Scan" in node["Node Type"]] == [f"q_{queue}_vt_idx"]
    assert sum(node.get("Rows Removed by Filter", 0) for node in nodes) == 0
    assert max(node["Actual Rows"] for node in nodes) == 10


def walk(node: dict[str, Any]) -> Any:  # noqa: ANN401
    """A node of a plan and those below it."""
    yield node
    for child in node.get("Plans", []):
        yield from walk(child)


def test_130_group_limit_on_and_off(owner: Sql, grouped: Grouped) -> None:
    queue = grouped(group_limit=None)
    put(owner, queue, "a", *range(5))
    owner("select pgmq_api.send(%s, '6', 3600, group_id => 'a')", queue)
    put(owner, queue, "b", 7)
    owner("select pgmq.read(%s, 60, 2)", queue)
    for limit, expected in (
        # Messages in flight stay so, even if there are more than the limit.
        (1, {1: "in_flight", 2: "in_flight", 3: "parked", 4: "parked", 5: "parked", 6: "parked", 7: "visible"}),
        (4, {1: "in_flight", 2: "in_flight", 3: "visible", 4: "visible", 5: "parked", 6: "parked", 7: "visible"}),
        (3, {1: "in_flight", 2: "in_flight", 3: "visible", 4: "parked", 5: "parked", 6: "parked", 7: "visible"}),
        (None, {1: "in_flight", 2: "in_flight", 3: "visible", 4: "visible", 5: "visible", 6: "delayed", 7: "visible"}),
    ):
        settings = json.dumps({"group_limit": limit})
        owner("select pgmq_admin.set_queue_settings(%s, %s)", queue, settings)
        assert states(owner, queue) == expected
        assert owner("select pgmq_admin.queue_settings(%s) -> 'group_limit'", queue) == [(limit,)]
    assert owner(f"select headers from pgmq.q_{queue} where headers ? 'x-pgmq-not-before'") == []
    assert owner(CODE, f"q_{queue}") == [(0, 0, 0)]


FUNCTIONS = ("park", "promote")
CODE = """
    select
        (select count(*) from pg_trigger where tgrelid = to_regclass('pgmq.' || t) and not tgisinternal),
        (select count(*) from pg_proc where pronamespace = 'pgmq_settings'::regnamespace
            and proname in ('park_' || t, 'promote_' || t)),
        (select count(*) from pg_class where relname = 'group_idx_' || substr(t, 3))
    from (select %s::text) as t (t)
"""


def test_group_limit_is_refused(owner: Sql, grouped: Grouped) -> None:
    queue = grouped(group_limit=None)
    put(owner, queue, "x" * 129, 1)
    limit = "select pgmq_admin.set_queue_settings(%s, '{\"group_limit\": 1}')"
    with pytest.raises(errors.InvalidParameterValue, match="1 to 128 characters, not 129"):
        owner(limit, queue)
    owner(f"delete from pgmq.q_{queue}")
    owner("create function public.nothing() returns trigger language plpgsql as 'begin return new; end'")
    owner(
        f"create trigger t before update on pgmq.q_{queue} for each row when (true) execute function public.nothing()"
    )
    with pytest.raises(errors.InsufficientPrivilege, match="has a WHEN condition"):
        owner(limit, queue)
    assert owner(CODE, f"q_{queue}") == [(1, 0, 0)]


def test_a_partitioned_queue_cannot_have_a_limit(owner: Sql) -> None:
    owner("""
        create table pgmq.q_parts (
            msg_id bigint generated always as identity, read_ct integer not null default 0,
            enqueued_at timestamptz not null default now(), vt timestamptz not null, message jsonb, headers jsonb
        ) partition by range (msg_id);
        create table pgmq.a_parts (like pgmq.q_parts, archived_at timestamptz);
        insert into pgmq.meta (queue_name, is_partitioned, is_unlogged) values ('parts', true, false)
    """)
    with pytest.raises(errors.FeatureNotSupported, match="a partitioned queue cannot have group_limit"):
        owner("select pgmq_admin.set_queue_settings('parts', '{\"group_limit\": 1}')")
    owner("drop table pgmq.q_parts, pgmq.a_parts; delete from pgmq.meta where queue_name = 'parts'")


def test_the_trigger_functions_belong_to_pgmq_definer(owner: Sql, grouped: Grouped) -> None:
    queue = grouped()
    assert owner(CODE, f"q_{queue}") == [(4, 2, 1)]
    assert owner(
        "select distinct p.proowner::regrole::text, p.prosecdef, p.proconfig, p.proacl::text from pg_proc as p"
        " where p.proname in (%s, %s)",
        f"park_q_{queue}",
        f"promote_q_{queue}",
    ) == [
        ("pgmq_definer", True,
         ["search_path=pg_catalog, pg_temp", "plan_cache_mode=force_generic_plan", "row_security=off"],
         "{pgmq_definer=X/pgmq_definer}")
    ]  # fmt: skip
    assert owner("select has_schema_privilege('pgmq_definer', 'pgmq_settings', 'create')") == [(False,)]


@pytest.mark.parametrize("member", ["delete", "send"])
def test_promotion_runs_no_code_of_other_roles(owner: Sql, grouped: Grouped, worker: str, member: str) -> None:
    queue = grouped()
    put(owner, queue, "a", 1, 2, 3)
    if member == "send":
        with without_promotion(owner, queue):
            owner("select pgmq.delete(%s, 1)", queue)
    with transaction(owner):
        owner(f"grant trigger on pgmq.q_{queue} to {worker}; grant usage on schema pgmq to {worker}")
        owner(f"set local role {worker}")
        owner("create function pg_temp.steal() returns trigger language plpgsql as"
              " 'begin raise ''ran as %'', current_user; end'")  # fmt: skip
        owner(f"create trigger t before update on pgmq.q_{queue} for each row execute function pg_temp.steal()")
        owner("reset role")
        with pytest.raises(errors.InsufficientPrivilege, match=f"runs a function of role {worker}"):
            put(owner, queue, "a", 4) if member == "send" else owner("select pgmq.delete(%s, 1)", queue)


@pytest.mark.parametrize(
    "part",
    [
        "alter table pgmq.{} add check (mine())",
        "alter table pgmq.{} alter read_ct set default mine()::integer",
        "create index on pgmq.{} (msg_id) where mine()",
        "grant execute on function pgmq_settings.refuse_message_bytes to anon;"
        " create trigger z before update on pgmq.{} for each row when (mine())"
        " execute function pgmq_settings.refuse_message_bytes('9')",
    ],
    ids=("constraint", "default", "index", "trigger"),
)
def test_promotion_runs_no_function_of_a_role_of_requests(owner: Sql, grouped: Grouped, part: str) -> None:
    queue = grouped()
    put(owner, queue, "a", 1, 2)
    with transaction(owner):
        owner("create function mine() returns boolean immutable language sql as 'select true'")
        owner("alter function mine() owner to anon")
        owner(part.format(f"q_{queue}"))
        with pytest.raises(errors.InsufficientPrivilege):
            owner("select pgmq.delete(%s, 1)", queue)


def test_groups_are_the_same_for_callers_who_see_nothing(owner: Sql, grouped: Grouped, worker: str) -> None:
    queue = grouped()
    owner(f"""
        alter table pgmq.q_{queue} enable row level security;
        grant usage on schema pgmq, pgmq_api, pgmq_settings to {worker};
        grant insert, select, delete on pgmq.q_{queue} to {worker};
        create policy mine on pgmq.q_{queue} to {worker} using (message = '"mine"') with check (true)""")
    put(owner, queue, "a", "theirs")
    with transaction(owner, end="commit"):
        owner(f"set local role {worker}")
        owner(
            f'insert into pgmq.q_{queue} (vt, message, headers) values (now(), \'"mine"\', \'{{"x-pgmq-group": "a"}}\')'
        )
        assert owner(f"select msg_id, vt from pgmq.q_{queue} where vt < 'infinity'") == []
        assert owner(f"delete from pgmq.q_{queue} returning msg_id") == [(2,)]
    assert states(owner, queue) == {1: "visible"}


def test_sweep_promotes_what_a_rolled_back_transaction_has_left(owner: Sql, grouped: Grouped, installed: str) -> None:
    queue, other = grouped(), grouped(group_limit=2)
    put(owner, queue, "a", 1, 2)
    put(owner, other, "b", *range(4))
    with psycopg.connect(installed) as deleting:
        # As a delete that has not fired its trigger yet.
        deleting.execute(f"select from pgmq.q_{queue} where msg_id = 2 for update".encode())
        owner("select pgmq.delete(%s, 1)", queue)
        deleting.rollback()
    assert states(owner, queue) == {2: "parked"}
    with without_promotion(owner, other):
        owner("select pgmq.delete(%s, 1)", other)
    sweep = "select changed from pgmq_gateway.maintain_queue('sweep groups', %s, 'infinity')"
    assert owner(sweep, f"q_{queue}") == [(1,)]
    assert owner(sweep, f"q_{other}") == [(1,)]
    assert states(owner, queue) == {2: "visible"}
    assert states(owner, other) == {2: "visible", 3: "visible", 4: "parked"}
    assert owner(sweep, f"q_{queue}") == [(0,)]


def test_the_next_send_heals_a_group(owner: Sql, grouped: Grouped) -> None:
    queue = grouped(group_limit=2)
    put(owner, queue, "a", *range(5))
    with without_promotion(owner, queue):
        owner("select pgmq.delete(%s, '{1,2}'::bigint[])", queue)
    assert parked(owner, queue) == [3, 4, 5]
    put(owner, queue, "a", 6)
    assert states(owner, queue) == {3: "visible", 4: "visible", 5: "parked", 6: "parked"}


def test_a_sweep_goes_on_where_the_last_one_stopped(owner: Sql, grouped: Grouped) -> None:
    queue = grouped()
    for group in "abc":
        put(owner, queue, group, 1)
    sweep = "select next_group from pgmq_settings.sweep_groups(%s, 1, %s, clock_timestamp() + %s * interval '1 minute')"
    assert owner(sweep, f"q_{queue}", "", -1) == [("a",)]
    assert owner(sweep, f"q_{queue}", "a", -1) == [("b",)]
    assert owner(sweep, f"q_{queue}", "a", 1) == [("",)]
    last = "select last_group from pgmq_settings.progress where queue_table = %s"
    owner("select pgmq_gateway.maintain_queue('sweep groups', %s, '-infinity')", f"q_{queue}")
    assert owner(last, f"q_{queue}") == [("a",)]
    owner("select pgmq_gateway.maintain_queue('sweep groups', %s, 'infinity')", f"q_{queue}")
    assert owner(last, f"q_{queue}") == [("",)]


def test_calls_on_a_queue_with_groups_run_alone(owner: Sql, grouped: Grouped) -> None:
    queue = grouped()
    for function in ("send", "send_batch", "read", "pop", "archive", "delete"):
        ((obstacles, fusion),) = owner("select obstacles, fusion from pgmq_gateway.judgement(%s, %s)", queue, function)
        assert any("has the trigger pgmq_settings_group_" in obstacle for obstacle in obstacles)
        assert fusion is None
    owner("select pgmq_admin.set_queue_settings(%s, '{\"group_limit\": null}')", queue)
    assert owner("select obstacles from pgmq_gateway.judgement(%s, 'send')", queue) == [([],)]


def test_dropping_a_queue_drops_its_functions(owner: Sql, grouped: Grouped) -> None:
    queue = grouped()
    owner("select pgmq_admin.drop_queue(%s)", queue)
    assert owner(CODE, f"q_{queue}") == [(0, 0, 0)]


def test_service_role_cannot_call_what_arranges_groups(owner: Sql, grouped: Grouped) -> None:
    queue = grouped()
    for call in (
        f"pgmq_settings.arrange_groups('q_{queue}', 5)",
        f"pgmq_settings.limit_groups('q_{queue}', 5)",
        f"pgmq_settings.sweep_groups('q_{queue}', 5, '', 'infinity')",
    ):
        with pytest.raises(errors.InsufficientPrivilege):
            as_role(owner, "service_role", f"select {call}")


async def test_install_restores_the_code_of_groups(owner: Sql, grouped: Grouped, installed: str) -> None:
    async with connected(installed) as connection:
        # Other tests leave roles without some privileges.
        await install(connection)
    queues = [grouped() for _ in range(5)]
    for queue in queues:
        put(owner, queue, "a", 1, 2)
    intact, owned, disabled, unindexed, dropped = queues
    # As after pg_restore --no-owner.
    owner(f"alter function pgmq_settings.promote_q_{owned}() owner to current_user")
    owner(f"alter table pgmq.q_{disabled} disable trigger pgmq_settings_group_insert")
    owner(f"drop index pgmq.group_idx_{unindexed}")
    owner("select pgmq.drop_queue(%s)", dropped)
    owner(f"alter table pgmq.q_{intact} add unique (msg_id)")
    restored = [f"triggers of group_limit on table pgmq.q_{queue}" for queue in (owned, disabled, unindexed)]
    left = [f"schema pgmq_settings without function {name}_q_{dropped} of a former queue" for name in FUNCTIONS]
    async with connected(installed) as connection:
        assert sorted(finding.what for finding in await check(connection)) == sorted(restored + left)
        assert sorted(await install(connection)) == sorted(f"restored: {what}" for what in restored + left)
        assert await check(connection) == []
        assert await install(connection) == []
    for queue in queues[:4]:
        assert states(owner, queue) == {1: "visible", 2: "parked"}
        owner("select pgmq.delete(%s, 1)", queue)
        assert states(owner, queue) == {2: "visible"}


async def test_install_removes_the_code_of_a_renamed_queue(owner: Sql, grouped: Grouped, installed: str) -> None:
    async with connected(installed) as connection:
        await install(connection)
    queue = grouped()
    put(owner, queue, "a", 1, 2)
    owner("delete from pgmq_settings.queues where queue_name = %s", queue)
    owner(f"alter table pgmq.q_{queue} rename to q_{queue}2; alter table pgmq.a_{queue} rename to a_{queue}2")
    owner("update pgmq.meta set queue_name = queue_name || '2' where queue_name = %s", queue)
    with pytest.raises(errors.UndefinedTable):
        owner("select pgmq.delete(%s, 1)", f"{queue}2")
    async with connected(installed) as connection:
        assert len(await install(connection)) == 3
        assert await install(connection) == []
    for table in (f"q_{queue}", f"q_{queue}2"):
        assert owner(CODE, table)[0][:2] == (0, 0)
    assert states(owner, f"{queue}2") == {1: "visible", 2: "visible"}


def test_pgmq_definer_without_bypassrls_sees_all_messages_by_its_policy(
    owner: Sql, grouped: Grouped, worker: str
) -> None:
    with transaction(owner):
        owner("alter role pgmq_definer nobypassrls")
        queue = grouped()
        owner(f"alter table pgmq.q_{queue} enable row level security; grant usage on schema pgmq to {worker};"
              f"grant select, insert, delete on pgmq.q_{queue} to {worker};"
              f"create policy p on pgmq.q_{queue} to {worker} using (false) with check (true)")  # fmt: skip
        put(owner, queue, "a", 1, 2)
        owner(f"set local role {worker}")
        owner(f"insert into pgmq.q_{queue} (vt, message, headers) values (now(), '3', '{{\"x-pgmq-group\": \"a\"}}')")
        owner("reset role")
        assert states(owner, queue) == {1: "visible", 2: "parked", 3: "parked"}
        owner("select pgmq.delete(%s, 1)", queue)
        assert states(owner, queue) == {2: "visible", 3: "parked"}
        assert owner("select what from pgmq_gateway.missing_group_code()"
                     " where on_table = %s::regclass", f"pgmq.q_{queue}") == []  # fmt: skip
        owner("alter role pgmq_definer bypassrls")
        assert owner("select count(*) from pgmq_gateway.missing_group_code()"
                     " where on_table = %s::regclass", f"pgmq.q_{queue}") == [(1,)]  # fmt: skip


def test_pgmq_definer_that_loses_bypassrls_fails_instead_of_missing_messages(owner: Sql, grouped: Grouped) -> None:
    queue = grouped()
    put(owner, queue, "a", 1, 2)
    with transaction(owner):
        owner(f"alter role pgmq_definer nobypassrls; alter table pgmq.q_{queue} enable row level security")
        with pytest.raises(errors.InsufficientPrivilege, match="row-level security"):
            owner("select pgmq.delete(%s, 1)", queue)


def test_parked_messages_are_counted(owner: Sql, grouped: Grouped) -> None:
    queue = grouped()
    put(owner, queue, "a", 1, 2, 3)
    send(owner, queue, 4)
    read(owner, queue)
    counts = "visible, delayed, in_flight, parked"
    for source in ("queue_status(%s)", "list_queues() where queue_name = %s"):
        assert owner(f"select {counts} from pgmq_admin.{source}", queue) == [(1, 0, 1, 2)]
    owner("truncate pgmq_gateway.samples")
    owner("select pgmq_gateway.take_sample(30, 7)")
    assert owner(f"select {counts} from pgmq_admin.history(%s) order by at desc limit 1", queue) == [(1, 0, 1, 2)]
    assert owner(f"select {counts} from pgmq_gateway.queue_metrics(1000) where queue_name = %s", queue) == [
        (1, 0, 1, 2)
    ]  # fmt: skip
    listed = 'select msg_id, state from pgmq_admin.list_messages(%s, \'{"state": "parked"}\')'
    assert owner(listed, queue) == [(2, "parked"), (3, "parked")]
    assert owner("select * from pgmq_admin.apply(%s, 'delete', '{\"state\": \"parked\"}', 2)", queue) == [(2,)]


def test_groups_are_listed_with_their_messages_by_state(owner: Sql, grouped: Grouped) -> None:
    queue = grouped(group_limit=2)
    put(owner, queue, "b", 1, 2, 3, 4)
    put(owner, queue, "a", 5)
    put(owner, queue, "c", 6, 7, 8)
    send(owner, queue, 9)
    read(owner, queue)
    listed = "select group_name, parked, visible, delayed, in_flight from pgmq_admin.list_groups(%s, %s, %s)"
    rows = [("b", 2, 1, 0, 1), ("c", 1, 2, 0, 0), ("a", 0, 1, 0, 0)]
    assert as_role(owner, "service_role", listed, queue, "", 50) == rows
    assert owner(listed, queue, "b", 1) == rows[:1]
    assert owner(listed, queue, "bb", 50) == rows[1:2]
    owner(f"update pgmq.q_{queue} set enqueued_at = now() - interval '1 hour' where msg_id = 1")
    ages = owner("select oldest_seconds between 3600 and 5000 from pgmq_admin.list_groups(%s)", queue)
    assert ages == [(True,), (False,), (False,)]
    found = 'select array_agg(msg_id) from pgmq_admin.list_messages(%s, \'{"group": "c"}\')'
    assert owner(found, queue) == [([6, 7, 8],)]
    owner("select pgmq_admin.set_queue_settings(%s, '{\"group_limit\": null}')", queue)
    assert owner(listed, queue, "", 50) == []
    with pytest.raises(errors.InvalidParameterValue, match="max_groups is 0"):
        owner(listed, queue, "", 0)


def test_the_cost_of_listing_groups_is_bounded(owner: Sql, grouped: Grouped) -> None:
    queue = grouped(group_limit=None)
    owner(
        f"insert into pgmq.q_{queue} (vt, message, headers)"
        " select now(), '1', jsonb_build_object('x-pgmq-group', least(i, 2000)) from generate_series(1, 5000) as i"
    )
    owner("select pgmq_admin.set_queue_settings(%s, '{\"group_limit\": 1}')", queue)
    listed = "select count(*), max(parked) from pgmq_admin.list_groups(%s, %s, 1000)"
    assert owner(listed, queue, "") == [(1000, 0)]
    assert owner(listed, queue, "2000") == [(886, 1000)]


def test_parked_messages_of_a_long_queue_are_estimated(owner: Sql, grouped: Grouped) -> None:
    queue = grouped(group_limit=None)
    owner(
        f"insert into pgmq.q_{queue} (vt, message, headers)"
        " select now(), to_jsonb(repeat('x', 200)), jsonb_build_object('x-pgmq-group', mod(i, 100))"
        " from generate_series(1, 5000) as i"
    )
    owner("select pgmq_admin.set_queue_settings(%s, '{\"group_limit\": 1}')", queue)

    def figures() -> tuple[Any, ...]:
        # Rows that autovacuum's own snapshot can see, of any table of the database, stay dead.
        owner(f"vacuum analyze pgmq.q_{queue}")
        return owner(
            "select messages, exact, visible, in_flight, parked from pgmq_admin.list_queues() where queue_name = %s",
            queue,
        )[0]

    messages, exact, visible, in_flight, parked = repeated(figures, lambda row: row[0] != 5000)
    assert (exact, visible, messages) == (False, 100, 5000)
    assert in_flight + parked == 4900
    assert parked > 4800
