"""Browsing, searching and moving messages over HTTP, for service_role only."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from tests.answers import error, refusal
from tests.databases import Sql
from tests.gateways import Bearer

PROFILE = {"Content-Profile": "pgmq_admin", "Accept-Profile": "pgmq_admin"}
IN_ARCHIVE = {"state": "archived"}

# Each function with arguments and its result, with messages 1 to 3 in the queue and 4 in the archive.
CALLS: dict[str, tuple[dict[str, Any], Any]] = {
    "count_messages": ({}, 3),
    "list_messages": ({"filter": {"path": "$.n == 2"}}, [2]),
    "get_message": ({"msg_id": 4, "archived": True}, [4]),
    "send": ({"message": {"n": 5}, "headers": {"h": 1}, "sleep_seconds": 60}, 5),
    "send_batch": ({"messages": [5, "six"], "headers": [None, {}], "visible_at": "2100-01-01T00:00:00Z"}, [5, 6]),
    "postpone": ({"msg_ids": [3, 1, 9], "until": "2100-01-01T00:00:00Z"}, [1, 3]),
    "make_visible": ({"msg_ids": [3, 9]}, [3]),
    "archive": ({"msg_ids": [2, 1]}, [1, 2]),
    "delete": ({"msg_ids": [3]}, [3]),
    "delete_archived": ({"msg_ids": [4]}, [4]),
    "move": (
        {"msg_ids": [2, 3], "to_queue": "elsewhere"},
        [{"msg_id": 2, "new_msg_id": 1}, {"msg_id": 3, "new_msg_id": 2}],
    ),
    "requeue": ({"msg_ids": [4]}, [{"msg_id": 4, "new_msg_id": 5}]),
    "redrive": (
        {"to_queue": "elsewhere", "per_second": 2, "start_at": "2100-01-01T00:00:00Z"},
        [{"moved": 2, "skipped": 0, "last_visible_at": "2100-01-01T00:00:00.5+00:00", "refused": []}],
    ),
    "replay": ({"start_at": "2100-01-01T00:00:00Z"}, [{"sent": 1, "last_visible_at": "2100-01-01T00:00:00+00:00"}]),
    "dead_letters": ({}, []),
    "apply": ({"action": "delete", "filter": {"min_read_ct": 1}, "expected": 1}, 1),
}

MISTAKES: list[tuple[str, dict[str, Any], int, str]] = [
    ("list_messages", {"filter": {"path": "$.n =="}}, 400, 'filter member "path" cannot be read: syntax error'),
    ("list_messages", {"filter": {"colour": 1}}, 400, 'filter member "colour" is unknown'),
    ("list_messages", {"queue_name": "no-such"}, 404, 'queue "no-such" does not exist'),
    ("count_messages", {"filter": None}, 400, "filter must be a JSON object, not null"),
    ("count_messages", {"max_count": 0}, 400, "max_count is 0, but must be at least 1"),
    ("send_batch", {"messages": None}, 400, "messages must be an array"),
    ("send_batch", {"messages": "{1,2}"}, 400, "messages must be an array"),
    ("postpone", {"msg_ids": [1], "seconds": -1}, 400, "a message cannot be delayed by -1 seconds"),
    ("move", {"msg_ids": [1], "to_queue": "no-such"}, 404, 'queue "no-such" does not exist'),
]

Manage = Callable[..., httpx.Response]


@pytest.fixture
def queue(queue: str, sql: Sql) -> Iterator[str]:
    """The test's queue with messages 1 to 3, the last of them delayed, and 4 in the archive; beside it an empty one."""
    sql("select pgmq_admin.create_queue('elsewhere')")
    sql("select pgmq.send_batch(%s, array_agg(jsonb_build_object('n', i))) from generate_series(1, 4) as i", queue)
    sql("select pgmq.archive(%s, 4::bigint)", queue)
    sql(f"update pgmq.q_{queue} set vt = '2100-01-01' where msg_id = 3")
    sql(f"update pgmq.q_{queue} set read_ct = 2 where msg_id = 2")
    yield queue
    sql("select pgmq_admin.drop_queue('elsewhere')")


@pytest.fixture
def manage(api: httpx.Client, bearer: Bearer, queue: str) -> Manage:
    """manage("delete", msg_ids=[1]): a call as service_role, or in another role."""

    def call(function: str, role: str | None = "service_role", **arguments: object) -> httpx.Response:
        headers = {**PROFILE, **(bearer(role) if role else {})}
        return api.post(f"/rpc/{function}", json={"queue_name": queue, **arguments}, headers=headers)

    return call


@pytest.mark.parametrize("function", CALLS)
def test_service_role_manages_messages(manage: Manage, function: str) -> None:
    arguments, expected = CALLS[function]
    answer = manage(function, **arguments)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert ([row["msg_id"] for row in found] if function in ("list_messages", "get_message") else found) == expected


@pytest.mark.parametrize(("role", "status"), [(None, 401), ("anon", 401), ("authenticated", 403)])
def test_other_roles_are_refused(manage: Manage, stored: Callable[[], object], role: str | None, status: int) -> None:
    before = stored()
    for function, (arguments, _) in CALLS.items():
        denied = (status, "42501", "permission denied for schema pgmq_admin")
        assert refusal(manage(function, role, **arguments)) == denied, function
    assert stored() == before


def test_a_page_leads_to_the_next_and_back(manage: Manage) -> None:
    manage("send_batch", messages=[{"n": n} for n in range(60)])
    whole = manage("list_messages", sort="vt", descending=True, max_rows=1000).json()
    first = manage("list_messages", sort="vt", descending=True, max_rows=40).json()
    second = manage("list_messages", sort="vt", descending=True, after=[first[-1]["vt"], first[-1]["msg_id"]]).json()
    back = manage(
        "list_messages", sort="vt", descending=True, before=[second[0]["vt"], str(second[0]["msg_id"])]
    ).json()
    assert len(whole) == 63
    assert (first, first + second) == (whole[:40], whole)
    assert back == whole[10:40]


def test_looking_also_works_by_get(api: httpx.Client, bearer: Bearer, queue: str) -> None:
    api.headers.update({**PROFILE, **bearer("service_role")})
    parameters = {"queue_name": queue, "filter": json.dumps({"state": "visible"}), "sort": "read_ct"}
    answer = api.get("/rpc/list_messages", params={**parameters, "select": "msg_id,state,headers"})
    assert answer.json() == [{"msg_id": n, "state": "visible", "headers": None} for n in (1, 2)]
    assert api.get("/rpc/count_messages", params={"queue_name": queue}).text == "3"
    wanted = {"Accept": "application/vnd.pgrst.object+json"}
    one = api.get("/rpc/get_message", params={"queue_name": queue, "msg_id": 2}, headers=wanted)
    assert (one.json()["message"], one.json()["read_ct"]) == ({"n": 2}, 2)
    none = api.get("/rpc/get_message", params={"queue_name": queue, "msg_id": 9}, headers=wanted)
    assert (none.status_code, none.json()["code"]) == (406, "PGRST116")


def test_acting_on_another_number_than_was_counted_is_a_conflict(manage: Manage, stored: Callable[[], object]) -> None:
    before = stored()
    for action, more in (("delete", {}), ("postpone", {"seconds": 5}), ("move", {"to_queue": "elsewhere"})):
        answer = manage("apply", action=action, filter={"state": "visible"}, expected=3, **more)
        assert answer.status_code == 409
        assert error(answer) == {
            "code": "PT409",
            "details": "The queue has changed since they were counted.",
            "hint": "Count them again with pgmq_admin.count_messages().",
            "message": "2 messages match, not 3: nothing has been changed",
        }
    assert stored() == before
    assert manage("apply", action="requeue", filter=IN_ARCHIVE, expected=None).json() == 1


def test_errors_have_a_hint(manage: Manage, stored: Callable[[], object]) -> None:
    before = stored()
    for function, arguments, status, message in MISTAKES:
        answer = manage(function, **arguments)
        body = error(answer)
        assert (answer.status_code, body["message"][: len(message)]) == (status, message)
        assert body["hint"], message
    assert stored() == before


def test_numbers_keep_all_their_digits(manage: Manage, sql: Sql, queue: str) -> None:
    exact = "123456789012345678901234567890.10"
    sql(
        f"insert into pgmq.q_{queue} (msg_id, vt, message) overriding system value values (%s, now(), %s)", 2**62, exact
    )
    assert f'"message":{exact}' in manage("get_message", msg_id=str(2**62)).text
    assert manage("move", msg_ids=[str(2**62)], to_queue="elsewhere").json() == [{"msg_id": 2**62, "new_msg_id": 1}]
    assert sql("select message::text from pgmq.q_elsewhere") == [(exact,)]
