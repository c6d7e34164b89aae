"""The HTTP response to a call."""

import re

import msgspec

from pgmq_gateway.calls.call import Answer, Call
from pgmq_gateway.errors import FRAMING, HEADER_NAME, Headers, InvalidAnswer
from pgmq_gateway.http.response import REPLAYED, Response

# The format of response.headers: a list of objects with one member each.
_own_headers = msgspec.json.Decoder(list[dict[str, str]])


def answered(answer: Answer, call: Call, profile: str | None) -> Response:
    """The response to a call. `profile` is the value of Content-Profile, or None.

    Raises InvalidAnswer if the function set invalid headers or an invalid status.
    """
    headers = [] if call.representation.plan else [("Content-Range", _content_range(answer, call))]
    if answer.body is not None:
        headers.append(("Content-Type", call.representation.content_type))
        if profile is not None:
            headers.append(("Content-Profile", profile))
    if applied := call.preferences.applied:
        headers.append(("Preference-Applied", applied))
    if answer.replayed:
        headers.append((REPLAYED, "true"))
    status = _own_status(answer) or _status(answer)
    return Response(status, _with_own_headers(headers, answer), (answer.body or "").encode())


def _content_range(answer: Answer, call: Call) -> str:
    rows = f"{call.offset}-{call.offset + answer.row_count - 1}" if answer.row_count else "*"
    return f"{rows}/{'*' if answer.total is None else answer.total}"


def _status(answer: Answer) -> int:
    if answer.body is None:
        return 204
    return 206 if answer.total is not None and answer.row_count < answer.total else 200


def _own_status(answer: Answer) -> int | None:
    if not answer.status:
        return None
    if not re.fullmatch("[2-5][0-9]{2}", answer.status):
        raise InvalidAnswer("PGRST112", "response.status guc must be a valid status code")
    return int(answer.status)


def _with_own_headers(headers: list[tuple[str, str]], answer: Answer) -> Headers:
    if not answer.headers:
        return tuple(headers)
    try:
        items = _own_headers.decode(answer.headers)
    except msgspec.DecodeError:
        items = [{}]
    if any(len(item) != 1 or not HEADER_NAME.fullmatch(next(iter(item))) for item in items):
        raise InvalidAnswer(
            "PGRST111",
            "response.headers guc must be a JSON array composed of objects with a single key and a string value",
        )
    own = [(name, value) for item in items for name, value in item.items() if name.lower() not in FRAMING]
    replaced = {name.lower() for name, _ in own}
    return (*((name, value) for name, value in headers if name.lower() not in replaced), *own)
