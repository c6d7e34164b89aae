"""What goes back over HTTP: the answer to a call, or the error it ended in."""

from dataclasses import dataclass

from app.asgi import Send
from app.call import Answer
from app.errors import GatewayError, Headers

JSON = "application/json; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Response:
    """Status, headers and body of an HTTP answer."""

    status: int
    headers: Headers
    body: bytes = b""

    async def send(self, send: Send, *more: tuple[str, str]) -> None:
        """Send it, with `more` headers behind its own."""
        headers = [(name.lower().encode("latin-1"), _header_value(value)) for name, value in (*self.headers, *more)]
        if self.status != 204:
            headers.append((b"content-length", str(len(self.body)).encode()))
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": self.body})


def answered(answer: Answer, profile: str | None) -> Response:
    """A call's answer; `profile` names the schema where more than one is exposed."""
    rows = (("Content-Range", f"0-{answer.row_count - 1}/*" if answer.row_count else "*/*"),)
    if answer.body is None:
        return Response(204, rows)
    schema = (("Content-Profile", profile),) if profile else ()
    return Response(200, (*rows, ("Content-Type", JSON), *schema), answer.body.encode())


def failed(error: GatewayError) -> Response:
    """An error's answer. Proxy-Status (RFC 9209) repeats its code for clients that get no body."""
    headers = (("Content-Type", JSON), ("Proxy-Status", f"PostgREST; error={error.code}"), *error.headers)
    return Response(error.status, headers, error.body())


def _header_value(value: str) -> bytes:
    """A header's bytes: a message inside may hold anything, a line break would start another header."""
    return "".join(c if c.isprintable() else " " for c in value).encode(errors="replace")
