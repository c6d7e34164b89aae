"""The switch of a queue's row-level security."""

from collections.abc import Awaitable, Callable

from nicegui import ui
from nicegui.events import ValueChangeEventArguments

from app.dashboard.api import Api, Problem
from app.dashboard.dialogs import confirmed
from app.dashboard.matrix import SERVICE, Rights
from app.dashboard.widgets import Failure, words

ON = "Policies decide which messages a role with rights gets to; without one it gets to none."
OFF = "Rights alone decide: who has one gets to every message of the queue."


class Protection:
    """The switch. `changed` is awaited after it was turned."""

    def __init__(self, api: Api, queue: str, changed: Callable[[], Awaitable[None]]) -> None:
        self._api = api
        self._queue = queue
        self._changed = changed
        self._rls = True
        self._reached = ""
        with ui.element("div").classes("row-of protection"):
            self._switch = ui.switch("Row-level security", value=True, on_change=self._switched)
            self._said = words("", "p")
        self._failure = Failure()

    def show(self, rls: bool, rights: Rights) -> None:
        """How it is now."""
        self._rls = rls
        self._switch.value = rls
        self._reached = _reach(rights)
        self._said.text = ON if rls else OFF
        self._said.classes(add="muted" if rls else "notice", remove="notice" if rls else "muted")

    async def _switched(self, event: ValueChangeEventArguments[bool | None]) -> None:
        # Showing how it is switches too.
        if event.value == self._rls:
            return
        if event.value or await self._agreed():
            answer = await self._api.call("set_rls", {"queue_name": self._queue, "enabled": event.value})
            if isinstance(answer, Problem):
                self._failure.show(answer)
            else:
                self._failure.clear()
            await self._changed()
        self._switch.value = self._rls

    async def _agreed(self) -> bool:
        text = self._reached or "No role but service_role has rights on this queue now; whoever gets some gets all."
        return await confirmed("Turn row-level security off?", text, "Turn off", "danger")


def _reach(rights: Rights) -> str:
    """Who would get to all messages."""
    granted: dict[str, list[str]] = {}
    for right in rights.values():
        if right.granted and right.role != SERVICE:
            granted.setdefault(right.role, []).append(right.operation)
    said = [f"{role} ({', '.join(operations)})" for role, operations in granted.items()]
    return f"All messages will be open to {', '.join(said)}, whatever the policies say." if said else ""
