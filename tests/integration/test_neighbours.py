"""Calls of users' functions that wait together have the outcomes that they would have alone."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.gateways import Bearer, Headers, RunningGateway
from tests.integration.crowd import HOLD, PATIENT, Crowd, crowd_of

GATEWAY = PATIENT | {"PGRST_DB_POOL": "1", "PGRST_DB_TX_END": "commit-allow-override", "PGRST_DB_PLAN_ENABLED": "true"}

# `place` comes first in the body, so calls of it run in that order; the marker is the request's own.
ACT = """
create function public.act(place int, code text default 'select 1') returns json volatile language plpgsql as $f$
begin
    insert into public.trace values (place, pg_current_xact_id()::text);
    execute code;
    return json_build_object(
        'place', place,
        'transaction', pg_current_xact_id()::text,
        'marker', 'é ' || (current_setting('request.headers')::json->>'x-marker'),
        'user', current_user,
        'claims', current_setting('request.jwt.claims'),
        'path', current_setting('search_path'),
        'read_only', current_setting('transaction_read_only'),
        'zone', current_setting('timezone'),
        'status', current_setting('response.status'),
        'headers', current_setting('response.headers'));
end $f$
"""


@pytest.fixture(scope="module")
def gateway(gateway: RunningGateway) -> RunningGateway:
    """A gateway with one connection, and functions that run given SQL."""
    gateway.define(
        "create table public.trace (place int, transaction text); grant all on public.trace to public",
        "create table public.secret (a int)",
        "create table public.parent (a int primary key); grant all on public.parent to public",
        "create table public.child (a int references public.parent deferrable initially deferred);"
        "grant all on public.child to public",
        HOLD,
        ACT,
        "create sequence public.tries; grant all on sequence public.tries to public",
        "create function public.gather(place int) returns bigint volatile language plpgsql as "
        "$f$ declare rows bigint; begin create temporary table if not exists work (a int) on commit drop;"
        "insert into work values (place); select count(*) into rows from work; return rows; end $f$",
        "create function public.long(pad text) returns text volatile language sql as 'select pad'",
        "create function public.several(place int, rows int) returns setof json volatile language plpgsql as "
        "$f$ begin insert into public.trace values (place, pg_current_xact_id()::text);"
        "return query select to_json(pg_current_xact_id()::text) from generate_series(1, rows); end $f$",
    )
    return gateway


@pytest.fixture
async def crowd(gateway: RunningGateway) -> AsyncIterator[Crowd]:
    """Its callers, with an empty record."""
    gateway.sql("truncate public.trace, public.parent, public.child")
    async with crowd_of(gateway) as crowd:
        yield crowd
        await crowd.waiting(0)


@pytest.fixture
def ann(bearer: Bearer) -> Headers:
    """The headers of one caller."""
    return bearer("authenticated", sub="ann")


def act(crowd: Crowd, caller: Headers, place: int, code: str = "select 1") -> Any:  # noqa: ANN401
    """A call that runs given SQL and must return its marker."""
    return crowd.call("act", {"place": place, "code": code}, {**caller, "X-Marker": str(place)})


def seen(answer: httpx.Response) -> dict[str, Any]:
    """The parts of a response that do not depend on the time."""
    body = answer.json()
    if isinstance(body, dict):
        body.pop("transaction", None)
    headers = {name: value for name, value in answer.headers.items() if name not in ("date", "content-length")}
    return {"status": answer.status_code, "headers": headers, "body": body}


def traces(crowd: Crowd) -> list[int]:
    """The positions of the calls whose effects are in the database."""
    return [place for (place,) in crowd.sql("select place from public.trace order by place")]


def raising(code: str, message: str = "mine", more: str = "") -> str:
    """SQL that raises."""
    return f"do $d$ begin raise sqlstate '{code}' using message = $m${message}$m$ {more}; end $d$"


TEA = '{"code": "7", "message": "tea"}'
FAILING = {
    "42501": "select * from public.secret",
    "P0001": raising("P0001", "mine", ", detail = 'its detail', hint = 'its hint'"),
    "PT402": raising("PT402"),
    "PGRST": raising("PGRST", TEA, """, detail = '{"status": 418, "headers": {"X-T": "1"}}'"""),
    "PGRST without end": raising("PGRST", TEA, """, detail = '{"status": 1e999, "headers": {}}'"""),
    "a check of the gateway's": raising("GW116", "3"),
    "a warning": raising("01000"),
    "a cancel": raising("57014"),
    "a shutdown": raising("57P01"),
    "a deadlock": raising("40P01"),
    "commit": "commit",
    "savepoint": "savepoint a",
    "deferred": "insert into public.child values (1)",
    "zero byte": "select chr(0)",
}  # fmt: skip


@pytest.mark.parametrize("code", FAILING.values(), ids=FAILING)
async def test_a_failing_call_has_its_own_error_and_the_others_their_results(
    crowd: Crowd, ann: Headers, code: str
) -> None:
    single = [seen(await act(crowd, ann, place, code if place % 2 else "select 1")) for place in range(1, 6)]
    assert traces(crowd) == [2, 4]
    crowd.sql("truncate public.trace")
    answers = await crowd.together(
        *(act(crowd, ann, place, code if place % 2 else "select 1") for place in range(1, 6))
    )
    assert [seen(answer) for answer in answers] == single
    assert [answer.is_success for answer in answers] == [False, True, False, True, False]
    assert [answers[n].json()["marker"] for n in (1, 3)] == ["é 2", "é 4"]
    assert traces(crowd) == [2, 4]


LEAVING = {
    "role": "set local role service_role",
    "claims": """set local request.jwt.claims = '{"sub": "eve"}'""",
    "search path": "set local search_path = pgmq",
    "status": "set local response.status = '418'",
    "unusable status": "set local response.status = 'tea'",
    "headers": """set local response.headers = '[{"X-Tea": "1"}]'""",
    "request headers": """set local request.headers = '{"x-marker": "eve"}'""",
    "read only": "set local transaction_read_only = on",
    "time zone": "set local timezone = 'Asia/Tokyo'",
    "time limit": "set local statement_timeout = '1ms'",
    "row security": "set local row_security = off",
    "encoding": "set local client_encoding = 'latin1'",
    "session's role": "set role service_role",
    "session authorization": "set session authorization default",
    "all reset": "reset all",
    "temporary table": "create temporary table trace (place int, transaction text) on commit drop",
    "constraints": "set constraints all immediate",
}


@pytest.mark.parametrize("code", LEAVING.values(), ids=LEAVING)
async def test_settings_of_one_call_do_not_reach_the_others(crowd: Crowd, ann: Headers, code: str) -> None:
    single = seen(await act(crowd, ann, 9))
    crowd.sql("truncate public.trace")
    codes = ["select 1", code, "select 1", code, "select 1"]
    answers = await crowd.together(*(act(crowd, ann, place, code) for place, code in enumerate(codes)))
    for place in (0, 2, 4):
        found = seen(answers[place])
        assert (found["body"].pop("place"), found["body"].pop("marker")) == (place, f"é {place}")
        assert found == {**single, "body": {n: v for n, v in single["body"].items() if n not in ("place", "marker")}}
    assert [place for place in traces(crowd) if place % 2 == 0] == [0, 2, 4]


ONCE_ONLY = {
    "temporary table": "create temporary table work (a int) on commit drop",
    "cursor": "declare mine cursor for select 1",
    "constraints": "set constraints all immediate; insert into public.parent values (1) on conflict do nothing",
    "child before parent": "insert into public.child values (2);"
    "insert into public.parent values (2) on conflict do nothing; set constraints all immediate",
    "snapshot": "do $d$ begin if (select count(*) from public.trace t where transaction = "
    "pg_current_xact_id()::text) > 1 then raise 'not alone'; end if; end $d$",
}


@pytest.mark.parametrize("code", ONCE_ONLY.values(), ids=ONCE_ONLY)
async def test_each_call_can_do_what_a_transaction_can_do_once(crowd: Crowd, ann: Headers, code: str) -> None:
    answers = await crowd.together(*(act(crowd, ann, place, code) for place in range(4)))
    assert [(answer.status_code, answer.json().get("place")) for answer in answers] == [(200, n) for n in range(4)]
    assert traces(crowd) == [0, 1, 2, 3]


async def test_a_temporary_table_does_not_reach_the_other_calls(crowd: Crowd, ann: Headers) -> None:
    answers = await crowd.together(*(crowd.call("gather", {"place": place}, ann) for place in range(4)))
    assert [answer.json() for answer in answers] == [1] * 4


async def test_an_encoding_of_the_session_garbles_nothing_for_others(crowd: Crowd, ann: Headers) -> None:
    for _ in range(3):
        await act(crowd, ann, 1, "set client_encoding = 'latin1'")
        texts = [f"{n}€" * 30000 for n in range(3)]
        answers = await crowd.together(*(crowd.call("long", {"pad": text}) for text in texts))
        assert [answer.json() == text for answer, text in zip(answers, texts, strict=True)] == [True] * 3


async def test_a_value_that_postgres_cannot_read_is_its_senders(crowd: Crowd, ann: Headers) -> None:
    single = seen(await act(crowd, ann, 2, "\0"))
    answers = await crowd.together(act(crowd, ann, 1), act(crowd, ann, 2, "\0"), act(crowd, ann, 3))
    assert seen(answers[1]) == single
    assert not answers[1].is_success
    assert [answers[n].json()["place"] for n in (0, 2)] == [1, 3]
    assert traces(crowd) == [1, 3]


async def test_checks_of_the_result_are_each_calls_own(crowd: Crowd, ann: Headers) -> None:
    single = {**ann, "Accept": "application/vnd.pgrst.object+json"}
    few = {**ann, "Prefer": "handling=strict, max-affected=2"}
    counted = {**ann, "Prefer": "count=exact"}
    answers = await crowd.together(
        crowd.call("several", {"place": 1, "rows": 0}, single),
        crowd.call("several", {"place": 2, "rows": 1}, single),
        crowd.call("several", {"place": 3, "rows": 3}, few),
        crowd.call("several", {"place": 4, "rows": 2}, few),
        crowd.call("several", {"place": 5, "rows": 3}, counted, params={"offset": 4}),
        crowd.call("several", {"place": 6, "rows": 3}, counted, params={"offset": 1, "limit": 1}),
    )
    assert [(a.status_code, a.json()["code"] if a.is_error else len(a.json())) for a in answers] == [
        (406, "PGRST116"), (200, 1), (400, "PGRST124"), (200, 2), (416, "PGRST103"), (206, 1)
    ]  # fmt: skip
    assert answers[5].headers["content-range"] == "1-1/3"
    assert traces(crowd) == [2, 4, 6]


async def test_a_huge_offset_is_its_senders(crowd: Crowd, ann: Headers) -> None:
    arguments, huge = {"place": 2, "rows": 1}, {"offset": "9" * 30}
    single = await crowd.call("several", arguments, ann, params=huge)
    crowd.sql("truncate public.trace")
    answers = await crowd.together(
        act(crowd, ann, 1), crowd.call("several", arguments, ann, params=huge), act(crowd, ann, 3)
    )
    assert [answer.status_code for answer in answers] == [200, single.status_code, 200]
    assert [place for place in traces(crowd) if place != 2] == [1, 3]


async def test_a_serialization_failure_is_tried_again(crowd: Crowd, ann: Headers) -> None:
    crowd.sql("select setval('public.tries', 1, false)")
    once = "do $d$ begin if nextval('public.tries') <= 2 then raise sqlstate '40001'; end if; end $d$"
    answers = await crowd.together(act(crowd, ann, 1, once), act(crowd, ann, 2), act(crowd, ann, 3))
    assert [answer.status_code for answer in answers] == [200] * 3
    assert traces(crowd) == [1, 2, 3]


async def test_a_call_that_fails_at_the_commit_does_not_fail_the_others(crowd: Crowd, ann: Headers) -> None:
    orphan = "insert into public.child values (7)"
    answers = await crowd.together(
        *(act(crowd, ann, place, orphan if place == 3 else "select 1") for place in range(8))
    )
    assert (answers[3].status_code, answers[3].json()["code"]) == (409, "23503")
    assert [a.json()["place"] for n, a in enumerate(answers) if n != 3] == [0, 1, 2, 4, 5, 6, 7]
    assert traces(crowd) == [0, 1, 2, 4, 5, 6, 7]
    assert crowd.sql("select count(*) from public.child") == [(0,)]


async def test_a_slow_call_is_cancelled_and_its_neighbours_are_not(
    gateway: RunningGateway, crowd: Crowd, role: str, bearer: Bearer
) -> None:
    gateway.sql(f"alter role {role} set statement_timeout = '1s'")
    gateway.define()
    hurried = bearer(role)
    answers = await crowd.together(
        act(crowd, hurried, 1), act(crowd, hurried, 2, "select pg_sleep(600)"), act(crowd, hurried, 3)
    )
    assert [answer.status_code for answer in answers] == [200, 500, 200]
    assert answers[1].json()["code"] == "57014"
    assert traces(crowd) == [1, 3]


async def test_settings_of_a_role_hold_for_each_call(
    gateway: RunningGateway, crowd: Crowd, role: str, bearer: Bearer
) -> None:
    gateway.sql(f"alter role {role} set timezone = 'Asia/Tokyo'")
    gateway.define()
    codes = ["select 1", "set local timezone = 'Europe/Paris'", "select 1"]
    caller = bearer(role)
    answers = await crowd.together(*(act(crowd, caller, place, code) for place, code in enumerate(codes)))
    assert [answer.json()["zone"] for answer in answers] == ["Asia/Tokyo", "Europe/Paris", "Asia/Tokyo"]


async def test_nothing_is_left_of_neighbours_for_the_next_caller(crowd: Crowd, ann: Headers) -> None:
    before = seen(await act(crowd, {}, 1))
    await crowd.together(*(act(crowd, ann, place, code) for place, code in enumerate(LEAVING.values())))
    after = seen(await act(crowd, {}, 1))
    assert after == before
    assert crowd.sql("select count(*) from pg_locks where locktype = 'advisory' and granted") == [(0,)]
