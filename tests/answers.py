"""Error responses of the gateway."""

from typing import Any

import httpx


def error(answer: httpx.Response) -> dict[str, Any]:
    """The body of an error response, which must have exactly four members in PostgREST's order."""
    body = answer.json()
    assert isinstance(body, dict), answer.text
    assert list(body) == ["code", "details", "hint", "message"], answer.text
    assert all(body[member] is None or isinstance(body[member], str) for member in body), answer.text
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    assert answer.headers["content-length"] == str(len(answer.content))
    assert answer.headers["proxy-status"].endswith(f"error={body['code']}")
    return body


def refusal(answer: httpx.Response) -> tuple[int, str, str]:
    """Status, code and message of an error response."""
    body = error(answer)
    return answer.status_code, body["code"], body["message"]


def key_in_use(answer: httpx.Response) -> bool:
    """True if another call with the same Idempotency-Key is running. No other 409 is expected."""
    if answer.status_code != 409:
        return False
    assert refusal(answer) == (409, "PGMQ001", "A request with this Idempotency-Key is still running")
    assert answer.headers["Retry-After"] == "1"
    return True
