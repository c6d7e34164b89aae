"""Calls with an Idempotency-Key: executed once, and repeated as often as necessary."""

import hashlib
import json
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.answers import key_in_use, refusal
from tests.gateways import Bearer, Headers, RunningGateway
from tests.process.metrics import metrics
from tests.server import Serve
from tests.waiting import repeated, until

HOLD = 4711
GATEWAY = {"PGRST_DB_POOL": "4", "PGRST_DB_TX_END": "commit-allow-override"}
SCHEMAS = (
    "select pgmq_admin.create_queue('jobs')",
    "select pgmq_admin.grant_queue('jobs', r, '{send,read,pop,archive,delete}') from unnest('{anon,authenticated}'"
    "::text[]) as r",
    "create policy everybody on pgmq.q_jobs to anon, authenticated using (true) with check (true)",
    "create policy everybody on pgmq.a_jobs to anon, authenticated using (true) with check (true)",
    "create table public.done (what text); grant all on public.done to public",
    "create sequence public.tries; grant all on public.tries to public",
    # Functions of a user; `what` is text that each call adds.
    "create function public.answer(what text) returns text volatile language plpgsql as $f$ begin"
    " insert into public.done values (what);"
    """ perform set_config('response.headers', '[{"X-Own": "1"}, {"Cache-Control": "no-store"}]', true);"""
    " perform set_config('response.status', '202', true); return 'é ' || nextval('tries'); end $f$",
    "create function public.failed(what text, status text) returns text volatile language plpgsql as $f$ begin"
    " insert into public.done values (what); perform set_config('response.status', status, true);"
    " return 'failed'; end $f$",
    "create function public.nothing(what text) returns void volatile language sql as"
    " 'insert into public.done values (what)'",
    "create function public.many(what text) returns setof bigint volatile language sql as"
    " 'insert into public.done values (what); select nextval(''tries'') from generate_series(1, 3)'",
    "create function public.long(what text, length int) returns text volatile language sql as"
    " 'insert into public.done values (what); select repeat(''x'', length)'",
    # The first call waits for a lock of the test, and fails if it is told to.
    "create function public.held(fails boolean) returns bigint volatile language plpgsql as $f$"
    f" declare n bigint; begin perform pg_advisory_xact_lock({HOLD}); n := nextval('tries');"
    " if fails and n = 1 then raise 'the first one'; end if;"
    " insert into public.done values ('held'); return n; end $f$",
    "create function public.do(code text) returns json volatile language plpgsql as $f$ begin"
    " execute code; insert into public.done values ('done');"
    " return json_build_object('role', current_user, 'headers', current_setting('request.headers')::json,"
    " 'path', current_setting('search_path')); end $f$",
    "create function public.hurried(what text) returns text volatile set statement_timeout = '400ms' language sql as"
    " 'insert into public.done values (what) returning what'",
    "create function public.stable_one() returns int stable language sql as 'select 1'",
)


@pytest.fixture(autouse=True)
def empty(gateway: RunningGateway) -> None:
    gateway.sql("truncate pgmq.q_jobs, pgmq.a_jobs, public.done, pgmq_gateway.idempotency_keys")
    gateway.sql("select setval('tries', 1, false)")


@pytest.fixture
def user(bearer: Bearer) -> Headers:
    return bearer("authenticated", sub="user-1")


def new_key() -> str:
    return str(uuid.uuid4())


def post(
    client: httpx.Client, path: str, key: str | None, headers: Headers, body: object = None, **more: str
) -> httpx.Response:
    keyed = {} if key is None else {"Idempotency-Key": key}
    profile = {"Content-Profile": "pgmq_public"} if more.pop("profile", None) else {}
    return client.post(path, headers={**headers, **keyed, **profile, **more}, json=body)


def send(client: httpx.Client, key: str | None, headers: Headers, message: object = 1) -> httpx.Response:
    return post(client, "/rpc/send", key, headers, {"queue_name": "jobs", "message": message}, profile="yes")


def shown(answer: httpx.Response) -> tuple[int, str, dict[str, str]]:
    """Status, body, and the headers that do not depend on the time."""
    changing = {"date", "idempotency-replayed", "proxy-status"}
    return answer.status_code, answer.text, {k: v for k, v in answer.headers.items() if k not in changing}


def replayed(answer: httpx.Response) -> bool:
    return "Idempotency-Replayed" in answer.headers


def stored_keys(gateway: RunningGateway) -> int:
    ((number,),) = gateway.sql("select count(*) from pgmq_gateway.idempotency_keys")
    return int(number)


def messages(gateway: RunningGateway) -> list[Any]:
    return [message for (message,) in gateway.sql("select message from pgmq.q_jobs order by msg_id")]


def done(gateway: RunningGateway) -> list[str]:
    return [what for (what,) in gateway.sql("select what from public.done")]


SAME = {
    "send": ("/rpc/send", {"queue_name": "jobs", "message": {"n": 1.10}}, {"profile": "yes"}),
    "send with a delay": ("/rpc/send", {"queue_name": "jobs", "message": [], "sleep_seconds": 9}, {"profile": "yes"}),
    "send a batch": ("/rpc/send_batch", {"queue_name": "jobs", "messages": [1, 2]}, {"profile": "yes"}),
    "send to a queue": ("/queues/jobs/messages", {"n": 1}, {}),
    "shaped": ("/rpc/send?pgrst_scalar=gt.0", {"queue_name": "jobs", "message": 1}, {"profile": "yes"}),
    "a status and headers": ("/rpc/answer", {"what": "x"}, {}),
    "no body": ("/rpc/nothing", {"what": "x"}, {}),
    "a count": ("/rpc/many?limit=2", {"what": "x"}, {"Prefer": "count=exact"}),
    "CSV": ("/rpc/many", {"what": "x"}, {"Accept": "text/csv"}),
    "one row": ("/rpc/send", {"queue_name": "jobs", "message": 1}, {"profile": "yes", "Accept": "text/csv"}),
}


@pytest.mark.parametrize("name", SAME)
def test_101_the_same_key_gets_the_same_response(gateway: RunningGateway, user: Headers, name: str) -> None:
    path, body, more = SAME[name]
    key = new_key()
    answers = [post(gateway.client, path, key, user, body, **more) for _ in range(3)]
    assert answers[0].is_success, answers[0].text
    assert [replayed(answer) for answer in answers] == [False, True, True]
    assert [shown(answer) for answer in answers] == [shown(answers[0])] * 3
    first = (len(messages(gateway)), len(done(gateway)))
    assert sum(first) == (2 if "batch" in name else 1)
    assert stored_keys(gateway) == 1


@pytest.mark.parametrize(
    ("path", "headers", "body"),
    [
        ("/rpc/send", {}, {"queue_name": "jobs", "message": 2}),
        ("/rpc/send", {}, {"queue_name": "jobs", "message": 1, "sleep_seconds": 0}),
        ("/rpc/send_batch", {}, {"queue_name": "jobs", "messages": [1]}),
        ("/rpc/pop", {}, {"queue_name": "jobs"}),
        ("/rpc/send", {"Accept": "text/csv"}, {"queue_name": "jobs", "message": 1}),
        ("/rpc/send?limit=1", {}, {"queue_name": "jobs", "message": 1}),
    ],
)
def test_102_the_same_key_for_another_request_is_422(
    gateway: RunningGateway, user: Headers, path: str, headers: Headers, body: object
) -> None:
    key = new_key()
    assert send(gateway.client, key, user).is_success
    answer = post(gateway.client, path, key, user, body, profile="yes", **headers)
    assert refusal(answer) == (422, "PT422", "This Idempotency-Key was used for another request")
    assert messages(gateway) == [1]


def test_102_the_same_json_in_other_words_is_the_same_request(gateway: RunningGateway, user: Headers) -> None:
    key, headers = new_key(), {**user, "Content-Profile": "pgmq_public", "Content-Type": "application/json"}
    bodies = [
        '{"queue_name": "jobs", "message": {"b": 1, "aa": "\u00e9"}}',
        '{"message":{"aa":"é","b":1},\n"queue_name":"jobs"}',
    ]
    answers = [
        gateway.client.post("/rpc/send", headers={**headers, "Idempotency-Key": key}, content=body) for body in bodies
    ]
    assert [answer.text for answer in answers] == [answers[0].text] * 2
    assert len(messages(gateway)) == 1


def until_answered(call: Callable[[], httpx.Response]) -> httpx.Response:
    """Repeat a call while another one with its key is running."""
    return repeated(call, key_in_use)


def test_103_104_of_two_processes_one_executes_and_the_other_waits(
    gateway: RunningGateway, serve: Serve, user: Headers
) -> None:
    ((database,),) = gateway.sql("select current_database()")
    other = serve(database, **GATEWAY)
    waiting = (
        "select count(*) from pg_locks as l join pg_database as d on d.oid = l.database"
        " where d.datname = current_database() and l.locktype = 'advisory' and not l.granted"
    )

    def both(*, fails: bool) -> list[httpx.Response]:
        key = new_key()

        def call(client: httpx.Client) -> httpx.Response:
            return until_answered(lambda: post(client, "/rpc/held", key, user, {"fails": fails}))

        with ThreadPoolExecutor(2) as aside:
            gateway.sql("select pg_advisory_lock(%s)", HOLD)
            try:
                calls = [aside.submit(call, gateway.client)]
                until(lambda: gateway.sql(waiting) == [(1,)])
                calls.append(aside.submit(call, second))
                until(lambda: gateway.sql(waiting) == [(2,)])
            finally:
                gateway.sql("select pg_advisory_unlock(%s)", HOLD)
            return [each.result() for each in calls]

    with httpx.Client(base_url=other.url, timeout=30) as second:
        answers = both(fails=True)
        assert refusal(answers[0]) == (400, "P0001", "the first one")
        assert (answers[1].text, replayed(answers[1])) == ("2", False)
        answers = both(fails=True)
        assert [(answer.text, replayed(answer)) for answer in answers] == [("3", False), ("3", True)]
    assert done(gateway) == ["held", "held"]


def test_111_calls_with_few_keys_execute_once_for_each(gateway: RunningGateway, user: Headers) -> None:
    keys = [new_key(), new_key()]
    with ThreadPoolExecutor(8) as aside:
        answers = list(
            aside.map(lambda n: until_answered(lambda: send(gateway.client, keys[n % 2], user, n % 2)), range(24))
        )
    assert sorted(messages(gateway)) == [0, 1]
    assert len({answer.text for answer in answers}) == 2
    assert sum(replayed(answer) for answer in answers) == 22


@pytest.mark.parametrize(
    "claims",
    [
        {"role": "authenticated", "sub": "user-2"},
        {"role": "authenticated", "sub": "user-1", "iss": "another"},
        {"role": "authenticated"},
        {"role": "service_role", "sub": "user-1"},
        {"role": "authenticated", "sub": "USER-1"},
    ],
)
def test_105_the_key_of_another_caller_is_another_key(
    gateway: RunningGateway, user: Headers, bearer: Bearer, claims: dict[str, str]
) -> None:
    key = new_key()
    first = send(gateway.client, key, user)
    second = send(gateway.client, key, bearer(**claims))
    assert first.is_success
    assert second.is_success
    assert not replayed(second)
    assert len(messages(gateway)) == 2


def test_106_a_renewed_token_has_the_same_keys(gateway: RunningGateway, user: Headers, bearer: Bearer) -> None:
    renewed = bearer("authenticated", sub="user-1", iat=1, session_id="another")
    assert renewed != user
    first, second = send(gateway.client, "a", user), send(gateway.client, "a", renewed)
    assert (second.text, replayed(second)) == (first.text, True)
    assert messages(gateway) == [1]


INVALID = {
    "empty": "",
    "an empty string": '""',
    "a quote that is open": '"' + "a" * 20,
    "something after the string": '"' + "a" * 20 + '";a=1',
    "a quote inside": '"aaaaaaaaaa"aaaaaaaaaa"',
    "an escape of another character": '"aaaaaaaaaaaaaaaaaaaa\\n"',
    "not ASCII": "aaaaaaaaaaaaaaaaaaaaé",
    "256 characters": "a" * 256,
    "256 characters in quotes": f'"{"a" * 256}"',
}


@pytest.mark.parametrize("value", INVALID.values(), ids=INVALID)
def test_an_invalid_key_is_400(gateway: RunningGateway, user: Headers, value: str) -> None:
    headers = [(name.encode(), text.encode()) for name, text in {**user, "Idempotency-Key": value}.items()]
    answer = gateway.client.post("/rpc/nothing", headers=headers, json={"what": "x"})
    assert refusal(answer) == (400, "PGMQ400", "Invalid Idempotency-Key")
    assert done(gateway) == []


def test_two_keys_are_400(gateway: RunningGateway, user: Headers) -> None:
    headers = [*user.items(), ("Idempotency-Key", new_key()), ("Idempotency-Key", new_key())]
    answer = gateway.client.post("/rpc/nothing", headers=headers, json={"what": "x"})
    assert refusal(answer) == (400, "PGMQ400", "Invalid Idempotency-Key")
    assert done(gateway) == []


@pytest.mark.parametrize("spelling", ['"a\\"b\\\\c d"', 'a"b\\c d'])
def test_quotes_around_a_key_do_not_matter(gateway: RunningGateway, user: Headers, spelling: str) -> None:
    first = send(gateway.client, 'a"b\\c d', user)
    second = send(gateway.client, spelling, user)
    assert (second.text, replayed(second)) == (first.text, True)


def test_107_a_caller_without_sub_needs_a_long_key(gateway: RunningGateway, bearer: Bearer) -> None:
    for headers in ({}, bearer("authenticated", sub=None), bearer("authenticated", sub=""), bearer("service_role")):
        answer = send(gateway.client, "a" * 15, headers)
        assert refusal(answer) == (400, "PGMQ400", "Invalid Idempotency-Key")
        assert send(gateway.client, new_key()[:16], headers).is_success
    assert len(messages(gateway)) == 4


@pytest.mark.parametrize("function", ["pop", "read"])
def test_108_messages_whose_response_was_lost_are_returned_again(
    gateway: RunningGateway, user: Headers, function: str
) -> None:
    for n in range(3):
        send(gateway.client, None, user, n)
    more = {"sleep_seconds": 600, "n": 1} if function == "read" else {}
    key, body = new_key(), {"queue_name": "jobs", **more}
    answers = [post(gateway.client, f"/rpc/{function}", key, user, body, profile="yes") for _ in range(2)]
    assert [answer.json()[0]["message"] for answer in answers] == [0, 0]
    assert answers[0].text == answers[1].text
    third = post(gateway.client, f"/rpc/{function}", new_key(), user, body, profile="yes")
    assert third.json()[0]["message"] == 1


def test_109_a_response_without_effect_is_not_stored(gateway: RunningGateway, user: Headers) -> None:
    keys = [new_key() for _ in range(5)]
    bodies = {
        "pop": {"queue_name": "jobs"},
        "read": {"queue_name": "jobs", "sleep_seconds": 0, "n": 1},
        "delete": {"queue_name": "jobs", "message_id": 1},
    }

    def texts() -> list[str]:
        calls = zip(bodies.items(), keys, strict=False)
        return [
            post(gateway.client, f"/rpc/{name}", key, user, body, profile="yes").text for (name, body), key in calls
        ]

    assert texts() == ["[]", "[]", "false"]
    deleted = gateway.client.delete("/queues/jobs/messages/1", headers={**user, "Idempotency-Key": keys[4]})
    assert deleted.status_code == 404
    assert stored_keys(gateway) == 0
    gateway.sql("alter sequence pgmq.q_jobs_msg_id_seq restart")
    send(gateway.client, None, user, "x")
    send(gateway.client, None, user, "y")
    assert '"x"' in texts()[0]


def test_109_a_call_that_settles_nothing_is_not_stored(gateway: RunningGateway, user: Headers) -> None:
    for _ in range(2):
        send(gateway.client, None, user)

    def read() -> list[str]:
        rows = gateway.client.get("/queues/jobs/messages?n=2&sleep_seconds=0", headers=user).json()
        return [row["receipt"] for row in rows]

    def keyed(method: str, path: str, key: str, body: object = None) -> httpx.Response:
        headers = {**user, "Idempotency-Key": key}
        return gateway.client.request(method, f"/queues/jobs/{path}", headers=headers, json=body)

    stale, fresh = read(), read()
    gone = f"77{fresh[0]}"
    requests = [
        ("DELETE" if end == "" else "POST", f"messages/{receipt}{end}")
        for receipt in (gone, stale[0])
        for end in ("", "/archive", "/retry", "/reject", "/extend")
    ]
    requests += [("DELETE", "messages/77"), ("POST", "messages/77/archive")]
    assert [keyed(*request, new_key()).status_code for request in requests] == [404] * 5 + [409] * 5 + [404] * 2
    for method, path, body in (
        ("DELETE", "messages?id=in.(77)", None),
        ("POST", "messages/archive?id=in.(77)", None),
        ("POST", "settle", {"acks": [gone, *stale]}),
    ):
        assert keyed(method, path, new_key(), body).status_code == 200
    assert stored_keys(gateway) == 0
    key = new_key()
    answers = [keyed("POST", "settle", key, {"acks": [gone, fresh[0]]}) for _ in range(2)]
    assert [[row["outcome"] for row in answer.json()] for answer in answers] == [["gone", "acked"]] * 2
    assert list(map(replayed, answers)) == [False, True]


def test_a_deleted_message_stays_deleted_for_a_repeated_request(gateway: RunningGateway, user: Headers) -> None:
    (id_,) = send(gateway.client, None, user).json()
    headers = {**user, "Idempotency-Key": new_key()}
    answers = [gateway.client.delete(f"/queues/jobs/messages/{id_}", headers=headers) for _ in range(2)]
    assert [(answer.status_code, answer.text) for answer in answers] == [(200, "true")] * 2
    assert gateway.client.delete(f"/queues/jobs/messages/{id_}", headers=user).status_code == 404


@pytest.mark.parametrize("status", ["300", "404", "500", "odd"])
def test_113_an_error_that_a_function_reports_by_its_status_is_not_stored(
    gateway: RunningGateway, user: Headers, status: str
) -> None:
    key = new_key()
    answers = [post(gateway.client, "/rpc/failed", key, user, {"what": "x", "status": status}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [500 if status == "odd" else int(status)] * 2
    assert not any(map(replayed, answers))
    # As without a key: the function has committed.
    assert done(gateway) == ["x", "x"]
    assert stored_keys(gateway) == 0


# Code that a user's function runs with a key, and the SQLSTATE of its error, if any.
CODE = {
    "nothing": ("select", None),
    "another role": ("set local role anon", None),
    "the login role": ("set local role none", None),
    "another search_path": ("set local search_path = public", None),
    "a savepoint": (
        "do $d$ begin insert into public.done values ('undone'); raise 'x'; exception when others then end $d$",
        None,
    ),
    "settings of the session": ("set statement_timeout = 0; set lock_timeout = 1; set role anon", None),
    "all advisory locks": ("select pg_advisory_unlock_all()", None),
    "an error": ("do $d$ begin raise 'x'; end $d$", "P0001"),
    "its own 409": ("do $d$ begin raise sqlstate 'PT409' using message = 'mine'; end $d$", "PT409"),
    "a lock timeout": ("do $d$ begin raise lock_not_available using message = 'mine'; end $d$", "55P03"),
    "read the keys": ("select count(*) from pgmq_gateway.idempotency_keys", "42501"),
    "read the keys as the login role": ("set local role none; table pgmq_gateway.idempotency_keys", "42501"),
    "write the keys": ("delete from pgmq_gateway.idempotency_keys", "42501"),
    "remove the keys": ("select pgmq_gateway.remove_expired_keys(1)", "42501"),
    "claim a key": ("select pgmq_gateway.claim_key('', 1, '', '1s')", "42501"),
}


@pytest.mark.parametrize("name", CODE)
def test_113_a_users_function_with_a_key(gateway: RunningGateway, user: Headers, name: str) -> None:
    code, sqlstate = CODE[name]
    key = new_key()
    answers = [post(gateway.client, "/rpc/do", key, user, {"code": code}) for _ in range(2)]
    if sqlstate is None:
        assert [answer.status_code for answer in answers] == [200, 200], answers[0].text
        assert answers[0].text == answers[1].text
        assert [replayed(answer) for answer in answers] == [False, True]
        assert done(gateway) == ["done"]
        assert "idempotency-key" not in answers[0].json()["headers"]
        assert key not in answers[0].text
    else:
        assert {refusal(answer)[1] for answer in answers} == {sqlstate}
        assert done(gateway) == []
        assert stored_keys(gateway) == 0
    # Nothing is left for the next call of this or another caller.
    assert send(gateway.client, new_key(), user).is_success
    assert send(gateway.client, new_key(), {}).is_success


def test_operators_of_a_function_do_not_run_as_the_login_role(gateway: RunningGateway, user: Headers) -> None:
    gateway.sql(
        "create schema if not exists odd; grant usage on schema odd to public;"
        " create or replace function odd.f(text, text) returns boolean language plpgsql as"
        " $f$ begin raise 'ran as %', current_user; end $f$;"
        " create or replace function odd.f(bytea, bytea) returns boolean language plpgsql as"
        " $f$ begin raise 'ran as %', current_user; end $f$"
    )
    for operator, types in (("=", "text"), ("<>", "bytea"), ("~", "text"), ("!~", "text")):
        gateway.sql(
            f"do $d$ begin create operator odd.{operator} (function = odd.f, leftarg = {types}, rightarg = {types});"
            " exception when duplicate_function then end $d$"
        )
    code = "set search_path = odd, pg_catalog"
    answer = post(gateway.client, "/rpc/do", new_key(), user, {"code": code})
    assert answer.is_success, answer.text
    assert stored_keys(gateway) == 1


def test_a_long_response_is_413_and_undone(gateway: RunningGateway, user: Headers) -> None:
    key, longest = new_key(), 1024 * 1024 - 2
    too_long = post(gateway.client, "/rpc/long", key, user, {"what": "x", "length": longest + 1})
    assert refusal(too_long) == (413, "PT413", "Response too large for a request with an Idempotency-Key")
    assert (done(gateway), stored_keys(gateway)) == ([], 0)
    answers = [post(gateway.client, "/rpc/long", key, user, {"what": "x", "length": longest}) for _ in range(2)]
    assert [len(answer.content) for answer in answers] == [longest + 2] * 2
    assert done(gateway) == ["x"]


def test_a_rollback_leaves_no_key(gateway: RunningGateway, user: Headers) -> None:
    key = new_key()
    tried = post(gateway.client, "/rpc/many", key, user, {"what": "x"}, Prefer="tx=rollback")
    assert tried.is_success
    assert (done(gateway), stored_keys(gateway)) == ([], 0)
    assert not replayed(post(gateway.client, "/rpc/many", key, user, {"what": "x"}))
    assert done(gateway) == ["x"]


def test_a_key_is_ignored_where_nothing_needs_it(gateway: RunningGateway, user: Headers) -> None:
    headers = {**user, "Idempotency-Key": ""}
    assert gateway.client.get("/rpc/stable_one", headers=headers).text == "1"
    assert gateway.client.post("/rpc/stable_one", headers=headers).text == "1"
    assert gateway.client.get("/queues/jobs/messages", headers=headers).text == "[]"
    assert gateway.client.options("/rpc/stable_one", headers=headers).is_success
    assert stored_keys(gateway) == 0


def test_a_call_does_not_wait_for_its_key_until_its_time_is_up(gateway: RunningGateway, user: Headers) -> None:
    key = new_key()
    digest = hashlib.sha256(json.dumps(["authenticated", None, "user-1", key], separators=(",", ":")).encode()).digest()
    lock = int.from_bytes(digest[:8], signed=True)
    gateway.sql("select pg_advisory_lock(%s)", lock)
    try:
        # On a busy machine the time is up before the call begins to wait.
        answer = repeated(
            lambda: post(gateway.client, "/rpc/hurried", key, user, {"what": "x"}),
            lambda answer: refusal(answer)[:2] == (500, "57014"),
        )
        assert key_in_use(answer)
        # Other keys do not wait.
        assert post(gateway.client, "/rpc/nothing", new_key(), user, {"what": "y"}).is_success
    finally:
        gateway.sql("select pg_advisory_unlock(%s)", lock)
    assert done(gateway) == ["y"]


def test_a_failed_check_of_the_result_leaves_no_key(gateway: RunningGateway, user: Headers) -> None:
    key = new_key()
    single = {"Accept": "application/vnd.pgrst.object+json"}
    assert post(gateway.client, "/rpc/many", key, user, {"what": "x"}, **single).status_code == 406
    assert post(gateway.client, "/rpc/many?limit=1", key, user, {"what": "x"}, **single).status_code == 200
    assert done(gateway) == ["x"]


def test_replays_are_counted_and_their_header_can_be_read_by_scripts(gateway: RunningGateway, user: Headers) -> None:
    before = metrics(gateway.server)["pgmq_gateway_replays_total"]
    key, headers = new_key(), {**user, "Origin": "https://app.example"}
    answers = [send(gateway.client, key, headers) for _ in range(3)]
    assert metrics(gateway.server)["pgmq_gateway_replays_total"] - before == 2
    for answer in answers:
        exposed = answer.headers["Access-Control-Expose-Headers"].split(", ")
        assert {"Idempotency-Replayed", "Retry-After"} <= set(exposed)
    plain = send(gateway.client, None, headers)
    assert "Idempotency-Replayed" not in plain.headers["Access-Control-Expose-Headers"]
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "idempotency-key"}
    preflight = gateway.client.options("/rpc/send", headers={"Origin": "https://app.example", **asked})
    assert "idempotency-key" in preflight.headers["Access-Control-Allow-Headers"].split(", ")
