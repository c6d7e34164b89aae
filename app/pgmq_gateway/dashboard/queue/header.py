"""The top of a queue's page: type and settings, and the menu of actions on the queue."""

from collections.abc import Awaitable, Callable
from urllib.parse import quote

from nicegui import ui

from pgmq_gateway.dashboard.access.protection import turn
from pgmq_gateway.dashboard.api import Problem, Row
from pgmq_gateway.dashboard.parts.dialogs import confirm_by_name
from pgmq_gateway.dashboard.parts.widgets import badge, button, words
from pgmq_gateway.dashboard.queue.actions import messages, show_failure
from pgmq_gateway.dashboard.queue.client import Queue


class Badges:
    """The queue's type, row-level security, notifications, and the settings that stop its readers or senders."""

    def __init__(self) -> None:
        self._place = ui.element("span").classes("row-of")
        self._shown: tuple[object, ...] = ()

    def show(self, figures: Row) -> None:
        """Show a row of list_queues."""
        names = ("queue_type", "rls", "notify", "group_limit", "paused", "is_full")
        shown = tuple(figures[name] for name in names)
        if shown == self._shown:
            return
        self._shown = shown
        self._place.clear()
        with self._place:
            badge(figures["queue_type"])
            badge("RLS on", "good") if figures["rls"] else badge("RLS off", "warn")
            if figures["notify"]:
                badge("notifications on")
            if figures["group_limit"]:
                badge(f"group limit {figures['group_limit']}")
            if figures["paused"]:
                badge("paused", "warn")
            if figures["is_full"]:
                badge("full", "bad")


class Menu:
    """Purge, drop and row-level security. `after` is awaited after each change."""

    def __init__(self, queue: Queue, after: Callable[[], Awaitable[None]]) -> None:
        self._queue = queue
        self._after = after
        self._rls = True
        can = queue.api.can
        with button("More", icon="more_horiz").props("aria-haspopup=menu") as more, ui.menu().props("role=menu"):
            with ui.menu_item(on_click=self._set_rls).props("role=menuitem") as rls, ui.item_section():
                self._switch = words("")
            ui.separator().set_visibility(can("set_rls"))
            purge = ui.menu_item("Purge…", self._ask_purge).props("role=menuitem").classes("destructive")
            drop = ui.menu_item("Drop…", self._ask_drop).props("role=menuitem").classes("destructive")
        for item, function in ((rls, "set_rls"), (purge, "purge_queue"), (drop, "drop_queue")):
            item.set_visibility(can(function))
        more.set_visibility(can("set_rls") or can("purge_queue") or can("drop_queue"))

    def show(self, figures: Row) -> None:
        """Show a row of list_queues."""
        self._rls = figures["rls"]
        self._switch.text = "Turn row-level security off…" if self._rls else "Turn row-level security on"

    def _ask_purge(self) -> None:
        text = "This deletes all messages of the queue, including those in flight. The archive stays."
        confirm_by_name(f"Purge {self._queue.name}?", text, self._queue.name, "Purge queue", self._purge)

    def _ask_drop(self) -> None:
        text = "This deletes the queue with its messages, its archive and its history."
        confirm_by_name(f"Drop {self._queue.name}?", text, self._queue.name, "Drop queue", self._drop)

    async def _purge(self) -> Problem | None:
        answer = await self._queue.api.call("purge_queue", {"queue_name": self._queue.name})
        if isinstance(answer, Problem):
            return answer
        ui.notify(f"{messages(int(answer))} deleted.", position="bottom")
        await self._after()
        return None

    async def _drop(self) -> Problem | None:
        answer = await self._queue.api.call("drop_queue", {"queue_name": self._queue.name})
        if isinstance(answer, Problem):
            return answer
        ui.navigate.to("/")
        return None

    async def _set_rls(self) -> None:
        if problem := await turn(self._queue.api, self._queue.name, on=not self._rls):
            show_failure(problem, "Row-level security was not changed.")
        await self._after()


def links(name: str) -> None:
    """Links to the other pages of this queue."""
    with ui.element("nav").classes("row-of").props('aria-label="This queue"'):
        for title, page in (("Access", "access"), ("Connect", "connect"), ("Actions", "actions")):
            ui.link(title, f"/{page}?queue={quote(name, safe='')}")
