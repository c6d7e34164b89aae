"""The editor of policies: template, role, operations and condition, with a trial beside them."""

import json
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence

from nicegui import ui

from pgmq_gateway.dashboard.access.policies import Group
from pgmq_gateway.dashboard.access.trial import PolicyTrial
from pgmq_gateway.dashboard.api import Api, Problem, Row
from pgmq_gateway.dashboard.parts.widgets import Failure, button, field, heading, labelled, words
from pgmq_gateway.queue_functions import OPERATIONS

NESTED = re.compile(r"\w+(\.\w+)+")
NO_OPERATION = "Select at least one operation."
# The value of the claim in examples.
EXAMPLE = "1234"


class Editor:
    """The dialog that creates or changes policies.

    granted  the operations that are granted to a role
    saved    awaited afterwards
    """

    def __init__(
        self,
        api: Api,
        queue: str,
        templates: Sequence[Row],
        granted: Callable[[str], Sequence[str]],
        saved: Callable[[], Awaitable[None]],
    ) -> None:
        self._api = api
        self._queue = queue
        self._granted = granted
        self._saved = saved
        self._templates = {row["template"]: row for row in templates}
        self._trial: PolicyTrial | None = None
        # The names of the policies that are changed; empty: new ones are created.
        self._names: Sequence[str] = ()
        with ui.dialog() as self._dialog, ui.card().classes("dialog policy-editor"):
            self._title = heading("")
            with ui.element("div").classes("sides"):
                with ui.element("div").classes("stack"):
                    self._form()
                if api.can("try_policy"):
                    with ui.element("section").classes("stack").props('aria-label="Try as"'):
                        self._trial = PolicyTrial(api, self._wanted)
            self._failure = Failure()
            with ui.element("div").classes("actions"):
                button("Cancel", self._dialog.close)
                self._button = button("", self._save, "primary")

    def _form(self) -> None:
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

    def open(self, role: str = "authenticated") -> None:
        """Open the editor for new policies of a role."""
        self._open("Create policies", "Create", ())
        self._role.value = role
        self._show_template()

    def change(self, group: Group, names: Sequence[str]) -> None:
        """Open the editor for the policies of a group."""
        self._open("Change policies", "Save", names)
        self._template.value, self._role.value = group.template, group.role
        self._show_template()
        if group.member:
            self._member.value, self._claim.value = group.member, group.claim
            self._show_preview()

    def _open(self, title: str, action: str, names: Sequence[str]) -> None:
        self._names = names
        self._title.text, self._button.text = title, action
        labelled(self._dialog, title).update()
        self._failure.clear()
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
        self._suggest()
        self._preview.clear()
        with self._preview:
            words(self._selected["description"], "p")
            words(f"Grants {role}: {operations}. Creates the policies for this." if operations else NO_OPERATION, "p")
            if self._selected["parameters"]:
                words("For example, a caller whose token has the claim", "p")
                words(example(self._claim.value, EXAMPLE), "code")
                words("can access the message", "p")
                words(example(self._member.value, EXAMPLE), "code")

    def _suggest(self) -> None:
        """Put the example into the trial."""
        if self._trial is not None:
            self._trial.clear()
            if self._selected["parameters"]:
                self._trial.suggest(example(self._claim.value, EXAMPLE), example(self._member.value, EXAMPLE))

    def _wanted(self) -> Mapping[str, object] | None:
        """The arguments of change_policy; None without an operation."""
        if not self._ticked:
            return None
        wanted: dict[str, object] = {
            "queue_name": self._queue,
            "policy_names": self._names,
            "template": self._template.value,
            "role": self._role.value,
            "operations": self._ticked,
        }
        if self._selected["parameters"]:
            wanted |= {"claim": self._claim.value, "member": self._member.value}
        return wanted

    async def _save(self) -> None:
        wanted = self._wanted()
        if wanted is None:
            return
        self._button.props(add="loading")
        answer = await self._api.call("change_policy", wanted)
        self._button.props(remove="loading")
        if isinstance(answer, Problem):
            self._failure.show(answer)
            return
        self._dialog.close()
        saved = len(set(answer))
        ui.notify(f"{saved} {'policy' if saved == 1 else 'policies'} saved.", position="bottom")
        await self._saved()


def example(path: str, value: str) -> str:
    """A JSON object with this member. Like create_policy, it reads a.b as member b of a."""
    inside: object = value
    # A name with other characters, such as a URL, is a single member.
    for name in reversed(path.split(".") if NESTED.fullmatch(path) else [path]):
        inside = {name: inside}
    return json.dumps(inside, ensure_ascii=False)
