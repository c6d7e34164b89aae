"""supabase-js in a real browser, on a page of another origin: the results for the page, and the rows that it leaves."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import httpx
import psycopg
import pytest
from playwright.async_api import Page

from pgmq_gateway.auth.signing import api_key, token
from pgmq_gateway.embedded.cluster import socket_uri
from pgmq_gateway.embedded.datadir import DataDirectory
from tests.browser.conftest import Client, Keys, Origins
from tests.databases import Sql
from tests.server import SECRET, TIMEOUT_SECONDS, Server
from tests.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="session")

ALL = ("send", "read", "pop", "archive", "delete")
FUNCTIONS = ("send", "send_batch", "read", "pop", "archive", "delete")
NO_ROWS: list[tuple[Any, ...]] = []


def ok(data: object, count: int | None = None) -> dict[str, object]:
    """The result of a successful call."""
    return {"data": data, "error": None, "count": count, "status": 200}


def refused(status: int, message: str) -> dict[str, object]:
    """The result of a call for which Postgres denies permission."""
    error = {"code": "42501", "details": None, "hint": None, "message": message}
    return {"data": None, "error": error, "count": None, "status": status}


def signed_in(client: Client, name: str) -> Client:
    """A client with a user's token."""
    return replace(client, token=token(SECRET.encode(), "authenticated", {"sub": name}, 3600))


@pytest.fixture
def alice(anonymous: Client) -> Client:
    """A user of the page."""
    return signed_in(anonymous, "alice")


@pytest.fixture
def bob(anonymous: Client) -> Client:
    """Another user of the same page."""
    return signed_in(anonymous, "bob")


@pytest.fixture
def owned(queue: str, sql: Sql, grant: Callable[..., None]) -> str:
    """A queue whose policy gives each user access to the messages with their name as `owner`."""
    grant("authenticated", *ALL)
    for table in (f"q_{queue}", f"a_{queue}"):
        sql(f"""
            create policy own on pgmq.{table} to authenticated
            using (message->>'owner' = current_setting('request.jwt.claims')::json->>'sub')
        """)
    return queue


@pytest.fixture
def failing(embedded: Server, keys: Keys, sql: Sql, queue: str) -> Iterator[str]:
    """A function in `public` that raises with the SQLSTATE `code`."""
    name = f"fail_{queue}"
    sql(f"""
        create function public.{name}(code text) returns void language plpgsql as $$ begin
            raise exception using errcode = code, message = 'é failed', detail = 'the detail', hint = 'the hint';
        end $$
    """)
    with httpx.Client(base_url=embedded.url, headers={"apikey": keys.publishable}) as client:
        until(lambda: client.post(f"/rpc/{name}", json={"code": "P0001"}).status_code == httpx.codes.BAD_REQUEST)
    yield name
    sql(f"drop function public.{name}")


async def preflights(page: Page) -> asyncio.Queue[tuple[dict[str, Any], dict[str, Any]]]:
    """A queue of the browser's preflights from now on, each with request and response."""
    session, sent = await page.context.new_cdp_session(page), dict[str, dict[str, Any]]()
    made = asyncio.Queue[tuple[dict[str, Any], dict[str, Any]]]()

    def asked(event: dict[str, Any]) -> None:
        if event["initiator"]["type"] == "preflight":
            sent[event["requestId"]] = event["request"]

    def answered(event: dict[str, Any]) -> None:
        if request := sent.pop(event["requestId"], None):
            made.put_nowait((request, event["response"]))

    session.on("Network.requestWillBeSent", asked)
    session.on("Network.responseReceived", answered)
    await session.send("Network.enable")
    return made


def folded(headers: dict[str, str], start: str = "") -> dict[str, str]:
    """The headers whose names have this prefix, with names in lower case."""
    lower = {name.lower(): value for name, value in headers.items()}
    return {name: value for name, value in lower.items() if name.startswith(start)}


async def test_a_user_calls_all_six_functions(alice: Client, owned: str, sql: Sql) -> None:
    """With a publishable key and a user's token, a page can do all that a policy allows the user."""
    queue, message = {"queue_name": owned}, {"owner": "alice", "text": "é￥😀"}
    batch = {**queue, "messages": [message, message, message, message]}
    sent, many, read, archived, deleted, again, popped = await alice.calls(
        ("send", {**queue, "message": message}),
        ("send_batch", {**batch, "sleep_seconds": 0}),
        ("read", {**queue, "sleep_seconds": 600, "n": 3}, {"count": "exact"}),
        ("archive", {**queue, "message_id": 1}),
        ("delete", {**queue, "message_id": 2}),
        ("delete", {**queue, "message_id": 2}),
        ("pop", queue),
    )
    assert (sent, many) == (ok([1]), ok([2, 3, 4, 5]))
    assert (archived, deleted, again) == (ok(True), ok(True), ok(False))
    assert read == ok(read["data"], count=3)
    assert [(row["msg_id"], row["read_ct"], row["message"]) for row in read["data"]] == [
        (1, 1, message),
        (2, 1, message),
        (3, 1, message),
    ]
    assert [(row["msg_id"], row["message"]) for row in popped["data"]] == [(4, message)]
    assert sql(f"select msg_id, read_ct, message, vt > now() + '9 min' from pgmq.q_{owned} order by 1") == [
        (3, 1, message, True),
        (5, 0, message, False),
    ]
    assert sql(f"select msg_id, read_ct, message from pgmq.a_{owned}") == [(1, 1, message)]


async def test_the_browser_sends_one_preflight_for_each_function(
    alice: Client, owned: str, origins: Origins, page: Page
) -> None:
    """A preflight precedes each function's first call, and its response is cached."""
    made, queue = await preflights(page), {"queue_name": owned}
    arguments: dict[str, dict[str, object]] = {
        "send": {"message": {"owner": "alice"}},
        "send_batch": {"messages": []},
        "read": {"sleep_seconds": 0, "n": 1},
        "archive": {"message_id": 1},
        "delete": {"message_id": 1},
    }
    calls = [(name, {**queue, **arguments.get(name, {})}) for name in FUNCTIONS]
    seen = await alice.calls(*(call for call in calls for _ in range(2)))
    assert {call["status"] for call in seen} == {200}
    async with asyncio.timeout(TIMEOUT_SECONDS):
        found = [await made.get() for _ in FUNCTIONS]
    assert [request["url"] for request, _ in found] == [f"{alice.url}/rest/v1/rpc/{name}" for name in FUNCTIONS]
    wanted = "apikey,authorization,content-profile,content-type,x-client-info"
    for request, answer in found:
        headers = folded(request["headers"])
        assert (request["method"], headers["origin"]) == ("OPTIONS", origins.site)
        assert headers["access-control-request-method"] == "POST"
        assert headers["access-control-request-headers"] == wanted
        assert not {"apikey", "authorization"} & set(headers)
        assert answer["status"] == 200
        assert folded(answer["headers"], "access-control-") == {
            "access-control-allow-origin": "*",
            "access-control-allow-methods": "GET, POST, PATCH, PUT, DELETE, OPTIONS, HEAD",
            "access-control-allow-headers": f"Authorization, {wanted.replace(',', ', ')}, Accept, Accept-Language, "
            "Content-Language",
            "access-control-max-age": "86400",
        }
    assert made.empty()


@pytest.mark.usefixtures("no_rls")
async def test_the_publishable_key_alone_is_anonymous(
    anonymous: Client, queue: str, grant: Callable[..., None], sql: Sql
) -> None:
    """Without a token the role is anon: 401 until anon is granted permissions."""
    send = ("send", {"queue_name": queue, "message": {"n": 1}})
    read = ("read", {"queue_name": queue, "sleep_seconds": 600, "n": 5})
    assert await anonymous.calls(send, read) == [refused(401, f"permission denied for table q_{queue}")] * 2
    assert sql(f"select * from pgmq.q_{queue}") == NO_ROWS
    grant("anon", "send", "read")
    sent, seen = await anonymous.calls(send, read)
    assert sent == ok([1])
    assert [(row["msg_id"], row["message"]) for row in seen["data"]] == [(1, {"n": 1})]
    assert sql(f"select msg_id, read_ct, message from pgmq.q_{queue}") == [(1, 1, {"n": 1})]


async def test_a_user_without_permissions_gets_403(alice: Client, queue: str, sql: Sql) -> None:
    """With a token the role is authenticated, which has no permissions by default."""
    seen = await alice.call("send", {"queue_name": queue, "message": 1})
    assert seen == refused(403, f"permission denied for table q_{queue}")
    assert sql(f"select * from pgmq.q_{queue}") == NO_ROWS


async def test_users_do_not_see_each_others_messages(alice: Client, bob: Client, owned: str, sql: Sql) -> None:
    """A policy on the claim `sub` applies to two users of one page."""
    queue = {"queue_name": owned}
    sent, foreign = await alice.calls(
        ("send", {**queue, "message": {"owner": "alice"}}), ("send", {**queue, "message": {"owner": "bob"}})
    )
    assert sent == ok([1])
    assert foreign == refused(403, f'new row violates row-level security policy for table "q_{owned}"')
    read = ("read", {**queue, "sleep_seconds": 0, "n": 10}, {"count": "exact"})
    *nothing, own, seen = await bob.calls(
        read,
        ("pop", queue),
        ("archive", {**queue, "message_id": 1}),
        ("delete", {**queue, "message_id": 1}),
        ("send", {**queue, "message": {"owner": "bob"}}),
        read,
    )
    assert nothing == [ok([], count=0), ok([]), ok(False), ok(False)]
    assert [row["msg_id"] for row in seen["data"]] == own["data"]
    assert [row["msg_id"] for row in (await alice.call(*read))["data"]] == [1]
    assert sql(f"select msg_id, message->>'owner', read_ct from pgmq.q_{owned} order by 1") == [
        (1, "alice", 1),
        (own["data"][0], "bob", 1),
    ]


@pytest.mark.parametrize(
    ("prefer", "function", "hidden"),
    [("count=exact", "pop", "preference-applied"), ("", "nosuch", "proxy-status")],
)
async def test_a_script_reads_only_exposed_headers(
    anonymous: Client, grant: Callable[..., None], queue: str, prefer: str, function: str, hidden: str
) -> None:
    """A script can read Content-Range, but no response header that the gateway does not expose."""
    grant("anon", "pop")
    url = f"{anonymous.url}/rest/v1/rpc/{function}"
    headers = {"apikey": anonymous.key, "Content-Profile": "pgmq_public", "Content-Type": "application/json"}
    page = anonymous.page
    arguments = {"url": url, "headers": {**headers, "Prefer": prefer}, "body": {"queue_name": queue}}
    async with page.expect_response(url) as response:
        seen = await page.evaluate("plain", arguments)
    sent = await (await response.value).all_headers()
    assert hidden in sent
    assert hidden not in seen["headers"]
    assert {"content-type", "date"} <= set(seen["headers"])
    assert seen["headers"].get("content-range") == sent.get("content-range")
    assert ("content-range" in sent) == (function == "pop")


async def test_a_page_gets_all_members_of_an_error(anonymous: Client, queue: str, failing: str) -> None:
    """Errors of the schema cache, of a function, and of a token."""
    assert await anonymous.call("nosuch", {"queue_name": queue}) == {
        "data": None,
        "error": {
            "code": "PGRST202",
            "details": "Searched for the function pgmq_public.nosuch with parameter queue_name or with a single unnamed"
            " json/jsonb parameter, but no matches were found in the schema cache.",
            "hint": None,
            "message": "Could not find the function pgmq_public.nosuch(queue_name) in the schema cache",
        },
        "count": None,
        "status": 404,
    }
    told = {"details": "the detail", "hint": "the hint", "message": "é failed"}
    for code, status in (("P0001", 400), ("XX000", 500), ("53100", 503)):
        seen = await replace(anonymous, schema="public").call(failing, {"code": code})
        assert (seen["error"], seen["status"]) == ({"code": code, **told}, status)
    seen = await replace(anonymous, token="a.b.c").call("pop", {"queue_name": queue})
    assert (seen["status"], seen["error"]["code"], set(seen["error"])) == (
        401,
        "PGRST301",
        {"code", "details", "hint", "message"},
    )


@pytest.mark.usefixtures("no_rls")
async def test_a_page_gets_all_members_of_an_error_about_its_key(
    anonymous: Client, grant: Callable[..., None], keys: Keys, queue: str, sql: Sql
) -> None:
    """No key, an unknown key, and a secret key, which is forbidden in browsers."""
    grant("anon", "send")
    send = ("send", {"queue_name": queue, "message": 1})
    keyless = await anonymous.page.evaluate(
        "plain", {"url": f"{anonymous.url}/rest/v1/rpc/send", "headers": {}, "body": {}}
    )
    assert (keyless["status"], keyless["body"]) == (
        401,
        {"message": "No API key found in request", "hint": "No `apikey` request header or url param was found."},
    )
    unknown = await replace(anonymous, key="sb_publishable_unknown").call(*send)
    assert (unknown["status"], unknown["error"]) == (
        401,
        {
            "message": "Invalid API key",
            "hint": "Double check your Supabase `anon` or `service_role` API key.",
        },
    )
    secret = await replace(anonymous, key=keys.secret).call(*send)
    assert (secret["status"], secret["error"]["message"]) == (401, "Forbidden use of secret API key in browser")
    assert sql(f"select * from pgmq.q_{queue}") == NO_ROWS


@pytest.mark.usefixtures("no_rls")
async def test_only_the_allowed_origin_may_call(
    serve: Callable[..., Server],
    origins: Origins,
    tab: Page,
    queue: str,
    grant: Callable[..., None],
    sql: Sql,
    complaints: list[str],
) -> None:
    """The allowed origin can send credentials. The browser blocks calls of any other origin."""
    grant("anon", "send")
    gateway = serve("postgres", PGRST_SERVER_CORS_ALLOWED_ORIGINS=origins.page)
    client = Client(tab, gateway.url, api_key(SECRET.encode(), "anon"), credentials="include")
    await tab.context.add_cookies([{"name": "session", "value": "1", "url": gateway.url}])
    await tab.goto(origins.page)
    async with tab.expect_request(lambda request: request.method == "POST") as request:
        assert await client.call("send", {"queue_name": queue, "message": 1}) == ok([1])
    assert (await (await request.value).all_headers())["cookie"] == "session=1"
    await tab.goto(origins.site)
    for credentials in ("include", None):
        blocked = await replace(client, credentials=credentials).call("send", {"queue_name": queue, "message": 2})
        assert (blocked["status"], blocked["error"]["message"]) == (0, "TypeError: Failed to fetch")
    assert any("blocked by CORS policy" in complaint for complaint in complaints)
    complaints.clear()
    assert sql(f"select msg_id, message from pgmq.q_{queue}") == [(1, 1)]


async def test_with_any_origin_allowed_none_can_send_credentials(
    anonymous: Client, complaints: list[str], queue: str
) -> None:
    """Browsers do not accept `*` for a request with credentials."""
    seen = await replace(anonymous, credentials="include").call("pop", {"queue_name": queue})
    assert (seen["status"], seen["error"]["message"]) == (0, "TypeError: Failed to fetch")
    assert any("must not be the wildcard" in complaint for complaint in complaints)
    complaints.clear()


async def test_a_read_can_be_aborted(alice: Client, owned: str, directory: DataDirectory, sql: Sql) -> None:
    """The page gets the abort at once. The messages are read nevertheless, and the next call succeeds."""
    queue = {"queue_name": owned}
    assert await alice.call("send", {**queue, "message": {"owner": "alice"}}) == ok([1])
    with psycopg.connect(socket_uri(directory)) as blocker:
        blocker.execute(f"lock table pgmq.q_{owned}".encode())
        await alice.start("read", {**queue, "sleep_seconds": 600, "n": 1})
        waiting = f"select 1 from pg_locks where not granted and relation = 'pgmq.q_{owned}'::regclass"
        until(lambda: sql(waiting))
        seen = await alice.abort()
    assert seen["status"] == 0
    assert seen["message"].startswith("AbortError: ")
    until(lambda: sql(f"select read_ct from pgmq.q_{owned}") == [(1,)])
    sent, read = await alice.calls(
        ("send", {**queue, "message": {"owner": "alice"}}), ("read", {**queue, "sleep_seconds": 0, "n": 5})
    )
    assert sent == ok([2])
    assert [row["msg_id"] for row in read["data"]] == [2]
