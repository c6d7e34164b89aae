"""The top of a queue's page: its name and kind, what can be done to all of it, what the lint says."""

from collections.abc import Awaitable, Callable, Sequence
from urllib.parse import quote

from nicegui import ui

from app.dashboard import dialogs
from app.dashboard.api import Problem, Row
from app.dashboard.queue.actions import messages, show_failure
from app.dashboard.queue.client import Queue
from app.dashboard.widgets import badge, button, finding, words


class Badges:
    """Type, row-level security and notifications."""

    def __init__(self) -> None:
        self._place = ui.element("span").classes("row-of")
        self._shown: tuple[object, ...] = ()

    def show(self, figures: Row) -> None:
        """What list_queues says."""
        shown = (figures["queue_type"], figures["rls"], figures["notify"])
        if shown == self._shown:
            return
        self._shown = shown
        self._place.clear()
        with self._place:
            badge(figures["queue_type"])
            badge("RLS on", "good") if figures["rls"] else badge("RLS off", "warn")
            if figures["notify"]:
                badge("notifies")


class Menu:
    """Purge, drop, row-level security. `after` is awaited when something was changed."""

    def __init__(self, queue: Queue, after: Callable[[], Awaitable[None]]) -> None:
        self._queue = queue
        self._after = after
        self._rls = True
        name = queue.name
        purge = dialogs.danger(
            f"Purge {name}?", "All of its messages will be deleted, those in flight too. Its archive stays.", name,
            "Purge queue", self._purge,
        )  # fmt: skip
        drop = dialogs.danger(
            f"Drop {name}?", "The queue will be gone, with its messages, its archive and its history.", name,
            "Drop queue", self._drop,
        )  # fmt: skip
        with button("More", icon="more_horiz").props("aria-haspopup=menu"), ui.menu().props("role=menu"):
            with ui.menu_item(on_click=self._set_rls).props("role=menuitem"), ui.item_section():
                self._switch = words("")
            ui.separator()
            ui.menu_item("Purge…", purge.open).props("role=menuitem").classes("lossy")
            ui.menu_item("Drop…", drop.open).props("role=menuitem").classes("lossy")

    def show(self, figures: Row) -> None:
        """What list_queues says."""
        self._rls = figures["rls"]
        self._switch.text = "Turn row-level security off…" if self._rls else "Turn row-level security on"

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
        if self._rls:
            text = "Whoever is granted rights on this queue will see and take every message in it."
            if not await dialogs.confirmed("Turn row-level security off?", text, "Turn off", "danger"):
                return
        if problem := await self._change_rls(enabled=not self._rls):
            show_failure(problem, "Row-level security could not be changed.")

    async def _change_rls(self, *, enabled: bool) -> Problem | None:
        answer = await self._queue.api.call("set_rls", {"queue_name": self._queue.name, "enabled": enabled})
        if isinstance(answer, Problem):
            return answer
        await self._after()
        return None


class Warnings:
    """What the lint says of this queue."""

    def __init__(self) -> None:
        self._place = ui.element("section").props('aria-label="Warnings"').classes("stack")
        self._place.set_visibility(False)

    def show(self, warnings: Sequence[Row]) -> None:
        """Put them there."""
        self._place.clear()
        self._place.set_visibility(bool(warnings))
        with self._place:
            for warning in warnings:
                finding(warning)


def links(name: str) -> None:
    """The ways to other pages of this queue."""
    with ui.element("nav").classes("row-of").props('aria-label="This queue"'):
        for title, page in (("Access", "access"), ("Connect", "connect")):
            ui.link(title, f"/{page}?queue={quote(name, safe='')}")
