"""The dashboard's protection without a browser: sessions, the sign-in code, the gate. Rates, quantities, contrast."""

import base64
import json
import stat
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from starlette.applications import Starlette

from pgmq_gateway.dashboard.api import Api, Problem
from pgmq_gateway.dashboard.kept import LINK_LIFETIME_SECONDS, Links, SessionFile, digest
from pgmq_gateway.dashboard.parts import quantities, theme
from pgmq_gateway.dashboard.parts.rates import Rates
from pgmq_gateway.dashboard.sessions import (
    IDLE_TIMEOUT_SECONDS,
    MAX_PICTURES,
    MAX_SESSION_SECONDS,
    MAX_SESSIONS,
    SESSION,
    Picture,
    Sessions,
)
from pgmq_gateway.dashboard.web.gate import Gate
from pgmq_gateway.dashboard.web.signin import MAX_FORM_BYTES, SignIn
from pgmq_gateway.http.asgi import Message, Receive, Scope, Send
from tests.clock import Clock

COOKIE = "session"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sessions(clock: Clock) -> Sessions:
    return Sessions(clock)


def test_a_session_forgets_its_key_after_an_hour_of_inactivity(sessions: Sessions, clock: Clock) -> None:
    cookie = sessions.open("the key")
    session = sessions.find(cookie)
    assert session is not None
    clock.now += IDLE_TIMEOUT_SECONDS - 1
    sessions.touch(session)
    clock.now += IDLE_TIMEOUT_SECONDS - 1
    assert sessions.find(cookie) is session
    assert (session.key, session.end_reason) == ("the key", "")
    clock.now += 1
    sessions.sweep()
    assert (session.key, session.ended.is_set()) == ("", True)
    assert "an hour of inactivity" in session.end_reason
    assert "the key" not in repr(sessions.find(sessions.open("the key")))


def test_a_session_keeps_its_latest_pictures_until_it_ends(sessions: Sessions) -> None:
    session = sessions.find(sessions.open("the key"))
    assert session is not None

    def kept(*names: int | str) -> list[bool]:
        return [session.pictures[str(name)] is not None for name in names]

    for number in (0, 1, 0, *range(2, MAX_PICTURES + 1)):
        session.pictures[str(number)] = Picture(number, 0.0)
    assert kept(0, 1, MAX_PICTURES) == [True, False, True]
    session.end("Signed out.")
    session.pictures["late"] = Picture("secret", 0.0)
    assert kept(0, "late") == [False, False]


def test_a_session_expires_after_twelve_hours_or_with_its_token(sessions: Sessions, clock: Clock) -> None:
    token = jwt.encode({"exp": clock.now + 60}, "a secret that is only used in this test", algorithm="HS256")
    short, long = (sessions.find(sessions.open(key)) for key in (token, "a.b.c"))
    assert short is not None
    assert long is not None
    for _ in range(MAX_SESSION_SECONDS // 60):
        clock.now += 60
        if not long.end_reason:
            sessions.touch(long)
        sessions.sweep()
        assert short.end_reason
    assert long.end_reason == short.end_reason


def test_the_oldest_session_ends_when_there_are_too_many(sessions: Sessions) -> None:
    cookies = [sessions.open(f"key {number}") for number in range(MAX_SESSIONS)]
    oldest = sessions.find(cookies[0])
    assert oldest is not None
    newest = sessions.open("one more")
    assert (oldest.key, sessions.find(cookies[0])) == ("", None)
    assert f"more than {MAX_SESSIONS} sessions" in oldest.end_reason
    assert all(sessions.find(cookie) for cookie in (cookies[1], cookies[-1], newest))


def test_a_forged_cookie_or_one_of_another_process_has_no_session(sessions: Sessions, clock: Clock) -> None:
    cookie = sessions.open("the key")
    for forged in (cookie[:-1], f"x{cookie}", "", ".", "ü.ü", cookie.swapcase(), digest(cookie)):
        assert sessions.find(forged) is None
    assert Sessions(clock).find(cookie) is None


def test_sessions_survive_a_restart_without_their_key_on_disk(clock: Clock, tmp_path: Path) -> None:
    folder = tmp_path / "dashboard"
    first = Sessions(clock, SessionFile(folder))
    cookie, ended, idle = (first.open(f"key {number}") for number in range(3))
    (file,) = folder.iterdir()
    assert (stat.S_IMODE(folder.stat().st_mode), stat.S_IMODE(file.stat().st_mode)) == (0o700, 0o600)
    text = file.read_text()
    assert not [secret for secret in (cookie, "key", base64.b64encode(b"key").decode()) if f'"{secret}' in text]
    found = first.find(ended)
    assert found is not None
    found.end("signed out")
    clock.now += IDLE_TIMEOUT_SECONDS - 1
    kept = first.find(cookie)
    assert kept is not None
    first.touch(kept)
    first.sweep()
    second = Sessions(clock, SessionFile(folder))
    again = second.find(cookie)
    assert again is not None
    assert (again.key, again.expires, second.find(ended)) == ("key 0", kept.expires, None)
    clock.now += 1
    late = second.find(idle)
    assert late is not None
    assert (late.key, "inactivity" in late.end_reason) == ("", True)
    assert list(json.loads(file.read_text())) == [digest(cookie)]


@pytest.mark.parametrize("text", ["", "[]", "{", '{"x": 1}', '{"x": ["a", "b", "c"]}'])
def test_a_damaged_file_of_sessions_is_ignored(clock: Clock, tmp_path: Path, text: str) -> None:
    (tmp_path / "sessions.json").write_text(text)
    assert Sessions(clock, SessionFile(tmp_path)).find("x") is None


def test_sessions_work_where_the_folder_is_not_a_folder_of_this_user(clock: Clock, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "dashboard").symlink_to(tmp_path / "elsewhere")
    sessions = Sessions(clock, SessionFile(tmp_path / "dashboard"))
    found = sessions.find(sessions.open("the key"))
    assert found is not None
    assert (found.key, list((tmp_path / "elsewhere").iterdir())) == ("the key", [])


def test_a_link_signs_in_once_and_before_it_expires(clock: Clock, tmp_path: Path) -> None:
    links = Links(tmp_path, clock)
    code, late = links.make("the key"), links.make("the key")
    assert [links.redeem(wrong) for wrong in ("", "wrong", f"../{code}", digest(code))] == [None] * 4
    assert (Links(tmp_path, clock).redeem(code), links.redeem(code)) == ("the key", None)
    clock.now += LINK_LIFETIME_SECONDS + 1
    assert links.redeem(late) is None
    assert list(tmp_path.iterdir()) == []


async def test_a_session_ends_when_the_api_no_longer_accepts_its_key(sessions: Sessions) -> None:
    session = sessions.find(sessions.open("the key"))
    assert session is not None
    asked: list[str] = []

    def refuse(request: httpx.Request) -> httpx.Response:
        asked.append(request.headers["apikey"])
        return httpx.Response(401, json={"code": "PGRST303", "message": "JWT expired"})

    async with httpx.AsyncClient(transport=httpx.MockTransport(refuse), base_url="http://gateway") as http:
        api = Api(http, session, "http://gateway")
        first, second = await api.queues(), await api.queues()
    assert isinstance(first, Problem)
    assert (first.code, asked) == ("PGRST303", ["the key"])
    reason = "The gateway no longer accepts your key (JWT expired). Sign in with a valid key."
    assert (second, session.end_reason, session.key) == (Problem(401, reason), reason, "")


@pytest.mark.parametrize(
    ("response", "can", "read_only"),
    [
        (httpx.Response(200, json=[{"function_name": "lint", "changes": False}]), (True, False), True),
        (
            httpx.Response(
                200,
                json=[{"function_name": "lint", "changes": False}, {"function_name": "drop_queue", "changes": True}],
            ),
            (True, True),
            False,
        ),
        # A gateway of an earlier version, and one that does not respond.
        (httpx.Response(404, json={"code": "PGRST202", "message": "Could not find the function"}), (True, True), False),
        (httpx.Response(503, json={"code": "PGRST000", "message": "Could not connect"}), (True, True), False),
    ],
)
async def test_a_session_learns_what_its_key_may_execute(
    sessions: Sessions, response: httpx.Response, can: tuple[bool, bool], read_only: bool
) -> None:
    session = sessions.find(sessions.open("the key"))
    assert session is not None
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        return response

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer), base_url="http://gateway") as http:
        for _ in range(2):
            api = Api(http, session, "http://gateway")
            await api.load_permissions()
            assert ((api.can("lint"), api.can("drop_queue")), api.read_only) == (can, read_only)
    assert asked == ["/rest/v1/rpc/executable_functions"] * (1 if response.is_success else 2)


@pytest.mark.parametrize(
    ("key", "status", "error"),
    [
        ("x" * MAX_FORM_BYTES, 413, "longer than 65,536 bytes"),
        ("", 400, "keys are printable ASCII"),
        ("Schlüssel", 400, "keys are printable ASCII"),
        ("a\tb", 400, "keys are printable ASCII"),
        ("fine", 403, "The response is not JSON: &lt;h1&gt;Hello&lt;/h1&gt;"),
    ],
)
async def test_a_form_without_a_valid_key_opens_no_session(
    sessions: Sessions, key: str, status: int, error: str
) -> None:
    website = httpx.MockTransport(lambda _: httpx.Response(200, text="<h1>Hello</h1>"))
    async with httpx.AsyncClient(transport=website, base_url="http://website") as http:
        sign_in = SignIn(http, "http://website", sessions, None, COOKIE)
        app = Gate(Starlette(routes=sign_in.routes()), sessions, [], COOKIE)
        own = "http://127.0.0.1:3002"
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=own) as client:
            answer = await client.post("/sign-in", data={"key": key}, headers={"Origin": own})
    assert answer.status_code == status
    assert error in answer.text
    assert "set-cookie" not in answer.headers


async def inner(scope: Scope, _: Receive, send: Send) -> None:
    """The application behind the gate: its response is `True` with a session, else `False`."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.accept"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(scope[SESSION] is not None).encode()})


@pytest.fixture
def gate(sessions: Sessions) -> Gate:
    """A gate that allows the host dash.example."""
    return Gate(inner, sessions, ["Dash.example"], COOKIE)


async def ask(gate: Gate, method: str = "GET", path: str = "/", **headers: str) -> httpx.Response:
    """The response to a request with these headers, with `_` for `-`."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(gate), base_url="http://127.0.0.1:3002") as client:
        return await client.request(method, path, headers={k.replace("_", "-"): v for k, v in headers.items()})


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:3002", 200),
        ("localhost", 200),
        ("[::1]:3002", 200),
        ("DASH.example", 200),
        ("evil.example", 421),
        ("127.0.0.1.evil.example:3002", 421),
        ("localhost@evil.example", 421),
        ("[::1", 421),
        ("", 421),
    ],
)
async def test_only_hosts_of_this_machine_and_allowed_ones_are_accepted(gate: Gate, host: str, status: int) -> None:
    assert (await ask(gate, path="/sign-in", host=host)).status_code == status


async def test_requests_with_effects_must_come_from_this_origin(gate: Gate, sessions: Sessions) -> None:
    own, other, cookie = "http://127.0.0.1:3002", "http://127.0.0.1:3000", f"{COOKIE}={sessions.open('key')}"
    sign_in = [
        (await ask(gate, "POST", "/sign-in", **headers)).status_code
        for headers in ({"origin": own}, {"sec_fetch_site": "same-origin"}, {"origin": other}, {"origin": "null"}, {})
    ]
    assert sign_in == [200, 200, 403, 403, 403]
    polled = [
        (await ask(gate, path="/_nicegui_ws/socket.io/", cookie=cookie, **headers)).status_code
        for headers in ({"origin": own}, {"origin": other}, {})
    ]
    assert polled == [200, 403, 403]
    assert (await ask(gate, cookie=cookie, origin=other)).status_code == 403


async def test_without_a_session_only_the_sign_in_page_and_assets_are_served(gate: Gate, sessions: Sessions) -> None:
    refused = await ask(gate, path="/queues/a%2Fb?x=1")
    assert (refused.status_code, refused.headers["location"]) == (303, "/sign-in?next=%2Fqueues%2Fa%2Fb%3Fx%3D1")
    assert (await ask(gate, path="/assets/dashboard.css")).text == "False"
    cookie = sessions.open("key")
    assert (await ask(gate, cookie=f"a=b; {COOKIE}={cookie}")).text == "True"
    # Other services of this machine set cookies for the same host, and not all have valid names (RFC 6265, 4.1.1).
    for other in ("a/b=c", "a[b]=c", 'a={"b": 1}'):
        assert (await ask(gate, cookie=f"{other}; {COOKIE}={cookie}")).text == "True"
    session = sessions.find(cookie)
    assert session is not None
    session.end("over")
    assert (await ask(gate, cookie=f"{COOKIE}={cookie}")).status_code == 303
    origin = {"origin": "http://127.0.0.1:3002"}
    assert (await ask(gate, path="/_nicegui_ws/socket.io/", cookie=f"{COOKIE}={cookie}", **origin)).status_code == 403


@pytest.mark.parametrize(
    ("origin", "signed_in", "opened"),
    [
        (b"http://127.0.0.1:3002", True, True),
        (b"http://127.0.0.1:3002", False, False),
        (b"http://evil.example", True, False),
        (None, True, False),
    ],
)
async def test_a_web_socket_needs_this_origin_and_a_session(
    gate: Gate, sessions: Sessions, origin: bytes | None, signed_in: bool, opened: bool
) -> None:
    cookie = f"{COOKIE}={sessions.open('key')}" if signed_in else ""
    headers = [(b"host", b"127.0.0.1:3002"), (b"cookie", cookie.encode())]
    headers += [(b"origin", origin)] if origin else []
    sent: list[Message] = []
    scope: dict[str, Any] = {"type": "websocket", "path": "/_nicegui_ws/socket.io/", "headers": headers}

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    await gate(scope, receive, send)
    assert [message["type"] for message in sent] == [f"websocket.{'accept' if opened else 'close'}"]


async def test_responses_have_security_headers(gate: Gate) -> None:
    headers = (await ask(gate, path="/sign-in")).headers
    rules = dict(rule.split(" ", 1) for rule in headers["content-security-policy"].split("; "))
    assert rules["frame-ancestors"] == rules["default-src"] == rules["base-uri"] == "'none'"
    assert "unsafe-inline" not in rules["script-src"]
    assert (headers["referrer-policy"], headers["x-content-type-options"]) == ("no-referrer", "nosniff")


def test_rates_are_differences_over_time_and_lines_share_one_scale() -> None:
    rates = Rates()
    known = {"queue_name": "q", "sent_rate": 4.0, "deleted_rate": 1.0, "archived_rate": None}
    rates.add_history([{**known, "at": "1970-01-01T00:16:30+00:00"}, {**known, "at": "x", "sent_rate": None}])
    rates.add(1005.0, [{"queue_name": "q", "sent": 10, "messages": 10}])
    assert rates.now("q") is None
    rates.add(1007.0, [{"queue_name": "q", "sent": 14, "messages": 12}])
    assert rates.now("q") == (2.0, 1.0)
    assert rates.lines("q", 1007.0) == {"in": "118.0,1.0 120.0,12.0", "out": "118.0,17.5 120.0,17.5"}
    rates.add(2000.0, [{"queue_name": "q", "sent": 14, "messages": 12}])
    # All steps with traffic are too old.
    assert rates.lines("q", 2000.0) is None


def test_quantities_as_text() -> None:
    assert [quantities.count(n, exact=e) for n, e in ((None, True), (1234, True), (12_345_678, False))] == [
        "-",
        "1,234",
        "~12.3M",
    ]
    assert [quantities.age(n) for n in (None, -1, 59.9, 61, 3600, 90061, 1e8)] == [
        "-",
        "0s",
        "59s",
        "1m 1s",
        "1h 0m",
        "1d 1h",
        "1157d",
    ]
    assert [quantities.rate(n) for n in (None, 0, 0.04, 12.34, 1234.5)] == ["-", "0", "<0.1", "12.3", "1,234"]
    assert [quantities.duration(n) for n in (None, 0.0012, 0.05, 1.25)] == ["-", "1.2 ms", "50 ms", "1.2 s"]
    assert [quantities.size(n) for n in (None, 999, 8192, 123_456_789)] == ["-", "999 B", "8.2 kB", "123 MB"]


@pytest.mark.parametrize(
    ("time", "age"),
    [
        ("2026-01-01T00:00:00+00:00", "1d 0h"),
        ("2026-01-02T05:30:00.123456+05:30", "0s"),
        ("2027-01-01T00:00:00+00:00", "0s"),
        ("0001-01-01T00:00:00+14:00", "739617d"),
        *(
            (time, time)
            for time in (
                "infinity",
                "-infinity",
                "10000-01-01T00:00:00+00:00",
                "0044-03-15T00:00:00+00:00 BC",
                "2026-01-01",
                "2026-01-01T00:00:00",
            )
        ),
    ],
)
def test_an_age_is_that_of_a_date_or_the_time_itself(time: str, age: str) -> None:
    assert quantities.age_of(time, datetime(2026, 1, 2, tzinfo=UTC)) == age


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("name", ["text", "muted", "accent", "good", "warn", "bad", "visible", "delayed", "in-flight"])
def test_text_has_enough_contrast(name: str, dark: bool) -> None:
    for ground in ("page", "surface", "raised"):
        assert contrast(theme.colour(name, dark=dark), theme.colour(ground, dark=dark)) >= 4.5


def contrast(one: str, other: str) -> float:
    """The contrast ratio of two colours (WCAG 2.2)."""
    bright, less = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (bright + 0.05) / (less + 0.05)


def _luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
