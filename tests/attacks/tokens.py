"""Parts of tokens, and the errors of refused ones."""

import base64
import json
from unittest.mock import ANY

import httpx

from tests.answers import error
from tests.server import Server

NO_KEY = ("No suitable key or wrong key type", "No suitable key was found to decode the JWT")
NO_SIGNATURE = ("No suitable key or wrong key type", "None of the keys was able to decode the JWT")


def encoded(part: object) -> str:
    """A part of a token in URL-safe base64 without padding; values other than text and bytes are JSON."""
    text = part if isinstance(part, str | bytes) else json.dumps(part)
    data = text.encode() if isinstance(text, str) else text
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def challenge(message: str) -> str:
    """The WWW-Authenticate header of the response to a refused token."""
    return f'Bearer error="invalid_token", error_description="{message}"'


def invalid(answer: httpx.Response, code: str, message: str, details: str | None = None) -> None:
    """Assert that a token was refused with exactly this message."""
    body = {"code": code, "details": details, "hint": ANY, "message": message}
    assert (answer.status_code, error(answer)) == (401, body)
    assert answer.headers["www-authenticate"] == challenge(message)


def begun(server: Server) -> float:
    """The number of transactions that the gateway has begun for calls."""
    metrics = httpx.get(f"{server.admin_url}/metrics").text.splitlines()
    return float(next(line.split()[1] for line in metrics if line.startswith("pgmq_gateway_transaction_calls_count")))
