"""The real supabase client for Python, sync and async: its results, and the rows left behind."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from postgrest import APIError
from supabase import AsyncClientOptions, ClientOptions, acreate_client, create_client

from tests.clients.conftest import Project
from tests.databases import Sql

pytestmark = [
    # supabase passes options to postgrest that postgrest warns of.
    pytest.mark.filterwarnings("ignore:The 'timeout' parameter is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:The 'verify' parameter is deprecated:DeprecationWarning"),
]

SCHEMA = "pgmq_public"
# Runs a client's call and returns the result of execute(): db(lambda client: client.rpc("pop", {…})).
Db = Callable[[Callable[[Any], Any]], Any]
Connect = Callable[..., Db]


@pytest.fixture(params=["sync", "async"])
def connect(request: pytest.FixtureRequest, running: Project) -> Iterator[Connect]:
    """connect(key, user="token", schema="…"): a client of the running server, closed at the end."""
    with ExitStack() as stack:
        open_client = _sync if request.param == "sync" else _async

        def client(key: str, user: str | None = None, schema: str = SCHEMA) -> Db:
            headers = {"Authorization": f"Bearer {user}"} if user else {}
            return open_client(stack, running.url, key, headers, schema)

        yield client


def _sync(stack: ExitStack, url: str, key: str, headers: dict[str, str], schema: str) -> Db:
    client = create_client(url, key, ClientOptions(schema=schema, headers=headers))
    stack.callback(client.auth.close)
    stack.callback(client.postgrest.aclose)
    return lambda call: call(client).execute()


def _async(stack: ExitStack, url: str, key: str, headers: dict[str, str], schema: str) -> Db:
    loop = stack.enter_context(asyncio.Runner(loop_factory=asyncio.new_event_loop))
    client = loop.run(acreate_client(url, key, AsyncClientOptions(schema=schema, headers=headers)))
    stack.callback(lambda: loop.run(client.auth.close()))
    stack.callback(lambda: loop.run(client.postgrest.aclose()))

    async def execute(call: Callable[[Any], Any]) -> Any:  # noqa: ANN401
        return await call(client).execute()

    return lambda call: loop.run(execute(call))


@pytest.fixture
def db(connect: Connect, running: Project) -> Db:
    """A client as service_role."""
    return connect(running.service_key)


def rpc(function: str, **arguments: object) -> Callable[[Any], Any]:
    """A call of a function in the client's schema."""
    return lambda client: client.rpc(function, arguments)


def error_of(db: Db, call: Callable[[Any], Any]) -> APIError:
    """The error that a call raises."""
    with pytest.raises(APIError) as caught:
        db(call)
    return caught.value


def test_send_and_send_batch_answer_ids(db: Db, queue: str, sql: Sql) -> None:
    assert db(rpc("send", queue_name=queue, message={"text": "é￥😀"})).data == [1]
    assert db(rpc("send", queue_name=queue, message=None, sleep_seconds=600)).data == [2]
    assert db(rpc("send_batch", queue_name=queue, messages=[{"n": 3}, "four"])).data == [3, 4]
    assert sql(f"select msg_id, message, vt > now() from pgmq.q_{queue} order by 1") == [
        (1, {"text": "é￥😀"}, False),
        (2, None, True),
        (3, {"n": 3}, False),
        (4, "four", False),
    ]


def test_read_leases_and_pop_takes(db: Db, queue: str, sql: Sql) -> None:
    sql("select pgmq.send_batch(%s, array['{\"n\": 1}', '2', '3']::jsonb[])", queue)
    (row,) = db(rpc("read", queue_name=queue, sleep_seconds=60, n=1)).data
    assert list(row) == ["msg_id", "read_ct", "enqueued_at", "last_read_at", "vt", "message", "headers"]
    assert (row["msg_id"], row["read_ct"], row["message"]) == (1, 1, {"n": 1})
    (popped,) = db(rpc("pop", queue_name=queue)).data
    assert (popped["msg_id"], popped["message"]) == (2, 2)
    assert sql(f"select msg_id, read_ct, vt > now() + '50 s' from pgmq.q_{queue} order by 1") == [
        (1, 1, True),
        (3, 0, False),
    ]


def test_archive_and_delete_answer_whether_the_message_was_there(db: Db, queue: str, sql: Sql) -> None:
    sql("select pgmq.send_batch(%s, array['1', '2']::jsonb[])", queue)
    assert [db(rpc("archive", queue_name=queue, message_id=1)).data for _ in range(2)] == [True, False]
    assert [db(rpc("delete", queue_name=queue, message_id=2)).data for _ in range(2)] == [True, False]
    assert sql(f"select count(*) from pgmq.q_{queue}") == [(0,)]
    assert sql(f"select msg_id, message from pgmq.a_{queue}") == [(1, 1)]


def test_the_schema_can_be_named_at_the_call(connect: Connect, running: Project, queue: str, sql: Sql) -> None:
    db = connect(running.service_key, schema="public")
    assert error_of(db, rpc("pop", queue_name=queue)).code == "PGRST202"
    sent = db(lambda client: client.schema(SCHEMA).rpc("send", {"queue_name": queue, "message": 1}))
    assert sent.data == [1]
    assert sql(f"select msg_id, message from pgmq.q_{queue}") == [(1, 1)]


def test_nothing_to_read_is_an_empty_list_or_none(db: Db, queue: str) -> None:
    answer = db(rpc("read", queue_name=queue, sleep_seconds=0, n=5))
    assert (answer.data, answer.count) == ([], None)
    assert db(rpc("pop", queue_name=queue)).data == []
    assert db(lambda client: client.rpc("pop", {"queue_name": queue}).maybe_single()) is None


def test_maybe_single_gives_the_one_row(db: Db, queue: str, sql: Sql) -> None:
    assert db(lambda client: client.rpc("send", {"queue_name": queue, "message": "a"}).maybe_single()).data == 1
    assert db(lambda client: client.rpc("pop", {"queue_name": queue}).maybe_single()).data["message"] == "a"
    assert sql(f"select count(*) from pgmq.q_{queue}") == [(0,)]


def test_ids_beyond_what_a_double_holds_keep_every_digit(db: Db, queue: str, sql: Sql) -> None:
    sql(f"alter table pgmq.q_{queue} alter column msg_id restart with {2**53 + 1}")
    assert db(rpc("send", queue_name=queue, message=1)).data == [2**53 + 1]
    assert db(rpc("delete", queue_name=queue, message_id=2**53 + 1)).data is True
    assert sql(f"select count(*) from pgmq.q_{queue}") == [(0,)]


@pytest.mark.parametrize("who", ["anon", "alice"])
def test_a_caller_without_rights_is_refused(connect: Connect, running: Project, queue: str, who: str, sql: Sql) -> None:
    sql("select pgmq.send(%s, '1')", queue)
    db = connect(running.anon_key, user=running.alice if who == "alice" else None)
    calls = [
        rpc("send", queue_name=queue, message=1),
        rpc("send_batch", queue_name=queue, messages=[1]),
        rpc("read", queue_name=queue, sleep_seconds=0, n=1),
        rpc("pop", queue_name=queue),
        rpc("archive", queue_name=queue, message_id=1),
        rpc("delete", queue_name=queue, message_id=1),
    ]
    assert [error_of(db, call).code for call in calls] == ["42501"] * 6
    assert sql(f"select msg_id, read_ct from pgmq.q_{queue}") == [(1, 0)]
    assert sql(f"select count(*) from pgmq.a_{queue}") == [(0,)]


def test_row_level_security_decides_on_each_message(connect: Connect, running: Project, owned: str, sql: Sql) -> None:
    sql('select pgmq.send(%s, \'{"owner": "bob"}\')', owned)
    alice = connect(running.anon_key, user=running.alice)
    assert alice(rpc("send", queue_name=owned, message={"owner": "alice"})).data == [2]
    refused = error_of(alice, rpc("send", queue_name=owned, message={"owner": "bob"}))
    assert (refused.code, refused.message, refused.details, refused.hint) == (
        "42501",
        f'new row violates row-level security policy for table "q_{owned}"',
        None,
        None,
    )
    rows = alice(rpc("read", queue_name=owned, sleep_seconds=0, n=10)).data
    assert [row["message"]["owner"] for row in rows] == ["alice"]
    assert sql(f"select message->>'owner', read_ct from pgmq.q_{owned} order by msg_id") == [("bob", 0), ("alice", 1)]


def test_errors_have_four_fields(db: Db, queue: str) -> None:
    assert error_of(db, rpc("nosuch", a=1)).json() == {
        "code": "PGRST202",
        "message": "Could not find the function pgmq_public.nosuch(a) in the schema cache",
        "details": "Searched for the function pgmq_public.nosuch with parameter a or with a single unnamed json/jsonb"
        " parameter, but no matches were found in the schema cache.",
        "hint": None,
    }
    assert error_of(db, rpc("delete", queue_name=queue, message_id="x")).json() == {
        "code": "22P02",
        "message": 'invalid input syntax for type bigint: "x"',
        "details": None,
        "hint": "The id of a message is a number: msg_id of the messages that read returns.",
    }


def test_get_and_head_are_refused_and_change_nothing(db: Db, queue: str, sql: Sql) -> None:
    sql("select pgmq.send(%s, '1')", queue)
    get = error_of(db, lambda client: client.rpc("pop", {"queue_name": queue}, get=True))
    assert get.json() == {
        "code": "25006",
        "message": "cannot execute DELETE in a read-only transaction",
        "details": None,
        "hint": "Call it with POST: GET runs functions read-only.",
    }
    # Without a body the code comes from the header Proxy-Status and the message from the status line.
    head = error_of(db, lambda client: client.rpc("pop", {"queue_name": queue}, head=True))
    assert head.json() == {"code": "25006", "message": "Method Not Allowed", "details": None, "hint": None}
    assert sql(f"select msg_id, read_ct from pgmq.q_{queue}") == [(1, 0)]
