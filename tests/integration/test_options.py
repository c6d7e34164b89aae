"""Settings of PostgREST that change responses."""

import re

import httpx
import psycopg
import pytest

from pgmq_gateway.embedded.cluster import socket_uri
from pgmq_gateway.embedded.datadir import DataDirectory
from tests.answers import refusal
from tests.gateways import Bearer, RunningGateway
from tests.server import Serve

GATEWAY = {
    "PGRST_SERVER_TIMING_ENABLED": "true",
    "PGRST_SERVER_TRACE_HEADER": "X-Request-Id",
    "PGRST_OPENAPI_MODE": "ignore-privileges",
    "PGRST_CLIENT_ERROR_VERBOSITY": "minimal",
}


@pytest.fixture
def number(gateway: RunningGateway) -> str:
    """The path of a function, and that of one without EXECUTE for any role."""
    gateway.define(
        "create or replace function public.number() returns int stable language sql as 'select 1'",
        "create or replace function public.secret() returns int stable language sql as 'select 1'",
        "revoke execute on function public.secret() from public",
    )
    return "/rpc/number"


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_server_timing_names_the_stages_of_a_request(gateway: RunningGateway, number: str, method: str) -> None:
    timing = gateway.client.request(method, number).headers["server-timing"]
    stage = r"{};dur=\d+\.\d"
    stages = ", ".join(stage.format(name) for name in ("jwt", "parse", "plan", "transaction", "response"))
    assert re.fullmatch(stages, timing), timing


def test_errors_have_no_timing(gateway: RunningGateway, number: str) -> None:
    assert "server-timing" not in gateway.client.get(f"{number}x").headers


def test_the_trace_header_is_echoed_on_success_and_errors(gateway: RunningGateway, number: str) -> None:
    for path in (number, "/rpc/nothing"):
        assert gateway.client.get(path, headers={"x-request-id": "a b;c"}).headers["X-Request-Id"] == "a b;c"
        assert "x-request-id" not in gateway.client.get(path).headers


def test_errors_are_short_where_the_operator_wants_them_so(gateway: RunningGateway, number: str) -> None:
    assert gateway.client.get(f"{number}s").json() == {
        "code": "PGRST202",
        "message": "Could not find the function public.numbers without parameters in the schema cache",
    }


def test_ignore_privileges_describes_all_functions(gateway: RunningGateway, number: str) -> None:
    assert {number, "/rpc/secret"} <= gateway.client.get("/").json()["paths"].keys()


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST"])
def test_the_description_can_be_switched_off(serve: Serve, database: str, method: str) -> None:
    gateway = serve(database, PGRST_OPENAPI_MODE="disabled")
    answer = httpx.request(method, gateway.url)
    assert answer.status_code == 404
    if method != "HEAD":
        assert refusal(answer) == (404, "PGRST126", "Root endpoint metadata is disabled")
    assert [httpx.get(f"{gateway.url}{path}").status_code for path in ("/openapi.json", "/docs")] == [404, 404]


def test_the_role_claim_key_is_configurable(
    serve: Serve, directory: DataDirectory, database: str, bearer: Bearer
) -> None:
    with psycopg.connect(socket_uri(directory, database=database), autocommit=True) as connection:
        connection.execute(
            "create function public.me() returns json stable language sql as $f$ select json_build_array("
            "current_user, current_setting('request.jwt.claims')::json ->> 'role') $f$"
        )
    gateway = serve(database, PGRST_JWT_ROLE_CLAIM_KEY='.app."the roles"[?(@ ^== "authen")]')
    for claims, role in (
        ({"app": {"the roles": ["x", "authenticated"]}}, "authenticated"),
        ({}, "anon"),
        ({"app": "authenticated"}, "anon"),
    ):
        answer = httpx.get(f"{gateway.url}/rpc/me", headers=bearer("service_role", **claims))
        assert answer.json() == [role, role]
