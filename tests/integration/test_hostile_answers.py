"""Functions and clients that try to inject SQL or to corrupt the response."""

import json

import pytest

from tests.gateways import RunningGateway

ROWS = "create or replace function public.rows() returns table (a int) language sql stable as 'select 1'"
ANSWER = (
    "create or replace function public.answer(h text, s text) returns int language plpgsql volatile as $f$ begin "
    "perform set_config('response.headers', h, true), set_config('response.status', s, true); return 1; end $f$"
)


def test_a22_a_csv_header_cannot_leave_its_place_in_the_statement(gateway: RunningGateway) -> None:
    gateway.sql("create table public.canary (n int); insert into public.canary values (42)")
    gateway.sql("grant select on public.canary to anon")
    ((name,),) = gateway.sql("select current_database()")
    gateway.sql(f"alter database {name} set standard_conforming_strings = off")
    # Settings of the database apply to new connections.
    mine = "usename = 'authenticator' and datname = current_database()"
    gateway.sql(f"select pg_terminate_backend(pid) from pg_stat_activity where {mine}")
    gateway.define(ROWS)
    # Inside the quotes: a backslash (escaped), an apostrophe, and SQL.
    select = r""""\\' || (select n::text from public.canary) end from source --":a"""
    answer = gateway.client.get("/rpc/rows", params={"select": select}, headers={"Accept": "text/csv"})
    assert answer.status_code == 200
    assert "42" not in answer.text


@pytest.mark.parametrize(
    "headers",
    [{"日": "1"}, {"X\r\nY": "1"}, {"X A": "1"}, {"": "1"}, {"a": "1", "b": "2"}, {}],
)
def test_a_header_that_http_cannot_send_is_the_functions_fault(
    gateway: RunningGateway, headers: dict[str, str]
) -> None:
    gateway.define(ANSWER)
    answer = gateway.client.post("/rpc/answer", json={"h": json.dumps([headers]), "s": ""})
    assert (answer.status_code, answer.json()["code"]) == (500, "PGRST111")


def test_a_function_cannot_set_content_length(gateway: RunningGateway) -> None:
    gateway.define(ANSWER)
    answer = gateway.client.post("/rpc/answer", json={"h": '[{"Content-Length": "9"}, {"X": "1"}]', "s": ""})
    assert (answer.text, answer.headers["content-length"], answer.headers["x"]) == ("1", "1", "1")


@pytest.mark.parametrize("status", ["²", "9" * 5000, "99", "600", "2e2", "-1", "abc"])
def test_a_status_that_is_none_is_the_functions_fault(gateway: RunningGateway, status: str) -> None:
    gateway.define(ANSWER)
    answer = gateway.client.post("/rpc/answer", json={"h": "", "s": status})
    assert (answer.status_code, answer.json()["code"]) == (500, "PGRST112")


def test_digits_without_end_are_no_error_of_the_gateway(gateway: RunningGateway) -> None:
    gateway.define(
        "create or replace function public.data() returns table (d jsonb) language sql stable as 'select null::jsonb'"
    )
    answer = gateway.client.get("/rpc/data", params={"select": f"d->{'1' * 5000}"})
    assert answer.status_code < 500


def test_any_of_an_array_is_an_array(gateway: RunningGateway) -> None:
    gateway.define(
        "create or replace function public.tags() returns table (t int[]) language sql stable as 'select array[1]'"
    )
    answer = gateway.client.get("/rpc/tags", params={"t": "eq(any).{}"})
    assert answer.status_code in {200, 400, 404}
    assert "_int4[]" not in answer.text
