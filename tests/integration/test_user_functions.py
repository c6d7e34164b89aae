"""Functions that users add to an exposed schema."""

import json
import signal
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tests.answers import error, refusal
from tests.gateways import Bearer, RunningGateway
from tests.waiting import until

ODD = 'My "odd" schéma 日本'
ODD_PROFILE = {b"Content-Profile": ODD.encode()}
SCHEMAS = (
    'create schema "My ""odd"" schéma 日本"',
    'grant usage on schema "My ""odd"" schéma 日本" to public',
    "create type public.pair as (a int, b text)",
    "create domain public.pair_domain as public.pair",
    "create domain public.positive as int check (value > 0)",
    "create table public.things (id int primary key, name text)",
    "grant all on public.things to public",
)
GATEWAY = {"PGRST_DB_SCHEMAS": f"public, {ODD}"}


def function(gateway: RunningGateway, signature: str, body: str, options: str = "language sql") -> None:
    """Create a function in public."""
    gateway.define(f"create or replace function public.{signature} {options} as $f$ {body} $f$")


# Signature, body, arguments, and the text of the response.
RESULTS: dict[str, tuple[str, str, dict[str, Any], str]] = {
    "a scalar": ("r_scalar(a int, b int) returns int", "select a + b", {"a": 1, "b": 2}, "3"),
    "text": ("r_text(a text) returns text", "select a || 'é\"'", {"a": "x"}, '"xé\\""'),
    "a scalar null": ("r_null() returns int", "select null::int", {}, "null"),
    "json": ("r_json(a json) returns json", "select a", {"a": [1, {"b": None}]}, '[1,{"b":null}]'),
    "json null": ("r_json_null() returns json", "select 'null'::json", {}, "null"),
    "an array": ("r_array() returns int[]", "select array[1, 2]", {}, "[1,2]"),
    "a composite": ("r_pair() returns public.pair", "select (1, 'x')::public.pair", {}, '{"a":1,"b":"x"}'),
    "a table's row": ("r_row() returns public.things", "select (1, 'x')::public.things", {}, '{"id":1,"name":"x"}'),
    "a set of scalars": ("r_scalars() returns setof int", "values (3), (1), (2)", {}, "[3, 1, 2]"),
    "an empty set": ("r_empty() returns setof int", "select 1 where false", {}, "[]"),
    "a set with null": ("r_nulls() returns setof text", "values ('a'), (null)", {}, '["a", null]'),
    "a set of arrays": ("r_arrays() returns setof int[]", "values (array[1]), ('{}')", {}, "[[1], \n []]"),
    "a table": (
        "r_table() returns table (x int, y text)", "values (1, 'a'), (2, null)", {},
        '[{"x":1,"y":"a"}, \n {"x":2,"y":null}]',
    ),
    "an empty table": ("r_no_table() returns table (x int, y text)", "select 1, 'a' where false", {}, "[]"),
    "a table of one column": ("r_column() returns table (x int)", "values (1), (2)", {}, '[{"x":1}, \n {"x":2}]'),
    "a set of rows": (
        "r_pairs() returns setof public.pair", "values (1, 'a'), (2, 'b')", {}, '[{"a":1,"b":"a"}, \n {"a":2,"b":"b"}]',
    ),
    "one out argument": ("r_out(a int, out b int)", "select a + 1", {"a": 1}, '{"b":2}'),
    "out arguments": ("r_outs(a int, out b int, out c text)", "select a + 1, 'x'", {"a": 1}, '{"b":2,"c":"x"}'),
    "an inout argument": ("r_inout(inout a int)", "select a + 1", {"a": 1}, '{"a":2}'),
    "a set of out arguments": (
        "r_out_set(out a int, out b int) returns setof record", "values (1, 2)", {}, '[{"a":1,"b":2}]',
    ),
    "a domain over a composite": (
        "r_domain() returns public.pair_domain", "select row(1, 'x')::public.pair::public.pair_domain", {},
        '{"a":1,"b":"x"}',
    ),
    "a domain over a scalar": ("r_positive(a public.positive) returns public.positive", "select a", {"a": 5}, "5"),
    "a column named result": (
        "r_result() returns table (result int, x int)", "values (1, 2)", {}, '[{"result":1,"x":2}]',
    ),
    "columns named as the gateway's": (
        "r_names() returns table (sent int, value int, body text, total int)", "values (1, 2, 'x', 3)", {},
        '[{"sent":1,"value":2,"body":"x","total":3}]',
    ),
    "arguments named as the gateway's": (
        "r_arguments(result int, sent int, value int, statement text, out a int, out b text)",
        "select result + sent + value, statement", {"result": 1, "sent": 2, "value": 3, "statement": "x"},
        '{"a":6,"b":"x"}',
    ),
    "a scalar of an argument named result": ("r_echo(result int) returns int", "select result * 2", {"result": 4}, "8"),
    "a set of an argument named result": (
        "r_series(result int) returns setof int", "select generate_series(1, result)", {"result": 2}, "[1, 2]",
    ),
    "a variadic argument": (
        "r_variadic(variadic a int[]) returns bigint", "select sum(x) from unnest(a) x", {"a": [1, 2]}, "3",
    ),
    "defaults": (
        "r_default(a int, b int default 10, c int default 100) returns int", "select a + b + c", {"a": 1}, "111",
    ),
    "a default in the middle": (
        "r_middle(a int, b int default 10, c int default 100) returns int", "select a + b + c", {"a": 1, "c": 0}, "11",
    ),
    "an argument null": ("r_is_null(a int) returns boolean", "select a is null", {"a": None}, "true"),
    "an array argument": (
        "r_join(a text[]) returns text", "select array_to_string(a, '-')", {"a": ["x", "y"]}, '"x-y"',
    ),
    "a composite argument": ("r_b(p public.pair) returns text", "select (p).b", {"p": {"a": 1, "b": "x"}}, '"x"'),
    "times": (
        "r_times(d date, t timestamptz) returns text", "select d::text || ' ' || extract(epoch from t)::text",
        {"d": "2026-01-02", "t": "1970-01-01T00:00:01Z"}, '"2026-01-02 1.000000"',
    ),
}  # fmt: skip


@pytest.mark.parametrize(("signature", "body", "arguments", "expected"), RESULTS.values(), ids=RESULTS)
def test_results_of_every_kind(
    gateway: RunningGateway, signature: str, body: str, arguments: dict[str, Any], expected: str
) -> None:
    function(gateway, signature, body)
    answer = gateway.client.post(f"/rpc/{signature.partition('(')[0]}", json=arguments)
    assert (answer.status_code, answer.text) == (200, expected)
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    rows = len(answer.json()) if "setof" in signature or "table" in signature else 1
    assert answer.headers["content-range"] == (f"0-{rows - 1}/*" if rows else "*/*")


def test_nothing_returned_is_204_without_a_body(gateway: RunningGateway) -> None:
    function(gateway, "note(id int, name text) returns void", "insert into public.things values (id, name)")
    answer = gateway.client.post("/rpc/note", json={"id": 204, "name": "x"})
    assert (answer.status_code, answer.content) == (204, b"")
    assert "content-type" not in answer.headers
    assert "content-length" not in answer.headers
    assert "content-profile" not in answer.headers
    assert gateway.sql("select name from public.things where id = 204") == [("x",)]
    # The connection remains usable.
    assert gateway.client.post("/rpc/note", json={"id": 205, "name": "y"}).status_code == 204


def test_a_void_function_runs_once(gateway: RunningGateway) -> None:
    gateway.sql("create sequence public.runs; grant all on public.runs to public")
    function(gateway, "run() returns void", "begin perform nextval('public.runs'); end", "language plpgsql")
    assert [gateway.client.post("/rpc/run").status_code for _ in range(3)] == [204] * 3
    assert gateway.sql("select last_value from public.runs") == [(3,)]


def test_overloads_are_resolved_by_their_arguments(gateway: RunningGateway) -> None:
    function(gateway, "area(side int) returns text", "select 'square'")
    function(gateway, "area(width int, height int) returns text", "select 'rectangle'")
    function(gateway, "area() returns text", "select 'none'")
    bodies: list[dict[str, int]] = [{"side": 1}, {"width": 1, "height": 2}, {"height": 2, "width": 1}, {}]
    answers = [gateway.client.post("/rpc/area", json=body).json() for body in bodies]
    assert answers == ["square", "rectangle", "rectangle", "none"]
    assert error(gateway.client.post("/rpc/area", json={"width": 1}))["code"] == "PGRST202"
    assert error(gateway.client.post("/rpc/area", json={"width": 1, "side": 1}))["code"] == "PGRST202"


def test_overloads_that_differ_in_types_only_are_ambiguous(gateway: RunningGateway) -> None:
    function(gateway, "twin(a int) returns text", "select 'int'")
    function(gateway, "twin(a text) returns text", "select 'text'")
    answer = gateway.client.post("/rpc/twin", json={"a": 1})
    status, code, message = refusal(answer)
    assert (status, code) == (300, "PGRST203")
    assert message.startswith("Could not choose the best candidate function between: ")
    assert "public.twin(a => integer)" in message
    assert "public.twin(a => text)" in message


@pytest.mark.parametrize("volatility", ["stable", "immutable"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_function_that_promises_not_to_write_runs_read_only(
    gateway: RunningGateway, volatility: str, method: str
) -> None:
    function(
        gateway,
        f"mode_{volatility}() returns text",
        "select current_setting('transaction_read_only')",
        f"language sql {volatility}",
    )
    assert gateway.client.request(method, f"/rpc/mode_{volatility}").json() == "on"


@pytest.mark.parametrize("volatility", ["stable", "immutable"])
def test_a_broken_promise_writes_nothing(gateway: RunningGateway, volatility: str) -> None:
    # Through a volatile function, because Postgres itself prevents the simplest writes.
    function(gateway, "add_thing() returns void", "insert into public.things values (1)")
    body = "begin perform public.add_thing(); end"
    function(gateway, f"sly_{volatility}() returns void", body, f"language plpgsql {volatility}")
    for method in ("GET", "POST"):
        answer = gateway.client.request(method, f"/rpc/sly_{volatility}")
        assert refusal(answer) == (405, "25006", "cannot execute INSERT in a read-only transaction")
    assert gateway.sql("select * from public.things where id = 1") == []


def test_a_volatile_function_is_read_only_by_get_and_not_by_post(gateway: RunningGateway) -> None:
    function(gateway, "mode() returns text", "select current_setting('transaction_read_only')", "language sql volatile")
    assert [gateway.client.request(method, "/rpc/mode").json() for method in ("GET", "POST")] == ["on", "off"]
    assert gateway.client.head("/rpc/mode").status_code == 200


CASTS = [
    ("int", "-5", -5), ("bigint", "9223372036854775807", 9223372036854775807), ("numeric", "1.10", "1.10"),
    ("jsonb", '{"a": [1, null]}', {"a": [1, None]}), ("json", "[1]", [1]), ("text", "5", "5"), ("text", "", ""),
    ("text", "a+b c&d=e%é日", "a+b c&d=e%é日"), ("text[]", '{a,"b,c",NULL}', ["a", "b,c", None]),
    ("text[]", "{}", []), ("int[]", "{1,2}", [1, 2]), ("int[]", "{{1,2},{3,4}}", [[1, 2], [3, 4]]),
    ("date", "2026-01-02", "2026-01-02"), ("timestamptz", "2026-01-02T03:04:05+01:00", "2026-01-02T02:04:05+00:00"),
    ("boolean", "true", True), ("boolean", "f", False),
    ("uuid", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
    ("public.positive", "5", 5), ("public.pair", '(1,"x y")', {"a": 1, "b": "x y"}), ("bytea", "\\x00ff", "\\x00ff"),
    ("text", "null", "null"), ("text", "a.b", "a.b"),
]  # fmt: skip


@pytest.mark.parametrize(("type_", "text", "expected"), CASTS, ids=repr)
def test_arguments_of_a_query_string_are_cast_from_text(
    gateway: RunningGateway, type_: str, text: str, expected: object
) -> None:
    name = "cast_" + "".join(c if c.isalnum() else "_" for c in type_)
    result = "text" if type_ == "numeric" else "json"
    body = "select a::text" if type_ == "numeric" else "select to_json(a)"
    function(gateway, f"{name}(a {type_}) returns {result}", body, "language sql stable")
    answer = gateway.client.get(f"/rpc/{name}", params={"a": text})
    assert (answer.status_code, answer.json()) == (200, expected)
    head = gateway.client.head(f"/rpc/{name}", params={"a": text})
    assert (head.status_code, head.content) == (200, b"")


@pytest.mark.parametrize(
    ("type_", "text", "code"),
    [("int", "x", "22P02"), ("date", "2026-02-30", "22008"), ("jsonb", "{", "22P02"), ("text[]", "a", "22P02"),
     ("public.positive", "-1", "23514"), ("int", "1); select 1; --", "22P02"), ("text", "\0", "22021")],
)  # fmt: skip
def test_arguments_that_cannot_be_cast(gateway: RunningGateway, type_: str, text: str, code: str) -> None:
    name = "miscast_" + "".join(c if c.isalnum() else "_" for c in type_)
    function(gateway, f"{name}(a {type_}) returns json", "select to_json(a)", "language sql stable")
    assert refusal(gateway.client.get(f"/rpc/{name}", params={"a": text}))[:2] == (400, code)


def test_the_last_of_a_repeated_argument_counts(gateway: RunningGateway) -> None:
    function(gateway, "again(a int) returns int", "select a", "language sql stable")
    assert gateway.client.get("/rpc/again", params=[("a", "1"), ("a", "2")]).json() == 2


NAMES = [
    "Upper Case", 'say "hi"', "it's; drop table x", "é日本", "Select", "a.b", "%s $1 {0}", "back\\slash", "tab\there",
    "x" * 63,
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_names_of_any_kind(gateway: RunningGateway, name: str) -> None:
    quoted = '"' + name.replace('"', '""') + '"'
    gateway.define(
        f"create or replace function public.{quoted}({quoted} int, other int default 1) returns setof public.pair "
        "language plpgsql stable as $f$ begin return query select $1 + $2, 'x'; end $f$"
    )
    path = f"/rpc/{quote(name, safe='')}"
    for answer in (gateway.client.post(path, json={name: 1}), gateway.client.get(path, params={name: "1"})):
        assert (answer.status_code, answer.json()) == (200, [{"a": 2, "b": "x"}])


@pytest.mark.parametrize("column", ['say "hi"', "result", "é日本", "Upper Case"])
def test_columns_of_any_name(gateway: RunningGateway, column: str) -> None:
    quoted = '"' + column.replace('"', '""') + '"'
    gateway.define(
        "drop function if exists public.named",
        f"create function public.named() returns table ({quoted} int) language sql as 'values (1), (2)'",
    )
    assert gateway.client.post("/rpc/named").json() == [{column: 1}, {column: 2}]


def test_a_schema_of_any_name(gateway: RunningGateway) -> None:
    gateway.define(
        'create or replace function "My ""odd"" schéma 日本"."Where"("Who?" text) returns json language sql as '
        """$f$ select json_build_array("Who?", current_setting('search_path')) $f$"""
    )
    answer = gateway.client.post("/rpc/Where", json={"Who?": "me"}, headers=ODD_PROFILE)
    path = '"My ""odd"" schéma 日本", "public", "extensions"'
    assert (answer.status_code, answer.json()) == (200, ["me", path])
    assert dict(answer.headers.raw)[b"content-profile"].decode() == ODD
    hidden = gateway.client.post("/rpc/Where", json={"Who?": "me"})
    assert error(hidden)["code"] == "PGRST202"


SEEN = """
select json_build_object(
    'claims', current_setting('request.jwt.claims')::json,
    'method', current_setting('request.method'),
    'path', current_setting('request.path'),
    'headers', current_setting('request.headers')::json,
    'cookies', current_setting('request.cookies')::json,
    'search_path', current_setting('search_path'),
    'user', current_user
)
"""


@pytest.mark.parametrize("prefix", ["", "/rest/v1"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_sql_sees_the_request(gateway: RunningGateway, bearer: Bearer, prefix: str, method: str) -> None:
    function(gateway, "seen() returns json", SEEN)
    sent = {"X-Own-Header": 'a "b" é', "Cookie": "a=b; c=d=e; f", **bearer("authenticated", sub="ann", n=1)}
    headers = {name.encode(): value.encode() for name, value in sent.items()}
    seen = gateway.client.request(method, f"{prefix}/rpc/seen", headers=headers).json()
    claims = seen["claims"]
    assert (claims["role"], claims["sub"], claims["n"]) == ("authenticated", "ann", 1)
    assert (seen["method"], seen["path"], seen["user"]) == (method, "/rpc/seen", "authenticated")
    assert seen["headers"]["x-own-header"] == 'a "b" é'
    assert all(name == name.lower() for name in seen["headers"])
    assert "cookie" not in seen["headers"]
    assert seen["cookies"] == {"a": "b", "c": "d=e"}
    assert seen["search_path"] == '"public", "extensions"'


def test_sql_sees_an_anonymous_request(gateway: RunningGateway) -> None:
    function(gateway, "seen() returns json", SEEN)
    seen = gateway.client.post("/rpc/seen").json()
    assert (seen["claims"], seen["cookies"], seen["user"]) == ({"role": "anon"}, {}, "anon")


def test_the_search_path_is_the_schemas_then_the_settings(gateway: RunningGateway) -> None:
    gateway.define(
        "create or replace function public.helper() returns text language sql as $f$ select 'public' $f$",
        'create or replace function "My ""odd"" schéma 日本".helper() returns text language sql as '
        "$f$ select 'odd' $f$",
        'create or replace function "My ""odd"" schéma 日本".help() returns text language plpgsql as '
        "$f$ begin return helper(); end $f$",
        "create or replace function public.help() returns text language plpgsql as $f$ begin return helper(); end $f$",
    )
    odd = gateway.client.post("/rpc/help", headers=ODD_PROFILE)
    assert (odd.json(), gateway.client.post("/rpc/help").json()) == ("odd", "public")


def test_a_new_function_can_be_called_without_a_reload(gateway: RunningGateway) -> None:
    gateway.sql("create function public.brand_new() returns int language sql as 'select 1'")
    until(lambda: gateway.client.post("/rpc/brand_new").status_code == 200)
    assert gateway.client.post("/rpc/brand_new").text == "1"


@pytest.mark.parametrize("how", ["notify", "empty notify", "signal"])
def test_a_changed_signature_is_known_after_a_reload(gateway: RunningGateway, how: str) -> None:
    name = f"changed_{how.replace(' ', '_')}"
    function(gateway, f"{name}(a int) returns int", "select a")
    assert gateway.client.post(f"/rpc/{name}", json={"a": 1}).text == "1"
    gateway.sql(f"drop function public.{name}")
    gateway.sql(f"create function public.{name}(a int) returns public.pair language sql as $f$ select 2, 'new' $f$")
    if how == "signal":
        gateway.server.process.send_signal(signal.SIGUSR1)
    else:
        gateway.sql("notify pgrst, 'reload schema'" if how == "notify" else "notify pgrst")
    until(lambda: gateway.client.post(f"/rpc/{name}", json={"a": 1}).text == '{"a":2,"b":"new"}')


def test_a_dropped_function_is_not_found(gateway: RunningGateway) -> None:
    function(gateway, "short_lived() returns int", "select 1")
    assert gateway.client.post("/rpc/short_lived").text == "1"
    gateway.sql("drop function public.short_lived")
    assert gateway.client.post("/rpc/short_lived").status_code == 404
    gateway.define()
    assert refusal(gateway.client.post("/rpc/short_lived"))[:2] == (404, "PGRST202")


def test_a_replaced_body_needs_no_reload(gateway: RunningGateway) -> None:
    function(gateway, "body() returns int", "select 1")
    assert gateway.client.post("/rpc/body").text == "1"
    gateway.sql("create or replace function public.body() returns int language sql as 'select 2'")
    assert gateway.client.post("/rpc/body").text == "2"


def test_an_error_at_commit_is_reported_and_stores_nothing(gateway: RunningGateway) -> None:
    gateway.define(
        "create table public.parent (id int primary key)",
        "create table public.child (id int references public.parent deferrable initially deferred)",
        "grant all on public.parent, public.child to public",
        "create function public.add_child(id int) returns int language sql as "
        "'insert into public.child values (id) returning id'",
    )
    answer = gateway.client.post("/rpc/add_child", json={"id": 7})
    assert refusal(answer)[:2] == (409, "23503")
    assert error(answer)["details"] == 'Key (id)=(7) is not present in table "parent".'
    assert gateway.sql("select * from public.child") == []
    gateway.sql("insert into public.parent values (7)")
    assert gateway.client.post("/rpc/add_child", json={"id": 7}).text == "7"


def test_a_deferred_trigger_runs_as_the_caller(gateway: RunningGateway, bearer: Bearer) -> None:
    gateway.define(
        "create table public.watched (id int)",
        "create table public.witness (who text, sub text, path text)",
        "grant all on public.watched, public.witness to public",
        "create function public.watch() returns trigger language plpgsql as $f$ begin "
        "insert into public.witness values "
        "(current_user, current_setting('request.jwt.claims')::json->>'sub', current_setting('search_path')); "
        "if new.id < 0 then raise exception 'no' using errcode = '23514'; end if; return null; end $f$",
        "create constraint trigger watch after insert on public.watched deferrable initially deferred "
        "for each row execute function public.watch()",
        "create function public.add_watched(id int) returns void language sql as "
        "'insert into public.watched values (id)'",
    )
    headers = bearer("authenticated", sub="ann")
    assert refusal(gateway.client.post("/rpc/add_watched", json={"id": -1}, headers=headers)) == (400, "23514", "no")
    assert gateway.client.post("/rpc/add_watched", json={"id": 1}, headers=headers).status_code == 204
    assert gateway.sql("select id from public.watched") == [(1,)]
    assert gateway.sql("select * from public.witness") == [("authenticated", "ann", '"public", "extensions"')]
    assert refusal(gateway.client.post("/rpc/watch"))[:2] == (404, "PGRST202")


def test_a_duplicate_key_is_a_conflict(gateway: RunningGateway) -> None:
    function(gateway, "add(id int, name text) returns void", "insert into public.things values (id, name)")
    assert gateway.client.post("/rpc/add", json={"id": 409, "name": "first"}).status_code == 204
    answer = gateway.client.post("/rpc/add", json={"id": 409, "name": "second"})
    message = 'duplicate key value violates unique constraint "things_pkey"'
    assert refusal(answer) == (409, "23505", message)
    assert error(answer)["details"] == "Key (id)=(409) already exists."
    assert gateway.sql("select name from public.things where id = 409") == [("first",)]


def test_a_call_needs_execute_on_the_function(gateway: RunningGateway, bearer: Bearer) -> None:
    gateway.define(
        "create function public.inner_circle() returns int language sql as 'select 1'",
        "revoke all on function public.inner_circle from public",
        "grant execute on function public.inner_circle to service_role",
    )
    message = "permission denied for function inner_circle"
    assert refusal(gateway.client.post("/rpc/inner_circle")) == (401, "42501", message)
    refused = gateway.client.post("/rpc/inner_circle", headers=bearer("authenticated"))
    assert refusal(refused) == (403, "42501", message)
    assert gateway.client.post("/rpc/inner_circle", headers=bearer("service_role")).text == "1"


def test_functions_without_named_arguments_and_procedures_are_not_there(gateway: RunningGateway) -> None:
    gateway.define(
        "create function public.unnamed(int) returns int language sql as 'select 1'",
        "create procedure public.proceed() language sql as 'select 1'",
        "create aggregate public.total(int) (sfunc = int4pl, stype = int)",
    )
    for name in ("unnamed", "proceed", "total"):
        assert refusal(gateway.client.post(f"/rpc/{name}", json={}))[:2] == (404, "PGRST202")


def test_a_call_of_the_gateways_own_function_is_an_error_of_the_caller(gateway: RunningGateway, bearer: Bearer) -> None:
    function(
        gateway,
        "sneak() returns int",
        "begin perform pgmq_gateway.call('service_role', '{}', '{}', '', null, false, null, 'select 1, 1, null', null, "
        "null, false, null, null, null, null, null, null); return 1; end",
        "language plpgsql",
    )
    denied = "permission denied for"
    assert refusal(gateway.client.post("/rpc/sneak")) == (401, "42501", f"{denied} schema pgmq_gateway")
    managing = gateway.client.post("/rpc/sneak", headers=bearer("service_role"))
    assert refusal(managing) == (403, "42501", f"{denied} function call")


def test_numbers_of_results_keep_every_digit(gateway: RunningGateway) -> None:
    function(gateway, "digits(a jsonb, b numeric) returns json", "select json_build_array(a, b)")
    content = '{"a": {"n": 12345678901234567890.10}, "b": 0.10000000000000000000000001}'
    answer = gateway.client.post("/rpc/digits", content=content, headers={"Content-Type": "application/json"})
    assert answer.text == '[{"n": 12345678901234567890.10}, 0.10000000000000000000000001]'
    assert json.loads(answer.text)


def test_a_large_response_arrives_whole(gateway: RunningGateway) -> None:
    function(gateway, "many(n int) returns setof text", "select repeat('é', 1000) from generate_series(1, n)")
    answer: httpx.Response = gateway.client.post("/rpc/many", json={"n": 5000})
    assert len(answer.content) == int(answer.headers["content-length"])
    assert answer.json() == ["é" * 1000] * 5000


def test_queues_are_no_resources_unless_their_schema_is_exposed(gateway: RunningGateway) -> None:
    answer = gateway.client.post("/queues/tasks/messages", json={})
    assert (answer.status_code, answer.json()["code"]) == (404, "PGRST125")
