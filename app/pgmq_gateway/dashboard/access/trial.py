"""Trying a queue as somebody else: what a caller with this role and these claims can do and read."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime

from nicegui import ui

from pgmq_gateway import strictjson
from pgmq_gateway.dashboard.api import Api, Json, Problem, Row
from pgmq_gateway.dashboard.parts import quantities
from pgmq_gateway.dashboard.parts.tables import Cells, Facts
from pgmq_gateway.dashboard.parts.widgets import Failure, button, field, heading, words

MESSAGES = 10
LONGEST = 300
HIDDEN = "No error and no effect: policies hide the message from this caller."
HEADS = ("Operation", "Result", "Code", "Message")
# As text, so that numbers keep all their digits.
SEEN = "msg_id,read_ct,enqueued_at,message::text"
COLUMNS = ("Id", "Reads", "Age", "Message")


def not_an_object(text: str) -> str | None:
    """What is wrong with claims."""
    wrong = not_json(text)
    if wrong:
        return wrong
    return None if isinstance(json.loads(text), dict) else 'Claims are an object, such as {"sub": "1234"}.'


def not_json(text: str) -> str | None:
    """What is wrong with JSON."""
    try:
        strictjson.loads(text)
    except ValueError as error:
        return f"Not JSON: {error}"
    except RecursionError:
        return "Not JSON that can be read: nested too deep."
    return None


class Trial:
    """The form and what came of it."""

    def __init__(self, api: Api, queue: str) -> None:
        self._api = api
        self._queue = queue
        words("Each operation is tried for real, as this caller, and undone; only ids are used up.", "p").classes(
            "muted"
        )
        with ui.element("div").classes("fields"):
            self._role = ui.select([], label="Role", with_input=True, new_value_mode="add-unique")
            self._role.props("outlined dense").classes("field")
            self._sub = field("sub, the user's id", on_change=self._put_sub).props("autocomplete=off spellcheck=false")
        with ui.element("div").classes("fields"):
            self._claims = _json("Claims of the token", "{}", not_an_object)
            self._message = _json("A message to try with", "{}", not_json)
        self._claims.on_value_change(self._get_sub)
        with ui.element("div").classes("row-of"):
            self._button = button("Try", self._try, "primary", "play_arrow")
        self._failure = Failure()
        with (
            ui.element("div").classes("stack").props('role=region aria-label="Result" aria-live=polite') as self._result
        ):
            self._done = words("", "h3")
            self._operations = Facts("Operations", HEADS, "", HEADS)
            heading("Messages that it can read", 3)
            self._unseen = Failure()
            self._messages = Facts("Messages that it can read", COLUMNS, "It sees no messages.", ("Message",))
        self._result.set_visibility(False)

    def offer(self, roles: Sequence[str]) -> None:
        """Roles to choose from."""
        if self._role.options != list(roles):
            chosen = self._role.value or ("authenticated" if "authenticated" in roles else next(iter(roles), None))
            self._role.set_options(list(dict.fromkeys([*roles, *([chosen] if chosen else [])])), value=chosen)

    def _put_sub(self) -> None:
        """Put the quick field's value among the claims, or take it out."""
        claims = {} if not_an_object(self._claims.value) else json.loads(self._claims.value)
        if str(claims.get("sub", "")) == self._sub.value:
            return
        claims.pop("sub", None)
        if self._sub.value:
            claims = {"sub": self._sub.value, **claims}
        self._claims.value = json.dumps(claims, ensure_ascii=False, indent=2) if claims else "{}"

    def _get_sub(self) -> None:
        if not not_an_object(self._claims.value):
            self._sub.value = str(json.loads(self._claims.value).get("sub", ""))

    async def _try(self) -> None:
        if not (self._claims.validate() and self._message.validate()):
            return
        self._button.props(add="loading")
        caller = {"queue_name": self._queue, "role": self._role.value, "claims": Json(self._claims.value)}
        tried = await self._api.rows("try_as", {**caller, "message": Json(self._message.value)})
        seen = await self._api.rows("messages_as", {**caller, "max_rows": MESSAGES}, {"select": SEEN})
        self._button.props(remove="loading")
        self._show(tried, seen)

    def _show(self, tried: list[Row] | Problem, seen: list[Row] | Problem) -> None:
        self._result.set_visibility(not isinstance(tried, Problem))
        self._failure.clear()
        self._unseen.clear()
        if isinstance(tried, Problem):
            self._failure.show(tried)
            return
        self._done.text = f"As {self._role.value}"
        self._operations.show([_tried(row) for row in tried])
        if isinstance(seen, Problem):
            self._unseen.show(seen)
        self._messages.show([] if isinstance(seen, Problem) else [_seen(row) for row in seen])


def _json(label: str, value: str, validation: object) -> ui.textarea:
    area = ui.textarea(label, value=value, validation=validation)  # type: ignore[arg-type]
    return area.props("outlined dense autogrow spellcheck=false").classes("field mono")


def _tried(row: Row) -> Cells:
    if row["allowed"]:
        return (row["operation"], "✓ allowed", "", "")
    if row["code"]:
        return (row["operation"], "✗ refused", row["code"], row["error"])
    return (row["operation"], "○ nothing", "", HIDDEN)


def _seen(row: Row) -> Cells:
    text = str(row["message"])
    short = text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
    age = quantities.age(_seconds_since(row["enqueued_at"]))
    return (str(row["msg_id"]), quantities.count(row["read_ct"]), age, short)


def _seconds_since(moment: str) -> float:
    return (datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds()
