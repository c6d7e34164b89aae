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
