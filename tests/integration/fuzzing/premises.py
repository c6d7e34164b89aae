"""Premises of schemathesis' checks that do not hold for PostgREST's contract, one by one.

Each premise covers one kind of request and its response. Every other failure of a check fails the run.
"""

import re
import uuid
from typing import Any

import schemathesis
from schemathesis import Case as AnyCase
from schemathesis import HookContext, Response
from schemathesis.core.failures import AcceptedNegativeData, Failure
from schemathesis.core.parameters import ParameterLocation
from schemathesis.openapi.checks import (
    EnsureResourceAvailability,
    MissingHeaderNotRejected,
    RejectedPositiveData,
    UnsupportedMethodResponse,
)

Case = AnyCase[Any]

INTEGERS = {"message_id", "n", "sleep_seconds"}
NUMBER = re.compile(r"-?[0-9]+")
KEY = re.compile(r"[!#-~][ -~]{14,253}[!-~]")

# Queues, and messages that calls of this run removed from them.
taken: set[tuple[str, str]] = set()
# Queues from which calls removed other messages.
SWEEPING = ("/messages", "/messages/archive", "/purge", "/redrive", "/settle", "/reject")
swept: set[str] = set()
# Resources with arguments in their body.
TAKING_MEMBERS = ("/settle", "/redrive", "/replay")


@schemathesis.hook
def before_load_schema(_: HookContext, raw_schema: dict[str, Any]) -> None:
    """The gateway of the test requires keys, so a request without credentials is refused."""
    raw_schema["security"].remove({})


@schemathesis.hook
def before_call(_: HookContext, case: Case, __: dict[str, Any]) -> None:
    """Write integers without `.0`: `1.0` is an integer in JSON Schema, but not in Postgres (22P02).

    Generated keys are repeated with other requests (422), so valid ones are replaced.
    """
    if case.headers and KEY.fullmatch(str(case.headers.get("Idempotency-Key", ""))):
        case.headers["Idempotency-Key"] = str(uuid.uuid4())
    arguments = _arguments(case)
    for name in INTEGERS & arguments.keys():
        arguments[name] = _whole(arguments[name])
    if case.path.endswith(TAKING_MEMBERS):
        case.body = _whole(case.body)  # type: ignore[assignment]


@schemathesis.hook
def after_call(_: HookContext, case: Case, response: Response) -> None:
    """Record popped, archived and deleted messages: the steps of a scenario share queues."""
    if response.status_code != 200 or response.text == "false":
        return
    given = {**case.path_parameters, **_arguments(case)}
    name = str(given.get("queue", given.get("queue_name"))).lower()
    if case.path.endswith("/pop"):
        taken.update((name, str(row["msg_id"])) for row in response.json())
    elif case.path.endswith(("/{message_id}/archive", "/rpc/archive", "/rpc/delete", "/{message_id}")):
        taken.add((name, str(given["message_id"]).partition(".")[0]))
    elif case.method != "GET" and case.path.endswith(SWEEPING):
        swept.add(name)


@schemathesis.hook
def filter_failure(_: HookContext, failure: Failure, case: Case, response: Response) -> bool:
    """True if a failure is a real one."""
    return not any(premise(failure, case, response) for premise in PREMISES)


def no_nul(failure: Failure, _: Case, response: Response) -> bool:
    """Postgres does not store NUL, and a schema cannot exclude it in all strings of any JSON."""
    return isinstance(failure, RejectedPositiveData) and "\\u0000" in _sent(response) and _code(response) == "22P05"


def no_schema(failure: Failure, _: Case, response: Response) -> bool:
    """Without Content-Profile the function is looked up in the first schema, which can have it."""
    found = isinstance(failure, MissingHeaderNotRejected) and failure.header_name == "Content-Profile"
    return found and (response.status_code, _code(response)) == (404, "PGRST202")


def no_get(failure: Failure, case: Case, response: Response) -> bool:
    """GET is valid for functions and takes schema and arguments from other places, which are checked first."""
    found = isinstance(failure, UnsupportedMethodResponse) and response.request.method == "GET"
    return found and case.path.startswith("/rpc/") and _code(response) in ("PGRST202", "PGRST100")


def no_message(failure: Failure, case: Case, response: Response) -> bool:
    """A null message_id matches no message: `false`, as for any missing message."""
    found = isinstance(failure, AcceptedNegativeData) and response.text == "false"
    return found and _arguments(case).get("message_id", 0) is None


def no_lease(failure: Failure, case: Case, response: Response) -> bool:
    """Null sleep_seconds fails for each message (23502), so not for an empty batch."""
    found = isinstance(failure, AcceptedNegativeData) and response.text == "[]"
    return found and case.path in ("/rpc/read", "/rpc/send_batch") and _arguments(case).get("sleep_seconds", 0) is None


def no_count(failure: Failure, case: Case, response: Response) -> bool:
    """Postgres can find a queue to be empty before it looks at a negative LIMIT."""
    found = isinstance(failure, AcceptedNegativeData) and case.path == "/rpc/read" and response.text == "[]"
    return found and int(_arguments(case)["n"]) < 0


def no_limit(failure: Failure, case: Case, _: Response) -> bool:
    """A limit or offset that is not a number is ignored. With a limit of 0 the function does not run."""
    wrong = _wrong_in_query(case) if isinstance(failure, AcceptedNegativeData) else set()
    numbers = [str(case.query[name]) for name in wrong if NUMBER.fullmatch(str(case.query[name]))]
    return {"limit", "offset"} >= wrong > set() and numbers in ([], ["0"])


def no_array(failure: Failure, case: Case, response: Response) -> bool:
    """Postgres flattens arrays in `messages`, and null is an empty batch."""
    found = isinstance(failure, AcceptedNegativeData) and case.path == "/rpc/send_batch" and response.status_code == 200
    messages = _arguments(case).get("messages", ()) if found else ()
    return messages is None or (isinstance(messages, list) and any(isinstance(message, list) for message in messages))


def not_there_any_more(failure: Failure, case: Case, response: Response) -> bool:
    """Other steps can remove a message that was sent."""
    if not (isinstance(failure, EnsureResourceAvailability) and _code(response) in ("PGMQ404", "PGMQ409")):
        return False
    named = {str(name).partition(".")[0] for name in case.path_parameters.values()}
    queue = case.path_parameters["queue"].lower()
    return queue in swept or any((queue, name) in taken for name in named)


def no_body(failure: Failure, case: Case, response: Response) -> bool:
    """All members of a body are optional, so there can be none."""
    found = isinstance(failure, AcceptedNegativeData) and case.path.endswith(TAKING_MEMBERS)
    return found and not response.request.body


def no_filter(failure: Failure, _: Case, response: Response) -> bool:
    """The members of a filter are those of pgmq_admin.list_messages."""
    return isinstance(failure, RejectedPositiveData) and response.json()["message"].startswith("filter member")


def no_target(failure: Failure, _: Case, response: Response) -> bool:
    """The queue to redrive to cannot be the same one, however it is spelled."""
    return isinstance(failure, RejectedPositiveData) and response.json()["message"].endswith("to itself")


def no_option(failure: Failure, case: Case, response: Response) -> bool:
    """Options that exclude each other, are in the past, or belong to a single message while the body is a batch.

    Postgres refuses time zones beyond 16 hours, and the year 0.
    """
    if not (isinstance(failure, RejectedPositiveData) and case.path == "/queues/{queue}/messages"):
        return False
    texts = ("is one of a single message", "exclude each other", "cannot expire at")
    return _code(response) in ("22008", "22009") or any(text in response.json()["message"] for text in texts)


def no_receipt(failure: Failure, _: Case, response: Response) -> bool:
    """Receipts of messages that other steps have read again; made-up ones, which `strict` refuses; the same twice."""
    return isinstance(failure, RejectedPositiveData) and (
        _code(response) in ("PGMQ409", "PT409") or "is listed twice" in response.json()["message"]
    )


PREMISES = (
    no_nul,
    no_schema,
    no_get,
    no_message,
    no_lease,
    no_count,
    no_limit,
    no_array,
    not_there_any_more,
    no_body,
    no_target,
    no_option,
    no_filter,
    no_receipt,
)


def _arguments(case: Case) -> dict[str, Any]:
    """The arguments of a call; empty if the body is not an object, or is a message."""
    return case.body if isinstance(case.body, dict) and case.path.startswith("/rpc/") else {}


def _whole(value: object) -> object:
    """A value of JSON without `.0`."""
    match value:
        case float() if value.is_integer():
            return int(value)
        case dict():
            return {name: _whole(member) for name, member in value.items()}
        case list():
            return [_whole(member) for member in value]
    return value


def _wrong_in_query(case: Case) -> set[str]:
    """The invalid parameters of the query string; empty if something else is invalid too."""
    assert case.meta
    data = case.meta.phase.data
    changes = data.mutations or (data,)
    only_there = {change.parameter_location for change in changes} == {ParameterLocation.QUERY}
    return {change.parameter or "" for change in changes} if only_there else set()


def _code(response: Response) -> object:
    """The code of an error response."""
    return response.json()["code"]


def _sent(response: Response) -> str:
    """The body of the request, as it was sent."""
    body = response.request.body
    return body.decode(errors="replace") if isinstance(body, bytes) else str(body)
