"""pgmq_gateway.calls: several calls of one caller with the outcomes that they would have alone."""

from typing import Any

import pytest
from psycopg import errors

from pgmq_gateway.embedded.cluster import socket_uri
from pgmq_gateway.embedded.datadir import DataDirectory
from tests.databases import Sql, runner
from tests.sql.calls import PLAIN, Checks, calls, giving
from tests.sql.conftest import Connect


@pytest.fixture
def gateway(directory: DataDirectory, database: str, connect: Connect) -> Sql:
    """Run SQL as the gateway's login role."""
    return runner(connect(socket_uri(directory, "authenticator", database)))


def bodies(rows: list[tuple[Any, ...]]) -> list[Any]:
    """The bodies of the calls in their order; for a failure its code."""
    return [row[2] if row[5] is None else row[5][0] for row in rows]


def test_each_has_its_own_arguments_request_and_search_path(gateway: Sql) -> None:
    seen = "($1->>'n') || current_setting('request.path') || current_setting('request.headers')"
    rows = calls(gateway, *[giving(f"{seen} || current_setting('search_path')")] * 3, schemas=["a", "b", "c"])
    assert bodies(rows) == [f'{n}/rpc/{n}{{"n": "{n}"}}{path}' for n, path in enumerate("abc")]


def test_a_failure_is_its_own_and_says_all_that_is_known(gateway: Sql) -> None:
    gateway_says = "do $d$ begin raise sqlstate 'PT418' using message = 'm', detail = 'd', hint = 'h'; end $d$"
    rows = calls(gateway, giving("'a'"), gateway_says, giving("1/0"), giving("'b'"))
    assert bodies(rows) == ["a", "PT418", "22012", "b"]
    assert rows[1][5][:4] == ["PT418", "m", "d", "h"]


def test_a_failure_leaves_nothing(db: Sql, gateway: Sql) -> None:
    db("create table public.trace (a int); grant all on public.trace to anon")
    insert = "with i as (insert into public.trace values (($1->>'n')::int) returning a) "
    rows = calls(
        gateway, insert + giving("select a from i"), insert + giving("select a/0 from i"), insert + giving("3")
    )
    assert bodies(rows) == ["0", "22012", "3"]
    assert db("select a from public.trace order by a") == [(0,), (2,)]


@pytest.mark.parametrize(
    "setting", ["role", "search_path", "request.jwt.claims", "request.path", "timezone", "response.status", "my.own"]
)
@pytest.mark.parametrize("local", ["true", "false"])
def test_what_one_sets_is_not_there_for_the_next(gateway: Sql, setting: str, local: str) -> None:
    value = {"role": "authenticated", "timezone": "Asia/Tokyo"}.get(setting, "theirs")
    change, show = giving(f"set_config('{setting}', '{value}', {local})"), giving(f"current_setting('{setting}')")
    first, _, last = calls(gateway, show, change, show, settings=["my.own", "mine"])
    assert first[:2] + first[5:] == last[:2] + last[5:]
    assert (first[2] == last[2]) != (setting == "request.path")
    assert value not in last[2]


def test_headers_and_status_are_those_of_the_call_that_set_them(gateway: Sql) -> None:
    change = giving("set_config('response.headers', '[]', true) || set_config('response.status', '418', true)")
    assert [row[3:5] for row in calls(gateway, giving("1"), change, giving("2"))] == [("", ""), ("[]", "418"), ("", "")]


def test_checks_are_of_one_call_each(gateway: Sql) -> None:
    two = "select 3::bigint, 2::bigint, ''"
    checks: list[Checks] = [(True, None, None), PLAIN, (False, 1, None), (False, 2, 3), (False, None, 4)]
    rows = calls(gateway, *[two] * 5, checks=checks)
    assert [row[5] and row[5][:2] for row in rows] == [["GW116", "2"], None, ["GW124", "2"], None, ["GW103", "3"]]


def test_the_operators_function_runs_before_each_call_in_its_role(db: Sql, gateway: Sql) -> None:
    db("create table public.trace (who name, path text); grant all on public.trace to anon")
    db("create function public.before() returns void language sql as "
       "$f$ insert into public.trace values (current_user, current_setting('request.path')) $f$")  # fmt: skip
    calls(gateway, giving("1"), giving("2"), prepare="select public.before()")
    assert db("select * from public.trace order by path") == [("anon", "/rpc/0"), ("anon", "/rpc/1")]


def test_a_refusal_by_the_operators_function_is_that_calls(db: Sql, gateway: Sql) -> None:
    db("create function public.before() returns void language plpgsql as "
       "$f$ begin if current_setting('request.path') = '/rpc/1' then raise 'no'; end if; end $f$")  # fmt: skip
    assert bodies(calls(gateway, *[giving("1")] * 3, prepare="select public.before()")) == ["1", "P0001", "1"]


def test_a_role_that_may_not_be_taken_ends_all(gateway: Sql) -> None:
    with pytest.raises(errors.InsufficientPrivilege, match="permission denied to set role"):
        calls(gateway, giving("1"), giving("2"), role="postgres")
    with pytest.raises(errors.InvalidParameterValue, match="does not exist"):
        calls(gateway, giving("1"), role="nobody-at-all")


@pytest.mark.parametrize("code", ["57014", "P0004"])
def test_a_cancel_ends_all(db: Sql, gateway: Sql, code: str) -> None:
    db("create table public.trace (a int); grant all on public.trace to anon")
    insert = "with i as (insert into public.trace values (1)) " + giving("1")
    with pytest.raises(errors.DatabaseError) as raised:
        calls(gateway, insert, f"do $d$ begin raise sqlstate '{code}'; end $d$", insert)
    assert raised.value.sqlstate == code
    assert db("select count(*) from public.trace") == [(0,)]


def test_answers_leave_in_the_encoding_of_the_session(gateway: Sql) -> None:
    change = giving("set_config('client_encoding', 'latin1', true)")
    assert bodies(calls(gateway, change, giving("'é€'"))) == ["LATIN1", "é€"]


def test_nothing_is_left_when_they_end(gateway: Sql) -> None:
    shown = "select current_user, current_setting('search_path'), current_setting('request.jwt.claims', true)"
    calls(gateway, giving("1"), giving("1/0"))
    ((user, path, claims),) = gateway(shown)
    assert (user, path, claims or "") == ("authenticator", '"$user", public', "")


@pytest.mark.parametrize("role", ["anon", "authenticated", "service_role"])
def test_the_api_roles_may_not_call_it(gateway: Sql, role: str) -> None:
    (row,) = calls(
        gateway,
        giving("select 1 from pgmq_gateway.calls(null,null,null,null,null,null,null,null,null,null,null,null)"),
        role=role,
    )
    assert row[5][0] == "42501"
