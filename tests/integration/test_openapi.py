"""The OpenAPI document: committed, printed and served are equal, it is valid, and requests confirm it."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from jsonschema import Draft202012Validator, FormatChecker
from openapi_spec_validator import validate

from pgmq_gateway.embedded.datadir import DataDirectory
from tests.databases import Sql
from tests.gateways import Bearer, RunningGateway
from tests.server import Serve, run

ROOT = Path(__file__).parents[2]
DOCUMENT: dict[str, Any] = yaml.safe_load((ROOT / "openapi.yaml").read_text())
MANAGEMENT = ROOT / "docs" / "openapi-admin.yaml"
OPERATIONS = [
    pytest.param(path, method, operation, id=operation["operationId"])
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
]
EXAMPLES = [
    pytest.param(path, operation, example["value"], id=f"{operation['operationId']}-{name}")
    for path, methods in DOCUMENT["paths"].items()
    for operation in methods.values()
    for name, example in operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    .get("examples", {}).items()
]  # fmt: skip
# The first message of the examples as it was read once, and a receipt of an earlier read.
LEASED = "update pgmq.q_tasks set read_ct = %s, enqueued_at = '2026-01-31 12:00:00.123456Z'"
RECEIPT = "1.1.1769860800123456"
RECEIPTS = re.compile(r"\d+\.\d+\.\d{16}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?\+00:00")


@pytest.fixture
def tasks(gateway: RunningGateway) -> Iterator[Sql]:
    """The queue of the examples, with message 1 in it."""
    gateway.sql("select pgmq_admin.create_queue('tasks')")
    gateway.sql("""select pgmq.send('tasks', '{"hello": "world"}')""")
    yield gateway.sql
    gateway.sql("select pgmq.drop_queue('tasks')")


def test_the_committed_document_is_the_printed_one(directory: DataDirectory) -> None:
    printed = run("openapi", "--data-dir", str(directory.path))
    assert printed.returncode == 0
    assert (ROOT / "openapi.yaml").read_text() == printed.stdout, "run: pgmq-gateway openapi > openapi.yaml"
    for name in ("admin", "api"):
        managing = run("openapi", "--schema", f"pgmq_{name}", "--data-dir", str(directory.path))
        path = f"docs/openapi-{name}.yaml"
        assert (ROOT / path).read_text() == managing.stdout, f"run: pgmq-gateway openapi --schema pgmq_{name} > {path}"


def test_the_document_is_valid() -> None:
    validate(DOCUMENT)
    names = [operation["operationId"] for methods in DOCUMENT["paths"].values() for operation in methods.values()]
    assert len(names) == len(set(names)) == 24


@pytest.mark.parametrize(("path", "method", "operation"), OPERATIONS)
def test_every_example_matches_its_schema(path: str, method: str, operation: dict[str, Any]) -> None:
    content = [operation.get("requestBody", {}), *map(resolved, operation["responses"].values())]
    examples = [
        (media["schema"], example["value"])
        for body in content
        for media in body.get("content", {}).values()
        for example in media.get("examples", {}).values()
    ]
    assert len(examples) > 10, (path, method)
    for schema, value in examples:
        conforms(value, schema)


@pytest.mark.parametrize(("path", "operation", "example"), EXAMPLES)
def test_an_example_gets_a_documented_response(
    path: str, operation: dict[str, Any], example: object, gateway: RunningGateway, tasks: Sql, bearer: Bearer
) -> None:
    if operation["operationId"].startswith("send"):
        tasks("select pgmq.purge_queue('tasks')")
        tasks("alter table pgmq.q_tasks alter column msg_id restart with 1")
        if isinstance(example, dict) and {"messages", "entries"} & {*example}:
            tasks("select pgmq.send('tasks', '1')")
    if operation["operationId"] == "settle_messages":
        tasks("""select pgmq.send('tasks', '2')""")
        tasks(LEASED, 1)
    url = path.replace("{queue}", "tasks")
    answer = gateway.client.post(url, json=example, headers={**bearer("service_role"), **profile(operation)})
    assert answer.is_success, answer.text
    documented(answer, operation)
    known = operation["responses"][str(answer.status_code)]["content"]["application/json"]["examples"].values()
    assert timeless(answer.json()) in [timeless(one["value"]) for one in known]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("get", "/queues/{queue}/messages", 200),
        ("post", "/queues/{queue}/messages/pop", 200),
        ("delete", "/queues/{queue}/messages/{message_id}", 200),
        ("post", "/queues/{queue}/messages/{message_id}/archive", 200),
        ("delete", "/queues/{queue}/messages/{message_id}", 404),
        ("post", "/queues/{queue}/messages/{message_id}/archive", 404),
        ("get", "/queues/messages?queue=tasks", 200),
        ("delete", "/queues/{queue}/messages?id=in.(1,2)", 200),
        ("post", "/queues/{queue}/messages/archive?id=in.(1,2)", 200),
        *(
            ("post", f"/queues/{{queue}}/messages/{{receipt}}/{rest}", status)
            for rest in ("retry", "reject", "extend")
            for status in (200, 404, 409)
        ),
    ],
)
def test_a_resource_without_a_body_gets_a_documented_response(
    method: str, path: str, status: int, gateway: RunningGateway, tasks: Sql, bearer: Bearer
) -> None:
    if status == 404:
        tasks("select pgmq.purge_queue('tasks')")
    if "receipt" in path:
        tasks(LEASED, 2 if status == 409 else 1)
    operation = DOCUMENT["paths"][path.partition("?")[0]][method]
    answer = gateway.client.request(
        method.upper(), path.format(queue="tasks", message_id=1, receipt=RECEIPT), headers=bearer("service_role")
    )
    assert answer.status_code == status
    documented(answer, operation)
    known = resolved(operation["responses"][str(status)])["content"]["application/json"]["examples"].values()
    assert timeless(answer.json()) in [timeless(one["value"]) for one in known]


@pytest.mark.parametrize(
    ("role", "headers", "query", "arguments", "status"),
    [
        ("service_role", {"Prefer": "count=exact"}, "?limit=1&order=msg_id.desc&select=*,a:message->>hello", {}, 206),
        ("service_role", {}, "", {"n": "one"}, 400),
        ("service_role", {}, "", {"queue_name": "$"}, 400),
        (None, {}, "", {}, 401),
        ("nobody-knows-it", {}, "", {}, 401),
        ("authenticated", {}, "", {}, 403),
        ("service_role", {}, "", {"queue_name": "nowhere"}, 404),
        ("service_role", {}, "", {"nonsense": 1}, 404),
        ("service_role", {"Content-Profile": "public"}, "", {}, 404),
        ("service_role", {"Content-Profile": "private"}, "", {}, 406),
        ("service_role", {"Accept": "text/plain"}, "", {}, 406),
        ("service_role", {}, "?limit=-1", {}, 416),
    ],
)
@pytest.mark.usefixtures("tasks")
def test_a_refusal_is_documented(
    role: str | None,
    headers: dict[str, str],
    query: str,
    arguments: dict[str, object],
    status: int,
    gateway: RunningGateway,
    bearer: Bearer,
) -> None:
    gateway.sql("select pgmq.send('tasks', '2')")
    operation = DOCUMENT["paths"]["/rpc/read"]["post"]
    body = {"queue_name": "tasks", "sleep_seconds": 30, "n": 5, **arguments}
    sent = {**profile(operation), **(bearer(role) if role else {}), **headers}
    answer = gateway.client.post(f"/rpc/read{query}", json=body, headers=sent)
    assert answer.status_code == status
    documented(answer, operation)


@pytest.mark.parametrize("prefix", ["", "/rest/v1"])
def test_a_caller_with_all_privileges_gets_the_committed_document(
    gateway: RunningGateway, bearer: Bearer, prefix: str
) -> None:
    written = gateway.client.get(f"{prefix}/openapi.yaml", headers=bearer("service_role"))
    assert written.headers["content-type"] == "application/yaml; charset=utf-8"
    assert written.headers["cache-control"] == "no-store"
    assert written.text == (ROOT / "openapi.yaml").read_text()
    parsed = gateway.client.get(f"{prefix}/openapi.json", headers=bearer("service_role"))
    assert parsed.headers["content-type"] == "application/json; charset=utf-8"
    assert parsed.json() == DOCUMENT


def test_management_has_its_own_document_for_service_role(gateway: RunningGateway, bearer: Bearer) -> None:
    asked = {"Accept-Profile": "pgmq_admin"}
    written = gateway.client.get("/openapi.yaml", headers={**bearer("service_role"), **asked})
    assert written.text == MANAGEMENT.read_text()
    validate(described := yaml.safe_load(written.text))
    undescribed = [
        path for path, methods in described["paths"].items() if path.endswith(methods["post"]["description"])
    ]
    assert undescribed == []
    assert gateway.client.get("/openapi.json", headers={**bearer("authenticated"), **asked}).json()["paths"] == {}
    refused = gateway.client.get("/openapi.json", headers={"Accept-Profile": "pgmq"})
    assert (refused.status_code, refused.json()["code"]) == (406, "PGRST106")


def test_the_document_has_the_executable_functions_only(alone: RunningGateway, bearer: Bearer) -> None:
    alone.sql(
        "revoke execute on function pgmq_public.send(text, jsonb, integer), pgmq_public.pop(text), "
        "pgmq_api.pop, pgmq_api.send from anon, public"
    )
    validate(told := alone.client.get("/openapi.json").json())
    assert set(DOCUMENT["paths"]) - set(told["paths"]) == {"/rpc/send", "/rpc/pop", "/queues/{queue}/messages/pop"}
    assert list(told["paths"]["/queues/{queue}/messages"]) == ["get", "delete"]
    alone.sql("revoke usage on schema pgmq_public, pgmq_api from authenticated")
    validate(nothing := alone.client.get("/openapi.json", headers=bearer("authenticated")).json())
    assert (nothing["paths"], nothing["tags"]) == ({}, [])


def test_pgmq_api_has_its_own_document(gateway: RunningGateway, bearer: Bearer) -> None:
    headers = {**bearer("service_role"), "Accept-Profile": "pgmq_api"}
    validate(described := gateway.client.get("/openapi.json", headers=headers).json())
    resources = {path for path in DOCUMENT["paths"] if path.startswith("/queues")}
    assert described["paths"].keys() > resources | {"/rpc/settle", "/rpc/read_any"}
    profiles = [operation["post"]["parameters"][0] for path, operation in described["paths"].items() if "/rpc/" in path]
    assert {profile["schema"]["default"] for profile in profiles} == {"pgmq_api"}


def test_functions_of_ones_own_are_described(alone: RunningGateway, bearer: Bearer) -> None:
    alone.define(
        "create type public.pair as (a int, b text[])",
        "create function public.pairs(ids bigint[], factor numeric default 1) returns setof public.pair stable "
        "language sql as $$ select id, array['x'] from unnest(ids) as id $$",
        "create function public.pop(queue_name text) returns void language sql as ''",
        "create function public.send_message(a int) returns int language sql as 'select a'",
        "create function public.send_message(a int, b int) returns text language sql as 'select a'",
        "create function public.get_pairs() returns int language sql as 'select 1'",
        "create function public.echo(jsonb) returns jsonb language sql as 'select $1'",
        "create function public.size(bytea) returns int language sql as 'select length($1)'",
        "create function public.\"odd name/{}\"() returns int language sql as 'select 1'",
    )
    described = alone.client.get("/openapi.json", headers=bearer("service_role")).json()
    validate(described)
    paths = described["paths"]
    assert paths["/rpc/pairs"]["get"]["operationId"] == "rpc_get_pairs"
    assert [parameter["name"] for parameter in paths["/rpc/pairs"]["get"]["parameters"][:3]] == [
        "Accept-Profile",
        "ids",
        "factor",
    ]
    assert described["components"]["schemas"]["pairs_row"]["properties"] == {
        "a": {"type": ["integer", "null"], "format": "int32"},
        "b": {"type": ["array", "null"], "items": {"type": ["string", "null"]}},
    }
    assert (profiled := paths["/rpc/pop"]["post"]["parameters"][0])["schema"]["enum"] == ["public", "pgmq_public"]
    assert (profiled["required"], set(paths["/rpc/pop"]["post"]["responses"]) >= {"200", "204"}) == (False, True)
    assert paths["/rpc/send_message"]["post"]["operationId"] == "rpc_send_message"
    assert paths["/rpc/echo"]["post"]["requestBody"]["content"] == {"application/json": {"schema": {}}}
    assert list(paths["/rpc/size"]["post"]["requestBody"]["content"]) == ["application/octet-stream"]
    answer = alone.client.post("/rpc/pairs", json={"ids": [1, "2"]})
    assert answer.json() == [{"a": 1, "b": ["x"]}, {"a": 2, "b": ["x"]}]
    documented(answer, paths["/rpc/pairs"]["post"], described)


@pytest.mark.parametrize("place", ["/openapi.json", "/openapi.yaml"])
def test_other_methods_are_as_at_the_root(gateway: RunningGateway, place: str) -> None:
    whole = gateway.client.get(place)
    head = gateway.client.head(place)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(whole.content))
    assert gateway.client.options(place).headers["allow"] == "OPTIONS,GET,HEAD"
    refused = gateway.client.post(place, json={})
    assert (refused.status_code, refused.json()["code"]) == (405, "PGRST117")


def test_the_key_layer_guards_the_description_and_not_the_page(serve: Serve, database: str) -> None:
    url = serve(database, PGMQ_GATEWAY_PUBLISHABLE_KEYS="sb_publishable_x").url
    refused = httpx.get(f"{url}/openapi.json")
    assert refused.status_code == 401
    conforms(refused.json(), {"$ref": "#/components/schemas/KeyRefused"})
    assert httpx.get(f"{url}/openapi.json", headers={"apikey": "sb_publishable_x"}).json()["openapi"] == "3.1.0"
    assert httpx.get(f"{url}/docs").status_code == 200


def test_the_document_has_the_configured_server(serve: Serve, database: str) -> None:
    url = serve(database, PGRST_OPENAPI_SERVER_PROXY_URI="https://api.example.com/queues/").url
    described = httpx.get(f"{url}/openapi.json").json()
    assert [server["url"] for server in described["servers"]] == ["https://api.example.com/queues"]
    policy = httpx.get(f"{url}/docs").headers["content-security-policy"]
    assert "connect-src 'self' https://api.example.com;" in policy


def resolved(response: dict[str, Any], document: dict[str, Any] = DOCUMENT) -> dict[str, Any]:
    """A response, with its reference resolved."""
    name = response.get("$ref", "").rpartition("/")[2]
    found: dict[str, Any] = document["components"]["responses"][name] if name else response
    return found


def conforms(value: object, schema: dict[str, Any], document: dict[str, Any] = DOCUMENT) -> None:
    """Validate a value against a schema of the document."""
    whole = {**schema, "components": document["components"]}
    Draft202012Validator(whole, format_checker=FormatChecker()).validate(value)


def documented(answer: httpx.Response, operation: dict[str, Any], document: dict[str, Any] = DOCUMENT) -> None:
    """Validate a response's status, headers and body against its operation."""
    response = resolved(operation["responses"][str(answer.status_code)], document)
    media_type = answer.headers["content-type"].partition(";")[0]
    conforms(answer.json(), response["content"][media_type]["schema"], document)
    for name in response["headers"]:
        header = document["components"]["headers"][name]
        assert name in answer.headers or not header.get("required"), name
        if name in answer.headers and header["schema"] != {"type": "integer"}:
            conforms(answer.headers[name], header["schema"], document)


def profile(operation: dict[str, Any]) -> dict[str, str]:
    """The header that names the operation's schema."""
    schemas = {parameter.get("name"): parameter.get("schema") for parameter in operation["parameters"]}
    return {"Content-Profile": schemas["Content-Profile"]["default"]} if "Content-Profile" in schemas else {}


def timeless(value: object) -> object:
    """A value with all times and receipts replaced by constants."""
    if isinstance(value, list):
        return [timeless(item) for item in value]
    if isinstance(value, dict):
        return {name: timeless(item) for name, item in value.items()}
    if isinstance(value, str):
        return "time" if TIME.fullmatch(value) else "receipt" if RECEIPTS.fullmatch(value) else value
    return value
