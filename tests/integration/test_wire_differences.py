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
    "create domain public.email as text check (value like '%@%')",
    "create domain public.address as public.email check (value <> '@')",
    "create domain public.document as tsvector",
    "create type public.mood as enum ('sad', 'happy')",
    "create function public.mood_has(public.mood, int) returns bool language sql as 'select length($1::text) > $2'",
    "create operator public.@> (leftarg = public.mood, rightarg = int, function = public.mood_has)",
    "create table public.people (id int primary key, mail public.email, home public.address, words public.document,"
    " mood public.mood, raw bytea, codes int[], tag varchar(9), people text)",
    r"""insert into public.people values
        (1, 'a@x', 'a@home', 'quick fox', 'sad', '\x61', '{1}', 'one', 'all'),
        (2, 'b@x', 'b@home', 'lazy dog', 'happy', '\x62', '{2}', 'two', 'all')""",
    "create table public.others (id int)",
    "grant select on public.people, public.others to public",
    "create function public.people() returns setof public.people stable language sql as 'select * from public.people'",
    "create function public.person() returns public.people language sql as 'select * from public.people where id = 1'",
    "create function public.others() returns setof public.others stable language sql as 'select 7'",
    "create function public.pairs() returns table (a int, b text) language sql as $f$values (1, 'x'), (2, 'y')$f$",
    "create function public.out_one(out a int) language sql as 'select 1'",
    # Computed columns, two of them overloaded.
    "create function public.label(public.people) returns text stable language sql as 'select $1.mail'",
    "create function public.label(public.others) returns text stable language sql as $f$select 'other'$f$",
    "create function public.twice(public.people) returns int stable language sql as 'select 2 * $1.id'",
    "create function public.twice(public.others) returns int stable language sql as 'select 2 * $1.id'",
    "create function public.half(public.people) returns numeric stable language sql as 'select $1.id / 2.0'",
    "create function public.vector(public.people) returns tsvector stable language sql as 'select $1.words::tsvector'",
    "create function public.info(public.people) returns jsonb stable language sql as"
    " $f$select jsonb_build_object('id', $1.id)$f$",
    # Rows whose columns no declaration has.
    "create function public.any_row() returns record language sql as"
    " $f$select id, mail from public.people where id = 1$f$",
    "create function public.any_rows(above int default 0) returns setof record language sql as"
    " $f$select id, mail from public.people where id > above order by id$f$",
    """create function public.any_kept(t text) returns record language sql as $f$
        insert into public.said values (t) returning t, length(t) as size
    $f$""",
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
            for target in (b"/rpc/greet?name=\xe9", b"/rpc/greet?name=%e9"):
                assert ask(connection, raw(target)).code == "PGRST100"
        answer = ask(connection, raw("/rpc/say?pgrst_scalar=in.(é)".encode(), '{"t": "é"}'.encode()))
        assert (answer.status, answer.body.decode()) == (200, '"é"')
        assert b"public.gr\xc3\xbc\xc3\x9fe without" in ask(connection, raw("/rpc/grüße".encode())).body


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


ROWS = [{"id": 1, "mail": "a@x"}, {"id": 2, "mail": "b@x"}]


def test_w3_rows_without_declared_columns(gateway: RunningGateway, said: Callable[[], list[str]]) -> None:
    client = gateway.client
    assert client.post("/rpc/any_row").json() == ROWS[0]
    assert client.post("/rpc/any_rows").json() == ROWS
    assert client.post("/rpc/any_rows", json={"above": 1}).json() == ROWS[1:]
    assert client.post("/rpc/any_rows", data={"above": "1"}).json() == ROWS[1:]
    assert client.post("/rpc/any_rows?limit=1", headers={"Prefer": "count=exact"}).json() == ROWS[:1]
    assert refusal(client.post("/rpc/any_rows?select=id"))[:2] == (400, "42703")
    assert client.post("/rpc/any_kept", json={"t": "once"}).json() == {"t": "once", "size": 4}
    assert said() == ["once"]


FILTERS = {
    # W9: a value that the domain forbids equals no row.
    "mail=eq.x": [],
    "mail=neq.x": [1, 2],
    "mail=in.(x,a@x,)": [1],
    "mail=not.in.(x)": [1, 2],
    "mail=eq(any).{x,b@x}": [2],
    "mail=isdistinct.x": [1, 2],
    "home=eq.@": [],
    "home=in.(@,b@home)": [2],
    "and=(mail.eq.x,id.eq.1)": [],
    "or=(mail.eq.x,id.eq.1)": [1],
    "home=like.a*": [1],
    # W11: computed columns, overloaded ones too.
    "label=eq.a@x": [1],
    "label=like.b*": [2],
    "twice=eq.4": [2],
    "twice=in.(2,4)": [1, 2],
    "twice=gt(all).{1,3}": [2],
    "half=lt.0.75": [1],
    "info->id=eq.2": [2],
    "info=cs.{\"id\":1}": [1],
    # W12: full text on a domain and on a computed column; a right side of another type.
    "words=fts(simple).quick": [1],
    "words=fts.dog": [2],
    "vector=plfts(simple).lazy dog": [2],
    "vector=wfts.quick": [1],
    "mail=fts(simple).b@x": [2],
    "mood=cs.4": [2],
    "mood=eq.sad": [1],
    "raw=like.a*": [1],
    "raw=eq.b": [2],
    "codes=cs.{2}": [2],
    "tag=match.^o": [1],
    "tag=eq.two": [2],
}  # fmt: skip


@pytest.mark.parametrize(("query", "expected"), FILTERS.items(), ids=FILTERS)
def test_w9_w11_w12_filters_compare_as_postgres_compares_literals(
    gateway: RunningGateway, query: str, expected: list[int]
) -> None:
    answer = gateway.client.get(f"/rpc/people?select=id&order=id&{query}")
    assert answer.status_code == 200, answer.text
    assert [row["id"] for row in answer.json()] == expected


def test_w11_overloaded_computed_columns_are_selected_and_sorted_by(gateway: RunningGateway) -> None:
    answer = gateway.client.get("/rpc/people?select=id,label,twice,double:twice::text,number:info->id&order=twice.desc")
    assert answer.json() == [
        {"id": 2, "label": "b@x", "twice": 4, "double": "4", "number": 2},
        {"id": 1, "label": "a@x", "twice": 2, "double": "2", "number": 1},
    ]  # fmt: skip
    assert gateway.client.get("/rpc/others?select=*,label").json() == [{"id": 7, "label": "other"}]
    assert gateway.client.post("/rpc/person?select=twice&label=eq.a@x").json() == {"twice": 2}
    # A computed column that is younger than the catalog.
    gateway.sql("create function public.young(public.people) returns text language sql stable as 'select $1.mail'")
    assert gateway.client.get("/rpc/people?select=young&young=eq.b@x").json() == [{"young": "b@x"}]


@pytest.mark.parametrize(
    ("function", "row"),
    [("people", "people"), ("person", "people"), ("pairs", "record"), ("out_one", "int4"), ("greet", "greet")],
)
@pytest.mark.parametrize("query", ["nope=eq.1", "order=nope", "or=(nope.is.null)", "select=*,nope", "nope->a=eq.1"])
def test_w10_an_unknown_column_is_named_after_the_type_of_the_row(
    gateway: RunningGateway, function: str, row: str, query: str
) -> None:
    answer = gateway.client.post(f"/rpc/{function}?{query}")
    assert refusal(answer) == (400, "42703", f"column {row}.nope does not exist")


def test_w10_an_unknown_column_in_select_is_named_after_the_call(gateway: RunningGateway) -> None:
    for function in ("people", "person", "pairs", "out_one"):
        answer = gateway.client.post(f"/rpc/{function}?select=nope,none&order=neither")
        assert refusal(answer) == (400, "42703", "column pgrst_call.nope does not exist"), function
