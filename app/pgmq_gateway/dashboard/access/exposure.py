"""Whether requests can reach any queue at all: the schema pgmq_public."""

from collections.abc import Awaitable, Callable

from nicegui import ui

from pgmq_gateway.dashboard.api import Api, Problem
from pgmq_gateway.dashboard.parts.dialogs import danger
from pgmq_gateway.dashboard.parts.widgets import Failure, badge, button, words
from pgmq_gateway.queue_functions import SCHEMA

EXPOSED = "Requests can call send, send_batch, read, pop, archive and delete, as far as rights on queues let them."
HIDDEN = "No request can send to or read from any queue, whatever rights it has."
LOST = (
    "No request can send to or read from any queue any more, until it is exposed again. Roles of your own then need "
    "their rights once more."
)


class Exposure:
    """The state, and what changes it. `changed` is awaited after that."""

    def __init__(self, api: Api, changed: Callable[[], Awaitable[None]]) -> None:
        self._api = api
        self._changed = changed
        with ui.element("div").classes("row-of"):
            self._badge = badge("")
            self._said = words("", "p")
        self._failure = Failure()
        with ui.element("div").classes("row-of"):
            self._expose = button("Expose", self._do_expose, "primary")
            self._hide = button("Un-expose…", self._ask)

    def show(self, exposed: bool) -> None:
        """How it is now."""
        self._badge.text = f"{SCHEMA} is {'exposed' if exposed else 'not exposed'}"
        self._badge.classes(add="good" if exposed else "warn", remove="warn" if exposed else "good")
        self._said.text = EXPOSED if exposed else HIDDEN
        self._expose.set_visibility(not exposed)
        self._hide.set_visibility(exposed)

    async def _do_expose(self) -> None:
        answer = await self._api.call("expose")
        if isinstance(answer, Problem):
            self._failure.show(answer)
        else:
            self._failure.clear()
        await self._changed()

    def _ask(self) -> None:
        danger(f"Un-expose {SCHEMA}?", LOST, SCHEMA, "Un-expose", self._unexpose)

    async def _unexpose(self) -> object:
        answer = await self._api.call("unexpose")
        await self._changed()
        return answer
