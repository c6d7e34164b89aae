"""Shaping of results by the query string, Accept, Prefer and Range.

The last tests throw hostile texts at a real Postgres: whatever a caller writes stays a name or a value.
"""

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.answers import refusal
from tests.gateways import RunningGateway
from tests.server import Serve

JSON = "application/json; charset=utf-8"
OBJECT = "application/vnd.pgrst.object+json"
GATEWAY = {"PGRST_DB_TX_END": "commit-allow-override"}
SCHEMAS = (
    """create table public.items (
        id int primary key, name text, data jsonb, made timestamptz, tags int[], span int4range, note text
    )""",
    """insert into public.items values
        (1, 'alpha', '{"a": 1, "b": {"c": "x", "d": null}}', '2026-01-01', '{1,2}', '[1,5)', 'the quick fox'),
        (2, 'beta', '{"a": 2, "b": {"c": "y"}}', '2026-02-01', '{2,3}', '[5,10)', null),
        (3, 'Gamma', '{"a": null, "l": [7, 8]}', '2026-03-01 12:00:00.25+00', '{3}', '[10,20)', 'lazy dogs'),
        (4, null, null, null, null, null, null)""",
    "create table public.runs (n int)",
    "create table public.canary (n int)",
    "insert into public.canary values (42)",
    "grant all on public.items, public.runs, public.canary to public",
    "create function public.items() returns setof public.items stable language sql as 'select * from public.items'",
    """create function public.draw() returns setof public.items language sql as $f$
        insert into public.runs values (1);
        select * from public.items order by id
    $f$""",
    "create function public.label(public.items) returns text stable language sql as 'select $1.name'",
    "create domain public.code as text check (value <> '')",
    """create function public.coded() returns table (id int, code public.code) language sql as $f$
        select id, name from public.draw()
    $f$""",
    "create function public.numbers(n int) returns setof int stable language sql as 'select generate_series(1, n)'",
    "create function public.run() returns int language sql as 'insert into public.runs values (1) returning 7'",
    "create function public.zone() returns text stable language sql as $f$select current_setting('timezone')$f$",
    """create function public.answering(headers text, status text) returns int language plpgsql as $f$
    begin
        perform set_config('response.headers', headers, true), set_config('response.status', status, true);
        return 1;
    end $f$""",
    "create function public.take_jsonb(jsonb) returns jsonb immutable language sql as 'select $1'",
    "create function public.take_text(text) returns text immutable language sql as 'select $1'",
    "create function public.take_bytea(bytea) returns int immutable language sql as 'select octet_length($1)'",
    "create function public.add(a int, b text) returns text immutable language sql as $f$select a || b$f$",
    """create function public.checked() returns void language plpgsql as $f$
    begin
        if current_setting('request.path') = '/rpc/zone' then
            raise exception 'not you, %', current_user using errcode = 'PT418';
        end if;
    end $f$""",
)  # fmt: skip

# Query parameters, and the numbers of the remaining rows.
FILTERS: dict[str, list[int]] = {
    "id=eq.2": [2],
    "id=neq.2": [1, 3, 4],
    "id=gt.2": [3, 4],
    "id=gte.2": [2, 3, 4],
    "id=lt.2": [1],
    "id=lte.2": [1, 2],
    "made=gt.2026-01-15": [2, 3],
    "name=like.*a": [1, 2, 3],
    "name=like.B*": [],
    "name=ilike.B*": [2],
    "name=match.^b": [2],
    "name=imatch.^g": [3],
    "id=in.(1,3)": [1, 3],
    "id=in.()": [],
    'name=in.("alpha",beta)': [1, 2],
    "name=is.null": [4],
    "name=is.not_null": [1, 2, 3],
    "tags=cs.{2}": [1, 2],
    "tags=cd.{1,2,9}": [1],
    "tags=ov.{3,9}": [2, 3],
    "span=sl.[10,20)": [1, 2],
    "span=sr.[1,5)": [2, 3],
    "span=nxr.[1,10)": [1, 2],
    "span=nxl.[5,6)": [2, 3],
    "span=adj.[10,20)": [2],
    "name=isdistinct.beta": [1, 3, 4],
    "note=fts.fox": [1],
    "note=plfts(english).quick fox": [1],
    "note=phfts(english).lazy dog": [3],
    "note=wfts(english).fox or dogs": [1, 3],
    "id=eq(any).{1,3}": [1, 3],
    "id=gt(all).{1,2}": [3, 4],
    "name=like(any).{a*,b*}": [1, 2],
    "name=like(all).{*a,*l*}": [1],
    "data=cs.{\"a\":1}": [1],
    "data->a=eq.2": [2],
    "data->b->>c=eq.x": [1],
    "data->>a=is.null": [3, 4],
    "data->l->>0=eq.7": [3],
    "data->l->>-1=eq.8": [3],
    "id=not.eq.2": [1, 3, 4],
    "id=not.in.(1,2)": [3, 4],
    "name=not.is.null": [1, 2, 3],
    "id=gt.1&id=lt.4": [2, 3],
    "or=(id.eq.1,name.is.null)": [1, 4],
    "and=(id.gt.1,or(id.lt.3,name.eq.Gamma))": [2, 3],
    "not.or=(id.eq.1,id.eq.2)": [3, 4],
    "not.and=(id.gte.2,id.lte.3)": [1, 4],
    "or=(not.and(id.gte.2,id.lte.3),id.eq.2)": [1, 2, 4],
    'or=(name.eq."alpha",tags.cs.{2,3})': [1, 2],
}  # fmt: skip

Get = Callable[..., httpx.Response]


@pytest.fixture
def get(gateway: RunningGateway) -> Get:
    """get("items", "select=id", Accept="…") calls a function by GET with an unchanged query string."""

    def ask(function: str, query: str = "", **headers: str) -> httpx.Response:
        pairs = [pair.partition("=") for pair in query.split("&") if pair]
        return gateway.client.get(f"/rpc/{function}", params=[(n, v) for n, _, v in pairs], headers=headers)

    return ask


@pytest.fixture
def post(gateway: RunningGateway) -> Get:
    """post("draw", "limit=1", {}, Prefer="…") calls a function by POST."""

    def ask(function: str, query: str = "", body: object = None, **headers: str) -> httpx.Response:
        pairs = [pair.partition("=") for pair in query.split("&") if pair]
        return gateway.client.post(
            f"/rpc/{function}", params=[(n, v) for n, _, v in pairs], json=body or {}, headers=headers
        )

    return ask


@pytest.fixture
def runs(gateway: RunningGateway) -> Callable[[], int]:
    """How often writing functions have committed in this test."""
    gateway.sql("truncate public.runs")

    def count() -> int:
        number: int = gateway.sql("select count(*) from public.runs")[0][0]
        return number

    return count


def ids(answer: httpx.Response) -> list[int]:
    assert answer.status_code in (200, 206), answer.text
    return [row["id"] for row in answer.json()]


@pytest.mark.parametrize(("query", "expected"), FILTERS.items(), ids=FILTERS)
def test_filters(get: Get, post: Get, query: str, expected: list[int]) -> None:
    assert ids(get("items", f"{query}&order=id")) == expected
    assert ids(post("draw", f"{query}&order=id")) == expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("id=in.()", []),
        ("id=not.in.()", [1, 2, 3, 4]),
        ("name=in.()&id=gt.0", []),
        ("and=(id.in.(),name.eq.alpha)", []),
        ("or=(id.in.(),id.eq.1)", [1]),
        ("not.and=(id.in.(),id.eq.1)", [1, 2, 3, 4]),
        ("and=(or(id.in.(),name.in.()),id.in.())", []),
        ("data->a=in.()", []),
        ("data->>a=in.()", []),
        ("data->>a=not.in.()", [1, 2, 3, 4]),
        ("span=in.()", []),
        ("label=in.()", []),
    ],
)
@pytest.mark.parametrize("prefer", [{}, {"Prefer": "count=exact"}])
def test_the_function_runs_before_an_empty_list_hides_its_rows(
    post: Get, runs: Callable[[], int], query: str, expected: list[int], prefer: dict[str, str]
) -> None:
    assert ids(post("draw", f"{query}&order=id", **prefer)) == expected
    assert runs() == 1


def test_an_empty_list_works_on_a_domain_and_on_a_scalar(post: Get, runs: Callable[[], int]) -> None:
    assert ids(post("coded", "code=in.()")) == []
    assert ids(post("coded", "code=not.in.()&order=id")) == [1, 2, 3, 4]
    assert post("run", "pgrst_scalar=in.()").json() is None
    assert post("run", "pgrst_scalar=not.in.()").json() == 7
    assert runs() == 4


@pytest.mark.parametrize("query", ["nope=in.()", "nope=not.in.()", "or=(nope.in.(),id.eq.1)"])
def test_an_unknown_column_is_refused_with_an_empty_list_too(post: Get, runs: Callable[[], int], query: str) -> None:
    assert refusal(post("draw", query)) == (400, "42703", "column items.nope does not exist")
    assert runs() == 0


@pytest.mark.parametrize(
    ("select", "expected"),
    [
        ("id,name", {"id": 1, "name": "alpha"}),
        ("number:id", {"number": 1}),
        ("id::text", {"id": "1"}),
        ("x:id::double precision", {"x": 1.0}),
        ("tags::text", {"tags": "{1,2}"}),
        ("data->a", {"a": 1}),
        ("data->b->>c", {"c": "x"}),
        ("x:data->b", {"x": {"c": "x", "d": None}}),
        ("x:data->>a::int", {"x": 1}),
        ("tags->0", {"tags": 1}),
        ("made", {"made": "2026-01-01T00:00:00+00:00"}),
        ('"id"', {"id": 1}),
        ('é"x:id', None),
        ('"a ""b":id', None),
        (r'"é\"x":id', {'é"x': 1}),
    ],
)
def test_select(get: Get, select: str, expected: dict[str, Any] | None) -> None:
    answer = get("items", f"select={select}&id=eq.1")
    if expected is None:
        assert refusal(answer)[:2] == (400, "PGRST100")
    else:
        assert (answer.status_code, answer.json()) == (200, [expected])


def test_select_of_all_and_more(get: Get) -> None:
    (row,) = get("items", "select=*,again:id&id=eq.4").json()
    assert row == {**dict.fromkeys(("name", "data", "made", "tags", "span", "note")), "id": 4, "again": 4}


def test_an_unknown_column_is_named(get: Get) -> None:
    expected = (400, "42703", "column pgrst_call.nope does not exist")
    assert refusal(get("items", "select=nope")) == expected
    assert refusal(get("numbers", "n=2&foo=eq.1")) == (400, "42703", "column numbers.foo does not exist")


def test_an_embedded_resource_is_refused(get: Get) -> None:
    assert refusal(get("items", "select=id,other(*)"))[:2] == (400, "PGRST200")


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("id.desc", [4, 3, 2, 1]),
        ("made", [1, 2, 3, 4]),
        ("made.desc", [4, 3, 2, 1]),
        ("made.desc.nullslast", [3, 2, 1, 4]),
        ("made.nullsfirst", [4, 1, 2, 3]),
        ("data->>a.nullsfirst,id.desc", [4, 3, 1, 2]),
    ],
)
def test_order(get: Get, order: str, expected: list[int]) -> None:
    assert ids(get("items", f"order={order}")) == expected


@pytest.mark.parametrize(
    ("query", "count", "status", "expected", "range_"),
    [
        ("", False, 200, [1, 2, 3, 4], "0-3/*"),
        ("", True, 200, [1, 2, 3, 4], "0-3/4"),
        ("limit=2", False, 200, [1, 2], "0-1/*"),
        ("limit=2", True, 206, [1, 2], "0-1/4"),
        ("limit=2&offset=1", True, 206, [2, 3], "1-2/4"),
        ("offset=3", False, 200, [4], "3-3/*"),
        ("offset=9", False, 200, [], "*/*"),
        ("id=gt.2&limit=1", True, 206, [3], "0-0/2"),
        ("id=gt.9", True, 200, [], "*/0"),
    ],
)
def test_limit_and_offset(post: Get, query: str, count: bool, status: int, expected: list[int], range_: str) -> None:
    answer = post("draw", f"{query}&order=id", **({"Prefer": "count=exact"} if count else {}))
    assert (answer.status_code, answer.headers["content-range"]) == (status, range_)
    assert ids(answer) == expected
    assert answer.headers.get("preference-applied") == ("count=exact" if count else None)


def test_count_planned_counts_nothing_and_estimated_all(get: Get) -> None:
    answers = [get("items", "limit=1", Prefer=f"count={kind}") for kind in ("planned", "estimated")]
    assert [answer.headers["content-range"] for answer in answers] == ["0-0/*", "0-0/4"]
    assert [answer.headers["preference-applied"] for answer in answers] == ["count=planned", "count=estimated"]


def test_an_offset_beyond_the_rows_is_416_and_rolled_back(post: Get, runs: Callable[[], int]) -> None:
    """A deliberate difference from PostgREST, which commits, so that a pop with an offset loses messages."""
    answer = post("draw", "offset=9", Prefer="count=exact")
    assert refusal(answer)[:2] == (416, "PGRST103")
    assert runs() == 0
    assert post("draw", "offset=9").json() == []
    assert runs() == 1


def test_a_negative_limit_runs_nothing(post: Get, runs: Callable[[], int]) -> None:
    assert refusal(post("draw", "limit=-1"))[:2] == (416, "PGRST103")
    assert runs() == 0


def test_limit_0_runs_nothing(post: Get, runs: Callable[[], int]) -> None:
    answer = post("draw", "limit=0")
    assert (answer.status_code, answer.json(), answer.headers["content-range"]) == (200, [], "*/*")
    assert runs() == 0


def test_a_limit_hides_rows_of_a_function_that_ran(post: Get, runs: Callable[[], int]) -> None:
    assert ids(post("draw", "limit=1")) == [1]
    assert runs() == 1


def test_a_range_header_counts_on_get_only(get: Get, post: Get) -> None:
    answer = get("items", "order=id", Range="1-2")
    assert (ids(answer), answer.headers["content-range"]) == ([2, 3], "1-2/*")
    assert ids(get("items", "order=id", Range="2-")) == [3, 4]
    assert ids(get("items", "order=id", Range="nonsense")) == [1, 2, 3, 4]
    assert refusal(get("items", Range="2-1"))[:2] == (416, "PGRST103")
    assert ids(post("draw", "order=id", Range="1-2")) == [1, 2, 3, 4]
    assert ids(post("draw", "order=id", Range="2-1")) == [1, 2, 3, 4]


def test_a_single_object(post: Get, runs: Callable[[], int]) -> None:
    answer = post("draw", "id=eq.1&select=id,name", Accept=OBJECT)
    assert (answer.status_code, answer.json()) == (200, {"id": 1, "name": "alpha"})
    assert answer.headers["content-type"] == f"{OBJECT}; charset=utf-8"
    assert runs() == 1


@pytest.mark.parametrize(("query", "rows"), [("id=eq.9", 0), ("id=lt.3", 2)])
def test_no_single_object_is_406_and_rolled_back(post: Get, runs: Callable[[], int], query: str, rows: int) -> None:
    answer = post("draw", query, Accept=OBJECT)
    assert refusal(answer) == (406, "PGRST116", "Cannot coerce the result to a single JSON object")
    assert answer.json()["details"] == f"The result contains {rows} rows"
    assert runs() == 0


def test_a_single_object_of_scalars(get: Get, post: Get) -> None:
    assert get("numbers", "n=1", Accept=OBJECT).text == '{"pgrst_scalar":1}'
    assert post("run", Accept=OBJECT).text == "7"


def test_nulls_are_stripped_at_every_depth(get: Get) -> None:
    query = "select=id,name,data&id=in.(1,4)&order=id"
    answer = get("items", query, Accept="application/vnd.pgrst.array+json;nulls=stripped")
    assert answer.json() == [{"id": 1, "name": "alpha", "data": {"a": 1, "b": {"c": "x"}}}, {"id": 4}]
    assert answer.headers["content-type"].startswith("application/vnd.pgrst.array+json;nulls=stripped")
    one = get("items", "select=id,name&id=eq.4", Accept=f"{OBJECT};nulls=stripped")
    assert one.json() == {"id": 4}


def test_csv(get: Get) -> None:
    answer = get("items", "select=id,name,made,tags&order=id&id=gt.2", Accept="text/csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.text == 'id,name,made,tags\n3,Gamma,"2026-03-01 12:00:00.25+00",{3}\n4,,,'
    assert get("items", "id=eq.9", Accept="text/csv").text == "\n"
    assert get("numbers", "n=2", Accept="text/csv").text == "pgrst_scalar\n1\n2"


def test_csv_has_its_header_in_the_order_of_select(get: Get) -> None:
    """A deliberate difference from PostgREST, which sorts the names but not the values."""
    assert get("items", "select=name,id&id=eq.1", Accept="text/csv").text == "name,id\nalpha,1"


def test_nothing_acceptable_runs_nothing(post: Get, runs: Callable[[], int]) -> None:
    message = "None of these media types are available: text/plain"
    assert refusal(post("draw", Accept="text/plain")) == (406, "PGRST107", message)
    assert runs() == 0


def test_strict_refuses_unknown_preferences(post: Get, runs: Callable[[], int]) -> None:
    answer = post("draw", Prefer="handling=strict, foo=bar, baz")
    assert refusal(answer) == (400, "PGRST122", "Invalid preferences given with handling=strict")
    assert answer.json()["details"] == "Invalid preferences: foo=bar, baz"
    assert runs() == 0
    lenient = post("draw", Prefer="handling=lenient, foo=bar")
    assert (lenient.status_code, lenient.headers["preference-applied"]) == (200, "handling=lenient")


def test_max_affected(post: Get, runs: Callable[[], int]) -> None:
    answer = post("draw", Prefer="handling=strict, max-affected=3")
    assert refusal(answer) == (400, "PGRST124", "Query result exceeds max-affected preference constraint")
    assert answer.json()["details"] == "The query affects 4 rows"
    assert runs() == 0
    fine = post("draw", Prefer="max-affected=4, handling=strict")
    assert (fine.status_code, fine.headers["preference-applied"]) == (200, "handling=strict, max-affected=4")
    assert refusal(post("run", Prefer="handling=strict, max-affected=3"))[:2] == (400, "PGRST128")
    ignored = post("draw", Prefer="max-affected=1")
    assert (ignored.status_code, "preference-applied" in ignored.headers) == (200, False)


def test_timezone(get: Get) -> None:
    answer = get("items", "select=made&id=eq.1", Prefer="timezone=Asia/Tokyo")
    assert answer.json() == [{"made": "2026-01-01T09:00:00+09:00"}]
    assert answer.headers["preference-applied"] == "timezone=Asia/Tokyo"
    # The next request on the connection finds no trace of it.
    assert {get("zone").json() for _ in range(4)} == {get("zone", Prefer="timezone=Mars/Phobos").json()}


def test_a_caller_may_ask_for_rollback_where_the_operator_allows_it(post: Get, runs: Callable[[], int]) -> None:
    answer = post("run", Prefer="tx=rollback")
    assert (answer.status_code, answer.text, answer.headers["preference-applied"]) == (200, "7", "tx=rollback")
    assert runs() == 0
    assert post("run", Prefer="tx=commit").headers["preference-applied"] == "tx=commit"
    assert runs() == 1


def other(gateway: RunningGateway, serve: Serve, **settings: str) -> httpx.Client:
    """A client of another gateway on the same database."""
    return httpx.Client(base_url=serve(gateway.sql("select current_database()")[0][0], **settings).url, timeout=30)


def test_an_operator_may_roll_everything_back(gateway: RunningGateway, serve: Serve, runs: Callable[[], int]) -> None:
    with other(gateway, serve, PGRST_DB_TX_END="rollback") as client:
        answer = client.post("/rpc/run", headers={"Prefer": "tx=commit"})
        assert (answer.status_code, answer.text) == (200, "7")
        assert "preference-applied" not in answer.headers
        headers = {"headers": '[{"X-Own": "1"}]', "status": "202"}
        own_answer = client.post("/rpc/answering", json=headers)
        assert (own_answer.status_code, own_answer.headers.get("x-own")) == (202, "1")
    assert runs() == 0


def test_callers_have_no_choice_by_default(gateway: RunningGateway, serve: Serve, runs: Callable[[], int]) -> None:
    with other(gateway, serve) as client:
        answer = client.post("/rpc/run", headers={"Prefer": "tx=rollback"})
        assert (answer.status_code, "preference-applied" in answer.headers) == (200, False)
    assert runs() == 1


def test_an_operator_may_limit_rows(gateway: RunningGateway, serve: Serve, runs: Callable[[], int]) -> None:
    with other(gateway, serve, PGRST_DB_MAX_ROWS="2") as client:
        answer = client.post("/rpc/draw")
        assert (ids(answer), answer.headers["content-range"]) == ([1, 2], "0-1/*")
        assert ids(client.post("/rpc/draw?limit=3")) == [1, 2]
        assert ids(client.post("/rpc/draw?limit=1")) == [1]
        counted = client.post("/rpc/draw", headers={"Prefer": "count=exact"})
        assert (counted.status_code, counted.headers["content-range"]) == (206, "0-1/4")
    assert runs() == 4


def test_a_function_before_each_call(gateway: RunningGateway, serve: Serve) -> None:
    with other(gateway, serve, PGRST_DB_PRE_REQUEST="public.checked") as client:
        assert client.post("/rpc/run").text == "7"
        assert refusal(client.get("/rpc/zone")) == (418, "PT418", "not you, anon")


def answering(post: Get, headers: str = "", status: str = "") -> httpx.Response:
    return post("answering", "", {"headers": headers, "status": status})


def test_a_function_sets_headers(post: Get) -> None:
    answer = answering(post, '[{"X-Own": "1"}, {"content-range": "mine"}, {"Cache-Control": "max-age=9"}]')
    assert (answer.status_code, answer.text, answer.headers["x-own"]) == (200, "1", "1")
    assert answer.headers.get_list("content-range") == ["mine"]
    assert answer.headers["cache-control"] == "max-age=9"


def test_a_function_sets_two_cookies(post: Get) -> None:
    answer = answering(post, '[{"Set-Cookie": "a=1"}, {"Set-Cookie": "b=2"}]')
    assert answer.headers.get_list("set-cookie") == ["a=1", "b=2"]


def test_a_line_break_in_a_value_starts_no_header(post: Get) -> None:
    answer = answering(post, '[{"X-Own": "1\\r\\nX-Evil: 1"}]')
    assert (answer.status_code, "x-evil" in answer.headers) == (200, False)


@pytest.mark.parametrize("headers", ["nonsense", '{"X-Own": "1"}', '[{"X-Own": 1}]', '["X-Own"]'])
def test_headers_that_cannot_be_sent(post: Get, headers: str) -> None:
    status, code, message = refusal(answering(post, headers))
    assert (status, code) == (500, "PGRST111")
    assert (
        message == "response.headers guc must be a JSON array composed of objects with a single key and a string value"
    )


def test_a_function_sets_the_status(post: Get) -> None:
    assert [answering(post, status=status).status_code for status in ("201", "404", "")] == [201, 404, 200]
    empty = answering(post, status="204")
    assert (empty.status_code, empty.content) == (204, b"")
    # The next call on the connection has its own.
    assert [post("run").status_code for _ in range(4)] == [200] * 4


@pytest.mark.parametrize("status", ["teapot", "99", "600", "-1", "200.5"])
def test_a_status_that_cannot_be_sent(post: Get, status: str) -> None:
    expected = (500, "PGRST112", "response.status guc must be a valid status code")
    assert refusal(answering(post, status=status)) == expected


@pytest.mark.parametrize(
    ("function", "content_type", "body", "expected"),
    [
        ("take_jsonb", "application/json", b'{"a": [1, null]}', {"a": [1, None]}),
        ("take_jsonb", "application/json", b'[{"a": 1}, {"a": 2}]', [{"a": 1}, {"a": 2}]),
        ("take_jsonb", "application/json", b"7", 7),
        ("take_text", "text/plain", "a 'quoted' é\n".encode(), "a 'quoted' é\n"),
        ("take_text", "text/plain; charset=utf-8", b"{}", "{}"),
        ("take_bytea", "application/octet-stream", bytes(range(256)), 256),
        ("take_bytea", "application/octet-stream", b"", 0),
        ("add", "text/csv", b"a,b\n1,x\n2,y", "1x"),
        ("add", "application/x-www-form-urlencoded", b"a=1&b=x%2By", "1x+y"),
    ],
)
def test_bodies_of_every_kind(
    gateway: RunningGateway, function: str, content_type: str, body: bytes, expected: object
) -> None:
    answer = gateway.client.post(f"/rpc/{function}", content=body, headers={"Content-Type": content_type})
    assert (answer.status_code, answer.json()) == (200, expected)


def test_bodies_that_no_function_takes(gateway: RunningGateway) -> None:
    def ask(function: str, content_type: str, body: bytes = b"x") -> httpx.Response:
        return gateway.client.post(f"/rpc/{function}", content=body, headers={"Content-Type": content_type})

    message = "Could not find the function public.add in the schema cache"
    answer = ask("add", "text/plain")
    assert refusal(answer) == (404, "PGRST202", message)
    assert answer.json()["details"] == (
        "Searched for the function public.add with a single unnamed text parameter, "
        "but no matches were found in the schema cache."
    )
    assert refusal(ask("take_text", "application/octet-stream"))[:2] == (404, "PGRST202")
    assert refusal(ask("add", "text/csv", b"a,b\n1"))[:2] == (400, "PGRST102")
    message = "Content-Type not acceptable: application/xml"
    assert refusal(ask("add", "application/xml")) == (400, "PGRST102", message)


def test_columns_choose_the_arguments(post: Get) -> None:
    assert post("add", "columns=a,b", {"a": 1, "b": "x", "further": True}).json() == "1x"
    assert refusal(post("add", "columns=a", {"a": 1, "b": "x"}))[:2] == (404, "PGRST202")
    assert refusal(post("add", "", {"a": 1, "b": "x", "further": True}))[:2] == (404, "PGRST202")


# Special characters and words of the grammar or of SQL.
TOKENS = st.sampled_from(
    [
        *"\"'\\;()*,.:{}[]$-><!%& \n\0",
        *("->", "->>", "::", "--", "/*", "*/", "$1", "$$", "not.", "eq.", ".desc", "é", "日", "9", "text", "int"),
        *("id", "name", "data", "tags", "'; drop table public.canary; --", '"; delete from public.canary; --'),
        *("(select 1)", "pg_sleep(9)", "truncate public.canary", ") as x; drop table public.canary; --"),
    ]
)
HOSTILE = st.one_of(st.text(max_size=30), st.lists(TOKENS, max_size=12).map("".join))
PAIRS = st.one_of(
    st.tuples(st.sampled_from(["select", "order", "and", "or", "limit", "offset", "columns"]), HOSTILE),
    HOSTILE.map(lambda text: ("select", f'"{text}":id')),
    HOSTILE.map(lambda text: ("select", f"id::{text}")),
    HOSTILE.map(lambda text: ("select", f"data->>{text}")),
    HOSTILE.map(lambda text: ("order", f"data->{text}")),
    HOSTILE.map(lambda text: ("or", f"(name.eq.{text},id.eq.1)")),
    st.tuples(st.sampled_from(["id", "name", "data", "tags", "data->a"]), HOSTILE.map(lambda text: f"eq.{text}")),
    st.tuples(st.sampled_from(["name", "note"]), HOSTILE.map(lambda text: f"fts({text}).x")),
    st.tuples(HOSTILE, HOSTILE.map(lambda text: f"like.{text}")),
)


@settings(max_examples=100, deadline=None)
@given(pairs=st.lists(PAIRS, min_size=1, max_size=3), accept=st.sampled_from(["*/*", "text/csv", OBJECT]))
def test_a22_hostile_texts_stay_names_and_values(
    gateway: RunningGateway, pairs: list[tuple[str, str]], accept: str
) -> None:
    headers = {"Accept": accept, "Prefer": "count=exact"}
    answer = gateway.client.post("/rpc/draw", params=tuple(pairs), json={}, headers=headers)
    assert answer.status_code in (200, 206, 400, 404, 406, 416), answer.text
    assert gateway.sql("select n from public.canary") == [(42,)]
    assert gateway.sql("select count(*) from public.items") == [(4,)]


@settings(max_examples=100, deadline=None)
@given(alias=st.text(alphabet=st.characters(exclude_characters="\0", codec="utf-8"), min_size=1, max_size=12))
def test_any_alias_comes_back(gateway: RunningGateway, alias: str) -> None:
    written = alias.replace("\\", "\\\\").replace('"', '\\"')
    pairs = {"select": f'"{written}":id', "id": "eq.1"}
    answer = gateway.client.get("/rpc/items", params=pairs)
    assert (answer.status_code, answer.json()) == (200, [{alias: 1}])
    lines = gateway.client.get("/rpc/items", params=pairs, headers={"Accept": "text/csv"}).text
    quoted = '"' + alias.replace('"', '""') + '"'
    assert lines in (f"{alias}\n1", f"{quoted}\n1")


@settings(max_examples=50, deadline=None)
@given(value=st.text(alphabet=st.characters(exclude_characters="\0", codec="utf-8"), max_size=20))
def test_any_value_is_compared_as_it_is(gateway: RunningGateway, value: str) -> None:
    answer = gateway.client.get("/rpc/items", params={"name": f"isdistinct.{value}", "select": "id", "order": "id"})
    assert ids(answer) == [1, 2, 3, 4] or value in ("alpha", "beta", "Gamma")
