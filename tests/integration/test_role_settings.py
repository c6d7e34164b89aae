"""ALTER ROLE … SET applies to the calls of that role only."""

from collections.abc import Callable

import pytest

from tests.answers import error
from tests.calls import ENDLESS_FILTER, ENDLESS_TEXT
from tests.gateways import RunningGateway

Bearer = Callable[..., dict[str, str]]

GATEWAY = {"PGMQ_GATEWAY_FILTER_TIMEOUT": "0.2"}

SHOW = (
    "create or replace function public.show() returns json language sql volatile as $f$ select json_build_array("
    "current_setting('timezone'), current_setting('my.colour', true), current_setting('statement_timeout')) $f$"
)
SLEEP = (
    "create table public.trace (a int); grant all on public.trace to public",
    "create or replace function public.rest(seconds float) returns int language plpgsql volatile as "
    "$f$ begin insert into public.trace values (1); perform pg_sleep(seconds); return 1; end $f$",
)


def test_settings_of_the_role_hold_for_its_calls(gateway: RunningGateway, role: str, bearer: Bearer) -> None:
    gateway.sql(f"alter role {role} set timezone = 'Asia/Tokyo'")
    gateway.sql(f"alter role {role} set my.colour = 'deep = blue'")
    gateway.sql(f"alter role {role} set log_statement = 'none'")
    gateway.define(SHOW)
    assert gateway.client.post("/rpc/show", headers=bearer(role)).json() == ["Asia/Tokyo", "deep = blue", "5min"]
    assert gateway.client.post("/rpc/show").json()[0] == "UTC"
    asked = gateway.client.post("/rpc/show", headers={**bearer(role), "Prefer": "timezone=Europe/Paris"})
    assert asked.json()[0] == "Europe/Paris"


@pytest.mark.parametrize("whose", ["role authenticator in database", "database"])
def test_w7_settings_of_the_login_role_and_the_database_apply_after_a_reload(
    gateway: RunningGateway, whose: str
) -> None:
    [(database,)] = gateway.sql("select current_database()")
    gateway.define(SHOW.replace("my.colour", "my.depth"))
    for depth in ("1", "2"):
        gateway.sql(f"alter {whose} {database} set my.depth = {depth}")
        gateway.define()
        assert gateway.client.post("/rpc/show").json()[1] == depth
    gateway.sql(f"alter {whose} {database} reset my.depth")
    gateway.define()
    assert gateway.client.post("/rpc/show").json()[1] in (None, "")


def test_w17_settings_that_were_granted_to_the_login_role_apply(
    gateway: RunningGateway, role: str, bearer: Bearer
) -> None:
    if int(gateway.sql("show server_version_num")[0][0]) < 15_00_00:
        pytest.skip("GRANT SET ON PARAMETER is new in Postgres 15")
    gateway.sql(f"alter role {role} set log_min_duration_sample = '7h'")
    gateway.sql(f"alter role {role} set lc_messages = 'C'")
    gateway.define(SHOW.replace("my.colour", "log_min_duration_sample"))
    assert gateway.client.post("/rpc/show", headers=bearer(role)).json()[1] == "-1"
    # It concerns all databases of the server, so it is revoked again.
    gateway.sql("grant set on parameter log_min_duration_sample to authenticator")
    try:
        gateway.define()
        assert gateway.client.post("/rpc/show", headers=bearer(role)).json()[1] == "7h"
        assert gateway.client.post("/rpc/show").json()[1] == "-1"
    finally:
        gateway.sql("revoke set on parameter log_min_duration_sample from authenticator")
    gateway.define()
    assert gateway.client.post("/rpc/show", headers=bearer(role)).json()[1] == "-1"


def test_f12_a_call_that_takes_longer_than_its_role_may_is_cancelled(
    gateway: RunningGateway, role: str, bearer: Bearer
) -> None:
    gateway.sql(f"alter role {role} set statement_timeout = '200ms'")
    gateway.define(*SLEEP)
    answer = gateway.client.post("/rpc/rest", json={"seconds": 600}, headers=bearer(role))
    assert answer.status_code == 500
    assert answer.json() == {
        "code": "57014",
        "details": None,
        "hint": None,
        "message": "canceling statement due to statement timeout",
    }
    assert gateway.sql("select count(*) from public.trace") == [(0,)]
    assert gateway.client.post("/rpc/rest", json={"seconds": 0.4}).text == "1"
    assert gateway.client.post("/rpc/rest", json={"seconds": 0}, headers=bearer(role)).text == "1"


def test_a42_a_call_whose_filters_take_longer_than_they_may_is_cancelled(
    gateway: RunningGateway, bearer: Bearer
) -> None:
    gateway.sql("select pgmq_admin.create_queue('jobs')")
    gateway.sql("select pgmq.send('jobs', jsonb_build_object('x', %s::text))", ENDLESS_TEXT)
    headers = {"Content-Profile": "pgmq_public", **bearer("service_role")}
    body = {"queue_name": "jobs", "sleep_seconds": 600, "n": 1}
    answer = gateway.client.post(f"/rpc/read?{ENDLESS_FILTER}", json=body, headers=headers)
    assert (answer.status_code, error(answer)) == (
        500,
        {
            "code": "57014",
            "details": None,
            "hint": "The limit is 0.2 seconds for a call whose filters match patterns or search text. Use "
            "simpler patterns, or read fewer messages.",
            "message": "canceling statement due to statement timeout",
        },
    )
    assert gateway.client.post("/rpc/read", json=body, headers=headers).json()[0]["read_ct"] == 1


def test_a_slow_function_whose_result_is_compared_only_has_the_time_of_its_role(gateway: RunningGateway) -> None:
    gateway.define(
        "create function public.slow(seconds float) returns table (n text) volatile language sql as "
        "$f$ select 'a' from pg_sleep(seconds) $f$"
    )
    assert gateway.client.post("/rpc/slow?n=eq.a", json={"seconds": 0.4}).json() == [{"n": "a"}]
    searching = gateway.client.post("/rpc/slow?or=(n.eq.a,n.fts.a)", json={"seconds": 600})
    assert error(searching)["code"] == "57014"


def test_f14_a_deadlock_is_tried_again(gateway: RunningGateway) -> None:
    gateway.define(
        "create sequence public.tries; grant usage on public.tries to public",
        "create or replace function public.unlucky(times int) returns int language plpgsql volatile as "
        "$f$ begin if nextval('public.tries') <= times then raise sqlstate '40P01'; end if; return 1; end $f$",
    )
    assert gateway.client.post("/rpc/unlucky", json={"times": 3}).text == "1"
    assert gateway.sql("select last_value from public.tries") == [(4,)]
    assert gateway.client.post("/rpc/unlucky", json={"times": 1000}).json()["code"] == "40P01"
    assert gateway.sql("select last_value from public.tries") == [(8,)]
