"""Row-level security of a queue: the one way to turn it on and off, and its switch."""

import asyncio
from collections.abc import Awaitable, Callable

from nicegui import ui
from nicegui.events import ValueChangeEventArguments

from pgmq_gateway.dashboard.access.matrix import SERVICE, Rights, rights_of
from pgmq_gateway.dashboard.api import Api, Problem
from pgmq_gateway.dashboard.parts.dialogs import confirmed
from pgmq_gateway.dashboard.parts.widgets import Failure, words

ON = "Policies decide which messages a role with rights gets to; without one it gets to none."
OFF = "Rights alone decide: who has one gets to every message of the queue."
NOBODY = "No role but service_role has rights on this queue now; whoever gets some gets to every message."


async def turn(api: Api, queue: str, *, on: bool) -> Problem | None:
    """Turn it on, or off if the person, told who will get to all messages, agrees. Gives why it was not done."""
    if not on:
        reach = await _reach(api, queue)
        if isinstance(reach, Problem):
            return reach
        if not await confirmed("Turn row-level security off?", reach, "Turn off", "danger"):
            return None
    answer = await api.call("set_rls", {"queue_name": queue, "enabled": on})
    return answer if isinstance(answer, Problem) else None


class Protection:
    """The switch. `changed` is awaited after it was turned."""

    def __init__(self, api: Api, queue: str, changed: Callable[[], Awaitable[None]]) -> None:
        self._api = api
        self._queue = queue
        self._changed = changed
        self._rls = True
        with ui.element("div").classes("row-of protection"):
            self._switch = ui.switch("Row-level security", value=True, on_change=self._switched)
            self._said = words("", "p")
        self._failure = Failure()

    def show(self, rls: bool) -> None:
        """How it is now."""
        self._rls = rls
        self._switch.value = rls
        self._said.text = ON if rls else OFF
        self._said.classes(add="muted" if rls else "notice", remove="notice" if rls else "muted")

    async def _switched(self, event: ValueChangeEventArguments[bool | None]) -> None:
        # Showing how it is switches too.
        if event.value == self._rls:
            return
        self._failure.clear()
        if problem := await turn(self._api, self._queue, on=bool(event.value)):
            self._failure.show(problem)
        await self._changed()
        self._switch.value = self._rls


async def _reach(api: Api, queue: str) -> str | Problem:
    """Who would get to all messages."""
    named = {"queue_name": queue}
    rights, grants = await asyncio.gather(api.rows("rights", named), api.rows("list_grants", named))
    if isinstance(rights, Problem):
        return rights
    if isinstance(grants, Problem):
        return grants
    return _said(rights_of(rights, grants))


def _said(rights: Rights) -> str:
    granted: dict[str, list[str]] = {}
    for right in rights.values():
        if right.granted and right.role != SERVICE:
            granted.setdefault(right.role, []).append(right.operation)
    said = [f"{role} ({', '.join(operations)})" for role, operations in granted.items()]
    return f"All messages will be open to {', '.join(said)}, whatever the policies say." if said else NOBODY
