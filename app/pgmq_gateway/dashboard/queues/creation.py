"""The dialog that creates a queue, and opens it."""

import re

from nicegui import ui

from pgmq_gateway.dashboard.access.protection import OFF
from pgmq_gateway.dashboard.api import Api, Problem
from pgmq_gateway.dashboard.parts.shell import queue_address
from pgmq_gateway.dashboard.parts.widgets import Failure, button, field, heading, words

TYPES = {
    "basic": "Basic: durable, for most uses",
    "unlogged": "Unlogged: faster, but emptied by a crash",
    "partitioned": "Partitioned: for very many messages",
}
WITHOUT_PARTMAN = (
    "Partitioned queues need the extension pg_partman, which this database does not have. A superuser can create it, "
    "if the server has it: create schema partman; create extension pg_partman schema partman"
)
INTERVALS = "Two numbers of messages, such as 10000, or two intervals, such as 1 day."
# pgmq adds prefixes and suffixes, and Postgres' names have at most 63 bytes.
MAX_NAME_CHARACTERS = 47


def name_error(name: str) -> str | None:
    """The error that create_queue would report for a name; None when it is valid."""
    if not name:
        return "Enter a name."
    if invalid := dict.fromkeys(re.findall(r"[^a-z0-9_-]", name)):
        return f"Not allowed in a name: {', '.join('space' if one.isspace() else one for one in invalid)}"
    if "--" in name:
        return "Not allowed in a name: --"
    if len(name) > MAX_NAME_CHARACTERS:
        return f"At most {MAX_NAME_CHARACTERS} characters; this name has {len(name)}."
    return None


class Creation:
    def __init__(self, api: Api) -> None:
        self._api = api
        with ui.dialog().props('aria-label="Create a queue"') as self._dialog, ui.card().classes("dialog"):
            heading("Create a queue")
            self._name = field("Name", validation=name_error).props(
                'autofocus autocomplete=off spellcheck=false maxlength=63 hint="1 to 47 of a-z, 0-9, _ and -"'
            )
            self._name.without_auto_validation().on_value_change(lambda: self._name.validate())
            self._type = ui.radio(TYPES, value="basic").props('dense aria-label="Type"').classes("choice")
            self._without_partman = words(WITHOUT_PARTMAN, "p").classes("muted")
            with ui.element("div").classes("stack").bind_visibility_from(self._type, "value", value="partitioned"):
                self._partition = field("Messages or time per partition", "10000")
                self._retention = field("Messages or time to keep", "100000")
                words(INTERVALS, "p").classes("muted")
            self._rls = ui.switch("Row-level security", value=True).props("dense")
            with ui.element("p").classes("notice").props("role=status") as warning:
                words(OFF)
            warning.bind_visibility_from(self._rls, "value", lambda on: not on)
            self._failure = Failure()
            with ui.element("div").classes("actions"):
                button("Cancel", self._dialog.close)
                self._button = button("Create", self._create, "primary")
        self._name.on("keydown.enter", self._create)

    async def open(self) -> None:
        database = await self._api.database()
        possible = isinstance(database, Problem) or database["partman_version"] is not None
        self._type.set_options({name: text for name, text in TYPES.items() if possible or name != "partitioned"})
        self._without_partman.set_visibility(not possible)
        self._failure.clear()
        self._name.value, self._name.error = "", None
        self._rls.value, self._type.value = True, "basic"
        self._dialog.open()

    async def _create(self) -> None:
        if not self._name.validate():
            return
        self._button.props(add="loading")
        answer = await self._api.create_queue(self._arguments())
        self._button.props(remove="loading")
        if isinstance(answer, Problem):
            self._failure.show(answer)
            return
        if not answer:
            self._name.error = f"Queue {self._name.value} already exists."
            return
        self._dialog.close()
        ui.navigate.to(queue_address(self._name.value))

    def _arguments(self) -> dict[str, object]:
        arguments = {"queue_name": self._name.value, "queue_type": self._type.value, "rls": self._rls.value}
        if self._type.value == "partitioned":
            arguments |= {"partition_interval": self._partition.value, "retention_interval": self._retention.value}
        return arguments
