"""Row-level security of a queue: its switch, and the confirmation before it is turned off."""

import asyncio
from collections.abc import Awaitable, Callable

from nicegui import ui
from nicegui.events import ValueChangeEventArguments

from pgmq_gateway.dashboard.access.matrix import SERVICE_ROLE, Permissions, permissions_of
from pgmq_gateway.dashboard.api import Api, Problem
from pgmq_gateway.dashboard.parts.dialogs import confirmed
from pgmq_gateway.dashboard.parts.widgets import Failure, words

ON = "Policies decide which messages a role can access. A role without a policy can access none."
OFF = "Without row-level security, every role that you grant can access all messages."
NO_GRANTS = "Only service_role has permissions now. Every role that you grant later can access all messages."


async def turn(api: Api, queue: str, *, on: bool) -> Problem | None:
    """Turn row-level security on, or off after the user has confirmed the list of roles that get full access."""
    if not on:
        consequences = await _consequences(api, queue)
        if isinstance(consequences, Problem):
            return consequences
        if not await confirmed("Turn row-level security off?", consequences, "Turn off", "danger"):
            return None
    answer = await api.call("set_rls", {"queue_name": queue, "enabled": on})
    return answer if isinstance(answer, Problem) else None


class Protection:
    """The switch. `changed` is awaited after each change."""

    def __init__(self, api: Api, queue: str, changed: Callable[[], Awaitable[None]]) -> None:
        self._api = api
        self._queue = queue
        self._changed = changed
        self._rls = True
        with ui.element("div").classes("row-of protection"):
            self._switch = ui.switch("Row-level security", value=True, on_change=self._switched).props("dense")
            self._switch.set_visibility(api.can("set_rls"))
            self._status = words("", "p")
        self._failure = Failure()

    def show(self, rls: bool) -> None:
        self._rls = rls
        self._switch.value = rls
        state = "" if self._api.can("set_rls") else f"Row-level security is {'on' if rls else 'off'}. "
        self._status.text = state + (ON if rls else OFF)
        self._status.classes(add="muted" if rls else "notice", remove="notice" if rls else "muted")

    async def _switched(self, event: ValueChangeEventArguments[bool | None]) -> None:
        # `show` raises this event too.
        if event.value == self._rls:
            return
        self._failure.clear()
        if problem := await turn(self._api, self._queue, on=bool(event.value)):
            self._failure.show(problem)
        await self._changed()
        self._switch.value = self._rls


async def _consequences(api: Api, queue: str) -> str | Problem:
    named = {"queue_name": queue}
    rights, grants = await asyncio.gather(api.rows("rights", named), api.rows("list_grants", named))
    if isinstance(rights, Problem):
        return rights
    if isinstance(grants, Problem):
        return grants
    return _full_access(permissions_of(rights, grants))


def _full_access(permissions: Permissions) -> str:
    granted: dict[str, list[str]] = {}
    for permission in permissions.values():
        if permission.granted and permission.role != SERVICE_ROLE:
            granted.setdefault(permission.role, []).append(permission.operation)
    roles = ", ".join(f"{role} ({', '.join(operations)})" for role, operations in granted.items())
    return f"These roles will have access to all messages, regardless of policies: {roles}." if roles else NO_GRANTS
