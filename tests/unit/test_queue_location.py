"""The address of a queue's page, and the conditions in it."""

import pytest

from pgmq_gateway.dashboard.queue.client import Place
from pgmq_gateway.dashboard.queue.conditions import condition, equality
from pgmq_gateway.dashboard.queue.images import image_type
from pgmq_gateway.dashboard.queue.location import Location, parsed
from pgmq_gateway.dashboard.queue.searches import filter_of
from pgmq_gateway.dashboard.queue.views import ARCHIVE, LETTERS, MESSAGES


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("user.id = 7", '($."user"."id" == 7 || $."user"."id" == "7")'),
        ("user.id≠ann", '(!($."user"."id" == "ann") || ($."user"."id" == "ann") is unknown)'),
        ("amount ≥ 10", '$."amount" >= 10'),
        ("amount>=10", '$."amount" >= 10'),
        (
            "amount != 10",
            '(!($."amount" == 10 || $."amount" == "10") || ($."amount" == 10 || $."amount" == "10") is unknown)',
        ),
        ("amount == ann", '($."amount" == "ann")'),
        ('"a!".b = x', '($."a!"."b" == "x")'),
        ("name contains A.b", '$."name" like_regex "A.b" flag "qi"'),
        ('"a.b".c = "7"', '($."a.b"."c" == "7")'),
        ("$ = true", '($ == true || $ == "true")'),
        ("a =", None),
        ("a", None),
    ],
)
def test_a_condition_is_a_path(text: str, path: str | None) -> None:
    found = condition(text)
    assert (found and found.path) == path


@pytest.mark.parametrize(
    ("names", "value", "kind"),
    [
        (("user", "id"), "7", "number"),
        (("a.b", 'c"d'), "x y", "string"),
        ((), "7", "string"),
        (("n",), " x ", "string"),
    ],
)
def test_a_value_of_a_message_gives_a_condition_that_is_read(names: tuple[str, ...], value: str, kind: str) -> None:
    assert condition(equality(names, value, kind)) is not None


def test_a_long_value_and_an_empty_text_give_none() -> None:
    assert (equality(("a",), "x" * 201, "string"), equality(("a",), "", "string")) == ("", "")


@pytest.mark.parametrize(
    "location",
    [
        Location(),
        Location(ARCHIVE, {"search": "a b&c"}, ("user.id = 7", 'x = "y"'), ARCHIVE.place, span=60, msg_id=42),
        Location(place=Place("read_ct", True, "after", (3, 12)), row=51),
        Location(LETTERS, {"origin": "q"}, place=Place("msg_id", False, "before", (9, 9)), row=2),
    ],
)
def test_an_address_is_read_as_it_was_written(location: Location) -> None:
    assert parsed(location.url("tasks")) == location


@pytest.mark.parametrize(
    "query",
    ["view=x", "sort=vt;drop", "after=[", "after=[1]", "row=-1", "span=7", "where=nothing", "ids=x", "max_reads=-"],
)
def test_what_an_address_cannot_have_is_left_out(query: str) -> None:
    assert parsed(f"/queues/tasks?{query}") == Location()


def test_a_message_is_a_number_of_64_bits() -> None:
    assert parsed(f"/queues/tasks/messages/{2**63}").msg_id is None
    assert parsed(f"/queues/tasks/messages/{2**63 - 1}").msg_id == 2**63 - 1


def test_words_and_json_are_searched_differently() -> None:
    assert filter_of(MESSAGES, {"search": "ann"}, ()) == {"text": "ann"}
    assert filter_of(MESSAGES, {"search": '{"a": 1}', "ids": "1, 2"}, ()) == {"contains": {"a": 1}, "msg_ids": [1, 2]}
    assert filter_of(ARCHIVE, {"path": "$.b"}, ("a = 1",)) == {
        "state": "archived",
        "path": '($."a" == 1 || $."a" == "1") && ($.b)',
    }


@pytest.mark.parametrize("text", ["x" * 100, "iVBORw0KGgo=" + "!" * 100, "<svg" + " " * 100])
def test_other_text_is_no_image(text: str) -> None:
    assert image_type(text) == ""
