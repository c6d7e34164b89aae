"""Managing messages: browsing without effect, filters, and bulk actions."""

import json
import random
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from psycopg import errors

from pgmq_gateway.embedded.cluster import socket_uri
from pgmq_gateway.embedded.datadir import DataDirectory
from tests.databases import Sql, runner
from tests.sql.conftest import Connect
from tests.waiting import until

Row = dict[str, Any]
Act = Callable[..., None]

# One message in each state; the last two are archived.
MESSAGES = """
insert into pgmq.{queue} (msg_id, read_ct, vt, enqueued_at, message, headers) {identity} values
    (1, 0, now() - interval '1 s', '2026-01-01T00:00Z', '{{"n": 1, "status": "ok", "tags": ["x", "y"]}}', null),
    (2, 3, now() - interval '1 s', '2026-01-02T00:00Z',
        '{{"n": "2", "status": "failed", "log": "say \\"no\\""}}', '{{"x-pgmq-group": "g"}}'),
    (3, 0, now() + interval '1 h', '2026-01-03T00:00Z', '[1, {{"n": 3}}]', null),
    (4, 1, now() + interval '1 h', '2026-01-04T00:00Z', '"text"', '{{}}'),
    (5, 7, now() + interval '1 h', '2026-01-05T00:00Z', null, null)
"""
ALL = [1, 2, 3, 4, 5]


@pytest.fixture
def service(directory: DataDirectory, connect: Connect) -> Sql:
    """Run SQL as service_role."""
    service = runner(connect(socket_uri(directory)))
    service("set role service_role")
    return service


def fill(sql: Sql, queue: str) -> None:
    """Put messages 1 to 5 into a queue, and the same into its archive."""
    sql(MESSAGES.format(queue=f"q_{queue}", identity="overriding system value"))
    sql(MESSAGES.format(queue=f"a_{queue}", identity=""))
    sql(f"alter table pgmq.q_{queue} alter msg_id restart with 100")


@pytest.fixture
def filled(sql: Sql, queue: str) -> str:
    """The test's queue with messages 1 to 5, and the same again in its archive."""
    fill(sql, queue)
    return queue


@pytest.fixture(scope="module")
def shown(directory: DataDirectory) -> Iterator[str]:
    """A queue with the same messages, for tests that change nothing."""
    with psycopg.connect(socket_uri(directory), autocommit=True) as connection:
        sql = runner(connection)
        sql("select pgmq_admin.create_queue('shown')")
        fill(sql, "shown")
        yield "shown"
        sql("select pgmq_admin.drop_queue('shown')")


@pytest.fixture
def other(sql: Sql) -> Iterator[str]:
    """A second queue."""
    name = f"other_{random.randrange(10**9)}"  # noqa: S311 no secret
    sql("select pgmq_admin.create_queue(%s)", name)
    yield name
    sql("select pgmq_admin.drop_queue(%s)", name)


def browse(service: Sql, queue: str, filter_: Row | None = None, **arguments: object) -> list[Row]:
    """list_messages as an HTTP client gets it."""
    given = {name: json.dumps(value) if name in ("after", "before") else value for name, value in arguments.items()}
    named = "".join(f", {name} => %s" for name in given)
    rows = service(
        f"select to_json(m) from pgmq_admin.list_messages(%s, %s{named}) as m",
        queue, json.dumps(filter_ or {}), *given.values(),
    )  # fmt: skip
    return [row for (row,) in rows]


def ids(rows: list[Row]) -> list[int]:
    return [row["msg_id"] for row in rows]


def walked(service: Sql, queue: str, filter_: Row, *, sort: str, descending: bool, direction: str) -> list[Row]:
    """All pages one after the other: forwards by `after`, or backwards by `before`."""
    lowest, highest = (-1, 2**62) if sort in ("msg_id", "read_ct") else ("-infinity", "infinity")
    key: Row = {} if direction == "after" else {"before": [lowest, -1] if descending else [highest, 2**62]}
    found: list[Row] = []
    while page := browse(service, queue, filter_, sort=sort, descending=descending, max_rows=7, **key):
        assert len(page) <= 7
        found = found + page if direction == "after" else page + found
        edge = page[-1] if direction == "after" else page[0]
        key = {direction: [edge[sort], edge["msg_id"]]}
    return found


@pytest.mark.parametrize("sort", ["msg_id", "enqueued_at", "read_ct", "vt", "archived_at"])
def test_pages_in_either_direction_are_the_sorted_whole(sql: Sql, service: Sql, queue: str, sort: str) -> None:
    seed = random.random()  # noqa: S311 no secret
    sql("select setseed(%s)", seed)
    columns = "msg_id, read_ct, enqueued_at, vt, message"
    # Few different values, so that many rows are equal.
    sql(
        f"insert into pgmq.q_{queue} ({columns}) overriding system value"
        " select i, floor(random() * 3), '2026-01-01'::timestamptz + floor(random() * 4) * interval '1 s',"
        " now() + floor(random() * 6 - 3) * interval '1 h', '{}' from generate_series(1, 40) as i order by random()"
    )
    sql(
        f"insert into pgmq.a_{queue} ({columns}, archived_at)"
        f" select {columns}, now() + floor(random() * 4) * interval '1 s' from pgmq.q_{queue} order by random()"
    )
    filters: list[Row] = [{"state": "archived"}]
    if sort != "archived_at":
        filters += [{}, {"state": "visible"}, {"min_read_ct": 1, "contains": {}}, {"msg_ids": list(range(5, 30))}]
    for filter_ in filters:
        whole = browse(service, queue, filter_, max_rows=1000)
        for descending in (False, True):
            expected = sorted(whole, key=lambda row: (row[sort], row["msg_id"]), reverse=descending)
            for direction in ("after", "before"):
                pages = walked(service, queue, filter_, sort=sort, descending=descending, direction=direction)
                assert pages == expected, (seed, filter_, descending, direction)


def test_a_page_that_an_index_can_serve_reads_no_more_than_that(sql: Sql, service: Sql, queue: str) -> None:
    columns = "msg_id, read_ct, vt, message"
    for table in (f"q_{queue}", f"a_{queue}"):
        sql(
            f"insert into pgmq.{table} ({columns}) overriding system value select i, i / 4 %% 2,"
            " now() + (i %% 4 - 1.5) * interval '1 h' + i * interval '1 ms', to_jsonb(repeat('x', 100))"
            " from generate_series(1, %s) as i",
            20000,
        )
    sql(f"update pgmq.a_{queue} set archived_at = now() + msg_id * interval '1 ms'")
    sql(f"vacuum analyze pgmq.q_{queue}, pgmq.a_{queue}")
    ((blocks,),) = sql("select pg_relation_size(%s::regclass) / 8192", f"pgmq.q_{queue}")
    assert blocks > 300
    middle = browse(service, queue, {"msg_ids": [10000]})[0]
    pages: list[tuple[Row, Row]] = [
        ({}, {}),
        ({}, {"descending": True}),
        ({}, {"after": [10000, 10000]}),
        ({}, {"before": [10000, 10000]}),
        ({"state": "in_flight"}, {}),
        ({"msg_ids": [3, 10000]}, {"sort": "enqueued_at"}),
        ({"state": "archived"}, {"sort": "archived_at", "descending": True}),
    ]
    for descending in (False, True):
        pages += [
            ({}, {"sort": "vt", "descending": descending}),
            ({"state": "visible"}, {"sort": "vt", "descending": descending}),
            ({"state": "delayed"}, {"sort": "vt", "descending": descending}),
            ({}, {"sort": "vt", "descending": descending, "after": [middle["vt"], 10000]}),
            ({}, {"sort": "vt", "descending": descending, "before": [middle["vt"], 10000]}),
        ]
    for filter_, arguments in pages:
        given = [json.dumps(value) if name in ("after", "before") else value for name, value in arguments.items()]
        named = "".join(f", {name} => %s" for name in arguments)
        explain = "explain (analyze, buffers, format json) select * from pgmq_admin.list_messages(%s, %s"
        ((plan,),) = service(f"{explain}{named})", queue, json.dumps(filter_), *given)
        read = plan[0]["Plan"]["Shared Hit Blocks"] + plan[0]["Plan"]["Shared Read Blocks"]
        assert read < 200, (filter_, arguments, read)


def test_a_message_is_shown_whole(sql: Sql, service: Sql, filled: str) -> None:
    sql(f"update pgmq.q_{filled} set message = to_jsonb(repeat('é', 300)), last_read_at = now() where msg_id = 2")
    (row,) = browse(service, filled, {"msg_ids": ["2"]})
    ((stored,),) = sql(f"select to_json(q) from pgmq.q_{filled} as q where msg_id = 2")
    preview = '"' + 199 * "é"
    assert row == {**stored, "archived_at": None, "state": "visible", "bytes": 602, "preview": preview}
    assert service("select to_json(m) from pgmq_admin.get_message(%s, 2) as m", filled) == [(row,)]
    ((archived,),) = service("select to_json(m) from pgmq_admin.get_message(%s, 5, true) as m", filled)
    assert (archived["state"], archived["archived_at"] is None) == ("archived", False)
    assert (archived["message"], archived["bytes"], archived["preview"]) == (None, None, None)
    assert service("select * from pgmq_admin.get_message(%s, 6)", filled) == []


def test_looking_leaves_no_trace(sql: Sql, service: Sql, filled: str) -> None:
    state = f"select xmin::text, xmax::text, ctid::text, * from pgmq.q_{filled} order by msg_id"
    before = sql(state)
    service("begin read only")
    assert len(browse(service, filled, {"contains": {}}, sort="vt")) == 2
    counted = "select pgmq_admin.count_messages(%s, max_count => n) from unnest('{null,4,5,6}'::int[]) as n"
    assert service(counted, filled) == [(5,), (4,), (5,), (5,)]
    assert len(service("select * from pgmq_admin.get_message(%s, 1)", filled)) == 1
    service("commit")
    assert sql(state) == before


@pytest.mark.parametrize(
    ("filter_", "expected"),
    [
        ({}, ALL),
        ({"state": "visible"}, [1, 2]),
        ({"state": "delayed"}, [3]),
        ({"state": "in_flight"}, [4, 5]),
        ({"state": "archived"}, ALL),
        ({"state": "archived", "min_read_ct": 3}, [2, 5]),
        ({"msg_ids": [3, "1", 3, 99]}, [1, 3]),
        ({"msg_ids": []}, []),
        ({"sent_after": "2026-01-03T00:00:00Z"}, [3, 4, 5]),
        ({"sent_before": "2026-01-03T00:00:00Z"}, [1, 2]),
        ({"sent_after": "2026-01-02T01:00:00+01:00", "sent_before": "2026-01-04"}, [2, 3]),
        ({"min_read_ct": 1, "max_read_ct": 3}, [2, 4]),
        ({"text": "FAIL"}, [2]),
        ({"text": 'say "No"'}, [2]),
        ({"text": '"status": "failed"'}, [2]),
        ({"text": "%"}, []),
        ({"text": "text", "state": "in_flight"}, [4]),
        ({"contains": {"tags": ["y"]}}, [1]),
        ({"contains": "text"}, [4]),
        ({"contains": [{"n": 3}]}, [3]),
        ({"headers_contain": {"x-pgmq-group": "g"}}, [2]),
        ({"headers_contain": {}}, [2, 4]),
        ({"path": '$.status == "failed"'}, [2]),
        ({"path": "$.n == 1 || $.n == 3"}, [1, 3]),
        ({"path": '!($.status == "ok")'}, [2, 3, 4]),
        ({"path": "exists($.tags)"}, [1]),
        ({"path": '$.tags[*] ? (@ == "x")'}, [1]),
        ({"path": "$.n"}, [1, 2, 3]),
        ({"path": "$.n ? (@ > 0)"}, [1, 3]),
        ({"path": "strict $.n"}, [1, 2]),
        ({"path": "$.n.double() > 1"}, [2, 3]),
        ({"path": "$.status.double()"}, []),
        ({"path": '$.status like_regex "^FAIL" flag "i"'}, [2]),
        ({"path": "$"}, [1, 2, 3, 4]),
        ({"state": "in_flight", "path": '$ == "text"', "max_read_ct": 1}, [4]),
    ],
)
def test_a_filter_finds(service: Sql, shown: str, filter_: Row, expected: list[int]) -> None:
    assert ids(browse(service, shown, filter_)) == expected
    assert service("select pgmq_admin.count_messages(%s, %s)", shown, json.dumps(filter_)) == [(len(expected),)]


@pytest.mark.parametrize(
    ("filter_", "message"),
    [
        ({"stat": "visible"}, 'filter member "stat" is unknown'),
        ({"state": "lost"}, 'state "lost" is unknown'),
        ({"state": None}, 'filter member "state" must be of type string, not null'),
        ({"msg_ids": 1}, 'filter member "msg_ids" must be of type array, not number'),
        ({"msg_ids": ["x"]}, 'filter member "msg_ids" cannot be read: invalid input syntax for type bigint: "x"'),
        (
            {"msg_ids": [2**63]},
            f'filter member "msg_ids" cannot be read: value "{2**63}" is out of range for type bigint',
        ),
        ({"sent_after": 5}, 'filter member "sent_after" must be of type string, not number'),
        (
            {"sent_before": "soon"},
            'filter member "sent_before" cannot be read: invalid input syntax for type timestamp with time zone',
        ),
        (
            {"sent_before": "2026-13-01"},
            'filter member "sent_before" cannot be read: date/time field value out of range',
        ),
        ({"min_read_ct": "1"}, 'filter member "min_read_ct" must be of type number, not string'),
        (
            {"max_read_ct": 1.5},
            'filter member "max_read_ct" cannot be read: invalid input syntax for type integer: "1.5"',
        ),
        ({"path": "$.a ="}, 'filter member "path" cannot be read: syntax error'),
        ({"path": "$.a == 1) or (true"}, 'filter member "path" cannot be read: syntax error'),
        ({"path": '$ like_regex "("'}, 'filter member "path" cannot be read: invalid regular expression'),
        ({"path": "$.n == $n"}, 'filter member "path" cannot be read: could not find jsonpath variable "n"'),
        ({"path": "$" + ".n" * 100000}, 'filter member "path" cannot be read: stack depth limit exceeded'),
        ({"path": ["$.a"]}, 'filter member "path" must be of type string, not array'),
        ([], "filter must be a JSON object, not array"),
        (None, "filter must be a JSON object, not null"),
    ],
)
def test_a_filter_that_cannot_be_read_is_refused_by_all(
    service: Sql, shown: str, filter_: object, message: str
) -> None:
    for call in ("list_messages(%s, %s)", "count_messages(%s, %s)", "apply(%s, 'delete', %s, null)"):
        with pytest.raises(errors.InvalidParameterValue, match=re.escape(message)) as caught:
            service(f"select pgmq_admin.{call}", shown, json.dumps(filter_))
        assert caught.value.diag.message_hint
    assert service("select pgmq_admin.count_messages(%s)", shown) == [(5,)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sort": "message"}, 'sort "message" is unknown'),
        ({"sort": None}, "is unknown"),
        ({"sort": "archived_at"}, "only archived messages"),
        ({"max_rows": 0}, "max_rows is 0"),
        ({"max_rows": 1001}, "max_rows is 1001"),
        ({"max_rows": None}, "max_rows is null"),
        ({"after": [1, 1], "before": [1, 1]}, "exclude each other"),
        ({"after": 1}, "after or before cannot be read"),
        ({"after": [1]}, "after or before cannot be read"),
        ({"after": [None, 1]}, "after or before cannot be read"),
        ({"before": ["x", 1]}, "after or before cannot be read"),
        ({"before": [1, 1.5]}, "after or before cannot be read"),
        ({"sort": "vt", "after": [1, 1]}, "after or before cannot be read"),
    ],
)
def test_a_page_that_cannot_be_is_refused(service: Sql, shown: str, arguments: Row, message: str) -> None:
    with pytest.raises(errors.InvalidParameterValue, match=message) as caught:
        browse(service, shown, **arguments)
    assert caught.value.diag.message_hint


CALLS = [
    "list_messages('no-such')", "count_messages('no-such')", "get_message('no-such', 1)", "send('no-such', '1')",
    "send_batch('no-such', '[1]')", "postpone('no-such', '{1}', 5)", "make_visible('no-such', '{1}')",
    "archive('no-such', '{1}')", "delete('no-such', '{1}')", "delete_archived('no-such', '{1}')",
    "move('no-such', '{1}', 'no-such-either')", "requeue('no-such', '{1}')", "apply('no-such', 'delete', '{}', null)",
    "redrive('no-such')", "replay('no-such')", "dead_letters('no-such')",
]  # fmt: skip


@pytest.mark.parametrize("call", CALLS)
def test_a_queue_that_does_not_exist_is_named(service: Sql, call: str) -> None:
    with pytest.raises(errors.UndefinedTable, match='queue "no-such" does not exist'):
        service(f"select * from pgmq_admin.{call}")


def test_sending(sql: Sql, service: Sql, queue: str) -> None:
    send = "select pgmq_admin.send(%s, %s, headers => %s, sleep_seconds => %s, visible_at => %s)"
    assert service(send, queue, '{"n": 1.10}', '{"h": 1}', 0, None) == [(1,)]
    assert service(send, queue, "[]", None, 60, None) == [(2,)]
    assert service(send, queue, "3", None, 0, "2100-01-01") == [(3,)]
    assert service(send, queue, "4", None, None, "2000-01-01") == [(4,)]
    assert sql(
        f"select msg_id, message::text, headers, round(extract(epoch from vt - enqueued_at))::bigint, vt = '2100-01-01'"
        f" from pgmq.q_{queue} where msg_id <> 3 order by 1"
    ) == [(1, '{"n": 1.10}', {"h": 1}, 0, False), (2, "[]", None, 60, False), (4, "4", None, 0, False)]
    assert sql(f"select vt = '2100-01-01' from pgmq.q_{queue} where msg_id = 3") == [(True,)]


def test_sending_many(sql: Sql, service: Sql, queue: str) -> None:
    send = "select * from pgmq_admin.send_batch(%s, %s, %s, %s)"
    assert service(send, queue, "[1, 2]", None, 0) == [(1,), (2,)]
    assert service(send, queue, "[3, [4]]", '[{"h": 3}, null]', 60) == [(3,), (4,)]
    assert service(send, queue, "[]", None, 0) == service(send, queue, "[]", "[]", 0) == []
    assert sql(f"select msg_id, message, headers, vt > now() + interval '50 s' from pgmq.q_{queue} order by 1") == [
        (1, 1, None, False),
        (2, 2, None, False),
        (3, 3, {"h": 3}, True),
        (4, [4], None, True),
    ]


def test_each_member_of_a_batch_is_a_message(sql: Sql, service: Sql, queue: str) -> None:
    members = ["[[1, 2], [3, 4.50]]", "[]", "null", "[null]", '"{1,2}"']
    assert service("select pgmq_admin.send(%s, null)", queue) == [(1,)]
    assert len(service("select pgmq_admin.send_batch(%s, %s)", queue, f"[{', '.join(members)}]")) == 5
    assert sql(f"select message::text from pgmq.q_{queue} order by msg_id") == [(text,) for text in ("null", *members)]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("send(%s, '1', sleep_seconds => -1)", "cannot be delayed by -1 seconds"),
        ("send(%s, '1', sleep_seconds => 1, visible_at => now())", "exclude each other"),
        ("send_batch(%s, null)", "messages must be an array"),
        ("send_batch(%s, '{}')", "messages must be an array"),
        ("send_batch(%s, '[1]', '{}')", "headers must be an array"),
        ("send_batch(%s, '[1, 2]', '[{}]')", "1 headers for 2 messages"),
        ("send_batch(%s, '[]', '[{}]')", "1 headers for 0 messages"),
        ("send_batch(%s, '[1]', sleep_seconds => -1)", "cannot be delayed by -1 seconds"),
        ("postpone(%s, '{1}')", "seconds and until are both null"),
        ("postpone(%s, '{1}', 5, now())", "exclude each other"),
        ("postpone(%s, '{1}', -5)", "cannot be delayed by -5 seconds"),
        ("postpone(%s, null, 5)", 'filter member "msg_ids" must be of type array, not null'),
        ("delete(%s, null)", 'filter member "msg_ids" must be of type array, not null'),
        ("move(%s, '{1}', null)", "to_queue must not be null"),
        ("move(%s, '{1}', 'no-such')", 'queue "no-such" does not exist'),
        ("apply(%s, 'purge', '{}', null)", 'action "purge" is unknown'),
        ("apply(%s, null, '{}', null)", "is unknown"),
        ("apply(%s, 'archive', '{\"state\": \"archived\"}', null)", 'action "archive" is not possible in the archive'),
        ("apply(%s, 'requeue', '{}', null)", "only archived messages can be requeued"),
        ("apply(%s, 'postpone', '{}', null)", "postpone needs seconds"),
        ("apply(%s, 'delete', '{}', null, seconds => 5)", "postpone needs seconds"),
        ("apply(%s, 'move', '{}', null)", "move needs to_queue"),
        ("apply(%s, 'delete', '{}', null, to_queue => 'x')", "move needs to_queue"),
        ("apply(%s, 'move', '{}', null, to_queue => 'no-such')", 'queue "no-such" does not exist'),
    ],
)
def test_what_makes_no_sense_is_refused(sql: Sql, service: Sql, shown: str, call: str, message: str) -> None:
    before = contents(sql, shown)
    with pytest.raises(errors.DatabaseError, match=message) as caught:
        service(f"select * from pgmq_admin.{call}", shown)
    assert caught.value.sqlstate in {"22004", "22023", "42P01"}
    assert caught.value.diag.message_hint
    assert contents(sql, shown) == before


def test_messages_are_not_moved_to_where_they_are(service: Sql, filled: str) -> None:
    with pytest.raises(errors.InvalidParameterValue, match="to itself"):
        service("select pgmq_admin.move(%s, '{1}', %s)", filled, filled)


def contents(sql: Sql, queue: str) -> tuple[list[Row], list[Row]]:
    """All rows of a queue and of its archive."""
    queued = sql(f"select to_json(q) from pgmq.q_{queue} as q order by msg_id")
    archived = sql(f"select to_json(a) from pgmq.a_{queue} as a order by msg_id")
    return [row for (row,) in queued], [row for (row,) in archived]


@pytest.fixture(params=["by ids", "by filter"])
def act(request: pytest.FixtureRequest, service: Sql, filled: str) -> Callable[..., None]:
    """act("archive", [3, 1, 3, 99], [1, 3]): an action on a list of ids, or on the messages of a filter for them."""

    def by_ids(action: str, given: list[int], there: list[int], seconds: int | None, to_queue: str | None) -> None:
        more = [value for value in (seconds, to_queue) if value is not None]
        rows = service(f"select * from pgmq_admin.{action}(%s, %s{', %s' * len(more)})", filled, given, *more)
        assert [row[0] for row in rows] == there

    def by_filter(action: str, given: list[int], there: list[int], seconds: int | None, to_queue: str | None) -> None:
        state = {"state": "archived"} if action in ("requeue", "delete_archived") else {}
        filter_ = json.dumps({"msg_ids": given, **state})
        name = action.removesuffix("_archived")
        apply = "select pgmq_admin.apply(%s, %s, %s, %s, %s, %s)"
        # The gateway sends 409.
        with pytest.raises(
            psycopg.Error, match=f"{len(there)} messages match, not 7: nothing has been changed"
        ) as caught:
            service(apply, filled, name, filter_, 7, seconds, to_queue)
        assert caught.value.sqlstate == "PT409"
        assert service(apply, filled, name, filter_, len(there), seconds, to_queue) == [(len(there),)]

    def do(
        action: str, given: list[int], there: list[int], seconds: int | None = None, to_queue: str | None = None
    ) -> None:
        (by_ids if request.param == "by ids" else by_filter)(action, given, there, seconds, to_queue)

    return do


def without(row: Row, *names: str) -> Row:
    return {name: value for name, value in row.items() if name not in names}


def test_postponing(sql: Sql, filled: str, act: Act) -> None:
    before, _ = contents(sql, filled)
    act("postpone", [4, 1, 4, 99], [1, 4], seconds=7200)
    after, _ = contents(sql, filled)
    assert sql(f"select array_agg(msg_id) from pgmq.q_{filled} where vt > now() + interval '7100 s'") == [([1, 4],)]
    assert [without(row, "vt") for row in after] == [without(row, "vt") for row in before]
    assert after[1:3] == before[1:3]


def test_postponing_until(sql: Sql, service: Sql, filled: str) -> None:
    service("select pgmq_admin.postpone(%s, '{1}', until => '2100-01-01Z')", filled)
    service("select pgmq_admin.postpone(%s, '{3}', until => '2000-01-01Z')", filled)
    assert sql(f"select msg_id from pgmq.q_{filled} where vt = '2100-01-01Z'") == [(1,)]
    # It must not come before messages that are visible already: reads are ordered by vt.
    assert sql(f"select vt between now() - interval '1 s' and now() from pgmq.q_{filled} where msg_id = 3") == [(True,)]


def test_making_visible(sql: Sql, service: Sql, filled: str, act: Act) -> None:
    before, _ = contents(sql, filled)
    act("make_visible", [5, 3, 1, 99], [1, 3, 5])
    after, _ = contents(sql, filled)
    assert ids(browse(service, filled, {"state": "visible"})) == [1, 2, 3, 5]
    assert after[0] == before[0]
    assert [without(row, "vt") for row in after] == [without(row, "vt") for row in before]


def test_archiving(sql: Sql, filled: str, act: Act) -> None:
    sql(f"delete from pgmq.a_{filled} where msg_id > 1")
    sql(f"update pgmq.q_{filled} set last_read_at = now()")
    before, kept = contents(sql, filled)
    act("archive", [4, 2, 2, 99], [2, 4])
    queued, archived = contents(sql, filled)
    assert queued == [before[0], before[2], before[4]]
    assert archived[:1] == kept
    assert [without(row, "archived_at") for row in archived[1:]] == [before[1], before[3]]
    assert all(row["archived_at"] for row in archived)


def test_deleting(sql: Sql, filled: str, act: Act) -> None:
    before = contents(sql, filled)
    act("delete", [4, 2, 99], [2, 4])
    act("delete_archived", [5, 1, 99], [1, 5])
    assert contents(sql, filled) == ([before[0][i] for i in (0, 2, 4)], before[1][1:4])


@pytest.mark.parametrize("action", ["move", "requeue"])
def test_moving_and_requeuing(sql: Sql, filled: str, other: str, act: Act, action: str) -> None:
    sql(f"update pgmq.q_{filled} set last_read_at = now()")
    queued, archived = contents(sql, filled)
    if action == "move":
        act("move", [3, 2, 2, 99], [2, 3], to_queue=other)
        left, arrived, gone = contents(sql, filled)[0], contents(sql, other)[0], queued
        assert ids(arrived) == [1, 2]
    else:
        act("requeue", [3, 2, 2, 99], [2, 3])
        (*_, new, newest), left = contents(sql, filled)
        arrived, gone = [new, newest], archived
        assert ids(arrived) == [100, 101]
    assert left == [gone[i] for i in (0, 3, 4)]
    same = ("message", "headers", "enqueued_at")
    assert [[row[name] for name in same] for row in arrived] == [[gone[i][name] for name in same] for i in (1, 2)]
    assert [(row["read_ct"], row["last_read_at"]) for row in arrived] == [(0, None)] * 2
    table = other if action == "move" else filled
    assert sql(f"select count(*) from pgmq.q_{table} where vt between now() - interval '9 s' and now()") == [
        (2 if action == "move" else 4,)
    ]


def test_moving_and_requeuing_tell_old_and_new_ids(service: Sql, filled: str, other: str) -> None:
    service("select pgmq_admin.send(%s, '1')", other)
    assert service("select * from pgmq_admin.move(%s, '{3,1}', %s)", filled, other) == [(1, 2), (3, 3)]
    assert service("select * from pgmq_admin.requeue(%s, '{3,1}')", filled) == [(1, 100), (3, 101)]
    archived = '{"state": "archived"}'
    assert service("select pgmq_admin.apply(%s, 'move', %s, 3, to_queue => %s)", filled, archived, other) == [(3,)]
    assert ids(browse(service, other)) == [1, 2, 3, 4, 5, 6]


def test_an_unlogged_queue_that_begins_anew_cannot_archive_over_what_is_there(
    sql: Sql, service: Sql, filled: str
) -> None:
    before = contents(sql, filled)
    with pytest.raises(errors.UniqueViolation, match="already has messages with the same ids") as caught:
        service("select pgmq_admin.archive(%s, '{1}')", filled)
    assert "requeue" in str(caught.value.diag.message_hint)
    assert contents(sql, filled) == before


def test_a_queue_in_partitions_by_time(sql: Sql, service: Sql, filled: str, other: str) -> None:
    sql(f"drop table pgmq.q_{other}")
    sql(
        f"create table pgmq.q_{other} (msg_id bigint generated by default as identity, read_ct int default 0 not null,"
        " enqueued_at timestamptz default now() not null, last_read_at timestamptz, vt timestamptz not null,"
        " message jsonb, headers jsonb) partition by range (enqueued_at)"
    )
    for partition, bounds in (("p1", "'2026-03-01') to (now()"), ("p2", "now()) to (maxvalue")):
        sql(f"create table pgmq.q_{other}_{partition} partition of pgmq.q_{other} for values from ({bounds})")
    # No partition exists for the age of these, as after a retention has dropped it.
    assert service("select count(*) from pgmq_admin.move(%s, '{1,2,3}', %s)", filled, other) == [(3,)]
    sql(f"update pgmq.q_{other} set enqueued_at = '2026-04-01' where msg_id = 3")
    assert ids(browse(service, other, sort="enqueued_at")) == [3, 1, 2]
    (second, *_) = browse(service, other, {"msg_ids": [2]})
    before = [second["enqueued_at"], second["msg_id"]]
    assert ids(browse(service, other, sort="enqueued_at", before=before, max_rows=2)) == [3, 1]
    assert service("select * from pgmq_admin.postpone(%s, '{3}', 60)", other) == [(3,)]
    assert service("select pgmq_admin.apply(%s, 'archive', '{\"state\": \"delayed\"}', 1)", other) == [(1,)]
    assert service("select * from pgmq_admin.requeue(%s, '{3}')", other) == [(3, 4)]
    assert service("select * from pgmq_admin.delete(%s, '{1,4}')", other) == [(1,), (4,)]


def test_names_and_values_are_never_code(sql: Sql, service: Sql) -> None:
    name = 'We"ird, %s %I \\'
    sql("select pgmq.create(%s)", name)
    try:
        tricks = ["'; drop table pgmq.meta", "$1", "%s", "\\'", '"']
        for trick in tricks:
            service("select pgmq_admin.send(%s, %s, %s)", name, json.dumps(trick), json.dumps({trick: trick}))
        for number, trick in enumerate(tricks, 1):
            filter_ = {"contains": trick, "headers_contain": {trick: trick}, "path": f"$ == {json.dumps(trick)}"}
            assert ids(browse(service, name, filter_)) == [number]
        assert service("select * from pgmq_admin.archive(%s, '{1,2}')", name) == [(1,), (2,)]
        assert service("select * from pgmq_admin.requeue(%s, '{1,2}')", name) == [(1, 6), (2, 7)]
        assert service("select pgmq_admin.count_messages(%s)", name) == [(5,)]
    finally:
        sql("select pgmq.drop_queue(%s)", name)


class Background:
    """A statement that runs concurrently on a connection of its own."""

    def __init__(self, sql: Sql, statement: str, *parameters: object) -> None:
        ((self._pid,),) = sql("select pg_backend_pid()")
        self._sql = sql
        self._statement = statement
        self._parameters = parameters
        self._outcome: list[tuple[Any, ...]] | Exception = []
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._outcome = self._sql(self._statement, *self._parameters)
        except psycopg.Error as error:
            self._outcome = error

    def until_it_waits(self, sql: Sql) -> None:
        """Wait until it waits for a lock."""
        until(lambda: sql("select cardinality(pg_blocking_pids(%s)) > 0", self._pid)[0][0])

    def result(self) -> list[tuple[Any, ...]]:
        """The rows, when the statement has finished."""
        self._thread.join()
        if isinstance(self._outcome, Exception):
            raise self._outcome
        return self._outcome


@pytest.fixture
def consumer(directory: DataDirectory, connect: Connect) -> Sql:
    """Run SQL on a further connection."""
    return runner(connect(socket_uri(directory)))


@pytest.mark.parametrize("call", ["delete(%s, '{5,4,3,2,1}')", "apply(%s, 'archive', '{}', null)"])
def test_rows_are_locked_in_the_order_of_their_ids(
    sql: Sql, service: Sql, consumer: Sql, filled: str, call: str
) -> None:
    sql(f"delete from pgmq.a_{filled}")
    consumer("begin")
    consumer(f"select from pgmq.q_{filled} where msg_id = 3 for update")
    background = Background(service, f"select count(*) from pgmq_admin.{call}", filled)
    background.until_it_waits(sql)
    free = sql(f"select msg_id from pgmq.q_{filled} order by msg_id for update skip locked")
    consumer("commit")
    assert free == [(4,), (5,)]
    assert background.result() == [(5 if call.startswith("delete") else 1,)]
    assert contents(sql, filled)[0] == []


def test_a_filter_is_tested_again_on_what_changed_meanwhile(sql: Sql, service: Sql, consumer: Sql, filled: str) -> None:
    consumer("begin")
    consumer(f"update pgmq.q_{filled} set vt = now() + interval '1 h', read_ct = 1 where msg_id = 1")
    apply = "select pgmq_admin.apply(%s, 'delete', '{\"state\": \"visible\"}', %s)"
    background = Background(service, apply, filled, 2)
    background.until_it_waits(sql)
    consumer("commit")
    with pytest.raises(psycopg.Error, match="1 messages match, not 2: nothing has been changed"):
        background.result()
    assert ids(browse(service, filled)) == ALL
    assert service(apply, filled, 1) == [(1,)]
    assert ids(browse(service, filled)) == [1, 3, 4, 5]


def test_what_a_consumer_has_deleted_meanwhile_is_passed_over(
    sql: Sql, service: Sql, consumer: Sql, filled: str, other: str
) -> None:
    consumer("begin")
    consumer(f"delete from pgmq.q_{filled} where msg_id = 1")
    consumer(f"update pgmq.q_{filled} set read_ct = 9, message = '\"new\"' where msg_id = 2")
    background = Background(service, "select * from pgmq_admin.move(%s, '{1,2}', %s)", filled, other)
    background.until_it_waits(sql)
    consumer("commit")
    assert background.result() == [(2, 1)]
    assert [row["message"] for row in browse(service, other)] == ["new"]


def test_bulk_actions_on_the_same_messages_at_once_go_well(sql: Sql, service: Sql, consumer: Sql, queue: str) -> None:
    sql("select pgmq.send_batch(%s, array_agg(to_jsonb(i))) from generate_series(1, 50) as i", queue)
    orders = [random.sample(range(1, 51), 50) for _ in range(20)]

    def postpone(run: Sql) -> None:
        for order in orders:
            run("select pgmq_admin.postpone(%s, %s, 60)", queue, order)

    with ThreadPoolExecutor() as threads:
        for done in [threads.submit(postpone, service), threads.submit(postpone, consumer)]:
            done.result()
    assert service('select pgmq_admin.count_messages(%s, \'{"state": "delayed"}\')', queue) == [(50,)]
