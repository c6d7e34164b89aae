"""Functions that raise a whole response (RAISE SQLSTATE 'PGRST')."""

import json

import pytest

from tests.gateways import RunningGateway

RAISE = (
    "create or replace function public.answer(m text, d text) returns void language plpgsql as "
    "$f$ begin raise sqlstate 'PGRST' using message = m, detail = d; end $f$"
)


def test_body_status_and_headers_are_the_functions(gateway: RunningGateway) -> None:
    gateway.define(RAISE)
    message = json.dumps({"code": "42", "message": "no tea", "hint": "wait"})
    detail = json.dumps({"status": 418, "headers": {"X-Tea": "none", "Retry-After": "60"}})
    answer = gateway.client.post("/rpc/answer", json={"m": message, "d": detail})
    assert answer.status_code == 418
    assert answer.json() == {"code": "42", "details": None, "hint": "wait", "message": "no tea"}
    assert (answer.headers["x-tea"], answer.headers["retry-after"]) == ("none", "60")
    assert answer.headers["proxy-status"] == "PostgREST; error=42"


@pytest.mark.parametrize(
    ("message", "detail"),
    [
        ("no json", '{"status": 418, "headers": {}}'),
        ('{"code": "42"}', '{"status": 418, "headers": {}}'),
        ('{"code": "42", "message": "x"}', '{"status": 418}'),
        ('{"code": "42", "message": "x"}', "[]"),
        ('{"code": "42", "message": "x"}', '{"status": 418, "headers": {"X A": "1"}}'),
        ('{"code": "42", "message": "x"}', '{"status": 418, "headers": {"Content-Length": "9"}}'),
        ('["code"]', '{"status": "x", "headers": {}}'),
    ],
)
def test_a_malformed_raise_is_an_error_of_the_function(gateway: RunningGateway, message: str, detail: str) -> None:
    gateway.define(RAISE)
    answer = gateway.client.post("/rpc/answer", json={"m": message, "d": detail})
    assert (answer.status_code, answer.json()["code"]) == (500, "PGRST121")


def test_a_status_that_http_cannot_send_is_500(gateway: RunningGateway) -> None:
    gateway.define(RAISE)
    detail = json.dumps({"status": 99, "headers": {}})
    answer = gateway.client.post("/rpc/answer", json={"m": '{"code": "a", "message": "b"}', "d": detail})
    assert (answer.status_code, answer.json()["code"]) == (500, "a")
