"""Errors that Postgres or a function raised for a call, as error responses."""

import json
from collections.abc import Mapping
from typing import ClassVar

from pgmq_gateway.database.driver import ServerError
from pgmq_gateway.errors import FRAMING, HEADER_NAME, GatewayError


class DatabaseError(GatewayError):
    """An error that Postgres raised for a call.

    anonymous  whether the caller has the anonymous role: its missing privileges are 401, not 403
    """

    # The longest prefix applies; others are 400.
    # Source: PostgREST's mapping of SQLSTATE to status.
    STATUSES: ClassVar[Mapping[str, int]] = {
        "08": 503, "09": 500, "0L": 403, "0P": 403, "21000": 500, "23503": 409, "23505": 409, "25": 500,
        "25006": 405, "28": 403, "2D": 500, "38": 500, "39": 500, "3B": 500, "40": 500, "42501": 403, "42883": 404,
        "42P01": 404, "42P17": 500, "53": 503, "53400": 500, "54": 500, "55": 500, "57": 500, "57P01": 503, "58": 500,
        "F0": 500, "HV": 500, "P0": 500, "P0001": 400, "XX": 500,
    }  # fmt: skip

    def __init__(self, error: ServerError, *, anonymous: bool) -> None:
        super().__init__(error.message or "", _harmless(error), error.hint)
        self.code = error.sqlstate or "XX000"
        self.status = self._status(anonymous)
        if self.status == 401:
            self.headers = (("WWW-Authenticate", "Bearer"),)
        elif self.status == 503:
            self.headers = (("Retry-After", "1"),)
        elif self.code == "PT429":
            self.headers = (("Retry-After", "5"),)

    @classmethod
    def of(cls, error: ServerError, *, anonymous: bool) -> GatewayError:
        """The error response for an error of Postgres; SQLSTATE PGRST carries a whole response."""
        return RaisedAnswer(error) if error.sqlstate == "PGRST" else cls(error, anonymous=anonymous)

    def _status(self, anonymous: bool) -> int:
        if self.code == "42501" and anonymous:
            return 401
        if self.code == "22023" and self.message.startswith("role ") and self.message.endswith("does not exist"):
            return 401
        if self.code == "55P03" and self.message == "canceling statement due to lock timeout":
            # Not PostgREST's 500: nothing has been changed, and another attempt can succeed.
            return 503
        if self.code == "21000" and self.message.endswith("requires a WHERE clause"):
            return 400
        if self.code == "42883" and self.message.startswith("function xmlagg("):
            # PostgREST: the client accepts only XML, and the result cannot be XML.
            return 406
        if self.code.startswith("PT"):
            # PostgREST: a function sets the status with RAISE … USING ERRCODE = 'PT402'.
            return _sendable(int(self.code[2:])) if self.code[2:].isdigit() else 500
        found = (self.STATUSES.get(self.code[:length]) for length in (5, 2))
        return next((status for status in found if status), 400)


class InvalidRaise(Exception):
    """MESSAGE or DETAIL of a RAISE SQLSTATE 'PGRST' is invalid."""

    def __init__(self, part: str, text: str | None) -> None:
        super().__init__()
        self.part = part
        self.details = (
            f"{part} is missing in the RAISE statement" if text is None else f"Invalid JSON value for {part}: '{text}'"
        )


# Raised for text that is not the expected JSON, is nested too deep, or has an infinite number.
INVALID_JSON = (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError)

# PostgREST's texts.
RAISE_HINTS = {
    "MESSAGE": "MESSAGE must be a JSON object with obligatory keys: 'code', 'message' and optional keys: 'details', "
    "'hint'.",
    "DETAIL": "DETAIL must be a JSON object with obligatory keys: 'status', 'headers' and optional key: 'status_text'.",
}


class RaisedAnswer(GatewayError):
    """RAISE SQLSTATE 'PGRST': MESSAGE has the body as JSON, DETAIL status and headers (PostgREST's convention)."""

    def __init__(self, error: ServerError) -> None:
        try:
            self._read_body(error.message or "")
            self._read_answer(error.detail)
        except InvalidRaise as fault:
            super().__init__(
                "Could not parse JSON in the \"RAISE SQLSTATE 'PGRST'\" error", fault.details, RAISE_HINTS[fault.part]
            )
            self.code, self.status, self.headers = "PGRST121", 500, ()

    def _read_body(self, message: str) -> None:
        try:
            body = json.loads(message)
            super().__init__(_text(body["message"]), _text_or_none(body, "details"), _text_or_none(body, "hint"))
            self.code = _text(body["code"])
        except INVALID_JSON:
            raise InvalidRaise("MESSAGE", message) from None

    def _read_answer(self, detail: str | None) -> None:
        try:
            answer = json.loads(detail or "")
            self.status = _sendable(int(answer["status"]))
            self.headers = tuple((str(name), str(value)) for name, value in answer["headers"].items())
            if not all(HEADER_NAME.fullmatch(name) and name.lower() not in FRAMING for name, _ in self.headers):
                raise ValueError("a header's name")
        except INVALID_JSON:
            raise InvalidRaise("DETAIL", detail) from None


def _sendable(status: int) -> int:
    """A function's status; 500 for one that a response with a body cannot have."""
    return status if 200 <= status <= 599 and status not in (204, 205, 304) else 500


def _text_or_none(body: Mapping[str, object], name: str) -> str | None:
    return None if body.get(name) is None else _text(body[name])


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _harmless(error: ServerError) -> str | None:
    """The error's DETAIL, unless it shows the failing row with its payload (23502, 23514)."""
    detail: str | None = error.detail
    return None if detail and detail.startswith("Failing row contains") else detail
