"""Exposure of the schema pgmq_public, without which no request can use any queue."""

from collections.abc import Awaitable, Callable

from nicegui import ui

from pgmq_gateway.dashboard.api import Api, Problem
from pgmq_gateway.dashboard.parts.dialogs import confirm_by_name
from pgmq_gateway.dashboard.parts.widgets import Failure, badge, button, words
from pgmq_gateway.queue_functions import FUNCTIONS
from pgmq_gateway.schemas import QUEUES

EXPOSED = f"Requests can call {', '.join(FUNCTIONS)}, subject to permissions and policies."
NOT_EXPOSED = "No request can use any queue, regardless of permissions."
CONSEQUENCES = (
    "No request will be able to use any queue until you expose the schema again. Custom roles will then need their "
    "permissions granted again."
)


class Exposure:
    """The state and its button. `changed` is awaited after each change."""

    def __init__(self, api: Api, changed: Callable[[], Awaitable[None]]) -> None:
        self._api = api
        self._changed = changed
        with ui.element("div").classes("row-of"):
            self._badge = badge("")
            self._status = words("", "p")
        self._failure = Failure()
        with ui.element("div").classes("row-of"):
            self._expose = button("Expose", self._do_expose, "primary")
            self._unexpose = button("Unexpose…", self._ask)

    def show(self, exposed: bool) -> None:
        self._badge.text = f"{QUEUES} is {'exposed' if exposed else 'not exposed'}"
        self._badge.classes(add="good" if exposed else "warn", remove="warn" if exposed else "good")
        self._status.text = EXPOSED if exposed else NOT_EXPOSED
        self._expose.set_visibility(not exposed and self._api.can("expose"))
        self._unexpose.set_visibility(exposed and self._api.can("unexpose"))

    async def _do_expose(self) -> None:
        answer = await self._api.call("expose")
        if isinstance(answer, Problem):
            self._failure.show(answer)
        else:
            self._failure.clear()
        await self._changed()

    def _ask(self) -> None:
        confirm_by_name(f"Unexpose {QUEUES}?", CONSEQUENCES, QUEUES, "Unexpose", self._do_unexpose)

    async def _do_unexpose(self) -> object:
        answer = await self._api.call("unexpose")
        await self._changed()
        return answer
