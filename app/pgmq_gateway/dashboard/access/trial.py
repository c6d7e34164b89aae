"""Tests a queue's permissions as another caller: the operations and messages of a role with certain claims.

`Trial` does so for the queue as it is, `PolicyTrial` as if policies had been saved already.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

from nicegui import ui

from pgmq_gateway import strictjson
from pgmq_gateway.dashboard.api import Api, Json, Problem, Row
from pgmq_gateway.dashboard.parts import quantities
from pgmq_gateway.dashboard.parts.tables import Cells, Facts
from pgmq_gateway.dashboard.parts.widgets import Failure, button, field, heading, words

MAX_MESSAGES = 10
MAX_MESSAGE_CHARACTERS = 300
HIDDEN = "No error and no effect: policies hide the message from this caller."
OPERATION_COLUMNS = ("Operation", "Result", "Code", "Message")
# The message as text: numbers keep all their digits.
SELECT = "msg_id,read_ct,enqueued_at,message::text"
MESSAGE_COLUMNS = ("Id", "Reads", "Age", "Message")


def not_an_object(text: str) -> str | None:
    """The error in the text of claims; None when they are valid."""
    if error := not_json(text):
        return error
    return None if isinstance(json.loads(text), dict) else 'Claims must be a JSON object, such as {"sub": "1234"}.'


def not_json(text: str) -> str | None:
    """The error in a JSON text; None when it is valid."""
    try:
        strictjson.loads(text)
    except ValueError as error:
        return f"Not JSON: {error}"
    except RecursionError:
        return "This JSON is nested too deeply to be read."
    return None


class Trial:
    """The form and its result."""

    def __init__(self, api: Api, queue: str) -> None:
        self._api = api
        self._queue = queue
        text = "Runs each operation as this caller and rolls it back. Only message ids are used up."
        words(text, "p").classes("muted")
        with ui.element("div").classes("fields"):
            self._role = ui.select([], label="Role", with_input=True, new_value_mode="add-unique")
            self._role.props("outlined dense").classes("field")
            self._sub = field("Subject (claim sub)", on_change=self._put_sub).props("autocomplete=off spellcheck=false")
        with ui.element("div").classes("fields"):
            self._claims = _json("Token claims (JSON)", "{}", not_an_object)
            self._message = _json("Test message (JSON)", "{}", not_json)
        self._claims.on_value_change(self._get_sub)
        with ui.element("div").classes("row-of"):
            self._button = button("Try", self._try, "primary", "play_arrow")
        self._failure = Failure()
        with (
            ui.element("div").classes("stack").props('role=region aria-label="Result" aria-live=polite') as self._result
        ):
            self._caller = words("", "h3")
            self._operations = Facts("Operations", OPERATION_COLUMNS, "", OPERATION_COLUMNS)
            heading("Readable messages", 3)
            self._messages_failure = Failure()
            empty = "This caller can read no messages."
            self._messages = Facts("Readable messages", MESSAGE_COLUMNS, empty, ("Message",))
        self._result.set_visibility(False)

    def offer(self, roles: Sequence[str]) -> None:
        """Set the roles of the drop-down list."""
        if self._role.options != list(roles):
            selected = self._role.value or ("authenticated" if "authenticated" in roles else next(iter(roles), None))
            self._role.set_options(list(dict.fromkeys([*roles, *([selected] if selected else [])])), value=selected)

    def _put_sub(self) -> None:
        """Copy the field Subject to the claims."""
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
        results = await self._api.rows("try_as", {**caller, "message": Json(self._message.value)})
        messages = await self._api.rows("messages_as", {**caller, "max_rows": MAX_MESSAGES}, {"select": SELECT})
        self._button.props(remove="loading")
        self._show(results, messages)

    def _show(self, results: list[Row] | Problem, messages: list[Row] | Problem) -> None:
        self._result.set_visibility(not isinstance(results, Problem))
        self._failure.clear()
        self._messages_failure.clear()
        if isinstance(results, Problem):
            self._failure.show(results)
            return
        self._caller.text = f"As {self._role.value}"
        self._operations.show([_operation(row) for row in results])
        if isinstance(messages, Problem):
            self._messages_failure.show(messages)
        self._messages.show([] if isinstance(messages, Problem) else [_message(row) for row in messages])


class PolicyTrial:
    """The form beside the editor of policies. `wanted` returns the arguments of change_policy; None: incomplete."""

    def __init__(self, api: Api, wanted: Callable[[], Mapping[str, object] | None]) -> None:
        self._api = api
        self._wanted = wanted
        # By field: the text that the editor has put there.
        self._suggested: dict[str, str] = {}
        heading("Try as", 3)
        words("Tries a caller with these claims as if the policies were saved, and undoes it.", "p").classes("muted")
        self._claims = _json("Token claims (JSON)", "{}", not_an_object)
        self._message = _json("Test message (JSON)", "{}", not_json)
        with ui.element("div").classes("row-of"):
            self._button = button("Try", self._try, icon="play_arrow")
        self._failure = Failure()
        with ui.element("div").props('role=region aria-label="Result" aria-live=polite') as self._result:
            self._operations = Facts("Operations", OPERATION_COLUMNS[:2], "", OPERATION_COLUMNS[:2])
        self.clear()

    def clear(self) -> None:
        """Hide the result: it is of other policies."""
        self._failure.clear()
        self._result.set_visibility(False)

    def suggest(self, claims: str, message: str) -> None:
        """Put a caller and a message into the fields that match, unless the user has typed others."""
        for label, area, text in (("claims", self._claims, claims), ("message", self._message, message)):
            if area.value in ("{}", self._suggested.get(label)):
                area.value = self._suggested[label] = text

    async def _try(self) -> None:
        wanted = self._wanted()
        if wanted is None or not (self._claims.validate() and self._message.validate()):
            return
        self._button.props(add="loading")
        caller = {"claims": Json(self._claims.value), "message": Json(self._message.value)}
        results = await self._api.rows("try_policy", {**wanted, **caller})
        self._button.props(remove="loading")
        self.clear()
        if isinstance(results, Problem):
            self._failure.show(results)
            return
        self._operations.show([_operation(row)[:2] for row in results])
        self._result.set_visibility(True)


def _json(label: str, value: str, validation: object) -> ui.textarea:
    area = ui.textarea(label, value=value, validation=validation)  # type: ignore[arg-type]
    return area.props("outlined dense autogrow spellcheck=false").classes("field")


def _operation(row: Row) -> Cells:
    if row["allowed"]:
        return (row["operation"], "✓ allowed", "", "")
    if row["code"]:
        return (row["operation"], "✗ refused", row["code"], row["error"])
    return (row["operation"], "○ no effect", "", HIDDEN)


def _message(row: Row) -> Cells:
    text = str(row["message"])
    short = text if len(text) <= MAX_MESSAGE_CHARACTERS else f"{text[:MAX_MESSAGE_CHARACTERS]}…"
    age = quantities.age_of(row["enqueued_at"], datetime.now(UTC))
    return (str(row["msg_id"]), quantities.count(row["read_ct"]), age, short)
