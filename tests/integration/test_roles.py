"""Every function in every role, with grants alone and under row-level security."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.answers import error, refusal
from tests.calls import CALLS
from tests.databases import Sql
from tests.gateways import Bearer, Grant, Headers

Stored = Callable[[], list[tuple[Any, ...]]]

NEEDED = [
    ("send", "q", "INSERT"), ("send", "q", "SELECT"), ("send_batch", "q", "INSERT"), ("send_batch", "q", "SELECT"),
    ("read", "q", "SELECT"), ("read", "q", "UPDATE"),
    ("pop", "q", "SELECT"), ("pop", "q", "UPDATE"), ("pop", "q", "DELETE"),
    ("archive", "q", "SELECT"), ("archive", "q", "DELETE"), ("archive", "a", "INSERT"), ("archive", "a", "SELECT"),
    ("delete", "q", "SELECT"), ("delete", "q", "DELETE"),
]  # fmt: skip
REFUSED = {"anon": 401, "authenticated": 403, "service_role": 403, None: 401}
NAMES = {role: role or "no token" for role in REFUSED}
each_function = pytest.mark.parametrize("function", CALLS)
each_role = pytest.mark.parametrize("role", REFUSED, ids=NAMES.values())


@pytest.fixture
def stripped(sql: Sql, queue: str) -> None:
    """The test's queue with one message, without the privileges that service_role has on new queues."""
    sql(f"revoke all on pgmq.q_{queue}, pgmq.a_{queue} from service_role")
    sql("select pgmq.send(%s, %s)", queue, json.dumps({"first": True}))


@pytest.fixture
def call(api: httpx.Client, bearer: Bearer, queue: str) -> Callable[..., httpx.Response]:
    """call("anon", "send", …): call one of the six on the test's queue in a role; None is without a token."""

    def post(role: str | None, function: str, **arguments: object) -> httpx.Response:
        headers = {} if role is None else bearer(role)
        body = {"queue_name": queue, **(arguments or CALLS[function])}
        return api.post(f"/rpc/{function}", json=body, headers=headers)

    return post


Call = Callable[..., httpx.Response]


@each_role
@each_function
@pytest.mark.usefixtures("stripped", "no_rls")
def test_nothing_is_allowed_without_privileges(call: Call, role: str | None, function: str, stored: Stored) -> None:
    before = stored()
    answer = call(role, function)
    status, code, message = refusal(answer)
    assert (status, code) == (REFUSED[role], "42501")
    assert message.startswith("permission denied for table ")
    assert answer.headers.get("www-authenticate") == ("Bearer" if status == 401 else None)
    assert stored() == before


@each_role
@each_function
@pytest.mark.usefixtures("stripped", "no_rls")
def test_the_privileges_of_an_operation_are_enough_for_it(
    call: Call, role: str | None, function: str, grant: Grant, stored: Stored
) -> None:
    grant(role or "anon", function.removesuffix("_batch"))
    answer = call(role, function)
    assert answer.status_code == 200, answer.text
    kept = [(table, id_, count) for table, id_, count, *_ in stored()]
    assert (
        kept
        == {
            "send": [("q", 1, 0), ("q", 2, 0)],
            "send_batch": [("q", 1, 0), ("q", 2, 0), ("q", 3, 0)],
            "read": [("q", 1, 1)],
            "pop": [],
            "archive": [("a", 1, 0)],
            "delete": [],
        }[function]
    )


@each_function
@pytest.mark.usefixtures("stripped", "no_rls")
def test_a18_the_privileges_of_one_role_are_not_anothers(
    call: Call, function: str, grant: Grant, stored: Stored
) -> None:
    grant("authenticated", "send", "read", "pop", "archive", "delete")
    before = stored()
    assert (call("anon", function).status_code, call("service_role", function).status_code) == (401, 403)
    assert stored() == before


@pytest.mark.parametrize("role", ["anon", "authenticated"])
@pytest.mark.parametrize(("function", "table", "privilege"), NEEDED)
@pytest.mark.usefixtures("stripped", "no_rls")
def test_a_missing_privilege_is_refused(
    call: Call, role: str, function: str, table: str, privilege: str, queue: str, grant: Grant, sql: Sql, stored: Stored
) -> None:
    grant(role, function.removesuffix("_batch"))
    sql(f"revoke {privilege} on pgmq.{table}_{queue} from {role}")
    before = stored()
    answer = call(role, function)
    message = f"permission denied for table {table}_{queue}"
    assert refusal(answer) == (REFUSED[role], "42501", message)
    assert stored() == before


@pytest.mark.parametrize("role", ["anon", "authenticated"])
@pytest.mark.parametrize("function", ["send", "send_batch"])
def test_without_a_policy_nothing_can_be_sent(
    call: Call, role: str, function: str, queue: str, grant: Grant, stored: Stored
) -> None:
    grant(role, "send")
    message = f'new row violates row-level security policy for table "q_{queue}"'
    assert refusal(call(role, function)) == (REFUSED[role], "42501", message)
    assert stored() == []


@pytest.mark.parametrize("role", ["anon", "authenticated"])
@pytest.mark.parametrize(("function", "expected"), [("read", []), ("pop", []), ("delete", False), ("archive", False)])
@pytest.mark.usefixtures("stripped")
def test_without_a_policy_nothing_is_there(
    call: Call, role: str, function: str, expected: object, grant: Grant, stored: Stored
) -> None:
    grant(role, function)
    before = stored()
    answer = call(role, function)
    assert (answer.status_code, answer.json()) == (200, expected)
    assert stored() == before


@each_function
def test_service_role_passes_row_level_security(call: Call, function: str, queue: str, sql: Sql) -> None:
    sql("select pgmq.send(%s, '1')", queue)
    answer = call("service_role", function)
    assert answer.status_code == 200
    assert answer.json() not in ([], False)


@pytest.fixture
def owned(sql: Sql, queue: str, grant: Grant) -> None:
    """A policy: each `sub` owns the messages with its name; two callers have one each."""
    grant("authenticated", "send", "read", "pop", "archive", "delete")
    owner = "message->>'owner' = current_setting('request.jwt.claims', true)::json->>'sub'"
    sql(f"create policy own on pgmq.q_{queue} to authenticated using ({owner}) with check ({owner})")
    for name in ("ann", "bob"):
        sql("select pgmq.send(%s, %s)", queue, json.dumps({"owner": name}))


@pytest.fixture
def ask(api: httpx.Client, bearer: Bearer, queue: str) -> Callable[..., httpx.Response]:
    """ask("ann", "read", …): call as the authenticated user with this `sub`."""

    def post(sub: str, function: str, **arguments: object) -> httpx.Response:
        headers: Headers = bearer("authenticated", sub=sub)
        return api.post(f"/rpc/{function}", json={"queue_name": queue, **arguments}, headers=headers)

    return post


@pytest.mark.usefixtures("owned")
def test_a18_read_gives_each_caller_only_its_own(ask: Call, stored: Stored) -> None:
    assert [row["msg_id"] for row in ask("bob", "read", sleep_seconds=600, n=10).json()] == [2]
    assert [row["msg_id"] for row in ask("ann", "read", sleep_seconds=600, n=10).json()] == [1]
    assert ask("eve", "read", sleep_seconds=600, n=10).json() == []
    assert [(id_, count) for _, id_, count, *_ in stored()] == [(1, 1), (2, 1)]


@pytest.mark.usefixtures("owned")
def test_a18_pop_takes_only_the_callers_own(ask: Call, stored: Stored) -> None:
    assert [row["message"] for row in ask("bob", "pop").json()] == [{"owner": "bob"}]
    assert ask("bob", "pop").json() == ask("eve", "pop").json() == []
    assert [(table, id_) for table, id_, *_ in stored()] == [("q", 1)]


@pytest.mark.parametrize("function", ["delete", "archive"])
@pytest.mark.usefixtures("owned")
def test_a19_a_guessed_id_of_another_caller_is_not_there(ask: Call, function: str, stored: Stored) -> None:
    before = stored()
    assert [ask(sub, function, message_id=1).json() for sub in ("bob", "eve")] == [False, False]
    assert stored() == before
    assert ask("ann", function, message_id=1).json() is True
    assert [(table, id_) for table, id_, *_ in stored()] == {"delete": [("q", 2)], "archive": [("q", 2), ("a", 1)]}[
        function
    ]


@pytest.mark.usefixtures("owned")
def test_a_policy_prevents_sending_as_another_user(ask: Call, queue: str, stored: Stored) -> None:
    message = f'new row violates row-level security policy for table "q_{queue}"'
    assert refusal(ask("bob", "send", message={"owner": "ann"})) == (403, "42501", message)
    batch = [{"owner": "bob"}, {"owner": "ann"}]
    assert refusal(ask("bob", "send_batch", messages=batch)) == (403, "42501", message)
    assert [id_ for _, id_, *_ in stored()] == [1, 2]
    assert ask("bob", "send", message={"owner": "bob"}).status_code == 200
    assert [message for *_, message in stored()] == [{"owner": "ann"}, {"owner": "bob"}, {"owner": "bob"}]


@pytest.mark.usefixtures("owned")
def test_a_policy_for_one_command_does_not_open_the_others(ask: Call, queue: str, sql: Sql, stored: Stored) -> None:
    sql(f"alter policy own on pgmq.q_{queue} using (false)")
    sql(f"create policy seen on pgmq.q_{queue} for select to authenticated using (true)")
    before = stored()
    assert ask("ann", "read", sleep_seconds=600, n=10).json() == ask("ann", "pop").json() == []
    assert [ask("ann", function, message_id=1).json() for function in ("delete", "archive")] == [False, False]
    assert stored() == before


@each_role
@pytest.mark.parametrize("method", ["POST", "GET"])
@pytest.mark.parametrize(
    "schema", ["pgmq", "pgmq_gateway", "PGMQ_ADMIN", "information_schema", "pg_catalog", "PGMQ_PUBLIC", '"public"', ""]
)
def test_a_profile_reaches_no_hidden_schema(
    api: httpx.Client, bearer: Bearer, role: str | None, method: str, schema: str
) -> None:
    headers = {"Content-Profile": schema, "Accept-Profile": schema, **({} if role is None else bearer(role))}
    answer = api.request(method, "/rpc/list_queues", headers=headers)
    assert (answer.status_code, error(answer)) == (
        406,
        {
            "code": "PGRST106",
            "details": None,
            "hint": "Only the following schemas are exposed: public, pgmq_public, pgmq_api, pgmq_admin",
            "message": f"Invalid schema: {schema}",
        },
    )


@pytest.mark.parametrize("schema", ["public", "pgmq_public"])
@pytest.mark.parametrize(
    "name",
    [
        "call",
        "pgmq_gateway.call",
        '"pgmq_gateway"."call"',
        "create_queue",
        "pgmq_admin.create_queue",
        "pgmq.send",
        "metrics",
    ],
)
def test_functions_of_other_schemas_have_no_name(api: httpx.Client, bearer: Bearer, schema: str, name: str) -> None:
    headers = {"Content-Profile": schema, **bearer("service_role")}
    answer = api.post(f"/rpc/{name}", json={}, headers=headers)
    message = f"Could not find the function {schema}.{name} without parameters in the schema cache"
    assert refusal(answer) == (404, "PGRST202", message)


def test_a_queue_named_like_the_gateway_is_refused_as_any_other(api: httpx.Client, bearer: Bearer, sql: Sql) -> None:
    name = "pgmq_gateway_jobs"
    sql("select pgmq_admin.create_queue(%s)", name)
    try:
        body = {"queue_name": name, "message": 1}
        message = f"permission denied for table q_{name}"
        assert refusal(api.post("/rpc/send", json=body)) == (401, "42501", message)
        refused = api.post("/rpc/send", json=body, headers=bearer("authenticated"))
        assert refusal(refused) == (403, "42501", message)
        assert sql(f"select count(*) from pgmq.q_{name}") == [(0,)]
    finally:
        sql("select pgmq.drop_queue(%s)", name)


def test_a_missing_queue_is_404_without_privileges_too(api: httpx.Client) -> None:
    for function, arguments in CALLS.items():
        answer = api.post(f"/rpc/{function}", json={"queue_name": "nowhere", **arguments})
        assert refusal(answer) == (404, "42P01", 'relation "pgmq.q_nowhere" does not exist')
