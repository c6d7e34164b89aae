"""The rights on a queue as a table of switches, role by operation, with the reasons for what each comes to."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from nicegui import ui
from nicegui.events import ValueChangeEventArguments

from pgmq_gateway.dashboard.api import Row
from pgmq_gateway.dashboard.parts.widgets import button, heading, words
from pgmq_gateway.dashboard.parts.widgets import field as line
from pgmq_gateway.queue_functions import OPERATIONS

VERDICTS = {"all": "all", "policy": "by policy", "none": "none"}
# The role of servers, which policies do not hold.
SERVICE = "service_role"
CAN = {"all": "can {} all messages", "policy": "can {} the messages that policies let through", "none": "cannot {}"}

# Gives or takes rights: role, operations, whether to give.
Change = Callable[[str, Sequence[str], bool], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Right:
    """One role and one operation. `granted` leaves policies aside, `verdict` does not."""

    role: str
    operation: str
    verdict: str = "none"
    granted: bool = False
    reasons: Sequence[str] = field(default_factory=list)
    policies: Sequence[str] = field(default_factory=list)

    @property
    def level(self) -> str:
        """How its badge looks: all messages are much for others than servers."""
        if self.verdict == "none":
            return ""
        return "warn" if self.verdict == "all" and self.role != SERVICE else "good"

    @property
    def sentence(self) -> str:
        """What it comes to."""
        return f"{self.role} {CAN[self.verdict].format(self.operation)}."


Rights = dict[tuple[str, str], Right]


def rights_of(rows: Sequence[Row], grants: Sequence[Row]) -> Rights:
    """What rights() and list_grants() tell, together."""
    granted = {row["role"]: row["operations"] for row in grants}
    return {
        (row["role"], row["operation"]): Right(
            row["role"],
            row["operation"],
            row["verdict"],
            row["operation"] in granted.get(row["role"], ()),
            row["reasons"],
            row["policies"],
        )
        for row in rows
    }


class Cell:
    """One right: a switch that gives or takes it, and a word that says what it comes to."""

    def __init__(self, change: Callable[[bool], Awaitable[None]], choose: Callable[[], None]) -> None:
        self._change = change
        self._granted = False
        with ui.element("div").classes("cell").props("role=cell"):
            self._name = words("").classes("operation").props("aria-hidden=true")
            self._switch = ui.switch(on_change=self._switched).props("dense")
            self._verdict = words("", "button").on("click", choose).props("type=button")
            with self._verdict:
                self._tip = ui.tooltip("").classes("tip").props("aria-hidden=true")

    def show(self, right: Right) -> None:
        """The right as it is."""
        self._granted = right.granted
        self._name.text = right.operation
        self._switch.value = right.granted
        self._switch.props["aria-label"] = f"{right.role}: rights to {right.operation}"
        self._verdict.text = VERDICTS[right.verdict]
        self._verdict.classes(replace=f"badge verdict {right.level}")
        self._verdict.props["aria-label"] = f"{VERDICTS[right.verdict]}: {right.sentence} Why?"
        self._tip.text = "\n".join(right.reasons)

    async def _switched(self, event: ValueChangeEventArguments[bool | None]) -> None:
        # Showing what is there switches too.
        if event.value != self._granted:
            self._switch.disable()
            await self._change(bool(event.value))
            self._switch.enable()
            self._switch.value = self._granted


class Matrix:
    """All rights on a queue.

    change  gives or takes rights, and has the truth shown again
    create  opens the dialog that makes policies, for a role
    """

    def __init__(self, change: Change, create: Callable[[str], None]) -> None:
        self._change = change
        self._create = create
        self._rights: Rights = {}
        self._added: list[str] = []
        self._cells: dict[tuple[str, str], Cell] = {}
        self._chosen: tuple[str, str] | None = None
        self._table = ui.element("div").classes("matrix").props("role=table aria-label=Rights")
        self._details = ui.element("div").classes("details").props('role=region aria-label="Reasons" aria-live=polite')
        with ui.element("div").classes("row-of"):
            self._other = line("Another role").props("autocomplete=off spellcheck=false").classes("short")
            button("Show", self._add)
            self._other.on("keydown.enter", self._add)

    @property
    def roles(self) -> list[str]:
        """The roles in it, in order."""
        return list(dict.fromkeys([*(role for role, _ in self._rights), *self._added]))

    def show(self, rights: Rights) -> None:
        """The rights as they are now."""
        self._rights = rights
        roles = self.roles
        if {role for role, _ in self._cells} != set(roles):
            self._build(roles)
        for place, cell in self._cells.items():
            cell.show(self._right(place))
        self._explain()

    def explain(self, role: str, operation: str) -> None:
        """Show the reasons of one right."""
        self._chosen = (role, operation)
        self._explain()

    def _right(self, place: tuple[str, str]) -> Right:
        role, operation = place
        nothing = [f"{role} has no rights on this queue."]
        return self._rights.get(place) or Right(role, operation, reasons=nothing)

    def _build(self, roles: Sequence[str]) -> None:
        self._table.clear()
        with self._table:
            with ui.element("div").classes("heads").props("role=row"):
                words("Role").props("role=columnheader")
                for operation in OPERATIONS:
                    words(operation).props("role=columnheader")
                words("All at once").props("role=columnheader")
            self._cells = {place: cell for role in roles for place, cell in self._row(role).items()}

    def _row(self, role: str) -> dict[tuple[str, str], Cell]:
        with ui.element("div").classes("rights").props("role=row"):
            words(role).classes("role").props("role=rowheader")
            cells = {(role, operation): self._cell(role, operation) for operation in OPERATIONS}
            with ui.element("div").classes("cell whole").props("role=cell"):
                self._whole(role, "Grant all", give=True)
                self._whole(role, "Revoke all", give=False)
        return cells

    def _cell(self, role: str, operation: str) -> Cell:
        async def change(give: bool) -> None:
            self._chosen = (role, operation)
            await self._change(role, [operation], give)

        return Cell(change, lambda: self.explain(role, operation))

    def _whole(self, role: str, text: str, *, give: bool) -> None:
        async def change() -> None:
            await self._change(role, OPERATIONS, give)

        button(text, change).classes("small").props["aria-label"] = f"{text} operations: {role}"

    def _explain(self) -> None:
        self._details.clear()
        with self._details:
            if self._chosen is None:
                words("Choose a word in the table to see why.", "p").classes("muted")
                return
            right = self._right(self._chosen)
            heading(right.sentence, 3)
            if right.granted and right.verdict == "none":
                words("It has the rights, but they are not enough:", "p")
            with ui.element("ul"):
                for reason in right.reasons:
                    words(reason, "li")
            if right.granted and right.verdict == "none":
                button("Create policies from a template", lambda: self._create(right.role), icon="add")

    def _add(self) -> None:
        role = (self._other.value or "").strip()
        if role and role not in self.roles:
            self._added.append(role)
            self._other.value = ""
            self.show(self._rights)
