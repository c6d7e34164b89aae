"""API keys: the role of each, precedence of tokens, and rejected keys."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from pgmq_gateway.auth.signing import api_key, token
from tests import server
from tests.answers import refusal
from tests.attacks.raw import ask, connected, exchange, post
from tests.gateways import Bearer, RunningGateway
from tests.server import SECRET, Serve

PUBLISHABLE, OTHER_PUBLISHABLE = "sb_publishable_web", "sb_publishable_app"
WORKER, CRON = "sb_secret_of_the_worker", "sb_secret_of_cron"
GATEWAY = {
    "PGMQ_GATEWAY_PUBLISHABLE_KEYS": f"{PUBLISHABLE}, {OTHER_PUBLISHABLE}",
    "PGRST_DB_TX_END": "commit-allow-override",
    "PGMQ_GATEWAY_SECRET_KEYS": f"worker={WORKER}, cron={CRON}",
}
SCHEMAS = (
    "create function public.who() returns text stable language sql as 'select current_user::text'",
    """create function public.claimed() returns json stable language sql
        as $f$select current_setting('request.jwt.claims')::json$f$""",
)
BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
NO_KEY = {
    "message": "No API key found in request",
    "hint": "No `apikey` request header or url param was found.",
}
INVALID_KEY = {
    "message": "Invalid API key",
    "hint": "Double check your Supabase `anon` or `service_role` API key.",
}


def who(gateway: RunningGateway, path: str = "/rpc/who", **headers: str) -> httpx.Response:
    return gateway.client.post(
        path, json={}, headers={name.replace("_", "-"): value for name, value in headers.items()}
    )


def role(answer: httpx.Response) -> str:
    assert answer.status_code == 200, answer.text
    name: str = answer.json()
    return name


def refused(answer: httpx.Response) -> dict[str, Any]:
    """The body of the key layer's error response, which has no code."""
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    body: dict[str, Any] = answer.json()
    return body


KEYS = {PUBLISHABLE: "anon", OTHER_PUBLISHABLE: "anon", WORKER: "service_role", CRON: "service_role"}


def test_callers_can_take_turns_on_a_connection(gateway: RunningGateway) -> None:
    with connected(gateway.server) as connection:
        for _ in range(4):
            for key in (PUBLISHABLE, WORKER):
                answer = ask(connection, post("/rpc/who", b"{}", f"apikey: {key}"))
                assert (answer.status, answer.body.decode()) == (200, f'"{KEYS[key]}"')


@pytest.mark.parametrize(("key", "expected"), KEYS.items())
def test_a_key_selects_a_role(gateway: RunningGateway, key: str, expected: str) -> None:
    assert role(who(gateway, apikey=key)) == expected
    assert role(who(gateway, f"/rpc/who?apikey={key}")) == expected
    assert role(who(gateway, f"/rest/v1/rpc/who?apikey={key}")) == expected
    assert role(who(gateway, apikey=key, Authorization=f"Bearer {key}")) == expected
    assert role(who(gateway, f"/rpc/who?apikey={key}", Authorization=f"Bearer {key}")) == expected
    assert who(gateway, "/rpc/claimed", apikey=key).json() == {"role": expected}


def test_the_log_of_actions_has_the_name_of_the_secret_key(gateway: RunningGateway, bearer: Bearer) -> None:
    def create(queue: str, **headers: str) -> None:
        profile = {"Content-Profile": "pgmq_admin"}
        answer = gateway.client.post("/rpc/create_queue", json={"queue_name": queue}, headers={**profile, **headers})
        assert answer.json() is True

    def log() -> list[tuple[str, str | None]]:
        return gateway.sql("select queue_name, key_name from pgmq_admin.list_actions() order by id")

    create("by_worker", apikey=WORKER)
    create("by_cron", apikey=CRON, Authorization=f"Bearer {CRON}")
    create("by_ann", **bearer("service_role", sub="ann", key_name="worker"))
    create("undone", apikey=WORKER, Prefer="tx=rollback")
    create("by_a_token", **bearer("service_role"))
    assert log() == [("by_worker", "worker"), ("by_cron", "cron"), ("by_ann", "ann"), ("by_a_token", None)]


def test_a_key_in_the_url_is_no_argument_of_a_get(gateway: RunningGateway) -> None:
    assert gateway.client.get(f"/rpc/who?apikey={WORKER}").json() == "service_role"


def test_the_header_takes_precedence_over_the_url(gateway: RunningGateway) -> None:
    assert role(who(gateway, f"/rpc/who?apikey={WORKER}", apikey=PUBLISHABLE)) == "anon"
    assert refused(who(gateway, f"/rpc/who?apikey={WORKER}", apikey="sb_secret_no")) == INVALID_KEY


@pytest.mark.parametrize("name", ["x-api-key", "api_key"])
def test_a_key_in_another_header_is_no_key(gateway: RunningGateway, name: str) -> None:
    body = refused(gateway.client.post("/rpc/who", json={}, headers={name: PUBLISHABLE}))
    assert body == {**NO_KEY, "hint": f"{NO_KEY['hint']} Send apikey, not {name}."}


def test_a_bearer_key_must_be_the_key_of_the_request(gateway: RunningGateway) -> None:
    assert refused(who(gateway, apikey=PUBLISHABLE, Authorization=f"Bearer {WORKER}")) == INVALID_KEY
    assert refused(who(gateway, apikey=WORKER, Authorization=f"Bearer {CRON}")) == INVALID_KEY
    assert refused(who(gateway, apikey=WORKER, Authorization="Bearer sb_nonsense")) == INVALID_KEY
    alone = refused(who(gateway, Authorization=f"Bearer {WORKER}"))
    assert alone == {**INVALID_KEY, "hint": f"{INVALID_KEY['hint']} Send it as the header apikey."}


@pytest.mark.parametrize("key", KEYS)
def test_a_token_takes_precedence_over_a_key(gateway: RunningGateway, bearer: Bearer, key: str) -> None:
    headers = bearer("authenticated", sub="someone")
    assert role(who(gateway, apikey=key, **headers)) == "authenticated"
    assert who(gateway, "/rpc/claimed", apikey=key, **headers).json()["sub"] == "someone"


def test_a_key_does_not_replace_an_invalid_token(gateway: RunningGateway) -> None:
    bad = token(SECRET[::-1].encode(), "authenticated", {}, 3600)
    for key in KEYS:
        assert refusal(who(gateway, apikey=key, Authorization=f"Bearer {bad}"))[:2] == (401, "PGRST301")


@pytest.mark.parametrize("name", ["anon", "service_role"])
def test_a_legacy_key_is_a_token(gateway: RunningGateway, name: str) -> None:
    key = api_key(SECRET.encode(), name)
    assert role(who(gateway, apikey=key)) == name
    assert role(who(gateway, f"/rpc/who?apikey={key}")) == name
    assert role(who(gateway, apikey=key, Authorization=f"Bearer {key}")) == name


def test_a_legacy_key_of_another_secret_is_refused(gateway: RunningGateway) -> None:
    assert refusal(who(gateway, apikey=api_key(SECRET[::-1].encode(), "service_role")))[:2] == (401, "PGRST301")


def test_no_key(gateway: RunningGateway) -> None:
    answer = who(gateway)
    assert refused(answer) == NO_KEY
    assert refused(who(gateway, "/rpc/nothing")) == NO_KEY
    assert refused(gateway.client.get("/")) == NO_KEY


@pytest.mark.parametrize("authorization", ["", "x", "Basic dTpw", "Bearer", "bearer", "Basic sb_x"])
def test_an_authorization_without_a_token_is_no_key(gateway: RunningGateway, authorization: str) -> None:
    page = {"Origin": "https://example.org"}
    assert refused(who(gateway, Authorization=authorization)) == NO_KEY
    assert refused(who(gateway, Authorization=authorization, **page)) == NO_KEY
    # Nor is a text that only looks like a legacy key.
    unverified = who(gateway, apikey="x.y.z", Authorization=authorization)
    assert refusal(unverified)[:2] == (401, "PGRST301")


def test_white_space_behind_a_key_is_no_part_of_it(gateway: RunningGateway) -> None:
    head = (
        f"POST /rpc/who HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 0\r\napikey: {WORKER} \t \r\n\r\n"
    )
    (answer,) = exchange(gateway.server, head.encode())
    assert (answer.status, answer.body) == (200, b'"service_role"')


@pytest.mark.parametrize(
    "key", ["nonsense", "sb_publishable_no", f"{WORKER}x", WORKER[:-1], "worker", f"worker={WORKER}"]
)
def test_an_unknown_key(gateway: RunningGateway, bearer: Bearer, key: str) -> None:
    assert refused(who(gateway, apikey=key)) == INVALID_KEY
    assert refused(who(gateway, f"/rpc/who?apikey={key}")) == INVALID_KEY
    assert refused(who(gateway, apikey=key, **bearer("service_role"))) == INVALID_KEY


def test_a_secret_key_is_refused_to_a_browser(gateway: RunningGateway) -> None:
    answer = who(gateway, apikey=WORKER, User_Agent=BROWSER)
    assert refused(answer)["message"] == "Forbidden use of secret API key in browser"
    assert refused(who(gateway, f"/rpc/who?apikey={CRON}", User_Agent=BROWSER))["message"].startswith("Forbidden use")
    assert role(who(gateway, apikey=PUBLISHABLE, User_Agent=BROWSER)) == "anon"


def test_a_preflight_needs_no_key(gateway: RunningGateway) -> None:
    headers = {"Origin": "https://example.org", "Access-Control-Request-Method": "POST"}
    assert gateway.client.options("/rpc/who", headers=headers).status_code == 200


def test_a_refusal_can_be_read_by_a_script_of_any_origin(gateway: RunningGateway) -> None:
    answer = who(gateway, Origin="https://example.org")
    assert refused(answer) == NO_KEY
    assert answer.headers["access-control-allow-origin"] == "*"


def test_refusals_do_not_show_the_keys(gateway: RunningGateway) -> None:
    for answer in (who(gateway, apikey="x"), who(gateway), who(gateway, apikey=WORKER, User_Agent=BROWSER)):
        assert not any(key in answer.text + str(answer.headers) for key in KEYS)
    log = gateway.server.log.read_text()
    assert not any(key in log for key in (WORKER, CRON))


def test_without_the_key_layer_no_key_is_needed(gateway: RunningGateway, serve: Serve, bearer: Bearer) -> None:
    database = gateway.sql("select current_database()")[0][0]
    for settings in ({**GATEWAY, "PGMQ_GATEWAY_KEY_LAYER": "off"}, {}):
        with httpx.Client(base_url=serve(database, **settings).url, timeout=30) as client:
            assert role(client.post("/rpc/who")) == "anon"
            assert role(client.post("/rpc/who", headers={"apikey": "x", **bearer("authenticated")})) == "authenticated"
            # Without the key layer, publishable and secret keys are ignored.
            assert client.post("/rpc/who", headers={"apikey": WORKER}).status_code == 401


def test_a_key_layer_without_keys_accepts_tokens_only(gateway: RunningGateway, serve: Serve, bearer: Bearer) -> None:
    database = gateway.sql("select current_database()")[0][0]
    with httpx.Client(base_url=serve(database, PGMQ_GATEWAY_KEY_LAYER="on").url, timeout=30) as client:
        assert refused(client.post("/rpc/who")) == NO_KEY
        assert refused(client.post("/rpc/who", headers={"apikey": WORKER})) == INVALID_KEY
        assert role(client.post("/rpc/who", headers=bearer("authenticated"))) == "authenticated"


@pytest.fixture(scope="module")
def printed(folder: Path) -> Iterator[dict[str, str]]:
    """The output of `pgmq-gateway keys` for an embedded database with default settings."""
    data = str(folder / "keys")
    running = server.start(folder / "keys.log", "--data-dir", data)
    try:
        keys: subprocess.CompletedProcess[str] = server.run("keys", "--json", "--data-dir", data)
        assert keys.returncode == 0, keys.stderr
        queue = server.run("queue", "create", "mine", "--data-dir", data)
        assert queue.returncode == 0, queue.stderr
        yield json.loads(keys.stdout)
    finally:
        running.stop()


@pytest.mark.parametrize(
    ("name", "privileged"), [("ANON", False), ("SERVICE_ROLE", True), ("PUBLISHABLE", False), ("SECRET", True)]
)
def test_all_keys_of_an_embedded_server_work(printed: dict[str, str], name: str, privileged: bool) -> None:
    key = printed[f"SUPABASE_{name}_KEY"]
    with httpx.Client(base_url=printed["SUPABASE_URL"], headers={"Content-Profile": "pgmq_public"}) as client:
        for headers in ({"apikey": key}, {"apikey": key, "Authorization": f"Bearer {key}"}):
            answer = client.post("/rest/v1/rpc/read", headers=headers, json={
                "queue_name": "mine", "sleep_seconds": 0, "n": 1,
            })  # fmt: skip
            if privileged:
                assert (answer.status_code, answer.json()) == (200, [])
            else:
                # The key authenticates; the anonymous role has no privileges on the queue.
                assert refusal(answer)[:2] == (401, "42501")


def test_an_embedded_server_asks_for_a_key(printed: dict[str, str]) -> None:
    answer = httpx.post(f"{printed['SUPABASE_URL']}/rest/v1/rpc/read", content=json.dumps({"queue_name": "mine"}))
    assert refused(answer) == NO_KEY
