"""The policies of a queue, and the dialog that creates policies from a template."""

import json
import re
from collections.abc import Awaitable, Callable, Sequence

from nicegui import ui

from pgmq_gateway.dashboard.api import Api, Problem, Row
from pgmq_gateway.dashboard.parts.dialogs import confirmed
from pgmq_gateway.dashboard.parts.widgets import Failure, badge, button, field, heading, words
from pgmq_gateway.queue_functions import OPERATIONS

NESTED = re.compile(r"\w+(\.\w+)+")
NO_OPERATION = "Select at least one operation."
PLACES = {"queue": "on the queue", "archive": "on the archive"}


class Policies:
    """The list. `changed` is awaited after a policy was dropped."""

    def __init__(self, api: Api, queue: str, changed: Callable[[], Awaitable[None]]) -> None:
        self._api = api
        self._queue = queue
        self._changed = changed
        self._rows: Sequence[Row] | None = None
        self._failure = Failure()
        self._list = ui.element("div").classes("policies").props("role=list aria-label=Policies")

    def show(self, rows: Sequence[Row]) -> None:
        if rows == self._rows:
            return
        self._rows = rows
        self._list.clear()
        with self._list:
            for name in dict.fromkeys(row["policy_name"] for row in rows):
                self._item(name, [row for row in rows if row["policy_name"] == name])
            if not rows:
                words("No policies.", "p").classes("muted").props("role=listitem")
            elif not self._api.can("create_policy"):
                words("Your key cannot see the conditions.", "p").classes("muted").props("role=listitem")

    def _item(self, name: str, rows: Sequence[Row]) -> None:
        with ui.element("div").classes("policy").props("role=listitem"):
            with ui.element("div").classes("row-of"):
                words(name).classes("name")
                ui.element("div").classes("grow")
                if self._api.can("drop_policy"):
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
        text = f"{name}: permissions stay, but without another policy they give access to no message."
        if not await confirmed("Drop this policy?", text, "Drop", "danger"):
            return
        answer = await self._api.call("drop_policy", {"queue_name": self._queue, "policy_name": name})
        if isinstance(answer, Problem):
            self._failure.show(answer)
        else:
            self._failure.clear()
        await self._changed()


class Templates:
    """The dialog that creates policies.

    granted  the operations that are granted to a role
    created  awaited afterwards
    """

    def __init__(
        self,
        api: Api,
        queue: str,
        templates: Sequence[Row],
        granted: Callable[[str], Sequence[str]],
        created: Callable[[], Awaitable[None]],
    ) -> None:
        self._api = api
        self._queue = queue
        self._granted = granted
        self._created = created
        self._templates = {row["template"]: row for row in templates}
        with ui.dialog().props('aria-label="Create policies"') as self._dialog, ui.card().classes("dialog"):
            heading("Create policies")
            titles = {name: row["title"] for name, row in self._templates.items()}
            self._template = ui.radio(titles, value=next(iter(titles)), on_change=self._show_template)
            self._template.props("dense aria-label=Template").classes("choice")
            self._role = field("Role", "authenticated", on_change=self._tick)
            self._role.props("autocomplete=off spellcheck=false")
            with ui.element("div").classes("row-of").props("role=group aria-label=Operations"):
                self._operations = {
                    name: ui.checkbox(name, on_change=self._show_preview).props("dense") for name in OPERATIONS
                }
            with ui.element("div").classes("fields") as self._equal:
                self._member = field("Message member", on_change=self._show_preview).props("spellcheck=false")
                self._claim = field("Token claim", on_change=self._show_preview).props("spellcheck=false")
            self._preview = ui.element("div").classes("preview").props("role=region aria-label=Preview")
            self._failure = Failure()
            with ui.element("div").classes("actions"):
                button("Cancel", self._dialog.close)
                self._button = button("Create", self._create, "primary")

    def open(self, role: str = "authenticated") -> None:
        self._failure.clear()
        self._role.value = role
        self._show_template()
        self._dialog.open()

    @property
    def _selected(self) -> Row:
        return self._templates[self._template.value]

    @property
    def _ticked(self) -> list[str]:
        return [name for name, box in self._operations.items() if box.value and name in self._selected["operations"]]

    def _tick(self) -> None:
        """Tick the operations that the role already has. Without any, all of the template."""
        offered = self._selected["operations"]
        wanted = set(offered) & set(self._granted(self._role.value or "")) or set(offered)
        for name, box in self._operations.items():
            box.set_visibility(name in offered)
            box.value = name in wanted
        self._show_preview()

    def _show_template(self) -> None:
        defaults = {one["name"]: one["default"] for one in self._selected["parameters"]}
        self._equal.set_visibility(bool(defaults))
        self._member.value, self._claim.value = defaults.get("member", ""), defaults.get("claim", "")
        self._tick()

    def _show_preview(self) -> None:
        role, operations = self._role.value or "…", ", ".join(self._ticked)
        self._button.enabled = bool(operations)
        self._preview.clear()
        with self._preview:
            words(self._selected["description"], "p")
            words(f"Grants {role}: {operations}. Creates the policies for this." if operations else NO_OPERATION, "p")
            if self._selected["parameters"]:
                words("For example, a caller whose token has the claim", "p")
                words(example(self._claim.value, "1234"), "code")
                words("can access the message", "p")
                words(example(self._member.value, "1234"), "code")

    async def _create(self) -> None:
        wanted = {
            "queue_name": self._queue,
            "template": self._template.value,
            "role": self._role.value,
            "operations": self._ticked,
        }
        if self._selected["parameters"]:
            wanted |= {"claim": self._claim.value, "member": self._member.value}
        self._button.props(add="loading")
        answer = await self._api.call("create_policy", wanted)
        self._button.props(remove="loading")
        if isinstance(answer, Problem):
            self._failure.show(answer)
            return
        self._dialog.close()
        created = len(set(answer))
        ui.notify(f"{created} {'policy' if created == 1 else 'policies'} created.", position="bottom")
        await self._created()


def example(path: str, value: str) -> str:
    """A JSON object with this member. Like create_policy, it reads a.b as member b of a."""
    inside: object = value
    # A name with other characters, such as a URL, is a single member.
    for name in reversed(path.split(".") if NESTED.fullmatch(path) else [path]):
        inside = {name: inside}
    return json.dumps(inside, ensure_ascii=False)
