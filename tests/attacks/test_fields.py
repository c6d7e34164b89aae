"""SQL and garbage in every field of a request: a client error, and no effect."""

import functools
import gc
import inspect
import json
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pgmq_gateway.gateway import Gateway
from pgmq_gateway.settings.model import Settings
from tests.answers import error, refusal
from tests.calls import CALLS
from tests.databases import Sql
from tests.server import SECRET

Stored = Callable[[], list[tuple[Any, ...]]]

SQL = ("'; drop table pgmq.meta; --", '"; select pg_sleep(9); --', "$$; set role postgres; $$", "%s %I {0} \\x00 :a")

VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.sampled_from([2**31 - 1, 2**31, -(2**31), 2**63 - 1, 2**63, -1, 0, 1e20, 1e308, 1.5, -0.0]),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(max_size=20),
        st.sampled_from([*SQL, "null", "0x1F", "1e3", " 7 ", "1_000", "{1,2}", "NaN", "infinity", "\ud800", "\0"]),
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.parametrize("function", CALLS)
def test_a25_no_value_of_any_field_is_a_500_and_refused_calls_have_no_effect(
    service: httpx.Client, queue: str, sql: Sql, stored: Stored, function: str
) -> None:
    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
    @given(field=st.sampled_from(["queue_name", *CALLS[function]]), value=VALUES)
    def holds(field: str, value: object) -> None:
        body = json.dumps({"queue_name": queue, **CALLS[function], field: value})
        before = stored()
        answer = service.post(f"/rpc/{function}", content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code in (200, 400, 404), (body, answer.text)
        if answer.status_code == 200:
            assert len(answer.json() if isinstance(answer.json(), list) else ()) <= 10
        else:
            error(answer)
            assert stored() == before

    sql("select pgmq.send_batch(%s, array['1', '2', '3']::jsonb[])", queue)
    holds()


def test_a22_sql_in_headers_and_queries_stays_text(service: httpx.Client, queue: str, sql: Sql, stored: Stored) -> None:
    body = {"queue_name": queue, "message": 1}
    sent = 0
    for text in SQL:
        for header in ("Prefer", "Cookie", "User-Agent", "X-Request-Id", "Range", "X'--", "X$$", "Origin"):
            assert service.post("/rpc/send", json=body, headers={header: text}).status_code == 200, (header, text)
            sent += 1
        for header in ("Content-Profile", "Accept", "Content-Type", "Authorization"):
            answer = service.post("/rpc/send", json=body, headers={header: text})
            # Another scheme than Bearer is the anonymous role.
            assert answer.status_code in (400, 401, 406), (header, text, answer.text)
        for name in ("select", "order", "columns", "limit", "and", text):
            assert service.post("/rpc/send", json=body, params={name: text}).status_code in (200, 400, 404), name
        assert service.post(f"/rpc/{text}", json=body).status_code == 404
        assert service.post(f"/queues/{text}/messages", json={}).status_code in (400, 404)
        assert service.post("/rpc/send", json={**body, text: 1}).status_code == 404
    assert len(stored()) >= sent
    assert sql("select count(*) from pgmq.meta where queue_name = %s", queue) == [(1,)]


@pytest.mark.parametrize("name", ["é" * 40, "日本語", "Ä", "a\nb", "\u202eabc", 'a"b', "a b", "", "x" * 48, "x" * 1000])
def test_a24_a_name_that_postgres_could_cut_or_fold_into_another_is_no_queues(sql: Sql, name: str) -> None:
    before = sql("select count(*) from pgmq.meta")
    for suffix in ("a", "b") if len(name) == 40 else ("",):
        with pytest.raises(Exception, match="is not allowed"):
            sql("select pgmq_admin.create_queue(%s)", name + suffix)
    assert sql("select count(*) from pgmq.meta") == before


def test_a32_other_schemas_are_out_of_reach(service: httpx.Client, queue: str, stored: Stored) -> None:
    body = {"queue_name": queue, "msg": {"a": 1}}
    for schema in ("pgmq", "pgmq_gateway", "pg_catalog", "information_schema", "PGMQ_PUBLIC", "pgmq_public ,pgmq"):
        answer = service.post("/rpc/send", json=body, headers={"Content-Profile": schema})
        assert refusal(answer)[:2] == (406, "PGRST106"), schema
    twice = [("Content-Profile", "pgmq_public"), ("Content-Profile", "pgmq")]
    del service.headers["Content-Profile"]
    assert service.post("/rpc/send", json=body, headers=twice).status_code in (404, 406)
    assert stored() == []


def test_a38_every_cache_is_bounded(service: httpx.Client) -> None:
    # The same parts in this process, for inspection.
    gateway = Gateway(Settings.model_validate({"db_uri": "postgres://nowhere", "jwt_secret": SECRET}))
    caches = [
        one
        for one in gc.get_objects()
        if isinstance(one, functools._lru_cache_wrapper)
        and str(getattr(one, "__module__", "")).startswith("pgmq_gateway.")
    ]
    assert (len(caches) > 5, gateway.settings.jwt_cache_max_entries) == (True, 1000)
    # Functions without arguments have one key.
    sizes = {one.__qualname__: one.cache_parameters()["maxsize"] for one in caches if inspect.signature(one).parameters}
    assert {name: size for name, size in sizes.items() if (size or 10**9) > 10_000} == {}
    for n in range(150):
        headers = {"Authorization": f"Bearer a.{n}.c", "Content-Profile": f"schema{n}", "X-Trace": str(n)}
        assert service.post(f"/rpc/function{n}", headers=headers).status_code == 401


def test_a42_no_text_takes_long_to_read(service: httpx.Client) -> None:
    queries = (
        "and=" + "(and" * 3000, "or=" + "(" * 9000, "select=" + "a(" * 6000, "select=" + "a," * 9000,
        "select=a" + "->b" * 6000, "a=" + "not." * 6000, "order=" + "a.desc," * 3000, "columns=" + "a," * 9000,
        "a=like." + "*" * 20_000, "a=in.(" + '"\\"' * 3000 + ")", "&" * 20_000, "%" * 9000,
    )  # fmt: skip
    headers: tuple[dict[str, str], ...] = (
        {"Prefer": "a=b," * 5000}, {"Accept": "a/b;q=0.1," * 2500}, {"Range": "0-" + "9" * 5000},
        {"Cookie": "a=b;" * 6000}, {"Content-Type": "application/json" + ";a=b" * 5000},
        {"Accept": "application/vnd.pgrst.plan+json;options=" + "a|" * 8000},
        {"Authorization": "Bearer " + "." * 20_000}, {"apikey": "a" * 20_000},
    )  # fmt: skip
    body = {"queue_name": "nowhere", "sleep_seconds": 0, "n": 1}
    began = time.monotonic()
    for query in queries:
        assert service.post(f"/rpc/read?{query}", json=body).status_code in (400, 404), query[:20]
    for header in headers:
        assert service.post("/rpc/read", json=body, headers=header).status_code in (400, 401, 404, 406), header
    # Milliseconds each; a quadratic parser would need minutes.
    assert time.monotonic() < began + 30
