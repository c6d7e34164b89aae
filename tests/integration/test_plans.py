"""The plan of a call instead of its result (db-plan-enabled)."""

import json
from typing import Any

import pytest

from tests.answers import refusal
from tests.gateways import RunningGateway

GATEWAY = {"PGRST_DB_PLAN_ENABLED": "true", "PGRST_DB_TX_END": "commit-allow-override"}

PLAN = "application/vnd.pgrst.plan"
KEEP = (
    "create table if not exists public.kept (a int); grant all on public.kept to public; truncate public.kept",
    "create or replace function public.keep(a int) returns setof int volatile rows 3 language sql as "
    "'insert into public.kept values (keep.a) returning a'",
)


def explained(gateway: RunningGateway, accept: str, **headers: str) -> tuple[int, str, str]:
    """Status, Content-Type and body of a requested plan."""
    answer = gateway.client.post("/rpc/keep", json={"a": 7}, headers={"Accept": accept, **headers})
    assert "content-range" not in answer.headers
    return answer.status_code, answer.headers["content-type"], answer.text


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        (PLAN, f'{PLAN}+text; for="application/json"; charset=utf-8'),
        (f"{PLAN}+text", f'{PLAN}+text; for="application/json"; charset=utf-8'),
        (f'{PLAN}+text; for="text/csv"', f'{PLAN}+text; for="text/csv"; charset=utf-8'),
        (
            f'{PLAN}+text; for="application/vnd.pgrst.object+json"',
            f'{PLAN}+text; for="application/vnd.pgrst.object+json"; charset=utf-8',
        ),
        (
            f'{PLAN}+text; for="application/json"; options=verbose|settings;',
            f'{PLAN}+text; for="application/json"; options=verbose|settings; charset=utf-8',
        ),
    ],
)
def test_a_plan_is_text_and_the_call_is_not_run(gateway: RunningGateway, accept: str, content_type: str) -> None:
    gateway.define(*KEEP)
    status, found, body = explained(gateway, accept)
    assert (status, found) == (200, content_type)
    assert "Function Scan" in body
    assert gateway.sql("select a from public.kept") == []


def test_an_analyzed_plan_runs_the_call(gateway: RunningGateway) -> None:
    gateway.define(*KEEP)
    status, found, body = explained(gateway, f"{PLAN}+json; options=analyze|buffers")
    assert (status, found) == (200, f'{PLAN}+json; for="application/json"; options=analyze|buffers; charset=utf-8')
    plan: dict[str, Any] = json.loads(body)[0]
    assert "Execution Time" in plan
    assert gateway.sql("select a from public.kept") == [(7,)]


def test_an_analyzed_plan_can_be_rolled_back(gateway: RunningGateway) -> None:
    gateway.define(*KEEP)
    assert explained(gateway, f"{PLAN}+json; options=analyze", Prefer="tx=rollback")[0] == 200
    assert gateway.sql("select a from public.kept") == []


def test_options_that_explain_does_not_have_are_left_out(gateway: RunningGateway) -> None:
    gateway.define(*KEEP)
    status, found, _ = explained(gateway, f"{PLAN}+text; options=analyze) select 1; --|nonsense|wal")
    assert (status, found) == (200, f'{PLAN}+text; for="application/json"; charset=utf-8')


def test_a_plan_of_an_unknown_type_is_refused(gateway: RunningGateway) -> None:
    gateway.define(*KEEP)
    answer = gateway.client.post("/rpc/keep", json={"a": 7}, headers={"Accept": f'{PLAN}+json; for="text/html"'})
    assert refusal(answer)[:2] == (406, "PGRST107")


def test_a_call_that_the_role_may_not_make_has_no_plan(gateway: RunningGateway) -> None:
    gateway.define(*KEEP, "revoke execute on function public.keep(int) from public")
    answer = gateway.client.post("/rpc/keep", json={"a": 7}, headers={"Accept": PLAN})
    assert refusal(answer)[:2] == (401, "42501")
    gateway.sql("grant execute on function public.keep(int) to public")


def test_without_postgis_there_is_no_geojson(gateway: RunningGateway) -> None:
    gateway.define(*KEEP)
    answer = gateway.client.post("/rpc/keep", json={"a": 7}, headers={"Accept": "application/geo+json"})
    assert refusal(answer) == (404, "42883", "function st_asgeojson(record) does not exist")
    assert gateway.sql("select a from public.kept") == []
