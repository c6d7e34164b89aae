"""Queues, sends and times in the calls of waiting requests and of senders."""

import json
from collections.abc import Mapping, Sequence

import msgspec
import pytest

from pgmq_gateway.auth.caller import Caller
from pgmq_gateway.calls.call import Answer, Call, executable
from pgmq_gateway.calls.catalog import Function, Result
from pgmq_gateway.calls.wakeups import Wakeup
from pgmq_gateway.http.request import RequestSettings
from pgmq_gateway.waiting.expiry import expires_in
from pgmq_gateway.waiting.queue_names import MAX_QUEUES, UNKNOWN, queue_names
from pgmq_gateway.waiting.sends import wakeups_of


def called(
    body: str | None = None, values: Mapping[str, Sequence[str]] | None = None, schema: str = "", name: str = ""
) -> Call:
    function = Function(schema, name, (), Result.RECORD, returns_set=True, volatile=True)
    call = executable("public", RequestSettings("POST", "/", "{}", "{}"))
    return msgspec.structs.replace(call, function=function, body=body, values=values or {})


@pytest.mark.parametrize(
    ("body", "names"),
    [
        ('{"queue_name": "Jobs", "n": 5}', ("jobs",)),
        ('{"queue_names": ["b", "a", "B"]}', ("a", "b")),
        ('{"queue_names": "{b, \\"a\\"}"}', ("a", "b")),
        ('{"queue_name": 5}', (UNKNOWN,)),
        ('{"queue_names": []}', (UNKNOWN,)),
        ('{"queue_names": [' + ",".join(f'"{n}"' for n in range(MAX_QUEUES + 1)) + "]}", (UNKNOWN,)),
        ('{"queue_names": [["Jobs"], ["tasks"]]}', ("jobs", "tasks")),
        ('{"queue_names": [null, 1, {"a": "b"}]}', (UNKNOWN,)),
        ("{}", (UNKNOWN,)),
        ("not JSON", (UNKNOWN,)),
        (None, (UNKNOWN,)),
    ],
)
def test_a_body_names_the_queues_to_wait_for(body: str | None, names: tuple[str, ...]) -> None:
    assert queue_names(called(body)) == names


@pytest.mark.parametrize(
    ("queues", "names"),
    [
        pytest.param(61 * "a", (61 * "a",), id="longest"),
        pytest.param(31 * "ä", (UNKNOWN,), id="too many bytes"),
        pytest.param("a\0b", (UNKNOWN,), id="NUL"),
        pytest.param(["jobs", "", "a\0b", 9000 * "a"], ("jobs",), id="among others"),
    ],
)
def test_a_text_that_cannot_be_a_queue_is_no_name(queues: str | list[str], names: tuple[str, ...]) -> None:
    member = "queue_name" if isinstance(queues, str) else "queue_names"
    assert queue_names(called(json.dumps({member: queues}))) == names


@pytest.mark.parametrize(
    "literal", [100_000 * "a,", '"' + 100_000 * '\\"', '"' + 2000 * '\\"'], ids=["elements", "escapes", "unclosed"]
)
def test_a49_a_long_literal_does_not_stop_the_event_loop(literal: str) -> None:
    """The last one would be slow already if each of its quotes were tried as the beginning of an element."""
    assert queue_names(called(json.dumps({"queue_names": literal}))) == (UNKNOWN,)


def test_a_deep_array_names_no_queue() -> None:
    assert queue_names(called('{"queue_names": ' + 5000 * "[" + 5000 * "]" + "}")) == (UNKNOWN,)


@pytest.mark.parametrize(
    ("values", "names"),
    [
        ({"queue_name": ["a", "B"]}, ("b",)),
        ({"queue_names": ["{second,third}"]}, ("second", "third")),
        ({"queue_names": ['{"a \\"quoted\\" one", plain }']}, ('a "quoted" one', "plain")),
        ({"queue_names": ["{{a},{b}}"]}, ("a", "b")),
        ({"queue_names": ['{a,"b']}, ("a", "b")),
        ({"n": ["1"]}, (UNKNOWN,)),
    ],
)
def test_texts_name_the_queues_to_wait_for(values: Mapping[str, Sequence[str]], names: tuple[str, ...]) -> None:
    assert queue_names(called(None, values)) == names


@pytest.mark.parametrize(
    ("name", "body", "wakeup"),
    [
        ("send", '{"queue_name": "Jobs", "message": 1}', Wakeup("jobs", 1, 0)),
        ("send", '{"queue_name": "jobs", "message": 1, "sleep_seconds": 5}', Wakeup("jobs", 1, 5)),
        ("send_batch", '{"queue_name": "jobs", "messages": [1, 2], "sleep_seconds": -1}', Wakeup("jobs", 2, 0)),
        ("send", '{"queue_name": "jobs", "message": 1, "sleep_seconds": "5"}', None),
        ("delete", '{"queue_name": "jobs", "message_id": 1}', None),
        ("send", "not JSON", None),
    ],
)
def test_a_send_of_pgmq_public_wakes(name: str, body: str, wakeup: Wakeup | None) -> None:
    call = called(body, schema="pgmq_public", name=name)
    assert list(wakeups_of(call, Answer(None, 1, "[1]"))) == ([wakeup] if wakeup else [])


def test_a_reported_wakeup_precedes_that_of_the_body() -> None:
    call = called('{"queue_name": "jobs", "message": 1}', schema="pgmq_public", name="send")
    parked = Answer(None, 1, "[1]", reported="jobs\t0\t0")
    assert list(wakeups_of(call, parked)) == [Wakeup("jobs", 0, 0)]


@pytest.mark.parametrize(
    ("claims", "seconds"),
    [('{"exp": 1030}', 60), ('{"exp": 990.5}', 20.5), ("{}", float("inf")), ('{"exp": null}', float("inf"))],
)
def test_a_token_is_accepted_for_so_long(claims: str, seconds: float) -> None:
    assert expires_in(Caller("anon", claims, anonymous=False), lambda: 1000) == seconds
