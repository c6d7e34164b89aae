"""The permissions on a queue: a table of switches, role by operation, with the effective access and its reasons."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from nicegui import ui
from nicegui.events import ValueChangeEventArguments

from pgmq_gateway.dashboard.api import Api, Row
from pgmq_gateway.dashboard.parts.widgets import button, heading, words
from pgmq_gateway.dashboard.parts.widgets import field as input_field
from pgmq_gateway.queue_functions import OPERATIONS

VERDICTS = {"all": "all", "policy": "by policy", "none": "none"}
# It has access to all messages, by BYPASSRLS or by a policy on each queue.
SERVICE_ROLE = "service_role"
ACCESS = {"all": "can {} all messages", "policy": "can {} the messages that policies allow", "none": "cannot {}"}

# Grants or revokes: role, operations, True to grant.
Change = Callable[[str, Sequence[str], bool], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Permission:
    """One role and one operation. `granted` is about grants alone, `verdict` takes policies into account.

    functions  those of pgmq_api that the operation includes and the role may execute
    """

    role: str
    operation: str
    verdict: str = "none"
    granted: bool = False
    reasons: Sequence[str] = field(default_factory=list)
    policies: Sequence[str] = field(default_factory=list)
    functions: Sequence[str] = field(default_factory=list)

    @property
    def level(self) -> str:
        """The badge's colour: access to all messages is a warning for every role but service_role."""
        if self.verdict == "none":
            return ""
        return "warn" if self.verdict == "all" and self.role != SERVICE_ROLE else "good"

    @property
    def sentence(self) -> str:
        return f"{self.role} {ACCESS[self.verdict].format(self.operation)}."


Permissions = dict[tuple[str, str], Permission]


def permissions_of(rows: Sequence[Row], grants: Sequence[Row]) -> Permissions:
    """From the rows of pgmq_admin.rights and pgmq_admin.list_grants."""
    granted = {row["role"]: row["operations"] for row in grants}
    return {
        (row["role"], row["operation"]): Permission(
            row["role"],
            row["operation"],
            row["verdict"],
            row["operation"] in granted.get(row["role"], ()),
            row["reasons"],
            row["policies"],
            row["functions"],
        )
        for row in rows
    }


class Cell:
    """One permission: a switch to grant or revoke it, or words where the key cannot, and the effective access."""

    def __init__(
        self, change: Callable[[bool], Awaitable[None]], explain: Callable[[], None], *, can_change: bool
    ) -> None:
        self._change = change
        self._granted = False
        with ui.element("div").classes("cell").props("role=cell"):
            self._name = words("").classes("operation").props("aria-hidden=true")
            self._switch = ui.switch(on_change=self._switched).props("dense")
            self._words = words("").classes("muted")
            self._switch.set_visibility(can_change)
            self._words.set_visibility(not can_change)
            self._verdict = words("", "button").on("click", explain).props("type=button")
            with self._verdict:
                self._tip = ui.tooltip("").classes("tip").props("aria-hidden=true")

    def show(self, permission: Permission) -> None:
        self._granted = permission.granted
        self._name.text = permission.operation
        self._switch.value = permission.granted
        self._words.text = "granted" if permission.granted else "not granted"
        self._switch.props["aria-label"] = f"{permission.role}: permission to {permission.operation}"
        self._verdict.text = VERDICTS[permission.verdict]
        self._verdict.classes(replace=f"badge verdict {permission.level}")
        self._verdict.props["aria-label"] = f"{VERDICTS[permission.verdict]}: {permission.sentence} Why?"
        self._tip.text = "\n".join(permission.reasons)

    async def _switched(self, event: ValueChangeEventArguments[bool | None]) -> None:
        # `show` raises this event too.
        if event.value != self._granted:
            self._switch.disable()
            await self._change(bool(event.value))
            self._switch.enable()
            self._switch.value = self._granted


class Matrix:
    """All permissions on a queue.

    change  grants or revokes, then has the page updated
    create  opens the dialog that creates policies, for a role
    """

    def __init__(self, api: Api, change: Change, create: Callable[[str], None]) -> None:
        self._api = api
        self._change = change
        self._create = create
        self._permissions: Permissions = {}
        self._added_roles: list[str] = []
        self._cells: dict[tuple[str, str], Cell] = {}
        self._selected: tuple[str, str] | None = None
        self._explained: Permission | None = None
        self._table = ui.element("div").classes("matrix").props("role=table aria-label=Permissions")
        self._details = ui.element("div").classes("details").props('role=region aria-label="Reasons" aria-live=polite')
        with self._details:
            words("Select a result in the table to see the reasons for it.", "p").classes("muted")
        with ui.element("div").classes("row-of") as adding:
            self._new_role = input_field("Another role").props("autocomplete=off spellcheck=false").classes("short")
            button("Add to table", self._add)
            self._new_role.on("keydown.enter", self._add)
        adding.set_visibility(self._changes_roles)

    @property
    def _changes_roles(self) -> bool:
        return self._api.can("grant_queue") and self._api.can("revoke_queue")

    @property
    def roles(self) -> list[str]:
        return list(dict.fromkeys([*(role for role, _ in self._permissions), *self._added_roles]))

    def granted(self, role: str) -> list[str]:
        """The operations that are granted to a role."""
        found = self._permissions.values()
        return [one.operation for one in found if one.role == role and one.granted]

    def show(self, permissions: Permissions) -> None:
        self._permissions = permissions
        roles = self.roles
        if {role for role, _ in self._cells} != set(roles):
            self._build(roles)
        for place, cell in self._cells.items():
            cell.show(self._permission(place))
        self._explain()

    def explain(self, role: str, operation: str) -> None:
        """Show the reasons for one role's access."""
        self._selected = (role, operation)
        self._explain()

    def _permission(self, place: tuple[str, str]) -> Permission:
        role, operation = place
        reasons = [f"{role} has no permissions on this queue."]
        return self._permissions.get(place) or Permission(role, operation, reasons=reasons)

    def _build(self, roles: Sequence[str]) -> None:
        self._table.clear()
        with self._table:
            with ui.element("div").classes("heads").props("role=row"):
                words("Role").props("role=columnheader")
                for operation in OPERATIONS:
                    with ui.element("div").props("role=columnheader"):
                        words(operation)
                        words(", ".join(self._included(operation)), "div").classes("included")
                if self._changes_roles:
                    words("All operations").props("role=columnheader")
            self._cells = {place: cell for role in roles for place, cell in self._row(role).items()}

    def _included(self, operation: str) -> list[str]:
        """The functions of pgmq_api that an operation includes, without those that the column's name covers."""
        found = self._permissions.values()
        names = dict.fromkeys(name for one in found if one.operation == operation for name in one.functions)
        return [name for name in names if not name.startswith(operation) and name != "queues"]

    def _row(self, role: str) -> dict[tuple[str, str], Cell]:
        with ui.element("div").classes("permissions").props("role=row"):
            words(role).classes("role").props("role=rowheader")
            cells = {(role, operation): self._cell(role, operation) for operation in OPERATIONS}
            if self._changes_roles:
                with ui.element("div").classes("cell whole").props("role=cell"):
                    self._button_for_all(role, "Grant all", grant=True)
                    self._button_for_all(role, "Revoke all", grant=False)
        return cells

    def _cell(self, role: str, operation: str) -> Cell:
        async def change(grant: bool) -> None:
            self._selected = (role, operation)
            await self._change(role, [operation], grant)

        return Cell(change, lambda: self.explain(role, operation), can_change=self._changes_roles)

    def _button_for_all(self, role: str, text: str, *, grant: bool) -> None:
        async def change() -> None:
            await self._change(role, OPERATIONS, grant)

        button(text, change).classes("small").props["aria-label"] = f"{text} operations: {role}"

    def _explain(self) -> None:
        permission = self._permission(self._selected) if self._selected else None
        # A new button would not have the focus of the old one.
        if permission is None or permission == self._explained:
            return
        self._explained = permission
        self._details.clear()
        with self._details:
            self._fill_details(permission)

    def _fill_details(self, permission: Permission) -> None:
        ineffective = permission.granted and permission.verdict == "none"
        heading(permission.sentence, 3)
        if ineffective:
            words("The permission is granted, but has no effect yet:", "p")
        with ui.element("ul"):
            for reason in permission.reasons:
                words(reason, "li")
        if permission.granted and permission.functions:
            words(f"Includes these functions of pgmq_api: {', '.join(permission.functions)}.", "p").classes("muted")
        if ineffective and self._api.can("create_policy"):
            button("Create policies from a template", lambda: self._create(permission.role), icon="add")

    def _add(self) -> None:
        role = (self._new_role.value or "").strip()
        if role and role not in self.roles:
            self._added_roles.append(role)
            self._new_role.value = ""
            self.show(self._permissions)
