"""What checks of schemathesis take for granted and PostgREST's contract has otherwise, case by case.

Each premise answers for one kind of request and its one answer; whatever else a check finds fails the run.
"""

import re
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

# Queues and messages that calls of this run took off them.
taken: set[tuple[str, str]] = set()


@schemathesis.hook
def before_load_schema(_: HookContext, raw_schema: dict[str, Any]) -> None:
    """The gateway of the test asks for keys, so that nobody without credentials is the anonymous role."""
    raw_schema["security"].remove({})


@schemathesis.hook
def before_call(_: HookContext, case: Case, __: dict[str, Any]) -> None:
    """Write whole numbers without `.0`: such a one is an integer in JSON Schema, and none for Postgres (22P02)."""
    arguments = _arguments(case)
    for name in INTEGERS & arguments.keys():
        if isinstance(arguments[name], float) and arguments[name].is_integer():
            arguments[name] = int(arguments[name])


@schemathesis.hook
def after_call(_: HookContext, case: Case, response: Response) -> None:
    """Remember what is popped, archived and deleted: the steps of a scenario share queues."""
    if response.status_code != 200 or response.text == "false":
        return
    given = {**case.path_parameters, **_arguments(case)}
    name = str(given.get("queue", given.get("queue_name"))).lower()
    if case.path.endswith("/pop"):
        taken.update((name, str(row["msg_id"])) for row in response.json())
    elif case.path.endswith(("/archive", "/delete", "/{message_id}")):
        taken.add((name, str(given["message_id"])))


@schemathesis.hook
def filter_failure(_: HookContext, failure: Failure, case: Case, response: Response) -> bool:
    """Whether a failure is one."""
    return not any(premise(failure, case, response) for premise in PREMISES)


def no_nul(failure: Failure, _: Case, response: Response) -> bool:
    """Postgres keeps no NUL; a schema cannot say so of all strings in any JSON."""
    return isinstance(failure, RejectedPositiveData) and "\\u0000" in _sent(response) and _code(response) == "22P05"


def no_schema(failure: Failure, _: Case, response: Response) -> bool:
    """Without Content-Profile the function is looked up in the first schema, which may well have it."""
    found = isinstance(failure, MissingHeaderNotRejected) and failure.header_name == "Content-Profile"
    return found and (response.status_code, _code(response)) == (404, "PGRST202")


def no_get(failure: Failure, case: Case, response: Response) -> bool:
    """GET is a method of functions, which takes schema and arguments from elsewhere, and looks at them first."""
    found = isinstance(failure, UnsupportedMethodResponse) and response.request.method == "GET"
    return found and case.path.startswith("/rpc/") and _code(response) in ("PGRST202", "PGRST100")


def no_message(failure: Failure, case: Case, response: Response) -> bool:
    """A message_id of null is that of no message: `false`, as for all that are not there."""
    found = isinstance(failure, AcceptedNegativeData) and response.text == "false"
    return found and _arguments(case).get("message_id", 0) is None


def no_lease(failure: Failure, case: Case, response: Response) -> bool:
    """Sleeping null seconds is refused by the messages that were to do so (23502); without any it is nothing."""
    found = isinstance(failure, AcceptedNegativeData) and response.text == "[]"
    return found and case.path in ("/rpc/read", "/rpc/send_batch") and _arguments(case).get("sleep_seconds", 0) is None


def no_limit(failure: Failure, case: Case, _: Response) -> bool:
    """What is no number in limit and offset is no limit and no offset. A limit of 0 spares the call."""
    wrong = _wrong_in_query(case) if isinstance(failure, AcceptedNegativeData) else set()
    numbers = [str(case.query[name]) for name in wrong if NUMBER.fullmatch(str(case.query[name]))]
    return {"limit", "offset"} >= wrong > set() and numbers in ([], ["0"])


def no_array(failure: Failure, case: Case, response: Response) -> bool:
    """Postgres makes one array of arrays in `messages`, and none of null: it is as if each were sent, or nothing."""
    found = isinstance(failure, AcceptedNegativeData) and case.path == "/rpc/send_batch" and response.status_code == 200
    messages = _arguments(case).get("messages", ()) if found else ()
    return messages is None or (isinstance(messages, list) and any(isinstance(message, list) for message in messages))


def not_there_any_more(failure: Failure, case: Case, response: Response) -> bool:
    """A message that was sent is not there for long: other steps take it off the queue."""
    found = isinstance(failure, EnsureResourceAvailability) and _code(response) == "PGMQ404"
    return found and (case.path_parameters["queue"].lower(), str(case.path_parameters["message_id"])) in taken


PREMISES = (no_nul, no_schema, no_get, no_message, no_lease, no_limit, no_array, not_there_any_more)


def _arguments(case: Case) -> dict[str, Any]:
    """What a function is called with; nothing where the body is no object, or a message."""
    return case.body if isinstance(case.body, dict) and case.path.startswith("/rpc/") else {}


def _wrong_in_query(case: Case) -> set[str]:
    """The parameters of the query string that are not as described; none when something else is not, either."""
    assert case.meta
    data = case.meta.phase.data
    changes = data.mutations or (data,)
    only_there = {change.parameter_location for change in changes} == {ParameterLocation.QUERY}
    return {change.parameter or "" for change in changes} if only_there else set()


def _code(response: Response) -> object:
    """The code of an error answer."""
    return response.json()["code"]


def _sent(response: Response) -> str:
    """The body of the request, as it was sent."""
    body = response.request.body
    return body.decode(errors="replace") if isinstance(body, bytes) else str(body)
