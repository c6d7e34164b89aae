"""The policies of a queue, and the dialog that makes some from a template."""

import json
import re
from collections.abc import Awaitable, Callable, Sequence

from nicegui import ui

from pgmq_gateway.dashboard.api import Api, Problem, Row
from pgmq_gateway.dashboard.parts.dialogs import confirmed
from pgmq_gateway.dashboard.parts.widgets import Failure, badge, button, field, heading, words

NESTED = re.compile(r"\w+(\.\w+)+")
PLACES = {"queue": "on the queue", "archive": "on the archive"}
# What each template gives a role, as its description does not say.
OPERATIONS = {
    "own_messages": "send, read, pop, archive and delete",
    "tenant": "send, read, pop, archive and delete",
    "consumer": "read, pop, archive and delete",
    "producer": "send",
}


class Policies:
    """The list. `changed` is awaited after one was dropped."""

    def __init__(self, api: Api, queue: str, changed: Callable[[], Awaitable[None]]) -> None:
        self._api = api
        self._queue = queue
        self._changed = changed
        self._rows: Sequence[Row] | None = None
        self._failure = Failure()
        self._list = ui.element("div").classes("policies").props("role=list aria-label=Policies")

    def show(self, rows: Sequence[Row]) -> None:
        """The policies as they are now."""
        if rows == self._rows:
            return
        self._rows = rows
        self._list.clear()
        with self._list:
            for name in dict.fromkeys(row["policy_name"] for row in rows):
                self._item(name, [row for row in rows if row["policy_name"] == name])
            if not rows:
                words("There are none.", "p").classes("muted").props("role=listitem")

    def _item(self, name: str, rows: Sequence[Row]) -> None:
        with ui.element("div").classes("policy").props("role=listitem"):
            with ui.element("div").classes("row-of"):
                words(name).classes("name")
                ui.element("div").classes("grow")
                drop = button("Drop", lambda: self._drop(name)).classes("small")
                drop.props["aria-label"] = f"Drop policy {name}"
            for row in rows:
                with ui.element("div").classes("row-of"):
                    badge(f"{row['command']} {PLACES[row['on_table']]}")
                    words(f"for {', '.join(row['roles'])}").classes("muted")
                    if not row["permissive"]:
                        badge("restrictive", "warn")
                for kind, expression in (("using", row["using_expression"]), ("with check", row["check_expression"])):
                    if expression is not None:
                        words(f"{kind} ({expression})", "code")

    async def _drop(self, name: str) -> None:
        text = f"{name}. Rights stay as they are: without another policy they let nothing through."
        if not await confirmed("Drop this policy?", text, "Drop", "danger"):
            return
        answer = await self._api.call("drop_policy", {"queue_name": self._queue, "policy_name": name})
        if isinstance(answer, Problem):
            self._failure.show(answer)
        else:
            self._failure.clear()
        await self._changed()


class Templates:
    """The dialog that makes policies. `created` is awaited after it has."""

    def __init__(self, api: Api, queue: str, templates: Sequence[Row], created: Callable[[], Awaitable[None]]) -> None:
        self._api = api
        self._queue = queue
        self._created = created
        self._templates = {row["template"]: row for row in templates}
        with ui.dialog().props('aria-label="Create policies"') as self._dialog, ui.card().classes("dialog"):
            heading("Create policies")
            titles = {name: row["title"] for name, row in self._templates.items()}
            self._template = ui.radio(titles, value=next(iter(titles)), on_change=self._chosen)
            self._template.props("dense aria-label=Template").classes("choice")
            self._role = field("Role", "authenticated", on_change=self._preview)
            self._role.props("autocomplete=off spellcheck=false")
            with ui.element("div").classes("fields") as self._equal:
                self._member = field("Member of the message", on_change=self._preview).props("spellcheck=false")
                self._claim = field("Claim of the token", on_change=self._preview).props("spellcheck=false")
            self._said = ui.element("div").classes("preview").props('role=region aria-label="What it does"')
            self._failure = Failure()
            with ui.element("div").classes("actions"):
                button("Cancel", self._dialog.close)
                self._button = button("Create", self._create, "primary")
        self._chosen()

    def open(self, role: str = "authenticated") -> None:
        """Ask, for this role."""
        self._failure.clear()
        self._role.value = role
        self._dialog.open()

    def _chosen(self) -> None:
        defaults = {one["name"]: one["default"] for one in self._templates[self._template.value]["parameters"]}
        self._equal.set_visibility(bool(defaults))
        self._member.value, self._claim.value = defaults.get("member", ""), defaults.get("claim", "")
        self._preview()

    def _preview(self) -> None:
        template = self._template.value
        self._said.clear()
        with self._said:
            words(self._templates[template]["description"], "p")
            words(f"{self._role.value or '…'} gets the rights and the policies to {OPERATIONS[template]}.", "p")
            if self._templates[template]["parameters"]:
                words("For example, this message", "p")
                words(example(self._member.value, "1234"), "code")
                words("is one for a caller whose token says", "p")
                words(example(self._claim.value, "1234"), "code")

    async def _create(self) -> None:
        wanted = {"queue_name": self._queue, "template": self._template.value, "role": self._role.value}
        if self._templates[self._template.value]["parameters"]:
            wanted |= {"claim": self._claim.value, "member": self._member.value}
        self._button.props(add="loading")
        answer = await self._api.call("create_policy", wanted)
        self._button.props(remove="loading")
        if isinstance(answer, Problem):
            self._failure.show(answer)
            return
        self._dialog.close()
        ui.notify(f"Created {len(set(answer))} policies.", position="bottom")
        await self._created()


def example(path: str, value: str) -> str:
    """An object with this member; a.b is b inside a, as create_policy has it."""
    inside: object = value
    # A name that holds more than words and dots is one as it stands, such as an URL.
    for name in reversed(path.split(".") if NESTED.fullmatch(path) else [path]):
        inside = {name: inside}
    return json.dumps(inside, ensure_ascii=False)
