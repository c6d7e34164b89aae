"""The query string of a resource at `/queues/…`. Its parameters are arguments of a function, and filter nothing."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

import msgspec

from pgmq_gateway.errors import InvalidQuery
from pgmq_gateway.http.request import Head
from pgmq_gateway.postgrest.query import parameters_of
from pgmq_gateway.postgrest.routes import Parameter, Type

MAX_MESSAGE_ID = 2**63 - 1


def arguments_of(head: Head, known: Mapping[str, Parameter]) -> dict[str, str]:
    """The arguments in a query string, as JSON. Raises InvalidQuery for any other parameter or value."""
    given: dict[str, list[str]] = {}
    for name, value in [*parameters_of(head), *[(name, "") for name in head.bare_names]]:
        if name not in known:
            allowed = ", ".join(known) or "none"
            raise InvalidQuery(f"Unknown parameter {name}", hint=f"Allowed parameters: {allowed}.")
        given.setdefault(name, []).append(value)
    arguments = {}
    for name, parameter in known.items():
        if name in given:
            arguments[parameter.argument or name] = _as_json(name, parameter, given[name])
        elif parameter.required:
            raise InvalidQuery(f"The parameter {name} is missing", hint=_example(name, parameter))
        elif parameter.default is not None:
            arguments[name] = parameter.default
    return arguments


def check_bounds(given: Mapping[str, str], known: Mapping[str, Parameter]) -> None:
    """Raise InvalidQuery for an integer that is out of its bounds."""
    for name, parameter in known.items():
        value = given.get(name, "null")
        if parameter.bounds is not None and value != "null":
            least, most = parameter.bounds
            if not least <= int(value) <= most:
                raise InvalidQuery(f"{name} must be from {least} to {most}", f"The request has {name}={value}.")


def message_id_as_json(text: str) -> str | None:
    """A message id; None for other text. Postgres accepts other spellings too, such as `0x2`."""
    if re.fullmatch("[0-9]{1,19}", text) and int(text) <= MAX_MESSAGE_ID:
        return str(int(text))
    return None


def _as_json(name: str, parameter: Parameter, values: list[str]) -> str:
    if parameter.type is Type.TEXTS:
        return f"[{', '.join([_read(name, parameter, value) for value in values])}]"
    if parameter.type is Type.IDS and len(values) > 1:
        raise InvalidQuery(f"The parameter {name} is repeated", hint=_example(name, parameter))
    return _read(name, parameter, values[-1])


def _read(name: str, parameter: Parameter, value: str) -> str:
    found = _READERS[parameter.type](value)
    if found is None:
        raise InvalidQuery(
            f"{name} must be {parameter.type}", f"The request has {name}={value}.", _example(name, parameter)
        )
    return found


def _example(name: str, parameter: Parameter) -> str:
    return f"Example: ?{name}={parameter.example}"


def _integer(text: str) -> str | None:
    return str(int(text)) if re.fullmatch("-?[0-9]{1,10}", text) else None


def _seconds(text: str) -> str | None:
    return str(int(text)) if re.fullmatch("[0-9]{1,4}", text) else None


def _text(text: str) -> str:
    return msgspec.json.encode(text).decode()


def _name(text: str) -> str | None:
    return _text(text) if text else None


def _time(text: str) -> str | None:
    """A time in UTC. In a query string `+` is a space, and Postgres would take `tomorrow` too."""
    try:
        time = datetime.fromisoformat(text)
        return None if time.tzinfo is None else _text(time.astimezone(UTC).isoformat())
    except (ValueError, OverflowError):
        return None


def _ids(text: str) -> str | None:
    """PostgREST's list `in.(1,2)` as an array; None for any other filter."""
    listed = re.fullmatch(r"in\.\((.*)\)", text)
    if listed is None:
        return None
    ids = [message_id_as_json(member) for member in listed[1].split(",")] if listed[1] else []
    known = [one for one in ids if one is not None]
    return f"[{','.join(known)}]" if len(known) == len(ids) else None


# A value as JSON; None if it is not of the type.
_READERS: Mapping[Type, Callable[[str], str | None]] = {
    Type.INTEGER: _integer,
    Type.SECONDS: _seconds,
    Type.ID: message_id_as_json,
    Type.BOOLEAN: {"true": "true", "false": "false"}.get,
    Type.TEXT: _text,
    Type.TIME: _time,
    Type.TEXTS: _name,
    Type.IDS: _ids,
}
