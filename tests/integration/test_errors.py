"""Errors: the status, the four members, and that the queue is unchanged."""

import json
from collections.abc import Callable
from typing import Any
from unittest.mock import ANY

import httpx
import pytest

from tests.answers import error, refusal
from tests.calls import CALLS
from tests.databases import Sql
from tests.gateways import Bearer, RunningGateway

Stored = Callable[[], list[tuple[Any, ...]]]

JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
each_function = pytest.mark.parametrize("function", CALLS)


@pytest.fixture
def queue(shared_queue: str, sql: Sql) -> str:
    """A queue without messages, whose first one gets the id 1."""
    sql(f"truncate pgmq.q_{shared_queue}, pgmq.a_{shared_queue} restart identity")
    return shared_queue


@pytest.fixture(autouse=True)
def before(queue: str, sql: Sql, stored: Stored) -> list[tuple[Any, ...]]:
    """The rows of the test's queue at the beginning: one message with something secret in it."""
    sql("select pgmq.send(%s, %s)", queue, json.dumps({"card": "4111 1111"}))
    return stored()


@pytest.fixture
def unchanged(stored: Stored, before: list[tuple[Any, ...]]) -> Callable[[], None]:
    """unchanged() asserts that the test's queue and archive are as they were."""

    def check() -> None:
        assert stored() == before

    return check


Check = Callable[[], None]


def assert_not_found(
    answer: httpx.Response, *arguments: str, function: str = "pgmq_public.send", unnamed: bool = True
) -> None:
    """Assert PostgREST's error for an unknown function, with any hint."""
    listed = ", ".join(sorted(arguments))
    searched = f"with parameter{'s' * (len(arguments) > 1)} {listed}" if arguments else "without parameters"
    more = " or with a single unnamed json/jsonb parameter" if unnamed else ""
    called = f"{function}({listed})" if arguments else f"{function} without parameters"
    details = f"Searched for the function {function} {searched}{more}, but no matches were found in the schema cache."
    assert refusal(answer) == (404, "PGRST202", f"Could not find the function {called} in the schema cache")
    assert error(answer)["details"] == details


@each_function
def test_an_unknown_queue(service: httpx.Client, function: str, unchanged: Check) -> None:
    answer = service.post(f"/rpc/{function}", json={"queue_name": "nowhere", **CALLS[function]})
    body = {"code": "42P01", "details": None, "hint": ANY, "message": 'relation "pgmq.q_nowhere" does not exist'}
    assert (answer.status_code, error(answer)) == (404, body)
    unchanged()


@pytest.mark.parametrize(
    "function", ["sned", "SEND", "Send", "send_", "set_vt", "create", "x" * 5000, "日本", '"send"']
)
def test_an_unknown_function(service: httpx.Client, function: str, queue: str, unchanged: Check) -> None:
    answer = service.post(f"/rpc/{function}", json={"queue_name": queue, "message": 1})
    assert_not_found(answer, "queue_name", "message", function=f"pgmq_public.{function}")
    unchanged()


def test_an_unknown_function_without_arguments(service: httpx.Client) -> None:
    assert_not_found(service.post("/rpc/nothing"), function="pgmq_public.nothing")
    assert_not_found(service.post("/rpc/nothing", json={"a": 1}), "a", function="pgmq_public.nothing")


def test_without_a_profile_the_first_schema_is_searched(service: httpx.Client, queue: str, unchanged: Check) -> None:
    del service.headers["Content-Profile"]
    answer = service.post("/rpc/send", json={"queue_name": queue, "message": 1})
    assert_not_found(answer, "queue_name", "message", function="public.send")
    unchanged()


@each_function
def test_a_missing_argument(service: httpx.Client, function: str, queue: str, unchanged: Check) -> None:
    complete = {"queue_name": queue, **CALLS[function]}
    for left_out in complete:
        body = {name: value for name, value in complete.items() if name != left_out}
        answer = service.post(f"/rpc/{function}", json=body)
        assert_not_found(answer, *body, function=f"pgmq_public.{function}")
    unchanged()


@each_function
@pytest.mark.parametrize("name", ["extra", "Queue_Name", "", "é", 'a"b', "a, b", "a\0b", "queue_name "])
def test_an_argument_too_many(service: httpx.Client, function: str, name: str, queue: str, unchanged: Check) -> None:
    body = {"queue_name": queue, **CALLS[function], name: 1}
    answer = service.post(f"/rpc/{function}", json=body)
    assert (answer.status_code, error(answer)["code"]) == (404, "PGRST202")
    listed = ", ".join(sorted(body))
    assert (
        error(answer)["message"] == f"Could not find the function pgmq_public.{function}({listed}) in the schema cache"
    )
    unchanged()


@each_function
def test_a_misnamed_argument(service: httpx.Client, function: str, queue: str, unchanged: Check) -> None:
    body = {"queue": queue, **CALLS[function]}
    assert_not_found(service.post(f"/rpc/{function}", json=body), *body, function=f"pgmq_public.{function}")
    unchanged()


INTEGERS = [
    ("send", "sleep_seconds", "integer"), ("send_batch", "sleep_seconds", "integer"),
    ("read", "sleep_seconds", "integer"), ("read", "n", "integer"),
    ("delete", "message_id", "bigint"), ("archive", "message_id", "bigint"),
]  # fmt: skip


@pytest.mark.parametrize(("function", "argument", "type_"), INTEGERS)
@pytest.mark.parametrize("value", ["abc", "", "1.5", 1.5, True, [], [1], {}, "1; select 1", "0x", "\u0661"])
def test_a25_a26_a27_an_argument_that_is_no_integer(
    service: httpx.Client, function: str, argument: str, type_: str, value: object, queue: str, unchanged: Check
) -> None:
    answer = service.post(f"/rpc/{function}", json={"queue_name": queue, **CALLS[function], argument: value})
    text = value if isinstance(value, str) else json.dumps(value)
    message = f'invalid input syntax for type {type_}: "{text}"'
    assert (answer.status_code, error(answer)) == (
        400,
        {"code": "22P02", "details": None, "hint": ANY, "message": message},
    )
    unchanged()


@pytest.mark.parametrize(("function", "argument", "type_"), INTEGERS)
@pytest.mark.parametrize("digits", ["9223372036854775808", "-9223372036854775809", "9" * 1000])
def test_a25_a26_a27_an_integer_out_of_range(
    service: httpx.Client, function: str, argument: str, type_: str, digits: str, queue: str, unchanged: Check
) -> None:
    rest = json.dumps({"queue_name": queue, **{k: v for k, v in CALLS[function].items() if k != argument}})
    body = f'{rest[:-1]}, "{argument}": {digits}}}'
    answer = service.post(f"/rpc/{function}", content=body, headers=JSON)
    assert refusal(answer) == (400, "22003", f'value "{digits}" is out of range for type {type_}')
    unchanged()


@pytest.mark.parametrize("function", ["delete", "archive"])
def test_a27_an_id_as_text_with_more_digits_than_python_reads(
    service: httpx.Client, function: str, queue: str, unchanged: Check
) -> None:
    digits = "9" * 5000
    answer = service.post(f"/rpc/{function}", json={"queue_name": queue, "message_id": digits})
    assert refusal(answer) == (400, "22003", f'value "{digits}" is out of range for type bigint')
    unchanged()


@pytest.mark.parametrize("value", [2**31, -(2**31) - 1])
def test_a25_a26_an_integer_of_more_than_32_bits(
    service: httpx.Client, value: int, queue: str, unchanged: Check
) -> None:
    for function, argument in (("send", "sleep_seconds"), ("read", "sleep_seconds"), ("read", "n")):
        answer = service.post(f"/rpc/{function}", json={"queue_name": queue, **CALLS[function], argument: value})
        assert refusal(answer) == (400, "22003", f'value "{value}" is out of range for type integer')
    unchanged()


@pytest.mark.parametrize(
    ("messages", "message", "details", "hint"),
    [
        ({"a": 1}, "expected JSON array", None, 'See the value of key "messages".'),
        (1, "expected JSON array", None, 'See the value of key "messages".'),
        (
            [[1, 2], [3]],
            "malformed JSON array",
            "Multidimensional arrays must have sub-arrays with matching dimensions.",
            None,
        ),
        ([[], {"a": 1}], "expected JSON array", None, 'See the array element [1] of key "messages".'),
        ("nonsense", 'malformed array literal: "nonsense"', "…", None),
    ],
)
def test_a25_messages_that_are_no_array(
    service: httpx.Client, messages: object, message: str, details: str, hint: str, queue: str, unchanged: Check
) -> None:
    answer = service.post("/rpc/send_batch", json={"queue_name": queue, "messages": messages})
    assert refusal(answer) == (400, "22P02", message)
    assert error(answer)["hint"] == hint
    assert details == "…" or error(answer)["details"] == details
    unchanged()


def test_f37_a_batch_with_one_bad_message_stores_none(service: httpx.Client, queue: str, unchanged: Check) -> None:
    messages: list[object] = [{"n": n} for n in range(20)]
    answer = service.post("/rpc/send_batch", json={"queue_name": queue, "messages": [*messages, "\0"]})
    assert refusal(answer)[:2] == (400, "22P05")
    unchanged()


@pytest.mark.parametrize("n", ["null", '"null"'])
def test_a25_n_must_be_a_number(service: httpx.Client, n: str, queue: str, unchanged: Check) -> None:
    content = f'{{"queue_name": "{queue}", "sleep_seconds": 600, "n": {n}}}'
    answer = service.post("/rpc/read", content=content, headers=JSON)
    code, message = ("22004", "n must not be null") if n == "null" else ("22P02", None)
    assert refusal(answer)[:2] == (400, code)
    assert message in {None, error(answer)["message"]}
    unchanged()


@pytest.mark.parametrize("n", [-1, -(2**31)])
def test_a25_n_must_not_be_negative(service: httpx.Client, n: int, queue: str, unchanged: Check) -> None:
    answer = service.post("/rpc/read", json={"queue_name": queue, "sleep_seconds": 600, "n": n})
    assert refusal(answer) == (400, "2201W", "LIMIT must not be negative")
    unchanged()


def test_a25_n_of_nothing_reads_nothing(service: httpx.Client, queue: str, unchanged: Check) -> None:
    answer = service.post("/rpc/read", json={"queue_name": queue, "sleep_seconds": 600, "n": 0})
    assert (answer.status_code, answer.json()) == (200, [])
    unchanged()


@pytest.mark.parametrize("function", ["send", "send_batch", "read"])
def test_a26_a34_a_null_delay_is_refused_without_showing_the_message(
    service: httpx.Client, function: str, queue: str, unchanged: Check
) -> None:
    secret = {"message": {"card": "4111 1111"}, "messages": [{"card": "4111 1111"}]}
    arguments = {name: secret.get(name, value) for name, value in CALLS[function].items()}
    answer = service.post(f"/rpc/{function}", json={"queue_name": queue, **arguments, "sleep_seconds": None})
    message = f'null value in column "vt" of relation "q_{queue}" violates not-null constraint'
    assert refusal(answer) == (400, "23502", message)
    assert "4111" not in answer.text
    assert "4111" not in str(answer.headers)
    unchanged()


@pytest.mark.parametrize("function", ["delete", "archive"])
def test_a27_no_message_has_a_null_id(service: httpx.Client, function: str, queue: str, unchanged: Check) -> None:
    answer = service.post(f"/rpc/{function}", json={"queue_name": queue, "message_id": None})
    assert (answer.status_code, answer.text) == (200, "false")
    unchanged()


@each_function
def test_a23_a_null_queue_name(service: httpx.Client, function: str, unchanged: Check) -> None:
    answer = service.post(f"/rpc/{function}", json={"queue_name": None, **CALLS[function]})
    assert refusal(answer) == (400, "22004", "null values cannot be formatted as an SQL identifier")
    unchanged()


@each_function
@pytest.mark.parametrize(
    "name", ["a$b", "a;b", "a--b", "a'b", 'x" (msg_id) values (1); drop table pgmq.meta; --', "'); select pg_sleep(9)"]
)
def test_a22_a23_bad_characters_in_a_queue_name(
    service: httpx.Client, function: str, name: str, unchanged: Check
) -> None:
    answer = service.post(f"/rpc/{function}", json={"queue_name": name, **CALLS[function]})
    assert refusal(answer) == (400, "P0001", "queue name contains invalid characters: $, ;, --, or \\'")
    unchanged()


@each_function
@pytest.mark.parametrize(
    "name",
    [
        "", " ", 'a"b', 'x" where true returning *', "a.b", "../meta", "日本語", "\u202eabc", "a\nb", "%I %s",
        "x" * 62, 5, True, ["a"], {"a": 1}, "pg_class", "\\", "é" * 40,
    ],
    ids=repr,
)  # fmt: skip
def test_a23_a_queue_name_that_is_none(service: httpx.Client, function: str, name: object, unchanged: Check) -> None:
    answer = service.post(f"/rpc/{function}", json={"queue_name": name, **CALLS[function]})
    status, code, message = refusal(answer)
    assert (status, code) == (404, "42P01")
    assert message.startswith('relation "pgmq.q_')
    assert message.endswith('" does not exist')
    unchanged()


@each_function
def test_a23_a24_a_queue_name_is_not_cut_to_one_that_exists(
    service: httpx.Client, function: str, queue: str, unchanged: Check
) -> None:
    for name in ("x" * 10_000, queue + "_" * 60, queue + " "):
        answer = service.post(f"/rpc/{function}", json={"queue_name": name, **CALLS[function]})
        assert refusal(answer)[:2] == (404, "42P01")
    unchanged()


@pytest.mark.parametrize("escape", ["\\u0000", "a\\u0000b"])
def test_a29_the_null_character(service: httpx.Client, escape: str, queue: str, unchanged: Check) -> None:
    for body in (
        f'{{"queue_name": "{queue}", "message": "{escape}"}}',
        f'{{"queue_name": "{queue}", "message": {{"{escape}": [1]}}}}',
        f'{{"queue_name": "{queue}{escape}", "message": 1}}',
    ):
        answer = service.post("/rpc/send", content=body, headers=JSON)
        assert refusal(answer) == (400, "22P05", "unsupported Unicode escape sequence")
        assert error(answer)["details"] == "\\u0000 cannot be converted to text."
    unchanged()


@pytest.mark.parametrize("escape", ["\\ud800", "\\udc00", "\\ud800\\u0041"])
def test_a29_half_a_surrogate_pair(service: httpx.Client, escape: str, queue: str, unchanged: Check) -> None:
    body = f'{{"queue_name": "{queue}", "message": "{escape}"}}'
    answer = service.post("/rpc/send", content=body, headers=JSON)
    assert refusal(answer) == (400, "PGRST102", "Empty or invalid json")
    unchanged()


BROKEN = [
    b" ", b"  \n\t ", b"{", b'{"queue_name": "QUEUE", "message": 1', b'{"queue_name": "QUEUE", "message": }',
    b"{'queue_name': 'QUEUE', 'message': 1}", b'{"queue_name": "QUEUE", "message": 1,}',
    b'{"queue_name": "QUEUE", "message": 1}}', b'{"queue_name": "QUEUE", "message": 1} {}',
    b'{"queue_name": "QUEUE", "message": NaN}', b'{"queue_name": "QUEUE", "message": Infinity}',
    b'{"queue_name": "QUEUE", "message": -Infinity}', b'{"queue_name": "QUEUE", "message": nul}',
    b'{"queue_name": "QUEUE", "message": 01}', b'{"queue_name": "QUEUE", "message": +1}',
    b'{"queue_name": "QUEUE", "message": 1.}', b'{"queue_name": "QUEUE", "message": .5}',
    b'{"queue_name": "QUEUE", "message": "\xff"}', b'{"queue_name": "QUEUE", "message": "\xed\xa0\x80"}',
    b'{"queue_name": "QUEUE", "message": "\n"}', b'{"queue_name": "QUEUE", "message": "\0"}',
    b'{"queue_name": "QUEUE", "message": "\\x"}', b'{"queue_name": "QUEUE", "message": "\\u12"}',
    b'{"queue_name": "QUEUE", "\xff": 1}', b'{"queue_name": "QUEUE", message: 1}',
    b'{"queue_name": "QUEUE" "message": 1}',
    b'\xef\xbb\xbf{"queue_name": "QUEUE", "message": 1}', '{"queue_name": "QUEUE", "message": 1}'.encode("utf-16"),
    b'{"queue_name": "QUEUE", "message": 1} // done', b'{"queue_name": "QUEUE", /* x */ "message": 1}',
    b"[", b"[1", b"[1,", b"[{", b'[{"queue_name":', b'[{"queue_name": "QUEUE", "message": 1}',
    b'[{"queue_name": "QUEUE", "message": 1},]', b'[{"queue_name": "QUEUE", "message": 1}] x', b'"abc', b"tru", b"nul",
    b"12x", b"1 2", b"-", b"\xff", b'"\xff"', b"[NaN]", b"[[1]", b'[{"queue_name": "QUEUE", "message": "\xff"}]',
    b'[{"queue_name": "QUEUE", "message": "\\x"}]', b"\0", b"queue_name=QUEUE&message=1", b"<a/>",
]  # fmt: skip


@pytest.mark.parametrize("body", BROKEN, ids=repr)
def test_a29_a_body_that_is_no_json(service: httpx.Client, body: bytes, queue: str, unchanged: Check) -> None:
    answer = service.post("/rpc/send", content=body.replace(b"QUEUE", queue.encode()), headers=JSON)
    assert (answer.status_code, error(answer)) == (
        400,
        {"code": "PGRST102", "details": None, "hint": None, "message": "Empty or invalid json"},
    )
    unchanged()


@pytest.mark.parametrize(
    "body",
    ["", "{}", "[]", "1", "-1.5e3", '"text"', "null", "true", "9" * 9999],
)
def test_a_body_without_arguments(service: httpx.Client, body: str, unchanged: Check) -> None:
    assert_not_found(service.post("/rpc/send", content=body, headers=JSON))
    unchanged()


@pytest.mark.parametrize("body", ["[1, 2]", "[[]]", "[null]", '[{"queue_name": "q"}, 1]'])
def test_an_array_is_one_of_objects(service: httpx.Client, body: str, unchanged: Check) -> None:
    answer = service.post("/rpc/send", content=body, headers=JSON)
    assert refusal(answer) == (400, "PGRST102", "All object keys must match")
    unchanged()


def test_of_an_array_of_objects_the_first_counts(service: httpx.Client, queue: str, sql: Sql) -> None:
    body = f'[{{"queue_name": "{queue}", "message": 1.10}}, {{"message": 2, "queue_name": "nowhere"}}]'
    assert service.post("/rpc/send", content=body, headers=JSON).json() == [2]
    assert sql(f"select message::text from pgmq.q_{queue} where msg_id > 1") == [("1.10",)]


def test_an_array_of_objects_has_equal_keys(service: httpx.Client, queue: str, unchanged: Check) -> None:
    body = [{"queue_name": queue, "message": 1}, {"queue_name": queue}]
    answer = service.post("/rpc/send", json=body)
    assert refusal(answer) == (400, "PGRST102", "All object keys must match")
    unchanged()


def test_a29_of_a_key_given_twice_the_last_counts(service: httpx.Client, queue: str, sql: Sql) -> None:
    body = f'{{"queue_name": "nowhere", "message": 1, "message": {{"a": 1, "a": 2}}, "queue_name": "{queue}"}}'
    assert service.post("/rpc/send", content=body, headers=JSON).json() == [2]
    assert sql(f"select message from pgmq.q_{queue} where msg_id = 2") == [({"a": 2},)]


@pytest.mark.parametrize("content_type", ["application/json", "Application/JSON ; charset=utf-8", None])
def test_a_body_is_json_unless_said_otherwise(
    service: httpx.Client, content_type: str | None, queue: str, sql: Sql
) -> None:
    headers = {} if content_type is None else {"Content-Type": content_type}
    body = f'{{"queue_name": "{queue}", "message": 1}}'
    assert service.post("/rpc/send", content=body, headers=headers).json() == [2]
    assert sql(f"select count(*) from pgmq.q_{queue}") == [(2,)]


@pytest.mark.parametrize("depth", [6000, 100_000])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_a29_a_message_nested_too_deep(
    service: httpx.Client, depth: int, opening: str, closing: str, queue: str, unchanged: Check
) -> None:
    nested = opening * depth + "1" + closing * depth
    answer = service.post("/rpc/send", content=f'{{"queue_name": "{queue}", "message": {nested}}}', headers=JSON)
    assert refusal(answer)[:2] == (400, "PGRST102")
    # An array alone has no arguments.
    assert refusal(service.post("/rpc/send", content=nested, headers=JSON))[0] in {400, 404}
    unchanged()


def test_a29_a_message_nested_as_deep_as_anyone_needs(service: httpx.Client, queue: str, sql: Sql) -> None:
    nested = "[" * 500 + "]" * 500
    body = f'{{"queue_name": "{queue}", "message": {nested}}}'
    assert service.post("/rpc/send", content=body, headers=JSON).json() == [2]
    assert sql(f"select replace(message::text, ' ', '') from pgmq.q_{queue} where msg_id = 2") == [(nested,)]


@pytest.mark.parametrize("number", ["9" * 1_000_000, "1e" + "9" * 1_000_000, "-" + "1" * 200_000])
def test_a29_a_number_too_long(service: httpx.Client, number: str, queue: str, unchanged: Check) -> None:
    body = f'{{"queue_name": "{queue}", "message": {number}}}'
    answer = service.post("/rpc/send", content=body, headers=JSON)
    status, code, message = refusal(answer)
    assert (status, code) == (400, "22003")
    assert len(message) < 1000
    unchanged()


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "TRACE", "LINK", "PROPFIND"])
@each_function
def test_a32_other_methods(service: httpx.Client, method: str, function: str, queue: str, unchanged: Check) -> None:
    profile = {"Accept-Profile": "pgmq_public"}
    answer = service.request(method, f"/rpc/{function}", json={"queue_name": queue, **CALLS[function]}, headers=profile)
    message = f"Cannot use the {method} method on RPC"
    assert (answer.status_code, error(answer)) == (
        405,
        {"code": "PGRST101", "details": None, "hint": ANY, "message": message},
    )
    unchanged()


@pytest.mark.parametrize(
    "path",
    [
        "/rpc/send/", "/rpc/send/x", "//", "/RPC/send", "//rpc/send", "/rest/v1/rpc/send/", "/rest/v1/rest/v1/rpc/send",
        "/rest/v2/rpc/send", "/a/b/c", "/rpc/../rpc/send/x", "/rest/v1/x/y", "/REST/v1/rpc/send",
    ],
)  # fmt: skip
def test_a32_a_path_that_leads_nowhere(service: httpx.Client, path: str, queue: str, unchanged: Check) -> None:
    answer = service.request("POST", str(service.base_url).rstrip("/") + path, json={"queue_name": queue, "message": 1})
    assert refusal(answer) == (404, "PGRST125", "Invalid path specified in request URL")
    unchanged()


@pytest.mark.parametrize("path", ["/rpc", "/rpc/", "/q_x", "/pgmq.q_x", "/docs/", "/redoc", "/live", "/metrics"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a44_nothing_is_served_but_functions(service: httpx.Client, method: str, path: str, unchanged: Check) -> None:
    answer = service.request(method, path, headers={"Accept-Profile": "pgmq_public"})
    assert answer.status_code == 404
    assert error(answer)["code"] in {"PGRST125", "PGRST205"}
    unchanged()


def test_a_percent_encoded_name_is_decoded(service: httpx.Client, queue: str, sql: Sql) -> None:
    assert service.post("/rpc/se%6Ed", json={"queue_name": queue, "message": 1}).json() == [2]
    assert sql(f"select count(*) from pgmq.q_{queue}") == [(2,)]


def test_a32_an_unknown_profile(service: httpx.Client, queue: str, unchanged: Check) -> None:
    body = {"queue_name": queue, "message": 1}
    for profile in ("nope", "Pgmq_Public", "pgmq_public, public", "é"):
        answer = service.post("/rpc/send", json=body, headers={b"Content-Profile": profile.encode()})
        assert refusal(answer) == (406, "PGRST106", f"Invalid schema: {profile}")
        assert (
            error(answer)["hint"] == "Only the following schemas are exposed: public, pgmq_public, pgmq_api, pgmq_admin"
        )
    unchanged()


def test_a32_the_profile_header_of_another_method_is_ignored(
    service: httpx.Client, queue: str, unchanged: Check
) -> None:
    answer = service.get("/rpc/send", headers={"Content-Profile": "nope", "Accept-Profile": "pgmq_public"})
    assert_not_found(answer, unnamed=False)
    body = {"queue_name": queue}
    headers = {"Content-Profile": "pgmq_public", "Accept-Profile": "nope"}
    assert_not_found(service.post("/rpc/send", json=body, headers=headers), "queue_name")
    unchanged()


@pytest.mark.parametrize(
    ("arguments", "rows"),
    [
        ({"message": '{"f": 1.10}'}, ['{"f": 1.10}']),
        ({"message": "[1, 2]", "sleep_seconds": "5"}, ["[1, 2]"]),
        ({"message": '"a+b &=é"'}, ['"a+b &=é"']),
    ],
)
def test_a_form_sends(service: httpx.Client, arguments: dict[str, str], rows: list[str], queue: str, sql: Sql) -> None:
    assert service.post("/rpc/send", data={"queue_name": queue, **arguments}).json() == [2]
    assert sql(f"select message::text from pgmq.q_{queue} where msg_id > 1") == [(row,) for row in rows]


def test_a_form_sends_a_batch_as_an_array_literal(service: httpx.Client, queue: str, sql: Sql) -> None:
    body = {"queue_name": queue, "messages": '{"{\\"x\\":1}",2}'}
    assert service.post("/rpc/send_batch", data=body).json() == [2, 3]
    assert sql(f"select message from pgmq.q_{queue} where msg_id > 1 order by msg_id") == [({"x": 1},), (2,)]


def test_a_form_with_wrong_values(service: httpx.Client, queue: str, unchanged: Check) -> None:
    for arguments, code in (
        ({"message": "{"}, "22P02"),
        ({"message": "1", "sleep_seconds": "x"}, "22P02"),
        ({"message": "1", "sleep_seconds": ""}, "22P02"),
        ({"message": '"\0"'}, "22021"),
    ):
        answer = service.post("/rpc/send", data={"queue_name": queue, **arguments})
        assert refusal(answer)[:2] == (400, code)
    unchanged()


def test_json_sent_as_a_form_is_one_long_name(service: httpx.Client, queue: str, unchanged: Check) -> None:
    body = json.dumps({"queue_name": queue, "message": {"a": 1}})
    assert_not_found(service.post("/rpc/send", content=body, headers=FORM), body, unnamed=False)
    assert_not_found(service.post("/rpc/send", data={"queue_name": queue}), "queue_name", unnamed=False)
    unchanged()


@pytest.mark.parametrize(
    ("content_type", "type_", "hint"),
    [
        ("text/plain", "text", "The body is sent as text: add -H 'Content-Type: application/json'."),
        ("application/octet-stream", "bytea", None),
    ],
)
def test_other_text_looks_for_a_function_of_one_unnamed_argument(
    service: httpx.Client, content_type: str, type_: str, hint: str | None, queue: str, unchanged: Check
) -> None:
    body = f'{{"queue_name": "{queue}", "message": 1}}'
    answer = service.post("/rpc/send", content=body, headers={"Content-Type": content_type})
    assert (answer.status_code, error(answer)) == (
        404,
        {
            "code": "PGRST202",
            "details": f"Searched for the function pgmq_public.send with a single unnamed {type_} parameter, but no "
            "matches were found in the schema cache.",
            "hint": hint,
            "message": "Could not find the function pgmq_public.send in the schema cache",
        },
    )
    unchanged()


@pytest.mark.parametrize(
    "content_type",
    ["application/xml", "multipart/form-data; boundary=x", "application/vnd.pgrst.plan+json", "", "json"],
)
def test_other_content_types(service: httpx.Client, content_type: str, queue: str, unchanged: Check) -> None:
    body = f'{{"queue_name": "{queue}", "message": 1}}'
    answer = service.post("/rpc/send", content=body, headers={"Content-Type": content_type})
    assert refusal(answer) == (400, "PGRST102", f"Content-Type not acceptable: {content_type}")
    unchanged()


# The first effect of each function.
READ_ONLY = {
    "send": "INSERT",
    "send_batch": "INSERT",
    "archive": "INSERT",
    "read": "UPDATE",
    "pop": "DELETE",
    "delete": "DELETE",
}


def as_text(function: str, queue: str) -> dict[str, str]:
    """Arguments as texts of a query string."""
    arguments = {"queue_name": queue, **CALLS[function]}
    if function == "send_batch":
        arguments["messages"] = "{1,2}"
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in arguments.items()}


@each_function
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a32_reading_methods_change_nothing(
    service: httpx.Client, method: str, function: str, queue: str, unchanged: Check
) -> None:
    headers = {"Accept-Profile": "pgmq_public"}
    answer = service.request(method, f"/rpc/{function}", params=as_text(function, queue), headers=headers)
    body = {
        "code": "25006",
        "details": None,
        "hint": "Call it with POST: GET runs functions read-only.",
        "message": f"cannot execute {READ_ONLY[function]} in a read-only transaction",
    }
    assert answer.status_code == 405
    assert answer.content == b"" if method == "HEAD" else error(answer) == body
    assert answer.headers["content-length"] == str(len(json.dumps(body, separators=(",", ":"))))
    assert answer.headers["proxy-status"] == "PostgREST; error=25006"
    unchanged()


@each_function
def test_read_only_methods_report_other_errors_first(service: httpx.Client, function: str, unchanged: Check) -> None:
    headers = {"Accept-Profile": "pgmq_public"}
    missing = service.get(f"/rpc/{function}", params=as_text(function, "nowhere"), headers=headers)
    assert refusal(missing) == (404, "42P01", 'relation "pgmq.q_nowhere" does not exist')
    name = f"pgmq_public.{function}"
    assert_not_found(service.get(f"/rpc/{function}", headers=headers), function=name, unnamed=False)
    extra = service.get(f"/rpc/{function}", params={"x": "1"}, headers=headers)
    assert_not_found(extra, "x", function=name, unnamed=False)
    unchanged()


@pytest.mark.parametrize("body", ["{}", '{"queue_name": 1'])
def test_which_error_comes_first(api: httpx.Client, body: str, unchanged: Check) -> None:
    bad: dict[str, str] = {"Authorization": "Bearer x", "Content-Profile": "nope", **JSON}
    assert error(api.post("/rpc/send/x", content=body, headers=bad))["code"] == "PGRST301"
    del bad["Authorization"]
    assert error(api.post("/rpc/send/x", content=body, headers=bad))["code"] == "PGRST125"
    assert error(api.post("/rpc/send", content=body, headers=bad))["code"] == "PGRST106"
    good = {"Accept-Profile": "pgmq_public", **JSON}
    assert error(api.request("PUT", "/rpc/send", content=body, headers=good))["code"] == "PGRST101"
    assert error(api.post("/rpc/send", content='{"a": 1', headers=good))["code"] == "PGRST102"
    unchanged()


@pytest.mark.parametrize("role", ["anon", "authenticated", "service_role"])
def test_a34_an_error_shows_nothing_of_the_statement(
    api: httpx.Client, bearer: Bearer, role: str, queue: str, unchanged: Check
) -> None:
    for body in ({"queue_name": queue, "message": 1, "sleep_seconds": "x"}, {"queue_name": "nowhere", "message": 1}):
        answer = api.post("/rpc/send", json=body, headers=bearer(role))
        assert answer.status_code in {400, 404}
        assert not [word for word in LEAKS if word in answer.text.lower()]
    unchanged()


LEAKS = (
    "select",
    "insert into",
    "perform",
    "traceback",
    ".py",
    "pl/pgsql",
    "context",
    "json_to_record",
    "pgmq_gateway",
)

STATES = {
    "01000": 400, "02000": 400, "03000": 400, "08000": 503, "08003": 503, "08006": 503, "08P01": 503, "09000": 500,
    "0A000": 400, "0L000": 403, "0LP01": 403, "0P000": 403, "0Z000": 400, "20000": 400, "21000": 500, "22000": 400,
    "22001": 400, "22003": 400, "22012": 400, "22023": 400, "22P02": 400, "22P05": 400, "2201W": 400, "23000": 400,
    "23502": 400, "23503": 409, "23505": 409, "23514": 400, "23P01": 400, "24000": 400, "25000": 500, "25001": 500,
    "25006": 405, "25P02": 500, "27000": 400, "28000": 403, "28P01": 403, "2B000": 400, "2D000": 500,
    "2F000": 400, "34000": 400, "38000": 500, "39000": 500, "3B001": 500, "3D000": 400, "3F000": 400, "40000": 500,
    "40001": 500, "40002": 500, "40P01": 500, "42000": 400, "42501": 401, "42601": 400, "42703": 400, "42804": 400,
    "42883": 404, "42P01": 404, "42P07": 400, "42P17": 500, "44000": 400, "53000": 503, "53100": 503, "53200": 503,
    "53300": 503, "53400": 500, "54000": 500, "54001": 500, "55000": 500, "55P03": 500, "57000": 500, "57014": 500,
    "57P01": 503, "57P02": 500, "57P03": 500, "58000": 500, "58030": 500, "72000": 400, "F0000": 500, "HV000": 500,
    "P0000": 500, "P0001": 400, "P0002": 500, "P0003": 500, "P0004": 500, "XX000": 500, "XX001": 500, "ZZ999": 400,
    "AB123": 400, "PT400": 400, "PT402": 402, "PT404": 404, "PT418": 418, "PT503": 503, "PTABC": 500, "PT5": 500,
}  # fmt: skip

RAISE = """
create function public.raise_state(state text) returns void language plpgsql as $f$
begin
    insert into public.trace values (state);
    raise exception 'told %', state using errcode = state, detail = 'some détail', hint = 'a hint';
end $f$
"""


@pytest.fixture(scope="module")
def raising(gateway: RunningGateway) -> RunningGateway:
    """A gateway with a function that writes, and raises any SQLSTATE."""
    gateway.define("create table public.trace (state text)", "grant all on public.trace to public", RAISE)
    return gateway


@pytest.mark.parametrize("state", [state for state in STATES if len(state) == 5])
def test_each_sqlstate_has_its_status(raising: RunningGateway, state: str) -> None:
    answer = raising.client.post("/rpc/raise_state", json={"state": state})
    assert (answer.status_code, error(answer)) == (
        STATES[state],
        {"code": state, "details": "some détail", "hint": "a hint", "message": f"told {state}"},
    )
    assert answer.headers.get("www-authenticate") == ("Bearer" if answer.status_code == 401 else None)
    assert ("retry-after" in answer.headers) == (answer.status_code == 503)
    assert raising.sql("select * from public.trace") == []


def test_a_missing_privilege_of_an_authenticated_caller_is_403(raising: RunningGateway, bearer: Bearer) -> None:
    for role in ("authenticated", "service_role"):
        answer = raising.client.post("/rpc/raise_state", json={"state": "42501"}, headers=bearer(role))
        assert (answer.status_code, error(answer)["message"]) == (403, "told 42501")
        assert "www-authenticate" not in answer.headers
    assert refusal(raising.client.post("/rpc/raise_state", json={"state": "42501"}, headers=bearer("anon")))[0] == 401


@pytest.mark.parametrize("status", [0, 99, 100, 101, 199, 204, 205, 299, 304, 599, 600, 799, 999])
def test_an_odd_status_of_a_function_keeps_the_response_intact(raising: RunningGateway, status: int) -> None:
    answer = raising.client.post("/rpc/raise_state", json={"state": f"PT{status:03}"}, timeout=5)
    # A status that a response with a body cannot have is an error of the function: 500.
    assert answer.status_code in {status, 500}
    assert 200 <= answer.status_code <= 599
    if answer.status_code in {204, 304}:
        assert answer.content == b""
    else:
        assert error(answer)["code"] == f"PT{status:03}"
    assert raising.client.post("/rpc/raise_state", json={"state": "PT418"}).status_code == 418
    assert raising.sql("select * from public.trace") == []


@pytest.mark.parametrize(
    "text", ["", "two\nlines\r\nSet-Cookie: a=b", "日本 \u202e \x01", '"quoted" \\', "x" * 100_000]
)
def test_any_message_arrives_in_the_body_and_nowhere_else(gateway: RunningGateway, text: str) -> None:
    gateway.define(
        "create or replace function public.say(text text) returns void language plpgsql as "
        "$f$ begin raise exception using message = text, errcode = 'PT402', detail = text, hint = text; end $f$"
    )
    answer = gateway.client.post("/rpc/say", json={"text": text})
    assert error(answer) == {"code": "PT402", "details": text, "hint": text, "message": text}
    assert "set-cookie" not in answer.headers


def test_a_call_that_is_cancelled_in_the_database(gateway: RunningGateway) -> None:
    gateway.define(
        "create function public.cancelled() returns void language plpgsql security definer as "
        "$f$ begin perform pg_cancel_backend(pg_backend_pid()); perform pg_sleep(60); end $f$"
    )
    for _ in range(3):
        answer = gateway.client.post("/rpc/cancelled")
        assert refusal(answer) == (500, "57014", "canceling statement due to user request")


def test_a_connection_that_dies_during_the_call(gateway: RunningGateway) -> None:
    gateway.define(
        "create function public.die() returns void language plpgsql security definer as "
        "$f$ begin perform pg_terminate_backend(pg_backend_pid()); perform pg_sleep(60); end $f$",
        "create function public.live() returns int language sql as 'select 1'",
    )
    answer = gateway.client.post("/rpc/die")
    assert answer.status_code == 503
    assert error(answer)["code"] in {"57P01", "PGRST001"}
    assert "retry-after" in answer.headers
    assert [gateway.client.post("/rpc/live").text for _ in range(4)] == ["1"] * 4
