"""Deduplication: a caller's second message with an id is not stored."""

import json
import random
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from psycopg import errors

from tests.databases import Sql
from tests.sql.conftest import as_role
from tests.sql.leases import prepare

ENTRIES = "select entry, msg_id, duplicate from pgmq_api.send_entries(%s, %s) order by entry"


@pytest.fixture
def queue(owner: Sql) -> str:
    name = f"d{uuid.uuid4().hex[:12]}"
    prepare(owner, name)
    return name


def send(sql: Sql, queue: str, message: object, deduplication_id: str | None = "a", **more: object) -> int:
    arguments = "".join(f", {name} => %s" for name in more)
    query = f"select * from pgmq_api.send(%s, %s, deduplication_id => %s{arguments})"
    ((msg_id,),) = sql(query, queue, json.dumps(message), deduplication_id, *more.values())
    assert isinstance(msg_id, int)
    return msg_id


def send_entries(sql: Sql, queue: str, *entries: dict[str, object]) -> list[tuple[int, bool]]:
    rows = sql(ENTRIES, queue, json.dumps(entries))
    assert [row[0] for row in rows] == list(range(len(entries)))
    return [(msg_id, duplicate) for _, msg_id, duplicate in rows]


def messages(sql: Sql, queue: str) -> list[object]:
    return [message for (message,) in sql("select message from pgmq_api.peek(%s, 1000)", queue)]


def test_a_second_message_with_an_id_is_not_stored(owner: Sql, queue: str) -> None:
    assert [send(owner, queue, 1), send(owner, queue, 2), send(owner, queue, 3, "b")] == [1, 1, 2]
    assert [send(owner, queue, 4, None), send(owner, queue, 4, None)] == [3, 4]
    owner("select pgmq.delete(%s, 1)", queue)
    assert send(owner, queue, 5) == 1
    assert messages(owner, queue) == [3, 4, 4]


def test_114_dedup_window_and_per_caller(owner: Sql, queue: str, worker: str) -> None:
    owner(f"grant usage on schema pgmq, pgmq_api, pgmq_settings to {worker}, anon")
    owner(f"grant insert, select on pgmq.q_{queue} to anon, authenticated")
    ids: list[int] = []
    callers: list[tuple[str, dict[str, object]]] = [
        ("anon", {}), ("authenticated", {"sub": "1"}), ("authenticated", {"sub": "2"}), ("authenticated", {"sub": "1"}),
        ("anon", {}), ("authenticated", {"sub": 1}), ("authenticated", {"sub": "1", "iss": "other"}),
    ]  # fmt: skip
    for role, claims in callers:
        owner("begin")
        owner("select set_config('request.jwt.claims', %s, true)", json.dumps({**claims, "iat": len(ids)}))
        owner(f"set local role {role}")
        ids.append(send(owner, queue, claims))
        owner("commit")
    assert ids == [1, 2, 3, 2, 1, 4, 5]
    owner("update pgmq_settings.deduplication_ids set expires_at = clock_timestamp() where msg_id <= 2")
    assert owner("select pgmq_gateway.delete_expired_ids(1)") == [(1,)]
    assert send(owner, queue, "later") == 6
    owner("select pgmq_gateway.delete_expired_ids()")
    assert owner("select count(*) from pgmq_settings.deduplication_ids where queue_table = %s", f"q_{queue}") == [(4,)]


def test_the_window_is_a_setting(owner: Sql, queue: str) -> None:
    owner("select pgmq_admin.set_queue_settings(%s, '{\"deduplication_seconds\": 7200}')", queue)
    send(owner, queue, 1)
    assert owner("select expires_at - clock_timestamp() between '1 hour' and '2 hours'"
                 " from pgmq_settings.deduplication_ids where queue_table = %s", f"q_{queue}") == [(True,)]  # fmt: skip
    owner("update pgmq_settings.deduplication_ids set expires_at = clock_timestamp()")
    assert [send(owner, queue, 2), send(owner, queue, 3)] == [2, 2]


def test_115_dedup_in_one_batch(owner: Sql, queue: str) -> None:
    entries: list[dict[str, object]] = [
        {"message": 1, "deduplication_id": "b"},
        {"message": 2, "deduplication_id": "a"},
        {"message": 3},
        {"message": 4, "deduplication_id": "b"},
        {"message": 5, "deduplication_id": None},
    ]
    assert send_entries(owner, queue, *entries) == [(1, False), (2, False), (3, False), (1, True), (4, False)]
    assert send_entries(owner, queue, *entries[:3]) == [(1, True), (2, True), (5, False)]
    assert send_entries(owner, queue, *entries[:2]) == [(1, True), (2, True)]
    assert messages(owner, queue) == [1, 2, 3, 5, 3]


def test_deduplication_by_content(owner: Sql, queue: str) -> None:
    owner("select pgmq_admin.set_queue_settings(%s, '{\"deduplication_by_content\": true}')", queue)
    assert [send(owner, queue, {"a": 1, "b": 2}, None), send(owner, queue, {"b": 2, "a": 1}, None)] == [1, 1]
    assert send(owner, queue, {"a": 1, "b": 2}, None, group_id="g") == 2
    assert send(owner, queue, {"a": 1, "b": 2}, "c") == 3
    expiring = {"message": 7, "expires_in": 60, "headers": {"n": 1}}
    assert send_entries(owner, queue, expiring, {**expiring, "expires_in": 90}) == [(4, False), (4, True)]
    assert owner("select * from pgmq_api.send_batch(%s, '{8,9,8}'::jsonb[])", queue) == [(5,), (6,), (5,)]
    assert owner("select * from pgmq_api.send_batch(%s, '{{8,9},{10,10}}'::jsonb[])", queue) == [(5,), (6,), (7,), (7,)]
    assert owner("select * from pgmq_api.send_batch(%s, '{}'::jsonb[])", queue) == []


def test_a_failed_send_uses_no_id(owner: Sql, queue: str) -> None:
    with pytest.raises(errors.InvalidParameterValue):
        send(owner, queue, 1, headers="[]")
    owner("begin")
    send(owner, queue, 1)
    owner("rollback")
    assert send(owner, queue, 2) == 2
    assert messages(owner, queue) == [2]


def test_ids_of_a_former_queue_are_free(owner: Sql, queue: str) -> None:
    send(owner, queue, 1)
    send(owner, queue, 2, "b")
    owner("select pgmq.drop_queue(%s), pgmq_admin.create_queue(%s)", queue, queue)
    assert send(owner, queue, 3) == 1
    owner("select pgmq_admin.drop_queue(%s)", queue)
    assert owner("select * from pgmq_settings.deduplication_ids where queue_table = %s", f"q_{queue}") == []


def test_a_queue_that_does_not_exist(owner: Sql) -> None:
    with pytest.raises(errors.UndefinedTable, match="does not exist"):
        send(owner, "missing", 1)
    with pytest.raises(errors.UndefinedTable, match="does not exist"):
        send_entries(owner, "missing", {"message": 1, "deduplication_id": "a"})


def test_sends_need_the_privileges_of_every_send(owner: Sql, queue: str) -> None:
    for granted in ("", f"grant select on pgmq.q_{queue} to anon", f"grant insert on pgmq.q_{queue} to anon;"
                    f"alter table pgmq.q_{queue} enable row level security"):  # fmt: skip
        if granted:
            owner(granted)
        owner("begin; set local role anon")
        with pytest.raises(errors.InsufficientPrivilege, match=f"q_{queue}"):
            send(owner, queue, 1)
        owner("rollback")
    assert owner("select * from pgmq_settings.deduplication_ids where queue_table = %s", f"q_{queue}") == []


def test_a_duplicate_needs_the_privileges_too(owner: Sql, queue: str) -> None:
    owner(f"grant insert, select on pgmq.q_{queue} to anon")
    assert as_role(owner, "anon", "select pgmq_api.send(%s, '1', deduplication_id => 'a')", queue) == [(1,)]
    owner(f"revoke insert on pgmq.q_{queue} from anon")
    for call in (
        "send(%s, '1', deduplication_id => 'a')",
        'send_entries(%s, \'[{"message": 1, "deduplication_id": "a"}]\')',
    ):
        with pytest.raises(errors.InsufficientPrivilege, match=f"q_{queue}"):
            as_role(owner, "anon", f"select pgmq_api.{call}", queue)


def test_ids_are_claimed_for_a_week_at_most(owner: Sql, queue: str) -> None:
    owner("select pgmq_settings.claim_ids(%s, 'other', '{a}', 2147483647)", f"q_{queue}")
    assert owner("select expires_at < clock_timestamp() + interval '604800 s' from pgmq_settings.deduplication_ids"
                 " where queue_table = %s", f"q_{queue}") == [(True,)]  # fmt: skip


@pytest.mark.parametrize("ids", [("a", "b"), (None, None)])
def test_a_trigger_that_leaves_out_a_message(owner: Sql, queue: str, ids: tuple[str | None, str | None]) -> None:
    """Ids cannot be assigned to the messages of a batch."""
    owner("create or replace function public.leave_out() returns trigger language plpgsql as"
          " 'begin return case when new.message <> ''1'' then new end; end'")  # fmt: skip
    owner(f"create trigger t before insert on pgmq.q_{queue} for each row execute function public.leave_out()")
    entries: list[dict[str, object]] = [{"message": n, "deduplication_id": i} for n, i in enumerate(ids, 1)]
    with pytest.raises(errors.TriggeredActionException, match="left out 1 of 2 messages"):
        send_entries(owner, queue, *entries)
    assert messages(owner, queue) == []
    assert send_entries(owner, queue, entries[1]) == [(3, False)]
    with pytest.raises(errors.TriggeredActionException, match="left out 1 of 1 messages"):
        send(owner, queue, 1, "c")


@pytest.mark.parametrize("bad", ["", "x" * 129, "a\nb"])
def test_ids_out_of_range(owner: Sql, queue: str, bad: str) -> None:
    with pytest.raises(errors.InvalidParameterValue, match="deduplication_id must have 1 to 128 characters"):
        send(owner, queue, 1, bad)
    with pytest.raises(errors.InvalidParameterValue, match="deduplication_id must have 1 to 128 characters"):
        send_entries(owner, queue, {"message": 1, "deduplication_id": bad})


def test_batches_with_the_same_ids_at_once_send_each_message_once(owner: Sql, queue: str, installed: str) -> None:
    owner("select pgmq_admin.set_queue_settings(%s, '{\"group_limit\": 1}')", queue)

    def sending(number: int) -> Callable[[], None]:
        def run() -> None:
            with psycopg.connect(installed, autocommit=True) as connection:
                for batch in range(5):
                    ids = random.sample(range(20), 20)
                    entries = [
                        {"message": n, "deduplication_id": f"{batch}.{n}", "group_id": f"{n % 7}.{number}"} for n in ids
                    ]
                    rows = connection.execute(ENTRIES.encode(), (queue, json.dumps(entries))).fetchall()
                    sent.extend((f"{batch}.{n}", row[1]) for n, row in zip(ids, rows, strict=True))

        return run

    sent: list[tuple[str, int]] = []
    with ThreadPoolExecutor(4) as pool:
        for future in [pool.submit(sending(number)) for number in range(4)]:
            future.result()
    assert len(set(sent)) == 100
    assert len(sent) == 400
    assert owner(f"select count(*) from pgmq.q_{queue}") == [(100,)]


def test_a_trigger_of_another_role_on_the_ids_does_not_run(owner: Sql, queue: str, worker: str) -> None:
    owner("begin")
    owner(
        f"grant usage on schema pgmq_settings to {worker}; grant trigger on pgmq_settings.deduplication_ids to {worker}"
    )
    owner(f"set local role {worker}")
    owner("create function pg_temp.steal() returns trigger language plpgsql as"
          " 'begin raise ''ran as %'', current_user; end'")  # fmt: skip
    owner("create trigger t before insert on pgmq_settings.deduplication_ids execute function pg_temp.steal()")
    owner("reset role")
    with pytest.raises(errors.InsufficientPrivilege, match=f"runs a function of role {worker}"):
        send(owner, queue, 1)
    owner("rollback")
