"""The transaction of a call: isolation level, timeout, settings, commit or rollback."""

import pytest

from tests.answers import refusal
from tests.gateways import Bearer, RunningGateway

GATEWAY = {"PGRST_DB_TX_END": "commit-allow-override", "PGRST_APP_SETTINGS_colour": "deep = blue"}

LEVEL = (
    "create or replace function public.level() returns text volatile language sql as "
    "$f$ select current_setting('transaction_isolation') $f$"
)
REST = (
    "create or replace function public.rest(seconds float) returns text volatile language plpgsql "
    "set statement_timeout = '150ms' as $f$ begin perform pg_sleep(seconds); "
    "return current_setting('statement_timeout'); end $f$"
)
TIMED_OUT = (500, "57014", "canceling statement due to statement timeout")
ROLLBACK = {"Prefer": "tx=rollback"}


def test_a_function_has_an_isolation_level_of_its_own(gateway: RunningGateway) -> None:
    gateway.define(LEVEL, "alter function public.level() set default_transaction_isolation = 'serializable'")
    assert gateway.client.post("/rpc/level").json() == "serializable"
    gateway.define("alter function public.level() reset default_transaction_isolation")
    assert gateway.client.post("/rpc/level").json() == "read committed"


def test_a_role_has_an_isolation_level_and_the_functions_own_wins(
    gateway: RunningGateway, role: str, bearer: Bearer
) -> None:
    gateway.sql(f"alter role {role} set default_transaction_isolation = 'REPEATABLE READ'")
    gateway.define(LEVEL)
    assert gateway.client.post("/rpc/level", headers=bearer(role)).json() == "repeatable read"
    assert gateway.client.post("/rpc/level").json() == "read committed"
    gateway.define("alter function public.level() set default_transaction_isolation = 'serializable'")
    assert gateway.client.post("/rpc/level", headers=bearer(role)).json() == "serializable"


def test_f15_a_serializable_call_that_fails_at_its_commit_is_tried_again(gateway: RunningGateway) -> None:
    gateway.define(
        "create table public.doubt (a int); grant all on public.doubt to public; create sequence public.attempts;"
        "grant all on sequence public.attempts to public",
        "create function public.fail_once() returns trigger language plpgsql as $f$ begin "
        "if nextval('public.attempts') = 1 then raise sqlstate '40001'; end if; return null; end $f$",
        "create constraint trigger fail_once after insert on public.doubt deferrable initially deferred "
        "for each row execute function public.fail_once()",
        "create function public.add() returns int volatile language sql "
        "set default_transaction_isolation = serializable as 'insert into public.doubt values (1) returning a'",
    )
    assert gateway.client.post("/rpc/add").json() == 1
    assert gateway.sql("select count(*) from public.doubt") == [(1,)]
    assert gateway.sql("select last_value from public.attempts") == [(2,)]


def test_a_function_has_a_time_limit_of_its_own(gateway: RunningGateway) -> None:
    gateway.define(REST)
    assert refusal(gateway.client.post("/rpc/rest", json={"seconds": 600})) == TIMED_OUT
    assert gateway.client.post("/rpc/rest", json={"seconds": 0}).json() == "150ms"


def test_the_functions_time_limit_wins_over_the_roles(gateway: RunningGateway, role: str, bearer: Bearer) -> None:
    gateway.sql(f"alter role {role} set statement_timeout = '100ms'")
    gateway.define(REST, "alter function public.rest(float) set statement_timeout = 0")
    assert gateway.client.post("/rpc/rest", json={"seconds": 0.3}, headers=bearer(role)).json() == "0"
    gateway.define("alter function public.rest(float) reset statement_timeout")
    assert refusal(gateway.client.post("/rpc/rest", json={"seconds": 600}, headers=bearer(role))) == TIMED_OUT


@pytest.mark.parametrize("value", ["0.15s", "150 ms", "150000us"])
def test_time_limits_are_read_in_the_units_of_postgres(gateway: RunningGateway, value: str) -> None:
    gateway.define(REST, f"alter function public.rest(float) set statement_timeout = '{value}'")
    assert refusal(gateway.client.post("/rpc/rest", json={"seconds": 600})) == TIMED_OUT


def test_settings_of_a_function_that_are_not_hoisted_are_left_to_postgres(gateway: RunningGateway) -> None:
    gateway.define(
        "create or replace function public.zone() returns text volatile language sql set timezone = 'Asia/Tokyo' "
        "as $f$ select current_setting('timezone') $f$"
    )
    asked = gateway.client.post("/rpc/zone", headers={"Prefer": "timezone=Europe/Paris"})
    assert asked.json() == "Asia/Tokyo"


def test_settings_of_the_operator_reach_sql(gateway: RunningGateway) -> None:
    gateway.define(
        "create or replace function public.colour() returns text volatile language sql as "
        "$f$ select current_setting('app.settings.colour') $f$"
    )
    assert gateway.client.post("/rpc/colour").json() == "deep = blue"


def test_a_rolled_back_call_responds_and_stores_nothing(gateway: RunningGateway) -> None:
    gateway.define(
        "create table if not exists public.kept (a int); grant all on public.kept to public",
        "create or replace function public.keep(a int) returns int volatile language sql as "
        "'insert into public.kept values (keep.a) returning a'",
    )
    answer = gateway.client.post("/rpc/keep", json={"a": 7}, headers=ROLLBACK)
    assert (answer.status_code, answer.text, answer.headers["preference-applied"]) == (200, "7", "tx=rollback")
    assert gateway.sql("select a from public.kept") == []
    gateway.client.post("/rpc/keep", json={"a": 8}, headers={"Prefer": "tx=commit"})
    assert gateway.sql("select a from public.kept") == [(8,)]


def test_a_resource_can_be_rolled_back(gateway: RunningGateway, bearer: Bearer) -> None:
    gateway.sql("select pgmq_admin.create_queue('trial')")
    gateway.sql("select pgmq.send('trial', '1')")
    key = {"Idempotency-Key": "a-key-of-sixteen-characters"}
    for path, result in (("purge", "1"), ("messages/1/archive", "true")):
        answer = gateway.client.post(f"/queues/trial/{path}", headers={**bearer("service_role"), **ROLLBACK, **key})
        assert (answer.text, answer.headers["preference-applied"]) == (result, "tx=rollback")
    assert gateway.sql("select count(*) from pgmq.q_trial") == [(1,)]
    assert gateway.sql("select count(*) from pgmq.a_trial") == [(0,)]
    assert gateway.sql("select count(*) from pgmq_gateway.idempotency_keys") == [(0,)]


def test_deferred_constraints_are_checked_before_a_rollback(gateway: RunningGateway) -> None:
    gateway.define(
        "create table public.parent (a int primary key); grant all on public.parent to public",
        "create table public.child (a int references public.parent deferrable initially deferred);"
        "grant all on public.child to public",
        "create function public.orphan() returns int volatile language sql as "
        "'insert into public.child values (1) returning a'",
    )
    assert refusal(gateway.client.post("/rpc/orphan", headers=ROLLBACK))[:2] == (409, "23503")
    assert refusal(gateway.client.post("/rpc/orphan"))[:2] == (409, "23503")
    assert gateway.sql("select count(*) from public.child") == [(0,)]


def test_nothing_of_such_a_transaction_is_left_on_its_connection(alone: RunningGateway) -> None:
    alone.define(
        LEVEL,
        "create function public.strict() returns text volatile language sql set default_transaction_isolation = "
        "serializable as $f$ select current_user::text $f$",
        "create function public.fail() returns text volatile language plpgsql set default_transaction_isolation = "
        "serializable as $f$ begin raise 'no'; end $f$",
    )
    for function in ("strict", "fail", "level"):
        last = alone.client.post(f"/rpc/{function}")
    assert last.json() == "read committed"
