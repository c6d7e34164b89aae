"""Differences from PostgREST that were found by sending the same requests to both, by their number."""

from collections.abc import Callable

import httpx
import pytest

from tests.answers import refusal
from tests.attacks.raw import ask, connected, exchange
from tests.gateways import RunningGateway

SCHEMAS = (
    "create table public.said (t text)",
    "grant all on public.said to public",
    """create function public.say(t text) returns text language sql as $f$
        insert into public.said values (t) returning t
    $f$""",
    "create function public.greet(name text default 'you') returns text language sql as $f$select 'hello ' || name$f$",
    "create function public.nothing() returns int language sql as 'select 1'",
    "create function public.taken(text) returns text language sql as 'select $1'",
    "create function public.taken(a int default 1) returns text language sql as $f$select 'defaults'$f$",
    "create function public.whole(text) returns text language sql as 'select $1'",
    "create function public.whole_json(json) returns json language sql as 'select $1'",
    "create function public.twins(b text, a int) returns int language sql as 'select 1'",
    "create function public.twins(a int, b int) returns int language sql as 'select 1'",
    "create function public.twins(a int, b text, c int default 0) returns int language sql as 'select 1'",
    "create function public.twins(a bigint, b text) returns int language sql as 'select 1'",
)  # fmt: skip


@pytest.fixture
def said(gateway: RunningGateway) -> Callable[[], list[str]]:
    """The texts that calls of `say` have stored in this test."""
    gateway.sql("truncate public.said")
    return lambda: [text for (text,) in gateway.sql("select t from public.said")]


@pytest.mark.parametrize("content_type", ["text/plain;charset=UTF-8", "text/xml", "application/octet-stream"])
@pytest.mark.parametrize("body", [b"", b"ignored"])
def test_w4_a_body_of_text_is_ignored_by_a_function_with_defaults(
    gateway: RunningGateway, content_type: str, body: bytes
) -> None:
    def call(function: str) -> httpx.Response:
        return gateway.client.post(f"/rpc/{function}", content=body, headers={"Content-Type": content_type})

    assert (call("greet").status_code, call("greet").json()) == (200, "hello you")
    # As in PostgREST: one with default values before one that takes the body, and none without arguments.
    assert call("taken").json() == "defaults"
    assert refusal(call("nothing"))[:2] == (404, "PGRST202")


def raw(target: bytes, body: bytes = b"") -> bytes:
    """A GET, or a POST of this body."""
    head = b"%s %s HTTP/1.1\r\nHost: gateway\r\nContent-Length: %d\r\n\r\n"
    return head % (b"POST" if body else b"GET", target, len(body)) + body


def test_w5_a_url_may_be_utf_8(gateway: RunningGateway) -> None:
    url = "/rpc/greet?name=é%20日".encode()
    with connected(gateway.server) as connection:
        # Equal heads take the fast path from the third time on, those that are not ASCII never do.
        for _ in range(4):
            for target in (url, b"/rpc/greet?name=%C3%A9%20%E6%97%A5"):
                assert ask(connection, raw(target)).body.decode() == '"hello é 日"'
        answer = ask(connection, raw("/rpc/say?pgrst_scalar=in.(é)".encode(), '{"t": "é"}'.encode()))
        assert (answer.status, answer.body.decode()) == (200, '"é"')
        assert ask(connection, raw(b"/rpc/greet?name=\xe9")).code == "PGRST100"


@pytest.mark.parametrize("size", [1, 5, 17, 18, 19])
def test_w5_a_url_may_arrive_in_parts(gateway: RunningGateway, size: int) -> None:
    sent = b"\r\n" + raw("/rpc/greet?name=éß".encode())
    with connected(gateway.server) as connection:
        for _ in range(2):
            for start in range(0, len(sent) - size, size):
                connection.sendall(sent[start : start + size])
            done = len(range(0, len(sent) - size, size)) * size
            assert ask(connection, sent[done:]).body.decode() == '"hello éß"'


def test_w5_a_url_behind_another_request_is_ascii(gateway: RunningGateway) -> None:
    pipelined = raw(b"/rpc/greet?name=a") + raw("/rpc/greet?name=é".encode())
    first, second = exchange(gateway.server, pipelined)
    assert (first.body, second.code) == (b'"hello a"', "PGMQ400")
    # Only the request line is changed: a header and a body are read as they are.
    headers = raw(b"/rpc/greet?name=a").replace(b"\r\n\r\n", b"\r\nX-\xc3\xa9: 1\r\n\r\n")
    assert [answer.code for answer in exchange(gateway.server, headers)] == ["PGMQ400"]


@pytest.mark.parametrize("value", ["%e9", "a%ffb", "%c3", "%ed%a0%80", "%c3%28"])
def test_w6_bytes_that_are_not_utf_8_are_refused(
    gateway: RunningGateway, said: Callable[[], list[str]], value: str
) -> None:
    def form(text: str) -> httpx.Response:
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        return gateway.client.post("/rpc/say", content=text, headers=headers)

    for path in (
        f"/rpc/greet?name={value}",
        f"/rpc/greet?{value}=x",
        f"/?{value}",
        f"/queues/x/messages?{value}",
    ):
        assert refusal(gateway.client.get(path)) == (400, "PGRST100", "The query string is not UTF-8"), path
    # A key is looked at first.
    assert gateway.client.get(f"/rpc/greet?apikey={value}").status_code == 401
    assert refusal(gateway.client.post(f"/rpc/say?say=eq.{value}", json={"t": "x"}))[:2] == (400, "PGRST100")
    assert refusal(form(f"t={value}")) == (400, "PGRST102", "The form is not UTF-8")
    assert said() == []
    assert form("t=%c3%a9+%F0%9F%98%80").json() == "é 😀"
    assert said() == ["é 😀"]


def test_w6_a_body_of_text_that_is_not_utf_8_is_refused(gateway: RunningGateway) -> None:
    answer = gateway.client.post("/rpc/whole", content=b"a\xe9b", headers={"Content-Type": "text/plain"})
    assert refusal(answer) == (400, "22021", 'invalid byte sequence for encoding "UTF8": 0xe9')
    answer = gateway.client.post("/rpc/say?columns=t", content=b'{"t": "\xff"}')
    assert refusal(answer) == (400, "22021", 'invalid byte sequence for encoding "UTF8": 0xff')


@pytest.mark.parametrize("type_", ["array", "array+json", "object", "object+json", "object+json; charset=utf-8"])
def test_w13_types_for_results_are_json_in_a_request(gateway: RunningGateway, type_: str) -> None:
    headers = {"Content-Type": f"application/vnd.pgrst.{type_}"}
    assert gateway.client.post("/rpc/greet", content=b'{"name": "me"}', headers=headers).json() == "hello me"
    assert gateway.client.post("/rpc/whole_json", content=b'{"a": 1.0}', headers=headers).text == '{"a": 1.0}'


@pytest.mark.parametrize("columns", ["", "a,", "(", "*"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST"])
def test_w14_columns_are_parsed_whatever_the_method(gateway: RunningGateway, method: str, columns: str) -> None:
    answer = gateway.client.request(method, "/rpc/greet", params={"columns": columns})
    assert (answer.status_code, answer.headers["proxy-status"]) == (400, "PostgREST; error=PGRST100")


def test_w14_well_formed_columns_of_a_get_have_no_effect(gateway: RunningGateway) -> None:
    assert gateway.client.get("/rpc/greet?columns=b&name=me").json() == "hello me"


def test_w15_candidates_are_sorted(gateway: RunningGateway) -> None:
    answer = gateway.client.post("/rpc/twins", json={"a": 1, "b": 2})
    assert refusal(answer)[:2] == (300, "PGRST203")
    listed = answer.json()["message"].partition(": ")[2]
    assert listed == ", ".join([
        "public.twins(a => bigint, b => text)", "public.twins(a => integer, b => integer)",
        "public.twins(b => text, a => integer)", "public.twins(a => integer, b => text, c => integer)",
    ])  # fmt: skip


@pytest.mark.parametrize("escape", ["\\ud800", "\\udc00", "\\ud800\\u0041", "\\ud800\\ud800"])
@pytest.mark.parametrize("body", ['{"t": "%s"}', '{"t": "x", "%s": 1}', '[{"t": "%s"}]', '{"t": {"%s": "x"}}', '"%s"'])
def test_w16_half_a_surrogate_pair_is_no_json(
    gateway: RunningGateway, said: Callable[[], list[str]], body: str, escape: str
) -> None:
    answer = gateway.client.post("/rpc/say", content=body % escape)
    assert refusal(answer) == (400, "PGRST102", "Empty or invalid json")
    assert said() == []
    assert gateway.client.post("/rpc/say", content=body.replace("%s", "\\ud83d\\ude00")).status_code in (200, 404)
