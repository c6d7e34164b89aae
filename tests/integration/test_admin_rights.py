"""Permissions over HTTP: only service_role manages them, and granted operations work."""

import json
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from tests.answers import error, refusal
from tests.gateways import Bearer, Headers, RunningGateway

GATEWAY = {"PGRST_DB_SCHEMAS": "public,pgmq_public,pgmq_admin"}
OPERATIONS = ["send", "read", "pop", "archive", "delete"]

# Each function with arguments that it takes.
FUNCTIONS: dict[str, dict[str, Any]] = {
    "rights": {},
    "grant_queue": {"role": "anon", "operations": ["send"]},
    "revoke_queue": {"role": "anon", "operations": ["send"]},
    "list_grants": {},
    "set_rls": {"enabled": True},
    "list_policies": {},
    "policy_templates": {},
    "create_policy": {"template": "consumer"},
    "drop_policy": {"policy_name": "given"},
    "lint": {},
    "try_as": {"role": "anon"},
    "messages_as": {"role": "service_role"},
    "exposed": {},
    "expose": {},
    "unexpose": {},
}
NO_QUEUE = {"policy_templates", "exposed", "expose", "unexpose"}

Admin = Callable[..., Any]
Call = Callable[..., httpx.Response]


@pytest.fixture
def queue(gateway: RunningGateway) -> Iterator[str]:
    name = f"q{uuid.uuid4().hex[:12]}"
    gateway.sql("select pgmq_admin.create_queue(%s)", name)
    yield name
    gateway.sql("select pgmq.drop_queue(%s)", name)


@pytest.fixture
def admin(gateway: RunningGateway, bearer: Bearer, queue: str) -> Admin:
    """admin("rights"): the result of a function of pgmq_admin on the test's queue, as service_role."""

    def call(function: str, **arguments: object) -> Any:  # noqa: ANN401
        answer = request(gateway, bearer("service_role"), queue, function, arguments)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    return call


@pytest.fixture
def call(gateway: RunningGateway, queue: str) -> Call:
    """call(headers, "send", message=…): a function of pgmq_public on the test's queue."""

    def answer(headers: Headers, function: str, **arguments: object) -> httpx.Response:
        body = {"queue_name": queue, **arguments}
        return gateway.client.post(f"/rpc/{function}", json=body, headers={"Content-Profile": "pgmq_public", **headers})

    return answer


def request(
    gateway: RunningGateway, headers: Headers, queue: str, function: str, arguments: dict[str, Any]
) -> httpx.Response:
    body = arguments if function in NO_QUEUE else {"queue_name": queue, **arguments}
    return gateway.client.post(f"/rpc/{function}", json=body, headers={"Content-Profile": "pgmq_admin", **headers})


def verdicts(admin: Admin, role: str) -> dict[str, str]:
    return {row["operation"]: row["verdict"] for row in admin("rights") if row["role"] == role}


def test_every_function_is_for_service_role(gateway: RunningGateway, bearer: Bearer, queue: str) -> None:
    gateway.sql(f"create policy given on pgmq.q_{queue} to anon using (true)")
    for function, arguments in FUNCTIONS.items():
        for role, status in (("anon", 401), ("authenticated", 403)):
            answer = request(gateway, {} if role == "anon" else bearer(role), queue, function, arguments)
            assert refusal(answer)[:2] == (status, "42501"), (function, answer.text)
        answer = request(gateway, bearer("service_role"), queue, function, arguments)
        assert answer.is_success, (function, answer.text)
    gateway.sql("select pgmq_admin.expose()")


def test_granted_and_permitted_operations_work(admin: Admin, call: Call, bearer: Bearer) -> None:
    caller = bearer("authenticated")
    assert verdicts(admin, "authenticated") == dict.fromkeys(OPERATIONS, "none")
    assert call(caller, "send", message={}).status_code == 403
    admin("set_rls", enabled=False)
    admin("grant_queue", role="authenticated", operations=["send", "read"])
    assert verdicts(admin, "authenticated") == dict.fromkeys(OPERATIONS, "none") | {"send": "all", "read": "all"}
    assert call(caller, "send", message={}).json() == [1]
    admin("set_rls", enabled=True)
    assert verdicts(admin, "authenticated") == dict.fromkeys(OPERATIONS, "none")
    assert call(caller, "read", sleep_seconds=0, n=1).json() == []
    (reason,) = next(row["reasons"] for row in admin("rights") if (row["role"], row["operation"])
                     == ("authenticated", "read"))  # fmt: skip
    assert "allows authenticated SELECT, UPDATE, so read returns nothing" in reason
    admin("set_rls", enabled=False)
    admin("revoke_queue", role="authenticated", operations=["read"])
    assert call(caller, "read", sleep_seconds=0, n=1).status_code == 403


def test_only_roles_that_requests_run_in_are_given_anything(
    gateway: RunningGateway, bearer: Bearer, queue: str
) -> None:
    bypassing = f"bypassing_{uuid.uuid4().hex[:8]}"
    gateway.sql(f"create role {bypassing} bypassrls")
    gateway.sql(f"grant {bypassing} to authenticator")
    try:
        for role in ("postgres", "authenticator", "pg_read_all_data", bypassing):
            for function in ("grant_queue", "revoke_queue", "create_policy"):
                more = {"template": "consumer"} if function == "create_policy" else {"operations": ["send"]}
                answer = request(gateway, bearer("service_role"), queue, function, {"role": role, **more})
                assert refusal(answer)[:2] == (403, "42501"), (role, function)
        for role in ("postgres", "pg_read_all_data", "none"):
            answer = request(gateway, bearer("service_role"), queue, "try_as", {"role": role})
            assert refusal(answer)[1] == ("42704" if role == "none" else "42501"), role
    finally:
        gateway.sql(f"drop role {bypassing}")


@pytest.mark.parametrize(
    ("kind", "parameters", "claims", "others"),
    [
        ("own_messages", {}, {"sub": "u1"}, {"sub": "u2"}),
        ("tenant", {"claim": "app_metadata.tenant", "member": "for.tenant"},
         {"app_metadata": {"tenant": "t'1"}}, {"app_metadata": {"tenant": "t2"}}),
    ],
)  # fmt: skip
def test_a_callers_own_messages(
    admin: Admin, call: Call, bearer: Bearer, kind: str, parameters: dict[str, str], claims: dict[str, Any],
    others: dict[str, Any],
) -> None:  # fmt: skip
    mine, foreign = bearer("authenticated", **claims), bearer("authenticated", **others)
    message = {"user_id": "u1", "for": {"tenant": "t'1"}}
    made = admin("create_policy", template=kind, **parameters)
    assert sorted(made) == sorted(row["policy_name"] for row in admin("list_policies"))
    assert verdicts(admin, "authenticated") == dict.fromkeys(OPERATIONS, "policy")
    for _ in range(4):
        assert call(mine, "send", message=message).status_code == 200
    for refused in (foreign, bearer("authenticated")):
        assert refusal(call(refused, "send", message=message))[:2] == (403, "42501")
        assert call(refused, "read", sleep_seconds=0, n=9).json() == []
        assert call(refused, "pop").json() == []
        assert call(refused, "archive", message_id=1).json() is False
        assert call(refused, "delete", message_id=1).json() is False
        assert refusal(call(mine, "send", message={}))[1] == "42501"
    assert [row["message"] for row in call(mine, "read", sleep_seconds=0, n=9).json()] == [message] * 4
    admin("set_rls", enabled=True, archive=True)
    assert call(mine, "archive", message_id=1).json() is True
    assert call(mine, "delete", message_id=2).json() is True
    assert [row["msg_id"] for row in call(mine, "pop").json()] == [3]
    for name in set(made):
        admin("drop_policy", policy_name=name)
    assert admin("list_policies") == []


def test_d11_a_policy_without_row_level_security_is_the_callers_mistake(
    admin: Admin, gateway: RunningGateway, bearer: Bearer, queue: str
) -> None:
    admin("set_rls", enabled=False)
    answer = request(gateway, bearer("service_role"), queue, "create_policy", {"template": "own_messages"})
    message = f'a policy on pgmq.q_{queue} would not apply to role "authenticated"'
    assert refusal(answer) == (400, "22023", message)
    assert error(answer)["hint"] == "Turn row-level security on first: pgmq_admin.set_rls(queue_name, true)."
    assert admin("list_policies") == []


# Arguments of the other functions that have no default.
REQUIRED: dict[str, dict[str, Any]] = {
    "apply": {"action": "delete", "filter": {}, "expected": 0},
    "create_policy": {"template": "own_messages", "role": "authenticated"},
    "get_message": {"msg_id": 1},
    "history": {"since": "2020-01-01", "buckets": 2},
    "postpone": {"seconds": 1},
    "send": {"message": {}},
    "send_batch": {"messages": [{}]},
}

NAMES: list[Any] = ["", "none", "no such", "x" * 500, "a'\"b", "\\", "a\0b", "pg_monitor", "authenticator", {}, None]
# Values that no argument of a type is for.
ODD: dict[str, list[Any]] = {
    "text": NAMES,
    "text[]": [[], [""], ["a'\"b"], [None], [["x"], ["y"]], "{", None],
    "name": NAMES,
    "jsonb": [[], 1, "x", {"": ""}, {"state": "no such"}, {"path": "$["}, {"msg_ids": ["x"]}, None],
    "jsonb[]": [[], [[1]], "x", None],
    "boolean": ["x", None],
    "integer": [-1, 2**31, "x", None],
    "bigint": [-1, 2**63, "x", None],
    "bigint[]": [[], [-1], [None], "x", None],
    "double precision": [-1, 0, "NaN", "Infinity", "1e-300", "x", None],
    "timestamp with time zone": ["", "infinity", "9999999-01-01", None],
    "interval": ["", "x", None],
}


def test_d11_no_argument_of_a_management_function_is_a_server_error(
    gateway: RunningGateway, bearer: Bearer, queue: str
) -> None:
    functions = gateway.sql(
        "select p.proname::text, array_agg(a.name order by place), array_agg(format_type(a.type, null) order by place)"
        " from pg_proc as p cross join unnest(p.proargnames, coalesce(p.proallargtypes, p.proargtypes::oid[]),"
        " coalesce(p.proargmodes, array_fill('i'::\"char\", array[p.pronargs::int]))) with ordinality"
        " as a (name, type, mode, place)"
        " where p.pronamespace = 'pgmq_admin'::regnamespace and a.mode = 'i' group by p.oid, 1 order by 1"
    )
    headers = {"Content-Profile": "pgmq_admin", **bearer("service_role")}
    for function, names, types in functions:
        usual = {
            "queue_name": queue,
            "msg_ids": [1],
            "to_queue": queue,
            **FUNCTIONS.get(function, {}),
            **REQUIRED.get(function, {}),
        }
        for name, type_ in zip(names, types, strict=True):
            for value in ODD[type_]:
                body = {key: given for key, given in {**usual, name: value}.items() if key in names}
                answer = gateway.client.post(f"/rpc/{function}", json=body, headers=headers)
                assert answer.status_code < 500, (function, body, answer.text)
    gateway.sql("select pgmq_admin.expose()")
    gateway.sql("select pgmq_admin.drop_queue(queue_name) from pgmq.meta where queue_name <> %s", queue)
    gateway.sql("select pgmq_admin.create_queue(%s)", queue)


def test_a_producer_sends_and_sees_nothing(
    admin: Admin, call: Call, gateway: RunningGateway, bearer: Bearer, queue: str
) -> None:
    gateway.sql("select pgmq.send(%s, '{\"secret\": 1}')", queue)
    admin("create_policy", template="producer", role="anon")
    assert verdicts(admin, "anon") == dict.fromkeys(OPERATIONS, "none") | {"send": "policy"}
    admin("grant_queue", role="anon", operations=["send"])
    assert call({}, "send", message={"n": 1}).json() == [2]
    assert call({}, "send_batch", messages=[{}, {}]).json() == [3, 4]
    for function, arguments in (("read", {"sleep_seconds": 0, "n": 1}), ("pop", {}), ("delete", {"message_id": 1})):
        assert refusal(call({}, function, **arguments))[:2] == (401, "42501")
    # With a privilege to see messages the role cannot send any more; it never sees those of others.
    gateway.sql(f"grant select on pgmq.q_{queue} to anon")
    assert refusal(call({}, "send", message={}))[1] == "42501"
    assert admin("messages_as", role="service_role", max_rows=1)[0]["message"] == {"secret": 1}
    answer = request(gateway, bearer("service_role"), queue, "create_policy", {"template": "producer", "role": "anon"})
    assert refusal(answer) == (
        400,
        "22023",
        f'role "anon" can read messages of pgmq.q_{queue}, so it cannot be a producer',
    )


def test_a_consumer_takes_all_and_sends_none(
    admin: Admin, call: Call, gateway: RunningGateway, bearer: Bearer, queue: str
) -> None:
    gateway.sql("select pgmq.send_batch(%s, array['1', '2', '3', '4']::jsonb[])", queue)
    admin("create_policy", template="consumer")
    assert verdicts(admin, "authenticated") == dict.fromkeys(OPERATIONS, "all") | {"send": "none"}
    caller = bearer("authenticated")
    assert len(call(caller, "read", sleep_seconds=0, n=9).json()) == 4
    assert call(caller, "archive", message_id=1).json() is True
    assert call(caller, "delete", message_id=2).json() is True
    assert len(call(caller, "pop").json()) == 1
    assert refusal(call(caller, "send", message={}))[:2] == (403, "42501")


def met(
    call: Call, gateway: RunningGateway, queue: str, headers: Headers, message: dict[str, Any]
) -> dict[str, tuple[str | None, int]]:
    """The error code and the number of rows of each operation of a caller."""
    result: dict[str, tuple[str | None, int]] = {}
    for operation in OPERATIONS:
        gateway.sql(f"delete from pgmq.q_{queue}")
        ((sample,),) = gateway.sql("select pgmq.send(%s, %s::jsonb)", queue, json.dumps(message))
        arguments: dict[str, dict[str, Any]] = {
            "send": {"message": message},
            "read": {"sleep_seconds": 0, "n": 1},
            "archive": {"message_id": sample},
            "delete": {"message_id": sample},
        }
        answer = call(headers, operation, **arguments.get(operation, {}))
        body = answer.json()
        rows = body if isinstance(body, list) else [body] if body is True else []
        result[operation] = (None, len(rows)) if answer.is_success else (body["code"], 0)
    gateway.sql(f"delete from pgmq.q_{queue}")
    return result


@pytest.mark.parametrize(
    ("setting", "claims"),
    [
        ("none", {}),
        ("own_messages", {"sub": "u1"}),
        ("own_messages", {"sub": "u2"}),
        ("consumer", {}),
        ("producer", {}),
        ("silent", {}),
        ("open", {}),
        ("raising", {}),
    ],
)
def test_try_as_predicts_the_callers_results(
    admin: Admin, call: Call, gateway: RunningGateway, bearer: Bearer, queue: str, setting: str, claims: dict[str, str]
) -> None:
    if setting in ("own_messages", "consumer", "producer"):
        admin("create_policy", template=setting)
    elif setting == "open":
        admin("set_rls", enabled=False)
    if setting in ("open", "silent", "raising"):
        admin("grant_queue", role="authenticated", operations=OPERATIONS)
    if setting == "silent":
        gateway.sql(f"create policy p on pgmq.q_{queue} for select using (true)")
    elif setting == "raising":
        gateway.sql(f"create policy p on pgmq.q_{queue} using (1 / (msg_id - msg_id) > 0)")
    message = {"user_id": "u1"}
    expected = met(call, gateway, queue, bearer("authenticated", **claims), message)
    tried = admin("try_as", role="authenticated", claims=claims, message=message)
    assert [row["operation"] for row in tried] == OPERATIONS
    assert {row["operation"]: (row["code"], row["rows"]) for row in tried} == expected
    assert [row["allowed"] for row in tried] == [rows > 0 for _, rows in expected.values()]
    assert all((row["code"] is None) == (row["error"] is None) for row in tried)
    assert gateway.sql(f"select from pgmq.q_{queue} union all select from pgmq.a_{queue} where msg_id > 10000") == []


def test_messages_as_shows_the_messages_that_the_caller_can_read(
    admin: Admin, gateway: RunningGateway, queue: str
) -> None:
    admin("create_policy", template="own_messages")
    for user in ("u1", "u2", "u1"):
        gateway.sql("select pgmq.send(%s, jsonb_build_object('user_id', %s::text))", queue, user)
    before = gateway.sql(f"select * from pgmq.q_{queue}")
    seen = admin("messages_as", role="authenticated", claims={"sub": "u1"})
    assert [(row["msg_id"], row["message"]) for row in seen] == [(1, {"user_id": "u1"}), (3, {"user_id": "u1"})]
    assert [row["msg_id"] for row in admin("messages_as", role="authenticated", claims={"sub": "u1"}, max_rows=1)] == [
        1
    ]
    assert admin("messages_as", role="authenticated") == []
    assert gateway.sql(f"select * from pgmq.q_{queue}") == before


def test_unexpose_prevents_all_calls_and_expose_restores_them(
    admin: Admin, call: Call, gateway: RunningGateway, bearer: Bearer
) -> None:
    def access() -> list[tuple[Any, ...]]:
        return gateway.sql(
            "select n, a.grantee, a.privilege_type from (select nspname as n, nspacl as acl from pg_namespace"
            " union all select oid::regprocedure::text, proacl from pg_proc where pronamespace = "
            "'pgmq_public'::regnamespace) as o, aclexplode(acl) as a where n like 'pgmq%%' order by 1, 2, 3"
        )

    installed = access()
    assert admin("exposed") is True
    for _ in range(2):
        admin("unexpose")
        assert admin("exposed") is False
    for headers in ({}, bearer("authenticated"), bearer("service_role")):
        assert call(headers, "send", message={}).status_code in (401, 403, 404)
    assert {row["verdict"] for row in admin("rights")} == {"none"}
    for _ in range(2):
        admin("expose")
        assert access() == installed
    assert call(bearer("service_role"), "send", message={}).json() == [1]
